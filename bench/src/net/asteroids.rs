//! N1: wire bytes of each update of a body in the asteroid scene, at 30 Hz, acknowledged two ticks (67 ms) later.

use std::collections::BTreeMap;

use gemba_net::body::Precision;

use super::Sizes;
use super::body_lane::{OVERHEAD_BYTES, send};
use super::replicon::{self, Placed, Replication};
use super::scene::{Scene, Seeded, asteroids};
use crate::report::{Row, Runs};

const GOAL_BYTES: f64 = 2.0;
const BODIES: f64 = 250.0;

pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let precision = Precision::new(0.01, 0.001).ok_or_else(|| anyhow::anyhow!("no such precision"))?;
    let [mut wire, mut own, mut lossy, mut writing, mut rival] = std::array::from_fn(|_| Runs::default());
    let mut errors = [0f64; 2];
    for run in 0..sizes.runs as u64 {
        // The scene settles into a ring, with few surprises, after some five minutes; this is before.
        let scene = asteroids(2323 + run, 60, sizes.ticks);
        let cost = send(&scene, precision, 2, None, || false)?;
        let updates = cost.ticks as f64 * BODIES;
        wire.push((cost.bytes + cost.packets * OVERHEAD_BYTES) as f64 / updates);
        own.push(cost.bytes as f64 / updates);
        writing.push(cost.writing.as_nanos() as f64 / cost.told as f64);
        errors = [errors[0].max(cost.place_error), errors[1].max(cost.rotation_error)];
        rival.push(replicated(&scene));
        let mut random = Seeded(run);
        let cost = send(&scene, precision, 2, None, || random.between(0.0, 1.0) < 0.05)?;
        lossy.push((cost.bytes + cost.packets * OVERHEAD_BYTES) as f64 / updates);
    }
    let errors = format!("errors at most {:.4} m on an axis and {:.5} rad", errors[0], errors[1]);
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
    let scene = format!("250 asteroids, 30 Hz, answers 2 ticks old, {} ticks", sizes.ticks);
    let mut rows = vec![
        row(
            "N1",
            format!("wire bytes (IP, UDP, QUIC too) a body update, {scene}; {errors}"),
            "B",
            &wire,
            Some(GOAL_BYTES),
        ),
        row("N1-own", format!("of that, the lane's own, {scene}"), "B", &own, None),
        row("N1-lossy", format!("wire bytes with 5 % of packets lost, {scene}"), "B", &lossy, None),
        row("N1-cpu", "time to tell one moving body to one peer".to_owned(), "ns", &writing, None),
    ];
    rows[0].peers.insert(format!("{} (whole steps, as exact)", replicon::NAME), rival.median());
    Ok(rows)
}

/// Wire bytes a body update of the rival: places in steps of two centimetres and the three smaller components of a rotation
/// in steps of 1/1400, which is as exact, as small integers; its messages acknowledged a tick later.
fn replicated(scene: &Scene) -> f64 {
    let bodies = scene.ticks.first().map_or(0, Vec::len);
    let mut replication = Replication::new(1, bodies as u32);
    let (mut bytes, mut ticks) = (0, 0);
    for frame in &scene.ticks {
        let cost = replication.tick(|number| {
            let (place, rotation) = frame.get(number as usize)?;
            let largest = (0..4).fold(0, |most, i| if rotation[i].abs() > rotation[most].abs() { i } else { most });
            let mut smaller = (0..4).filter(|i| *i != largest).map(|i| (rotation[i] * 1400.0).round() as i16);
            let rotation = [(); 3].map(|()| smaller.next().unwrap_or(0));
            Some(Placed { place: place.map(|metres| (metres * 50.0).round() as i32), rotation })
        });
        bytes += cost.bytes + cost.messages * OVERHEAD_BYTES;
        ticks += 1;
    }
    bytes as f64 / f64::from(ticks) / bodies as f64
}
