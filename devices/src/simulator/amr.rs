//! An autonomous vehicle: it stands at the dock until its pallet is full, drives it to the rack, takes an empty pallet
//! and queues for the dock again. It has swivelling wheels: empty, it faces the way it drives; with a load aboard it
//! keeps the heading it was loaded at, so that the parts stay square to the line.

use gemba_twin::layout::{AMR_LOOP, PALLET_SLOTS, tags};
use gemba_twin::machine_state::MachineState;
use gemba_twin::path::ThingPath;
use glam::DVec3;

use super::breakdown::Breakdown;
use super::chance::Chance;
use super::table::{Gauge, TagTable, gauge, state};

/// Corners of the loop, see [`AMR_LOOP`].
pub(super) const DOCK: usize = 0;
const RACK: usize = 2;
const EMPTIES: usize = 3;
pub(super) const QUEUE: usize = 4;

/// In which order the places of a pallet are filled: layer by layer, the far side first, so that the arm never carries a
/// part through one that lies there.
const FILLING_ORDER: [usize; PALLET_SLOTS.len()] = [3, 1, 2, 0, 7, 5, 6, 4];

/// Driving: m/s and m/s².
const SPEED: f64 = 1.0;
const ACCELERATION: f64 = 0.5;
/// Turning on the spot: degrees a second, and a second squared.
const TURN_SPEED: f64 = 80.0;
const TURN_ACCELERATION: f64 = 120.0;
/// How far a vehicle must be from a corner it left before another may come there, metres: nearly the whole way from the
/// dock to the next corner, since the way to the dock runs close by.
const CLEARANCE: f64 = 2.4;
/// Time to hand a pallet over, seconds.
const HANDOVER_SECS: f64 = 3.0;
/// Mean driving time between breakdowns, seconds.
const MEAN_BETWEEN_BREAKDOWNS: f64 = 1200.0;
/// Battery, % a second: driving, standing, and charging at the dock.
const DRIVE_DRAIN: f64 = 0.06;
const STAND_DRAIN: f64 = 0.006;
const CHARGE: f64 = 0.035;

const PLACE_GAUGE: Gauge = gauge("m", 25.0, 45.0, 0.001);
const HEADING_GAUGE: Gauge = gauge("°", -90.0, 270.0, 0.05);
const BATTERY_GAUGE: Gauge = gauge("%", 0.0, 100.0, 0.1);

#[derive(Debug, Clone)]
struct Leg {
    to: usize,
    along: f64,
    length: f64,
}

/// One vehicle.
#[derive(Debug, Clone)]
pub(super) struct Amr {
    /// The corner it stands at, or has left.
    corner: usize,
    leg: Option<Leg>,
    speed: f64,
    /// Degrees about +Y. It never turns through the side where −90 meets 270, so the number never jumps.
    heading: f64,
    turning: f64,
    handover_left: f64,
    load: Vec<usize>,
    battery: f64,
    is_held_up: bool,
    breakdown: Breakdown,
}

impl Amr {
    /// An empty vehicle that stands at a corner.
    pub(super) fn new(corner: usize, chance: &mut Chance) -> Self {
        Self {
            corner,
            leg: None,
            speed: 0.0,
            heading: 180.0,
            turning: 0.0,
            handover_left: 0.0,
            load: Vec::new(),
            battery: chance.between(60.0, 95.0),
            is_held_up: false,
            breakdown: Breakdown::new(MEAN_BETWEEN_BREAKDOWNS, chance),
        }
    }

    /// Where it is, on the floor, in the line's frame.
    pub(super) fn place(&self) -> DVec3 {
        let from = AMR_LOOP[self.corner];
        match &self.leg {
            Some(leg) => from.lerp(AMR_LOOP[leg.to], leg.along / leg.length),
            None => from,
        }
    }

    /// The place that is filled next, if it stands at the dock and is not full.
    pub(super) fn next_slot(&self) -> Option<usize> {
        let is_docked = self.corner == DOCK && self.leg.is_none() && self.turning == 0.0;
        FILLING_ORDER.get(self.load.len()).copied().filter(|_| is_docked)
    }

    /// Puts a part at the place [`next_slot`](Self::next_slot) named.
    pub(super) fn put(&mut self, part: usize) {
        assert!(self.next_slot().is_some(), "whoever loads a pallet looks first");
        self.load.push(part);
    }

    /// Parts on its pallet, and their places.
    pub(super) fn load(&self) -> impl Iterator<Item = (usize, DVec3)> {
        let place = self.place();
        self.load.iter().zip(FILLING_ORDER).map(move |(part, slot)| (*part, place + PALLET_SLOTS[slot]))
    }

