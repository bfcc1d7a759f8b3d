//! The table of tags: two lines a tag, every column in its fixed place, so that nothing jumps when values change.

use bevy_egui::egui::{self, Align2, Color32, FontId, Painter, Rect, Sense, Stroke, StrokeKind, pos2, vec2};
use gemba_twin::layout::tags;
use gemba_twin::machine_state::MachineState;
use gemba_twin::path::TagId;
use gemba_twin::sample::{Quality, Sample};
use gemba_twin::tag::Tag;

use super::clock::{age_words, time_of_day};
use super::subject::{Row, Subject, can_be_plotted};
use crate::readings::Readings;
use crate::site::{Site, ThingIndex};
use crate::theme;

/// Height of a row, points.
pub(super) const ROW: f32 = 36.0;
/// Room for units at the right, points.
const UNIT: f32 = 38.0;
/// Width of the bar that shows where in its range a value lies, points.
const BAR: f32 = 44.0;
/// Longest value shown whole, characters.
const VALUE_CHARS: usize = 16;

/// Shows the rows that are in sight. Returns a tag whose curve was switched on or off.
pub(super) fn show(ui: &mut egui::Ui, subject: &Subject, site: &Site, readings: &Readings) -> Option<TagId> {
    ui.spacing_mut().item_spacing.y = 0.0;
    let mut toggled = None;
    let area = egui::ScrollArea::vertical().auto_shrink(false).id_salt("tags");
    area.show_rows(ui, ROW, subject.rows.len(), |ui, range| {
        for row in subject.rows.get(range).unwrap_or_default() {
            match *row {
                Row::Part(part) => heading(ui, part, subject.thing, site),
                Row::Tag(id) => toggled = tag_row(ui, id, subject, site, readings).or(toggled),
            }
        }
    });
    toggled
}

/// The part's path, from the selected thing on.
fn heading(ui: &mut egui::Ui, part: ThingIndex, thing: ThingIndex, site: &Site) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let path = |index| site.thing(index).map_or("", |t| t.path.as_str());
    let below = path(part).strip_prefix(path(thing)).unwrap_or(path(part)).trim_start_matches('/');
    let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
    let text = below.replace('/', " › ");
    painter.text(
        rect.left_bottom() + vec2(0.0, -6.0),
        Align2::LEFT_BOTTOM,
        text,
        FontId::proportional(12.0),
        theme::QUIET,
    );
    painter.hline(rect.x_range(), rect.bottom() - 2.0, Stroke::new(1.0, theme::LINE));
}

fn tag_row(ui: &mut egui::Ui, id: TagId, subject: &Subject, site: &Site, readings: &Readings) -> Option<TagId> {
    let tag = site.tag(id)?;
    let plottable = can_be_plotted(site, id);
    let sense = if plottable { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), sense);
    let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
    if plottable && response.hovered() {
        painter.rect_filled(rect, 3.0, ui.visuals().faint_bg_color);
    }
    if plottable {
        tick(&painter, pos2(rect.left() + 7.0, rect.top() + 11.0), subject.plotted.contains(&id));
    }
    let sample = readings.newest(id);
    let colour = if readings.is_stale() {
        theme::QUIET
    } else {
        sample.map_or(theme::QUIET, |s| theme::quality_colour(s.quality))
    };
    first_line(&painter, rect, tag, sample, colour);
    second_line(&painter, rect, tag, sample, readings);
    let clicked = response.clicked();
    response.on_hover_ui(|ui| hover(ui, tag, plottable));
    clicked.then_some(id)
}

fn tick(painter: &Painter, at: egui::Pos2, on: bool) {
    let square = Rect::from_center_size(at, vec2(10.0, 10.0));
    let stroke = Stroke::new(1.0, if on { theme::ACCENT } else { theme::LINE });
    painter.rect_stroke(square, 2.0, stroke, StrokeKind::Middle);
    if on {
        // A small curve, for that is what it switches on.
        let points = [(-3.0, 2.0), (-1.0, -2.0), (1.0, 1.0), (3.0, -3.0)].map(|(x, y)| at + vec2(x, y));
        painter.line(points.to_vec(), Stroke::new(1.3, theme::ACCENT));
    }
}

/// Name, value, unit.
fn first_line(painter: &Painter, rect: Rect, tag: &Tag, sample: Option<&Sample>, colour: Color32) {
    let middle = rect.top() + 11.0;
    let value = painter.text(
        pos2(rect.right() - UNIT - 3.0, middle),
        Align2::RIGHT_CENTER,
        value_words(tag, sample),
        FontId::monospace(13.0),
        colour,
    );
    let unit = FontId::proportional(11.0);
    painter.text(pos2(rect.right() - UNIT, middle), Align2::LEFT_CENTER, tag.unit.symbol(), unit, theme::QUIET);
    let name = Rect::from_x_y_ranges(rect.left()..=value.left() - 4.0, rect.y_range());
    let painter = painter.with_clip_rect(name.intersect(painter.clip_rect()));
    let at = pos2(rect.left() + 18.0, middle);
    painter.text(at, Align2::LEFT_CENTER, tag.path.name(), FontId::proportional(13.0), theme::TEXT);
}

