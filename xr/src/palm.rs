//! The menu button of a bare hand, which has none: turned so that its palm faces the eyes it points at nothing, and pinching
//! opens and closes the menu.
//!
//! Left out: who holds a controller has a button, and may turn their hand as they like.

use bevy::prelude::*;

use crate::tracked::{Hand, Side, Tracked};

/// Cosines of the angle between the palm's normal and the way to the eyes: up to 35° it is turned to them, from 50° on no
/// more.
const FACES: (f32, f32) = (0.82, 0.64);
/// Cosine of the angle from straight ahead within which a hand is looked at: 45°.
const LOOKED_AT: f32 = 0.71;
/// Fingers pinch from the first on, and have let go below the second.
const PINCHES: (f32, f32) = (0.7, 0.4);

/// What a hand is doing with its palm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Palm {
    /// It is turned away: the hand points, and pinching presses.
    #[default]
    Away,
    /// It faces the eyes, and the fingers do not pinch.
    Shown,
    /// It faces the eyes, and they do.
    Pinched,
    /// It has been turned away with a pinch that was the menu's: that is nothing else's until they let go.
    Ending,
}

/// Both hands', left first.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Palms([Palm; 2]);

impl Palms {
    /// Reads in what both hands do what they mean.
    pub(crate) fn read(&mut self, tracked: &mut Tracked) {
        let head = tracked.head;
        for side in Side::BOTH {
            let (hand, palm) = (&mut tracked.hands[side as usize], &mut self.0[side as usize]);
            *palm = palm.next(hand, head, side);
            if *palm == Palm::Away {
                continue;
            }
            hand.offers_menu = *palm != Palm::Ending;
            hand.menu |= *palm == Palm::Pinched;
            (hand.aim, hand.trigger, hand.squeeze) = (None, 0.0, 0.0);
        }
    }
}

impl Palm {
    fn next(self, hand: &Hand, head: Option<Transform>, side: Side) -> Self {
        let least = if self == Palm::Away { FACES.0 } else { FACES.1 };
        let is_shown = hand.is_bare && head.is_some_and(|head| faces(hand, head, side) > least);
        let (pinches, lets_go) = (hand.trigger > PINCHES.0, hand.trigger < PINCHES.1);
        match (self, is_shown) {
            // What was taken before, by a pinch or a fist, goes on being held.
            (Palm::Away, true) if lets_go && hand.squeeze < PINCHES.1 => Palm::Shown,
            (Palm::Away, _) => Palm::Away,
            (Palm::Shown, true) if pinches => Palm::Pinched,
            (Palm::Shown, true) => Palm::Shown,
            (Palm::Shown, false) => Palm::Away,
            (Palm::Pinched | Palm::Ending, true) if lets_go => Palm::Shown,
            (Palm::Pinched | Palm::Ending, false) if lets_go => Palm::Away,
            (Palm::Pinched, true) => Palm::Pinched,
            (Palm::Pinched, false) | (Palm::Ending, _) => Palm::Ending,
        }
    }
}

/// How much the palm faces the eyes (a cosine); less than nothing where the person does not look at it.
fn faces(hand: &Hand, head: Transform, side: Side) -> f32 {
    let Some(grip) = hand.grip else { return -1.0 };
    // OpenXR 1.1, section 6.3.1: +X of a grip is away from the left hand's palm, and into the right one's.
    let palm = match side {
        Side::Left => grip.right(),
        Side::Right => grip.left(),
    };
    let towards = (head.translation - grip.translation).normalize_or_zero();
    if head.forward().dot(-towards) > LOOKED_AT { palm.dot(towards) } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bare left hand before the face, turned about the vertical so far from facing it, with fingers that pinch so firmly.
    fn person(turned: f32, pinch: f32) -> Tracked {
        let at = Vec3::new(0.0, 1.5, -0.4);
        // The palm's normal, +X, towards the face, which is behind: +Z.
        let facing = Quat::from_rotation_y(-std::f32::consts::FRAC_PI_2);
        let grip = Transform::from_translation(at).with_rotation(Quat::from_rotation_y(turned) * facing);
        let left = Hand { grip: Some(grip), aim: Some(grip), trigger: pinch, squeeze: 0.2, is_bare: true, ..default() };
        Tracked { head: Some(Transform::from_xyz(0.0, 1.5, 0.0)), hands: [left, Hand::default()], gaze: None }
    }

    fn read(palms: &mut Palms, turned: f32, pinch: f32) -> Hand {
        let mut tracked = person(turned, pinch);
        palms.read(&mut tracked);
        tracked.hands[0].clone()
    }

    #[test]
    fn a_palm_before_the_eyes_points_at_nothing_and_pinching_is_its_menu_button() {
        let mut palms = Palms::default();
        let shown = read(&mut palms, 0.3, 0.0);
        assert!(shown.offers_menu && !shown.menu && shown.aim.is_none());
        let pinched = read(&mut palms, 0.3, 0.9);
        assert!(pinched.menu && pinched.trigger == 0.0, "it selects nothing");
        assert!(read(&mut palms, 0.7, 0.5).menu, "a hand that trembles goes on pinching");
        assert!(!read(&mut palms, 0.3, 0.1).menu);
    }

    #[test]
    fn a_pinch_is_what_it_began_as_until_the_fingers_let_go() {
        let mut palms = Palms::default();
        let away = read(&mut palms, 2.0, 0.9);
        assert!(!away.menu && away.trigger == 0.9 && away.aim.is_some());
        let turned = read(&mut palms, 0.0, 0.9);
        assert!(!turned.menu && turned.trigger == 0.9, "what is held stays held");
        let mut carrying = person(0.0, 0.0);
        carrying.hands[0].squeeze = 0.9;
        Palms::default().read(&mut carrying);
        assert_eq!(carrying.hands[0].squeeze, 0.9, "a box in the fist is not dropped by looking at it");
        read(&mut palms, 0.0, 0.0);
        assert!(read(&mut palms, 0.0, 0.9).menu);
        let turned_away = read(&mut palms, 2.0, 0.9);
        assert_eq!((turned_away.menu, turned_away.trigger, turned_away.offers_menu), (false, 0.0, false));
        let open = read(&mut palms, 2.0, 0.0);
        assert!(open.aim.is_some(), "and points again");
    }

    #[test]
    fn the_back_of_a_hand_a_hand_beside_the_eyes_and_a_controller_offer_no_menu() {
        assert!(!read(&mut Palms::default(), std::f32::consts::PI, 0.0).offers_menu);
        let mut aside = person(0.0, 0.0);
        aside.head = Some(Transform::from_xyz(0.0, 1.5, 0.0).with_rotation(Quat::from_rotation_y(1.2)));
        Palms::default().read(&mut aside);
        assert!(!aside.hands[0].offers_menu);
        let mut held = person(0.0, 0.9);
        held.hands[0].is_bare = false;
        let before = held.clone();
        Palms::default().read(&mut held);
        assert_eq!(held, before);
    }

    #[test]
    fn the_right_hands_palm_is_on_its_other_side() {
        let mut tracked = person(0.0, 0.0);
        tracked.hands.swap(0, 1);
        Palms::default().read(&mut tracked);
        assert!(!tracked.hands[1].offers_menu, "that is its back");
        let grip = tracked.hands[1].grip.unwrap();
        tracked.hands[1].grip = Some(grip.with_rotation(Quat::from_rotation_y(std::f32::consts::PI) * grip.rotation));
        Palms::default().read(&mut tracked);
        assert!(tracked.hands[1].offers_menu);
    }
}
