//! The historian's decoders for the fuzzer, which gets past no checksum by itself: what bytes mean once somebody has made
//! the checksums fit. Nothing else uses this.

use bytes::Bytes;
use gemba_net::BlobHash;

use super::frames::put_frame;
use super::segment::{Columns, SegmentFile, guarded};
use super::{catalogue, journal, proof, segment};

/// Reads a journal of these payloads, writes what it holds as a segment, and checks that against its own roots. Returns
/// the number of samples; none if there is no journal.
///
/// # Panics
/// If a segment is written that does not prove itself: that is what the fuzzer looks for.
pub fn replay(payloads: &[&[u8]]) -> Option<u64> {
    let mut bytes = Vec::new();
    payloads.iter().for_each(|payload| put_frame(payload, &mut bytes));
    let replayed = journal::replay(&bytes)?.segment;
    let file = segment::encode(&replayed).expect("what was taken can be written");
    let told = BlobHash::of(&file);
    let samples = proof::verify_segment(&file, told, &proof::roots(&replayed)).expect("what was written proves itself");
    assert_eq!(samples, replayed.samples as u64, "no sample is lost on the way");
    Some(samples)
}

/// Reads a catalogue of these lines. Returns how many segments it has.
///
/// # Panics
/// If the catalogue that is written in its place says something else.
pub fn read_catalogue(lines: &[&[u8]]) -> usize {
    let mut bytes = Vec::new();
    lines.iter().for_each(|line| put_frame(line, &mut bytes));
    let (kept, next_number, _) = catalogue::read(&bytes);
    let compact = catalogue::compact(&kept, next_number);
    let (again, next_again, lost) = catalogue::read(&compact);
    let said = |kept: &[(catalogue::Kept, bool)]| -> Vec<(u64, bool)> {
        kept.iter().map(|(segment, is_confirmed)| (segment.sealed.number, *is_confirmed)).collect()
    };
    assert_eq!((said(&again), next_again, lost), (said(&kept), next_number, 0), "nothing is lost on the way");
    assert_eq!(catalogue::compact(&again, next_again), compact);
    kept.len()
}

/// Reads these bytes as a segment in all the ways there are: for proof, for a recall, and as a start table. Returns the
/// number of rows; none if they are no segment.
pub fn read_segment(bytes: &[u8]) -> Option<usize> {
    // Without roots it proves nothing, but all of it is read.
    let _ = proof::verify_segment(bytes, BlobHash::of(bytes), &[]);
    let _ = guarded(|| segment::decode_start(bytes.to_vec()));
    guarded(|| {
        let file = SegmentFile::open(Bytes::copy_from_slice(bytes))?;
        let few = file.runs(Some(&["Hall1/Line1/Tank1/Level"]))?;
        let all = file.runs(None)?;
        let mut count = 0;
        for runs in [few, all] {
            count = 0;
            let rows: Vec<_> = runs.into_iter().map(|run| run.rows).collect();
            file.read(&rows, Columns::Samples, |_, batch| {
                for row in 0..batch.source_time.len() {
                    batch.sample(row)?;
                    count += 1;
                }
                Ok(())
            })?;
        }
        Ok(count)
    })
    .ok()
}
