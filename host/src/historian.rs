//! The historian: every sample on disk, as open files that any analyst reads, and what was in force at any instant.
//!
//! Samples go into a journal (fsynced about once a second) and into memory; when a segment is old or large enough it is
//! closed and a thread of its own writes it as a Parquet file, a blob named by its hash. [`Historian::poll_seal`] gives it
//! out as [`Sealed`], which the host writes into the record and then confirms; until it does, the segment is given out
//! again after every start ([`Historian::unconfirmed`]), so that a crash in between neither loses nor doubles it: a segment
//! has a number and a hash that stay the same.
//!
//! ```
//! use gemba_host::blobs::Blobs;
//! use gemba_host::historian::{Historian, HistorianConfig, verify_segment};
//! use gemba_net::TagSample;
//! use gemba_twin::path::TagId;
//! use gemba_twin::peer::PeerKey;
//! use gemba_twin::sample::{Quality, Sample, Timestamp, Value};
//!
//! let dir = tempfile::tempdir()?;
//! let blobs = Blobs::open(dir.path().join("blobs"))?;
//! let at = Timestamp::from_secs;
//! let mut historian = Historian::open(&dir.path().join("history"), blobs.clone(), HistorianConfig::default(), at(100))?;
//!
//! let level = TagId(7);
//! historian.declare(level, &"Hall1/Line1/Tank1/Level".parse()?, PeerKey([1; 32]));
//! let sample = |secs, level| Sample {
//!     value: Some(Value::Float(level)),
//!     quality: Quality::Good,
//!     source_time: at(secs),
//!     server_time: at(secs),
//! };
//! historian.append(&[TagSample { tag: level, sample: sample(101, 40.5) }], at(101))?;
//! historian.append(&[TagSample { tag: level, sample: sample(160, 41.0) }], at(160))?;
//!
//! // Here at once; a host calls `poll_seal` several times a second instead.
//! let sealed = historian.seal(at(200))?.remove(0);
//! let bytes = blobs.read(&sealed.blob.0)?.ok_or("a sealed segment is kept")?;
//! assert_eq!(verify_segment(&bytes, sealed.blob, &sealed.devices), Ok(2));
//! historian.confirm(&sealed)?;
//!
//! let then = historian.recall(Some(&[level]), at(130), at(200), 100);
//! assert_eq!(then.tags[0].in_force, Some(sample(101, 40.5)));
//! assert_eq!(then.tags[0].samples, [sample(160, 41.0)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A segment, for an analyst
//!
//! A Parquet file sorted by tag, then source time, zstd inside:
//!
//! | column | type | |
//! |---|---|---|
//! | `tag` | string, dictionary | the tag's full path |
//! | `source_time` | timestamp µs, UTC | when the device says it was so |
//! | `server_time` | timestamp µs, UTC | when the gateway received it |
//! | `value` | double | the number; 0 or 1 of a switch; null for texts and where there was none |
//! | `quality` | string, dictionary | `good`, `uncertain`, `bad` |
//! | `integer` | int64 | the exact integer, only where `value` cannot hold it (beyond 2^53) |
//! | `text` | string | the text, of tags that have texts |
//! | `device` | string, dictionary | public key of the device or gateway that measured it |
//! | `kind` | string, dictionary | `bool`, `int`, `float`, `text`; null where there was no value |
//!
//! Nothing is lost in these columns: a sample read back is the one that was taken, to the last bit. Its key-value metadata
//! name the segment's number and span (`gemba.segment`, `gemba.from`, `gemba.to`, microseconds). How to check it against
//! the record is told in [`proof`].
//!
//! # Time
//!
//! Time travel places a sample at its source time, unless that lies after its server time or more than a day before
//! ([`limits::LATE_MICROS`]): such a clock is wrong, and the sample stands at its server time. The file keeps both as told.
//!
//! Left out: coarser copies of old data, so that a chart of all tags over days reads all of it; a chart of a few does not.

mod catalogue;
mod frames;
#[doc(hidden)]
pub mod hostile;
mod journal;
mod open_segment;
mod problem;
pub mod proof;
mod recall;
mod retention;
mod sealed;
mod sealer;
mod segment;
mod shelf;
mod tag_table;
mod thinning;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gemba_net::TagSample;
use gemba_twin::path::{TagId, TagPath};
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::{Quality, Timestamp, Value};

