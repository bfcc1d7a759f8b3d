//! What a crash must not take: every sample of the open segment, in the order it came, beside its segment's number. One
//! file a segment; it goes when the segment is sealed.
//!
//! Payloads, by their first byte (integers little endian): `H` format, number (u64), from (i64); `T` tag (u32), device (32
//! bytes), path; `S` samples as on the wire ([`gemba_net::telemetry::encode`]); `N` the host's clock (i64); `C` closed at
//! (i64). A golden test holds the bytes, so that a change of the wire is seen here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gemba_net::{TagSample, telemetry};
use gemba_twin::path::{TagId, TagPath};
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::Timestamp;

use super::frames::{FrameFile, put_frame, read_frames};
use super::open_segment::{OpenSegment, StartTable};
use super::tag_table::{Owner, TagTable};
use super::{HistorianError, HistorianProblem, remove};
use crate::problem::io;

const FORMAT: u8 = 1;

/// Bytes of a journal's first frame; a shorter journal has never held anything.
pub(super) const HEAD_BYTES: usize = 12 + 18;

/// Where the journal of a segment lies.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("journal-{number}"))
}

/// The number of the segment a file name is the journal of.
fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix("journal-")?.parse().ok()
}

pub(super) fn put_head(number: u64, from: Timestamp, out: &mut Vec<u8>) {
    put_frame(&[&[b'H', FORMAT][..], &number.to_le_bytes(), &from.0.to_le_bytes()].concat(), out);
}

pub(super) fn put_tag(tag: TagId, owner: &Owner, out: &mut Vec<u8>) {
    put_frame(&[&b"T"[..], &tag.0.to_le_bytes(), &owner.device.0, owner.path.as_bytes()].concat(), out);
}

pub(super) fn put_samples(samples: &[TagSample], out: &mut Vec<u8>) {
    for batch in samples.chunks(gemba_net::limits::BATCH_SAMPLES) {
        let mut payload = vec![b'S'];
        payload.extend_from_slice(&telemetry::encode(batch));
        put_frame(&payload, out);
    }
}

pub(super) fn put_now(now: Timestamp, out: &mut Vec<u8>) {
    put_frame(&[&b"N"[..], &now.0.to_le_bytes()].concat(), out);
}

pub(super) fn put_closed(to: Timestamp, out: &mut Vec<u8>) {
    put_frame(&[&b"C"[..], &to.0.to_le_bytes()].concat(), out);
}

/// A new journal, durable with its head.
pub(super) fn begin(dir: &Path, number: u64, from: Timestamp) -> Result<FrameFile, HistorianError> {
    let mut frame = Vec::new();
    put_head(number, from, &mut frame);
    let mut file = FrameFile::create(path(dir, number))?;
    file.append(&frame)?;
    file.sync()?;
    Ok(file)
}

/// The segments in journals that a crash left, oldest first; those already sealed are deleted.
pub(super) fn left(
    dir: &Path,
    next_number: u64,
    problems: &mut Vec<HistorianProblem>,
) -> Result<Vec<OpenSegment>, HistorianError> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io("read", dir))? {
        let name = entry.map_err(io("read", dir))?.file_name();
        numbers.extend(name.to_str().and_then(number_of));
    }
    numbers.sort_unstable();
    let mut left = Vec::new();
    for number in numbers {
        let path = self::path(dir, number);
        if number < next_number {
            remove(&path)?;
            continue;
        }
        let bytes = std::fs::read(&path).map_err(io("read", &path))?;
        match replay(&bytes).filter(|replayed| replayed.segment.number == number) {
            Some(replayed) => {
                if replayed.lost > 0 {
                    problems.push(HistorianProblem::TornJournal { path: path.clone(), bytes: replayed.lost });
                }
                let segment = replayed.segment;
                match segment.samples > 0 || segment.to > segment.from {
                    true => left.push(segment),
                    false => remove(&path)?,
                }
            }
            None if bytes.len() < HEAD_BYTES => remove(&path)?,
            None => {
                let aside = path.with_extension("damaged");
                std::fs::rename(&path, &aside).map_err(io("rename", &path))?;
                problems.push(HistorianProblem::UnreadableJournal { path, aside });
            }
        }
    }
    Ok(left)
}

