//! One production line: who does what when. Machines know how they work; here it is decided what a robot does next,
//! what passes from one machine to the other, and what counts as made.

use gemba_twin::kpi::Production;
use gemba_twin::layout::{
    AMR_LOOP, AMRS, CNC_TABLE, CNCS, CONVEYORS, IDEAL_CYCLE_SECS, PALLET_SLOTS, PARTS, ROBOTS, tags,
};
use gemba_twin::machine_state::MachineState;
use gemba_twin::path::ThingPath;
use glam::DVec3;

use super::amr::{Amr, DOCK, QUEUE};
use super::chance::Chance;
use super::cnc::Cnc;
use super::conveyor::Conveyor;
use super::coolant::Coolant;
use super::part::{PITCH, Part, on_belt};
use super::robot::{Deed, Robot, Spot, Step};
use super::table::{Gauge, TagTable, gauge};

/// How far above a belt or a table a robot carries a part, metres: over any part that lies there.
const HOVER: f64 = 0.36;
/// How far above the far side of a pallet, where the arm is nearly stretched and the near side still empty, metres.
const LOW_HOVER: f64 = 0.15;
/// From a CNC's table to where a robot waits before its door: out of it and a little up, metres.
const BEFORE_DOOR: DVec3 = DVec3::new(0.0, 0.15, 0.40);
/// Mean time between two parts that arrive, seconds; half of it is certain.
const MEAN_ARRIVAL: f64 = 9.4;
/// The robot that fills pallets.
const PALLETISER: usize = 2;

const KPI_GAUGE: Gauge = gauge("%", 0.0, 100.0, 0.1);

/// A line and everything on it.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) path: ThingPath,
    pub(super) parts: Vec<Part>,
    pub(super) conveyors: Vec<Conveyor>,
    pub(super) robots: Vec<Robot>,
    pub(super) cncs: Vec<Cnc>,
    pub(super) coolant: Coolant,
    pub(super) amrs: Vec<Amr>,
    pub(super) production: Production,
    next_arrival: f64,
    chance: Chance,
}

impl Line {
    pub(super) fn new(path: ThingPath, mut chance: Chance) -> Self {
        let hover_feed = |i: usize| on_belt(CONVEYORS[i].to_x) + DVec3::Y * HOVER;
        Self {
            path,
            parts: vec![Part::absent(); PARTS],
            conveyors: CONVEYORS.iter().map(|conveyor| Conveyor::new(*conveyor, &mut chance)).collect(),
            robots: (0..ROBOTS.len()).map(|i| Robot::new(ROBOTS[i], hover_feed(i), &mut chance)).collect(),
            cncs: CNCS.iter().map(|_| Cnc::new(&mut chance)).collect(),
            coolant: Coolant::new(&mut chance),
            amrs: [DOCK, QUEUE].map(|corner| Amr::new(corner, &mut chance)).into(),
            production: Production { ideal_cycle_secs: IDEAL_CYCLE_SECS, ..Production::default() },
            next_arrival: 1.0,
            chance,
        }
    }

    /// Moves on by `dt` seconds.
    pub(super) fn step(&mut self, dt: f64) {
        self.let_parts_arrive(dt);
        for i in 0..self.conveyors.len() {
            // The stop before the end of the belt opens only when the part that was taken is well away.
            let is_end_clear = self.is_end_clear(i);
            self.conveyors[i].step(dt, &mut self.chance, is_end_clear);
        }
        for i in 0..self.robots.len() {
            self.plan(i);
            self.step_robot(i, dt);
        }
        let machining = [0, 1].map(|i| self.cncs[i].is_machining());
        let warmth = [0, 1].map(|i| self.cncs[i].temperature());
        self.coolant.step(dt, &mut self.chance, machining, warmth);
        for i in 0..self.cncs.len() {
            self.step_cnc(i, dt);
        }
        for i in 0..AMRS {
            self.step_amr(i, dt);
        }
        self.carry_parts();
        self.production.planned_secs += dt;
        if !self.is_down() {
            self.production.up_secs += dt;
        }
    }

    /// Whether a machine that parts pass through is out of order.
    fn is_down(&self) -> bool {
        self.conveyors.iter().any(Conveyor::is_broken)
            || self.robots.iter().any(Robot::is_broken)
            || self.cncs.iter().any(Cnc::is_broken)
    }

