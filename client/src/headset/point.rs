//! What the hands and the eyes point at; pulling the trigger, or pinching, selects it.

use bevy::prelude::*;
use gemba_xr::{Buzz, HeadsetFigures, Rig, Side, Tracked};

use super::Doing;
use super::rays::Rays;
use crate::pointer::{PointedBy, Pointer, Pointers, is_pressed};
use crate::selection::{SelectThing, unit_of};
use crate::site::Site;
use crate::tool::selects;

/// How far one points, metres: to the far end of the largest hall, whatever the scale.
const FAR: f32 = 2000.0;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, point.in_set(Doing::Point))
        .add_systems(Update, select.run_if(selects).in_set(Doing::Press));
}

/// The pointer that a hand moves.
pub(super) fn pointed_by(side: Side) -> PointedBy {
    match side {
        Side::Left => PointedBy::LeftHand,
        Side::Right => PointedBy::RightHand,
    }
}

fn point(
    mut pointers: ResMut<Pointers>,
    rays: Rays,
    tracked: Res<Tracked>,
    rig: Single<&Transform, With<Rig>>,
    figures: Res<HeadsetFigures>,
) {
    let _own = figures.timed();
    let mut sources: Vec<(PointedBy, Option<Transform>, f32)> =
        Side::BOTH.map(|side| (pointed_by(side), tracked.hand(side).aim, tracked.hand(side).trigger)).to_vec();
    // Eyes point, hands press: whichever hand does.
    let pull = tracked.hands.iter().map(|hand| hand.trigger).fold(0.0, f32::max);
    let no_aim = tracked.hands.iter().all(|hand| hand.aim.is_none());
    sources.push((PointedBy::Gaze, tracked.gaze.filter(|_| no_aim), pull));
    for (by, aim, pull) in sources {
        let before = pointers.of(by).is_some_and(|pointer| pointer.is_pressed);
        let pressed = is_pressed(pull, before);
        let pointer = aim.map(|aim| {
            let aim = rig.mul_transform(aim);
            let ray = Ray3d::new(aim.translation, aim.forward());
            let met = rays.first(ray, FAR);
            Pointer { by, ray, met, on_panel: None, is_pressed: pressed, was_pressed: pressed && !before }
        });
        pointers.set(by, pointer);
    }
}

fn select(
    mut select: MessageWriter<SelectThing>,
    mut buzz: MessageWriter<Buzz>,
    pointers: Res<Pointers>,
    site: Res<Site>,
) {
    for pointer in pointers.iter().filter(|p| p.by != PointedBy::Mouse && p.on_panel.is_none() && p.was_pressed) {
        let thing = pointer.met.and_then(|met| met.thing).map(|thing| unit_of(&site, thing));
        select.write(SelectThing(thing));
        let side = if pointer.by == PointedBy::LeftHand { Side::Left } else { Side::Right };
        buzz.write(Buzz { side, strength: if thing.is_some() { 0.6 } else { 0.2 }, secs: 0.03 });
    }
}
