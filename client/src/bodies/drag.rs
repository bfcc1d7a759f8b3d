//! The mouse as a hand: while G is held a drag carries what can be carried. It moves level with the floor, at the height it
//! was grabbed at; with Shift up and down, in the upright plane that faces the camera.

use bevy::picking::mesh_picking::ray_cast::{MeshRayCast, MeshRayCastSettings};
use bevy::prelude::*;

use super::{Bodies, GrabBody, MoveBody, ReleaseBody};
use crate::link::Connection;
use crate::mirror::{NodeOf, ThingEntities};
use crate::pointer::{MouseTaken, PointedBy, Pointer, Pointers};
use crate::schedule::Frame;
use crate::selection::take;
use crate::site::{Site, ThingIndex};

/// Farthest that a thing is dragged from the eye, metres: near the horizon a point of the screen is a hall's length.
const FARTHEST: f32 = 60.0;

/// What the mouse drags.
#[derive(Debug, Clone, Copy)]
struct Drag {
    thing: ThingIndex,
    /// Where it is held, world frame.
    grip: Vec3,
    /// Where the thing is, seen from the grip.
    thing_from_grip: Vec3,
    rotation: Quat,
}

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, drag.in_set(Frame::Act).before(take));
}

fn drag(
    mut ray_cast: MeshRayCast,
    mut dragged: Local<Option<Drag>>,
    mut taken: ResMut<MouseTaken>,
    mut grabs: MessageWriter<GrabBody>,
    mut moves: MessageWriter<MoveBody>,
    mut releases: MessageWriter<ReleaseBody>,
    (pointers, keys): (Res<Pointers>, Res<ButtonInput<KeyCode>>),
    (site, things, bodies): (Res<Site>, Res<ThingEntities>, Res<Bodies>),
    connection: Res<Connection>,
    nodes: Query<&NodeOf>,
    worlds: Query<&GlobalTransform>,
) {
    let wants = keys.pressed(KeyCode::KeyG) && connection.is_here();
    taken.0 = wants;
    let mouse = pointers.of(PointedBy::Mouse).filter(|mouse| wants && mouse.is_pressed);
    if let Some(drag) = dragged.take() {
        let id = site.standing(drag.thing).map(|standing| standing.id);
        // Not ours, or not there any more: then there is nothing to let go.
        if !id.is_some_and(|id| bodies.in_hand(id)) {
            return;
        }
        let Some(mouse) = mouse else {
            releases.write(ReleaseBody { thing: drag.thing });
            return;
        };
        let lifts = keys.any_pressed([KeyCode::ShiftLeft, KeyCode::ShiftRight]);
        let drag = drag.moved(mouse, lifts);
        moves.write(MoveBody { thing: drag.thing, to: drag.at() });
        *dragged = Some(drag);
        return;
    }
    let Some(mouse) = mouse.filter(|mouse| mouse.was_pressed) else { return };
    let is_thing = |entity| nodes.contains(entity);
    let settings = MeshRayCastSettings::default().with_filter(&is_thing);
    let Some((entity, hit)) = ray_cast.cast_ray(mouse.ray, &settings).first() else { return };
    let Some(thing) = nodes.get(*entity).ok().and_then(|node| carried_by_hand(&site, node.0)) else { return };
    let Some(world) = things.entity(thing).and_then(|entity| worlds.get(entity).ok()) else { return };
    let drag =
        Drag { thing, grip: hit.point, thing_from_grip: world.translation() - hit.point, rotation: world.rotation() };
    grabs.write(GrabBody { thing, from: drag.at() });
    *dragged = Some(drag);
}

/// What a person means by a part of a box is the box.
pub(crate) fn carried_by_hand(site: &Site, thing: ThingIndex) -> Option<ThingIndex> {
    let up = std::iter::successors(Some(thing), |at| site.parent(*at));
    up.into_iter().find(|at| site.thing(*at).is_some_and(|t| t.is_carried_by_hand()))
}

impl Drag {
    /// Where the thing is now.
    fn at(&self) -> Isometry3d {
        Isometry3d::new(self.grip + self.thing_from_grip, self.rotation)
    }

    /// The grip follows the pointer in its plane, but not beyond the horizon and not below the floor.
    fn moved(mut self, mouse: &Pointer, lifts: bool) -> Self {
        let ray = mouse.ray;
        let normal = if lifts { ray.direction.with_y(0.0).try_normalize() } else { Some(Vec3::Y) };
        let plane = normal.map(InfinitePlane3d::new);
        let distance = plane.and_then(|plane| ray.intersect_plane(self.grip, plane)).filter(|d| *d < FARTHEST);
        if let Some(distance) = distance {
            self.grip = ray.get_point(distance);
            self.grip.y = self.grip.y.max(-self.thing_from_grip.y);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy::math::Vec3A;

    fn mouse(from: Vec3, towards: Vec3) -> Pointer {
        let ray = Ray3d::new(from, Dir3::new(towards - from).unwrap());
        Pointer { by: PointedBy::Mouse, ray, met: None, on_panel: None, is_pressed: true, was_pressed: false }
    }

    #[test]
    fn a_box_is_dragged_level_lifted_with_shift_and_never_through_the_floor() {
        let eye = Vec3::new(0.0, 2.0, 5.0);
        let grip = Vec3::new(0.0, 0.5, 0.0);
        let drag = Drag { thing: ThingIndex(0), grip, thing_from_grip: Vec3::Y * -0.5, rotation: Quat::IDENTITY };
        let moved = drag.moved(&mouse(eye, Vec3::new(2.0, 0.5, -1.0)), false);
        assert!(moved.at().translation.distance(Vec3A::new(2.0, 0.0, -1.0)) < 1e-4, "{:?}", moved.at());
        let lifted = drag.moved(&mouse(eye, Vec3::new(0.0, 1.7, 0.0)), true);
        assert!(lifted.at().translation.distance(Vec3A::new(0.0, 1.2, 0.0)) < 1e-4, "{:?}", lifted.at());
        let sunk = drag.moved(&mouse(eye, Vec3::new(0.0, -1.0, 0.0)), true);
        assert_eq!(sunk.at().translation.y, 0.0);
        let horizon = drag.moved(&mouse(eye, Vec3::new(0.0, 1.99, -5.0)), false);
        assert_eq!(horizon.at(), drag.at(), "it stays rather than to fly off");
    }
}
