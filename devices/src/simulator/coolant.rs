//! The coolant circuit: the upper tank feeds both CNC cells through a valve each, what has passed a cell runs warm into
//! the lower tank, and a pump lifts it back when the lower tank is full enough. Liquid is neither made nor lost.

use gemba_twin::layout::{TANK_HEIGHT, TANK_RADIUS, tags};
use gemba_twin::machine_state::MachineState;
use gemba_twin::path::ThingPath;

use super::breakdown::Breakdown;
use super::chance::Chance;
use super::table::{Gauge, TagTable, gauge, state};

/// What a tank holds, litres.
const TANK_LITRES: f64 = std::f64::consts::PI * TANK_RADIUS * TANK_RADIUS * TANK_HEIGHT * 1000.0;
/// Flow through an open valve at the usual level, L/min.
const FULL_FLOW: f64 = 300.0;
/// Level of the upper tank at which a valve passes its full flow, %.
const USUAL_LEVEL: f64 = 65.0;
/// Where the automatic control puts a valve while its cell machines and while it rests, %.
const MACHINING_POSITION: f64 = 80.0;
const RESTING_POSITION: f64 = 12.0;
/// How quickly a valve turns, % a second.
const VALVE_SPEED: f64 = 60.0;
/// Time in which most of what a cell holds has run off, seconds.
const RUN_OFF_SECS: f64 = 8.0;
/// Levels of the lower tank at which the pump starts and stops, %.
const PUMP_STARTS: f64 = 55.0;
const PUMP_STOPS: f64 = 45.0;
/// Level of the upper tank at which the pump stops in any case, %.
const PUMP_FORBIDDEN: f64 = 95.0;
/// The pump at its rated speed, 1/min: what it lifts, L/min, and how quickly it gets there, 1/min each second.
const RATED_SPEED: f64 = 2900.0;
const RATED_FLOW: f64 = 800.0;
const PUMP_RAMP: f64 = 1450.0;
/// Mean running time between breakdowns of the pump, seconds.
const MEAN_BETWEEN_BREAKDOWNS: f64 = 1500.0;
/// Temperature the chiller of the upper tank aims at, and of the hall, °C.
const CHILLED: f64 = 19.0;
const HALL: f64 = 22.0;

const LEVEL_GAUGE: Gauge = gauge("%", 0.0, 100.0, 0.01);
const TEMPERATURE_GAUGE: Gauge = gauge("°C", 0.0, 80.0, 0.02);
const POSITION_GAUGE: Gauge = gauge("%", 0.0, 100.0, 0.1);
const FLOW_GAUGE: Gauge = gauge("L/min", 0.0, 400.0, 0.5);
const SPEED_GAUGE: Gauge = gauge("1/min", 0.0, 3000.0, 1.0);
const CURRENT_GAUGE: Gauge = gauge("A", 0.0, 20.0, 0.05);
const PRESSURE_GAUGE: Gauge = gauge("bar", 0.0, 6.0, 0.01);

#[derive(Debug, Clone)]
struct Tank {
    litres: f64,
    temperature: f64,
}

impl Tank {
    /// %, which a sensor in the tank shows.
    fn level(&self) -> f64 {
        self.litres / TANK_LITRES * 100.0
    }

    fn add(&mut self, litres: f64, temperature: f64) {
        let all = self.litres + litres;
        if all > 0.0 {
            self.temperature += (temperature - self.temperature) * litres / all;
        }
        self.litres = all;
    }
}

/// A valve and the cell behind it.
#[derive(Debug, Clone)]
struct Valve {
    /// 0 closed, 100 open.
    position: f64,
    /// What somebody commands; none leaves it to the automatic control.
    commanded: Option<f64>,
    /// L/min.
    flow: f64,
    shown_flow: f64,
    /// Liquid in the cell, on its way to the lower tank.
    run_off: f64,
}

/// The whole circuit of a line.
#[derive(Debug, Clone)]
pub(super) struct Coolant {
    tanks: [Tank; 2],
    valves: [Valve; 2],
    pump_on: bool,
    pump_speed: f64,
    pump_current: f64,
    pump_breakdown: Breakdown,
}

impl Coolant {
    pub(super) fn new(chance: &mut Chance) -> Self {
        let tank = |level: f64| Tank { litres: TANK_LITRES * level / 100.0, temperature: HALL };
        let valve = Valve { position: RESTING_POSITION, commanded: None, flow: 0.0, shown_flow: 0.0, run_off: 0.0 };
        let second = chance.between(PUMP_STOPS, PUMP_STARTS);
        Self {
            tanks: [tank(115.0 - second), tank(second)],
            valves: [valve.clone(), valve],
            pump_on: false,
            pump_speed: 0.0,
            pump_current: 0.0,
            pump_breakdown: Breakdown::new(MEAN_BETWEEN_BREAKDOWNS, chance),
        }
    }

    /// Flow through the valve of a cell, as a share of the full flow.
    pub(super) fn share(&self, cell: usize) -> f64 {
        self.valves[cell].flow / FULL_FLOW
    }

    /// °C of what flows to the cells.
    pub(super) fn temperature(&self) -> f64 {
        self.tanks[0].temperature
    }

    /// Follows a command to a valve, % open; below 0 gives it back to the automatic control.
    pub(super) fn command(&mut self, valve: usize, position: f64) {
        self.valves[valve].commanded = (position >= 0.0).then(|| position.min(100.0));
    }

    /// Moves on by `dt`, with what each cell does and how warm it is.
    pub(super) fn step(&mut self, dt: f64, chance: &mut Chance, machining: [bool; 2], warmth: [f64; 2]) {
        for cell in 0..2 {
            self.step_valve(dt, chance, cell, machining[cell], warmth[cell]);
        }
        self.step_pump(dt, chance);
        let [upper, lower] = &mut self.tanks;
        upper.temperature += (CHILLED - upper.temperature) * dt / 240.0;
        lower.temperature += (HALL - lower.temperature) * dt / 900.0;
    }