use self::catalogue::{Catalogue, Kept, start_path};
use self::frames::FrameFile;
use self::open_segment::{OpenSegment, StartTable};
use self::recall::StoredSegment;
use self::sealer::Sealer;
use self::tag_table::TagTable;
use crate::blobs::Blobs;
use crate::limits;
use crate::problem::io;

pub use self::problem::{HistorianError, HistorianProblem};
pub use self::proof::{Unproven, verify_segment};
pub use self::recall::{DamagedSegment, History, Recall, Span, TagHistory};
pub use self::sealed::Sealed;
pub use gemba_record::segment::DeviceRoot;

/// How long segments are and how long they stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistorianConfig {
    /// A segment is closed when it is this old, or full before ([`limits::SEGMENT_SAMPLES`]).
    pub segment_length: Duration,
    /// Segments that ended longer ago are to go; none keeps them whatever their age.
    pub keep_age: Option<Duration>,
    /// The oldest are to go while all together take more bytes than this.
    pub keep_bytes: u64,
}

impl Default for HistorianConfig {
    /// Segments of five minutes: few enough for the record, and an instant is found by reading one. 90 days and 50 GB:
    /// 1,000 tags of the simulated plant take some 440 MB a day.
    fn default() -> Self {
        Self {
            segment_length: Duration::from_secs(300),
            keep_age: Some(Duration::from_secs(90 * 24 * 3600)),
            keep_bytes: 50_000_000_000,
        }
    }
}

/// What the historian counts since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HistorianStats {
    /// Samples taken.
    pub taken: u64,
    /// Samples of tags that nobody declared; they are not taken.
    pub undeclared: u64,
    /// Texts over [`gemba_twin::limits::TEXT_BYTES`], cut to it and no longer good.
    pub cut_texts: u64,
    /// Times the clock went back so far that a new segment was begun.
    pub clock_set_back: u64,
}

/// The history of a site's tags in one directory.
pub struct Historian {
    dir: PathBuf,
    blobs: Blobs,
    config: HistorianConfig,
    catalogue: Catalogue,
    tags: TagTable,
    open: OpenSegment,
    /// The journal of `open`.
    journal: FrameFile,
    /// Places in `open` of tags that its journal knows, by tag number.
    places: Vec<Option<(usize, u32)>>,
    /// Closed and not yet in the catalogue, oldest first.
    closed: VecDeque<Arc<OpenSegment>>,
    sealer: Sealer,
    /// Before then a segment that could not be written is not tried again.
    retry_at: Option<Timestamp>,
    now: Timestamp,
    synced_at: Timestamp,
    /// The journal could not be made durable: the segment has to be, soon.
    is_unsafe: bool,
    sealed: Vec<Sealed>,
    stats: HistorianStats,
    problems: Vec<HistorianProblem>,
}

impl Historian {
    /// Opens or begins a history. What a crash left in journals is sealed first of all.
    pub fn open(dir: &Path, blobs: Blobs, config: HistorianConfig, now: Timestamp) -> Result<Self, HistorianError> {
        std::fs::create_dir_all(dir).map_err(io("create", dir))?;
        let (catalogue, lost) = Catalogue::open(dir)?;
        let mut problems = Vec::new();
        if lost > 0 {
            problems.push(HistorianProblem::DamagedCatalogue(lost));
        }
        let mended = shelf::mend(dir, &blobs, catalogue.kept.iter().map(|(kept, _)| &kept.sealed));
        problems.extend(mended.err().map(|error| HistorianProblem::NoNames(error.to_string())));
        let left = journal::left(dir, catalogue.next_number, &mut problems)?;
        let number = left.last().map_or(catalogue.next_number, |last| last.number + 1);
        let mut historian = Self {
            journal: journal::begin(dir, number, now)?,
            sealer: Sealer::start(dir.to_owned(), blobs.clone())?,
            open: OpenSegment::new(number, now, Arc::default()),
            dir: dir.to_owned(),
            blobs,
            config,
            catalogue,
            tags: TagTable::default(),
            places: Vec::new(),
            closed: VecDeque::new(),
            retry_at: None,
            now,
            synced_at: now,
            is_unsafe: false,
            sealed: Vec::new(),
            stats: HistorianStats::default(),
            problems,
        };
        for mut segment in left {
            segment.start = Arc::new(historian.table_from_disk(segment.from.0));
            historian.closed.push_back(Arc::new(segment));
        }
        historian.open.start = Arc::new(historian.table_from_disk(now.0));
        historian.start_sealing();
        Ok(historian)
    }

