//! What was in force at an instant and what came after it, from segments on disk and in memory. Begun where the historian
//! is, finished on any thread: the files are read there.
//!
//! A segment's start table holds what was in force when it began. So an instant needs one start table and the rows of
//! the segments from there on that reach back to it; others only where clocks were set back or samples came late.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use gemba_net::BlobHash;
use gemba_twin::path::TagId;
use gemba_twin::sample::{Sample, Timestamp};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::catalogue::Kept;
use super::open_segment::{OpenSegment, StartTable, axis};
use super::segment::{Columns, RowBatch, RunAt, SegmentFile, damaged, decode_start, guarded};
use super::thinning::{Placed, Thinning};
use crate::limits;

/// A stretch of time, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

/// What the historian knows of some tags in some time.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// One for each tag that was asked for, in that order; when all were, by number.
    pub tags: Vec<TagHistory>,
    /// When there is history at all, within what was asked; outside of it nothing is known, whatever was in force before.
    pub coverage: Vec<Span>,
    /// Segments that are missing here because they cannot be read.
    pub damaged: Vec<DamagedSegment>,
}

/// What the historian knows of one tag.
#[derive(Debug, Clone, PartialEq)]
pub struct TagHistory {
    /// The tag.
    pub tag: TagId,
    /// The newest sample not after the beginning, however old.
    pub in_force: Option<Sample>,
    /// Samples after the beginning and up to the end, in order.
    pub samples: Vec<Sample>,
    /// Whether there were more of them.
    pub is_thinned: bool,
}

/// A segment that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("segment {number} ({blob}) cannot be read: {why}; fetch it again from a mirror")]
pub struct DamagedSegment {
    /// Its number.
    pub number: u64,
    /// Its blob.
    pub blob: BlobHash,
    /// When it told of the site.
    pub span: Span,
    /// Whether its samples are missing; if not, only its start table is, for which older segments stand in.
    pub is_gap: bool,
    /// What is wrong with it.
    pub why: String,
}

/// A question to the historian, begun; see [`super::Historian::begin_recall`].
#[derive(Debug)]
pub struct Recall {
    from: i64,
    to: i64,
    points: usize,
    /// Which track a path belongs to.
    places: HashMap<Arc<str>, usize>,
    tracks: Vec<Track>,
    /// Whether paths that nobody named get tracks too.
    takes_all: bool,
    files: Vec<StoredSegment>,
    /// The number and beginning of the segment whose start table has been taken.
    started: Option<(u64, i64)>,
    spans: Vec<Span>,
    damaged: Vec<DamagedSegment>,
}

/// A sealed segment and where its files are.
#[derive(Debug, Clone)]
pub(super) struct StoredSegment {
    pub(super) kept: Kept,
    pub(super) path: PathBuf,
    pub(super) start_path: PathBuf,
}

#[derive(Debug)]
struct Track {
    path: Arc<str>,
    tag: Option<TagId>,
    in_force: Option<Placed>,
    thinning: Thinning,
}

impl Recall {
    /// A question about these tags, or about all; `known` are all paths, several of which may be one tag's.
    pub(super) fn new(
        mut known: Vec<(Arc<str>, TagId)>,
        tags: Option<&[TagId]>,
        (from, to): (Timestamp, Timestamp),
        points: usize,
    ) -> Self {
        let mut recall = Self::of_nothing((from.0, to.0), points);
        known.sort_unstable_by_key(|(_, tag)| *tag);
        let mut by_tag: HashMap<TagId, usize> = HashMap::new();
        for tag in tags.unwrap_or_default() {
            by_tag.entry(*tag).or_insert_with(|| recall.add_track("".into(), Some(*tag)));
        }
        for (path, tag) in known {
            let place = match by_tag.get(&tag) {
                Some(place) => *place,
                None if tags.is_some() => continue,
                None => {
                    let place = recall.add_track(path.clone(), Some(tag));
                    by_tag.insert(tag, place);
                    place
                }
            };
            recall.places.insert(path, place);
        }
        // Beside those in force, so that the answer fits into one of the network's.
        let most = (limits::RECALL_SAMPLES / recall.tracks.len().max(1)).saturating_sub(1);
        recall.tracks.iter_mut().for_each(|track| track.thinning.hold_at_most(most));
        recall
    }

