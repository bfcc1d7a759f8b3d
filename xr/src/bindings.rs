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
/// Where the menu button is the system's, or there is none: the stick, pressed.
const STICK_MENU: (Role, &str) = (Role::Menu, "input/thumbstick/click");
/// A pad that is pressed stands in for a button below it.
const PAD_BUTTON: (Role, &str) = (Role::Primary, "input/trackpad/click");
const XY: &[(Role, &str)] = &[(Role::Primary, "input/x/click"), (Role::Secondary, "input/y/click"), MENU];
const AB: &[(Role, &str)] = &[(Role::Primary, "input/a/click"), (Role::Secondary, "input/b/click"), STICK_MENU];
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
            STICK_MENU,
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
    // The names that OpenXR 1.1 has for the same two.
    touch("/interaction_profiles/meta/touch_plus_controller"),
    touch("/interaction_profiles/meta/touch_pro_controller"),
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
            STICK_MENU,
            HAPTIC,
        ],
        left: &[],
        right: &[],
    },
    Profile {
        path: "/interaction_profiles/htc/vive_controller",
        both: &[GRIP, AIM, TRIGGER, SQUEEZE_CLICK, (Role::Stick, "input/trackpad"), PAD_BUTTON, MENU, HAPTIC],
        left: &[],
        right: &[],
    },
    // XR_HTC_vive_focus3_controller_interaction
    Profile { path: "/interaction_profiles/htc/vive_focus3_controller", both: TOUCH, left: XY, right: AB },
    Profile {
        path: "/interaction_profiles/microsoft/motion_controller",
        both: &[GRIP, AIM, TRIGGER, SQUEEZE_CLICK, STICK, PAD_BUTTON, MENU, HAPTIC],
        left: &[],
        right: &[],
    },
    // XR_BD_controller_interaction
    touch("/interaction_profiles/bytedance/pico4_controller"),
    // XR_EXT_hand_interaction: bare hands; pinching selects, a fist grabs.
    Profile {
        path: BARE_PROFILE,
        both: &[GRIP, AIM, (Role::Trigger, "input/pinch_ext/value"), (Role::Squeeze, "input/grasp_ext/value")],
        left: &[],
        right: &[],
    },
];

/// XR_EXT_hand_interaction: bare hands. They have no menu button; see `palm`.
pub(crate) const BARE_PROFILE: &str = "/interaction_profiles/ext/hand_interaction_ext";

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

    /// User path, path below it, type.
    type Input = (String, String, String);

    /// What Khronos says that these controllers have.
    fn registry() -> Vec<(&'static str, Vec<Input>)> {
        let mut profiles: Vec<(&str, Vec<Input>)> = Vec::new();
        for line in include_str!("registry.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix("  ") {
                None => profiles.push((line, Vec::new())),
                Some(input) => {
                    let words: Vec<String> = input.split(' ').map(str::to_owned).collect();
                    let [user, below, kind] = words.try_into().unwrap();
                    profiles.last_mut().unwrap().1.push((user, below, kind));
                }
            }
        }
        profiles
    }

    /// Inputs that a role may be bound to, by whichever is there first, and the types that fit its action: a runtime turns
    /// a button into 0 and 1.
    fn ways(role: Role) -> (&'static [&'static str], &'static [&'static str]) {
        let number: &[&str] = &["float_input", "boolean_input"];
        match role {
            Role::Grip => (&["/input/grip/pose"], &["pose_input"]),
            Role::Aim => (&["/input/aim/pose"], &["pose_input"]),
            Role::Trigger => (&["/input/trigger/value", "/input/select/click", "/input/pinch_ext/value"], number),
            Role::Squeeze => (&["/input/squeeze/value", "/input/squeeze/click", "/input/grasp_ext/value"], number),
            Role::Stick => (&["/input/thumbstick", "/input/trackpad"], &["vector2f_input"]),
            Role::Primary => (
                &["/input/a/click", "/input/x/click", "/input/primary/click", "/input/trackpad/click"],
                &["boolean_input"],
            ),
            Role::Secondary => (&["/input/b/click", "/input/y/click", "/input/secondary/click"], &["boolean_input"]),
            Role::Menu => (&["/input/menu/click", "/input/thumbstick/click"], &["boolean_input"]),
            Role::Haptic => (&["/output/haptic"], &["vibration_output"]),
        }
    }

    const ROLES: [Role; 9] = [
        Role::Grip,
        Role::Aim,
        Role::Trigger,
        Role::Squeeze,
        Role::Stick,
        Role::Primary,
        Role::Secondary,
        Role::Menu,
        Role::Haptic,
    ];

    #[test]
    fn every_hand_of_every_controller_does_all_it_has_inputs_for_and_nothing_else() {
        let registry = registry();
        for profile in PROFILES {
            let known = registry.iter().find(|(path, _)| *path == profile.path);
            let (_, inputs) = known.unwrap_or_else(|| panic!("{} is no profile", profile.path));
            for hand in HANDS {
                for role in ROLES {
                    let (below, kinds) = ways(role);
                    let first = below
                        .iter()
                        .find_map(|way| inputs.iter().find(|(user, below, _)| user == hand && below == way));
                    let wanted: Vec<String> = first.iter().map(|(user, below, _)| format!("{user}{below}")).collect();
                    let here = profile.bindings().filter(|(r, path)| *r == role && path.starts_with(hand));
                    let bound: Vec<String> = here.map(|(_, path)| path).collect();
                    assert_eq!(bound, wanted, "{} {hand} {role:?}", profile.path);
                    assert!(first.is_none_or(|(_, _, kind)| kinds.contains(&kind.as_str())), "{first:?}");
                }
            }
        }
        let gaze = registry.iter().find(|(path, _)| *path == GAZE_PROFILE).map(|(_, inputs)| inputs.as_slice());
        let Some([(user, below, kind)]) = gaze else { panic!("{gaze:?}") };
        assert_eq!((format!("{user}{below}").as_str(), kind.as_str()), (GAZE, "pose_input"));
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
