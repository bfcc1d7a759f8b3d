//! Toasts: a line or two about what has just happened, at the upper edge of the plant for a few seconds, with at most one
//! thing to do about it. What must not be missed is elsewhere: in [`crate::problems`] or in the bars.

use std::collections::VecDeque;

use bevy::prelude::*;
use bevy_egui::egui::{self, RichText};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};

use crate::edits::UndoEdit;
use crate::schedule::{Frame, Screen};
use crate::theme;
use crate::view::PlantView;

/// Shown at once; an older one goes when there are more.
const SHOWN: usize = 4;
/// How long one stays, seconds; and one that offers something.
const STAYS: (f64, f64) = (5.0, 12.0);
/// How far below the upper edge of the plant they begin: above is what says that it is not live. Points.
const BELOW: f32 = 72.0;

/// How much a person should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// What they did has happened.
    Plain,
    /// It is not quite what they wanted.
    Warning,
    /// It did not happen.
    Failure,
}

/// Tells this person something.
#[derive(Message, Debug, Clone)]
pub struct Toast {
    /// One sentence.
    pub words: String,
    /// How much they should look.
    pub tone: Tone,
    /// What the button says, and what it asks for.
    pub offer: Option<(&'static str, UndoEdit)>,
}

impl Toast {
    /// Says it calmly.
    pub fn plain(words: impl Into<String>) -> Self {
        Self { words: words.into(), tone: Tone::Plain, offer: None }
    }

    /// Says what did not happen.
    pub fn failure(words: impl Into<String>) -> Self {
        Self { words: words.into(), tone: Tone::Failure, offer: None }
    }
}

/// What is shown, oldest first, and when each began.
#[derive(Resource, Default)]
pub struct Toasts(VecDeque<(Toast, f64)>);

impl Toasts {
    /// What is shown, oldest first.
    pub fn shown(&self) -> impl Iterator<Item = &Toast> {
        self.0.iter().map(|(toast, _)| toast)
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.add_message::<Toast>()
        .init_resource::<Toasts>()
        // Whether anybody sees the screen or not: what came meanwhile is still there when they look.
        .add_systems(Update, take.in_set(Frame::Send))
        .add_systems(EguiPrimaryContextPass, show.in_set(Screen::Toasts));
}

fn take(mut toasts: ResMut<Toasts>, mut told: MessageReader<Toast>, time: Res<Time<Real>>) {
    let now_secs = time.elapsed_secs_f64();
    toasts.0.retain(|(toast, since)| now_secs - since < stays_secs(toast));
    toasts.0.extend(told.read().map(|toast| (toast.clone(), now_secs)));
    let surplus = toasts.0.len().saturating_sub(SHOWN);
    toasts.0.drain(..surplus);
}

fn stays_secs(toast: &Toast) -> f64 {
    if toast.offer.is_some() || toast.tone != Tone::Plain { STAYS.1 } else { STAYS.0 }
}

fn show(
    mut contexts: EguiContexts,
    mut toasts: ResMut<Toasts>,
    mut asked: MessageWriter<UndoEdit>,
    view: Res<PlantView>,
) -> Result {
    if toasts.0.is_empty() {
        return Ok(());
    }
    let ctx = contexts.ctx_mut()?;
    let mut done = None;
    let area = egui::Area::new("toasts".into())
        .order(egui::Order::Foreground)
        .pivot(egui::Align2::CENTER_TOP)
        .fixed_pos(view.rect.center_top() + egui::vec2(0.0, BELOW));
    area.show(ctx, |ui| {
        ui.set_max_width((view.rect.width() - 40.0).clamp(120.0, 560.0));
        ui.vertical_centered(|ui| {
            for (at, (toast, _)) in toasts.0.iter().enumerate() {
                if let Some(asks) = plate(ui, toast) {
                    asked.write_batch(asks);
                    done = Some(at);
                }
            }
        });
    });
    if let Some(at) = done {
        toasts.0.remove(at);
    }
    Ok(())
}

/// One toast. Returns what its button asks for once that is pressed, or nothing to be asked once it is dismissed.
fn plate(ui: &mut egui::Ui, toast: &Toast) -> Option<Option<UndoEdit>> {
    let (mark, colour) = match toast.tone {
        Tone::Plain => ("✔", theme::ACCENT),
        Tone::Warning => ("!", theme::WARNING),
        Tone::Failure => ("✖", theme::ALARM),
    };
    let mut done = None;
    let frame = egui::Frame::NONE.fill(theme::FIELD).corner_radius(6).inner_margin(egui::Margin::symmetric(12, 7));
    frame.stroke(egui::Stroke::new(1.0, colour)).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(RichText::new(mark).color(colour));
            ui.add(egui::Label::new(&toast.words).wrap());
            if let Some((words, asks)) = &toast.offer
                && ui.button(*words).clicked()
            {
                done = Some(Some(*asks));
            }
            if toast.tone != Tone::Plain && ui.small_button("×").on_hover_text("put this away").clicked() {
                done = Some(None);
            }
        });
    });
    done
}