    /// A question about everything at one instant, by path.
    pub(super) fn table(at: i64) -> Self {
        Self { takes_all: true, ..Self::of_nothing((at, at), 0) }
    }

    fn of_nothing((from, to): (i64, i64), points: usize) -> Self {
        Self {
            from,
            to,
            points,
            places: HashMap::new(),
            tracks: Vec::new(),
            takes_all: false,
            files: Vec::new(),
            started: None,
            spans: Vec::new(),
            damaged: Vec::new(),
        }
    }

    fn add_track(&mut self, path: Arc<str>, tag: Option<TagId>) -> usize {
        let thinning = Thinning::new(self.from, self.to, self.points);
        self.tracks.push(Track { path, tag, in_force: None, thinning });
        self.tracks.len() - 1
    }

    fn place(&mut self, path: &Arc<str>) -> Option<usize> {
        if let Some(place) = self.places.get(path) {
            return Some(*place);
        }
        self.takes_all.then(|| {
            let place = self.add_track(path.clone(), None);
            self.places.insert(path.clone(), place);
            place
        })
    }

    /// Takes what a segment in memory holds. They are given oldest first.
    pub(super) fn take_memory(&mut self, segment: &OpenSegment) {
        self.spans.push(Span { from: segment.from, to: segment.to });
        if segment.from.0 <= self.from {
            self.started = Some((segment.number, segment.from.0));
            self.take_start(segment.number, &segment.start);
        }
        if segment.axis.is_none_or(|(first, _)| first > self.to) {
            return;
        }
        let paths: Vec<Arc<str>> = match self.takes_all {
            true => segment.runs().iter().map(|run| run.path.clone()).collect(),
            false => self.places.keys().cloned().collect(),
        };
        for path in paths {
            let (Some(run), Some(place)) = (segment.run(&path), self.place(&path)) else { continue };
            if self.from == self.to {
                let Some(sample) = segment.in_force(run, self.from) else { continue };
                self.tracks[place].take(self.from, self.to, rank(segment.number), usize::MAX, sample);
                continue;
            }
            for (i, row) in run.sorted().iter().enumerate().filter(|(_, row)| row.axis() <= self.to) {
                self.tracks[place].take(self.from, self.to, rank(segment.number), i, segment.sample(row));
            }
        }
    }

    /// Adds a segment to be read by [`Self::finish`]. They are given oldest first, before those in memory.
    pub(super) fn take_file(&mut self, file: StoredSegment) {
        self.files.push(file);
    }

    fn take_start(&mut self, number: u64, start: &StartTable) {
        let paths: Vec<Arc<str>> = match self.takes_all {
            true => start.keys().cloned().collect(),
            false => self.places.keys().cloned().collect(),
        };
        for path in paths {
            let (Some(sample), Some(place)) = (start.get(&path), self.place(&path)) else { continue };
            // Below everything of its own segment, above everything before that.
            self.tracks[place].take(self.from, self.to, rank(number) - 1, 0, sample.clone());
        }
    }

    /// Reads what has to be read of the files.
    pub fn finish(mut self) -> History {
        self.read_files(|| false);
        self.told()
    }

    /// As [`Self::finish`], but gives up, between two files, once nobody waits for it any more.
    pub fn finish_unless(mut self, is_over: impl Fn() -> bool) -> Option<History> {
        self.read_files(&is_over);
        (!is_over()).then(|| self.told())
    }

