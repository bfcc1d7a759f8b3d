//! The time line: the span of history above the lower bar with everything that moves the cursor, the plate and the
//! frame that say unmistakably when the plant is not shown live, and invitations to an instant.

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy_egui::egui::{self, RichText};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};
use gemba_twin::sample::Timestamp;

use crate::cursor::{Cursor, MoveCursor, Speed};
use crate::free_rect::FreeRect;
use crate::link::Connection;
use crate::past::{Past, TellHost};
use crate::readings::Readings;
use crate::schedule::{Frame, Screen};
use crate::site::Site;
use crate::theme;

mod axis;
mod invitation;
mod not_live;
mod track;

use axis::Sight;
pub use invitation::Invitations;

/// A step on or back, microseconds; and a wide one, with Shift.
const STEPS: (i64, i64) = (1_000_000, 60_000_000);
/// Room for the words when there is no history, points.
const WITHOUT: f32 = 20.0;
/// Room for the date and time at the right, so that nothing moves while it runs, points.
const CLOCK: f32 = 112.0;

/// What the time line shows.
#[derive(SystemParam)]
struct Shown<'w> {
    cursor: Res<'w, Cursor>,
    past: Res<'w, Past>,
    readings: Res<'w, Readings>,
    site: Res<'w, Site>,
    connection: Res<'w, Connection>,
}

/// The instant to which the others were invited, as long as they are.
#[derive(Resource, Default)]
struct Invited(Option<Timestamp>);

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Invitations>()
        .init_resource::<Invited>()
        .add_systems(EguiPrimaryContextPass, show.in_set(Screen::Timeline))
        .add_systems(Update, invitation::take.in_set(Frame::Present))
        .add_systems(EguiPrimaryContextPass, not_live::show.in_set(Screen::NotLive));
}

fn show(
    mut contexts: EguiContexts,
    mut free: ResMut<FreeRect>,
    mut sight: Local<Sight>,
    mut invited: ResMut<Invited>,
    mut asked: MessageWriter<MoveCursor>,
    mut tell: MessageWriter<TellHost>,
    shown: Shown,
    keys: Res<ButtonInput<KeyCode>>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    let history = shown.past.history(shown.readings.live_now());
    let mut ui = free.ui(ctx, "time line");
    let frame = egui::Frame::NONE.fill(theme::PANEL).inner_margin(egui::Margin::symmetric(12, 2));
    let height = if history.is_some() { track::HEIGHT + 4.0 } else { WITHOUT };
    let bar = egui::Panel::bottom("time line").exact_size(height).resizable(false).frame(frame);
    let inner = bar.show(&mut ui, |ui| match history {
        Some(history) => bar_of_history(ui, history, &mut sight, &shown, &mut invited),
        None => {
            ui.horizontal_centered(|ui| ui.label(RichText::new(why_none(&shown)).size(11.0).color(theme::QUIET)));
            Asked::default()
        }
    });
    free.take(inner.response.rect);
    let Asked { moves, share } = inner.inner;
    asked.write_batch(moves);
    let is_over = inner.response.contains_pointer();
    if history.is_some() && !ctx.egui_wants_keyboard_input() {
        asked.write_batch(moves_of_keys(&keys, is_over, &shown));
    }
    // Whoever is back in the present invites nobody to the past.
    let withdrawn = (*shown.cursor == Cursor::Live && invited.0.take().is_some()).then_some(None);
    tell.write_batch(share.map(Some).or(withdrawn).map(TellHost::ShareInstant));
    Ok(())
}

/// What was asked for by the bar.
#[derive(Default)]
struct Asked {
    moves: Vec<MoveCursor>,
    share: Option<Timestamp>,
}

fn why_none(shown: &Shown) -> &'static str {
    if !shown.connection.is_site() {
        "no history: a file has no past"
    } else if !shown.connection.was_connected {
        "history: waiting for the host"
    } else {
        "no history: this host keeps none"
    }
}

fn bar_of_history(
    ui: &mut egui::Ui,
    history: (Timestamp, Timestamp),
    sight: &mut Sight,
    shown: &Shown,
    invited: &mut Invited,
) -> Asked {
    let mut asked = Asked::default();
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = 3.0;
        ui.spacing_mut().button_padding = egui::vec2(5.0, 3.0);
        asked.moves.extend(player(ui, shown));
        ui.add_space(6.0);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            let is_live = *shown.cursor == Cursor::Live;
            if live_button(ui, is_live) {
                asked.moves.push(MoveCursor::ToLive);
            }
            if let Some(instant) = shown.cursor.instant() {
                let is_invited = invited.0 == Some(instant);
                let words = if is_invited { "Others invited" } else { "Bring others here" };
                let button = ui.add_enabled(!is_invited, egui::Button::new(words).small());
                if button.on_hover_text("invites everyone at the site to look at this instant").clicked() {
                    invited.0 = Some(instant);
                    asked.share = Some(instant);
                    // To be at the same instant one has to stay there.
                    asked.moves.push(MoveCursor::To(instant));
                }
            }
            clock(ui, shown);
            let marked = (*shown.cursor, &*shown.past, &*shown.site, shown.connection.log().site());
            let moved = track::show(ui, sight, marked, history);
            asked.moves.extend(moved);
        });
    });
    asked
}

