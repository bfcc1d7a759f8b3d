//! Taking boxes and parts in hand: a hand that closes while it points at one that can be carried has it, wherever it is,
//! and carries it as if on a stick of that length; opened, it lets go. The others see it at once ([`crate::bodies`]).
//!
//! For hands that cannot close, and for one finger, the tool [`Tool::Carry`] does the same with the trigger.

use bevy::prelude::*;
use gemba_xr::{Buzz, Rig, Side, Tracked};

use super::Doing;
use super::point::pointed_by;
use crate::bodies::{Bodies, GrabBody, MoveBody, ReleaseBody, carried_by_hand};
use crate::cursor::Cursor;
use crate::link::Connection;
use crate::mirror::ThingEntities;
use crate::pointer::{Pointer, Pointers};
use crate::site::{Site, ThingIndex};
use crate::tool::Tool;

/// A hand is closed from then on, and open again below the second.
const CLOSED: (f32, f32) = (0.7, 0.4);

/// What a hand has.
#[derive(Debug, Clone, Copy)]
struct Carried {
    thing: ThingIndex,
    /// Where it is, in the frame of the hand's aim.
    hand_from_thing: Isometry3d,
}

/// What the hands do, left first.
#[derive(Resource, Debug, Default)]
pub(super) struct Carrying {
    carried: [Option<Carried>; 2],
    was_closed: [bool; 2],
}

impl Carrying {
    /// Whether any hand carries something: closed hands then do nothing else.
    pub(super) fn is_any(&self) -> bool {
        self.carried.iter().any(Option::is_some)
    }
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Carrying>().add_systems(Update, carry.in_set(Doing::Carry));
}

fn carry(
    mut carrying: ResMut<Carrying>,
    mut grabs: MessageWriter<GrabBody>,
    mut moves: MessageWriter<MoveBody>,
    mut releases: MessageWriter<ReleaseBody>,
    mut buzz: MessageWriter<Buzz>,
    (tracked, pointers, tool): (Res<Tracked>, Res<Pointers>, Res<Tool>),
    (site, things, bodies): (Res<Site>, Res<ThingEntities>, Res<Bodies>),
    (connection, cursor): (Res<Connection>, Res<Cursor>),
    worlds: Query<&GlobalTransform>,
    rig: Single<&Transform, With<Rig>>,
) {
    for side in Side::BOTH {
        let n = side as usize;
        let (hand, pointer) = (tracked.hand(side), pointers.of(pointed_by(side)));
        let was = carrying.was_closed[n];
        let squeezes = hand.squeeze > if was { CLOSED.1 } else { CLOSED.0 };
        let pulls = *tool == Tool::Carry && pointer.is_some_and(|pointer| pointer.is_pressed);
        let is_closed = hand.aim.is_some() && (squeezes || pulls);
        carrying.was_closed[n] = is_closed;
        let aim = hand.aim.map(|aim| rig.mul_transform(aim)).map(|aim| Isometry3d::new(aim.translation, aim.rotation));
        if let Some(carried) = carrying.carried[n].take() {
            // Not ours, or not there any more: then there is nothing to let go.
            let id = site.standing(carried.thing).map(|standing| standing.id);
            if !id.is_some_and(|id| bodies.in_hand(id)) {
                continue;
            }
            let Some(aim) = aim.filter(|_| is_closed) else {
                releases.write(ReleaseBody { thing: carried.thing });
                buzz.write(Buzz { side, strength: 0.3, secs: 0.02 });
                continue;
            };
            let floor = things.plant.map_or(f32::MIN, |(lowest, _)| lowest.y);
            moves.write(MoveBody { thing: carried.thing, to: above(aim * carried.hand_from_thing, floor) });
            carrying.carried[n] = Some(carried);
            continue;
        }
        let may = connection.is_here() && *cursor == Cursor::Live;
        let Some((aim, pointer)) = aim.zip(pointer).filter(|_| may && is_closed && !was) else { continue };
        let Some(thing) = pointed_body(&site, pointer) else { continue };
        let Some(world) = things.entity(thing).and_then(|entity| worlds.get(entity).ok()) else { continue };
        let world = Isometry3d::new(world.translation(), world.rotation());
        grabs.write(GrabBody { thing, from: world });
        buzz.write(Buzz { side, strength: 0.6, secs: 0.03 });
        carrying.carried[n] = Some(Carried { thing, hand_from_thing: aim.inverse() * world });
    }
}

/// What can be carried of what this hand points at; nothing on the panel can.
fn pointed_body(site: &Site, pointer: &Pointer) -> Option<ThingIndex> {
    carried_by_hand(site, pointer.met.filter(|_| pointer.on_panel.is_none())?.thing?)
}

/// Nothing is pushed through the floor.
fn above(mut at: Isometry3d, floor: f32) -> Isometry3d {
    at.translation.y = at.translation.y.max(floor);
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_goes_with_the_hand_that_has_it_and_not_through_the_floor() {
        let aim = Isometry3d::new(Vec3::new(1.0, 1.2, 0.0), Quat::from_rotation_y(0.4));
        let there = Isometry3d::from_translation(Vec3::new(2.0, 0.5, -1.0));
        let held = aim.inverse() * there;
        assert!((aim * held).translation.distance(there.translation) < 1e-5);
        let turned = Isometry3d::new(Vec3::new(1.0, 1.2, 0.0), Quat::from_rotation_y(1.4));
        let moved = (turned * held).translation;
        assert!((moved.distance(aim.translation) - there.translation.distance(aim.translation)).abs() < 1e-4);
        assert_eq!(above(Isometry3d::from_translation(Vec3::NEG_Y), 0.1).translation.y, 0.1);
    }
}
