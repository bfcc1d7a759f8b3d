//! The entries of a site in one append-only file, on a [`Disk`] that may break.
//!
//! A commit is one write and one sync: after a crash the file holds exactly the commits that returned, and perhaps the
//! one that was under way, or the first few entries of it. There is no shutdown; opening is recovering.
//!
//! The file is longer than its entries: behind them lie zeros, so that a commit writes over bytes that are there, whose sync
//! takes 155 µs here instead of 285 for a file that grows. They mean nothing; a file may end with its last entry.
//!
//! - What a crash tore off the end is passed over, said ([`Store::dropped`]) and cut by the next commit.
//! - What is damaged anywhere else is never passed over. A commit that was torn is told from one that was whole and
//!   damaged since by what came after it: a later commit, or the mark, which follows each sync. Then [`Store::check`]
//!   says which entries and which bytes, nothing is appended any more, and [`Store::rewrite`] takes copies.
//!
//! Beside the file lie its index, which is derived, and its mark; a crash may lose either.
//!
//! # Why not a database
//!
//! Until format 2 this was redb. Measured with 250 B entries by `examples/store_choice.rs` (two cores, ext4 on a
//! virtual disk whose sync takes 0.2 ms; three seconds a row; before the file had room ahead of its end):
//!
//! | | one file | redb 4.4 |
//! |---|---|---|
//! | entries/s, 1 a commit | 5,223 | 5,123 |
//! | entries/s, 64 a commit | 213,004 | 152,319 |
//! | entries/s, 512 a commit | 906,683 | 530,705 |
//! | p99 of a commit of 512 | 1.1 ms | 1.8 ms |
//! | a million entries | 278 MB | 539 MB |
//! | opened, a million entries | 1.8 ms (0.32 s where the index is lost) | 0.3 ms |
//! | 512 entries read anywhere | 0.24 ms | 0.17 ms |
//!
//! A record is only ever appended and read in order, so that a tree of pages buys nothing but its own bytes; and a
//! damaged page took with it an unknown number of entries, where a damaged frame is one entry that can be named.
//!
//! It stores bytes in order and knows nothing of what they say. Absent on purpose: compaction (nothing is ever
//! deleted), several files (a million entries are 280 MB), caches (the record is read once, at the start).

mod frame;
pub mod hostile;
mod index;
mod mark;
mod reader;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gemba_record::entry::SiteId;

use crate::disk::{Disk, Lock, Readers, folder_of, read_whole, write_whole};
use crate::limits;
use crate::problem::{Problem, SiteDirError, io};
use crate::store::frame::{FILE_HEADER, FileHeader, Place, Step, Walk, push};
use crate::store::index::Index;
use crate::store::mark::Mark;
pub use crate::store::reader::Reader;

/// The format of site directories that this program writes, and the newest it reads. Format 1 was a redb file and was
/// never released.
pub const FORMAT: u32 = 2;

/// The file with the entries.
pub const RECORD: &str = "site.record";
const RECORD_NEW: &str = "site.record.new";
const INDEX: &str = "site.index";
const MARK: &str = "site.mark";
const LOCK: &str = "site.lock";

/// Names of the store's files that a creation which was interrupted may leave.
pub(crate) const LEFTOVERS: [&str; 4] = [RECORD_NEW, INDEX, MARK, LOCK];

/// The end of a commit that a crash tore: never acknowledged, and not part of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The first entry it would have had.
    pub entry: u64,
    /// Where it lies in the file.
    pub bytes: Range<u64>,
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    site: SiteId,
    /// Behind the last entry.
    end: Place,
    index: Index,
    /// Length of the file: what lies between the end and this are zeros, unless it is untidy.
    size: u64,
    /// Bytes behind the end are to be cut before the next commit.
    untidy: bool,
    dropped: Option<Dropped>,
    problems: Vec<Problem>,
    /// None where it is only looked at.
    lock: Option<Lock>,
}

