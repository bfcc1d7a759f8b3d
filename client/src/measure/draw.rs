//! How measures look: a line with a cross at each end, over all that stands before it, and a plate with the distance.

use bevy::prelude::*;
use bevy_egui::EguiContexts;
use bevy_egui::egui::{self, Color32, FontId, RichText};

use super::{Measures, Span};
use crate::theme;
use crate::view::{PlantCamera, PlantView};

/// Room between the bar and the upper edge of the plant, points.
pub(super) const EDGE: f32 = 14.0;
/// Half the width of the cross at an end, metres: as wide as a thumb.
const CROSS: f32 = 0.03;

/// The lines of measures.
#[derive(Default, Reflect, GizmoConfigGroup)]
pub(super) struct Lines;

/// Before everything: an end on the far side of a tank is an end all the same.
pub(super) fn configure(mut store: ResMut<GizmoConfigStore>) {
    let (config, _) = store.config_mut::<Lines>();
    config.line.width = 3.0;
    config.depth_bias = -1.0;
}

/// The lines, for every camera: also for the headset's eyes.
pub(super) fn lines(mut gizmos: Gizmos<Lines>, measures: Res<Measures>) {
    let [r, g, b, _] = theme::ACCENT.to_array();
    let colour = Color::srgb_u8(r, g, b);
    for span in measures.spans() {
        gizmos.line(span.from, span.to, colour);
        gizmos.cross(span.from, CROSS, colour);
        gizmos.cross(span.to, CROSS, colour);
    }
    if let Some(from) = measures.from.filter(|_| measures.to.is_none()) {
        gizmos.cross(from, CROSS, colour);
    }
}

/// The distances, over the desktop's picture of the plant.
pub(super) fn words(
    mut contexts: EguiContexts,
    measures: Res<Measures>,
    view: Res<PlantView>,
    camera: Single<(&Camera, &GlobalTransform), With<PlantCamera>>,
) -> Result {
    let (camera, transform) = *camera;
    if !camera.is_active {
        return Ok(());
    }
    let painter = contexts.ctx_mut()?.layer_painter(egui::LayerId::background()).with_clip_rect(view.rect);
    for span in measures.spans() {
        let Ok(at) = camera.world_to_viewport(transform, span.middle()) else { continue };
        plate(&painter, view.screen_from_viewport(at), &span);
    }
    Ok(())
}

fn plate(painter: &egui::Painter, at: egui::Pos2, span: &Span) {
    let text = painter.layout_no_wrap(span.words(), FontId::monospace(12.0), theme::TEXT);
    let rect = egui::Align2::CENTER_CENTER.anchor_size(at, text.size() + egui::vec2(14.0, 6.0));
    painter.rect(rect, 4.0, theme::FIELD, egui::Stroke::new(1.0, theme::ACCENT), egui::StrokeKind::Inside);
    painter.galley(rect.min + egui::vec2(7.0, 3.0), text, theme::TEXT);
}

pub(super) fn frame(edge: Color32) -> egui::Frame {
    let frame = egui::Frame::NONE.fill(theme::PANEL).corner_radius(8).inner_margin(egui::Margin::symmetric(10, 6));
    frame.stroke(egui::Stroke::new(1.0, edge))
}

/// What is to be done next, or what was measured.
pub(super) fn told(ui: &mut egui::Ui, measures: &Measures) {
    let span = measures.under_way().or(measures.newest().filter(|_| measures.from.is_none()));
    match span {
        Some(span) => {
            ui.label(RichText::new(span.words()).strong().monospace());
            if let Some(parts) = span.parts() {
                ui.label(RichText::new(parts).size(11.5).color(theme::QUIET));
            }
        }
        None if measures.from.is_some() => drop(ui.label("Now the other end")),
        None => drop(ui.label("Point at one end and press")),
    }
}
