//! Which tool a person has in hand: what pressing a pointer in the plant does. Every tool reads
//! [`crate::pointer::Pointers`], so that mouse, hands, controllers and eyes all work it; one trigger is enough for each.
//!
//! What each does is with its feature: selecting in [`crate::selection`], measuring in [`crate::measure`], placing in
//! [`crate::actions`], carrying and going in [`crate::headset`].

use bevy::prelude::*;

/// What pressing in the plant does.
#[derive(Resource, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tool {
    /// Selects the thing that is pointed at.
    #[default]
    Select,
    /// Sets the ends of a measure.
    Measure,
    /// Carries what can be carried, as a closed hand does. The headset's; the mouse carries with `G`.
    Carry,
    /// Stands where one points: for hands that have no stick. The headset's.
    Go,
}

impl Tool {
    /// What a person reads.
    pub fn label(self) -> &'static str {
        match self {
            Tool::Select => "Select",
            Tool::Measure => "Measure",
            Tool::Carry => "Carry",
            Tool::Go => "Go",
        }
    }

    /// This one, or away with it if it is in hand.
    pub fn toggled(self, wanted: Tool) -> Tool {
        if self == wanted { Tool::Select } else { wanted }
    }
}

/// Whether pressing selects.
pub fn selects(tool: Res<Tool>) -> bool {
    *tool == Tool::Select
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Tool>();
}
