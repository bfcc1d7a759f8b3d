//! A label as it is drawn: a dark, translucent plate with mark, name and value, and a thin line to its owner.

use std::sync::Arc;

use bevy_egui::egui::text::LayoutJob;
use bevy_egui::egui::{Color32, FontId, Galley, Painter, Pos2, Rect, Stroke, StrokeKind, TextFormat, Vec2, vec2};

use crate::theme;

/// Room around the text, points.
const MARGIN: Vec2 = vec2(7.0, 3.0);
/// Widths go in steps of this, so that a changing digit does not shake the plate, points.
const STEP: f32 = 8.0;

/// A label ready to be placed.
pub(super) struct Plate {
    text: Arc<Galley>,
    /// Size with margins, points.
    pub(super) size: Vec2,
    edge: Option<Color32>,
}

/// What stands on a plate.
pub(super) struct Words<'a> {
    /// Mark and its colour.
    pub(super) mark: Option<(&'static str, Color32)>,
    /// What it is part of, where the name alone would not say which one it is.
    pub(super) place: &'a str,
    pub(super) name: &'a str,
    pub(super) name_colour: Color32,
    pub(super) value: Option<String>,
    /// Colour of the edge, for what stands out.
    pub(super) edge: Option<Color32>,
}

impl Plate {
    /// Lays out the text.
    pub(super) fn new(painter: &Painter, words: &Words) -> Self {
        let mut job = LayoutJob::default();
        let mut add = |text: &str, font: FontId, colour: Color32| {
            job.append(text, 0.0, TextFormat { font_id: font, color: colour, ..Default::default() });
        };
        if let Some((mark, colour)) = words.mark {
            add(mark, FontId::monospace(11.0), colour);
            add("  ", FontId::proportional(12.0), theme::TEXT);
        }
        if !words.place.is_empty() {
            add(words.place, FontId::proportional(12.0), theme::QUIET);
            add(" ", FontId::proportional(12.0), theme::TEXT);
        }
        add(words.name, FontId::proportional(12.0), words.name_colour);
        if let Some(value) = &words.value {
            add("  ", FontId::proportional(12.0), theme::TEXT);
            add(value, FontId::monospace(11.0), theme::TEXT);
        }
        job.wrap.max_width = f32::INFINITY;
        let text = painter.layout_job(job);
        let size = text.size() + MARGIN * 2.0;
        Self { size: vec2((size.x / STEP).ceil() * STEP, size.y.ceil()), text, edge: words.edge }
    }

    /// Draws it.
    pub(super) fn draw(&self, painter: &Painter, rect: Rect, anchor: Pos2, opacity: f32) {
        let mut painter = painter.clone();
        painter.multiply_opacity(opacity);
        let foot = Pos2::new(anchor.x.clamp(rect.left() + 4.0, rect.right() - 4.0), rect.bottom());
        painter.line_segment([foot, anchor], Stroke::new(1.0, self.edge.unwrap_or(theme::QUIET).gamma_multiply(0.8)));
        painter.circle_filled(anchor, 1.5, self.edge.unwrap_or(theme::QUIET));
        painter.rect_filled(rect, 4.0, theme::FIELD.gamma_multiply(0.95));
        if let Some(edge) = self.edge {
            painter.rect_stroke(rect, 4.0, Stroke::new(1.0, edge), StrokeKind::Inside);
        }
        painter.galley(rect.min + MARGIN, self.text.clone(), theme::TEXT);
    }
}
