//! What says that the plant is not shown live: a frame around it and a plate with the instant that is shown, which is
//! never another than that of the values. And below, invitations from others.

use bevy::prelude::*;
use bevy_egui::EguiContexts;
use bevy_egui::egui::{self, Align2, FontId, Stroke, StrokeKind, vec2};
use gemba_twin::sample::Timestamp;

use super::Shown;
use super::invitation::{self, Invitations};
use crate::calendar;
use crate::cursor::MoveCursor;
use crate::people::People;
use crate::theme;
use crate::view::PlantView;

/// Width of the frame, points.
const FRAME: f32 = 4.0;

pub(super) fn show(
    mut contexts: EguiContexts,
    mut invitations: ResMut<Invitations>,
    mut asked: MessageWriter<MoveCursor>,
    shown: Shown,
    people: Res<People>,
    view: Res<PlantView>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    if shown.cursor.instant().is_some() {
        let painter = ctx.layer_painter(egui::LayerId::background()).with_clip_rect(view.rect);
        painter.rect_stroke(view.rect, 0.0, Stroke::new(FRAME, theme::PAST), StrokeKind::Inside);
        plate(&painter, view.rect, &shown);
    }
    if let Some(instant) = invitation::show(ctx, &mut invitations, &people, view.rect) {
        asked.write(MoveCursor::To(instant));
    }
    Ok(())
}

/// Large words at the upper edge, and a line of what else there is to say.
fn plate(painter: &egui::Painter, view: egui::Rect, shown: &Shown) {
    let head = match shown.past.shown() {
        Some(instant) => format!("NOT LIVE · {}", calendar::date_and_time(instant)),
        None => "NOT LIVE".to_owned(),
    };
    let black = egui::Color32::BLACK;
    let head = painter.layout_no_wrap(head, FontId::proportional(24.0), black);
    let line = painter.layout_no_wrap(words(shown), FontId::proportional(13.0), black);
    let size = vec2(head.size().x.max(line.size().x) + 32.0, head.size().y + line.size().y + 12.0);
    let plate = Align2::CENTER_TOP.anchor_size(view.center_top() + vec2(0.0, FRAME - 1.0), size);
    painter.rect_filled(plate, egui::CornerRadius { nw: 0, ne: 0, sw: 8, se: 8 }, theme::PAST);
    let middle = plate.center().x;
    let (head_height, head_width, line_width) = (head.size().y, head.size().x, line.size().x);
    painter.galley(egui::pos2(middle - head_width / 2.0, plate.top() + 4.0), head, black);
    painter.galley(egui::pos2(middle - line_width / 2.0, plate.top() + 6.0 + head_height), line, black);
}

fn words(shown: &Shown) -> String {
    let cursor = *shown.cursor;
    if shown.past.is_waiting(cursor) {
        let wanted = cursor.instant().map(calendar::date_and_time).unwrap_or_default();
        let lost = if shown.readings.is_lost() { ": the host is lost" } else { "" };
        return format!("waiting for {wanted}{lost}");
    }
    if !shown.past.is_covered() {
        return "nothing was recorded at this time".to_owned();
    }
    let instant = shown.past.shown().unwrap_or(shown.readings.now());
    let ago = ago_words(instant, shown.readings.live_now());
    match cursor.pace() {
        0 => ago,
        pace if shown.past.is_thinned(cursor) => format!("playing {pace}× · {ago} · stand still for exact values"),
        pace => format!("playing {pace}× · {ago}"),
    }
}

/// How long ago an instant is: `45 s ago`, `12 min 7 s ago`, `2 h 13 min ago`, `3 d 4 h ago`.
fn ago_words(instant: Timestamp, now: Timestamp) -> String {
    let secs = now.micros_since(instant).max(0) / 1_000_000;
    match secs {
        0..60 => format!("{secs} s ago"),
        60..3600 => format!("{} min {} s ago", secs / 60, secs % 60),
        3600..86_400 => format!("{} h {} min ago", secs / 3600, secs / 60 % 60),
        _ => format!("{} d {} h ago", secs / 86_400, secs / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago_it_is_is_said_in_two_units_at_most() {
        let words = [45, 727, 8000, 273_600].map(|secs| ago_words(Timestamp(0), Timestamp::from_secs(secs)));
        assert_eq!(words, ["45 s ago", "12 min 7 s ago", "2 h 13 min ago", "3 d 4 h ago"]);
        assert_eq!(ago_words(Timestamp(9), Timestamp(0)), "0 s ago", "clocks that disagree");
    }
}
