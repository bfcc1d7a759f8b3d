//! Takes a thing with all its parts out of the plant, once that has been confirmed; and puts it back.

use bevy_egui::egui::{self, RichText};
use gemba_record::body::Body;
use gemba_record::edit::{Change, Edit};

use super::{Decision, Did, Shown};
use crate::site::ThingIndex;
use crate::theme;

pub(super) fn show(ui: &mut egui::Ui, thing: ThingIndex, shown: &Shown) -> Did {
    let Some(name) = shown.site.thing(thing).map(|held| held.path.name()) else { return Did::close() };
    let parts = shown.site.subtree(thing).len() - 1;
    ui.label(RichText::new(question(name, parts)).strong());
    ui.label(RichText::new("The record keeps it, and it can be brought back.").color(theme::QUIET));
    match super::decide(ui, "Retire", theme::WARNING, true) {
        Decision::Yes => edit(thing, shown, true).map_or_else(Did::close, Did::say),
        Decision::No => Did::close(),
        Decision::Open => Did::default(),
    }
}

fn question(name: &str, parts: usize) -> String {
    match parts {
        0 => format!("Take {name} out of the plant?"),
        1 => format!("Take {name} with its one part out of the plant?"),
        parts => format!("Take {name} with its {parts} parts out of the plant?"),
    }
}

/// What puts it back; none where what it is part of is retired.
pub(super) fn bring_back(thing: ThingIndex, shown: &Shown) -> Option<Body> {
    edit(thing, shown, false)
}

fn edit(thing: ThingIndex, shown: &Shown, retired: bool) -> Option<Body> {
    let change = Change::Retire(retired);
    Some(Body::EditThing(Edit { thing: shown.id(thing)?, based_on: 0, change, undoes: None }))
}
