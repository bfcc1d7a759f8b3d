//! The dark theme: calm greys, one accent, and colour kept for what needs attention (ISA-101).

use bevy::prelude::*;
use bevy_egui::egui::{self, Color32};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};
use gemba_twin::machine_state::MachineState;
use gemba_twin::sample::Quality;

use crate::schedule::Screen;

/// Background of panels.
pub const PANEL: Color32 = Color32::from_rgb(27, 30, 34);
/// Background of bars and fields.
pub const FIELD: Color32 = Color32::from_rgb(20, 22, 25);
/// Ordinary text.
pub const TEXT: Color32 = Color32::from_rgb(214, 218, 222);
/// Text that can wait.
pub const QUIET: Color32 = Color32::from_rgb(138, 146, 154);
/// Lines and inactive marks.
pub const LINE: Color32 = Color32::from_rgb(54, 60, 67);
/// What is selected or can be pressed.
pub const ACCENT: Color32 = Color32::from_rgb(94, 178, 240);
/// Look here now.
pub const ALARM: Color32 = Color32::from_rgb(240, 92, 78);
/// Look here soon.
pub const WARNING: Color32 = Color32::from_rgb(238, 184, 74);

/// What is shown is past: a colour that nothing live has.
pub const PAST: Color32 = Color32::from_rgb(190, 150, 255);

/// Colour of a machine's state: grey unless a person should look.
pub fn state_colour(state: MachineState) -> Color32 {
    match state {
        MachineState::Faulted => ALARM,
        MachineState::Starved | MachineState::Blocked => WARNING,
        MachineState::Running => TEXT,
        MachineState::Stopped | MachineState::Idle => QUIET,
    }
}

/// Colour of a value's quality.
pub fn quality_colour(quality: Quality) -> Color32 {
    match quality {
        Quality::Good => TEXT,
        Quality::Uncertain => WARNING,
        Quality::Bad => ALARM,
    }
}

/// A person's colour, the same on every screen, from the peer's key: eight hues that stay apart on dark and light.
pub fn person_colour(key: &gemba_twin::peer::PeerKey) -> Color32 {
    const HUES: [(u8, u8, u8); 8] = [
        (255, 143, 92),
        (119, 199, 122),
        (170, 146, 255),
        (255, 205, 86),
        (92, 205, 205),
        (255, 128, 178),
        (160, 190, 80),
        (120, 170, 255),
    ];
    let (r, g, b) = HUES[usize::from(key.0[0] ^ key.0[17]) % HUES.len()];
    Color32::from_rgb(r, g, b)
}

pub(crate) fn plugin(app: &mut App) {
    app.add_systems(EguiPrimaryContextPass, apply.in_set(Screen::Theme));
}

fn apply(mut contexts: EguiContexts, mut done: Local<bool>) -> Result {
    if *done {
        return Ok(());
    }
    clothe(contexts.ctx_mut()?);
    *done = true;
    Ok(())
}

/// Gives a context of egui these colours and this spacing.
pub fn clothe(ctx: &egui::Context) {
    let mut visuals = egui::Visuals::dark();
    visuals.panel_fill = PANEL;
    visuals.window_fill = PANEL;
    visuals.extreme_bg_color = FIELD;
    visuals.faint_bg_color = Color32::from_rgb(32, 35, 40);
    visuals.override_text_color = Some(TEXT);
    visuals.selection.bg_fill = Color32::from_rgb(38, 79, 112);
    visuals.selection.stroke = egui::Stroke::new(1.0, ACCENT);
    visuals.hyperlink_color = ACCENT;
    visuals.widgets.noninteractive.bg_stroke = egui::Stroke::new(1.0, LINE);
    visuals.window_shadow = egui::Shadow::NONE;
    visuals.popup_shadow = egui::Shadow::NONE;
    ctx.set_visuals(visuals);
    ctx.all_styles_mut(|style| {
        style.spacing.item_spacing = egui::vec2(6.0, 4.0);
        style.animation_time = 0.0;
    });
}