    fn let_parts_arrive(&mut self, dt: f64) {
        self.next_arrival -= dt;
        if self.next_arrival > 0.0 || !self.conveyors[0].has_room() {
            return;
        }
        let Some(part) = self.parts.iter().position(|part| !part.is_present) else { return };
        self.parts[part] = Part { is_present: true, ..Part::absent() };
        self.conveyors[0].put(part);
        self.next_arrival = MEAN_ARRIVAL / 2.0 + self.chance.exponential(MEAN_ARRIVAL / 2.0);
    }

    fn is_end_clear(&self, i: usize) -> bool {
        let away = (self.robots[i].tool_in_line() - on_belt(CONVEYORS[i].to_x)).abs();
        self.robots[i].held().is_none() || away.max_element() >= PITCH - 0.02
    }

    /// Where a robot grips or leaves a part, and where it hovers before and after.
    fn poses(&self, i: usize, spot: Spot) -> [DVec3; 2] {
        match spot {
            Spot::Feed => [on_belt(CONVEYORS[i].to_x), DVec3::Y * HOVER],
            Spot::Outlet => [on_belt(CONVEYORS[i + 1].from_x), DVec3::Y * HOVER],
            Spot::Table => [CNCS[i] + CNC_TABLE, BEFORE_DOOR],
            Spot::Pallet { slot, .. } => {
                let is_far = PALLET_SLOTS[slot].x > 0.0;
                [AMR_LOOP[DOCK] + PALLET_SLOTS[slot], DVec3::Y * if is_far { LOW_HOVER } else { HOVER }]
            }
        }
    }

    /// Fetch a part from one spot and bring it to another.
    fn errand(&self, i: usize, from: Spot, to: Spot) -> [Step; 9] {
        let robot = &self.robots[i];
        let [take, take_off] = self.poses(i, from);
        let [put, put_off] = self.poses(i, to);
        let (above_take, above_put) = (robot.pose(take + take_off), robot.pose(put + put_off));
        [
            Step::Move(above_take),
            Step::Move(robot.pose(take)),
            Step::Grip(from),
            Step::Move(above_take),
            Step::Move(above_put),
            Step::Await(to),
            Step::Move(robot.pose(put)),
            Step::Release(to),
            Step::Move(above_put),
        ]
    }

    fn plan(&mut self, i: usize) {
        if !self.robots[i].is_idle() {
            return;
        }
        let has_feed = self.conveyors[i].has_waiting();
        let errand = if i == PALLETISER {
            self.docked().filter(|_| has_feed).map(|pallet| (Spot::Feed, pallet))
        } else if self.cncs[i].is_finished() {
            Some((Spot::Table, Spot::Outlet))
        } else {
            (self.cncs[i].is_empty() && has_feed).then_some((Spot::Feed, Spot::Table))
        };
        if let Some((from, to)) = errand {
            let steps = self.errand(i, from, to);
            self.robots[i].plan(steps);
        } else if i == PALLETISER || self.cncs[i].is_empty() {
            let [feed, off] = self.poses(i, Spot::Feed);
            let home = self.robots[i].pose(feed + off);
            if !self.robots[i].is_at(&home) {
                self.robots[i].plan([Step::Move(home)]);
            }
        }
    }

    /// The next place of the pallet at the dock, if there is one.
    fn docked(&self) -> Option<Spot> {
        self.amrs.iter().enumerate().find_map(|(amr, it)| it.next_slot().map(|slot| Spot::Pallet { amr, slot }))
    }

    fn step_robot(&mut self, i: usize, dt: f64) {
        let (conveyors, cncs, amrs) = (&self.conveyors, &self.cncs, &self.amrs);
        let deed = self.robots[i].step(dt, &mut self.chance, |spot| match spot {
            Spot::Feed => conveyors[i].has_waiting(),
            Spot::Outlet => conveyors[i + 1].has_room(),
            Spot::Table => cncs[i].is_empty(),
            Spot::Pallet { amr, slot } => amrs[amr].next_slot() == Some(slot),
        });
        match deed {
            None => {}
            Some(Deed::Gripped(spot)) => {
                let part = match spot {
                    Spot::Feed => self.conveyors[i].take(),
                    _ => self.cncs[i].take(),
                };
                self.robots[i].hold(Some(part));
            }
            Some(Deed::Released(spot)) => self.release(i, spot),
        }
    }

