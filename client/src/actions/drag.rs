//! Moving by hand: while the card that moves a thing is open, a hand that presses on its box drags that over the floor. Near
//! another machine it snaps: side to side, flush, or middle to middle; else to a grid. Nothing has moved before the card
//! says so.

use bevy::math::bounding::{Aabb3d, RayCast3d};
use bevy::prelude::*;
use gemba_twin::thing::Level;

use super::place::{self, Draft};
use super::{Card, Open, Shown};
use crate::pointer::{PointedBy, Pointer, Pointers};
use crate::site::ThingIndex;

/// Farthest from the hand that a thing is dragged, metres: near the horizon a trembling hand would move it by a hall.
const FARTHEST: f32 = 60.0;
/// What is nearer than this to a neighbour's side or middle snaps to it, metres.
const SNAP: f32 = 0.12;
/// Neighbours are looked for so far away, metres.
const NEIGHBOURS: f32 = 4.0;
/// Without a neighbour: so far apart are places, metres.
const GRID: f32 = 0.05;

/// A box that is being dragged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    by: PointedBy,
    /// Where it was taken, world frame.
    grip: Vec3,
    /// Where its thing is, seen from there.
    thing_from_grip: Vec3,
}

/// A box on the floor, lowest and highest corner.
#[derive(Debug, Clone, Copy)]
struct Footprint {
    low: Vec2,
    high: Vec2,
}

pub(super) fn drag(mut held: Local<Option<Held>>, mut open: ResMut<Open>, pointers: Res<Pointers>, shown: Shown) {
    let Some((thing, Card::Move(draft))) = &mut open.bypass_change_detection().0 else {
        *held = None;
        return;
    };
    let thing = *thing;
    // The mouse turns the camera by dragging, and has the numbers.
    let hands = || pointers.iter().filter(|p| p.by != PointedBy::Mouse && p.on_panel.is_none());
    if let Some(pointer) = hands().find(|p| p.was_pressed) {
        *held = take(thing, draft, pointer, &shown);
    }
    let Some(holding) = *held else { return };
    let pointer = pointers.of(holding.by).filter(|pointer| pointer.is_pressed);
    let Some(pointer) = pointer else {
        *held = None;
        return;
    };
    let level = pointer.ray.intersect_plane(holding.grip, InfinitePlane3d::new(Vec3::Y)).filter(|d| *d < FARTHEST);
    if let Some(distance) = level {
        let wanted = pointer.ray.get_point(distance) + holding.thing_from_grip;
        draft.position = Vec3::new(wanted.x, draft.position.y, wanted.z);
        snap_to_neighbours(thing, draft, &shown);
    }
}

/// Takes the box, if it is pointed at.
fn take(thing: ThingIndex, draft: &Draft, pointer: &Pointer, shown: &Shown) -> Option<Held> {
    let shape = place::preview(thing, draft, shown)?;
    let box_from_world = Isometry3d::new(shape.translation, shape.rotation).inverse();
    let from = box_from_world * pointer.ray.origin;
    let along = Dir3::new(box_from_world.rotation * *pointer.ray.direction).ok()?;
    let walls = Aabb3d::new(Vec3::ZERO, shape.scale / 2.0);
    let distance = RayCast3d::new(from, along, FARTHEST).aabb_intersection_at(&walls)?;
    let grip = pointer.ray.get_point(distance);
    Some(Held { by: pointer.by, grip, thing_from_grip: draft.position - grip })
}

fn snap_to_neighbours(thing: ThingIndex, draft: &mut Draft, shown: &Shown) {
    draft.snapped.clear();
    let Some(shape) = place::preview(thing, draft, shown) else { return };
    let own = footprint(&shape);
    let parts = shown.site.subtree(thing);
    let units = shown.site.present().filter(|other| !parts.contains(other));
    let units = units.filter(|other| shown.site.thing(*other).is_some_and(|t| t.level == Level::Unit));
    let others: Vec<Footprint> = units
        .filter_map(|other| {
            let entity = shown.things.entity(other)?;
            let (bounds, world) = (shown.bounds.get(entity).ok()?, shown.worlds.get(entity).ok()?);
            let (centre, half) = (bounds.centre_now(world).xz(), bounds.half.xz());
            Some(Footprint { low: centre - half, high: centre + half })
        })
        .filter(|other| own.gap(other) < NEIGHBOURS)
        .collect();
    let floor = shape.translation.y - shape.scale.y / 2.0;
    for axis in [0, 1] {
        let (shift, to) = snap(&own, &others, axis);
        let coordinate = 2 * axis;
        match to {
            Some((at, other)) => {
                draft.position[coordinate] += shift;
                let ends = own.along(other, axis, at);
                draft.snapped.push(ends.map(|end| Vec3::new(end.x, floor + 0.02, end.y)));
            }
            None => draft.position[coordinate] = (draft.position[coordinate] / GRID).round() * GRID,
        }
    }
}

