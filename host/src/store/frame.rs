//! The bytes of the store's file: a header that names the format and the site, then one frame an entry.
//!
//! | part | bytes, little-endian |
//! |---|---|
//! | file header | magic 16, format u32, site 16, zeros, checksum of all that 8: 64 in all |
//! | frame | length u32, its top bit set where a commit begins; entry number u64; checksum of the frame before u64; checksum of this frame u64; the entry |
//!
//! A frame's checksum covers everything of it but itself, so that a frame can be recognised wherever it lies. That it
//! holds the checksum of the one before makes the frames a chain: none can be exchanged, doubled or left out, and what
//! a failed commit left behind is never taken for the next one.

use std::io;

use gemba_record::entry::SiteId;

use crate::disk::Disk;
use crate::limits;

/// Length of the file's header.
pub(super) const FILE_HEADER: u64 = 64;

/// Length of a frame without its entry.
pub(super) const FRAME_HEADER: usize = 28;

const MAGIC: &[u8; 16] = b"gemba record\r\n\0\0";
const BEGINS: u32 = 1 << 31;

/// Where a frame begins, and what must stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Number of the entry in it.
    pub(super) entry: u64,
    /// Of its first byte.
    pub(super) offset: u64,
    /// Checksum of the frame before; `None` where that one cannot be relied on.
    pub(super) before: Option<u64>,
}

impl Place {
    /// Of entry 0.
    pub(super) fn start(site: SiteId) -> Self {
        Self { entry: 0, offset: FILE_HEADER, before: Some(checksum(&[MAGIC, &site.0])) }
    }
}

/// What a file's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) format: u32,
    pub(super) site: SiteId,
}

impl FileHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = [MAGIC.as_slice(), &self.format.to_le_bytes(), &self.site.0].concat();
        bytes.resize(FILE_HEADER as usize - 8, 0);
        let sum = checksum(&[&bytes]);
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    /// None when a bit of it is not as it was written.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<8>()?;
        if bytes.len() as u64 != FILE_HEADER || checksum(&[body]) != u64::from_le_bytes(*sum) {
            return None;
        }
        let body = body.strip_prefix(MAGIC)?;
        let (format, body) = body.split_first_chunk()?;
        let (site, _) = body.split_first_chunk()?;
        Some(Self { format: u32::from_le_bytes(*format), site: SiteId(*site) })
    }
}

/// Adds a frame to `bytes`, and moves `place` behind it.
pub(super) fn push(bytes: &mut Vec<u8>, place: &mut Place, begins: bool, entry: &[u8]) {
    let before = place.before.expect("frames are only written behind a whole one");
    let length = entry.len() as u32 | if begins { BEGINS } else { 0 };
    let mut head = length.to_le_bytes().to_vec();
    head.extend(place.entry.to_le_bytes());
    head.extend(before.to_le_bytes());
    let sum = checksum(&[&head, entry]);
    bytes.extend(head);
    bytes.extend(sum.to_le_bytes());
    bytes.extend(entry);
    let offset = place.offset + (FRAME_HEADER + entry.len()) as u64;
    *place = Place { entry: place.entry + 1, offset, before: Some(sum) };
}

/// What lies at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// A whole frame; the walk is behind it now.
    Frame {
        /// Whether a commit begins with it.
        begins: bool,
        entry: &'a [u8],
    },
    /// The end of what is walked.
    End,
    /// Something else; the walk stays before it.
    Bad,
}

