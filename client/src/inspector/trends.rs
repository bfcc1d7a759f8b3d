//! Trends: the last minutes of the chosen tags as curves. Gaps in the data are gaps in the curve; of many samples the
//! lowest and highest of each stretch are drawn, so that no spike is lost.

use std::collections::HashSet;

use bevy_egui::egui;
use egui_plot::{Line, Plot, PlotPoints};
use gemba_twin::path::TagId;
use gemba_twin::sample::Timestamp;

use crate::readings::{Reading, Readings};
use crate::site::Site;
use crate::theme;

/// Stretches into which the shown time is divided; two points are drawn for each.
const STRETCHES: usize = 180;

/// Shows a plot for each chosen tag.
pub(super) fn show(
    ui: &mut egui::Ui,
    minutes: &mut f64,
    tags: &[TagId],
    plotted: &HashSet<TagId>,
    site: &Site,
    readings: &Readings,
) {
    if plotted.is_empty() {
        return;
    }
    ui.horizontal(|ui| {
        ui.colored_label(theme::QUIET, "trend over");
        for choice in [1.0, 5.0] {
            ui.selectable_value(minutes, choice, format!("{choice:.0} min"));
        }
    });
    let span_secs = *minutes * 60.0;
    for id in tags.iter().filter(|id| plotted.contains(id)) {
        let (Some(tag), Some(reading)) = (site.tag(*id), readings.get(*id)) else { continue };
        let curves = curves(reading, readings.now, span_secs);
        ui.label(egui::RichText::new(format!("{} [{}]", tag.path.name(), tag.unit)).small());
        let mut plot = Plot::new(("trend", id.0))
            .height(84.0)
            .allow_drag(false)
            .allow_zoom(false)
            .allow_scroll(false)
            .show_x(false)
            .include_x(-span_secs)
            .include_x(0.0)
            .x_axis_formatter(|mark, _| format!("{:.0} s", mark.value));
        if let Some(range) = tag.range {
            plot = plot.include_y(range.low).include_y(range.high);
        }
        plot.show(ui, |plot| {
            for curve in curves {
                plot.line(Line::new("", PlotPoints::from(curve)).color(theme::ACCENT).width(1.4));
            }
        });
    }
}

/// The history as unbroken curves of (seconds before now, value); each `NaN` ends one. A device reports changes only:
/// the last value holds up to now.
fn curves(reading: &Reading, now: Timestamp, span_secs: f64) -> Vec<Vec<[f64; 2]>> {
    let from = now.plus_micros(-(span_secs * 1e6) as i64);
    let first = reading.history.partition_point(|(at, _)| *at < from).saturating_sub(1);
    let stretch_secs = span_secs / STRETCHES as f64;
    let mut curves = vec![Vec::new()];
    let mut stretch: Option<Stretch> = None;
    for (at, value) in reading.history.range(first..) {
        let x = (at.micros_since(now) as f64 / 1e6).clamp(-span_secs, 0.0);
        let curve = curves.last_mut().expect("there is always a curve to go on with");
        if value.is_nan() {
            stretch.take().into_iter().for_each(|s| s.draw(curve));
            curves.push(Vec::new());
            continue;
        }
        match &mut stretch {
            Some(open) if x < open.until => open.add(x, *value),
            _ => {
                stretch.take().into_iter().for_each(|s| s.draw(curve));
                stretch = Some(Stretch { until: x + stretch_secs, low: [x, *value], high: [x, *value], last: [x, *value] });
            }
        }
    }
    let curve = curves.last_mut().expect("there is always a curve to go on with");
    if let Some(open) = stretch {
        let last = open.last[1];
        open.draw(curve);
        curve.push([0.0, last]);
    }
    curves.retain(|curve| !curve.is_empty());
    curves
}

/// The samples of one stretch of time that are worth drawing.
struct Stretch {
    until: f64,
    low: [f64; 2],
    high: [f64; 2],
    last: [f64; 2],
}

impl Stretch {
    fn add(&mut self, x: f64, value: f64) {
        if value < self.low[1] {
            self.low = [x, value];
        }
        if value > self.high[1] {
            self.high = [x, value];
        }
        self.last = [x, value];
    }

    fn draw(self, curve: &mut Vec<[f64; 2]>) {
        let (first, second) = if self.low[0] <= self.high[0] { (self.low, self.high) } else { (self.high, self.low) };
        curve.push(first);
        if second != first {
            curve.push(second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(samples: impl IntoIterator<Item = (f64, f64)>) -> Reading {
        let history = samples.into_iter().map(|(secs, value)| (Timestamp((secs * 1e6) as i64), value)).collect();
        Reading { newest: None, history }
    }

    #[test]
    fn a_gap_in_the_data_is_a_gap_in_the_curve() {
        let reading = reading([(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (5.0, 3.0)]);
        let curves = curves(&reading, Timestamp(10_000_000), 60.0);
        assert_eq!(curves.len(), 2);
        assert_eq!(curves[1], [[-5.0, 3.0], [0.0, 3.0]]);
    }

    #[test]
    fn a_single_spike_among_thousands_of_samples_is_drawn() {
        let samples = (0..6000).map(|i| (f64::from(i) * 0.01, if i == 3217 { 99.0 } else { 1.0 }));
        let curves = curves(&reading(samples), Timestamp(60_000_000), 60.0);
        let points: Vec<_> = curves.concat();
        assert!(points.len() < 3 * STRETCHES, "{} points", points.len());
        assert!(points.iter().any(|p| p[1] == 99.0));
    }
}