    /// Whether it is at a corner, goes there, or has not left it far enough behind.
    pub(super) fn occupies(&self, corner: usize) -> bool {
        match &self.leg {
            Some(leg) => leg.to == corner || (self.corner == corner && leg.along < CLEARANCE),
            None => self.corner == corner,
        }
    }

    /// Moves on by `dt`. `is_free` says whether a corner is free of other vehicles, `may_leave` whether the robot is out
    /// of the way. Gives the parts that have just been handed to the rack.
    pub(super) fn step(
        &mut self,
        dt: f64,
        chance: &mut Chance,
        is_free: impl Fn(usize) -> bool,
        may_leave: bool,
    ) -> Option<Vec<usize>> {
        self.breakdown.step(dt, self.leg.is_some(), chance);
        let drain = match (&self.leg, self.corner) {
            (Some(_), _) => DRIVE_DRAIN,
            (None, DOCK) => -CHARGE,
            (None, _) => STAND_DRAIN,
        };
        self.battery = (self.battery - drain * dt).clamp(0.0, 100.0);
        if self.leg.is_some() {
            self.drive(dt);
            return None;
        }
        if self.breakdown.is_broken() {
            return None;
        }
        if self.handover_left > 0.0 {
            self.handover_left -= dt;
            let is_handed_over = self.handover_left <= 0.0 && self.corner == RACK;
            return is_handed_over.then(|| std::mem::take(&mut self.load));
        }
        let next = (self.corner + 1) % AMR_LOOP.len();
        // The corner before the dock is no place to wait: whoever leaves the queue goes all the way.
        let is_way_free = is_free(next) && (self.corner != QUEUE || is_free(DOCK));
        let is_done = self.corner != DOCK || (self.load.len() == PALLET_SLOTS.len() && may_leave);
        self.is_held_up = is_done && !is_way_free;
        if is_done && is_way_free && self.faces(leg_heading(self.corner, self.load.is_empty()), dt) {
            let length = AMR_LOOP[self.corner].distance(AMR_LOOP[next]);
            self.leg = Some(Leg { to: next, along: 0.0, length });
        }
        None
    }

    fn drive(&mut self, dt: f64) {
        let is_broken = self.breakdown.is_broken();
        let Some(leg) = &mut self.leg else { return };
        let room = leg.length - leg.along;
        let limit = if is_broken { 0.0 } else { SPEED.min((2.0 * ACCELERATION * room).sqrt()) };
        let change = ACCELERATION * dt;
        self.speed += (limit - self.speed).clamp(-4.0 * change, change);
        leg.along += self.speed * dt;
        if room < 2e-3 || leg.along >= leg.length {
            self.corner = leg.to;
            self.leg = None;
            self.speed = 0.0;
            let hands_over = matches!(self.corner, RACK | EMPTIES);
            self.handover_left = if hands_over { HANDOVER_SECS } else { 0.0 };
        }
    }

    /// Turns towards a heading; true once it is there.
    fn faces(&mut self, wanted: f64, dt: f64) -> bool {
        let left = wanted - self.heading;
        if left.abs() < 0.2 {
            (self.heading, self.turning) = (wanted, 0.0);
            return true;
        }
        let limit = TURN_SPEED.min((2.0 * TURN_ACCELERATION * left.abs()).sqrt());
        self.turning = (self.turning + TURN_ACCELERATION * dt).min(limit);
        self.heading += left.signum() * (self.turning * dt).min(left.abs());
        false
    }

    fn machine_state(&self) -> MachineState {
        if self.breakdown.is_broken() {
            MachineState::Faulted
        } else if self.leg.is_some() || self.turning > 0.0 || self.handover_left > 0.0 {
            MachineState::Running
        } else if self.is_held_up {
            MachineState::Blocked
        } else {
            MachineState::Idle
        }
    }

    pub(super) fn tell(&self, table: &mut TagTable, line: &ThingPath, name: &str) {
        let place = self.place();
        table.thing(line, name);
        state(table, self.machine_state());
        table.quantity(tags::X, place.x, PLACE_GAUGE);
        table.quantity(tags::Z, place.z, gauge("m", -10.0, 10.0, 0.001));
        table.quantity(tags::HEADING, self.heading, HEADING_GAUGE);
        table.quantity(tags::BATTERY, self.battery, BATTERY_GAUGE);
    }
}

/// Heading on the leg that leaves a corner, degrees in −90 to 270.
fn leg_heading(corner: usize, is_empty: bool) -> f64 {
    if !is_empty {
        return 180.0;
    }
    let way = AMR_LOOP[(corner + 1) % AMR_LOOP.len()] - AMR_LOOP[corner];
    let heading = (-way.z).atan2(way.x).to_degrees();
    if heading < -90.0 { heading + 360.0 } else { heading }
}