impl Store {
    /// Creates the store with its first entry. It appears under its name whole or not at all.
    pub fn create(disk: Arc<dyn Disk>, site: SiteId, first: &[u8]) -> Result<Self, SiteDirError> {
        let path = disk.path(RECORD);
        // Held from here on, so that of two creators only one comes this far at a time.
        let lock = take_lock(&*disk)?;
        if disk.size(RECORD).is_ok() {
            return Err(SiteDirError::AlreadyASite(disk.path("")));
        }
        let mut bytes = FileHeader { format: FORMAT, site }.encode();
        let mut end = Place::start(site);
        push(&mut bytes, &mut end, true, first);
        for leftover in [INDEX, MARK] {
            match disk.remove(leftover) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                other => other.map_err(io("remove", &disk.path(leftover)))?,
            }
        }
        write_whole(&*disk, RECORD, &bytes, Readers::Usual).map_err(io("create", &path))?;
        let mark = Mark { site, entries: 1 };
        mark.keep(&*disk, MARK).map_err(io("create", &disk.path(MARK)))?;
        let index = Index::read(&*disk, INDEX, site).map_err(io("read", &disk.path(INDEX)))?;
        let lock = Some(lock);
        let size = end.offset;
        Ok(Self { disk, path, site, end, index, size, untidy: false, dropped: None, problems: Vec::new(), lock })
    }

    /// Opens the store and finds its end, from the index where there is one. What is damaged before its last few
    /// entries is found when it is read, or by [`Store::check`].
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self, SiteDirError> {
        let lock = take_lock(&*disk)?;
        let mut store = Self::find(disk, Some(lock))?;
        store.index.write(&*store.disk, INDEX).unwrap_or_else(|e| store.passed_over(INDEX, &e));
        let mark = Mark { site: store.site, entries: store.end.entry };
        if store.problems.is_empty() {
            mark.keep(&*store.disk, MARK).unwrap_or_else(|e| store.passed_over(MARK, &e));
        }
        Ok(store)
    }

    /// Opens the store to look at it, also while another process has it: writes nothing, and takes no entries. What is
    /// being written meanwhile is passed over as a torn commit would be.
    pub fn open_to_read(disk: Arc<dyn Disk>) -> Result<Self, SiteDirError> {
        Self::find(disk, None)
    }

    fn find(disk: Arc<dyn Disk>, lock: Option<Lock>) -> Result<Self, SiteDirError> {
        let path = disk.path(RECORD);
        let mark = Mark::read(&*disk, MARK).map_err(io("read", &disk.path(MARK)))?;
        let (site, header) = read_header(&*disk, mark)?;
        let mark = mark.filter(|mark| mark.site == site);
        let index = Index::read(&*disk, INDEX, site).map_err(io("read", &disk.path(INDEX)))?;
        let end = Place::start(site);
        let (size, untidy) = (end.offset, false);
        let mut store = Self { disk, path, site, end, index, size, untidy, dropped: None, problems: Vec::new(), lock };
        // What is read from now on may be handed out; a process that was killed may not have waited for its sync.
        if store.lock.is_some() {
            store.disk.sync(RECORD).map_err(io("sync", &store.path))?;
        }
        store.find_end(mark.map_or(0, |mark| mark.entries))?;
        store.problems.extend(header);
        Ok(store)
    }

    /// The site it belongs to.
    pub fn site(&self) -> SiteId {
        self.site
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many entries it has, with those that are damaged.
    pub fn entries(&self) -> u64 {
        self.end.entry
    }

    /// What a crash tore off the end, if anything was found when the store was opened.
    pub fn dropped(&self) -> Option<&Dropped> {
        self.dropped.as_ref()
    }

    /// What is known to be damaged. While there is anything, nothing is appended.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Says that as many entries were acknowledged: if fewer are here, that is damage and not a torn commit.
    pub fn expect_entries(&mut self, entries: u64) {
        if self.end.entry < entries {
            let end = self.dropped.take().map_or(self.end.offset, |dropped| dropped.bytes.end);
            self.problems.push(self.damage(self.end.entry..entries, self.end.offset..end));
            self.end = Place { entry: entries, offset: end, before: None };
        }
    }

    /// Writes entries `first`, `first + 1`, … and returns when they are on the disk. After an error none of them is
    /// in the record, and the same call may succeed later: when there is space again, for instance.
    ///
    /// # Panics
    /// If `first` is not the number of entries held: a gap or an overwritten entry must never come to be. And if the
    /// store was opened to be looked at only.
    pub fn append(&mut self, first: u64, entries: &[Vec<u8>]) -> Result<(), SiteDirError> {
        if let Some(problem) = self.problems.first() {
            return Err(SiteDirError::ReadOnly(problem.clone()));
        }
        assert_eq!(self.end.entry, first, "entries are stored without gaps and never twice");
        assert!(self.lock.is_some(), "a store that is only looked at takes no entries");
        let (mut bytes, mut end) = (Vec::new(), self.end);
        let mut places = Vec::with_capacity(entries.len());
        for (number, entry) in entries.iter().enumerate() {
            if entry.len() > limits::STORED_ENTRY_BYTES {
                return Err(SiteDirError::EntryTooLarge { bytes: entry.len(), most: limits::STORED_ENTRY_BYTES });
            }
            places.push(end);
            push(&mut bytes, &mut end, number == 0, entry);
        }
        self.tidy()?;
        let written = self.disk.write(RECORD, self.end.offset, &bytes).and_then(|()| {
            self.make_room(end.offset);
            self.disk.sync(RECORD)
        });
        if let Err(error) = written {
            self.untidy = true;
            // Where this fails too, the next call tries again; the first reason is the one to tell.
            let _ = self.tidy();
            return Err(io("write", &self.path)(error));
        }
        self.end = end;
        places.into_iter().for_each(|place| self.index.learn(place));
        // Both only save time and doubt after a crash; the commit is durable without them.
        let mark = Mark { site: self.site, entries: end.entry };
        mark.note(&*self.disk, MARK).unwrap_or_else(|e| self.passed_over(MARK, &e));
        self.index.write(&*self.disk, INDEX).unwrap_or_else(|e| self.passed_over(INDEX, &e));
        Ok(())
    }

    /// Entries from `first` on, in order, about [`limits::READ_BYTES`] of them; they end before one that is damaged,
    /// and at the end. A damaged one that is asked for first is an error.
    pub fn read(&self, first: u64) -> Result<Vec<Vec<u8>>, SiteDirError> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        if first >= self.end.entry {
            return Ok(entries);
        }
        let mut walk = self.walk_from(first);
        loop {
            let place = walk.place();
            match walk.step().map_err(io("read", &self.path))? {
                Step::Frame { .. } if place.entry < first => continue,
                Step::Frame { entry, .. } => {
                    bytes += entry.len();
                    entries.push(entry.to_vec());
                }
                Step::End | Step::Bad if !entries.is_empty() => break,
                Step::End | Step::Bad => {
                    let found = walk.skip().map_err(io("read", &self.path))?;
                    let after = if found { walk.place() } else { self.end };
                    if after.entry > first {
                        return Err(SiteDirError::ReadOnly(
                            self.damage(place.entry..after.entry, place.offset..after.offset),
                        ));
                    }
                }
            }
            if bytes >= limits::READ_BYTES || entries.len() == limits::BATCH_ENTRIES {
                break;
            }
        }
        Ok(entries)
    }

    /// Reads everything, and says what of it is damaged; from then on [`Store::problems`] says so too.
    pub fn check(&mut self) -> Result<&[Problem], SiteDirError> {
        let mut problems: Vec<Problem> =
            self.problems.iter().filter(|p| matches!(p, Problem::Header { .. })).cloned().collect();
        self.walk_all(&BTreeMap::new(), |_, _, _| {}, |damage| problems.push(damage))?;
        self.problems = problems;
        Ok(&self.problems)
    }

    /// Shows every entry in order: the copy where there is one, else what is stored. Damage without a copy is left out.
    pub fn each(&self, copies: &BTreeMap<u64, Vec<u8>>, mut see: impl FnMut(u64, &[u8])) -> Result<(), SiteDirError> {
        self.walk_all(copies, |index, entry, _| see(index, entry), |_| {})
    }

    /// Writes the file anew with these copies in place of what it had. After a crash either the old file is there or
    /// the new one.
    ///
    /// # Panics
    /// If an entry is damaged and there is no copy of it.
    pub fn rewrite(&mut self, copies: &BTreeMap<u64, Vec<u8>>) -> Result<(), SiteDirError> {
        let disk = self.disk.clone();
        let failed = |what| io(what, &disk.path(RECORD_NEW));
        disk.create(RECORD_NEW, Readers::Usual).map_err(failed("create"))?;
        let (mut bytes, mut end) = (FileHeader { format: FORMAT, site: self.site }.encode(), Place::start(self.site));
        let (mut at, mut written) = (0, Ok(()));
        let mut flush = |bytes: &mut Vec<u8>| {
            if written.is_ok() {
                written = disk.write(RECORD_NEW, at, bytes);
                at += bytes.len() as u64;
            }
            bytes.clear();
        };
        let entry_is_next = "every damaged entry has a copy";
        let frame = |index, entry: &[u8], begins| {
            assert_eq!(index, end.entry, "{entry_is_next}");
            push(&mut bytes, &mut end, begins, entry);
            if bytes.len() >= limits::WINDOW_BYTES {
                flush(&mut bytes);
            }
        };
        self.walk_all(copies, frame, |_| {})?;
        flush(&mut bytes);
        assert_eq!(end.entry, self.end.entry, "{entry_is_next}");
        written.map_err(failed("write"))?;
        disk.sync(RECORD_NEW).map_err(failed("write"))?;
        // An index of the old file would not fit the new one.
        self.index.clear();
        match disk.remove(INDEX) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            other => other.map_err(io("remove", &disk.path(INDEX)))?,
        }
        disk.sync_folder("").map_err(io("sync", &disk.path("")))?;
        disk.rename(RECORD_NEW, RECORD).map_err(failed("rename"))?;
        disk.sync_folder(folder_of(RECORD)).map_err(io("sync", &disk.path("")))?;
        self.problems.clear();
        self.untidy = false;
        self.dropped = None;
        self.end = Place::start(self.site);
        self.find_end(end.entry)
    }

    /// Keeps a small file durably: when this returns it is on the disk whole; a crash leaves the old one or this.
    pub fn put_small(&self, name: &str, bytes: &[u8]) -> Result<(), SiteDirError> {
        assert!(bytes.len() <= limits::SMALL_BYTES, "a small file is small");
        write_whole(&*self.disk, name, bytes, Readers::Usual).map_err(io("write", &self.disk.path(name)))
    }

    /// A small file that was kept; none when there is none.
    pub fn small(&self, name: &str) -> Result<Option<Vec<u8>>, SiteDirError> {
        let path = self.disk.path(name);
        let size = match self.disk.size(name) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(io("read", &path))?,
        };
        if size > limits::SMALL_BYTES as u64 {
            return Err(io("read", &path)(std::io::ErrorKind::FileTooLarge.into()));
        }
        read_whole(&*self.disk, name).map_err(io("read", &path))
    }

    /// Makes the file longer where what was written reaches its end. That only saves time: on a full disk it grows commit
    /// by commit.
    fn make_room(&mut self, written: u64) {
        if written <= self.size {
            return;
        }
        self.size = written;
        let (least, most) = limits::ROOM_BYTES;
        let zeros = vec![0; (written / 4).clamp(least, most) as usize];
        match self.disk.write(RECORD, written, &zeros) {
            Ok(()) => self.size += zeros.len() as u64,
            Err(e) => self.passed_over(RECORD, &e),
        }
    }

    /// Cuts what lies behind the last entry.
    fn tidy(&mut self) -> Result<(), SiteDirError> {
        if self.untidy {
            self.disk.truncate(RECORD, self.end.offset).map_err(io("write", &self.path))?;
            self.size = self.end.offset;
            self.untidy = false;
        }
        Ok(())
    }

    fn passed_over(&self, name: &str, error: &std::io::Error) {
        tracing::debug!("{} could not be written: {error}", self.disk.path(name).display());
    }

    fn damage(&self, entries: Range<u64>, bytes: Range<u64>) -> Problem {
        Problem::Damaged { path: self.path.clone(), entries, bytes }
    }

    fn walk_from(&self, entry: u64) -> Walk<'_> {
        let place = self.index.at(entry).unwrap_or_else(|| Place::start(self.site));
        Walk::new(&*self.disk, RECORD, place, self.end.offset)
    }

    /// Along the whole file: each entry with whether a commit begins there, and each damage.
    fn walk_all(
        &self,
        copies: &BTreeMap<u64, Vec<u8>>,
        mut see: impl FnMut(u64, &[u8], bool),
        mut damaged: impl FnMut(Problem),
    ) -> Result<(), SiteDirError> {
        let mut walk = Walk::new(&*self.disk, RECORD, Place::start(self.site), self.end.offset);
        loop {
            let place = walk.place();
            match walk.step().map_err(io("read", &self.path))? {
                Step::Frame { entry, begins } => {
                    see(place.entry, copies.get(&place.entry).map_or(entry, Vec::as_slice), begins);
                    continue;
                }
                Step::End if place.entry == self.end.entry => return Ok(()),
                Step::End | Step::Bad => {}
            }
            let found = walk.skip().map_err(io("read", &self.path))?;
            let after = if found { walk.place() } else { self.end };
            damaged(self.damage(place.entry..after.entry, place.offset..after.offset));
            // A range of the copies, not of what is lost: how much that is may be a forged mark's word.
            copies.range(place.entry..after.entry).for_each(|(index, copy)| see(*index, copy, true));
            if !found {
                return Ok(());
            }
        }
    }

    /// Walks from the last point of the index to the end, which is where the file ends or where a crash tore it.
    fn find_end(&mut self, acknowledged: u64) -> Result<(), SiteDirError> {
        let size = self.disk.size(RECORD).map_err(io("read", &self.path))?;
        let filled = filled(&*self.disk, size).map_err(io("read", &self.path))?;
        self.size = size;
        self.index.cut(size);
        let disk = self.disk.clone();
        let known = self.index.at(u64::MAX);
        if let Some(point) = known {
            let mut walk = Walk::new(&*disk, RECORD, point, size);
            if !matches!(walk.step().map_err(io("read", &self.path))?, Step::Frame { .. }) {
                // Either the index is wrong or the store is damaged there: the whole of it will tell.
                self.index.clear();
                return self.find_end(acknowledged);
            }
        }
        let start = known.unwrap_or_else(|| Place::start(self.site));
        let mut walk = Walk::new(&*disk, RECORD, start, size);
        loop {
            let place = walk.place();
            if place.offset >= filled {
                self.end = place;
                break;
            }
            match walk.step().map_err(io("read", &self.path))? {
                Step::Frame { .. } => self.index.learn(place),
                Step::End => unreachable!("the file's end is not before the last byte that is no zero"),
                Step::Bad => {
                    let torn = place.entry >= acknowledged && !commit_begins(&*disk, place, size, &self.path)?;
                    if torn {
                        self.dropped = Some(Dropped { entry: place.entry, bytes: place.offset..filled });
                        self.untidy = true;
                        self.end = place;
                        break;
                    }
                    let found = walk.skip().map_err(io("read", &self.path))?;
                    let lost = Place { entry: acknowledged.max(place.entry + 1), offset: filled, before: None };
                    let after = if found { walk.place() } else { lost };
                    self.problems.push(self.damage(place.entry..after.entry, place.offset..after.offset));
                    if !found {
                        self.end = after;
                        break;
                    }
                }
            }
        }
        self.expect_entries(acknowledged);
        Ok(())
    }
}

