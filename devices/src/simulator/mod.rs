//! A simulated plant: the production lines of [`gemba_twin::layout`] as physics and discrete events. Parts arrive, ride on
//! conveyors, are machined, put on pallets and driven away; coolant flows; machines starve, block, break down and are
//! mended.
//!
//! It has no clock and no sockets. The caller steps it, by [`STEP_SECS`] at a time; with the same seed, steps and commands
//! it reads the same to the last bit. What it leaves out: forces, tool wear, people, and the turning of parts.
//!
//! ```
//! let mut plant = gemba_devices::simulator::Simulator::new(1, 7);
//! plant.run(60.0);
//! assert!(plant.tags().iter().any(|tag| tag.path.as_str() == "Hall1/Line1/Robot1/Joint4/Angle"));
//! ```

mod amr;
mod breakdown;
mod chance;
mod cnc;
mod conveyor;
mod coolant;
mod line;
mod motion;
mod part;
mod robot;
mod table;

use gemba_twin::layout;
use gemba_twin::tag::Tag;

use self::chance::Chance;
use self::line::Line;
use self::table::TagTable;

pub use self::table::Reading;

/// Simulated time of one step, seconds. Belts move 18 mm in it and the fastest joint 10°.
pub const STEP_SECS: f64 = 0.025;

/// A plant of some production lines.
#[derive(Debug, Clone)]
pub struct Simulator {
    lines: Vec<Line>,
    table: TagTable,
    steps: u64,
}

impl Simulator {
    /// A plant that has just been switched on: all lines are empty.
    pub fn new(lines: usize, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let places = layout::halls(lines).into_iter().flat_map(|hall| hall.lines);
        let lines = places.map(|line| Line::new(line.path, chance.fork())).collect();
        let mut plant = Self { lines, table: TagTable::default(), steps: 0 };
        plant.tell();
        plant
    }

    /// Moves on by one step of [`STEP_SECS`].
    pub fn step(&mut self) {
        self.steps(1);
    }

    /// Moves on by some steps; the readings are those after the last.
    pub fn steps(&mut self, count: u64) {
        for _ in 0..count {
            self.lines.iter_mut().for_each(|line| line.step(STEP_SECS));
        }
        self.steps += count;
        if count > 0 {
            self.tell();
        }
    }

    /// Moves on by this many simulated seconds, to the nearest step.
    pub fn run(&mut self, secs: f64) {
        self.steps((secs.max(0.0) / STEP_SECS).round() as u64);
    }

    /// Simulated seconds since it was switched on.
    pub fn secs(&self) -> f64 {
        self.steps as f64 * STEP_SECS
    }

    /// All tags, in an order that never changes.
    pub fn tags(&self) -> &[Tag] {
        self.table.tags()
    }

    /// What they read now, in the same order.
    pub fn readings(&self) -> &[Reading] {
        self.table.readings()
    }

    /// Follows a command to the tag at place `tag`; false if it takes none. Only valves do, see
    /// [`layout::tags::POSITION`].
    pub fn command(&mut self, tag: usize, value: f64) -> bool {
        let Some(tag) = self.table.tags().get(tag).filter(|tag| tag.writable && value.is_finite()) else {
            return false;
        };
        let Some(valve) = tag.path.thing() else { return false };
        let Some(number) = valve.name().strip_prefix("Valve").and_then(|n| n.parse::<usize>().ok()) else {
            return false;
        };
        let line = self.lines.iter_mut().find(|line| valve.parent().as_ref() == Some(&line.path));
        match (line, number) {
            (Some(line), 1..=2) => line.coolant.command(number - 1, value),
            _ => return false,
        }
        true
    }

    fn tell(&mut self) {
        self.table.begin();
        self.lines.iter().for_each(|line| line.tell(&mut self.table));
        self.table.end();
    }
}

#[cfg(test)]
mod tests;
