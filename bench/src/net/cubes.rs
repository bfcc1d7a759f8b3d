//! N2: bytes of 901 tumbling cubes at 60 Hz against bit-packed snapshots of the same run, both against a baseline six
//! frames old, so that any packet may be lost. Places as exact on each axis as the rival's (1/1024 m), rotations no
//! further off than its worst one.
//!
//! Where our bytes go (seed 7): of 34.8 bits of a cube told 18 are its place, 14 its rotation, 3 its name and rests. A cube in
//! free flight takes 24, one in the pile that is pulled along 39: what pushes a cube during the six frames nobody knows
//! yet is worth 2 to 4 cm, which is 12 to 20 of the steps asked for. Tried without much gain: gravity as a guess (0.7 %, and
//! only in flight), what neighbours were surprised by (0.15 %), rolling (none), roundings chosen by what they cost (0.4 %).
//! What is left is mostly contact. Not tried: what is learnt from packet to packet, a better lattice of rotations, a simulation
//! at both ends.

use std::collections::BTreeMap;

use anyhow::Context;
use gemba_net::body::{Precision, angle_between};

use super::Sizes;
use super::bit_packing::{Packed, bits};
use super::body_lane::send;
use super::scene::cubes;
use crate::report::{Row, Runs};

const GOAL_RATIO: f64 = 0.55;
const BEHIND_TICKS: usize = 6;
/// As in `body_lane`.
const WARM_UP_TICKS: usize = 60;

pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let [mut ratio, mut ours, mut theirs] = std::array::from_fn(|_| Runs::default());
    let (mut our_error, mut their_error) = (0f64, 0f64);
    for run in 0..sizes.runs as u64 {
        let scene = cubes(7 + run, 3, sizes.ticks);
        let packed: Vec<Vec<Packed>> =
            scene.ticks.iter().map(|frame| frame.iter().map(Packed::new).collect()).collect();
        let frames = WARM_UP_TICKS..packed.len();
        let rival: u64 = frames.map(|t| bits(&packed[t], &packed[t - 6], &packed[t - 12]).div_ceil(8)).sum();
        let errors = packed.iter().flatten().zip(scene.ticks.iter().flatten());
        let worst = errors.map(|(packed, placed)| angle_between(packed.unpacked().1, placed.1)).fold(0.0, f64::max);
        their_error = their_error.max(worst);
        let precision = Precision::new(0.5 / 512.0, worst).context("no such precision")?;
        let cost = send(&scene, precision, BEHIND_TICKS, || false)?;
        our_error = our_error.max(cost.rotation_error);
        ratio.push(cost.bytes as f64 / rival as f64);
        ours.push(cost.bytes as f64 / cost.ticks as f64);
        theirs.push(rival as f64 / cost.ticks as f64);
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
        "901 cubes, 60 Hz, baseline 6 frames old, {} ticks: bytes against bit-packed snapshots (rotations off by at most \
         {our_error:.4} rad, theirs {their_error:.4})",
        sizes.ticks
    );
    let rival = [("smallest-three snapshots, predicted and bit-packed (Fiedler)", theirs.median())];
    Ok(vec![
        row("N2", what, "ratio", &ratio, Some(GOAL_RATIO), &[]),
        row("N2-bytes", "bytes of a frame".to_owned(), "B", &ours, None, &rival),
    ])
}