/// Where the zeros at the end of a file of this length begin; an entry may end with some of them.
fn filled(disk: &dyn Disk, size: u64) -> std::io::Result<u64> {
    let mut end = size;
    while end > 0 {
        let begin = end.saturating_sub(limits::WINDOW_BYTES as u64);
        let bytes = disk.read(RECORD, begin, (end - begin) as usize)?;
        if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
            return Ok(begin + last as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// Whether a later commit begins somewhere behind this bad place, which then was durable before that.
fn commit_begins(disk: &dyn Disk, bad: Place, size: u64, path: &Path) -> Result<bool, SiteDirError> {
    let mut walk = Walk::new(disk, RECORD, bad, size);
    while walk.skip().map_err(io("read", path))? {
        loop {
            match walk.step().map_err(io("read", path))? {
                Step::Frame { begins: true, .. } => return Ok(true),
                Step::Frame { .. } => {}
                Step::End => return Ok(false),
                Step::Bad => break,
            }
        }
    }
    Ok(false)
}

/// The site, and what is wrong with the header when the mark must stand in for it.
fn read_header(disk: &dyn Disk, mark: Option<Mark>) -> Result<(SiteId, Option<Problem>), SiteDirError> {
    let path = disk.path(RECORD);
    let bytes = disk.read(RECORD, 0, FILE_HEADER as usize).map_err(io("open", &path))?;
    match (FileHeader::decode(&bytes), mark) {
        (Some(FileHeader { format: FORMAT, site }), _) => Ok((site, None)),
        (Some(FileHeader { format, .. }), _) => {
            Err(SiteDirError::Newer { path: disk.path(""), found: format, known: FORMAT })
        }
        (None, Some(mark)) => Ok((mark.site, Some(Problem::Header { path, bytes: FILE_HEADER }))),
        (None, None) => Err(SiteDirError::NoRecord(path)),
    }
}

fn take_lock(disk: &dyn Disk) -> Result<Lock, SiteDirError> {
    disk.lock(LOCK).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => SiteDirError::InUse(disk.path("")),
        _ => io("lock", &disk.path(LOCK))(error),
    })
}
