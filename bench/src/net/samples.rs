//! N8: what samples cost on the wire and on the host, with viewers that want what the client wants.
//!
//! The tags are those of a plant as gateways bring it: devices of 50 tags that are read together, each at its own time, in
//! notifications of all that was read in 50 ms. Of 20 tags twelve are floats of 4 bytes with noise in all bits (a REAL of a
//! controller), four are measured to two decimals, two are counters, one is a state, one is on or off.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gemba_net::telemetry::{Tags, Want, Window};
use gemba_net::{HostCommand, Link, LinkCommand, LinkEvent, TagSample};
use gemba_twin::path::TagId;
use gemba_twin::sample::{Quality, Sample, Timestamp, Value};

use super::Sizes;
use super::scene::Seeded;
use super::served::Served;
use crate::report::{Row, Runs};

const VIEWERS: u8 = 10;
const TAGS: u32 = 10_000;
const DEVICE: u32 = 50;
/// Between two notifications; each brings half of the devices.
const NOTIFY: Duration = Duration::from_millis(50);
const WARM_UP: Duration = Duration::from_secs(2);
const GOAL_BYTES: f64 = 8.0;
const GOAL_CORES: f64 = 0.5;

/// Measures the rows.
pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let (mut bytes, mut cores, mut arrived) = (Runs::default(), Runs::default(), Runs::default());
    for run in 0..sizes.runs as u64 {
        let cost = one(run, Duration::from_secs(sizes.seconds.into()))?;
        bytes.push(cost.bytes);
        cores.push(cost.cores);
        arrived.push(cost.arrived);
    }
    let what = format!("{TAGS} tags at 10 Hz each to {VIEWERS} viewers");
    let row = |id: &str, what: String, unit, runs: &Runs, goal: Option<f64>| Row {
        id: id.to_owned(),
        what,
        value: runs.median(),
        unit,
        spread: runs.spread(),
        goal,
        pass: goal.map(|goal| runs.median() <= goal),
        peers: BTreeMap::new(),
    };
    let share = format!("{what}; {:.1} % of the samples arrived", arrived.median() * 100.0);
    Ok(vec![
        row("N8", format!("UDP payload a sample that arrived, {share}"), "B", &bytes, Some(GOAL_BYTES)),
        row("N8-cpu", format!("cores of the host's threads, {what}"), "cores", &cores, Some(GOAL_CORES)),
    ])
}

struct Cost {
    bytes: f64,
    cores: f64,
    arrived: f64,
}

fn one(seed: u64, length: Duration) -> anyhow::Result<Cost> {
    let host = Served::start("", seed)?;
    let mut links: Vec<Link> = (0..VIEWERS).map(|n| host.connect(10 + n)).collect();
    for (n, link) in (0..).zip(&mut links) {
        let selected =
            Want { tags: Tags::These(vec![TagId(n), TagId(n + 7)]), interval_millis: 100, window: Window::Extremes };
        let all = Want { tags: Tags::All, interval_millis: 50, window: Window::Newest };
        link.send(LinkCommand::Subscribe(vec![all, selected]))?;
    }
    let mut plant = Plant { random: Seeded(seed), values: vec![20.0; TAGS as usize] };
    let begun = Instant::now();
    let (mut sent, mut received, mut before) = (0u64, 0u64, None);
    for turn in 0u32.. {
        let now = NOTIFY * turn;
        if before.is_none() && now >= WARM_UP {
            drain(&mut links);
            (sent, received) = (0, 0);
            before = Some((Served::cpu()?, host.proxy.counts().down.delivered_bytes, Instant::now()));
        }
        if now >= WARM_UP + length {
            break;
        }
        let samples = plant.notification(turn);
        sent += samples.len() as u64 * u64::from(VIEWERS);
        host.say(HostCommand::Publish(samples))?;
        while begun.elapsed() < now + NOTIFY {
            received += drain(&mut links);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let (cpu, down, at) = before.ok_or_else(|| anyhow::anyhow!("nothing was measured"))?;
    received += drain(&mut links);
    anyhow::ensure!(received > 0, "no sample has arrived");
    Ok(Cost {
        bytes: (host.proxy.counts().down.delivered_bytes - down) as f64 / received as f64,
        cores: (Served::cpu()? - cpu).as_secs_f64() / at.elapsed().as_secs_f64(),
        arrived: received as f64 / sent as f64,
    })
}

/// Samples of all viewers that have arrived since the last call. Windows are on top, and not counted.
fn drain(links: &mut [Link]) -> u64 {
    let mut count = 0;
    for link in links {
        while let Some(event) = link.poll() {
            if let LinkEvent::Samples(samples) = event {
                count += samples.len() as u64;
            }
        }
    }
    count
}

struct Plant {
    random: Seeded,
    values: Vec<f64>,
}

impl Plant {
    fn notification(&mut self, turn: u32) -> Vec<TagSample> {
        let received = Timestamp(1_790_000_000_000_000 + i64::from(turn) * NOTIFY.as_micros() as i64);
        let devices = (0..TAGS / DEVICE).filter(|device| device % 2 == turn % 2);
        let mut samples = Vec::with_capacity(TAGS as usize / 2);
        for device in devices {
            let source_time = received.plus_micros(-i64::from(self.random.bits() as u16 % 50_000));
            for tag in device * DEVICE..(device + 1) * DEVICE {
                let value = Some(self.value(tag, turn));
                let sample = Sample { value, quality: Quality::Good, source_time, server_time: received };
                samples.push(TagSample { tag: TagId(tag), sample });
            }
        }
        samples
    }

    fn value(&mut self, tag: u32, turn: u32) -> Value {
        let step = f64::from(self.random.between(-0.5, 0.5));
        let value = &mut self.values[tag as usize];
        *value = (*value + step).clamp(-1000.0, 1000.0);
        match tag % 20 {
            0..12 => Value::Float(f64::from(*value as f32)),
            12..16 => Value::Float((*value * 100.0).round() / 100.0),
            16 | 17 => Value::Int(i64::from(tag) * 1000 + i64::from(turn / 2)),
            18 => Value::Int(i64::from(turn / 40 % 5)),
            _ => Value::Bool(*value > 20.0),
        }
    }
}
