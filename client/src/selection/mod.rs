//! What a person has selected: by a click in the plant, in the tree, or by another feature's [`SelectThing`]. The
//! selected thing is outlined, and so is what others have selected, in their colour.

use bevy::prelude::*;

use crate::schedule::Frame;
use crate::site::ThingIndex;

mod outline;
mod pick;

pub use outline::OutlineMaterial;
pub(crate) use pick::unit_of;

/// The thing this person has selected.
#[derive(Resource, Default, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection(pub Option<ThingIndex>);

/// Asks for another selection; `None` selects nothing.
#[derive(Message, Debug, Clone, Copy)]
pub struct SelectThing(pub Option<ThingIndex>);

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Selection>()
        .add_message::<SelectThing>()
        .add_plugins((pick::plugin, outline::plugin))
        .add_systems(Update, take.in_set(Frame::Act));
}

pub(crate) fn take(mut asked: MessageReader<SelectThing>, mut selection: ResMut<Selection>) {
    if let Some(SelectThing(thing)) = asked.read().last() {
        selection.set_if_neq(Selection(*thing));
    }
}
