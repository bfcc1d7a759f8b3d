//! A CNC cell: a part is put on its table, the door closes, a program runs, the door opens and the part waits to be
//! taken. The spindle's bearing warms with the work and is cooled by what flows through the cell's coolant valve: close
//! the valve and it overheats.

use gemba_twin::layout::tags;
use gemba_twin::machine_state::MachineState;
use gemba_twin::path::ThingPath;
use gemba_twin::sample::Quality;

use super::breakdown::Breakdown;
use super::chance::Chance;
use super::table::{Gauge, TagTable, gauge, stack_light, state};

/// Time of the program at the programmed feed, seconds.
const PROGRAM_SECS: f64 = 3.4;
/// Time the door takes, seconds.
const DOOR_SECS: f64 = 0.5;
/// Spindle speed while cutting, 1/min, and how quickly it gets there, 1/min each second.
const CUTTING_SPEED: f64 = 8000.0;
const SPINDLE_RAMP: f64 = 16_000.0;
/// Mean machining time between breakdowns, seconds. A cell machines a third of the time.
const MEAN_BETWEEN_BREAKDOWNS: f64 = 420.0;
/// One breakdown in so many takes the spindle drive's sensors with it.
const SENSORS_LOST: f64 = 0.25;
/// Share of parts that are scrap, without and with a breakdown while they were machined.
const SCRAP: f64 = 0.015;
const SCRAP_AFTER_BREAKDOWN: f64 = 0.35;
/// The bearing's temperatures, °C, at which the cell stops itself and at which it starts again.
const TOO_HOT: f64 = 80.0;
const COOL_AGAIN: f64 = 55.0;
/// Heating of the bearing, °C/s for each % of spindle load. With [`LOSS`] alone the bearing would settle some 75 °C above
/// its surroundings; with a third of the full flow, 16 °C.
const HEATING: f64 = 0.042;
/// Cooling by the air and by the full flow of coolant, 1/s.
const LOSS: f64 = 0.01;
const COOLANT_LOSS: f64 = 0.11;

const SPINDLE_GAUGE: Gauge = gauge("1/min", 0.0, 12_000.0, 1.0);
const LOAD_GAUGE: Gauge = gauge("%", 0.0, 120.0, 0.1);
const TEMPERATURE_GAUGE: Gauge = gauge("°C", 10.0, 90.0, 0.05);
const DOOR_GAUGE: Gauge = gauge("", 0.0, 1.0, 0.001);
const PROGRESS_GAUGE: Gauge = gauge("%", 0.0, 100.0, 0.1);
const CYCLE_GAUGE: Gauge = gauge("s", 0.0, 60.0, 0.01);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The table is empty and the door open.
    Empty,
    /// A part lies on the table; the door closes once the robot is out.
    Closing,
    Machining,
    Opening,
    /// The part waits to be taken.
    Finished,
}

/// One cell.
#[derive(Debug, Clone)]
pub(super) struct Cnc {
    phase: Phase,
    part: Option<usize>,
    /// 0 closed, 1 open.
    door: f64,
    /// 0 to 1.
    progress: f64,
    spindle: f64,
    load: f64,
    temperature: f64,
    is_too_hot: bool,
    has_lost_sensors: bool,
    was_disturbed: bool,
    breakdown: Breakdown,
    made: u64,
    since_cycle: f64,
    cycle: f64,
}

impl Cnc {
    pub(super) fn new(chance: &mut Chance) -> Self {
        Self {
            phase: Phase::Empty,
            part: None,
            door: 1.0,
            progress: 0.0,
            spindle: 0.0,
            load: 0.0,
            temperature: 24.0,
            is_too_hot: false,
            has_lost_sensors: false,
            was_disturbed: false,
            breakdown: Breakdown::new(MEAN_BETWEEN_BREAKDOWNS, chance),
            made: 0,
            since_cycle: 0.0,
            cycle: 0.0,
        }
    }

    /// Whether a part may be put on the table.
    pub(super) fn is_empty(&self) -> bool {
        self.phase == Phase::Empty
    }

    /// Whether a part waits to be taken.
    pub(super) fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    pub(super) fn is_machining(&self) -> bool {
        self.phase == Phase::Machining
    }

    pub(super) fn is_broken(&self) -> bool {
        self.breakdown.is_broken() || self.is_too_hot
    }

    pub(super) fn temperature(&self) -> f64 {
        self.temperature
    }

    /// The part on its table.
    pub(super) fn part(&self) -> Option<usize> {
        self.part
    }

    pub(super) fn put(&mut self, part: usize) {
        assert!(self.is_empty(), "whoever loads a cell looks first");
        (self.phase, self.part, self.progress, self.was_disturbed) = (Phase::Closing, Some(part), 0.0, false);
        (self.cycle, self.since_cycle) = (self.since_cycle, 0.0);
    }

