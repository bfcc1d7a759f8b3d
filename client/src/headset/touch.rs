//! Touching a sheet, the panel or a card: a forefinger that goes through its surface presses there, as on a tablet; near it, it hovers. A
//! hand whose finger is at the panel has no laser. Bare hands touch with the tip of the forefinger, controllers with the
//! finger that is drawn on them.

use bevy::prelude::*;
use gemba_xr::{Hand, Rig, Side, Tracked};

use super::cards::Cards;
use super::panel::Panel;
use super::point::pointed_by;
use super::press::sheets;
use crate::pointer::{Met, OnPanel, Pointer, Pointers};

/// XR_HAND_JOINT_INDEX_TIP_EXT.
const FOREFINGER_TIP: usize = 10;
/// How far before a controller's grip its drawn finger ends, metres.
const FINGER: f32 = 0.1;
/// A finger hovers from here on, metres before the surface; behind it, it touches nothing.
const REACH: (f32, f32) = (0.08, -0.06);
/// A finger that pressed must come out so far to press again, metres: fingers tremble.
const OUT: f32 = 0.012;

/// What the fingers were doing, left first.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Finger {
    /// Away from the panel, or come from behind it.
    #[default]
    Away,
    /// Before it.
    Hovers,
    /// Through it.
    Presses,
}

impl Finger {
    /// The next, for a finger so far before the surface, metres; none where it is not at the panel.
    fn next(self, before: Option<f32>) -> Self {
        match (self, before) {
            (_, None) => Finger::Away,
            (Finger::Presses, Some(before)) if before < OUT => Finger::Presses,
            // Only from the front: a hand that comes out from behind the panel presses nothing on its way.
            (Finger::Hovers, Some(before)) if before <= 0.0 => Finger::Presses,
            (_, Some(before)) if before > 0.0 => Finger::Hovers,
            (_, Some(_)) => Finger::Away,
        }
    }
}

/// Where the tip of the forefinger is, the rig's frame.
fn fingertip(hand: &Hand) -> Option<Vec3> {
    let joint = hand.joints.get(FOREFINGER_TIP).map(|tip| tip.translation);
    joint.or_else(|| hand.grip.map(|grip| grip.transform_point(Vec3::NEG_Z * FINGER)))
}

/// Fingers at the panel are its pointers, instead of the lasers of their hands.
pub(super) fn touch(
    mut fingers: Local<[Finger; 2]>,
    mut pointers: ResMut<Pointers>,
    (panel, cards): (Res<Panel>, Res<Cards>),
    tracked: Res<Tracked>,
    rig: Single<&Transform, With<Rig>>,
) {
    for side in Side::BOTH {
        let is_busy = sheets(&panel, &cards).any(|(_, sheet)| sheet.hold.is_carried());
        let tip = fingertip(tracked.hand(side)).filter(|_| !is_busy);
        let at_tip = |tip| {
            let near = sheets(&panel, &cards).filter_map(|(number, sheet)| Some((number, sheet, sheet.nearest(tip)?)));
            let near = near.filter(|(.., (_, before))| *before < REACH.0 && *before > REACH.1);
            near.min_by(|a, b| a.2.1.abs().total_cmp(&b.2.1.abs()))
        };
        let touched = tip.and_then(|tip| Some((tip, at_tip(tip)?)));
        let was = fingers[side as usize];
        let is = was.next(touched.map(|(_, (.., (_, before)))| before));
        fingers[side as usize] = is;
        let Some((tip, (number, sheet, (at, _)))) = touched.filter(|_| is != Finger::Away) else { continue };
        let surface = rig.transform_point(sheet.place_of(at));
        let Ok(towards) = Dir3::new(surface - rig.transform_point(sheet.place.translation)) else { continue };
        let pointer = Pointer {
            by: pointed_by(side),
            ray: Ray3d::new(rig.transform_point(tip), towards),
            met: Some(Met { thing: None, place: surface, normal: -towards.as_vec3() }),
            on_panel: Some(OnPanel { sheet: number, at }),
            is_pressed: is == Finger::Presses,
            was_pressed: is == Finger::Presses && was != Finger::Presses,
        };
        pointers.set(pointer.by, Some(pointer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finger_presses_once_for_each_time_it_goes_through_from_the_front() {
        let mut finger = Finger::default();
        let mut presses = 0;
        let way = [0.07, 0.02, -0.001, 0.003, -0.004, 0.011, -0.02, 0.02, -0.001, 0.09];
        for before in way.map(|before| Some(before).filter(|before| *before < REACH.0)) {
            let next = finger.next(before);
            presses += u32::from(next == Finger::Presses && finger != Finger::Presses);
            finger = next;
        }
        assert_eq!((presses, finger), (2, Finger::Away), "it trembled, came out, and pressed again");
        let from_behind = [-0.05, -0.01, 0.02].iter().fold(Finger::Away, |finger, before| {
            let next = finger.next(Some(*before));
            assert_ne!(next, Finger::Presses);
            next
        });
        assert_eq!(from_behind, Finger::Hovers);
    }
}