    /// Tells what a tag number stands for and who measures it. Without that its samples are not taken. Telling another
    /// path keeps the history under the old one; false for a number beyond [`gemba_twin::limits::TAGS`].
    pub fn declare(&mut self, tag: TagId, path: &TagPath, device: PeerKey) -> bool {
        if tag.0 as usize >= gemba_twin::limits::TAGS {
            return false;
        }
        if self.tags.declare(tag, path, device)
            && let Some(place) = self.places.get_mut(tag.0 as usize)
        {
            *place = None;
        }
        true
    }

    /// Nothing was measured until now: what lies between this and the opening is a gap, and whatever was in force before
    /// is known again from now on. Changes nothing once the history speaks for some time.
    pub fn begin_at(&mut self, now: Timestamp) -> Result<(), HistorianError> {
        if self.open.samples > 0 || self.open.to > self.open.from || now <= self.open.from {
            return Ok(());
        }
        let start = self.table_at(now.0);
        let number = self.open.number + 1;
        let journal = journal::begin(&self.dir, number, now)?;
        let unused = std::mem::replace(&mut self.journal, journal);
        self.open = OpenSegment::new(number, now, Arc::new(start));
        self.places.clear();
        (self.now, self.synced_at) = (now, now);
        // It holds nothing; left behind, it goes when the historian opens.
        remove(&unused.path)
    }

