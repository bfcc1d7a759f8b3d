//! The alarms that stand, in a window: what is out of order at the instant shown, since when, and who has seen it. What
//! nobody has seen comes first, then what came last. A name selects its machine and goes there; *Acknowledge* tells
//! everyone that it has been seen. The upper bar's button says how many nobody has seen, and opens the window, as `X` does.
//!
//! An alarm is a machine whose state says `Faulted` ([`crate::state_mark`]): devices tell no other. Left out are alarms
//! that are over, which the time line shows.

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy_egui::egui::{self, RichText};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};
use gemba_record::body::Body;
use gemba_record::command::AlarmAck;

use crate::calendar;
use crate::camera::FrameSelection;
use crate::cursor::Cursor;
use crate::edits::Say;
use crate::link::Connection;
use crate::readings::Readings;
use crate::schedule::{Frame, Screen};
use crate::selection::{SelectThing, Selection};
use crate::site::Site;
use crate::theme;
use crate::view::PlantView;

mod standing;

pub use standing::{Alarm, Alarms, Seen};

/// Width of the window, points.
const WIDTH: f32 = 330.0;
/// Height of the list, points; more is scrolled.
const HEIGHT: f32 = 280.0;
/// Longest words of a person that are shown in the list, characters.
const TEXT_CHARS: usize = 80;

/// Asks to show the window, or to hide it if it is shown.
#[derive(Message, Debug, Clone, Copy)]
pub struct ToggleAlarms;

/// What the window shows.
#[derive(SystemParam)]
struct Shown<'w> {
    alarms: Res<'w, Alarms>,
    site: Res<'w, Site>,
    readings: Res<'w, Readings>,
    selection: Res<'w, Selection>,
    connection: Res<'w, Connection>,
    cursor: Res<'w, Cursor>,
}

/// What was pressed in a row.
enum Did {
    Went(Alarm),
    Acknowledged(Body),
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Alarms>()
        .add_message::<ToggleAlarms>()
        .add_systems(Update, standing::look.in_set(Frame::Present))
        .add_systems(EguiPrimaryContextPass, show.in_set(Screen::Alarms));
}

fn show(
    mut contexts: EguiContexts,
    mut open: Local<bool>,
    mut toggles: MessageReader<ToggleAlarms>,
    mut say: MessageWriter<Say>,
    mut select: MessageWriter<SelectThing>,
    mut frame: MessageWriter<FrameSelection>,
    shown: Shown,
    view: Res<PlantView>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    let pressed = !ctx.egui_wants_keyboard_input() && ctx.input(|i| i.key_pressed(egui::Key::X));
    *open ^= (toggles.read().count() + usize::from(pressed)) % 2 == 1;
    if !*open || !shown.connection.is_site() {
        return Ok(());
    }
    let mut did = None;
    egui::Window::new("Alarms")
        .open(&mut open)
        .collapsible(false)
        .resizable(false)
        .default_width(WIDTH)
        .pivot(egui::Align2::LEFT_TOP)
        .default_pos(view.rect.left_top() + egui::vec2(14.0, 14.0))
        .show(ctx, |ui| did = contents(ui, &shown));
    match did {
        Some(Did::Went(alarm)) => {
            select.write(SelectThing(Some(alarm.thing)));
            frame.write(FrameSelection);
        }
        Some(Did::Acknowledged(body)) => drop(say.write(Say(body))),
        None => {}
    }
    Ok(())
}

fn contents(ui: &mut egui::Ui, shown: &Shown) -> Option<Did> {
    ui.set_width(WIDTH);
    let quiet = |ui: &mut egui::Ui, words: String| {
        ui.add(egui::Label::new(RichText::new(words).color(theme::QUIET)).wrap());
    };
    if let Some(instant) = shown.cursor.instant() {
        quiet(ui, format!("As it was at {}", calendar::date_and_time(instant)));
    }
    if shown.readings.is_stale() {
        // Nothing is known now: an empty list would say that all is well.
        quiet(ui, "The host is lost: nobody knows which alarms stand.".to_owned());
    } else if shown.alarms.all().is_empty() {
        quiet(ui, "Nothing is out of order.".to_owned());
    }
    let mut did = None;
    egui::ScrollArea::vertical().max_height(HEIGHT).show(ui, |ui| {
        for alarm in shown.alarms.all() {
            did = row(ui, alarm, shown).or(did.take());
        }
    });
    match shown.alarms.unknown {
        0 => {}
        _ if shown.readings.is_stale() => {}
        1 => quiet(ui, "1 machine does not tell its state.".to_owned()),
        many => quiet(ui, format!("{many} machines do not tell their state.")),
    }
    did
}

fn row(ui: &mut egui::Ui, alarm: &Alarm, shown: &Shown) -> Option<Did> {
    let thing = shown.site.thing(alarm.thing)?;
    let mut did = None;
    ui.horizontal(|ui| {
        let (mark, colour) = if alarm.seen.is_some() { ("✔", theme::QUIET) } else { ("✖", theme::ALARM) };
        ui.label(RichText::new(mark).monospace().color(colour));
        let name = RichText::new(thing.path.name()).strong();
        let name = ui.selectable_label(shown.selection.0 == Some(alarm.thing), name);
        if name.on_hover_text(format!("go to {}", thing.path)).clicked() {
            did = Some(Did::Went(alarm.clone()));
        }
        let since = RichText::new(calendar::time(alarm.raised)).monospace().size(11.0).color(theme::QUIET);
        ui.label(since).on_hover_text(format!("out of order since {}", calendar::date_and_time(alarm.raised)));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            did = acknowledge(ui, alarm, shown).map(Did::Acknowledged).or(did.take());
            let above = shown.site.parent(alarm.thing).and_then(|above| shown.site.thing(above));
            let above = above.map_or("", |above| above.path.as_str());
            ui.add(egui::Label::new(RichText::new(above).size(11.0).color(theme::QUIET)).truncate());
        });
    });
    if let Some(seen) = &alarm.seen {
        let said: String = seen.text.chars().take(TEXT_CHARS).collect();
        let said = if said.is_empty() { said } else { format!(": {said}") };
        let words = RichText::new(format!("{} has seen it{said}", seen.by)).size(11.0).color(theme::QUIET);
        ui.indent(alarm.id, |ui| ui.add(egui::Label::new(words).wrap()));
    }
    did
}

/// The button of an alarm that nobody has seen; what pressing it says.
fn acknowledge(ui: &mut egui::Ui, alarm: &Alarm, shown: &Shown) -> Option<Body> {
    if alarm.seen.is_some() {
        return None;
    }
    let body = Body::AckAlarm(AlarmAck { thing: alarm.id, raised: alarm.raised, text: String::new() });
    let may = match *shown.cursor {
        Cursor::Live => shown.connection.may_say(&body),
        _ => Err("this is the past, which cannot be changed: go back to live (L)".to_owned()),
    };
    let button = ui.add_enabled(may.is_ok(), egui::Button::new("Acknowledge").small());
    let button = match may {
        Ok(()) => button.on_hover_text("tell everyone that it has been seen; its card takes words too"),
        Err(why) => button.on_disabled_hover_text(why),
    };
    button.clicked().then_some(body)
}