    fn release(&mut self, i: usize, spot: Spot) {
        let part = self.robots[i].held().expect("a robot releases only in an errand that began with a grip");
        self.robots[i].hold(None);
        self.parts[part].place = self.poses(i, spot)[0];
        match spot {
            Spot::Table => self.cncs[i].put(part),
            Spot::Pallet { amr, .. } => {
                self.amrs[amr].put(part);
                self.production.parts += 1;
                self.production.scrap += u64::from(self.parts[part].is_scrap);
                self.robots[i].end_cycle();
            }
            Spot::Outlet | Spot::Feed => {
                self.conveyors[i + 1].put(part);
                self.robots[i].end_cycle();
            }
        }
    }

    fn step_cnc(&mut self, i: usize, dt: f64) {
        let is_clear = self.robots[i].tool_in_line().z > (CNCS[i] + CNC_TABLE).z + 0.3;
        let (flow, temperature) = (self.coolant.share(i), self.coolant.temperature());
        let part = self.cncs[i].part();
        let finished = self.cncs[i].step(dt, &mut self.chance, flow, temperature, is_clear);
        if let (Some(true), Some(part)) = (finished, part) {
            self.parts[part].is_scrap = true;
        }
    }

    fn step_amr(&mut self, i: usize, dt: f64) {
        let away = (self.robots[PALLETISER].tool_in_line() - AMR_LOOP[DOCK]) * DVec3::new(1.0, 0.0, 1.0);
        let may_leave = self.robots[PALLETISER].held().is_none() && away.length() > 0.75;
        let (before, from_here) = self.amrs.split_at_mut(i);
        let Some((amr, after)) = from_here.split_first_mut() else { return };
        let is_free = |corner| before.iter().chain(after.iter()).all(|other| !other.occupies(corner));
        for part in amr.step(dt, &mut self.chance, is_free, may_leave).into_iter().flatten() {
            self.parts[part] = Part::absent();
        }
    }

    /// Brings every part to where whatever holds it is.
    fn carry_parts(&mut self) {
        for conveyor in &self.conveyors {
            conveyor.riders().for_each(|(part, x)| self.parts[part].place = on_belt(x));
        }
        for robot in &self.robots {
            if let Some(part) = robot.held() {
                self.parts[part].place = robot.tool_in_line();
            }
        }
        for amr in &self.amrs {
            amr.load().for_each(|(part, place)| self.parts[part].place = place);
        }
    }

    /// What an idle robot lacks.
    fn waiting_for(&self, i: usize) -> MachineState {
        if i == PALLETISER {
            return if self.docked().is_some() { MachineState::Starved } else { MachineState::Blocked };
        }
        if self.cncs[i].is_empty() { MachineState::Starved } else { MachineState::Idle }
    }

    /// Tells all values of the line.
    pub(super) fn tell(&self, table: &mut TagTable) {
        let line = &self.path;
        table.thing(line, "");
        let factors = self.production.oee();
        let shares = factors.map_or([0.0; 4], |oee| [oee.total(), oee.availability, oee.performance, oee.quality]);
        for (name, share) in tags::OEE.iter().zip(shares) {
            table.quantity(name, share * 100.0, KPI_GAUGE);
        }
        table.count(tags::PARTS_MADE, self.production.parts);
        table.count(tags::PARTS_SCRAPPED, self.production.scrap);
        let name = |machine: &str, i: usize| format!("{machine}{}", i + 1);
        self.conveyors.iter().enumerate().for_each(|(i, it)| it.tell(table, line, &name("Conveyor", i)));
        for (i, robot) in self.robots.iter().enumerate() {
            robot.tell(table, line, &name("Robot", i), self.waiting_for(i));
        }
        self.cncs.iter().enumerate().for_each(|(i, it)| it.tell(table, line, &name("Cnc", i)));
        self.coolant.tell(table, line);
        self.amrs.iter().enumerate().for_each(|(i, it)| it.tell(table, line, &name("Amr", i)));
        self.parts.iter().enumerate().for_each(|(i, it)| it.tell(table, line, &name("Part", i)));
    }
}
