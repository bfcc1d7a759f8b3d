//! Poses as the runtime tells them, as transforms. What is not finite or not a rotation is no pose.

use bevy::prelude::*;
use openxr::{Posef, SpaceLocation, SpaceLocationFlags};

/// The transform of a pose; the identity for what is none.
pub(crate) fn transform(pose: Posef) -> Transform {
    checked(pose).unwrap_or_default()
}

/// The transform of a place that was found, both where and how it is turned.
pub(crate) fn transform_if_valid(found: openxr::Result<SpaceLocation>) -> Option<Transform> {
    let found = found.ok()?;
    let both = SpaceLocationFlags::POSITION_VALID | SpaceLocationFlags::ORIENTATION_VALID;
    found.location_flags.contains(both).then(|| checked(found.pose)).flatten()
}

/// The same; none for what is none.
pub(crate) fn checked(pose: Posef) -> Option<Transform> {
    let place = Vec3::new(pose.position.x, pose.position.y, pose.position.z);
    let o = pose.orientation;
    let rotation = Quat::from_xyzw(o.x, o.y, o.z, o.w);
    let length = rotation.length();
    let is_pose = place.is_finite() && length.is_finite() && length > 1e-3;
    is_pose.then(|| Transform::from_translation(place).with_rotation(rotation.normalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_rotation_is_no_pose() {
        let mut pose = Posef::IDENTITY;
        assert!(checked(pose).is_some());
        pose.orientation.w = 0.0;
        assert!(checked(pose).is_none());
        pose = Posef::IDENTITY;
        pose.position.y = f32::NAN;
        assert!(checked(pose).is_none());
    }
}
