//! Commands a device: choose a tag and a value, look at what would happen, confirm; then see what became of it. The
//! gateway that has the tag carries it out and says so in the record.

use bevy_egui::egui::{self, RichText};
use gemba_record::body::Body;
use gemba_record::command::{Command, CommandState, Outcome};
use gemba_twin::path::TagId;
use gemba_twin::sample::{Timestamp, Value, ValueKind};
use gemba_twin::tag::Tag;

use super::{Decision, Did, Shown};
use crate::site::ThingIndex;
use crate::theme;

/// Tags offered for one thing.
const TAGS: usize = 20;
/// Outcomes shown, the newest.
const OUTCOMES: usize = 3;
/// After this a command that could not be carried out is none any more: nobody expects a valve to move an hour later.
const VALID_MICROS: i64 = 30_000_000;

/// The command being made.
#[derive(Debug)]
pub(super) struct Draft {
    tag: TagId,
    value: Value,
    is_confirming: bool,
}

/// The tags of it and its parts that can be set.
pub(super) fn writable(thing: ThingIndex, shown: &Shown) -> Vec<TagId> {
    let parts = shown.site.subtree(thing).into_iter();
    let tags = parts.flat_map(|part| shown.site.tags_of(part)).copied();
    tags.filter(|tag| shown.site.tag(*tag).is_some_and(|tag| tag.writable)).take(TAGS).collect()
}

pub(super) fn example(thing: ThingIndex, shown: &Shown) -> Option<Body> {
    let tag = shown.site.tag(*writable(thing, shown).first()?)?;
    let (tag, value) = (tag.path.clone(), start_value(tag, None));
    Some(Body::CommandDevice(Command { tag, value, until: Timestamp(0) }))
}

pub(super) fn begin(thing: ThingIndex, shown: &Shown) -> Draft {
    let tag = writable(thing, shown).first().copied().unwrap_or(TagId(0));
    Draft { tag, value: value_now(tag, shown), is_confirming: false }
}

pub(super) fn show(ui: &mut egui::Ui, draft: &mut Draft, shown: &Shown) -> Did {
    let Some(thing) = shown.selection.0 else { return Did::close() };
    let tags = writable(thing, shown);
    let Some(tag) = shown.site.tag(draft.tag).filter(|_| tags.contains(&draft.tag)) else { return Did::close() };
    let mut did = if draft.is_confirming { confirm(ui, draft, tag, shown) } else { choose(ui, draft, &tags, shown) };
    outcomes(ui, &tags, shown);
    if did.say.is_some() {
        // The outcome is to be seen.
        (draft.is_confirming, did.close) = (false, false);
    }
    did
}

fn choose(ui: &mut egui::Ui, draft: &mut Draft, tags: &[TagId], shown: &Shown) -> Did {
    if tags.len() > 1 {
        egui::ComboBox::from_id_salt("command tag").selected_text(name(draft.tag, shown)).show_ui(ui, |ui| {
            for tag in tags {
                if ui.selectable_label(draft.tag == *tag, name(*tag, shown)).clicked() {
                    (draft.tag, draft.value) = (*tag, value_now(*tag, shown));
                }
            }
        });
    } else {
        ui.label(RichText::new(name(draft.tag, shown)).strong());
    }
    let Some(tag) = shown.site.tag(draft.tag) else { return Did::close() };
    ui.horizontal(|ui| {
        let now = shown.readings.newest(draft.tag).and_then(|sample| sample.value.as_ref());
        ui.label(RichText::new(format!("now {}", with_unit(now, tag))).color(theme::QUIET));
        ui.label(RichText::new("›").color(theme::QUIET));
        field(ui, &mut draft.value, tag);
    });
    match super::decide(ui, "Preview…", theme::ACCENT, true) {
        Decision::Yes => draft.is_confirming = true,
        Decision::No => return Did::close(),
        Decision::Open => {}
    }
    Did::default()
}

/// What would happen, before it does.
fn confirm(ui: &mut egui::Ui, draft: &mut Draft, tag: &Tag, shown: &Shown) -> Did {
    let now = shown.readings.newest(draft.tag).and_then(|sample| sample.value.as_ref());
    ui.label(RichText::new("This moves a real machine").strong().color(theme::WARNING));
    ui.label(name(draft.tag, shown));
    let change = format!("{}  to  {}", with_unit(now, tag), with_unit(Some(&draft.value), tag));
    ui.label(RichText::new(change).size(16.0).monospace());
    if !shown.connection.is_here() {
        ui.label(RichText::new("the host is away: nothing would happen within 30 s").color(theme::WARNING));
    }
    match super::decide(ui, "Send to the device", theme::WARNING, shown.connection.is_here()) {
        Decision::Yes => {
            let until = shown.readings.live_now().plus_micros(VALID_MICROS);
            Did::say_on(Body::CommandDevice(Command { tag: tag.path.clone(), value: draft.value.clone(), until }))
        }
        Decision::No => {
            draft.is_confirming = false;
            Did::default()
        }
        Decision::Open => Did::default(),
    }
}

