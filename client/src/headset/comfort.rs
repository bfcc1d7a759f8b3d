//! Comfort: how a person is moved. Three presets; the first is the default, since about one in four people feels ill
//! when the picture moves and the body does not.

use bevy::prelude::*;

/// How a person is moved.
#[derive(Resource, Debug, Clone, Copy, PartialEq)]
pub(super) struct Comfort {
    /// What people read.
    pub(super) name: &'static str,
    /// Turning by steps of so many degrees; none turns smoothly.
    pub(super) snap_degrees: Option<f32>,
    /// Turning smoothly, radians a second.
    pub(super) turn_speed: f32,
    /// Sliding, metres a second at life size; 0 for teleporting only.
    pub(super) slide_speed: f32,
    /// Whether the stick pushed forward slides too, instead of throwing the teleport's arc.
    pub(super) slides_forward: bool,
    /// How much of the view is darkened at its rim while sliding or turning, 0 to 1.
    pub(super) vignette: f32,
}

impl Comfort {
    /// Teleport and steps only.
    pub(super) const GENTLE: Self = Self {
        name: "Gentle",
        snap_degrees: Some(45.0),
        turn_speed: 0.0,
        slide_speed: 0.0,
        slides_forward: false,
        vignette: 1.0,
    };
    /// Teleport, steps, and slow sliding sideways and back under a vignette.
    pub(super) const BALANCED: Self =
        Self { name: "Balanced", snap_degrees: Some(30.0), slide_speed: 1.4, vignette: 0.7, ..Self::GENTLE };
    /// Everything smooth, no vignette: for those who feel nothing.
    pub(super) const FREE: Self = Self {
        name: "Free",
        snap_degrees: None,
        turn_speed: 1.6,
        slide_speed: 2.5,
        slides_forward: false,
        vignette: 0.0,
    };
    /// All presets, the gentlest first.
    pub(super) const ALL: [Self; 3] = [Self::GENTLE, Self::BALANCED, Self::FREE];

    /// The next preset.
    pub(super) fn next(self) -> Self {
        let at = Self::ALL.iter().position(|preset| preset.name == self.name).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

impl Default for Comfort {
    fn default() -> Self {
        Self::GENTLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_go_round_from_the_gentlest_and_only_the_free_one_turns_smoothly() {
        let first = Comfort::default();
        assert_eq!(first.next().next().next(), first);
        assert_eq!(first.slide_speed, 0.0);
        assert!(Comfort::ALL.iter().all(|preset| preset.snap_degrees.is_some() == (preset.turn_speed == 0.0)));
    }
}