    fn told(self) -> History {
        let mut tags: Vec<TagHistory> = Vec::with_capacity(self.tracks.len());
        for track in self.tracks {
            let Some(tag) = track.tag else { continue };
            let is_thinned = track.thinning.is_thinned;
            let in_force = track.in_force.map(|placed| placed.sample);
            tags.push(TagHistory { tag, in_force, samples: track.thinning.finish(), is_thinned });
        }
        let coverage = union(self.spans, Span { from: Timestamp(self.from), to: Timestamp(self.to) });
        History { tags, coverage, damaged: self.damaged }
    }

    /// What was in force, by path; and what could not be read.
    pub(super) fn finish_table(mut self) -> (StartTable, Vec<DamagedSegment>) {
        self.read_files(|| false);
        let held = self.tracks.into_iter().filter_map(|track| Some((track.path, track.in_force?.sample)));
        (held.collect(), self.damaged)
    }

    fn read_files(&mut self, is_over: impl Fn() -> bool) {
        let files = std::mem::take(&mut self.files);
        if self.started.is_none() {
            self.read_start(&files);
        }
        for file in &files {
            if is_over() {
                return;
            }
            let (from, to) = file.kept.span();
            let is_needed = file.kept.axis.is_some_and(|(first, last)| {
                let is_after_start =
                    self.started.is_none_or(|(number, start)| file.kept.sealed.number >= number || last > start);
                first <= self.to && is_after_start
            });
            let read = if is_needed { self.read_file(file) } else { Ok(()) };
            match read {
                Ok(()) => self.spans.push(Span { from, to }),
                Err(why) => self.blame(file, true, why),
            }
        }
    }

    /// The newest readable start table that is not after the beginning.
    fn read_start(&mut self, files: &[StoredSegment]) {
        let at = self.from;
        for file in files.iter().rev().filter(|file| file.kept.sealed.from.0 <= at) {
            match start_of(file) {
                Ok(start) => {
                    self.started = Some((file.kept.sealed.number, file.kept.sealed.from.0));
                    return self.take_start(file.kept.sealed.number, &start);
                }
                Err(why) => self.blame(file, false, why),
            }
        }
    }

    fn blame(&mut self, file: &StoredSegment, is_gap: bool, why: String) {
        let sealed = &file.kept.sealed;
        let span = Span { from: sealed.from, to: sealed.to };
        self.damaged.push(DamagedSegment { number: sealed.number, blob: sealed.blob, span, is_gap, why });
    }

    fn read_file(&mut self, file: &StoredSegment) -> Result<(), String> {
        let reader = Shared(Arc::new(File::open(&file.path).map_err(|e| e.to_string())?));
        check(file, &reader.0)?;
        guarded(|| self.read_segment(reader, file.kept.sealed.number)).map_err(|e| e.to_string())
    }

    fn read_segment(&mut self, reader: Shared, number: u64) -> Result<(), ParquetError> {
        let segment = SegmentFile::open(reader)?;
        let paths: Option<Vec<&str>> = (!self.takes_all && self.places.len() <= limits::FEW_TAGS).then(|| {
            let mut paths: Vec<&str> = self.places.keys().map(|path| &**path).collect();
            paths.sort_unstable();
            paths
        });
        let runs = segment.runs(paths.as_deref())?;
        let wanted: Vec<(RunAt, usize)> =
            runs.into_iter().filter_map(|run| self.place(&run.path).map(|place| (run, place))).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let rows: Vec<Range<usize>> = wanted.iter().map(|(run, _)| run.rows.clone()).collect();
        let mut cursor = Cursor { wanted: &wanted, run: 0, taken: 0, rank: rank(number) };
        segment.read(&rows, Columns::Samples, |_, batch| cursor.take(self, batch))
    }
}

/// Where reading is in the runs of a file.
struct Cursor<'a> {
    wanted: &'a [(RunAt, usize)],
    run: usize,
    /// Rows of the run that earlier batches held.
    taken: usize,
    rank: u64,
}