    fn step_valve(&mut self, dt: f64, chance: &mut Chance, cell: usize, machining: bool, warmth: f64) {
        let [upper, lower] = &mut self.tanks;
        let valve = &mut self.valves[cell];
        let automatic = if machining { MACHINING_POSITION } else { RESTING_POSITION };
        let wanted = valve.commanded.unwrap_or(automatic);
        valve.position += (wanted - valve.position).clamp(-VALVE_SPEED * dt, VALVE_SPEED * dt);
        let head = (upper.level() / USUAL_LEVEL).max(0.0).sqrt();
        valve.flow = FULL_FLOW * valve.position / 100.0 * head;
        let passed = (valve.flow * dt / 60.0).min(upper.litres);
        upper.litres -= passed;
        valve.run_off += passed;
        let runs_off = valve.run_off * (dt / RUN_OFF_SECS).min(1.0);
        valve.run_off -= runs_off;
        let warmed = upper.temperature + 0.6 * (warmth - upper.temperature);
        lower.add(runs_off, warmed);
        valve.shown_flow = (valve.flow * (1.0 + 0.01 * chance.noise())).max(0.0);
    }

    fn step_pump(&mut self, dt: f64, chance: &mut Chance) {
        self.pump_breakdown.step(dt, self.pump_on, chance);
        let [upper, lower] = &mut self.tanks;
        self.pump_on = lower.level() > if self.pump_on { PUMP_STOPS } else { PUMP_STARTS };
        let runs = self.pump_on && !self.pump_breakdown.is_broken() && upper.level() < PUMP_FORBIDDEN;
        let wanted = if runs { RATED_SPEED } else { 0.0 };
        self.pump_speed += (wanted - self.pump_speed).clamp(-PUMP_RAMP * dt, PUMP_RAMP * dt);
        let share = self.pump_speed / RATED_SPEED;
        let lifted = (RATED_FLOW * share * dt / 60.0).min(lower.litres);
        lower.litres -= lifted;
        upper.add(lifted, lower.temperature);
        let drawn = if share > 0.0 { 1.5 + 11.0 * share.powi(3) } else { 0.0 };
        self.pump_current = drawn * (1.0 + 0.015 * chance.noise());
    }

    fn pump_state(&self) -> MachineState {
        if self.pump_breakdown.is_broken() {
            MachineState::Faulted
        } else if self.pump_speed > 0.0 {
            MachineState::Running
        } else {
            MachineState::Idle
        }
    }

    /// All liquid, litres.
    #[cfg(test)]
    pub(super) fn litres(&self) -> f64 {
        self.tanks.iter().map(|tank| tank.litres).sum::<f64>()
            + self.valves.iter().map(|valve| valve.run_off).sum::<f64>()
    }

    pub(super) fn tell(&self, table: &mut TagTable, line: &ThingPath) {
        for (n, tank) in self.tanks.iter().enumerate() {
            table.thing(line, &format!("Tank{}", n + 1));
            table.quantity(tags::LEVEL, tank.level(), LEVEL_GAUGE);
            table.quantity(tags::TEMPERATURE, tank.temperature, TEMPERATURE_GAUGE);
        }
        table.thing(line, "Pump1");
        state(table, self.pump_state());
        let share = self.pump_speed / RATED_SPEED;
        table.quantity(tags::SPEED, self.pump_speed, SPEED_GAUGE);
        table.quantity(tags::CURRENT, self.pump_current, CURRENT_GAUGE);
        table.quantity(tags::PRESSURE, 3.4 * share * share, PRESSURE_GAUGE);
        for (n, valve) in self.valves.iter().enumerate() {
            table.thing(line, &format!("Valve{}", n + 1));
            table.command(tags::POSITION, valve.position, POSITION_GAUGE);
            table.quantity(tags::FLOW, valve.shown_flow, FLOW_GAUGE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn liquid_is_neither_made_nor_lost_whatever_the_valves_do() {
        let mut chance = Chance::new(5);
        let mut coolant = Coolant::new(&mut chance);
        let before = coolant.litres();
        for step in 0..400_000u32 {
            if step % 20_000 == 0 {
                let wanted = chance.between(-50.0, 150.0);
                coolant.command((step / 20_000 % 2) as usize, wanted);
            }
            coolant.step(0.025, &mut chance, [step % 400 < 150, step % 300 < 100], [35.0, 40.0]);
            assert!(coolant.tanks.iter().all(|tank| (0.0..=100.0).contains(&tank.level())));
        }
        assert!((coolant.litres() - before).abs() < 1e-3, "{} became {}", before, coolant.litres());
    }

    #[test]
    fn a_valve_follows_a_command_until_it_is_given_back() {
        let mut chance = Chance::new(5);
        let mut coolant = Coolant::new(&mut chance);
        let mut after_five_seconds = |coolant: &mut Coolant| {
            (0..200).for_each(|_| coolant.step(0.025, &mut chance, [false; 2], [25.0; 2]));
            (coolant.valves[0].position, coolant.valves[0].flow)
        };
        coolant.command(0, 100.0);
        let open = after_five_seconds(&mut coolant);
        coolant.command(0, 0.0);
        let closed = after_five_seconds(&mut coolant);
        coolant.command(0, -1.0);
        let automatic = after_five_seconds(&mut coolant);
        assert_eq!((open.0, closed.0, automatic.0), (100.0, 0.0, RESTING_POSITION));
        assert!(open.1 > 250.0 && closed.1 == 0.0 && automatic.1 > 10.0);
    }
}
