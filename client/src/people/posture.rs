//! How a person stands, from the points that are told of them: head and hands. Nobody's shoulders or elbows cross the
//! network; each receiver finds where they most likely are.
//!
//! The trunk hangs upright from the neck and turns with the hands and the head, as a person's does. An arm is two bones:
//! shoulder and hand leave the elbow one degree of freedom, and people carry it low and a little outside. A hand that is
//! farther than an arm reaches draws the shoulder along. Lengths are those of a middling adult.

use bevy::prelude::*;

/// Upper arm, and forearm to the middle of the palm, metres.
const BONES: (f32, f32) = (0.29, 0.33);
/// From the eyes to the neck's root, in the head's frame: behind them and below.
const NECK: Vec3 = Vec3::new(0.0, -0.17, 0.09);
/// From the neck's root to the right shoulder, in the trunk's frame.
const SHOULDER: Vec3 = Vec3::new(0.19, -0.04, 0.0);
/// How much the hands turn the trunk, where both are tracked; the head does the rest.
const HANDS_TURN: f32 = 0.6;

/// Where a point is and how it is turned, world frame.
pub(super) type Point = (Vec3, Quat);

/// How a person stands, world frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Posture {
    /// The neck's root, from which the trunk hangs, and how that is turned about the vertical.
    pub(super) trunk: Point,
    /// Left and right arm, where the hand is tracked.
    pub(super) arms: [Option<Arm>; 2],
}

/// One arm, world frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Arm {
    /// Its ends and what is between.
    pub(super) shoulder: Vec3,
    /// As far from the shoulder as an upper arm is long, and from the hand as a forearm is.
    pub(super) elbow: Vec3,
    /// The palm.
    pub(super) hand: Vec3,
}

impl Posture {
    /// From what is told: the head, and those hands that are tracked.
    pub(super) fn of(head: Point, hands: [Option<Point>; 2]) -> Self {
        let neck = head.0 + head.1 * NECK;
        let turn = Quat::from_rotation_y(yaw(neck, head.1, hands));
        let arm = |side: usize| {
            let (hand, _) = hands[side]?;
            let mirror = if side == 0 { Vec3::new(-1.0, 1.0, 1.0) } else { Vec3::ONE };
            let shoulder = neck + turn * (SHOULDER * mirror);
            // Low, outside and behind.
            let towards = turn * (Vec3::new(0.5, -1.0, 0.35) * mirror);
            Some(Arm::reaching(shoulder, hand, towards))
        };
        Self { trunk: (neck, turn), arms: [arm(0), arm(1)] }
    }
}

impl Arm {
    /// With its elbow towards a direction, as far as the bones allow.
    fn reaching(shoulder: Vec3, hand: Vec3, towards: Vec3) -> Self {
        let (upper, fore) = BONES;
        let span = (hand - shoulder).length();
        let along = (hand - shoulder).normalize_or(Vec3::NEG_Y);
        // Too far, the shoulder comes along; too near, it gives way.
        let reach = span.clamp((upper - fore).abs() + 1e-3, upper + fore - 1e-3);
        let shoulder = hand - along * reach;
        // The foot of the elbow on the line from shoulder to hand, and its height above that (law of cosines).
        let foot = (upper * upper - fore * fore + reach * reach) / (2.0 * reach);
        let height = (upper * upper - foot * foot).max(0.0).sqrt();
        let aside = (towards - along * towards.dot(along)).normalize_or(along.any_orthonormal_vector());
        Self { shoulder, elbow: shoulder + along * foot + aside * height, hand }
    }
}

/// Where the chest looks, radians about +Y; 0 along −Z.
fn yaw(neck: Vec3, head: Quat, hands: [Option<Point>; 2]) -> f32 {
    // Who looks straight down still has a crown that points ahead.
    let ahead = head * Vec3::NEG_Z;
    let level = (ahead + head * Vec3::Y * ahead.y.abs() * -ahead.y.signum()).with_y(0.0).normalize_or(Vec3::NEG_Z);
    let reach = match hands {
        [Some((left, _)), Some((right, _))] => ((left + right) / 2.0 - neck).with_y(0.0),
        _ => Vec3::ZERO,
    };
    // Hands beside the trunk say little, stretched out they say much; behind the back they say nothing.
    let says = (reach.length() / 0.4).min(1.0) * HANDS_TURN;
    let says = if reach.dot(level) > 0.0 { says } else { 0.0 };
    let chest = level.lerp(reach.normalize_or(level), says).normalize_or(level);
    f32::atan2(-chest.x, -chest.z)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EYES: Vec3 = Vec3::new(0.0, 1.65, 0.0);

    fn point(x: f32, y: f32, z: f32) -> Option<Point> {
        Some((Vec3::new(x, y, z), Quat::IDENTITY))
    }

    fn chest(posture: &Posture) -> Vec3 {
        posture.trunk.1 * Vec3::NEG_Z
    }

    #[test]
    fn elbows_hang_low_and_outside_and_the_left_arm_mirrors_the_right() {
        let posture = Posture::of((EYES, Quat::IDENTITY), [point(-0.25, 1.1, -0.3), point(0.25, 1.1, -0.3)]);
        let [Some(left), Some(right)] = posture.arms else { panic!("{posture:?}") };
        let between = (right.shoulder + right.hand) / 2.0;
        assert!(right.elbow.y < between.y - 0.05 && right.elbow.x > between.x + 0.02, "{right:?}");
        assert!(left.elbow.distance(right.elbow * Vec3::new(-1.0, 1.0, 1.0)) < 1e-4);
        assert!(chest(&posture).distance(Vec3::NEG_Z) < 1e-4);
    }

    #[test]
    fn the_chest_turns_with_the_hands_less_than_with_the_head_and_not_when_one_looks_down() {
        let aside = [point(-0.3, 1.2, 0.1), point(-0.5, 1.2, -0.2)];
        let turned = chest(&Posture::of((EYES, Quat::IDENTITY), aside));
        assert!(turned.x < -0.2 && turned.z < -0.2, "{turned}");
        let down = Quat::from_rotation_x(-1.5);
        assert!(chest(&Posture::of((EYES, down), [None, None])).distance(Vec3::NEG_Z) < 1e-3);
        let left = Quat::from_rotation_y(std::f32::consts::FRAC_PI_2);
        assert!(chest(&Posture::of((EYES, left), [None, None])).distance(Vec3::NEG_X) < 1e-3);
    }

    #[test]
    fn bones_keep_their_length_and_hands_are_where_they_were_told() {
        let steps = || (-8i16..=8).map(|n| f32::from(n) / 4.0);
        for (x, y) in steps().flat_map(|x| steps().map(move |y| (x, y))) {
            for (z, turn) in steps().map(|z| (z, z * 1.5)) {
                let hand = EYES + Vec3::new(x, y, z);
                let head = (EYES, Quat::from_rotation_y(turn) * Quat::from_rotation_x(y * 0.7));
                let posture = Posture::of(head, [None, Some((hand, Quat::IDENTITY))]);
                let arm = posture.arms[1].unwrap();
                assert_eq!(arm.hand, hand);
                assert!((arm.elbow.distance(arm.shoulder) - BONES.0).abs() < 1e-3, "{arm:?}");
                assert!((arm.elbow.distance(arm.hand) - BONES.1).abs() < 1e-3, "{arm:?}");
                assert!(arm.shoulder.is_finite() && posture.trunk.1.is_finite());
            }
        }
    }
}
