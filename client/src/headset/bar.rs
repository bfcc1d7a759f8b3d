//! What the headset adds to the panels while it is worn: tools, turning, scale, comfort and posture, so that all of it can
//! be reached seated, with one hand, by a laser and a trigger alone.

use bevy::prelude::*;
use bevy_egui::egui::{self, RichText};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};
use gemba_xr::{HeadsetState, Rig};

use super::comfort::Comfort;
use super::moving::TurnSteps;
use super::posture::{Become, Posture};
use crate::edits::StepBack;
use crate::free_rect::FreeRect;
use crate::schedule::Screen;
use crate::theme;
use crate::tool::Tool;

/// The scales offered: life size, a machine, a line, a hall on a table.
const SCALES: [u8; 4] = [1, 5, 20, 50];
/// The tools offered, the first is in hand when no other is.
const TOOLS: [Tool; 4] = [Tool::Select, Tool::Measure, Tool::Carry, Tool::Go];

/// What the buttons ask for.
#[derive(bevy::ecs::system::SystemParam)]
struct Asked<'w> {
    tool: ResMut<'w, Tool>,
    comfort: ResMut<'w, Comfort>,
    turns: MessageWriter<'w, TurnSteps>,
    becomes: MessageWriter<'w, Become>,
    steps: MessageWriter<'w, StepBack>,
}

pub(super) fn plugin(app: &mut App) {
    app.add_systems(EguiPrimaryContextPass, show.in_set(Screen::Worn));
}

fn show(
    mut contexts: EguiContexts,
    mut free: ResMut<FreeRect>,
    mut asked: Asked,
    posture: Res<Posture>,
    state: Res<HeadsetState>,
    rig: Single<&Transform, With<Rig>>,
) -> Result {
    if !state.is_seen() {
        return Ok(());
    }
    let mut ui = free.ui(contexts.ctx_mut()?, "headset bar");
    let frame = egui::Frame::NONE.fill(theme::FIELD).inner_margin(egui::Margin::symmetric(12, 4));
    let bar = egui::Panel::top("headset bar").exact_size(36.0).resizable(false).frame(frame);
    let shown = bar.show(&mut ui, |ui| {
        ui.horizontal_centered(|ui| {
            ui.spacing_mut().item_spacing.x = 3.0;
            // A laser is less steady than a mouse.
            ui.spacing_mut().button_padding = egui::vec2(7.0, 5.0);
            row(ui, &mut asked, &posture, rig.scale.x);
        });
    });
    free.take(shown.response.rect);
    Ok(())
}

fn row(ui: &mut egui::Ui, asked: &mut Asked, posture: &Posture, scale: f32) {
    for tool in TOOLS {
        if ui.selectable_label(*asked.tool == tool, tool.label()).clicked() {
            *asked.tool = tool;
        }
    }
    // Measures are taken back where they are told.
    if ui.add_enabled(*asked.tool != Tool::Measure, egui::Button::new("Undo")).clicked() {
        asked.steps.write(StepBack);
    }
    heading(ui, "Turn");
    for (words, steps) in [("Left", 1), ("Right", -1)] {
        if ui.button(words).clicked() {
            asked.turns.write(TurnSteps(steps));
        }
    }
    heading(ui, "Scale");
    for (at, offered) in SCALES.into_iter().enumerate() {
        let below = at.checked_sub(1).map_or(0.0, |at| f32::from(SCALES[at]));
        let above = SCALES.get(at + 1).map_or(f32::MAX, |above| f32::from(*above));
        let offered = f32::from(offered);
        // The nearest of those offered, by ratio: hands choose what lies between.
        let is_on = scale * scale >= below * offered && scale * scale < above * offered;
        if ui.selectable_label(is_on, format!("1:{offered}")).clicked() {
            asked.becomes.write(Become::Scaled(offered));
        }
    }
    heading(ui, "Comfort");
    for preset in Comfort::ALL {
        if ui.selectable_label(asked.comfort.name == preset.name, preset.name).clicked() {
            asked.comfort.set_if_neq(preset);
        }
    }
    ui.add_space(8.0);
    if ui.selectable_label(posture.is_seated, "Seated").clicked() {
        asked.becomes.write(Become::Seated(!posture.is_seated));
    }
}

fn heading(ui: &mut egui::Ui, words: &str) {
    ui.add_space(8.0);
    ui.label(RichText::new(words).size(11.5).color(theme::QUIET));
}