/// Buttons for events, play and speed. Returns what was clicked.
fn player(ui: &mut egui::Ui, shown: &Shown) -> Option<MoveCursor> {
    let mut asked = None;
    let (before, after) = neighbours(shown);
    let event = |ui: &mut egui::Ui, mark: &str, at: Option<Timestamp>, hover: &str| {
        ui.add_enabled(at.is_some(), egui::Button::new(mark)).on_hover_text(hover).clicked().then_some(at).flatten()
    };
    if let Some(at) = event(ui, "⏮", before, "to the event before (B)") {
        asked = Some(MoveCursor::To(at));
    }
    let is_playing = shown.cursor.pace() > 0 || *shown.cursor == Cursor::Live;
    let (mark, hover) = if is_playing { ("⏸", "stand still (P)") } else { ("▶", "play (P)") };
    if ui.button(mark).on_hover_text(hover).clicked() {
        asked = Some(MoveCursor::TogglePlay);
    }
    if let Some(at) = event(ui, "⏭", after, "to the next event (N)") {
        asked = Some(MoveCursor::To(at));
    }
    ui.add_space(4.0);
    let speed_now = match *shown.cursor {
        Cursor::At { speed, playing: true, .. } => Some(speed),
        _ => None,
    };
    for speed in Speed::ALL {
        let words = RichText::new(format!("{}×", speed.factor())).size(11.5);
        let button = egui::Button::selectable(speed_now == Some(speed), words);
        let is_past = *shown.cursor != Cursor::Live;
        if ui.add_enabled(is_past, button).on_hover_text(speed_words(speed)).clicked() {
            asked = Some(MoveCursor::Play(speed));
        }
    }
    asked
}

fn speed_words(speed: Speed) -> &'static str {
    match speed {
        Speed::X1 => "play as it was",
        Speed::X10 => "play ten times as fast",
        Speed::X60 => "play a minute a second",
        Speed::X600 => "play ten minutes a second",
    }
}

fn live_button(ui: &mut egui::Ui, is_live: bool) -> bool {
    let (words, fill) = if is_live {
        (RichText::new("Live").color(theme::ACCENT), egui::Color32::TRANSPARENT)
    } else {
        (RichText::new("Back to live").strong().color(egui::Color32::BLACK), theme::PAST)
    };
    let hover = if is_live { "this is now" } else { "show what is now (L)" };
    ui.add_sized([84.0, 22.0], egui::Button::new(words).fill(fill)).on_hover_text(hover).clicked() && !is_live
}

fn clock(ui: &mut egui::Ui, shown: &Shown) {
    let instant = shown.cursor.instant().unwrap_or(shown.readings.live_now());
    let colour = if *shown.cursor == Cursor::Live { theme::QUIET } else { theme::PAST };
    let words = RichText::new(crate::calendar::date_and_time(instant)).monospace().size(12.0).color(colour);
    let label = egui::Label::new(words).extend();
    ui.add_sized([CLOCK, 20.0], label).on_hover_text("date and time, UTC");
}

/// The events and deeds before and after the cursor.
fn neighbours(shown: &Shown) -> (Option<Timestamp>, Option<Timestamp>) {
    let (events, deeds) = (shown.past.overview(), shown.past.deeds());
    let here = shown.cursor.instant();
    let from = here.unwrap_or(shown.readings.live_now());
    // What was done before anything was recorded cannot be gone to.
    let beginning = shown.past.history(from).map(|(beginning, _)| beginning);
    let done = deeds.before(from).map(|deed| deed.at).filter(|at| Some(*at) >= beginning);
    let before = events.before(from).map(|event| event.at).max(done);
    let after = here.map(|here| [events.after(here).map(|event| event.at), deeds.after(here).map(|deed| deed.at)]);
    (before, after.and_then(|after| after.into_iter().flatten().min()))
}

/// What the keys ask for. The arrows fly and walk; they step while the pointer is over the time line.
fn moves_of_keys(keys: &ButtonInput<KeyCode>, is_over: bool, shown: &Shown) -> Vec<MoveCursor> {
    let shift = [KeyCode::ShiftLeft, KeyCode::ShiftRight];
    // Where frames are slow a key may go down and up between two of them.
    let wide = keys.any_pressed(shift) || keys.any_just_pressed(shift);
    let step = if wide { STEPS.1 } else { STEPS.0 };
    let pressed = |key, arrow| keys.just_pressed(key) || (is_over && keys.just_pressed(arrow));
    let mut moves = Vec::new();
    if pressed(KeyCode::Comma, KeyCode::ArrowLeft) {
        moves.push(MoveCursor::By(-step));
    }
    if pressed(KeyCode::Period, KeyCode::ArrowRight) {
        moves.push(MoveCursor::By(step));
    }
    if keys.just_pressed(KeyCode::KeyP) {
        moves.push(MoveCursor::TogglePlay);
    }
    if keys.just_pressed(KeyCode::KeyL) {
        moves.push(MoveCursor::ToLive);
    }
    let (before, after) = neighbours(shown);
    let jumps = [(KeyCode::KeyB, before), (KeyCode::KeyN, after)];
    moves.extend(
        jumps.into_iter().filter(|(key, _)| keys.just_pressed(*key)).filter_map(|(_, at)| at.map(MoveCursor::To)),
    );
    moves
}