fn footprint(shape: &Transform) -> Footprint {
    let half = shape.scale / 2.0;
    let turned = Mat3::from_quat(shape.rotation);
    let half = turned.x_axis.abs() * half.x + turned.z_axis.abs() * half.z;
    let centre = shape.translation.xz();
    Footprint { low: centre - half.xz(), high: centre + half.xz() }
}

impl Footprint {
    /// How far apart the two are along the axis in which they are further apart.
    fn gap(&self, other: &Footprint) -> f32 {
        (other.low - self.high).max(self.low - other.high).max_element()
    }

    /// The ends of a line over both at a place on an axis.
    fn along(&self, other: &Footprint, axis: usize, at: f32) -> [Vec2; 2] {
        let (mut from, mut to) = (self.low.min(other.low), self.high.max(other.high));
        (from[axis], to[axis]) = (at, at);
        [from, to]
    }
}

/// The smallest shift along an axis (0 for x, 1 for z) that brings it side to side, flush or middle to middle with another;
/// where that is, and with whom.
fn snap<'a>(own: &Footprint, others: &'a [Footprint], axis: usize) -> (f32, Option<(f32, &'a Footprint)>) {
    let (low, high) = (own.low[axis], own.high[axis]);
    let ways = others.iter().flat_map(|other| {
        let (other_low, other_high) = (other.low[axis], other.high[axis]);
        let (middle, other_middle) = (low.midpoint(high), other_low.midpoint(other_high));
        let pairs =
            [(low, other_low), (low, other_high), (high, other_low), (high, other_high), (middle, other_middle)];
        pairs.map(|(ours, theirs)| (theirs - ours, theirs, other))
    });
    let near = ways.filter(|(shift, ..)| shift.abs() < SNAP);
    let nearest = near.min_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
    nearest.map_or((0.0, None), |(shift, at, other)| (shift, Some((at, other))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(x: f32, z: f32, half: f32) -> Footprint {
        let centre = Vec2::new(x, z);
        Footprint { low: centre - half, high: centre + half }
    }

    #[test]
    fn a_machine_snaps_side_to_side_flush_and_middle_to_middle_but_not_from_afar() {
        let other = [square(0.0, 0.0, 1.0)];
        let beside = snap(&square(1.55, 0.3, 0.5), &other, 0);
        assert!((beside.0 + 0.05).abs() < 1e-5 && (beside.1.unwrap().0 - 1.0).abs() < 1e-5, "{beside:?}");
        let flush = snap(&square(3.0, 0.45, 0.5), &other, 1);
        assert!((flush.0 - 0.05).abs() < 1e-5, "{flush:?}");
        let middle = snap(&square(3.0, 0.04, 0.3), &other, 1);
        assert!((middle.0 + 0.04).abs() < 1e-5, "{middle:?}");
        assert!(snap(&square(1.8, 0.0, 0.5), &other, 0).1.is_none());
        assert_eq!(snap(&square(0.0, 0.0, 1.0), &[], 0).0, 0.0);
    }

    #[test]
    fn a_machine_turned_by_a_right_angle_takes_its_other_side_along_the_floor() {
        let long = Transform::from_scale(Vec3::new(4.0, 1.0, 2.0));
        let turned = footprint(&long.with_rotation(Quat::from_rotation_y(std::f32::consts::FRAC_PI_2)));
        assert!((turned.high - Vec2::new(1.0, 2.0)).length() < 1e-4, "{turned:?}");
        assert!((turned.gap(&square(4.0, 0.0, 1.0)) - 2.0).abs() < 1e-4);
    }
}
