//! The samples since the last segment was closed, in memory: one run of rows a tag. Holds no file and no clock; what is
//! here is in the journal too.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use gemba_twin::peer::PeerKey;
use gemba_twin::sample::{Quality, Sample, Timestamp, Value, ValueKind};

use super::tag_table::Owner;
use crate::limits;

/// What was in force when a segment began, by the tag's path.
pub(super) type StartTable = HashMap<Arc<str>, Sample>;

/// One sample in 32 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) source_time: i64,
    pub(super) server_time: i64,
    /// The value's bits; for a text its place in [`OpenSegment::texts`].
    bits: u64,
    /// Place in [`OpenSegment::devices`].
    pub(super) device: u32,
    pub(super) kind: Option<ValueKind>,
    pub(super) quality: Quality,
}

impl Row {
    /// Where the sample stands on the axis of time travel.
    pub(super) fn axis(&self) -> i64 {
        axis(self.source_time, self.server_time)
    }
}

/// Where a sample stands on the axis of time travel: at its source time, unless that is later than the gateway received
/// it or more than [`limits::LATE_MICROS`] before; then the device's clock is wrong, and the time of receipt counts.
pub(super) fn axis(source_time: i64, server_time: i64) -> i64 {
    let late = server_time.saturating_sub(source_time);
    if (0..=limits::LATE_MICROS).contains(&late) { source_time } else { server_time }
}

/// All rows of one tag.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) path: Arc<str>,
    rows: Vec<Row>,
    /// The row with the greatest axis time, the later among equals.
    newest: usize,
    is_sorted: bool,
}

impl Run {
    /// The rows by source time, those of one instant as they arrived.
    pub(super) fn sorted(&self) -> Cow<'_, [Row]> {
        if self.is_sorted {
            return Cow::Borrowed(&self.rows);
        }
        let mut rows = self.rows.clone();
        rows.sort_by_key(|row| row.source_time);
        Cow::Owned(rows)
    }
}

/// A segment that still grows, or has been closed and waits for the disk.
#[derive(Debug)]
pub(super) struct OpenSegment {
    /// Number of the segment; they count up.
    pub(super) number: u64,
    /// The host's clock when it began.
    pub(super) from: Timestamp,
    /// Until when it speaks for the site.
    pub(super) to: Timestamp,
    /// What was in force at `from`.
    pub(super) start: Arc<StartTable>,
    pub(super) devices: Vec<PeerKey>,
    pub(super) texts: Vec<Box<str>>,
    pub(super) samples: usize,
    /// First and last time on the axis; none while it is empty.
    pub(super) axis: Option<(i64, i64)>,
    text_bytes: usize,
    runs: Vec<Run>,
    places: HashMap<Arc<str>, usize>,
}

impl OpenSegment {
    pub(super) fn new(number: u64, from: Timestamp, start: Arc<StartTable>) -> Self {
        Self {
            number,
            from,
            to: from,
            start,
            devices: Vec::new(),
            texts: Vec::new(),
            samples: 0,
            axis: None,
            text_bytes: 0,
            runs: Vec::new(),
            places: HashMap::new(),
        }
    }

    /// Whether it should be closed for its size.
    pub(super) fn is_full(&self) -> bool {
        self.samples >= limits::SEGMENT_SAMPLES || self.text_bytes >= limits::SEGMENT_TEXT_BYTES
    }

    /// The places of an owner's run and device here, made if new.
    pub(super) fn place(&mut self, owner: &Owner) -> (usize, u32) {
        let device = self.devices.iter().position(|d| *d == owner.device).unwrap_or_else(|| {
            self.devices.push(owner.device);
            self.devices.len() - 1
        });
        let run = *self.places.entry(owner.path.clone()).or_insert_with(|| {
            self.runs.push(Run { path: owner.path.clone(), rows: Vec::new(), newest: 0, is_sorted: true });
            self.runs.len() - 1
        });
        (run, u32::try_from(device).expect("devices are declared tags' owners: fewer than tags, which are u32"))
    }

    /// Adds a sample to a run that [`Self::place`] named.
    pub(super) fn push(&mut self, (run, device): (usize, u32), sample: &Sample) {
        let bits = match &sample.value {
            None => 0,
            Some(Value::Bool(b)) => u64::from(*b),
            Some(Value::Int(i)) => *i as u64,
            Some(Value::Float(f)) => f.to_bits(),
            Some(Value::Text(text)) => {
                self.text_bytes += text.len();
                self.texts.push(text.as_str().into());
                self.texts.len() as u64 - 1
            }
        };
        let row = Row {
            source_time: sample.source_time.0,
            server_time: sample.server_time.0,
            bits,
            device,
            kind: sample.value.as_ref().map(Value::kind),
            quality: sample.quality,
        };
        let axis = row.axis();
        let (first, last) = self.axis.unwrap_or((axis, axis));
        self.axis = Some((first.min(axis), last.max(axis)));
        self.samples += 1;
        let run = &mut self.runs[run];
        if run.rows.last().is_some_and(|last| last.source_time > row.source_time) {
            run.is_sorted = false;
        }
        if run.rows.get(run.newest).is_none_or(|newest| newest.axis() <= axis) {
            run.newest = run.rows.len();
        }
        run.rows.push(row);
    }

    /// The runs by path.
    pub(super) fn runs(&self) -> Vec<&Run> {
        let mut runs: Vec<&Run> = self.runs.iter().filter(|run| !run.rows.is_empty()).collect();
        runs.sort_by(|a, b| a.path.cmp(&b.path));
        runs
    }

    /// The run of this path.
    pub(super) fn run(&self, path: &str) -> Option<&Run> {
        self.places.get(path).map(|place| &self.runs[*place])
    }

    /// The value of a row of this segment.
    pub(super) fn value(&self, row: &Row) -> Option<Value> {
        Some(match row.kind? {
            ValueKind::Bool => Value::Bool(row.bits != 0),
            ValueKind::Int => Value::Int(row.bits as i64),
            ValueKind::Float => Value::Float(f64::from_bits(row.bits)),
            ValueKind::Text => Value::Text(self.text(row)?.to_owned()),
        })
    }

    /// The text of a row that holds one.
    pub(super) fn text(&self, row: &Row) -> Option<&str> {
        self.texts.get(row.bits as usize).map(|text| &**text)
    }

    /// A row as a sample.
    pub(super) fn sample(&self, row: &Row) -> Sample {
        Sample {
            value: self.value(row),
            quality: row.quality,
            source_time: Timestamp(row.source_time),
            server_time: Timestamp(row.server_time),
        }
    }

    /// The sample of a run that was in force at `time`.
    pub(super) fn in_force(&self, run: &Run, time: i64) -> Option<Sample> {
        let newest = run.rows.get(run.newest)?;
        if newest.axis() <= time {
            return Some(self.sample(newest));
        }
        // Sorted, so that equal times fall out as they do when the segment is read from its file.
        let rows = run.sorted();
        rows.iter().filter(|row| row.axis() <= time).max_by_key(|row| row.axis()).map(|row| self.sample(row))
    }

    /// What is in force at `time` as far as this segment and what was before it tell.
    pub(super) fn table_at(&self, time: i64) -> StartTable {
        let mut table = StartTable::clone(&self.start);
        for run in &self.runs {
            let Some(sample) = self.in_force(run, time) else { continue };
            let known = table.get(&run.path).map(|known| axis(known.source_time.0, known.server_time.0));
            if known.is_none_or(|known| known <= axis(sample.source_time.0, sample.server_time.0)) {
                table.insert(run.path.clone(), sample);
            }
        }
        table
    }
}
