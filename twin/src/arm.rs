//! Kinematics of the demo plant's six-axis arm: where its joints stand, and the angles that bring its tool to a point.
//!
//! The arm's frame has +Y up with the base on the floor at the origin. With all angles zero the upper arm stands
//! upright and the forearm points along +X. Each joint turns right-handedly about an axis of its own frame, as the
//! nodes `Joint1` … `Joint6` of the generated plant do, each a child of the one before.

use glam::{DQuat, DVec3};

/// One joint: where it stands in the frame of the joint before, and the axis it turns about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Joint {
    /// Place in the frame of the joint before it, metres.
    pub offset: DVec3,
    /// Unit axis.
    pub axis: DVec3,
    /// Lowest angle, radians.
    pub low: f64,
    /// Highest angle, radians.
    pub high: f64,
}

const fn joint(offset: [f64; 3], axis: [f64; 3], low_deg: f64, high_deg: f64) -> Joint {
    Joint {
        offset: DVec3::from_array(offset),
        axis: DVec3::from_array(axis),
        low: low_deg * (std::f64::consts::PI / 180.0),
        high: high_deg * (std::f64::consts::PI / 180.0),
    }
}

/// The six joints from the base outwards.
pub const JOINTS: [Joint; 6] = [
    joint([0.0, 0.30, 0.0], [0.0, 1.0, 0.0], -185.0, 185.0),
    joint([0.20, 0.30, 0.0], [0.0, 0.0, 1.0], -130.0, 75.0),
    joint([0.0, 0.90, 0.0], [0.0, 0.0, 1.0], -90.0, 150.0),
    joint([0.20, 0.10, 0.0], [1.0, 0.0, 0.0], -350.0, 350.0),
    joint([0.65, 0.0, 0.0], [0.0, 0.0, 1.0], -125.0, 125.0),
    joint([0.15, 0.0, 0.0], [1.0, 0.0, 0.0], -400.0, 400.0),
];

/// From the last joint to the point between the gripper's fingers, metres along its +X.
pub const TOOL: f64 = 0.25;

/// Six joint angles in radians, from the base outwards.
pub type Angles = [f64; 6];

/// Place and rotation of the tool point in the arm's frame.
pub fn tool_from_angles(angles: &Angles) -> (DVec3, DQuat) {
    let mut place = DVec3::ZERO;
    let mut rotation = DQuat::IDENTITY;
    for (joint, angle) in JOINTS.iter().zip(angles) {
        place += rotation * joint.offset;
        rotation *= DQuat::from_axis_angle(joint.axis, *angle);
    }
    (place + rotation * DVec3::new(TOOL, 0.0, 0.0), rotation)
}
