//! The window: the line first, then what flows on it, then how far behind the picture is.

use std::collections::VecDeque;
use std::time::Duration;

use bevy_egui::egui::{self, Color32, RichText, Sense, Stroke, pos2, vec2};

use super::figures::{Figures, Lane, Reading};
use super::lateness::Lateness;
use crate::theme;

/// Size of a curve.
const CURVE: egui::Vec2 = vec2(92.0, 16.0);
/// Width of a number with its unit.
const NUMBER: f32 = 74.0;
/// Width of the names in front.
const NAME: f32 = 78.0;
/// A loss of packets that people begin to notice.
const LOSSY: f64 = 0.02;

/// What the window shows.
pub(super) struct Shown<'a> {
    pub(super) figures: &'a Figures,
    pub(super) lateness: &'a Lateness,
    pub(super) is_here: bool,
    /// How far people and plant are shown behind what is.
    pub(super) behind: [Duration; 2],
    /// Hosts that could take over.
    pub(super) others: usize,
}

pub(super) fn window(ctx: &egui::Context, is_open: &mut bool, area: egui::Rect, shown: &Shown) {
    egui::Window::new("Network")
        .open(is_open)
        .collapsible(false)
        .resizable(false)
        .pivot(egui::Align2::RIGHT_TOP)
        .default_pos(area.right_top() + vec2(-12.0, 12.0))
        .frame(egui::Frame::window(&ctx.global_style()).inner_margin(12))
        .show(ctx, |ui| {
            ui.spacing_mut().item_spacing = vec2(8.0, 5.0);
            let Some(reading) = shown.figures.newest() else {
                ui.label(RichText::new("nothing measured yet").color(theme::QUIET));
                return;
            };
            host(ui, reading, shown);
            line(ui, reading, shown);
            ui.separator();
            lanes(ui, shown);
            ui.separator();
            picture(ui, reading, shown);
        });
}

fn host(ui: &mut egui::Ui, reading: &Reading, shown: &Shown) {
    let Some(host) = &reading.line.host else { return };
    let colour = if shown.is_here { theme::TEXT } else { theme::WARNING };
    row(ui, "host", |ui| {
        let text = RichText::new(format!("{}:{}", host.host, host.port)).color(colour);
        ui.label(text).on_hover_text(format!("key {}", host.key));
        if !shown.is_here {
            ui.label(RichText::new("lost").color(theme::WARNING));
        }
    });
    let others = match shown.others {
        0 => "nobody takes over".to_owned(),
        1 => "1 other host takes over".to_owned(),
        n => format!("{n} other hosts take over"),
    };
    row(ui, "if it dies", |ui| drop(ui.label(RichText::new(others).color(theme::QUIET))));
}

fn line(ui: &mut egui::Ui, reading: &Reading, shown: &Shown) {
    row(ui, "round trip", |ui| {
        number(ui, format!("{:.1} ms", reading.line.rtt.as_secs_f64() * 1000.0), theme::TEXT);
        curve(ui, shown.figures.rtt(), theme::ACCENT);
    });
    row(ui, "lost", |ui| {
        let loss = shown.figures.loss();
        let colour = if loss.is_some_and(|loss| loss > LOSSY) { theme::WARNING } else { theme::TEXT };
        number(ui, loss.map_or("–".to_owned(), |loss| format!("{:.1} %", loss * 100.0)), colour);
        let lost = format!("{} of {} packets to the host", reading.line.packets_lost, reading.line.packets_sent);
        ui.label(RichText::new(lost).monospace().size(11.0).color(theme::QUIET));
    });
}

fn lanes(ui: &mut egui::Ui, shown: &Shown) {
    row(ui, "", |ui| {
        for way in ["from the host", "to the host"] {
            let width = NUMBER + 8.0 + CURVE.x;
            ui.add_sized([width, 14.0], egui::Label::new(RichText::new(way).size(11.0).color(theme::QUIET)));
        }
    });
    for lane in Lane::ALL {
        row(ui, lane.name(), |ui| {
            flow(ui, shown.figures.lane(lane, 0));
            // The others have no words of their own for the host.
            if matches!(lane, Lane::Record | Lane::Pose) {
                flow(ui, shown.figures.lane(lane, 1));
            }
        });
    }
    row(ui, "on the wire", |ui| {
        flow(ui, shown.figures.wire(0));
        flow(ui, shown.figures.wire(1));
    });
}

