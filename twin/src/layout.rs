//! The parametric demo plant: what stands where, and how material flows. `tools` draws it and `devices` simulates it;
//! both read it here, so that the picture and the numbers can never disagree about a place or a name.
//!
//! # Frames
//!
//! The world has +Y up. A hall's floor lies at y = 0; its lines run along +X and are stacked along +Z. Every line has
//! the same shape, given by the constants below *in the line's frame*, whose origin is on the floor at the line's
//! start: machines to the back (−Z), people walk at the front (+Z).
//!
//! # Flow of material along a line
//!
//! ```text
//! source → Conveyor1 → Robot1 ⇄ Cnc1 → Conveyor2 → Robot2 ⇄ Cnc2 → Conveyor3 → Robot3 → pallet on an AMR → rack
//! ```
//!
//! Coolant: Tank1 feeds both CNC cells through Valve1 and Valve2; it returns warm to Tank2; Pump1 lifts it back.

use glam::DVec3;

use crate::path::ThingPath;

/// Lines in one hall; more lines make more halls.
pub const LINES_PER_HALL: usize = 8;
/// Distance between two lines of a hall, metres along Z.
pub const LINE_PITCH: f64 = 11.0;
/// Length of a hall, metres along X.
pub const HALL_LENGTH: f64 = 48.0;
/// Height of a hall to the eaves, metres.
pub const HALL_HEIGHT: f64 = 8.0;
/// Free floor between a hall's wall and its first and last line's origin, metres along Z.
pub const HALL_MARGIN: f64 = 7.0;
/// Free ground between two halls, metres along X.
pub const HALL_GAP: f64 = 12.0;
/// From a hall's west wall to the start of its lines, metres along X.
pub const LINE_START: f64 = 3.0;

/// Height of a conveyor's belt above the floor, metres.
pub const BELT_HEIGHT: f64 = 0.80;
/// Width of a conveyor, metres along Z.
pub const BELT_WIDTH: f64 = 0.60;
/// Edge of a workpiece, a cube, metres.
pub const PART_SIZE: f64 = 0.30;
/// Workpieces a line owns; they are used again and again.
pub const PARTS: usize = 14;
/// Ideal time between two finished parts of a line, seconds.
pub const IDEAL_CYCLE_SECS: f64 = 9.0;

/// A conveyor along +X at z = 0 of its line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conveyor {
    /// Where parts enter, metres along X: the place of a part's middle.
    pub from_x: f64,
    /// Where parts wait to be picked, metres along X: the place of a part's middle.
    pub to_x: f64,
}

/// The three conveyors. The frame of each reaches 0.2 m beyond both places.
pub const CONVEYORS: [Conveyor; 3] =
    [Conveyor { from_x: 1.2, to_x: 9.2 }, Conveyor { from_x: 12.0, to_x: 19.2 }, Conveyor { from_x: 22.0, to_x: 29.2 }];

/// Where the three robots stand; all have the arm of [`crate::arm`], unturned.
pub const ROBOTS: [DVec3; 3] = [DVec3::new(10.6, 0.0, 0.0), DVec3::new(20.6, 0.0, 0.0), DVec3::new(30.6, 0.0, 0.0)];

/// Where the two CNC cells stand: middle of the footprint, 2.4 m along X, 2.2 m along Z, 2.4 m high; the door faces +Z.
pub const CNCS: [DVec3; 2] = [DVec3::new(10.6, 0.0, -2.4), DVec3::new(20.6, 0.0, -2.4)];
/// The CNC's table: where a workpiece's middle rests, from the cell's place. Inside the door opening, which is
/// 1.2 m wide along X and reaches from 0.9 m to 2.1 m above the floor.
pub const CNC_TABLE: DVec3 = DVec3::new(0.0, 1.15, 0.95);

/// Where the two coolant tanks stand: middle of the bottom.
pub const TANKS: [DVec3; 2] = [DVec3::new(14.0, 0.0, -3.4), DVec3::new(17.2, 0.0, -3.4)];
/// Radius of a tank, metres.
pub const TANK_RADIUS: f64 = 0.9;
/// Height of a tank's liquid column when full, metres; it begins 0.5 m above the floor, on legs.
pub const TANK_HEIGHT: f64 = 2.2;
/// Where the pump stands.
pub const PUMP: DVec3 = DVec3::new(15.6, 0.0, -3.4);
/// Where the two valves stand, in the pipes to the CNC cells.
pub const VALVES: [DVec3; 2] = [DVec3::new(12.6, 1.2, -3.4), DVec3::new(18.7, 1.2, -3.4)];