/// What a journal holds.
#[derive(Debug)]
pub(super) struct Replayed {
    /// Its segment, without a start table yet.
    pub(super) segment: OpenSegment,
    /// Bytes that belong to no whole frame, as after a crash while the last was written.
    pub(super) lost: usize,
}

/// Reads a journal's bytes; none when not even its head is there, that is, when nothing was ever taken into it.
pub(super) fn replay(bytes: &[u8]) -> Option<Replayed> {
    let (payloads, mut lost) = read_frames(bytes);
    let mut payloads = payloads.into_iter();
    let mut segment = head(payloads.next()?)?;
    let mut tags = TagTable::default();
    for payload in payloads {
        if follow(payload, &mut segment, &mut tags).is_none() {
            lost += payload.len();
        }
    }
    Some(Replayed { segment, lost })
}

fn head(payload: &[u8]) -> Option<OpenSegment> {
    let rest = payload.strip_prefix(&[b'H', FORMAT])?;
    let (number, from) = rest.split_first_chunk::<8>()?;
    let from = Timestamp(i64::from_le_bytes(from.try_into().ok()?));
    Some(OpenSegment::new(u64::from_le_bytes(*number), from, Arc::new(StartTable::new())))
}

fn follow(payload: &[u8], segment: &mut OpenSegment, tags: &mut TagTable) -> Option<()> {
    let (kind, rest) = payload.split_first()?;
    match kind {
        b'T' => {
            let (tag, rest) = rest.split_first_chunk::<4>()?;
            let (device, path) = rest.split_first_chunk::<32>()?;
            let tag = TagId(u32::from_le_bytes(*tag));
            let path: TagPath = std::str::from_utf8(path).ok()?.parse().ok()?;
            if tag.0 as usize >= gemba_twin::limits::TAGS {
                return None;
            }
            tags.declare(tag, &path, PeerKey(*device));
        }
        b'S' => {
            for TagSample { tag, sample } in telemetry::decode(rest).ok()? {
                let place = segment.place(tags.owner(tag)?);
                segment.push(place, &sample);
            }
        }
        b'N' | b'C' => segment.to = segment.to.max(Timestamp(i64::from_le_bytes(rest.try_into().ok()?))),
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use gemba_twin::sample::{Quality, Sample, Value};
    use proptest::prelude::*;

    use super::*;

    fn golden() -> Vec<u8> {
        let mut bytes = Vec::new();
        put_head(3, Timestamp(1), &mut bytes);
        put_tag(TagId(2), &Owner { path: "A/b".into(), device: PeerKey([7; 32]) }, &mut bytes);
        let sample = Sample {
            value: Some(Value::Float(0.1)),
            quality: Quality::Good,
            source_time: Timestamp(5),
            server_time: Timestamp(6),
        };
        put_samples(&[TagSample { tag: TagId(2), sample }], &mut bytes);
        put_now(Timestamp(9), &mut bytes);
        put_closed(Timestamp(10), &mut bytes);
        bytes
    }

    #[test]
    fn a_journal_of_an_earlier_build_is_read() {
        // A change here makes journals of running hosts unreadable: raise the format and read both.
        let hex: String = golden().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, GOLDEN);
        let replayed = replay(&golden()).unwrap();
        let segment = replayed.segment;
        assert_eq!((segment.number, segment.from, segment.to, replayed.lost), (3, Timestamp(1), Timestamp(10), 0));
        assert_eq!((segment.samples, segment.axis), (1, Some((5, 5))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_replay_panic(
            mut bytes in Just(golden()),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            noise in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.extend(noise);
            let _ = replay(&bytes);
            // Payloads whose checksum holds, but that say anything.
            let mut framed = golden()[..HEAD_BYTES].to_vec();
            put_frame(&bytes, &mut framed);
            let _ = replay(&framed);
        }
    }

    const GOLDEN: &str = "12000000f5666b2fa4a8a8a648010300000000000000010000000000000028000000fb8dbc7e5ded544e5402000000070707\
        0707070707070707070707070707070707070707070707070707070707412f620e000000948e3c3abb81a193530102050a02\
        9a9999999999b93f09000000587f29b8e139e1664e09000000000000000900000003bb934f6d7c392b430a00000000000000";
}