fn picture(ui: &mut egui::Ui, reading: &Reading, shown: &Shown) {
    let [people, plant] = shown.behind;
    row(ui, "behind", |ui| {
        let text = format!("people {} ms, plant {} ms", people.as_millis(), plant.as_millis());
        ui.label(text).on_hover_text("so far behind what is, the picture is drawn: it moves from one word to the next");
    });
    let ages = shown.lateness.age_ms(0.5).zip(shown.lateness.age_ms(0.99));
    row(ui, "poses", |ui| match (ages, shown.lateness.late(people)) {
        (Some((p50, p99)), Some(late)) => {
            let colour = if late > 0.1 { theme::WARNING } else { theme::TEXT };
            ui.label(RichText::new(format!("{p50:.0} / {p99:.0} ms old, {:.0} % late", late * 100.0)).color(colour))
                .on_hover_text(
                    "when they arrive: half of them, and 99 of 100, were younger; late ones are not moved towards",
                );
        }
        _ => drop(ui.label(RichText::new("nobody else has moved").color(theme::QUIET))),
    });
    let lanes = &reading.lanes;
    row(ui, "dropped", |ui| {
        let text = format!("{} poses, {} packets unread", lanes.poses_dropped, lanes.packets_unread);
        ui.label(text)
            .on_hover_text("poses that came quicker than they were drawn; packets that were late, doubled or damaged");
    });
    let sessions = match lanes.sessions_lost {
        0 => "never interrupted".to_owned(),
        1 => "interrupted once".to_owned(),
        n => format!("interrupted {n} times"),
    };
    row(ui, "session", |ui| drop(ui.label(sessions)));
}

fn row(ui: &mut egui::Ui, name: &str, content: impl FnOnce(&mut egui::Ui)) {
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(NAME, CURVE.y), Sense::hover());
        let font = egui::FontId::proportional(13.0);
        ui.painter().text(rect.left_center(), egui::Align2::LEFT_CENTER, name, font, theme::QUIET);
        content(ui);
    });
}

/// A number in a column of its own, so that nothing is pushed about when it changes.
fn number(ui: &mut egui::Ui, text: String, colour: Color32) {
    let (rect, _) = ui.allocate_exact_size(vec2(NUMBER, CURVE.y), Sense::hover());
    ui.painter().text(rect.right_center(), egui::Align2::RIGHT_CENTER, text, egui::FontId::monospace(12.0), colour);
}

fn flow(ui: &mut egui::Ui, points: &VecDeque<f32>) {
    let newest = points.back().copied().unwrap_or(0.0);
    number(ui, rate(newest), if newest > 0.0 { theme::TEXT } else { theme::QUIET });
    curve(ui, points, theme::ACCENT);
}

/// Bits, as lines are sold by them.
fn rate(bytes: f32) -> String {
    match bytes * 8.0 {
        bits if bits >= 1e6 => format!("{:.1} Mbit/s", bits / 1e6),
        bits if bits >= 1e3 => format!("{:.0} kbit/s", bits / 1e3),
        bits => format!("{bits:.0} bit/s"),
    }
}

/// From zero to its own highest point; the newest at the right.
fn curve(ui: &mut egui::Ui, points: &VecDeque<f32>, colour: Color32) {
    let (rect, _) = ui.allocate_exact_size(CURVE, Sense::hover());
    ui.painter().rect_filled(rect, 2.0, theme::FIELD);
    let highest = points.iter().copied().fold(0.0_f32, f32::max);
    if points.len() < 2 || highest <= 0.0 {
        return;
    }
    let inner = rect.shrink(2.0);
    let step = inner.width() / 59.0;
    let at = |(n, point): (usize, &f32)| {
        let x = inner.right() - (points.len() - 1 - n) as f32 * step;
        pos2(x, inner.bottom() - point / highest * inner.height())
    };
    let drawn: Vec<_> = points.iter().enumerate().map(at).collect();
    ui.painter().add(egui::Shape::line(drawn, Stroke::new(1.2, colour)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_told_in_the_unit_that_keeps_it_short() {
        assert_eq!([0.0, 100.0, 5_000.0, 1_250_000.0].map(rate), ["0 bit/s", "800 bit/s", "40 kbit/s", "10.0 Mbit/s"]);
    }
}