/// A way along the frames of a file.
pub(super) struct Walk<'a> {
    disk: &'a dyn Disk,
    name: &'a str,
    /// Where it ends, in bytes.
    end: u64,
    place: Place,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(disk: &'a dyn Disk, name: &'a str, place: Place, end: u64) -> Self {
        Self { disk, name, end, place, window: Vec::new(), window_at: 0 }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    pub(super) fn step(&mut self) -> io::Result<Step<'_>> {
        if self.place.offset == self.end {
            return Ok(Step::End);
        }
        let place = self.place;
        let Some(head) = self.head(place.offset)? else { return Ok(Step::Bad) };
        let follows = place.before.is_none_or(|before| before == head.before);
        if head.entry != place.entry || !follows || !self.is_whole(place.offset, &head)? {
            return Ok(Step::Bad);
        }
        let offset = place.offset + FRAME_HEADER as u64;
        self.place = Place { entry: place.entry + 1, offset: offset + head.length as u64, before: Some(head.checksum) };
        Ok(Step::Frame { begins: head.begins, entry: self.bytes(offset, head.length)? })
    }

    /// From a bad place goes on to the next whole frame, wherever it begins; false when there is none. The entries
    /// between are lost.
    pub(super) fn skip(&mut self) -> io::Result<bool> {
        let Place { entry, offset, .. } = self.place;
        // Where only the entry's own bytes are damaged, the next frame begins where it should.
        if let Some(head) = self.head(offset)?
            && self.skip_to(entry, offset, offset + (FRAME_HEADER + head.length) as u64)?
        {
            return Ok(true);
        }
        let mut at = offset + 1;
        while at + FRAME_HEADER as u64 <= self.end {
            if self.skip_to(entry, offset, at)? {
                return Ok(true);
            }
            at += 1;
        }
        Ok(false)
    }

    fn skip_to(&mut self, entry: u64, from: u64, at: u64) -> io::Result<bool> {
        let Some(head) = self.head(at)? else { return Ok(false) };
        let most = (at - from) / FRAME_HEADER as u64 + 1;
        let plausible = head.entry > entry && head.entry - entry <= most;
        if !plausible || !self.is_whole(at, &head)? {
            return Ok(false);
        }
        self.place = Place { entry: head.entry, offset: at, before: None };
        Ok(true)
    }

    /// The header that would lie here; none when there is no room for its frame.
    fn head(&mut self, offset: u64) -> io::Result<Option<Head>> {
        if self.end.saturating_sub(offset) < FRAME_HEADER as u64 {
            return Ok(None);
        }
        let end = self.end;
        let bytes = self.bytes(offset, FRAME_HEADER)?;
        let Some(head) = Head::decode(bytes) else { return Ok(None) };
        let fits = end - offset - FRAME_HEADER as u64 >= head.length as u64;
        Ok((head.length <= limits::STORED_ENTRY_BYTES && fits).then_some(head))
    }

    fn is_whole(&mut self, offset: u64, head: &Head) -> io::Result<bool> {
        let frame = self.bytes(offset, FRAME_HEADER + head.length)?;
        if frame.len() != FRAME_HEADER + head.length {
            return Ok(false);
        }
        Ok(checksum(&[&frame[..FRAME_HEADER - 8], &frame[FRAME_HEADER..]]) == head.checksum)
    }

    /// Bytes of the file, read in large pieces; fewer where it ends.
    fn bytes(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let held = self.window_at..self.window_at + self.window.len() as u64;
        if !(held.start <= offset && offset + length as u64 <= held.end) {
            let rest = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
            self.window = self.disk.read(self.name, offset, length.max(limits::WINDOW_BYTES).min(rest))?;
            self.window_at = offset;
        }
        let start = (offset - self.window_at) as usize;
        Ok(&self.window[start..self.window.len().min(start + length)])
    }
}

struct Head {
    begins: bool,
    length: usize,
    entry: u64,
    before: u64,
    checksum: u64,
}

impl Head {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (length, bytes) = bytes.split_first_chunk()?;
        let (entry, bytes) = bytes.split_first_chunk()?;
        let (before, bytes) = bytes.split_first_chunk()?;
        let (checksum, _) = bytes.split_first_chunk()?;
        let length = u32::from_le_bytes(*length);
        Some(Self {
            begins: length & BEGINS != 0,
            length: (length & !BEGINS) as usize,
            entry: u64::from_le_bytes(*entry),
            before: u64::from_le_bytes(*before),
            checksum: u64::from_le_bytes(*checksum),
        })
    }
}

/// The first 8 bytes of the BLAKE3 hash: any change, however large, goes unseen once in 2^64.
pub(super) fn checksum(parts: &[&[u8]]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