impl Cursor<'_> {
    fn take(&mut self, recall: &mut Recall, batch: &RowBatch) -> Result<(), ParquetError> {
        let mut i = 0;
        while i < batch.source_time.len() {
            let (run, place) = self.wanted.get(self.run).ok_or_else(|| damaged("tag"))?;
            let end = (i + run.rows.len() - self.taken).min(batch.source_time.len());
            let mut newest: Option<((i64, u64, usize), usize)> = None;
            for row in i..end {
                let time = axis(batch.source_time[row], batch.server_time[row]);
                let at = (time, self.rank, self.taken + row - i);
                if time > recall.to {
                    continue;
                } else if time > recall.from {
                    recall.tracks[*place].thinning.add(Placed { at, sample: batch.sample(row)? });
                } else if newest.is_none_or(|(known, _)| known < at) {
                    newest = Some((at, row));
                }
            }
            if let Some((at, row)) = newest {
                recall.tracks[*place].take_in_force(at, || batch.sample(row))?;
            }
            self.taken += end - i;
            if self.taken == run.rows.len() {
                (self.run, self.taken) = (self.run + 1, 0);
            }
            i = end;
        }
        Ok(())
    }
}

impl Track {
    fn take(&mut self, from: i64, to: i64, rank: u64, place: usize, sample: Sample) {
        let at = (axis(sample.source_time.0, sample.server_time.0), rank, place);
        if at.0 <= from {
            if self.in_force.as_ref().is_none_or(|known| known.at < at) {
                self.in_force = Some(Placed { at, sample });
            }
        } else if at.0 <= to {
            self.thinning.add(Placed { at, sample });
        }
    }

    fn take_in_force<E>(&mut self, at: (i64, u64, usize), sample: impl FnOnce() -> Result<Sample, E>) -> Result<(), E> {
        if self.in_force.as_ref().is_none_or(|known| known.at < at) {
            self.in_force = Some(Placed { at, sample: sample()? });
        }
        Ok(())
    }
}

/// Among samples of one instant, those of a later segment win, and those of a segment over its start table.
fn rank(number: u64) -> u64 {
    2 * number + 1
}

/// Whether the file is what the catalogue says, once a process: later reads take single pages.
fn check(file: &StoredSegment, mut reader: &File) -> Result<(), String> {
    if file.kept.is_checked.load(Ordering::Relaxed) {
        return Ok(());
    }
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut reader, &mut hasher).map_err(|e| e.to_string())?;
    if hasher.finalize().as_bytes() != &file.kept.sealed.blob.0 {
        return Err("its hash is not its name".into());
    }
    file.kept.is_checked.store(true, Ordering::Relaxed);
    Ok(())
}

fn start_of(file: &StoredSegment) -> Result<StartTable, String> {
    let bytes = std::fs::read(&file.start_path).map_err(|e| format!("its start table: {e}"))?;
    if BlobHash::of(&bytes) != file.kept.start {
        return Err("its start table has been changed".into());
    }
    decode_start(bytes).map_err(|e| format!("its start table: {e}"))
}

/// A file that several readers of one thread share.
#[derive(Clone)]
struct Shared(Arc<File>);

impl Length for Shared {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Shared {
    type T = <File as ChunkReader>::T;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<bytes::Bytes, ParquetError> {
        self.0.get_bytes(start, length)
    }
}

/// The spans within `within`, joined where they touch.
fn union(mut spans: Vec<Span>, within: Span) -> Vec<Span> {
    spans.retain(|span| span.from <= within.to && span.to >= within.from);
    spans.sort();
    let mut joined: Vec<Span> = Vec::new();
    for span in spans {
        let span = Span { from: span.from.max(within.from), to: span.to.min(within.to) };
        match joined.last_mut() {
            Some(last) if last.to >= span.from => last.to = last.to.max(span.to),
            _ => joined.push(span),
        }
    }
    joined
}
