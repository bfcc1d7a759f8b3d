//! The bar of history itself: what was recorded, gaps hatched, what happened, what people did, and the cursor.

use bevy_egui::egui::{self, Align2, Color32, FontId, Painter, Rect, Sense, Shape, Stroke, pos2};
use gemba_record::site::Site as Fold;
use gemba_twin::sample::Timestamp;

use super::axis::{Axis, Sight};
use crate::calendar;
use crate::cursor::{Cursor, MoveCursor};
use crate::past::{Deed, Event, EventKind, Past};
use crate::site::Site;
use crate::theme;

/// Height of the stripe that stands for what was recorded, points.
const STRIPE: f32 = 14.0;
/// Room the bar needs with the words under it, points.
pub(super) const HEIGHT: f32 = 38.0;
/// Distance of the lines in a gap, points.
const HATCH: f32 = 5.0;
/// An event so near the pointer is what it points at, points.
const NEAR: f32 = 5.0;

/// Shows the bar. Returns where someone wants to go.
pub(super) fn show(
    ui: &mut egui::Ui,
    sight: &mut Sight,
    (cursor, past, site, record): (Cursor, &Past, &Site, Option<&Fold>),
    history: (Timestamp, Timestamp),
) -> Option<MoveCursor> {
    let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
    if let Some(instant) = cursor.instant().filter(|_| !response.dragged()) {
        sight.follow(instant);
    }
    let (from, to) = sight.within(history);
    let left = rect.left() + 8.0;
    // A window may be so narrow that nothing is left of the bar.
    let axis = Axis { from, to, left, right: (rect.right() - 8.0).max(left) };
    let stripe = Rect::from_x_y_ranges(axis.left..=axis.right, rect.top() + 6.0..=rect.top() + 6.0 + STRIPE);
    let painter = ui.painter().with_clip_rect(rect);
    paint_history(&painter, stripe, &axis, past);
    paint_marks(&painter, stripe, rect.bottom(), &axis);
    paint_events(&painter, stripe, &axis, past);
    paint_deeds(&painter, stripe, &axis, past);
    paint_cursor(&painter, stripe, &axis, (cursor, past));
    let pointer = response.hover_pos();
    if let Some(at) = pointer {
        let instant = axis.instant(at.x.clamp(axis.left, axis.right));
        let scroll = ui.input(|input| input.smooth_scroll_delta.y);
        if scroll != 0.0 {
            sight.zoom(history, instant, f64::from((-scroll / 200.0).exp()));
        }
        painter.vline(at.x.clamp(axis.left, axis.right), stripe.y_range(), Stroke::new(1.0, theme::QUIET));
        let deed = deed_near(past, &axis, at.x).zip(record);
        let words = match (event_near(past, &axis, at.x), deed) {
            (None, Some((deed, record))) => deed_words(deed, record),
            (event, _) => hover_words(instant, event, site),
        };
        response.clone().on_hover_text_at_pointer(words);
    }
    if response.double_clicked() {
        sight.reset();
    }
    let asked = response.interact_pointer_pos().filter(|_| response.dragged() || response.clicked())?;
    if asked.x >= axis.right && to == history.1 {
        return Some(MoveCursor::ToLive);
    }
    let near = event_near(past, &axis, asked.x).map(|event| event.at);
    let near = near.or(deed_near(past, &axis, asked.x).map(|deed| deed.at)).filter(|_| response.clicked());
    let instant = near.unwrap_or(axis.instant(asked.x.clamp(axis.left, axis.right)));
    Some(MoveCursor::To(instant))
}

fn paint_history(painter: &Painter, stripe: Rect, axis: &Axis, past: &Past) {
    painter.rect_filled(stripe, 2.0, theme::FIELD);
    let covered = past.overview().covered();
    // Before the overview has come nothing is said of what was recorded.
    if covered.spans().is_empty() {
        return;
    }
    hatch(painter, stripe);
    for (from, to) in covered.spans() {
        let left = axis.x(*from).max(axis.left);
        // What was measured since the overview was asked for is being recorded.
        let is_last = axis.to.micros_since(*to) < 15_000_000;
        let right = if is_last { axis.right } else { axis.x(*to).min(axis.right) };
        if left < right {
            let span = Rect::from_x_y_ranges(left..=right.max(left + 1.0), stripe.y_range());
            painter.rect_filled(span, 2.0, theme::LINE);
        }
    }
}

/// Slanting lines: nothing was recorded here.
fn hatch(painter: &Painter, area: Rect) {
    let painter = painter.with_clip_rect(area.intersect(painter.clip_rect()));
    let stroke = Stroke::new(1.0, theme::QUIET.gamma_multiply(0.6));
    let count = ((area.width() + area.height()) / HATCH) as usize;
    painter.extend((0..=count).map(|i| {
        let x = area.left() + i as f32 * HATCH;
        Shape::line_segment([pos2(x, area.top()), pos2(x - area.height(), area.bottom())], stroke)
    }));
}

fn paint_marks(painter: &Painter, stripe: Rect, bottom: f32, axis: &Axis) {
    for (x, words) in axis.marks() {
        painter.vline(x, stripe.bottom()..=stripe.bottom() + 3.0, Stroke::new(1.0, theme::QUIET));
        // A mark at the edge has no room for its words.
        if x - 22.0 > axis.left - 8.0 && x + 22.0 < axis.right + 8.0 {
            painter.text(pos2(x, bottom - 1.0), Align2::CENTER_BOTTOM, words, FontId::proportional(10.5), theme::QUIET);
        }
    }
}

