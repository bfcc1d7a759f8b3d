//! How a hand's fingers are bent, from its tracked joints, as the others are told.

use bevy::prelude::*;
use gemba_net::fingers::Fingers;

/// Joints of a hand in XR_EXT_hand_tracking.
pub(super) const JOINTS: usize = 26;
/// The palm among them: +Y out of the hand's back, -Z to the fingers.
pub(super) const PALM: usize = 0;
/// The four joints that each finger's outer bones lie between, thumb first.
const FINGERS: [[usize; 4]; 5] = [[2, 3, 4, 5], [7, 8, 9, 10], [12, 13, 14, 15], [17, 18, 19, 20], [22, 23, 24, 25]];
const MIDDLE: usize = 2;
/// Between which joints a hand has bones; and along its knuckles, which close the palm.
pub(super) const BONES: [(usize, usize); 27] = [
    (1, 2),
    (2, 3),
    (3, 4),
    (4, 5),
    (1, 6),
    (6, 7),
    (7, 8),
    (8, 9),
    (9, 10),
    (1, 11),
    (11, 12),
    (12, 13),
    (13, 14),
    (14, 15),
    (1, 16),
    (16, 17),
    (17, 18),
    (18, 19),
    (19, 20),
    (1, 21),
    (21, 22),
    (22, 23),
    (23, 24),
    (24, 25),
    (7, 12),
    (12, 17),
    (17, 22),
];

/// Of all joints of a hand in any frame, metres; none unless all are there.
pub(super) fn fingers_of(joints: &[Transform]) -> Option<Fingers> {
    let joints: &[Transform; JOINTS] = joints.try_into().ok()?;
    let into_palm = joints[PALM].rotation.inverse();
    let bone = |from: usize, to: usize| joints[to].translation - joints[from].translation;
    let bones = FINGERS.map(|[a, b, c, d]| [(a, b), (b, c), (c, d)].map(|(from, to)| bone(from, to)));
    let middle = bones[MIDDLE].iter().map(|bone| bone.length()).sum();
    Some(Fingers::new(middle, bones.map(|finger| finger.map(|bone| (into_palm * bone).to_array()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingers_are_told_in_the_frame_of_the_palm_wherever_the_hand_is() {
        let mut joints = [Transform::IDENTITY; JOINTS];
        for (finger, along) in FINGERS.iter().zip([Vec3::NEG_X, Vec3::NEG_Z, Vec3::NEG_Z, Vec3::NEG_Y, Vec3::X]) {
            for (n, joint) in finger.iter().enumerate() {
                joints[*joint].translation = along * 0.03 * n as f32;
            }
        }
        let anywhere = Transform::from_xyz(4.0, 1.0, -2.0).with_rotation(Quat::from_rotation_x(1.0));
        let told = [joints, joints.map(|joint| anywhere * joint)].map(|joints| fingers_of(&joints).unwrap());
        assert_eq!(told[0], told[1]);
        assert!((told[0].middle_metres() - 0.09).abs() < 0.001);
        let bones = told[0].bones();
        assert_eq!(
            bones.map(|finger| finger[1]),
            [[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]
        );
        assert_eq!(fingers_of(&joints[..20]), None);
    }
}
