//! A conveyor: parts enter at its start, ride on the belt, keep their distance and wait at its end to be picked.

use std::collections::VecDeque;

use gemba_twin::layout;
use gemba_twin::layout::tags;
use gemba_twin::machine_state::MachineState;
use gemba_twin::path::ThingPath;

use super::breakdown::Breakdown;
use super::chance::Chance;
use super::part::PITCH;
use super::table::{Gauge, TagTable, gauge, state};

/// Belt speed, m/s.
const SPEED: f64 = 0.7;
/// How quickly the belt starts and stops, m/s².
const BELT_ACCELERATION: f64 = 1.4;
/// How hard a part brakes before one that stands, m/s².
const BRAKING: f64 = 2.0;
/// Mean running time between breakdowns, seconds.
const MEAN_BETWEEN_BREAKDOWNS: f64 = 3600.0;

const SPEED_GAUGE: Gauge = gauge("m/s", 0.0, 1.0, 0.002);
const CURRENT_GAUGE: Gauge = gauge("A", 0.0, 6.0, 0.02);

#[derive(Debug, Clone)]
struct Rider {
    part: usize,
    x: f64,
}

/// A conveyor and what rides on it.
#[derive(Debug, Clone)]
pub(super) struct Conveyor {
    layout: layout::Conveyor,
    /// From the end of the belt to its start.
    riders: VecDeque<Rider>,
    speed: f64,
    current: f64,
    breakdown: Breakdown,
}

impl Conveyor {
    pub(super) fn new(layout: layout::Conveyor, chance: &mut Chance) -> Self {
        let breakdown = Breakdown::new(MEAN_BETWEEN_BREAKDOWNS, chance);
        Self { layout, riders: VecDeque::new(), speed: 0.0, current: 0.0, breakdown }
    }

    /// Whether a part may be put at the start.
    pub(super) fn has_room(&self) -> bool {
        self.riders.back().is_none_or(|last| last.x - self.layout.from_x >= PITCH)
    }

    pub(super) fn put(&mut self, part: usize) {
        assert!(self.has_room(), "whoever puts a part on a belt looks first");
        self.riders.push_back(Rider { part, x: self.layout.from_x });
    }

    /// Whether a part waits at the end.
    pub(super) fn has_waiting(&self) -> bool {
        self.riders.front().is_some_and(|first| first.x >= self.layout.to_x)
    }

    pub(super) fn take(&mut self) -> usize {
        assert!(self.has_waiting(), "whoever takes a part off a belt looks first");
        self.riders.pop_front().expect("the front was looked at the line above").part
    }

    /// Parts and their places along X.
    pub(super) fn riders(&self) -> impl Iterator<Item = (usize, f64)> {
        self.riders.iter().map(|rider| (rider.part, rider.x))
    }

    pub(super) fn is_broken(&self) -> bool {
        self.breakdown.is_broken()
    }

    /// Moves on by `dt`. While the end is not clear of a part that was just taken, the next one stops a pitch before it.
    pub(super) fn step(&mut self, dt: f64, chance: &mut Chance, is_end_clear: bool) {
        self.breakdown.step(dt, self.speed > 0.0, chance);
        let end = self.layout.to_x - if is_end_clear { 0.0 } else { PITCH };
        let mut ahead = None;
        let may_move = self.riders.iter().any(|rider| {
            let room = ahead.map_or(end, |x: f64| x - PITCH) - rider.x;
            ahead = Some(rider.x);
            room > 1e-6
        });
        let wanted = if may_move && !self.is_broken() { SPEED } else { 0.0 };
        self.speed += (wanted - self.speed).clamp(-BELT_ACCELERATION * dt, BELT_ACCELERATION * dt);
        let mut limit = end;
        for rider in &mut self.riders {
            let room = (limit - rider.x).max(0.0);
            let speed = self.speed.min((2.0 * BRAKING * room).sqrt());
            // The last half millimetre is closed at once: a root never arrives.
            rider.x = if room < 5e-4 { rider.x.max(limit) } else { rider.x + (speed * dt).min(room) };
            limit = rider.x - PITCH;
        }
        let load = self.riders.len() as f64;
        let drawn = if self.speed > 0.0 { 0.7 + 1.6 * self.speed + 0.12 * load } else { 0.08 };
        self.current = (drawn * (1.0 + 0.02 * chance.noise())).max(0.0);
    }

    fn state(&self) -> MachineState {
        if self.is_broken() {
            MachineState::Faulted
        } else if self.speed > 0.0 {
            MachineState::Running
        } else if self.riders.is_empty() {
            MachineState::Starved
        } else if !self.has_room() {
            MachineState::Blocked
        } else {
            MachineState::Idle
        }
    }

    pub(super) fn tell(&self, table: &mut TagTable, line: &ThingPath, name: &str) {
        table.thing(line, name);
        state(table, self.state());
        table.quantity(tags::SPEED, self.speed, SPEED_GAUGE);
        table.quantity(tags::CURRENT, self.current, CURRENT_GAUGE);
        table.count(tags::PART_COUNT, self.riders.len() as u64);
    }
}