fn paint_events(painter: &Painter, stripe: Rect, axis: &Axis, past: &Past) {
    // Of events that fall on one point of the screen the most urgent is drawn.
    let mut last: Option<(i32, u8)> = None;
    for event in past.overview().events() {
        let x = axis.x(event.at);
        if !(axis.left..=axis.right).contains(&x) {
            continue;
        }
        let place = (x.round() as i32, urgency(event.kind));
        if last.is_some_and(|(at, urgency)| at == place.0 && urgency >= place.1) {
            continue;
        }
        last = Some(place);
        let inset = if event.kind == EventKind::Recovered || event.kind == EventKind::Found { 4.0 } else { 0.0 };
        painter.vline(x, stripe.top() + inset..=stripe.bottom() - inset, Stroke::new(2.0, colour(event.kind)));
    }
}

/// Points below the stripe: what people did.
fn paint_deeds(painter: &Painter, stripe: Rect, axis: &Axis, past: &Past) {
    let mut last = None;
    for deed in past.deeds().all() {
        let x = axis.x(deed.at);
        // Of those that fall on one point of the screen one is drawn.
        if (axis.left..=axis.right).contains(&x) && last.replace(x.round() as i32) != Some(x.round() as i32) {
            painter.circle_filled(pos2(x, stripe.bottom() + 2.0), 2.5, theme::ACCENT);
        }
    }
}

fn urgency(kind: EventKind) -> u8 {
    match kind {
        EventKind::Faulted => 3,
        EventKind::Lost => 2,
        EventKind::Recovered => 1,
        EventKind::Found => 0,
    }
}

fn colour(kind: EventKind) -> Color32 {
    match kind {
        EventKind::Faulted => theme::ALARM,
        EventKind::Lost => theme::WARNING,
        EventKind::Recovered | EventKind::Found => theme::TEXT,
    }
}

/// A line with a handle; hollow where the cursor waits for the past to come.
fn paint_cursor(painter: &Painter, stripe: Rect, axis: &Axis, (cursor, past): (Cursor, &Past)) {
    let Some(instant) = cursor.instant() else {
        painter.vline(axis.right, stripe.top() - 4.0..=stripe.bottom() + 2.0, Stroke::new(2.0, theme::ACCENT));
        return;
    };
    let is_waiting = past.is_waiting(cursor);
    if let Some(shown) = past.shown().filter(|_| is_waiting) {
        let x = axis.x(shown).clamp(axis.left, axis.right);
        painter.vline(x, stripe.y_range(), Stroke::new(1.5, theme::PAST.gamma_multiply(0.6)));
    }
    let x = axis.x(instant).clamp(axis.left, axis.right);
    painter.vline(x, stripe.top() - 2.0..=stripe.bottom() + 3.0, Stroke::new(2.0, theme::PAST));
    let handle =
        vec![pos2(x - 6.0, stripe.top() - 6.0), pos2(x + 6.0, stripe.top() - 6.0), pos2(x, stripe.top() + 4.0)];
    let fill = if is_waiting { theme::FIELD } else { theme::PAST };
    painter.add(Shape::convex_polygon(handle, fill, Stroke::new(1.5, theme::PAST)));
}

fn event_near<'a>(past: &'a Past, axis: &Axis, x: f32) -> Option<&'a Event> {
    let at = axis.instant(x);
    let near = |event: &&Event| (axis.x(event.at) - x).abs() <= NEAR;
    let (before, after) = (past.overview().before(at).filter(near), past.overview().after(at).filter(near));
    let distance = |event: &&Event| (axis.x(event.at) - x).abs();
    before.into_iter().chain(after).min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

fn deed_near<'a>(past: &'a Past, axis: &Axis, x: f32) -> Option<&'a Deed> {
    let (at, deeds) = (axis.instant(x), past.deeds());
    let distance = |deed: &&Deed| (axis.x(deed.at) - x).abs();
    let near = deeds.before(at).into_iter().chain(deeds.after(at)).filter(|deed| distance(deed) <= NEAR);
    near.min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

/// Who did what, and to what as it is called now.
fn deed_words(deed: &Deed, record: &Fold) -> String {
    let who = record.peer(&deed.author).map_or_else(|| deed.author.short(), |peer| peer.name.clone());
    let thing = deed.thing.and_then(|id| record.thing(id)).map(|thing| format!("{}\n", thing.thing.path));
    format!("{}{who} {}\n{}", thing.unwrap_or_default(), deed.what, calendar::date_and_time(deed.at))
}

fn hover_words(instant: Timestamp, event: Option<&Event>, site: &Site) -> String {
    let Some(event) = event else { return calendar::date_and_time(instant) };
    format!("{} {}\n{}", machine(site, event), event.kind.label(), calendar::date_and_time(event.at))
}

/// The machine whose state changed, by the last two names of its path: machines of two lines have the same one.
pub(super) fn machine(site: &Site, event: &Event) -> String {
    let path = site.tag(event.tag).and_then(|tag| tag.path.thing()).map(|path| path.to_string()).unwrap_or_default();
    let names: Vec<&str> = path.rsplit('/').take(2).collect();
    names.into_iter().rev().collect::<Vec<_>>().join(" › ")
}