/// AMRs of a line.
pub const AMRS: usize = 2;
/// The loop the AMRs drive, on the floor, closed, in driving order. The first corner is the dock beside Robot3, the
/// third the rack where full pallets are left, the fourth where empty ones are taken.
pub const AMR_LOOP: [DVec3; 6] = [
    DVec3::new(32.0, 0.0, 0.0),
    DVec3::new(34.0, 0.0, 1.5),
    DVec3::new(36.6, 0.0, 2.5),
    DVec3::new(36.6, 0.0, -2.5),
    DVec3::new(34.0, 0.0, -1.5),
    DVec3::new(33.0, 0.0, 0.0),
];
/// Height of an AMR's deck above the floor, metres; a pallet 0.14 m high lies on it.
pub const AMR_DECK: f64 = 0.35;
/// Height of a pallet, metres.
pub const PALLET_HEIGHT: f64 = 0.14;
/// Places for parts on a pallet, 2 by 2 in two layers: the part's middle from the AMR's place.
pub const PALLET_SLOTS: [DVec3; 8] = {
    const Y0: f64 = AMR_DECK + PALLET_HEIGHT + PART_SIZE / 2.0;
    const D: f64 = 0.18;
    [
        DVec3::new(-D, Y0, -D),
        DVec3::new(D, Y0, -D),
        DVec3::new(-D, Y0, D),
        DVec3::new(D, Y0, D),
        DVec3::new(-D, Y0 + PART_SIZE, -D),
        DVec3::new(D, Y0 + PART_SIZE, -D),
        DVec3::new(-D, Y0 + PART_SIZE, D),
        DVec3::new(D, Y0 + PART_SIZE, D),
    ]
};
/// Middle of the pallet rack, which is 1.1 m along X, 7 m along Z and 4 m high.
pub const RACK: DVec3 = DVec3::new(38.4, 0.0, 0.0);

/// One line of the plant.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// `Hall1/Line2`.
    pub path: ThingPath,
    /// Its origin in the world, metres.
    pub world_from_line: DVec3,
}

/// One hall of the plant.
#[derive(Debug, Clone, PartialEq)]
pub struct Hall {
    /// `Hall1`.
    pub path: ThingPath,
    /// Its south-west floor corner (smallest X and Z) in the world, metres.
    pub world_from_hall: DVec3,
    /// Extent along Z, metres; along X it is [`HALL_LENGTH`].
    pub width: f64,
    /// Its lines, from the smallest Z on.
    pub lines: Vec<Line>,
}

/// The plant with this many lines.
///
/// ```
/// let halls = gemba_twin::layout::halls(10);
/// assert_eq!(halls.len(), 2);
/// assert_eq!(halls[1].lines[1].path.as_str(), "Hall2/Line2");
/// ```
pub fn halls(lines: usize) -> Vec<Hall> {
    (0..lines.div_ceil(LINES_PER_HALL))
        .map(|h| {
            let count = LINES_PER_HALL.min(lines - h * LINES_PER_HALL);
            let corner = DVec3::new(h as f64 * (HALL_LENGTH + HALL_GAP), 0.0, 0.0);
            let path = path_of(format!("Hall{}", h + 1));
            let lines = (0..count)
                .map(|l| Line {
                    path: path_of(format!("{path}/Line{}", l + 1)),
                    world_from_line: corner + DVec3::new(LINE_START, 0.0, HALL_MARGIN + l as f64 * LINE_PITCH),
                })
                .collect();
            Hall { path, world_from_hall: corner, width: 2.0 * HALL_MARGIN + (count - 1) as f64 * LINE_PITCH, lines }
        })
        .collect()
}

fn path_of(text: String) -> ThingPath {
    text.parse().expect("names made of letters, digits and single slashes are plant paths")
}