    pub(super) fn take(&mut self) -> usize {
        assert!(self.is_finished(), "whoever unloads a cell looks first");
        self.phase = Phase::Empty;
        self.part.take().expect("a finished cell holds the part that was put into it")
    }

    /// Moves on by `dt`. `coolant` is the flow through its valve, 0 to 1, at `coolant_temperature`; `is_clear` says that
    /// no robot reaches in. Tells whether the part has just been finished as scrap or good.
    pub(super) fn step(
        &mut self,
        dt: f64,
        chance: &mut Chance,
        coolant: f64,
        coolant_temperature: f64,
        is_clear: bool,
    ) -> Option<bool> {
        self.since_cycle += dt;
        if self.breakdown.step(dt, self.is_machining(), chance) {
            self.has_lost_sensors = chance.happens(SENSORS_LOST);
            self.was_disturbed = true;
        }
        self.has_lost_sensors &= self.breakdown.is_broken();
        self.is_too_hot = self.temperature > if self.is_too_hot { COOL_AGAIN } else { TOO_HOT };
        self.turn_spindle(dt, chance);
        let cooling = COOLANT_LOSS * coolant * (self.temperature - coolant_temperature);
        let losses = LOSS * (self.temperature - 21.0) + cooling;
        self.temperature += (HEATING * self.load - losses) * dt;
        if self.is_broken() { None } else { self.work(dt, chance, is_clear) }
    }

    fn turn_spindle(&mut self, dt: f64, chance: &mut Chance) {
        let turns = self.is_machining() && !self.is_broken();
        let wanted = if turns { CUTTING_SPEED } else { 0.0 };
        self.spindle += (wanted - self.spindle).clamp(-SPINDLE_RAMP * dt, SPINDLE_RAMP * dt);
        let cuts = turns && self.spindle > 0.9 * CUTTING_SPEED;
        // Roughing takes more than finishing, and every tooth knocks a little.
        let cutting = if cuts { 62.0 - 24.0 * self.progress + 6.0 * (self.progress * 40.0).sin() } else { 0.0 };
        let idling = 6.0 * self.spindle / CUTTING_SPEED;
        self.load = (cutting + idling) * (1.0 + 0.05 * chance.noise());
    }

    fn work(&mut self, dt: f64, chance: &mut Chance, is_clear: bool) -> Option<bool> {
        match self.phase {
            Phase::Empty | Phase::Finished => None,
            Phase::Closing if !is_clear => None,
            Phase::Closing => {
                self.door = (self.door - dt / DOOR_SECS).max(0.0);
                if self.door == 0.0 {
                    self.phase = Phase::Machining;
                }
                None
            }
            Phase::Machining => {
                self.progress = (self.progress + dt / PROGRAM_SECS).min(1.0);
                if self.progress < 1.0 {
                    return None;
                }
                self.phase = Phase::Opening;
                self.made += 1;
                Some(chance.happens(if self.was_disturbed { SCRAP_AFTER_BREAKDOWN } else { SCRAP }))
            }
            Phase::Opening => {
                self.door = (self.door + dt / DOOR_SECS).min(1.0);
                if self.door == 1.0 {
                    self.phase = Phase::Finished;
                }
                None
            }
        }
    }

    pub(super) fn machine_state(&self) -> MachineState {
        match self.phase {
            _ if self.is_broken() => MachineState::Faulted,
            Phase::Empty => MachineState::Starved,
            Phase::Finished => MachineState::Blocked,
            Phase::Closing | Phase::Machining | Phase::Opening => MachineState::Running,
        }
    }

    pub(super) fn tell(&self, table: &mut TagTable, line: &ThingPath, name: &str) {
        let spindle = if self.has_lost_sensors { Quality::Bad } else { Quality::Good };
        table.thing(line, name);
        state(table, self.machine_state());
        table.quantity_of(tags::SPINDLE_SPEED, self.spindle, SPINDLE_GAUGE, spindle);
        table.quantity_of(tags::SPINDLE_LOAD, self.load, LOAD_GAUGE, spindle);
        table.quantity(tags::TEMPERATURE, self.temperature, TEMPERATURE_GAUGE);
        table.quantity(tags::DOOR, self.door, DOOR_GAUGE);
        table.quantity(tags::PROGRESS, self.progress * 100.0, PROGRESS_GAUGE);
        table.count(tags::PARTS_MADE, self.made);
        table.quantity(tags::CYCLE_TIME, self.cycle, CYCLE_GAUGE);
        stack_light(table, line, name, self.machine_state());
    }
}
