//! N2: bytes of 901 tumbling cubes at 60 Hz against bit-packed snapshots of the same run, both against a baseline six
//! frames old, so that any packet may be lost. Places as exact on each axis as the rival's (1/1024 m), rotations no
//! further off than its worst one.

use std::collections::BTreeMap;

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
    let precision = Precision::new(0.5 / 512.0, 0.0078).ok_or_else(|| anyhow::anyhow!("no such precision"))?;
    let [mut ratio, mut ours, mut theirs] = std::array::from_fn(|_| Runs::default());
    let (mut our_error, mut their_error) = (0f64, 0f64);
    for run in 0..sizes.runs as u64 {
        let scene = cubes(7 + run, 3, sizes.ticks);
        let cost = send(&scene, precision, BEHIND_TICKS, || false)?;
        let packed: Vec<Vec<Packed>> =
            scene.ticks.iter().map(|frame| frame.iter().map(Packed::new).collect()).collect();
        let frames = WARM_UP_TICKS..packed.len();
        let rival: u64 = frames.map(|t| bits(&packed[t], &packed[t - 6], &packed[t - 12]).div_ceil(8)).sum();
        for (packed, placed) in packed.iter().flatten().zip(scene.ticks.iter().flatten()) {
            their_error = their_error.max(angle_between(packed.unpacked().1, placed.1));
        }
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
