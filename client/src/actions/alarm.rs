//! Tells everyone that a thing's alarm has been seen.

use bevy_egui::egui::{self, RichText};
use gemba_record::body::Body;
use gemba_record::command::AlarmAck;
use gemba_twin::sample::Timestamp;

use super::{Decision, Did, Shown};
use crate::calendar;
use crate::site::ThingIndex;
use crate::state_mark::StateMark;
use crate::theme;

/// What is said with it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    text: String,
}

/// When the thing went into alarm, if it is in alarm now.
pub(super) fn raised(thing: ThingIndex, shown: &Shown) -> Option<Timestamp> {
    StateMark::raised(&shown.site, &shown.readings, thing)
}

pub(super) fn show(ui: &mut egui::Ui, thing: ThingIndex, draft: &mut Draft, shown: &Shown) -> Did {
    let (Some(id), Some(raised)) = (shown.id(thing), raised(thing, shown)) else { return Did::close() };
    ui.label(RichText::new(format!("Faulted since {}", calendar::time(raised))).color(theme::ALARM));
    let ack = shown.connection.fold().and_then(|fold| fold.alarm_ack(id)).filter(|ack| ack.raised >= raised);
    if let Some(ack) = ack {
        let who = shown.name_of(&ack.author);
        let said = if ack.text.is_empty() { String::new() } else { format!(": {}", ack.text) };
        ui.add(egui::Label::new(format!("{who} has seen it{said}")).wrap());
    }
    let field = egui::TextEdit::singleline(&mut draft.text).hint_text("what is being done about it (may stay empty)");
    ui.add(field.desired_width(f32::INFINITY).char_limit(500));
    match super::decide(ui, "I have seen it", theme::ACCENT, true) {
        Decision::Yes => Did::say(Body::AckAlarm(AlarmAck { thing: id, raised, text: draft.text.trim().to_owned() })),
        Decision::No => Did::close(),
        Decision::Open => Did::default(),
    }
}
