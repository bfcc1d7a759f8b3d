//! Where entries lie, roughly: one point every few entries, in memory and in a file beside the store's.
//!
//! The file is derived. It is never synced and never believed: each point has a checksum over itself and the point
//! before, the last one is tried against the store, and whenever something does not fit all of it is made anew.

use std::io;

use gemba_record::entry::SiteId;

use crate::disk::{Disk, Readers, read_whole};
use crate::limits;
use crate::store::frame::{Place, checksum};

const POINT: usize = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    entry: u64,
    offset: u64,
    checksum: u64,
}

#[derive(Debug)]
pub(super) struct Index {
    site: SiteId,
    points: Vec<Point>,
    /// How many of them the file holds.
    written: usize,
}

impl Index {
    /// The points that hold together; `name` need not be there.
    pub(super) fn read(disk: &dyn Disk, name: &str, site: SiteId) -> io::Result<Self> {
        let mut index = Self { site, points: Vec::new(), written: 0 };
        for bytes in read_whole(disk, name)?.unwrap_or_default().chunks_exact(POINT) {
            let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes are taken"));
            let point = index.point(word(0), word(8));
            let rises = index.points.last().is_none_or(|last| last.entry < point.entry && last.offset < point.offset);
            if point.checksum != word(16) || !rises {
                break;
            }
            index.points.push(point);
        }
        index.written = index.points.len();
        Ok(index)
    }

    /// The file of an index of these points, whether they are true or not, each with the right checksum.
    pub(super) fn forged(site: SiteId, points: impl Iterator<Item = (u64, u64)>) -> Vec<u8> {
        let mut index = Self { site, points: Vec::new(), written: 0 };
        for (entry, offset) in points {
            let point = index.point(entry, offset);
            index.points.push(point);
        }
        index.points.iter().flat_map(|p| [p.entry, p.offset, p.checksum]).flat_map(u64::to_le_bytes).collect()
    }

    pub(super) fn clear(&mut self) {
        self.points.clear();
        self.written = 0;
    }

    /// Forgets what lies at or beyond this byte.
    pub(super) fn cut(&mut self, offset: u64) {
        self.points.retain(|point| point.offset < offset);
        self.written = self.written.min(self.points.len());
    }

    /// Learns that a frame begins here; keeps it when the last point is far enough away.
    pub(super) fn learn(&mut self, place: Place) {
        let far = self.points.last().is_none_or(|last| {
            place.entry.saturating_sub(last.entry) >= limits::INDEX_ENTRIES
                || place.offset.saturating_sub(last.offset) >= limits::INDEX_BYTES
        });
        if far && self.points.last().is_none_or(|last| place.offset > last.offset) {
            let point = self.point(place.entry, place.offset);
            self.points.push(point);
        }
    }

    /// The last point not behind this entry; none before the first point.
    pub(super) fn at(&self, entry: u64) -> Option<Place> {
        let behind = self.points.partition_point(|point| point.entry <= entry);
        let point = self.points[..behind].last()?;
        Some(Place { entry: point.entry, offset: point.offset, before: None })
    }

    /// Writes the points the file lacks. Where that fails the next call tries again.
    pub(super) fn write(&mut self, disk: &dyn Disk, name: &str) -> io::Result<()> {
        if self.written == self.points.len() {
            return Ok(());
        }
        if self.written == 0 {
            disk.create(name, Readers::Usual)?;
        }
        let new = self.points[self.written..].iter();
        let bytes: Vec<u8> = new.flat_map(|p| [p.entry, p.offset, p.checksum]).flat_map(u64::to_le_bytes).collect();
        disk.write(name, (self.written * POINT) as u64, &bytes)?;
        self.written = self.points.len();
        Ok(())
    }

    fn point(&self, entry: u64, offset: u64) -> Point {
        let before = self.points.last().map_or(0, |last| last.checksum);
        let words = [entry, offset, before].map(u64::to_le_bytes);
        Point { entry, offset, checksum: checksum(&[&self.site.0, words.as_flattened()]) }
    }
}