/// What became of the newest commands to these tags.
fn outcomes(ui: &mut egui::Ui, tags: &[TagId], shown: &Shown) {
    let Some(fold) = shown.connection.fold() else { return };
    let is_here = |held: &&CommandState| shown.site.tag_id(&held.command.tag).is_some_and(|tag| tags.contains(&tag));
    let mut held: Vec<&CommandState> = fold.commands().map(|(_, held)| held).filter(is_here).collect();
    held.sort_by_key(|held| std::cmp::Reverse(held.index));
    if !held.is_empty() {
        ui.separator();
    }
    for held in held.into_iter().take(OUTCOMES) {
        let (mark, colour, words) = outcome_words(held.outcome.as_ref());
        let tag = shown.site.tag_id(&held.command.tag).and_then(|id| shown.site.tag(id));
        let value = tag.map_or_else(String::new, |tag| with_unit(Some(&held.command.value), tag));
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new(mark).color(colour));
            ui.label(RichText::new(format!("{}: {value}", held.command.tag.name())).size(12.0));
            let who = shown.name_of(&held.author);
            ui.label(RichText::new(format!("{who} · {words}")).size(12.0).color(theme::QUIET));
        });
    }
}

fn outcome_words(outcome: Option<&Outcome>) -> (&'static str, egui::Color32, String) {
    match outcome {
        None => ("…", theme::QUIET, "under way".to_owned()),
        Some(Outcome::Done) => ("✔", theme::ACCENT, "the device has taken it".to_owned()),
        Some(Outcome::Failed(why)) => ("✖", theme::ALARM, why.clone()),
        Some(Outcome::Expired) => ("✖", theme::WARNING, "too late to be tried".to_owned()),
    }
}

/// The tag's path from the thing's name on.
fn name(tag: TagId, shown: &Shown) -> String {
    let Some(tag) = shown.site.tag(tag) else { return String::new() };
    let parts: Vec<&str> = tag.path.as_str().rsplitn(3, '/').collect();
    parts.iter().take(2).rev().copied().collect::<Vec<_>>().join(" › ")
}

fn value_now(tag: TagId, shown: &Shown) -> Value {
    let now = shown.readings.newest(tag).and_then(|sample| sample.value.clone());
    shown.site.tag(tag).map_or(Value::Bool(false), |tag| start_value(tag, now))
}

/// A value of the tag's kind: what it reads now, if that is one.
fn start_value(tag: &Tag, now: Option<Value>) -> Value {
    now.filter(|now| now.kind() == tag.kind).unwrap_or(match tag.kind {
        ValueKind::Bool => Value::Bool(false),
        ValueKind::Int => Value::Int(0),
        ValueKind::Float => Value::Float(tag.range.map_or(0.0, |range| range.low)),
        ValueKind::Text => Value::Text("-".to_owned()),
    })
}

fn field(ui: &mut egui::Ui, value: &mut Value, tag: &Tag) {
    let range = tag.range.map_or(f64::MIN..=f64::MAX, |range| range.low..=range.high);
    match value {
        Value::Bool(on) => drop(ui.checkbox(on, if *on { "on" } else { "off" })),
        Value::Int(number) => drop(ui.add(egui::DragValue::new(number))),
        Value::Float(number) => {
            let speed = tag.range.map_or(0.1, |range| (range.high - range.low) / 200.0);
            let suffix = format!(" {}", tag.unit.symbol());
            ui.add(egui::DragValue::new(number).range(range).speed(speed).max_decimals(3).suffix(suffix));
        }
        Value::Text(text) => drop(ui.add(egui::TextEdit::singleline(text).char_limit(200))),
    }
}

fn with_unit(value: Option<&Value>, tag: &Tag) -> String {
    match value {
        None => "unknown".to_owned(),
        Some(Value::Float(number)) => format!("{number:.1} {}", tag.unit.symbol()),
        Some(value) => format!("{value} {}", tag.unit.symbol()).trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::tag::{Range, Unit};

    #[test]
    fn a_command_begins_with_what_the_tag_reads_if_that_is_of_its_kind() {
        let tag = Tag {
            path: "V/Position".parse().unwrap(),
            kind: ValueKind::Float,
            unit: Unit::new("%"),
            range: Range::new(10.0, 100.0),
            writable: true,
        };
        assert_eq!(start_value(&tag, Some(Value::Float(60.0))), Value::Float(60.0));
        assert_eq!(start_value(&tag, Some(Value::Bool(true))), Value::Float(10.0));
        assert_eq!(with_unit(Some(&Value::Float(60.04)), &tag), "60.0 %");
    }
}
