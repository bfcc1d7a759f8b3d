//! Curves of the chosen tags over the last minutes.

use bevy_egui::egui::{self, RichText};
use egui_plot::{FilledArea, HoverPosition, Line, Plot, PlotPoints, VLine, uniform_grid_spacer};
use gemba_twin::path::TagId;
use gemba_twin::sample::ValueKind;
use gemba_twin::tag::Tag;

use super::curve::{Band, bands, pieces, value_span};
use crate::calendar;
use crate::readings::Readings;
use crate::site::Site;
use crate::theme;

/// Height of a plot with its title, points.
pub(super) const HEIGHT: f32 = 122.0;
/// Height of the line of buttons above the plots, points.
pub(super) const HEADER: f32 = 28.0;

/// How far back the curves reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    OneMinute,
    FiveMinutes,
}

impl Window {
    fn secs(self) -> f64 {
        match self {
            Window::OneMinute => 60.0,
            Window::FiveMinutes => 300.0,
        }
    }

    /// Steps of the grid; the middle one is wide enough to be labelled.
    fn grid_secs(self) -> [f64; 3] {
        match self {
            Window::OneMinute => [10.0, 20.0, 60.0],
            Window::FiveMinutes => [50.0, 100.0, 300.0],
        }
    }
}

/// Shows all curves.
pub(super) fn show(ui: &mut egui::Ui, plotted: &[TagId], window: &mut Window, site: &Site, readings: &Readings) {
    ui.horizontal(|ui| {
        ui.label(RichText::new("last").color(theme::QUIET));
        ui.selectable_value(window, Window::OneMinute, "1 min");
        ui.selectable_value(window, Window::FiveMinutes, "5 min");
        let end = if readings.is_past() { calendar::time(readings.now()) } else { "now".to_owned() };
        ui.label(RichText::new(format!("x: seconds before {end}")).size(11.0).color(theme::QUIET));
    });
    egui::ScrollArea::vertical().auto_shrink(false).id_salt("trends").show(ui, |ui| {
        for &id in plotted {
            if let Some(tag) = site.tag(id) {
                plot(ui, id, tag, *window, readings);
            }
        }
    });
}

fn plot(ui: &mut egui::Ui, id: TagId, tag: &Tag, window: Window, readings: &Readings) {
    let unit = tag.unit.symbol();
    let parts: Vec<&str> = tag.path.as_str().rsplit('/').take(2).collect();
    let title = parts.into_iter().rev().collect::<Vec<_>>().join(" › ");
    ui.label(RichText::new(title).size(12.0));
    let pieces = readings.get(id).map_or_else(Vec::new, |reading| {
        pieces(&reading.history, readings.now(), window.secs(), tag.kind == ValueKind::Float, !readings.is_stale())
    });
    if pieces.is_empty() {
        ui.allocate_ui(egui::vec2(ui.available_width(), HEIGHT - 24.0), |ui| {
            ui.label(RichText::new("no value in this time").color(theme::QUIET));
        });
        return;
    }
    let bands =
        readings.get(id).map_or_else(Vec::new, |reading| bands(&reading.envelope, readings.now(), window.secs()));
    let (low, high) = value_span(&pieces, &bands);
    let unit = unit.to_owned();
    let hover_unit = unit.clone();
    Plot::new(("trend", id.0))
        .height(HEIGHT - 24.0)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_axis_zoom_drag(false)
        .allow_double_click_reset(false)
        .show_background(false)
        .x_grid_spacer(uniform_grid_spacer(move |_| window.grid_secs()))
        .y_grid_spacer(uniform_grid_spacer(|grid| [even_step(grid.bounds.1 - grid.bounds.0); 3]))
        .y_axis_min_width(46.0)
        .y_axis_formatter(move |mark, _| axis_words(mark.value, mark.step_size, &unit))
        .label_formatter(move |at| {
            let (HoverPosition::NearDataPoint { position, .. } | HoverPosition::Elsewhere { position }) = at;
            Some(format!("{:.1} s\n{:.2} {hover_unit}", position.x, position.y))
        })
        .show(ui, move |plot| {
            plot.set_auto_bounds(false);
            plot.set_plot_bounds_x(-window.secs()..=0.0);
            plot.set_plot_bounds_y(low..=high);
            plot.vline(VLine::new("now", 0.0).color(theme::LINE).allow_hover(false));
            for (number, Band { at, lowest, highest }) in bands.iter().enumerate() {
                let area = FilledArea::new(format!("extremes {number}"), at, lowest, highest).allow_hover(false);
                plot.add(area.fill_color(theme::ACCENT.gamma_multiply(0.35)));
            }
            for (number, piece) in pieces.into_iter().enumerate() {
                let line = Line::new(format!("piece {number}"), PlotPoints::new(piece));
                plot.line(line.color(theme::ACCENT).width(1.4));
            }
        });
}

/// A step of 1, 2 or 5 times a power of ten that divides a span into one to four parts: more would have no room
/// for their labels.
fn even_step(span: f64) -> f64 {
    let rough = span.max(1e-9) / 4.0;
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| *step >= rough).unwrap_or(rough)
}

/// A mark of the value axis with its unit, with as many decimals as its step needs.
fn axis_words(value: f64, step: f64, unit: &str) -> String {
    let decimals = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    if unit.is_empty() { format!("{value:.decimals$}") } else { format!("{value:.decimals$} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_axis_always_has_a_few_even_marks() {
        for span in [0.2, 1.0, 7.3, 110.0, 99_999.0] {
            let parts = span / even_step(span);
            assert!((1.599..=4.001).contains(&parts), "{span}: {parts}");
        }
        assert_eq!(even_step(110.0), 50.0);
    }

    #[test]
    fn the_value_axis_says_the_unit_and_no_more_decimals_than_it_must() {
        assert_eq!(axis_words(20.0, 10.0, "%"), "20 %");
        assert_eq!(axis_words(0.25, 0.05, "m/s"), "0.25 m/s");
        assert_eq!(axis_words(1.0, 1.0, ""), "1");
    }
}
