//! A robot: it works through a list of steps, moving between poses in joint space and closing and opening its gripper.
//! What it should do is decided by its line ([`super::line`]); the robot only knows how.

use std::collections::VecDeque;

use gemba_twin::arm::{self, Angles};
use gemba_twin::layout::tags;
use gemba_twin::machine_state::MachineState;
use gemba_twin::path::ThingPath;
use glam::DVec3;

use super::breakdown::Breakdown;
use super::chance::Chance;
use super::motion::Motion;
use super::table::{Gauge, TagTable, gauge, stack_light, state};

/// Time the gripper takes to close or open, seconds.
const GRIP_SECS: f64 = 0.2;
/// Time from full speed to a stop when the robot breaks down, and back, seconds.
const HALT_SECS: f64 = 0.3;
/// Mean running time between breakdowns, seconds.
const MEAN_BETWEEN_BREAKDOWNS: f64 = 1500.0;

const CYCLE_GAUGE: Gauge = gauge("s", 0.0, 60.0, 0.01);

/// A place where a robot takes parts from or puts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    /// End of the conveyor before the robot.
    Feed,
    /// Table of its CNC cell.
    Table,
    /// Start of the conveyor after it.
    Outlet,
    /// A place on the pallet of this AMR.
    Pallet { amr: usize, slot: usize },
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    /// Bring the joints to these angles.
    Move(Angles),
    /// Wait until the spot is ready for this robot.
    Await(Spot),
    /// Close the gripper on the part at the spot.
    Grip(Spot),
    /// Open the gripper and leave the part at the spot.
    Release(Spot),
}

/// What a robot has just done to the world.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Deed {
    Gripped(Spot),
    Released(Spot),
}

/// One robot.
#[derive(Debug, Clone)]
pub(super) struct Robot {
    base_in_line: DVec3,
    angles: Angles,
    steps: VecDeque<Step>,
    motion: Option<Motion>,
    gripping: f64,
    /// Speed of everything it does, 0 to 1: falls to 0 when it breaks down.
    pace: f64,
    held: Option<usize>,
    breakdown: Breakdown,
    since_cycle: f64,
    cycle: f64,
}

impl Robot {
    /// A robot that stands still with its tool at `home`, in the line's frame.
    pub(super) fn new(base_in_line: DVec3, home: DVec3, chance: &mut Chance) -> Self {
        let mut robot = Self {
            base_in_line,
            angles: [0.0; 6],
            steps: VecDeque::new(),
            motion: None,
            gripping: 0.0,
            pace: 1.0,
            held: None,
            breakdown: Breakdown::new(MEAN_BETWEEN_BREAKDOWNS, chance),
            since_cycle: 0.0,
            cycle: 0.0,
        };
        robot.angles = robot.pose(home);
        robot
    }

    /// The angles that bring the tool to a point of the line, gripper square to the line.
    pub(super) fn pose(&self, tool_in_line: DVec3) -> Angles {
        arm::angles_for_tool_down(tool_in_line - self.base_in_line, 0.0)
            .expect("robots are sent to the layout's places, which its tests prove to be within reach")
    }

    /// Where the tool is, in the line's frame.
    pub(super) fn tool_in_line(&self) -> DVec3 {
        self.base_in_line + arm::tool_from_angles(&self.angles).0
    }

    #[cfg(test)]
    pub(super) fn angles(&self) -> &Angles {
        &self.angles
    }

    pub(super) fn held(&self) -> Option<usize> {
        self.held
    }

    pub(super) fn hold(&mut self, part: Option<usize>) {
        self.held = part;
    }

    pub(super) fn is_broken(&self) -> bool {
        self.breakdown.is_broken()
    }

    /// Whether it has nothing left to do.
    pub(super) fn is_idle(&self) -> bool {
        self.steps.is_empty() && self.motion.is_none()
    }

    pub(super) fn is_at(&self, pose: &Angles) -> bool {
        self.angles.iter().zip(pose).all(|(a, b)| (a - b).abs() < 1e-6)
    }

    pub(super) fn plan(&mut self, steps: impl IntoIterator<Item = Step>) {
        self.steps.extend(steps);
    }

    /// What it waits for, if it does.
    pub(super) fn awaits(&self) -> Option<Spot> {
        match (self.motion.is_some(), self.steps.front()) {
            (false, Some(Step::Await(spot))) => Some(*spot),
            _ => None,
        }
    }

    /// Ends a cycle: the time since the last one is the cycle time.
    pub(super) fn end_cycle(&mut self) {
        (self.cycle, self.since_cycle) = (self.since_cycle, 0.0);
    }

    /// Moves on by `dt`. `is_ready` says whether a spot can be used now.
    pub(super) fn step(&mut self, dt: f64, chance: &mut Chance, is_ready: impl Fn(Spot) -> bool) -> Option<Deed> {
        self.breakdown.step(dt, self.motion.is_some(), chance);
        let wanted = if self.is_broken() { 0.0 } else { 1.0 };
        self.pace += (wanted - self.pace).clamp(-dt / HALT_SECS, dt / HALT_SECS);
        self.since_cycle += dt;
        let dt = dt * self.pace;
        if let Some(motion) = &mut self.motion {
            self.angles = motion.step(dt);
            if motion.is_over() {
                self.motion = None;
            }
            return None;
        }
        if self.pace < 1.0 {
            return None;
        }
        self.next_step(dt, is_ready)
    }

    fn next_step(&mut self, dt: f64, is_ready: impl Fn(Spot) -> bool) -> Option<Deed> {
        let deed = match *self.steps.front()? {
            Step::Move(to) if self.is_at(&to) => None,
            Step::Move(to) => {
                self.motion = Some(Motion::new(self.angles, to));
                None
            }
            Step::Await(spot) if is_ready(spot) => None,
            Step::Await(_) => return None,
            Step::Grip(spot) => Some(Deed::Gripped(spot)),
            Step::Release(spot) => Some(Deed::Released(spot)),
        };
        if deed.is_some() {
            self.gripping += dt;
            if self.gripping < GRIP_SECS {
                return None;
            }
            self.gripping = 0.0;
        }
        self.steps.pop_front();
        deed
    }

    /// What it is doing; `waiting_for` says what an idle robot lacks.
    pub(super) fn state(&self, waiting_for: MachineState) -> MachineState {
        if self.is_broken() {
            return MachineState::Faulted;
        }
        match self.awaits() {
            Some(Spot::Feed) => MachineState::Starved,
            Some(_) => MachineState::Blocked,
            None if self.is_idle() => waiting_for,
            None => MachineState::Running,
        }
    }

    pub(super) fn tell(&self, table: &mut TagTable, line: &ThingPath, name: &str, waiting_for: MachineState) {
        let state_now = self.state(waiting_for);
        table.thing(line, name);
        state(table, state_now);
        table.switch(tags::GRIPPER, self.held.is_some());
        table.quantity(tags::CYCLE_TIME, self.cycle, CYCLE_GAUGE);
        for (joint, (angle, limits)) in self.angles.iter().zip(arm::JOINTS).enumerate() {
            table.thing(line, &format!("{name}/Joint{}", joint + 1));
            let range = gauge("°", limits.low.to_degrees().round(), limits.high.to_degrees().round(), 0.01);
            table.quantity(tags::ANGLE, angle.to_degrees(), range);
        }
        stack_light(table, line, name, state_now);
    }
}
