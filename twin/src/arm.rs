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

/// The angles that bring the tool to `tool_in_arm` (metres, in the arm's frame) with its axis pointing straight down and
/// the gripper turned by `gripper_yaw` about +Y: its own +Y then looks along +X for 0, along −Z for a quarter turn.
/// The elbow is up and the forearm unrolled (`Joint4` is 0). The base angle lies in (−π, π], so that a path from −X over
/// −Z to +X never jumps. None when the point is out of reach or a joint would pass its limit.
pub fn angles_for_tool_down(tool_in_arm: DVec3, gripper_yaw: f64) -> Option<Angles> {
    use std::f64::consts::{FRAC_PI_2, PI, TAU};
    // With the tool straight down, the wrist (Joint5) stands right above it, and the arm is a planar chain of two
    // links from the shoulder to the wrist.
    let wrist = tool_in_arm + DVec3::new(0.0, JOINTS[5].offset.x + TOOL, 0.0);
    let shoulder = JOINTS[0].offset + JOINTS[1].offset;
    let upper = JOINTS[2].offset.y;
    let fore = DVec3::new(JOINTS[3].offset.x + JOINTS[4].offset.x, JOINTS[3].offset.y, 0.0);

    let base = (-wrist.z).atan2(wrist.x);
    let base = if base <= -PI + 1e-9 { base + TAU } else { base };
    let out = wrist.x.hypot(wrist.z) - shoulder.x;
    let up = wrist.y - shoulder.y;
    let reach = out.hypot(up);
    let cosine = (upper * upper + reach * reach - fore.length_squared()) / (2.0 * upper * reach);
    if !(-1.0..=1.0).contains(&cosine) {
        return None;
    }
    let upper_direction = up.atan2(out) + cosine.acos();
    let fore_direction = (up - upper * upper_direction.sin()).atan2(out - upper * upper_direction.cos());
    let shoulder_angle = upper_direction - FRAC_PI_2;
    let elbow_angle = fore_direction - fore.y.atan2(fore.x) - shoulder_angle;
    let turn = |angle: f64| angle - TAU * ((angle + PI) / TAU).floor();
    let elbow_angle = turn(elbow_angle);
    let wrist_angle = turn(-FRAC_PI_2 - shoulder_angle - elbow_angle);
    let angles = [base, shoulder_angle, elbow_angle, 0.0, wrist_angle, base - gripper_yaw];
    JOINTS.iter().zip(angles).all(|(joint, angle)| (joint.low..=joint.high).contains(&angle)).then_some(angles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_tool_stands_where_the_angles_were_asked_to_bring_it(
            around in -3.1f64..3.1, out in 0.75f64..1.5, up in 0.3f64..1.5, yaw in -3.0f64..3.0,
        ) {
            let asked = DVec3::new(out * around.cos(), up, -out * around.sin());
            if let Some(angles) = angles_for_tool_down(asked, yaw) {
                let (place, rotation) = tool_from_angles(&angles);
                prop_assert!(place.distance(asked) < 1e-9, "{place} is not {asked}");
                prop_assert!((rotation * DVec3::X).distance(DVec3::NEG_Y) < 1e-9, "the tool does not point down");
                let side = rotation * DVec3::Y;
                prop_assert!(side.distance(DVec3::new(yaw.cos(), 0.0, -yaw.sin())) < 1e-9, "the gripper is turned");
            } else {
                // The workspace has no holes: whatever is refused is near its outer or inner edge.
                prop_assert!(!(0.9..=1.4).contains(&out) || !(0.5..=1.2).contains(&up), "{asked} is refused");
            }
        }

        #[test]
        fn a_point_out_of_reach_has_no_angles(around in -3.1f64..3.1, out in 2.0f64..1e6) {
            let far = DVec3::new(out * around.cos(), 1.0, out * around.sin());
            prop_assert_eq!(angles_for_tool_down(far, 0.0), None);
        }
    }

    #[test]
    fn a_path_from_behind_over_the_side_to_the_front_never_jumps() {
        let base_of = |degrees: f64| {
            let (sin, cos) = degrees.to_radians().sin_cos();
            angles_for_tool_down(DVec3::new(1.4 * cos, 1.0, -1.4 * sin), 0.0).unwrap()[0]
        };
        assert!((base_of(180.0) - std::f64::consts::PI).abs() < 1e-9);
        assert!((0..=36).all(|step| (base_of(f64::from(step) * 5.0) - f64::from(step * 5).to_radians()).abs() < 1e-9));
    }

    #[test]
    fn a_point_that_is_no_number_has_no_angles() {
        assert_eq!(angles_for_tool_down(DVec3::NAN, 0.0), None);
    }
}
