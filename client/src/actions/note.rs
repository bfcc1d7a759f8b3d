//! Notes at a thing: read, settle, leave one.

use bevy_egui::egui::{self, RichText};
use gemba_record::body::Body;
use gemba_record::site::Note;

use super::{Did, Shown};
use crate::site::ThingIndex;
use crate::theme;

/// Notes shown, the newest.
const NOTES: usize = 50;

/// What is being written.
#[derive(Debug, Default)]
pub(super) struct Draft {
    text: String,
    has_focus: bool,
}

fn notes_at<'a>(thing: ThingIndex, shown: &'a Shown) -> impl Iterator<Item = &'a Note> {
    let id = shown.id(thing);
    let notes = shown.connection.fold().map_or(&[][..], |fold| fold.notes());
    notes.iter().rev().filter(move |note| Some(note.thing) == id)
}

/// How many notes at it are not settled.
pub(super) fn open_count(thing: ThingIndex, shown: &Shown) -> usize {
    notes_at(thing, shown).filter(|note| !note.resolved).take(NOTES).count()
}

pub(super) fn show(ui: &mut egui::Ui, thing: ThingIndex, draft: &mut Draft, shown: &Shown) -> Did {
    let mut did = Did::default();
    egui::ScrollArea::vertical().max_height(180.0).show(ui, |ui| {
        for note in notes_at(thing, shown).take(NOTES) {
            if let Some(body) = one(ui, note, shown) {
                did = Did::say_on(body);
            }
        }
    });
    let Some(id) = shown.id(thing) else { return did };
    if let Err(why) = shown.connection.may_say(&Body::note(id, "?")) {
        ui.label(RichText::new(format!("You cannot leave a note: {why}")).color(theme::QUIET));
        return did;
    }
    let field = egui::TextEdit::multiline(&mut draft.text).hint_text("leave a note").desired_rows(2);
    let response = ui.add(field.desired_width(f32::INFINITY).char_limit(1000));
    if !std::mem::replace(&mut draft.has_focus, true) {
        response.request_focus();
    }
    let text = draft.text.trim();
    match super::decide(ui, "Leave note", theme::ACCENT, !text.is_empty()) {
        super::Decision::Yes => Did::say(Body::note(id, text)),
        super::Decision::No => Did::close(),
        super::Decision::Open => did,
    }
}

fn one(ui: &mut egui::Ui, note: &Note, shown: &Shown) -> Option<Body> {
    let mut said = None;
    let colour = if note.resolved { theme::QUIET } else { theme::TEXT };
    ui.horizontal(|ui| {
        ui.label(RichText::new(shown.name_of(&note.author)).size(11.5).color(theme::person_colour(&note.author)));
        if note.resolved {
            ui.label(RichText::new("settled").size(11.5).color(theme::QUIET));
        }
        let body = Body::ResolveNote { note: note.id, resolved: !note.resolved };
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let may = shown.connection.may_say(&body);
            let words = if note.resolved { "Reopen" } else { "Settle" };
            let button = ui.add_enabled(may.is_ok(), egui::Button::new(words).small());
            let button = match &may {
                Ok(()) => button,
                Err(why) => button.on_disabled_hover_text(why),
            };
            if button.clicked() {
                said = Some(body);
            }
        });
    });
    ui.add(egui::Label::new(RichText::new(&note.text).color(colour)).wrap());
    ui.add_space(6.0);
    said
}
