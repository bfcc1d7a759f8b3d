//! The actions of OpenXR: made from the table in `bindings` when a session begins, read once a frame into
//! [`Tracked`]. What a runtime refuses is left out; the rest still works.

use std::time::Duration;

use bevy::prelude::*;
use openxr::{Action, ActionSet, AnyGraphics, Haptic, Instance, Path, Posef, Session, Space, Time, Vector2f};

use crate::bindings::{BARE_PROFILE, GAZE, GAZE_PROFILE, HANDS, PROFILES, Role};
use crate::pose::{transform, transform_if_valid};
use crate::tracked::{Buzz, Hand, Side, Tracked};

/// A session's actions, and the spaces of the poses among them.
pub(crate) struct Input {
    set: ActionSet,
    hands: [Path; 2],
    bare: Path,
    grips: [Space; 2],
    aims: [Space; 2],
    gaze: Option<Space>,
    trigger: Action<f32>,
    squeeze: Action<f32>,
    stick: Action<Vector2f>,
    primary: Action<bool>,
    secondary: Action<bool>,
    menu: Action<bool>,
    haptic: Action<Haptic>,
    joints: [Option<openxr::HandTracker>; 2],
}

impl Input {
    /// Makes and attaches the actions of a new session.
    pub(crate) fn new(instance: &Instance, session: &Session<AnyGraphics>) -> openxr::Result<Self> {
        let set = instance.create_action_set("person", "In the plant", 0)?;
        let hands = [instance.string_to_path(HANDS[0])?, instance.string_to_path(HANDS[1])?];
        let grip: Action<Posef> = set.create_action("grip", "Hand", &hands)?;
        let aim: Action<Posef> = set.create_action("aim", "Pointer", &hands)?;
        let trigger = set.create_action("trigger", "Select and press", &hands)?;
        let squeeze = set.create_action("squeeze", "Grab", &hands)?;
        let stick = set.create_action("stick", "Move and turn", &hands)?;
        let primary = set.create_action("primary", "Lower button", &hands)?;
        let secondary = set.create_action("secondary", "Upper button", &hands)?;
        let menu = set.create_action("menu", "Menu", &hands)?;
        let haptic = set.create_action("tremble", "Tremble", &hands)?;
        let gaze: Option<Action<Posef>> = if instance.exts().ext_eye_gaze_interaction.is_some() {
            set.create_action("gaze", "Gaze", &[]).ok()
        } else {
            None
        };
        for profile in PROFILES {
            let mut bindings = Vec::new();
            for (role, path) in profile.bindings() {
                let path = instance.string_to_path(&path)?;
                bindings.push(match role {
                    Role::Grip => openxr::Binding::new(&grip, path),
                    Role::Aim => openxr::Binding::new(&aim, path),
                    Role::Trigger => openxr::Binding::new(&trigger, path),
                    Role::Squeeze => openxr::Binding::new(&squeeze, path),
                    Role::Stick => openxr::Binding::new(&stick, path),
                    Role::Primary => openxr::Binding::new(&primary, path),
                    Role::Secondary => openxr::Binding::new(&secondary, path),
                    Role::Menu => openxr::Binding::new(&menu, path),
                    Role::Haptic => openxr::Binding::new(&haptic, path),
                });
            }
            suggest(instance, profile.path, &bindings);
        }
        if let Some(gaze) = &gaze {
            suggest(instance, GAZE_PROFILE, &[openxr::Binding::new(gaze, instance.string_to_path(GAZE)?)]);
        }
        session.attach_action_sets(&[&set])?;
        let space = |action: &Action<Posef>, hand| action.create_space(session, hand, Posef::IDENTITY);
        let tracker = |hand| instance.exts().ext_hand_tracking.and_then(|_| session.create_hand_tracker(hand).ok());
        Ok(Self {
            grips: [space(&grip, hands[0])?, space(&grip, hands[1])?],
            aims: [space(&aim, hands[0])?, space(&aim, hands[1])?],
            gaze: gaze.and_then(|gaze| space(&gaze, Path::NULL).ok()),
            joints: [tracker(openxr::Hand::LEFT), tracker(openxr::Hand::RIGHT)],
            set,
            hands,
            bare: instance.string_to_path(BARE_PROFILE)?,
            trigger,
            squeeze,
            stick,
            primary,
            secondary,
            menu,
            haptic,
        })
    }

