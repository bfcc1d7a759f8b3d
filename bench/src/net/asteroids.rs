//! N1: wire bytes of each update of a body in the asteroid scene, at 30 Hz, acknowledged two ticks (67 ms) later.

use std::collections::BTreeMap;

use gemba_net::body::Precision;

use super::Sizes;
use super::body_lane::{OVERHEAD_BYTES, send};
use super::scene::{Seeded, asteroids};
use crate::report::{Row, Runs};

const GOAL_BYTES: f64 = 2.0;
const BODIES: f64 = 250.0;

pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let precision = Precision::new(0.01, 0.001).ok_or_else(|| anyhow::anyhow!("no such precision"))?;
    let [mut wire, mut own, mut lossy, mut writing] = std::array::from_fn(|_| Runs::default());
    let mut errors = [0f64; 2];
    for run in 0..sizes.runs as u64 {
        // The scene settles into a ring, with few surprises, after some five minutes; this is before.
        let scene = asteroids(2323 + run, 60, sizes.ticks);
        let cost = send(&scene, precision, 2, || false)?;
        let updates = cost.ticks as f64 * BODIES;
        wire.push((cost.bytes + cost.packets * OVERHEAD_BYTES) as f64 / updates);
        own.push(cost.bytes as f64 / updates);
        writing.push(cost.writing.as_nanos() as f64 / cost.told as f64);
        errors = [errors[0].max(cost.place_error), errors[1].max(cost.rotation_error)];
        let mut random = Seeded(run);
        let cost = send(&scene, precision, 2, || random.between(0.0, 1.0) < 0.05)?;
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
    Ok(vec![
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
    ])
}
