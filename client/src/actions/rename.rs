//! Calls a thing otherwise. Its tags keep their names: they are the device's.

use bevy_egui::egui::{self, RichText};
use gemba_record::body::Body;
use gemba_record::edit::{Change, Edit};
use gemba_twin::path::ThingPath;

use super::{Decision, Did, Shown};
use crate::site::ThingIndex;
use crate::theme;

/// The name being written.
#[derive(Debug)]
pub(super) struct Draft {
    name: String,
    has_focus: bool,
}

pub(super) fn begin(thing: ThingIndex, shown: &Shown) -> Draft {
    let name = shown.site.thing(thing).map_or("", |thing| thing.path.name()).to_owned();
    Draft { name, has_focus: false }
}

pub(super) fn show(ui: &mut egui::Ui, thing: ThingIndex, draft: &mut Draft, shown: &Shown) -> Did {
    let Some((id, held)) = shown.id(thing).zip(shown.site.thing(thing)) else { return Did::close() };
    ui.label(format!("Another name for {}", held.path.name()));
    let response = ui.add(egui::TextEdit::singleline(&mut draft.name).desired_width(f32::INFINITY).char_limit(100));
    if !std::mem::replace(&mut draft.has_focus, true) {
        response.request_focus();
    }
    let name = draft.name.trim();
    let wanted = renamed(&held.path, name);
    let hindrance = match &wanted {
        Err(why) => Some(why.clone()),
        Ok(path) if *path == held.path => Some(String::new()),
        Ok(path) if shown.site.find(path.as_str()).is_some() => Some(format!("there is another {name} here")),
        Ok(_) => None,
    };
    if let Some(why) = hindrance.as_ref().filter(|why| !why.is_empty()) {
        ui.label(RichText::new(why).color(theme::WARNING));
    }
    let is_ready = hindrance.is_none();
    let entered = response.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
    match super::decide(ui, "Rename", theme::ACCENT, is_ready) {
        Decision::No => Did::close(),
        decision if decision == Decision::Yes || entered && is_ready => {
            let change = Change::Rename(name.to_owned());
            Did::say(Body::EditThing(Edit { thing: id, based_on: 0, change, undoes: None }))
        }
        _ => Did::default(),
    }
}

/// The path under another name, or why there is none.
fn renamed(path: &ThingPath, name: &str) -> Result<ThingPath, String> {
    if name.contains('/') {
        return Err("a name has no / in it".to_owned());
    }
    let renamed = match path.parent() {
        Some(parent) => parent.child(name),
        None => name.parse(),
    };
    renamed.map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_changes_the_last_part_of_the_path_only() {
        let path: ThingPath = "Hall1/Tank1".parse().unwrap();
        assert_eq!(renamed(&path, "Vat").map(|p| p.to_string()), Ok("Hall1/Vat".to_owned()));
        assert!(renamed(&path, "a/b").is_err() && renamed(&path, "").is_err());
    }
}
