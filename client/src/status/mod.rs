//! The bars: above, what is shown and how to look at it; below, how well it is going. Between them and the plant, a
//! broad banner whenever what is shown is not live though it should be.

use std::time::Duration;

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy_egui::egui::{self, RichText};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};
use gemba_net::LinkState;

use crate::alarms::{Alarms, ToggleAlarms};
use crate::camera::{CameraMode, FrameSelection, ShowAll};
use crate::cursor::Cursor;
use crate::free_rect::FreeRect;
use crate::help::ToggleHelp;
use crate::link::Connection;
use crate::network::ToggleNetwork;
use crate::past::Past;
use crate::people::{People, TogglePeople};
use crate::quality::Quality;
use crate::readings::Readings;
use crate::schedule::Screen;
use crate::site::Site;
use crate::theme;
use crate::tool::Tool;
use crate::viewpoints::ToggleViewpoints;

mod rates;
mod words;

use rates::Rates;
use words::{Urgency, Words, connection_words, short_count};

/// Sorting thousands of ages each frame would cost more than they are worth.
const AGES_EVERY_SECS: f64 = 0.5;

/// What the bars remember between frames.
#[derive(Default)]
struct Memory {
    rates: Rates,
    state: Option<LinkState>,
    state_since: f64,
    ages: Option<(f64, f64)>,
    ages_at: Option<f64>,
}

/// What the bars show.
#[derive(SystemParam)]
struct Shown<'w> {
    site: Res<'w, Site>,
    readings: Res<'w, Readings>,
    connection: Res<'w, Connection>,
    people: Res<'w, People>,
    quality: Res<'w, Quality>,
    cursor: Res<'w, Cursor>,
    past: Res<'w, Past>,
    alarms: Res<'w, Alarms>,
}

/// What the buttons ask for.
#[derive(SystemParam)]
struct Asked<'w> {
    all: MessageWriter<'w, ShowAll>,
    frame: MessageWriter<'w, FrameSelection>,
    help: MessageWriter<'w, ToggleHelp>,
    views: MessageWriter<'w, ToggleViewpoints>,
    network: MessageWriter<'w, ToggleNetwork>,
    tool: ResMut<'w, Tool>,
    people: MessageWriter<'w, TogglePeople>,
    alarms: MessageWriter<'w, ToggleAlarms>,
}

pub(crate) fn plugin(app: &mut App) {
    app.add_systems(EguiPrimaryContextPass, show.in_set(Screen::Bars));
}

fn show(
    mut contexts: EguiContexts,
    mut free: ResMut<FreeRect>,
    mut mode: ResMut<CameraMode>,
    mut memory: Local<Memory>,
    mut asked: Asked,
    shown: Shown,
    time: Res<Time<Real>>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    let now_secs = time.elapsed_secs_f64();
    memory.note(&shown, now_secs);
    let connection = &shown.connection;
    let waited = Duration::from_secs_f64((now_secs - memory.state_since).max(0.0));
    let words = connection_words(connection.state.as_ref(), connection.was_connected, connection.broken, waited);
    let words = words.at(shown.cursor.instant().map(|instant| shown.past.shown().unwrap_or(instant)));

    let mut ui = free.ui(ctx, "top bar");
    let frame = egui::Frame::NONE.fill(theme::FIELD).inner_margin(egui::Margin::symmetric(12, 2));
    let bar = egui::Panel::top("top bar").exact_size(32.0).resizable(false).frame(frame);
    free.take(bar.show(&mut ui, |ui| top(ui, &shown, &mut mode, &mut asked)).response.rect);

    if matches!(words.urgency, Urgency::Warning | Urgency::Alarm) {
        let mut ui = free.ui(ctx, "banner");
        free.take(banner(&mut ui, &words));
    }

    let mut ui = free.ui(ctx, "status bar");
    let frame = egui::Frame::NONE.fill(theme::FIELD).inner_margin(egui::Margin::symmetric(12, 2));
    let bar = egui::Panel::bottom("status bar").exact_size(24.0).resizable(false).frame(frame);
    let bar = bar.show(&mut ui, |ui| bottom(ui, &shown, &words, &memory));
    free.take(bar.response.rect);
    if bar.inner {
        asked.network.write(ToggleNetwork);
    }
    Ok(())
}

impl Memory {
    fn note(&mut self, shown: &Shown, now_secs: f64) {
        self.rates.note(now_secs, shown.readings.applied);
        if self.state != shown.connection.state {
            self.state.clone_from(&shown.connection.state);
            self.state_since = now_secs;
        }
        if self.ages_at.is_none_or(|at| now_secs - at >= AGES_EVERY_SECS) {
            self.ages = shown.readings.age_ms(0.5).zip(shown.readings.age_ms(0.99));
            self.ages_at = Some(now_secs);
        }
    }
}

