//! N2: bytes of 901 tumbling cubes at 60 Hz against bit-packed snapshots of the same run, both against a baseline six
//! frames old, so that any packet may be lost. Places as exact on each axis as the rival's (1/1024 m), rotations no
//! further off than its worst one.
//!
//! Both know the scene: the rival's guess has its ground, its gravity and how it slows down; our two ends simulate the
//! same cubes ([`KnownShapes`]), which know nothing of who pulls and tosses them. What the lane makes of them by itself,
//! without a [`Foresight`], stands beside it.
//!
//! Where the bytes of the lane alone go (seed 7): of 35 bits a cube told 19 are its place and 14 its rotation, since what
//! pushes a cube in the six frames that nobody knows yet is worth 2 to 4 cm, 12 to 20 of the steps asked for. Simulated,
//! those are 14 and 10. Tried without much gain before: gravity as a guess (0.7 %), what neighbours were surprised by
//! (0.15 %), rolling (none), roundings chosen by what they cost (0.4 %), a better lattice (2.6 %), learning from packet
//! to packet (2 %).

use std::collections::BTreeMap;

use anyhow::Context;
use gemba_net::body::{Foresight, Precision, angle_between};

use super::Sizes;
use super::bit_packing::{Packed, bits};
use super::body_lane::{Cost, WARM_UP_TICKS, send};
use super::cube_field::{KnownShapes, cubes};
use super::scene::{Scene, Seeded};
use crate::report::{Row, Runs};

const GOAL_RATIO: f64 = 0.55;
const BEHIND_TICKS: usize = 6;
const LOST: f32 = 0.05;

pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let [mut ratio, mut alone, mut lossy, mut ours, mut theirs, mut ahead] = std::array::from_fn(|_| Runs::default());
    let [mut our_error, mut their_error, mut lossy_error] = [0f64; 3];
    for run in 0..sizes.runs as u64 {
        let scene = cubes(7 + run, 3, sizes.ticks);
        let (rival, worst) = packed(&scene);
        their_error = their_error.max(worst);
        let precision = Precision::new(0.5 / 512.0, worst).context("no such precision")?;
        let shared = Some((|| Box::new(KnownShapes) as Box<dyn Foresight>) as fn() -> _);
        let foreseen = send(&scene, precision, BEHIND_TICKS, shared, || false)?;
        let guessed = send(&scene, precision, BEHIND_TICKS, None, || false)?;
        let mut random = Seeded(run);
        let lost = send(&scene, precision, BEHIND_TICKS, shared, || random.between(0.0, 1.0) < LOST)?;
        our_error = our_error.max(foreseen.rotation_error);
        lossy_error = lossy_error.max(lost.place_error);
        ratio.push(foreseen.bytes as f64 / rival as f64);
        alone.push(guessed.bytes as f64 / rival as f64);
        lossy.push(lost.bytes as f64 / rival as f64);
        ours.push(foreseen.bytes as f64 / foreseen.ticks as f64);
        theirs.push(rival as f64 / foreseen.ticks as f64);
        ahead.push((tick_millis(&foreseen) - tick_millis(&guessed)) / 2.0);
    }
    let row = |id: &str, what: String, unit, runs: &Runs, goal: Option<f64>, peers: &[(&str, f64)]| Row {
        id: id.to_owned(),
        what,
        value: runs.median(),
        unit,
        spread: runs.spread(),
        goal,
        pass: goal.map(|goal| runs.median() <= goal),
        peers: peers.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect::<BTreeMap<_, _>>(),
    };
    let what = format!(
        "901 cubes, 60 Hz, baseline 6 frames old, {} ticks, simulated at both ends: bytes against bit-packed snapshots \
         (rotations off by at most {our_error:.4} rad, theirs {their_error:.4})",
        sizes.ticks
    );
    let rival = [("smallest-three snapshots, predicted and bit-packed (Fiedler)", theirs.median())];
    let lossy_what = format!("with {LOST} of the packets lost: places off by at most {lossy_error:.5} m on an axis");
    Ok(vec![
        row("N2", what, "ratio", &ratio, Some(GOAL_RATIO), &[]),
        row("N2-bytes", "bytes of a frame".to_owned(), "B", &ours, None, &rival),
        row("N2-alone", "what the lane guesses alone, nothing simulated".to_owned(), "ratio", &alone, None, &[]),
        row("N2-lossy", lossy_what, "ratio", &lossy, None, &[]),
        row("N2-ahead", "to simulate what a packet needs, at each end".to_owned(), "ms", &ahead, None, &[]),
    ])
}

/// Bytes of the rival's frames, and how far off its rotations are at most.
fn packed(scene: &Scene) -> (u64, f64) {
    let packed: Vec<Vec<Packed>> = scene.ticks.iter().map(|frame| frame.iter().map(Packed::new).collect()).collect();
    let frames = WARM_UP_TICKS..packed.len();
    let bytes = frames.map(|t| bits(&packed[t], &packed[t - 6], &packed[t - 12]).div_ceil(8)).sum();
    let errors = packed.iter().flatten().zip(scene.ticks.iter().flatten());
    let worst = errors.map(|(packed, placed)| angle_between(packed.unpacked().1, placed.1)).fold(0.0, f64::max);
    (bytes, worst)
}

fn tick_millis(cost: &Cost) -> f64 {
    (cost.writing + cost.reading).as_secs_f64() * 1e3 / cost.ticks as f64
}
