//! What the simulated plant's gateway sees, as long as is wanted: every change of every tag, with the times of device and
//! gateway. The same for the same number of lines, so that runs can be compared.

use std::path::Path;

use gemba_devices::simulator::{Reading, STEP_SECS, Simulator};
use gemba_host::blobs::Blobs;
use gemba_host::historian::{Historian, HistorianConfig};
use gemba_net::TagSample;
use gemba_twin::path::TagId;
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::{Sample, Timestamp};
use gemba_twin::tag::Tag;

/// A Saturday morning, seconds since the Unix epoch.
const BEGAN: i64 = 1_795_248_000;
/// Steps between two readings: 20 a second, as the simulated OPC UA server writes them.
const STEPS: u64 = 2;
/// Tags of the shift that the goals are about, and lines that have as many.
const TAGS: usize = 1_000;
const LINES: usize = 7;

/// The plant as its gateway sees it.
pub struct Plant {
    simulator: Simulator,
    shown: Vec<Reading>,
    chance: u64,
}

impl Plant {
    /// One that has not moved yet.
    pub fn new(lines: usize) -> Self {
        Self { simulator: Simulator::new(lines, 7), shown: Vec::new(), chance: 1 }
    }

    /// Its tags, by number.
    pub fn tags(&self) -> &[Tag] {
        self.simulator.tags()
    }

    /// A number below `below`, evenly spread (xorshift64).
    pub fn random(&mut self, below: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % below
    }

    /// The plant's clock.
    pub fn now(&self) -> Timestamp {
        let steps = (self.simulator.secs() / STEP_SECS).round() as i64;
        Timestamp::from_secs(BEGAN).plus_micros(steps * (STEP_SECS * 1e6) as i64)
    }

    /// Moves on, and tells what the first `tags` tags changed to. They were received some 1 to 11 ms later: a publishing
    /// server looks every 10 ms, and all of a notification is received at once.
    pub fn changes(&mut self, tags: usize) -> Vec<TagSample> {
        self.simulator.steps(STEPS);
        let source_time = self.now();
        let server_time = source_time.plus_micros(1_000 + self.random(10_000) as i64);
        let mut changed = Vec::new();
        for (i, reading) in self.simulator.readings().iter().enumerate().take(tags) {
            if self.shown.get(i) != Some(reading) {
                let (value, quality) = (Some(reading.value.clone()), reading.quality);
                let sample = Sample { value, quality, source_time, server_time };
                changed.push(TagSample { tag: TagId(i as u32), sample });
            }
        }
        self.shown = self.simulator.readings().to_vec();
        changed
    }

    /// A historian in this folder that knows the plant's tags.
    pub fn historian(&self, history: &Path, blobs: Blobs, device: PeerKey) -> anyhow::Result<Historian> {
        let mut historian = Historian::open(history, blobs, HistorianConfig::default(), Timestamp::from_secs(BEGAN))?;
        for (i, tag) in self.tags().iter().enumerate() {
            historian.declare(TagId(i as u32), &tag.path, device);
        }
        Ok(historian)
    }
}

/// A shift that lies on the disk.
pub struct Shift {
    /// Its tags, by number.
    pub tags: Vec<Tag>,
    /// When it began and ended.
    pub span: (Timestamp, Timestamp),
    /// All samples that were taken.
    pub samples: u64,
    /// Of each segment its bytes and samples, oldest first.
    pub segments: Vec<(u64, u64)>,
    /// Bytes of all segments, with what an instant is found by.
    pub bytes: u64,
}

/// Writes a shift of so many hours, sealed every five minutes as a host does, as fast as it goes.
pub fn write(hours: f64, history: &Path, blobs: Blobs, device: PeerKey) -> anyhow::Result<Shift> {
    let mut plant = Plant::new(LINES);
    let tags: Vec<Tag> = plant.tags().iter().take(TAGS).cloned().collect();
    let mut historian = plant.historian(history, blobs, device)?;
    let mut segments = Vec::new();
    let mut said = 0.0;
    while plant.simulator.secs() < hours * 3600.0 {
        let changed = plant.changes(tags.len());
        historian.append(&changed, plant.now())?;
        for sealed in historian.poll_seal(plant.now())? {
            historian.confirm(&sealed)?;
            segments.push((sealed.bytes, sealed.samples));
        }
        if plant.simulator.secs() >= said + 3600.0 {
            said += 3600.0;
            eprintln!("gemba bench: hour {} of a shift of {hours}", said / 3600.0);
        }
    }
    for sealed in historian.seal(plant.now())? {
        historian.confirm(&sealed)?;
        segments.push((sealed.bytes, sealed.samples));
    }
    let span = (Timestamp::from_secs(BEGAN), plant.now());
    Ok(Shift { tags, span, samples: historian.stats().taken, segments, bytes: historian.sealed_bytes() })
}
