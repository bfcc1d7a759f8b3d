//! Files that only grow, frame by frame: length (u32, little endian), the first eight bytes of the payload's BLAKE3 hash,
//! payload. What a crash tore off at the end is recognised and cut away; nothing before it is touched.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::key_file::sync_parent;
use crate::problem::{SiteDirError, io};

const HEAD: usize = 12;

/// Puts a payload into a frame at the end of `out`.
pub(super) fn put_frame(payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).expect("callers put at most a batch, a path or a catalogue entry");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&blake3::hash(payload).as_bytes()[..8]);
    out.extend_from_slice(payload);
}

/// The payloads of the whole frames in `bytes`, and how many bytes belong to none: a torn end, or damage, which is
/// passed over to the next whole frame.
pub(super) fn read_frames(bytes: &[u8]) -> (Vec<&[u8]>, usize) {
    let (mut payloads, mut lost, mut at) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        match frame_at(&bytes[at..]) {
            Some(payload) => {
                payloads.push(payload);
                at += HEAD + payload.len();
            }
            None => (lost, at) = (lost + 1, at + 1),
        }
    }
    (payloads, lost)
}

fn frame_at(bytes: &[u8]) -> Option<&[u8]> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    let payload = bytes.get(HEAD..HEAD.checked_add(usize::try_from(length).ok()?)?)?;
    (blake3::hash(payload).as_bytes()[..8] == bytes[4..HEAD]).then_some(payload)
}

/// A file of frames, open at its end.
#[derive(Debug)]
pub(super) struct FrameFile {
    pub(super) path: PathBuf,
    file: File,
    /// Bytes of whole frames.
    pub(super) length: u64,
    is_torn: bool,
}

impl FrameFile {
    /// A new file, empty even if there was one.
    pub(super) fn create(path: PathBuf) -> Result<Self, SiteDirError> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(io("create", &path))?;
        sync_parent(&path)?;
        Ok(Self { path, file, length: 0, is_torn: false })
    }

    /// A file of which the first `length` bytes are whole frames; the rest goes.
    pub(super) fn resume(path: &Path, length: u64) -> Result<Self, SiteDirError> {
        let file = OpenOptions::new().write(true).open(path).map_err(io("open", path))?;
        let mut resumed = Self { path: path.to_owned(), file, length, is_torn: true };
        resumed.mend()?;
        Ok(resumed)
    }

    /// Writes whole frames at the end. After an error nothing of them is there.
    pub(super) fn append(&mut self, frames: &[u8]) -> Result<(), SiteDirError> {
        self.mend()?;
        if let Err(source) = self.file.write_all(frames) {
            self.is_torn = true;
            // Should this fail too, the next append tries again before it writes.
            let _ = self.mend();
            return Err(io("write", &self.path)(source));
        }
        self.length += frames.len() as u64;
        Ok(())
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> Result<(), SiteDirError> {
        self.file.sync_data().map_err(io("write", &self.path))
    }

    fn mend(&mut self) -> Result<(), SiteDirError> {
        if self.is_torn {
            self.file.set_len(self.length).map_err(io("shorten", &self.path))?;
            self.file.seek(SeekFrom::Start(self.length)).map_err(io("write", &self.path))?;
            self.is_torn = false;
        }
        Ok(())
    }
}
