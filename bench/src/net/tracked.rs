//! Heads and hands as a headset tracked them: a person at play, from `shared/data/motion`. Where that is missing, a
//! made-up person who looks about and reaches for things.

use std::path::Path;

use gemba_net::{Pose, TrackedPoint};

/// A recording, and where it is from.
pub struct Tracked {
    /// Head and hands, evenly in time.
    poses: Vec<Pose>,
    rate_hz: f64,
    pub source: &'static str,
}

/// The columns of a row: left hand, right hand, head, each a place and a quaternion (w first), and the time.
const COLUMNS: usize = 27;

impl Tracked {
    pub fn load() -> Self {
        let file = "shared/data/motion/questset-sample/sample_movement_data.csv";
        let places = [Path::new("..").join(file), Path::new("/work").join(file), Path::new(file).to_owned()];
        let text = places.iter().find_map(|path| std::fs::read_to_string(path).ok());
        match text.map(|text| parse(&text)).filter(|rows| rows.len() > 1000) {
            Some(rows) => {
                let seconds = rows[rows.len() - 1].0 - rows[0].0;
                let rate_hz = (rows.len() - 1) as f64 / seconds.max(1e-3);
                Self { poses: rows.into_iter().map(|row| row.1).collect(), rate_hz, source: "a Quest recording" }
            }
            None => Self { poses: (0..7200u16).map(made_up).collect(), rate_hz: 72.0, source: "made-up motion" },
        }
    }

    /// At `seconds` of somebody who stands at `place` on the floor and began elsewhere in the recording.
    pub fn at(&self, person: usize, seconds: f64, place: [f32; 2]) -> Pose {
        let frame = (seconds * self.rate_hz) as usize + person * 997;
        let pose = &self.poses[frame % self.poses.len()];
        let moved = |point: &TrackedPoint| {
            let [x, y, z] = point.place;
            TrackedPoint { place: [x + place[0], y + 1.6, z + place[1]], ..*point }
        };
        Pose { head: moved(&pose.head), hands: pose.hands.map(|hand| hand.as_ref().map(moved)), pointer: None }
    }
}

fn parse(text: &str) -> Vec<(f64, Pose)> {
    let row = |line: &str| {
        let numbers: Vec<f64> = line.split(',').filter_map(|field| field.trim().parse().ok()).collect();
        if numbers.len() != COLUMNS {
            return None;
        }
        let point = |from: usize| {
            let n = |i: usize| numbers[from + i] as f32;
            // Unity counts from the left; mirrored along Z it is ours.
            TrackedPoint { place: [n(0), n(1), -n(2)], rotation: [-n(4), -n(5), n(6), n(3)] }
        };
        let hands = [Some(point(5)), Some(point(12))];
        Some((numbers[26], Pose { head: point(19), hands, pointer: None }))
    };
    text.lines().filter_map(row).collect()
}

fn made_up(frame: u16) -> Pose {
    let time = f32::from(frame) / 72.0;
    let turn = |yaw: f32| [0.0, (yaw / 2.0).sin(), 0.0, (yaw / 2.0).cos()];
    let sway = |rate: f32, by: f32| (time * rate).sin() * by;
    let hand = |side: f32| {
        let place = [side * 0.3 + sway(2.1 + side * 0.3, 0.2), -0.5 + sway(1.7, 0.25), -0.35 + sway(2.9, 0.15)];
        Some(TrackedPoint { place, rotation: turn(sway(3.1 + side, 0.8)) })
    };
    let head =
        TrackedPoint { place: [sway(0.7, 0.1), sway(1.1, 0.03), sway(0.9, 0.1)], rotation: turn(sway(0.8, 0.9)) };
    Pose { head, hands: [hand(-1.0), hand(1.0)], pointer: None }
}