    /// From when until when there is history, gaps and all; none when there is nothing.
    pub fn reach(&self) -> Option<(Timestamp, Timestamp)> {
        let kept = self.catalogue.kept.iter().map(|(kept, _)| kept.span());
        let closed = self.closed.iter().map(|segment| (segment.from, segment.to));
        let open = Some((self.open.from, self.open.to)).filter(|(from, to)| self.open.samples > 0 || to > from);
        kept.chain(closed).chain(open).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Takes samples, all or, with an error, none. They are in the journal when this returns, and durable about a second
    /// later, or after [`Self::sync`]. Waits only while more segments wait for the disk than memory has room for.
    pub fn append(&mut self, samples: &[TagSample], now: Timestamp) -> Result<(), HistorianError> {
        if samples.len() > limits::APPEND_SAMPLES {
            return Err(HistorianError::TooMany(samples.len()));
        }
        self.advance(now)?;
        if self.open.is_full() {
            self.make_room()?;
            self.close()?;
        }
        let kept: Vec<TagSample>;
        let mut samples = samples;
        if !samples.iter().all(|sample| self.is_takeable(sample)) {
            kept = samples.iter().filter_map(|sample| self.takeable(sample)).collect();
            samples = &kept;
        }
        self.write(samples)?;
        self.stats.taken += samples.len() as u64;
        if self.open.is_full() && self.closed.len() < limits::WAITING_SEGMENTS {
            self.close()?;
        }
        Ok(())
    }

    /// Makes all that was taken durable now.
    pub fn sync(&mut self) -> Result<(), HistorianError> {
        let synced = self.journal.sync();
        // The system may have forgotten what it could not write, and would say so only once: write it another way.
        self.is_unsafe |= synced.is_err();
        self.synced_at = self.now;
        Ok(synced?)
    }

    /// To be called several times a second, whether samples come or not: keeps the journal durable, closes the segment
    /// when it is due, and gives out what has been sealed.
    pub fn poll_seal(&mut self, now: Timestamp) -> Result<Vec<Sealed>, HistorianError> {
        let advanced = self.advance(now);
        while let Some(result) = self.sealer.poll(false) {
            self.finish_sealing(result)?;
        }
        self.start_sealing();
        advanced?;
        Ok(std::mem::take(&mut self.sealed))
    }

    /// Closes the segment if it holds anything, waits until all are on the disk, and gives them out.
    pub fn seal(&mut self, now: Timestamp) -> Result<Vec<Sealed>, HistorianError> {
        self.advance(now)?;
        if self.open.samples > 0 {
            self.close()?;
        }
        self.retry_at = None;
        while !self.closed.is_empty() {
            self.start_sealing();
            let result = self.sealer.poll(true).unwrap_or(Err(HistorianError::Stopped));
            self.finish_sealing(result)?;
        }
        Ok(std::mem::take(&mut self.sealed))
    }

    /// What was in force at `from` and up to `points` samples after it and up to `to`, of these tags or of all that are
    /// declared. Reads files; [`Self::begin_recall`] lets another thread do that.
    pub fn recall(&self, tags: Option<&[TagId]>, from: Timestamp, to: Timestamp, points: usize) -> History {
        self.begin_recall(tags, from, to, points).finish()
    }

    /// Takes from memory what a recall needs; [`Recall::finish`] reads the rest, on any thread. `points` is lowered where
    /// all tags together would go beyond [`limits::RECALL_SAMPLES`].
    pub fn begin_recall(&self, tags: Option<&[TagId]>, from: Timestamp, to: Timestamp, points: usize) -> Recall {
        let known: Vec<(Arc<str>, TagId)> = self.tags.paths().map(|(path, tag)| (path.clone(), tag)).collect();
        let recall = Recall::new(known, tags, (from, to.max(from)), points);
        self.take_sources(recall)
    }

    /// What has gone wrong since this was last asked.
    pub fn take_problems(&mut self) -> Vec<HistorianProblem> {
        std::mem::take(&mut self.problems)
    }

    /// What has been counted.
    pub fn stats(&self) -> HistorianStats {
        self.stats
    }

    fn take_sources(&self, mut recall: Recall) -> Recall {
        for (kept, _) in &self.catalogue.kept {
            recall.take_file(self.stored(kept));
        }
        self.closed.iter().for_each(|segment| recall.take_memory(segment));
        recall.take_memory(&self.open);
        recall
    }

    fn stored(&self, kept: &Kept) -> StoredSegment {
        StoredSegment {
            path: self.blobs.path(&kept.sealed.blob.0),
            start_path: start_path(&self.dir, kept.sealed.number),
            kept: kept.clone(),
        }
    }

    /// The clock moves on: journal and segment follow.
    fn advance(&mut self, now: Timestamp) -> Result<(), HistorianError> {
        if self.now.micros_since(now) > limits::CLOCK_BACK_MICROS {
            self.stats.clock_set_back += 1;
            self.close_for(now)?;
            (self.now, self.synced_at) = (now, now);
            self.retry_at = None;
        }
        self.now = self.now.max(now);
        self.open.to = self.now;
        let length = i64::try_from(self.config.segment_length.as_micros()).unwrap_or(i64::MAX);
        let age = self.now.micros_since(self.open.from);
        let has_something = self.open.samples > 0 || age >= limits::QUIET_SEGMENT_MICROS;
        if has_something && (self.is_unsafe || age >= length) && self.closed.len() < limits::WAITING_SEGMENTS {
            return self.close();
        }
        if self.now.micros_since(self.synced_at) >= limits::JOURNAL_SYNC_MICROS {
            let mut frame = Vec::new();
            journal::put_now(self.now, &mut frame);
            self.journal.append(&frame)?;
            self.sync()?;
        }
        Ok(())
    }

    fn is_takeable(&self, TagSample { tag, sample }: &TagSample) -> bool {
        let fits = !matches!(&sample.value, Some(Value::Text(text)) if text.len() > gemba_twin::limits::TEXT_BYTES);
        fits && self.tags.owner(*tag).is_some()
    }

    /// The sample as it can be taken, and why not.
    fn takeable(&mut self, sample: &TagSample) -> Option<TagSample> {
        if self.tags.owner(sample.tag).is_none() {
            self.stats.undeclared += 1;
            return None;
        }
        let mut sample = sample.clone();
        if let Some(Value::Text(text)) = &mut sample.sample.value
            && text.len() > gemba_twin::limits::TEXT_BYTES
        {
            text.truncate(text.floor_char_boundary(gemba_twin::limits::TEXT_BYTES));
            sample.sample.quality = sample.sample.quality.max(Quality::Uncertain);
            self.stats.cut_texts += 1;
        }
        Some(sample)
    }

    /// Puts samples of declared tags into the journal, then into memory.
    fn write(&mut self, samples: &[TagSample]) -> Result<(), HistorianError> {
        let mut frames = Vec::new();
        let mut new: Vec<TagId> = Vec::new();
        for tag in samples.iter().map(|sample| sample.tag) {
            if self.places.get(tag.0 as usize).copied().flatten().is_none() {
                new.push(tag);
            }
        }
        new.sort_unstable();
        new.dedup();
        let owners: Vec<_> = new.iter().filter_map(|tag| Some((*tag, self.tags.owner(*tag)?))).collect();
        owners.iter().for_each(|(tag, owner)| journal::put_tag(*tag, owner, &mut frames));
        // So far history reaches after a crash.
        journal::put_now(self.now, &mut frames);
        journal::put_samples(samples, &mut frames);
        self.journal.append(&frames)?;
        for (tag, owner) in owners {
            let at = tag.0 as usize;
            if self.places.len() <= at {
                self.places.resize(at + 1, None);
            }
            self.places[at] = Some(self.open.place(owner));
        }
        let place = |tag: TagId| self.places[tag.0 as usize].expect("each tag got its place above");
        for batch in samples.chunks(gemba_net::limits::BATCH_SAMPLES) {
            // In the journal's order, so that a replay comes to the same bytes.
            let mut order: Vec<&TagSample> = batch.iter().collect();
            order.sort_by_key(|sample| sample.tag);
            order.iter().for_each(|TagSample { tag, sample }| self.open.push(place(*tag), sample));
        }
        Ok(())
    }

    /// Waits for the disk while it works; refuses when it does not.
    fn make_room(&mut self) -> Result<(), HistorianError> {
        self.start_sealing();
        while self.closed.len() >= limits::WAITING_SEGMENTS {
            let Some(result) = self.sealer.poll(true) else { return Err(HistorianError::Behind(self.closed.len())) };
            self.finish_sealing(result)?;
            self.start_sealing();
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), HistorianError> {
        self.close_for(self.now)
    }

    /// Closes the open segment and begins another at `next`. With an error the old one stays open.
    fn close_for(&mut self, next: Timestamp) -> Result<(), HistorianError> {
        let start = self.table_at(next.0);
        let number = self.open.number + 1;
        let journal = journal::begin(&self.dir, number, next)?;
        let mut frame = Vec::new();
        journal::put_closed(self.open.to, &mut frame);
        self.journal.append(&frame)?;
        self.sync()?;
        self.journal = journal;
        self.is_unsafe = false;
        self.places.clear();
        let closed = std::mem::replace(&mut self.open, OpenSegment::new(number, next, Arc::new(start)));
        self.closed.push_back(Arc::new(closed));
        self.start_sealing();
        Ok(())
    }

    /// What is in force at `time`, the beginning of the segment after the open one.
    fn table_at(&mut self, time: i64) -> StartTable {
        let from = self.open.from.0;
        let is_ahead = |axis: Option<(i64, i64)>| axis.is_some_and(|(_, last)| last > from);
        let any_ahead = self.catalogue.kept.iter().any(|(kept, _)| is_ahead(kept.axis))
            || self.closed.iter().any(|segment| is_ahead(segment.axis));
        if time >= from && !any_ahead {
            return self.open.table_at(time);
        }
        let (table, damaged) = self.take_sources(Recall::table(time)).finish_table();
        self.note(damaged);
        table
    }

    /// What is in force at `time` as far as files and closed segments tell.
    fn table_from_disk(&mut self, time: i64) -> StartTable {
        let mut recall = Recall::table(time);
        for (kept, _) in &self.catalogue.kept {
            recall.take_file(self.stored(kept));
        }
        self.closed.iter().for_each(|segment| recall.take_memory(segment));
        let (table, damaged) = recall.finish_table();
        self.note(damaged);
        table
    }

    /// Keeps what is wrong until it is asked for, each once: there are at most as many as segments.
    fn note(&mut self, damaged: Vec<DamagedSegment>) {
        for damaged in damaged.into_iter().map(HistorianProblem::Damaged) {
            if !self.problems.contains(&damaged) {
                self.problems.push(damaged);
            }
        }
    }

    fn start_sealing(&mut self) {
        if self.sealer.is_busy || self.retry_at.is_some_and(|at| self.now < at) {
            return;
        }
        if let Some(segment) = self.closed.front() {
            self.sealer.give(segment.clone());
        }
    }

    fn finish_sealing(&mut self, result: Result<Kept, HistorianError>) -> Result<(), HistorianError> {
        let added = result.and_then(|kept| {
            let sealed = kept.sealed.clone();
            self.catalogue.add(kept)?;
            Ok(sealed)
        });
        match added {
            Ok(sealed) => {
                self.retry_at = None;
                self.closed.pop_front();
                let named = shelf::put(&self.dir, &self.blobs, &sealed);
                self.problems.extend(named.err().map(|error| HistorianProblem::NoNames(error.to_string())));
                let journal = journal::path(&self.dir, sealed.number);
                self.sealed.push(sealed);
                // One that cannot be deleted goes when the historian opens.
                remove(&journal)
            }
            Err(why) => {
                self.retry_at = Some(self.now.plus_micros(limits::SEAL_RETRY_MICROS));
                Err(why)
            }
        }
    }
}

fn remove(path: &Path) -> Result<(), HistorianError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io("delete", path)(e).into()),
        _ => Ok(()),
    }
}