    /// Reads hands, buttons and gaze for the instant `at`. The head is another's.
    ///
    /// # Errors
    ///
    /// What the runtime says when it cannot be asked at all; a hand that cannot be found is only not there.
    pub(crate) fn read(
        &self,
        session: &Session<AnyGraphics>,
        stage: &Space,
        at: Time,
        tracked: &mut Tracked,
    ) -> openxr::Result<()> {
        session.sync_actions(&[openxr::ActiveActionSet::new(&self.set)])?;
        for side in Side::BOTH {
            tracked.hands[side as usize] = self.hand(session, stage, at, side as usize);
        }
        tracked.gaze = self.gaze.as_ref().and_then(|gaze| transform_if_valid(gaze.locate(stage, at)));
        Ok(())
    }

    fn hand(&self, session: &Session<AnyGraphics>, stage: &Space, at: Time, side: usize) -> Hand {
        let path = self.hands[side];
        let number = |action: &Action<f32>| action.state(session, path).map_or(0.0, |s| fraction(s.current_state));
        let is_down = |action: &Action<bool>| action.state(session, path).is_ok_and(|s| s.current_state);
        let stick = self.stick.state(session, path).map_or(Vec2::ZERO, |s| axes(s.current_state));
        let joints =
            self.joints[side].as_ref().and_then(|tracker| stage.locate_hand_joints(tracker, at).ok().flatten());
        Hand {
            grip: transform_if_valid(self.grips[side].locate(stage, at)),
            aim: transform_if_valid(self.aims[side].locate(stage, at)),
            trigger: number(&self.trigger),
            squeeze: number(&self.squeeze),
            stick,
            primary: is_down(&self.primary),
            secondary: is_down(&self.secondary),
            menu: is_down(&self.menu),
            is_bare: session.current_interaction_profile(path).is_ok_and(|profile| profile == self.bare),
            offers_menu: false,
            joints: joints.map_or_else(Vec::new, |joints| joints.iter().map(|joint| transform(joint.pose)).collect()),
        }
    }

    /// Lets a hand tremble; what cannot, does not.
    pub(crate) fn buzz(&self, session: &Session<AnyGraphics>, buzz: &Buzz) {
        let secs = Duration::from_secs_f32(fraction(buzz.secs));
        let event = openxr::HapticVibration::new()
            .amplitude(fraction(buzz.strength))
            .duration(openxr::Duration::from_nanos(secs.as_nanos() as i64))
            .frequency(openxr::FREQUENCY_UNSPECIFIED);
        if let Err(why) = self.haptic.apply_feedback(session, self.hands[buzz.side as usize], &event) {
            debug!("no tremble: {why}");
        }
    }
}

/// Tells the runtime which buttons we would like. It may not know the profile: then nobody holds such a controller.
fn suggest(instance: &Instance, profile: &str, bindings: &[openxr::Binding<'_>]) {
    let path = instance.string_to_path(profile);
    if let Err(why) = path.and_then(|path| instance.suggest_interaction_profile_bindings(path, bindings)) {
        debug!("{profile}: {why}");
    }
}

/// A number from outside as 0 to 1.
fn fraction(number: f32) -> f32 {
    if number.is_finite() { number.clamp(0.0, 1.0) } else { 0.0 }
}

fn axes(stick: Vector2f) -> Vec2 {
    let stick = Vec2::new(stick.x, stick.y);
    if stick.is_finite() { stick.clamp_length_max(1.0) } else { Vec2::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_button_is_a_button_that_is_up() {
        assert_eq!([fraction(f32::NAN), fraction(-3.0), fraction(7.0), fraction(0.5)], [0.0, 0.0, 1.0, 0.5]);
        assert_eq!(axes(Vector2f { x: f32::INFINITY, y: 0.0 }), Vec2::ZERO);
    }
}
