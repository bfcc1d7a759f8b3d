//! Which button of which controller does what: one table for all interaction profiles. A runtime that does not know a
//! profile refuses it, and the others still hold.
//!
//! Paths are those of the OpenXR 1.1 specification, section 6.4, and of the extensions named. Absent: foot pedals,
//! trackers, and touch (a finger that rests on a button).

/// What a person does with one hand, whatever is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Where the hand is (pose).
    Grip,
    /// Where it points (pose).
    Aim,
    /// Selects and presses (0 to 1).
    Trigger,
    /// Grabs (0 to 1).
    Squeeze,
    /// Moves and turns (two axes).
    Stick,
    /// The lower button, A or X.
    Primary,
    /// The upper button, B or Y.
    Secondary,
    /// Opens the menu.
    Menu,
    /// Trembles (output).
    Haptic,
}

/// The buttons of one kind of controller: path below `/user/hand/left` or `/user/hand/right`.
pub(crate) struct Profile {
    /// Its path.
    pub(crate) path: &'static str,
    /// In both hands.
    pub(crate) both: &'static [(Role, &'static str)],
    /// In the left only.
    pub(crate) left: &'static [(Role, &'static str)],
    /// In the right only.
    pub(crate) right: &'static [(Role, &'static str)],
}

const GRIP: (Role, &str) = (Role::Grip, "input/grip/pose");
const AIM: (Role, &str) = (Role::Aim, "input/aim/pose");
const TRIGGER: (Role, &str) = (Role::Trigger, "input/trigger/value");
const SQUEEZE: (Role, &str) = (Role::Squeeze, "input/squeeze/value");
const SQUEEZE_CLICK: (Role, &str) = (Role::Squeeze, "input/squeeze/click");
const STICK: (Role, &str) = (Role::Stick, "input/thumbstick");
const MENU: (Role, &str) = (Role::Menu, "input/menu/click");
const HAPTIC: (Role, &str) = (Role::Haptic, "output/haptic");
const XY: &[(Role, &str)] = &[(Role::Primary, "input/x/click"), (Role::Secondary, "input/y/click"), MENU];
const AB: &[(Role, &str)] = &[(Role::Primary, "input/a/click"), (Role::Secondary, "input/b/click")];
const TOUCH: &[(Role, &str)] = &[GRIP, AIM, TRIGGER, SQUEEZE, STICK, HAPTIC];

const fn touch(path: &'static str) -> Profile {
    Profile { path, both: TOUCH, left: XY, right: AB }
}

/// Every profile we have words for.
pub(crate) const PROFILES: &[Profile] = &[
    Profile {
        path: "/interaction_profiles/khr/simple_controller",
        both: &[GRIP, AIM, (Role::Trigger, "input/select/click"), MENU, HAPTIC],
        left: &[],
        right: &[],
    },
    // XR_KHR_generic_controller
    Profile {
        path: "/interaction_profiles/khr/generic_controller",
        both: &[
            GRIP,
            AIM,
            TRIGGER,
            SQUEEZE,
            STICK,
            (Role::Primary, "input/primary/click"),
            (Role::Secondary, "input/secondary/click"),
            HAPTIC,
        ],
        left: &[],
        right: &[],
    },
    touch("/interaction_profiles/oculus/touch_controller"),
    // XR_META_touch_controller_plus
    touch("/interaction_profiles/meta/touch_controller_plus"),
    // XR_FB_touch_controller_pro
    touch("/interaction_profiles/facebook/touch_controller_pro"),
    Profile {
        path: "/interaction_profiles/valve/index_controller",
        both: &[
            GRIP,
            AIM,
            TRIGGER,
            SQUEEZE,
            STICK,
            (Role::Primary, "input/a/click"),
            (Role::Secondary, "input/b/click"),
            // It has no menu button that is ours: the system's is not.
            (Role::Menu, "input/thumbstick/click"),
            HAPTIC,
        ],
        left: &[],
        right: &[],
    },
    Profile {
        path: "/interaction_profiles/htc/vive_controller",
        both: &[GRIP, AIM, TRIGGER, SQUEEZE_CLICK, (Role::Stick, "input/trackpad"), MENU, HAPTIC],
        left: &[],
        right: &[],
    },
    // XR_HTC_vive_focus3_controller_interaction
    Profile {
        path: "/interaction_profiles/htc/vive_focus3_controller",
        both: &[GRIP, AIM, TRIGGER, SQUEEZE_CLICK, STICK, HAPTIC],
        left: XY,
        right: AB,
    },
    Profile {
        path: "/interaction_profiles/microsoft/motion_controller",
        both: &[GRIP, AIM, TRIGGER, SQUEEZE_CLICK, STICK, MENU, HAPTIC],
        left: &[],
        right: &[],
    },
    // XR_BD_controller_interaction
    touch("/interaction_profiles/bytedance/pico4_controller"),
    // XR_EXT_hand_interaction: bare hands; pinching selects, a fist grabs.
    Profile {
        path: "/interaction_profiles/ext/hand_interaction_ext",
        both: &[GRIP, AIM, (Role::Trigger, "input/pinch_ext/value"), (Role::Squeeze, "input/grasp_ext/value")],
        left: &[],
        right: &[],
    },
];

/// XR_EXT_eye_gaze_interaction: where the person looks.
pub(crate) const GAZE_PROFILE: &str = "/interaction_profiles/ext/eye_gaze_interaction";
/// Its only input.
pub(crate) const GAZE: &str = "/user/eyes_ext/input/gaze_ext/pose";

/// The two hands' top level paths, left first.
pub(crate) const HANDS: [&str; 2] = ["/user/hand/left", "/user/hand/right"];

impl Profile {
    /// What each hand's button does: role and whole path.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = (Role, String)> {
        let sides = [(HANDS[0], self.left), (HANDS[1], self.right)];
        sides.into_iter().flat_map(|(hand, own)| {
            self.both.iter().chain(own).map(move |(role, below)| (*role, format!("{hand}/{below}")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_controller_points_and_selects_with_either_hand() {
        for profile in PROFILES {
            for hand in HANDS {
                for role in [Role::Grip, Role::Aim, Role::Trigger] {
                    let ways = profile.bindings().filter(|(r, path)| *r == role && path.starts_with(hand)).count();
                    assert_eq!(ways, 1, "{} {hand} {role:?}", profile.path);
                }
            }
        }
    }

    #[test]
    fn no_button_does_two_things_and_every_path_is_well_formed() {
        let is_word = |w: &str| !w.is_empty() && w.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        for profile in PROFILES {
            let mut paths: Vec<String> = profile.bindings().map(|(_, path)| path).collect();
            for path in paths.iter().chain([&profile.path.to_owned()]) {
                assert!(path.starts_with('/') && path[1..].split('/').all(is_word), "{path}");
            }
            let count = paths.len();
            paths.sort();
            paths.dedup();
            assert_eq!(paths.len(), count, "{}", profile.path);
        }
    }
}