/// Where in its range the value lies, its quality unless good, when it was measured, how long ago that is.
fn second_line(painter: &Painter, rect: Rect, tag: &Tag, sample: Option<&Sample>, readings: &Readings) {
    let middle = rect.top() + 26.0;
    let Some(sample) = sample else {
        if readings.is_past() {
            let at = pos2(rect.right(), middle);
            painter.text(at, Align2::RIGHT_CENTER, "no history", FontId::proportional(11.0), theme::QUIET);
        }
        return;
    };
    let usable = sample.quality != Quality::Bad && !readings.is_stale();
    let number = sample.value.as_ref().filter(|_| usable).and_then(|v| v.as_number());
    // A state is a code: where it lies among the codes means nothing.
    if let (Some(range), Some(number)) = (tag.range.filter(|_| tag.path.name() != tags::STATE), number) {
        let left = rect.left() + 18.0;
        let track = Rect::from_x_y_ranges(left..=left + BAR, middle - 1.5..=middle + 1.5);
        painter.rect_filled(track, 1.5, theme::LINE);
        let fraction = range.fraction(number);
        let mut fill = track;
        fill.max.x = left + BAR * fraction.clamp(0.0, 1.0) as f32;
        let outside = !(-0.001..=1.001).contains(&fraction);
        painter.rect_filled(fill, 1.5, if outside { theme::WARNING } else { theme::QUIET });
        if outside {
            let at = pos2(if fraction < 0.0 { left } else { left + BAR }, middle);
            painter.circle_filled(at, 2.5, theme::WARNING);
        }
    }
    let small = FontId::monospace(10.0);
    if sample.quality != Quality::Good {
        let words = format!("⚠ {}", sample.quality.label());
        let at = pos2(rect.left() + 18.0 + BAR + 6.0, middle);
        painter.text(at, Align2::LEFT_CENTER, words, small.clone(), theme::quality_colour(sample.quality));
    }
    let age = age_words(readings.age_secs(sample));
    painter.text(pos2(rect.right(), middle), Align2::RIGHT_CENTER, age, small.clone(), theme::QUIET);
    let at = pos2(rect.right() - 52.0, middle);
    painter.text(at, Align2::RIGHT_CENTER, time_of_day(sample.source_time), small, theme::QUIET);
}

/// The value as a person reads it; `–` when there is none to be had.
fn value_words(tag: &Tag, sample: Option<&Sample>) -> String {
    let Some(value) = sample.filter(|s| s.quality != Quality::Bad).and_then(|s| s.value.as_ref()) else {
        return "–".to_owned();
    };
    let state = if tag.path.name() == tags::STATE { MachineState::from_value(value) } else { None };
    let words = state.map_or_else(|| value.to_string(), |state| state.label().to_owned());
    if words.chars().count() <= VALUE_CHARS {
        return words;
    }
    words.chars().take(VALUE_CHARS - 1).chain(['…']).collect()
}

fn hover(ui: &mut egui::Ui, tag: &Tag, plottable: bool) {
    ui.label(tag.path.as_str());
    if let Some(range) = tag.range {
        let unit = tag.unit.symbol();
        ui.label(format!("normally {} to {} {unit}", range.low, range.high));
    }
    if tag.writable {
        ui.label("takes commands");
    }
    if plottable {
        ui.label(egui::RichText::new("click to show or hide its curve").color(theme::QUIET));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::sample::{Timestamp, Value, ValueKind};
    use gemba_twin::tag::Unit;

    fn words(path: &str, value: Value, quality: Quality) -> String {
        let tag = Tag {
            path: path.parse().unwrap(),
            kind: ValueKind::Int,
            unit: Unit::default(),
            range: None,
            writable: false,
        };
        let at = Timestamp(0);
        value_words(&tag, Some(&Sample { value: Some(value), quality, source_time: at, server_time: at }))
    }

    #[test]
    fn a_bad_value_is_never_shown_as_a_number() {
        assert_eq!(words("Tank1/Level", Value::Float(63.0), Quality::Bad), "–");
        assert_eq!(words("Tank1/Level", Value::Float(63.0), Quality::Uncertain), "63.00");
    }

    #[test]
    fn a_state_is_a_word_and_a_long_text_is_cut_at_a_character() {
        assert_eq!(words("Cnc1/State", Value::Int(5), Quality::Good), "faulted");
        assert_eq!(words("Cnc1/State", Value::Int(50), Quality::Good), "50");
        let cut = words("Cnc1/Program", Value::Text("Gehäuseübergröße".repeat(4)), Quality::Good);
        assert_eq!(cut.chars().count(), VALUE_CHARS);
    }
}
