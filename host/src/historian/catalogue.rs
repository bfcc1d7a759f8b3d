//! Which segments there are: a file of frames, one for each that was sealed, confirmed or deleted. Rewritten when the
//! historian opens, so that it never holds much more than what is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gemba_net::BlobHash;
use gemba_twin::sample::Timestamp;
use minicbor::{Decode, Encode};

use super::Sealed;
use super::frames::{FrameFile, put_frame, read_frames};
use crate::problem::{SiteDirError, io};

/// A sealed segment as the catalogue knows it.
#[derive(Debug, Clone, Encode, Decode)]
pub(super) struct Kept {
    #[n(0)]
    pub(super) sealed: Sealed,
    /// First and last time on the axis of time travel; none of an empty one.
    #[n(1)]
    pub(super) axis: Option<(i64, i64)>,
    /// BLAKE3 of the start table's file, and its bytes.
    #[n(2)]
    pub(super) start: BlobHash,
    #[n(3)]
    pub(super) start_bytes: u64,
    /// Whether this process has seen that the file's hash is right.
    #[cbor(skip)]
    pub(super) is_checked: Arc<AtomicBool>,
}

/// One line of the catalogue.
#[derive(Debug, Encode, Decode)]
enum Line {
    #[n(0)]
    Sealed(#[n(0)] Box<Kept>),
    #[n(1)]
    Confirmed(#[n(0)] u64),
    #[n(2)]
    Deleted(#[n(0)] u64),
}

/// The catalogue in memory and on disk.
#[derive(Debug)]
pub(super) struct Catalogue {
    file: FrameFile,
    /// By number; and whether the record is known to hold it.
    pub(super) kept: Vec<(Kept, bool)>,
    /// The number after the last ever given.
    pub(super) next_number: u64,
}

/// Where the start table of a segment lies.
pub(super) fn start_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("start-{number}.parquet"))
}

impl Catalogue {
    /// Reads and compacts it. The number of bytes that could not be read comes along.
    pub(super) fn open(dir: &Path) -> Result<(Self, usize), SiteDirError> {
        let path = dir.join("catalogue");
        let bytes = match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(io("read", &path))?,
        };
        let (kept, next_number, lost) = read(&bytes);
        if lost > 0 {
            // Kept for whoever wants to look, since the compacted one will lack what could not be read.
            let damaged = dir.join("catalogue.damaged");
            std::fs::copy(&path, &damaged).map_err(io("create", &damaged))?;
        }
        let frames = compact(&kept, next_number);
        crate::key_file::write_whole(&path, &frames, false)?;
        let file = FrameFile::resume(&path, frames.len() as u64)?;
        Ok((Self { file, kept, next_number }, lost))
    }

    /// A segment is on the disk; from now on the catalogue answers for it.
    pub(super) fn add(&mut self, segment: Kept) -> Result<(), SiteDirError> {
        self.write(&Line::Sealed(Box::new(segment.clone())))?;
        follow(Line::Sealed(Box::new(segment)), &mut self.kept, &mut self.next_number);
        Ok(())
    }

    /// The record holds a segment.
    pub(super) fn confirm(&mut self, number: u64) -> Result<(), SiteDirError> {
        self.write(&Line::Confirmed(number))?;
        follow(Line::Confirmed(number), &mut self.kept, &mut self.next_number);
        Ok(())
    }

    /// A segment goes.
    pub(super) fn delete(&mut self, number: u64) -> Result<(), SiteDirError> {
        self.write(&Line::Deleted(number))?;
        follow(Line::Deleted(number), &mut self.kept, &mut self.next_number);
        Ok(())
    }

    fn write(&mut self, line: &Line) -> Result<(), SiteDirError> {
        let mut frame = Vec::new();
        put_line(line, &mut frame);
        self.file.append(&frame)?;
        self.file.sync()
    }
}

/// What the lines of a catalogue say: the segments that are there, the number after the last ever given, and how many bytes
/// could not be read.
pub(super) fn read(bytes: &[u8]) -> (Vec<(Kept, bool)>, u64, usize) {
    let (payloads, mut lost) = read_frames(bytes);
    let (mut kept, mut next_number) = (Vec::new(), 0);
    for payload in payloads {
        match minicbor::decode(payload) {
            Ok(line) => follow(line, &mut kept, &mut next_number),
            Err(_) => lost += payload.len(),
        }
    }
    (kept, next_number, lost)
}

/// The shortest catalogue that says the same.
pub(super) fn compact(kept: &[(Kept, bool)], next_number: u64) -> Vec<u8> {
    let mut frames = Vec::new();
    for (segment, is_confirmed) in kept {
        put_line(&Line::Sealed(Box::new(segment.clone())), &mut frames);
        if *is_confirmed {
            put_line(&Line::Confirmed(segment.sealed.number), &mut frames);
        }
    }
    if let Some(last) = next_number.checked_sub(1).filter(|n| kept.iter().all(|(k, _)| k.sealed.number != *n)) {
        put_line(&Line::Deleted(last), &mut frames);
    }
    frames
}

fn put_line(line: &Line, out: &mut Vec<u8>) {
    put_frame(&minicbor::to_vec(line).expect("writing into memory cannot fail"), out);
}

fn follow(line: Line, kept: &mut Vec<(Kept, bool)>, next_number: &mut u64) {
    match line {
        Line::Sealed(segment) => {
            *next_number = (*next_number).max(segment.sealed.number.saturating_add(1));
            if kept.iter().all(|(known, _)| known.sealed.number != segment.sealed.number) {
                kept.push((*segment, false));
            }
        }
        Line::Confirmed(number) => {
            kept.iter_mut().filter(|(known, _)| known.sealed.number == number).for_each(|(_, c)| *c = true);
        }
        Line::Deleted(number) => {
            *next_number = (*next_number).max(number.saturating_add(1));
            kept.retain(|(known, _)| known.sealed.number != number);
        }
    }
}

impl Kept {
    /// The span the segment speaks for.
    pub(super) fn span(&self) -> (Timestamp, Timestamp) {
        (self.sealed.from, self.sealed.to)
    }

    /// Bytes on disk with its start table.
    pub(super) fn bytes(&self) -> u64 {
        self.sealed.bytes + self.start_bytes
    }
}
