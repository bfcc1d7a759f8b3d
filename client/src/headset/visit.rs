//! Going to a thing that the panels name: what brings it into the desktop's frame (*Frame*, an alarm's name, a double
//! click in the tree) brings the person in the headset before it, facing it, where there is room to stand.
//!
//! At life size only: who stands over a model has all of it before them.

use bevy::prelude::*;
use gemba_xr::{HeadsetState, Rig, Tracked};

use super::Doing;
use super::footing::{self, Surfaces};
use super::moving::SCALES;
use super::posture::Posture;
use crate::camera::FrameSelection;
use crate::mirror::{ThingBounds, ThingEntities};
use crate::selection::Selection;

/// From what is visited to who visits it, metres: it is seen whole, and the hand reaches it after a step.
const AWAY: f32 = 1.4;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, visit.in_set(Doing::Visit));
}

fn visit(
    mut is_due: Local<bool>,
    mut asked: MessageReader<FrameSelection>,
    surfaces: Surfaces,
    mut rig: Single<&mut Transform, With<Rig>>,
    (posture, tracked, state): (Res<Posture>, Res<Tracked>, Res<HeadsetState>),
    (selection, things): (Res<Selection>, Res<ThingEntities>),
    bounds: Query<(&ThingBounds, &GlobalTransform)>,
) {
    // What is asked for together with a selection is selected by the next frame.
    if !std::mem::replace(&mut *is_due, asked.read().count() > 0) || !state.is_seen() || rig.scale.x > SCALES.0 {
        return;
    }
    let visited = selection.0.and_then(|thing| bounds.get(things.entity(thing)?).ok());
    let (Some((bounds, world)), Some(head)) = (visited, tracked.head) else { return };
    let (middle, half) = (bounds.centre_now(world), bounds.half);
    let beside = beside(posture.feet(&rig, head), middle, half);
    if let Some(place) = footing::nearest(beside, &mut |from, to| surfaces.meets(from, to)) {
        posture.stand_at(&mut rig, head, place);
        face(&mut rig, head, middle);
    }
}

/// Where to stand before a box, on the side that the person comes from: at the height of its lowest corner, below which a
/// floor is looked for.
fn beside(feet: Vec3, middle: Vec3, half: Vec3) -> Vec3 {
    let towards = (feet - middle).with_y(0.0).normalize_or(Vec3::Z);
    let reach = towards.abs().dot(half.with_y(0.0)) + AWAY;
    (middle + towards * reach).with_y(middle.y - half.y)
}

/// Turns the rig about the head until that looks towards the place.
fn face(rig: &mut Transform, head: Transform, place: Vec3) {
    let pivot = rig.transform_point(head.translation);
    let yaw = |way: Vec3| (-way.x).atan2(-way.z);
    let turn = yaw(place - pivot) - yaw(rig.rotation * head.rotation * Vec3::NEG_Z);
    rig.rotate_around(pivot, Quat::from_rotation_y(turn));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stands_before_what_is_visited_on_the_side_one_comes_from_and_faces_it() {
        let (middle, half) = (Vec3::new(10.0, 1.0, -4.0), Vec3::new(2.0, 1.0, 0.5));
        for from in [Vec3::ZERO, Vec3::new(10.0, 0.0, 9.0), Vec3::new(30.0, 0.0, -30.0), middle] {
            let place = beside(from, middle, half);
            let away = (place - middle).with_y(0.0);
            assert!(away.x.abs() >= half.x + 0.9 || away.z.abs() >= half.z + 0.9, "{place} is not beside it");
            assert_eq!(place.y, 0.0);
            let head = Transform::from_xyz(0.3, 1.6, 0.1).with_rotation(Quat::from_rotation_y(0.7));
            let mut rig = Transform::from_translation(place).with_rotation(Quat::from_rotation_y(-2.0));
            let eyes = rig.transform_point(head.translation);
            face(&mut rig, head, middle);
            let ahead = (rig.rotation * head.rotation * Vec3::NEG_Z).with_y(0.0).normalize();
            assert!(rig.transform_point(head.translation).distance(eyes) < 1e-4, "nobody is moved by turning");
            assert!(ahead.dot((middle - eyes).with_y(0.0).normalize()) > 0.9999, "{ahead}");
        }
    }
}