/// Names of the tags of a line's equipment: `Hall1/Line1/` + machine + `/` + one of these.
pub mod tags {
    /// Every machine: its [`crate::machine_state::MachineState`] as an integer.
    pub const STATE: &str = "State";
    /// Line: overall equipment effectiveness and its factors, %.
    pub const OEE: [&str; 4] = ["Oee", "Availability", "Performance", "Quality"];
    /// Line and CNC: finished parts; line: scrap among them.
    pub const PARTS_MADE: &str = "PartsMade";
    /// Line: finished parts that were scrap.
    pub const PARTS_SCRAPPED: &str = "PartsScrapped";
    /// Conveyor: belt speed, m/s. Pump: shaft speed, 1/min.
    pub const SPEED: &str = "Speed";
    /// Conveyor and pump: motor current, A.
    pub const CURRENT: &str = "Current";
    /// Conveyor: workpieces on it.
    pub const PART_COUNT: &str = "PartCount";
    /// Robot, below `Joint1` … `Joint6`: degrees.
    pub const ANGLE: &str = "Angle";
    /// Robot: whether the gripper holds something.
    pub const GRIPPER: &str = "Gripper";
    /// Robot and CNC: time of the last cycle, s.
    pub const CYCLE_TIME: &str = "CycleTime";
    /// CNC: spindle speed, 1/min.
    pub const SPINDLE_SPEED: &str = "SpindleSpeed";
    /// CNC: spindle load, %.
    pub const SPINDLE_LOAD: &str = "SpindleLoad";
    /// CNC (spindle bearing) and tank (liquid): °C.
    pub const TEMPERATURE: &str = "Temperature";
    /// CNC: how far the door is open, 0 to 1.
    pub const DOOR: &str = "Door";
    /// CNC: how far the program is, %.
    pub const PROGRESS: &str = "Progress";
    /// Tank: %.
    pub const LEVEL: &str = "Level";
    /// Pump: outlet pressure, bar.
    pub const PRESSURE: &str = "Pressure";
    /// Valve: how far it is open, %. Writable: a command to it is followed until it is set to automatic (below 0).
    pub const POSITION: &str = "Position";
    /// Valve: L/min.
    pub const FLOW: &str = "Flow";
    /// AMR: place in the line's frame, m, and heading about +Y, degrees. Workpiece: place of its middle, m.
    pub const X: &str = "X";
    /// See [`X`].
    pub const Y: &str = "Y";
    /// See [`X`].
    pub const Z: &str = "Z";
    /// AMR: heading about +Y, degrees; 0 looks along +X.
    pub const HEADING: &str = "Heading";
    /// AMR: %.
    pub const BATTERY: &str = "Battery";
    /// Workpiece: whether it is in the plant at all.
    pub const PRESENT: &str = "Present";
    /// Stack light, below `StackLight` of each robot and CNC: whether the lamp is lit.
    pub const LAMPS: [&str; 3] = ["Red", "Amber", "Green"];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arm;

    #[test]
    fn every_place_a_robot_serves_is_within_its_reach() {
        let shoulder = arm::JOINTS[0].offset + arm::JOINTS[1].offset;
        let longest = arm::JOINTS[2].offset.y + (arm::JOINTS[3].offset.x + arm::JOINTS[4].offset.x).hypot(0.1);
        let above_tool = arm::JOINTS[5].offset.x + arm::TOOL;
        let on_belt = |x: f64| DVec3::new(x, BELT_HEIGHT + PART_SIZE / 2.0, 0.0);
        let mut served = vec![
            (ROBOTS[2], on_belt(CONVEYORS[2].to_x)),
            (ROBOTS[0], CNCS[0] + CNC_TABLE),
            (ROBOTS[1], CNCS[1] + CNC_TABLE),
        ];
        for i in 0..2 {
            served.push((ROBOTS[i], on_belt(CONVEYORS[i].to_x)));
            served.push((ROBOTS[i], on_belt(CONVEYORS[i + 1].from_x)));
        }
        served.extend(PALLET_SLOTS.map(|slot| (ROBOTS[2], AMR_LOOP[0] + slot)));
        for (robot, point) in served {
            let wrist = point + DVec3::Y * above_tool - robot;
            let distance = (wrist.x.hypot(wrist.z) - shoulder.x).hypot(wrist.y - shoulder.y);
            assert!(distance < longest - 0.02, "{point} is {distance:.2} m from the shoulder of {robot}");
        }
    }
}
