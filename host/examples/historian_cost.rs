//! What the historian costs: samples taken a second (R3), bytes a sample of the simulated plant (R4), and how long it
//! takes to show any instant of an 8-hour shift with 1,000 tags (R8).
//!
//! `cargo run --release -p gemba-host --example historian_cost -- [HOURS]`; with fewer hours than 8 it is done sooner and
//! R8 says so. Everything is written to a temporary directory, fsynced as the host does.

use std::error::Error;
use std::time::Instant;

use gemba_devices::simulator::{Reading, STEP_SECS, Simulator};
use gemba_host::blobs::Blobs;
use gemba_host::historian::{Historian, HistorianConfig};
use gemba_net::TagSample;
use gemba_twin::path::TagId;
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::{Sample, Timestamp};

/// A Saturday morning, seconds since the Unix epoch.
const BEGAN: i64 = 1_795_248_000;
/// Steps between two readings: 20 a second, as the simulated OPC UA server writes them.
const STEPS: u64 = 2;
/// Instants asked for.
const INSTANTS: u64 = 400;

fn main() -> Result<(), Box<dyn Error>> {
    let hours: f64 = std::env::args().nth(1).map_or(Ok(8.0), |hours| hours.parse())?;
    ingest()?;
    let dir = tempfile::tempdir()?;
    let (historian, tags) = shift(dir.path(), hours)?;
    scrub(&historian, &tags, hours)
}

/// The plant as its gateway sees it: what changed, with the times of device and gateway.
struct Plant {
    simulator: Simulator,
    shown: Vec<Reading>,
    chance: u64,
}

impl Plant {
    fn new(lines: usize) -> Self {
        Self { simulator: Simulator::new(lines, 7), shown: Vec::new(), chance: 1 }
    }

    /// A number below `below`, evenly spread (xorshift64).
    fn random(&mut self, below: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % below
    }

    fn now(&self) -> Timestamp {
        let steps = (self.simulator.secs() / STEP_SECS).round() as i64;
        Timestamp::from_secs(BEGAN).plus_micros(steps * (STEP_SECS * 1e6) as i64)
    }

    /// Moves on, and tells what the first `tags` tags changed to. They were received some 1 to 11 ms later: a publishing
    /// server looks every 10 ms, and all of a notification is received at once.
    fn changes(&mut self, tags: usize) -> Vec<TagSample> {
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

    fn declare(&self, historian: &mut Historian) {
        for (i, tag) in self.simulator.tags().iter().enumerate() {
            historian.declare(TagId(i as u32), &tag.path, PeerKey([7; 32]));
        }
    }
}

/// R3: samples made beforehand, then taken as fast as can be.
fn ingest() -> Result<(), Box<dyn Error>> {
    let mut plant = Plant::new(40);
    let mut batches: Vec<Vec<TagSample>> = Vec::new();
    while batches.iter().map(Vec::len).sum::<usize>() < 6_000_000 {
        batches.push(plant.changes(usize::MAX));
    }
    let dir = tempfile::tempdir()?;
    let blobs = Blobs::open(dir.path().join("blobs"))?;
    let config = HistorianConfig::default();
    let mut historian = Historian::open(&dir.path().join("history"), blobs, config, Timestamp::from_secs(BEGAN))?;
    plant.declare(&mut historian);
    let began = Instant::now();
    for batch in &batches {
        let now = batch.first().map_or(Timestamp::from_secs(BEGAN), |sample| sample.sample.server_time);
        historian.append(batch, now)?;
        historian.poll_seal(now)?;
    }
    historian.seal(plant.now())?;
    let secs = began.elapsed().as_secs_f64();
    let taken = historian.stats().taken;
    println!(
        "R3 {:>10.0} samples/s  {taken} samples of {} tags to fsynced Parquet in {secs:.2} s, {} batches",
        taken as f64 / secs,
        plant.simulator.tags().len(),
        batches.len()
    );
    Ok(())
}

/// R4: a shift of 1,000 tags at the speed of the plant, sealed every five minutes.
fn shift(dir: &std::path::Path, hours: f64) -> Result<(Historian, Vec<TagId>), Box<dyn Error>> {
    let mut plant = Plant::new(7);
    let tags = plant.simulator.tags().len().min(1_000);
    let blobs = Blobs::open(dir.join("blobs"))?;
    let config = HistorianConfig::default();
    let mut historian = Historian::open(&dir.join("history"), blobs, config, Timestamp::from_secs(BEGAN))?;
    plant.declare(&mut historian);
    let mut segments = 0;
    while plant.simulator.secs() < hours * 3600.0 {
        let changed = plant.changes(tags);
        historian.append(&changed, plant.now())?;
        for sealed in historian.poll_seal(plant.now())? {
            historian.confirm(&sealed)?;
            segments += 1;
        }
    }
    segments += historian.seal(plant.now())?.len();
    let (taken, bytes) = (historian.stats().taken, historian.sealed_bytes());
    println!(
        "R4 {:>10.2} B/sample   {taken} samples of {tags} tags in {hours} h, {:.2} samples/s a tag, {segments} segments",
        bytes as f64 / taken as f64,
        taken as f64 / tags as f64 / hours / 3600.0
    );
    Ok((historian, (0..tags as u32).map(TagId).collect()))
}

/// R8: instants anywhere in the shift, all tags; and for comparison what a chart of one tag over all of it takes.
fn scrub(historian: &Historian, tags: &[TagId], hours: f64) -> Result<(), Box<dyn Error>> {
    let mut chance = Plant::new(1);
    let mut millis: Vec<f64> = Vec::new();
    for _ in 0..INSTANTS {
        let at = Timestamp::from_secs(BEGAN).plus_micros(chance.random((hours * 3600e6) as u64) as i64);
        let began = Instant::now();
        let history = historian.recall(Some(tags), at, at, 0);
        millis.push(began.elapsed().as_secs_f64() * 1e3);
        if !history.damaged.is_empty() || history.coverage.is_empty() {
            return Err(format!("{at:?} is not there: {:?}", history.damaged).into());
        }
    }
    millis.sort_by(f64::total_cmp);
    let percentile = |p: usize| millis[(millis.len() - 1) * p / 100];
    println!(
        "R8 {:>10.1} ms p99     {} tags at {INSTANTS} instants of {hours} h; p50 {:.1} ms, most {:.1} ms",
        percentile(99),
        tags.len(),
        percentile(50),
        percentile(100)
    );
    for points in [200, 2_000] {
        let (from, to) =
            (Timestamp::from_secs(BEGAN), Timestamp::from_secs(BEGAN).plus_micros((hours * 3600e6) as i64));
        let began = Instant::now();
        let history = historian.recall(Some(&tags[..1]), from, to, points);
        println!(
            "   {:>10.1} ms         one tag over {hours} h, {} of at most {points} points",
            began.elapsed().as_secs_f64() * 1e3,
            history.tags[0].samples.len()
        );
    }
    Ok(())
}