fn top(ui: &mut egui::Ui, shown: &Shown, mode: &mut ResMut<CameraMode>, asked: &mut Asked) {
    ui.horizontal_centered(|ui| {
        ui.label(RichText::new("Gemba").strong().size(16.0));
        ui.label(RichText::new("·").color(theme::LINE));
        ui.add(egui::Label::new(RichText::new(&shown.site.name).color(theme::QUIET)).truncate());
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if ui.button("?").on_hover_text("mouse and keys (?)").clicked() {
                asked.help.write(ToggleHelp);
            }
            if ui.button("Frame").on_hover_text("bring the selection into the frame (F)").clicked() {
                asked.frame.write(FrameSelection);
            }
            if ui.button("Home").on_hover_text("show the whole plant (Home)").clicked() {
                asked.all.write(ShowAll);
            }
            if shown.connection.is_site() && ui.button("Views").on_hover_text("kept views of this site (V)").clicked() {
                asked.views.write(ToggleViewpoints);
            }
            if shown.connection.is_site()
                && ui.button("People").on_hover_text("who is here, and what they see").clicked()
            {
                asked.people.write(TogglePeople);
            }
            if shown.connection.is_site() && alarms(ui, &shown.alarms).clicked() {
                asked.alarms.write(ToggleAlarms);
            }
            let is_measuring = *asked.tool == Tool::Measure;
            if ui.selectable_label(is_measuring, "Measure").on_hover_text("distances in the plant (M)").clicked() {
                *asked.tool = asked.tool.toggled(Tool::Measure);
            }
            ui.add_space(12.0);
            for (wanted, key) in [(CameraMode::Walk, "3"), (CameraMode::Fly, "2"), (CameraMode::Orbit, "1")] {
                let chosen = **mode == wanted;
                if ui.selectable_label(chosen, wanted.label()).on_hover_text(format!("press {key}")).clicked() {
                    mode.set_if_neq(wanted);
                }
            }
        });
    });
}

/// How many alarms nobody has seen, in the colour that calls for it.
fn alarms(ui: &mut egui::Ui, alarms: &Alarms) -> egui::Response {
    let words = match (alarms.unseen(), alarms.all().len()) {
        (0, 0) => RichText::new("Alarms"),
        (0, seen) => RichText::new(format!("Alarms {seen}")),
        (unseen, _) => RichText::new(format!("Alarms {unseen}")).strong().color(theme::ALARM),
    };
    ui.button(words).on_hover_text("what is out of order, and who has seen it (X)")
}

/// A broad stripe that cannot be overlooked: what is shown is not what is.
fn banner(ui: &mut egui::Ui, words: &Words) -> egui::Rect {
    let fill = if words.urgency == Urgency::Alarm { theme::ALARM } else { theme::WARNING };
    let frame = egui::Frame::NONE.fill(fill).inner_margin(egui::Margin::symmetric(12, 4));
    let panel = egui::Panel::top("banner").exact_size(34.0).resizable(false).show_separator_line(false).frame(frame);
    let shown = panel.show(ui, |ui| {
        ui.centered_and_justified(|ui| {
            let text = RichText::new(format!("NOT LIVE    {}", words.text)).size(15.0).strong();
            ui.add(egui::Label::new(text.color(egui::Color32::BLACK)).truncate());
        });
    });
    shown.response.rect
}

/// True if the round trip was clicked.
fn bottom(ui: &mut egui::Ui, shown: &Shown, words: &Words, memory: &Memory) -> bool {
    let mut clicked = false;
    ui.horizontal_centered(|ui| {
        let colour = match words.urgency {
            Urgency::Calm => theme::TEXT,
            Urgency::Wait => theme::QUIET,
            Urgency::Past => theme::PAST,
            Urgency::Warning => theme::WARNING,
            Urgency::Alarm => theme::ALARM,
        };
        ui.label(RichText::new(words.mark).monospace().color(colour));
        ui.label(RichText::new(&words.text).color(colour));
        // From the right, so that what changes most has its place at the edge.
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            clicked = figures(ui, shown, memory);
            let preset = if shown.quality.cheap { "software renderer, cheap preset" } else { &shown.quality.adapter };
            let preset = egui::Label::new(RichText::new(preset).color(theme::QUIET)).truncate();
            ui.add(preset).on_hover_text(&shown.quality.adapter);
        });
    });
    clicked
}

/// The figures at the right, the outermost first; fixed widths, so that they do not push each other about.
/// True if the round trip was clicked.
fn figures(ui: &mut egui::Ui, shown: &Shown, memory: &Memory) -> bool {
    let mut figure = |text: String, hover: &str| {
        let label = egui::Label::new(RichText::new(text).monospace().size(11.0)).sense(egui::Sense::click());
        let clicked = ui.add(label).on_hover_text(hover).clicked();
        ui.label(RichText::new("·").color(theme::LINE));
        clicked
    };
    figure(memory.rates.frames().map_or("  – fps".to_owned(), |f| format!("{f:>3.0} fps")), "frames a second");
    if !shown.connection.is_site() {
        return false;
    }
    let connected = shown.connection.state == Some(LinkState::Connected);
    let here = shown.people.0.len() + usize::from(connected);
    let names: Vec<&str> = shown.people.0.values().map(|person| person.info.name.as_str()).collect();
    let who = if names.is_empty() { "nobody else is here".to_owned() } else { format!("with {}", names.join(", ")) };
    figure(format!("{here} peer{}", if here == 1 { " " } else { "s" }), &who);
    let rate = memory.rates.counts().unwrap_or(0.0);
    figure(format!("{:>5} samples/s", short_count(rate)), "samples taken in over the last second");
    let ages = memory
        .ages
        .filter(|_| connected)
        .map_or("age   – /   – ms".to_owned(), |(p50, p99)| format!("age {p50:>3.0} / {p99:>3.0} ms"));
    figure(ages, "time from the device to this screen: half of the recent samples, and 99 of 100, were younger");
    let rtt = shown.connection.rtt.as_secs_f64() * 1000.0;
    let text = if connected { format!("RTT {rtt:>4.1} ms") } else { "RTT    – ms".to_owned() };
    figure(text, "to the host and back; click for more of the line (C)")
}
