//! Help: `?` or F1 shows what the mouse and the keys do; a hint says so while a person is new.

use bevy::prelude::*;
use bevy_egui::{EguiContexts, EguiPrimaryContextPass, egui};

use crate::plant::PlantProgress;
use crate::schedule::Screen;
use crate::theme;
use crate::view::PlantView;

/// How long the hint is shown once the plant is there.
const HINT_SECS: f64 = 20.0;

/// The left column of the help, then the right one.
const COLUMNS: [&[(&str, &str)]; 2] = [
    &[
        ("left drag", "turn (orbit), look around"),
        ("right or middle drag", "pan"),
        ("wheel", "nearer, further"),
        ("click", "select a machine"),
        ("double click", "select and frame it"),
        ("1  2  3", "orbit, fly, walk"),
        ("W A S D", "move (fly, walk)"),
        ("P", "pause, play the past"),
        (",  .", "a second back, on; Shift: a minute"),
        ("Ctrl+Z", "take back; Shift: do again"),
    ],
    &[
        ("Q  E", "down, up (fly)"),
        ("Shift", "faster"),
        ("G + drag", "carry a box or a part"),
        ("G + Shift + drag", "lift it"),
        ("F", "frame the selection"),
        ("Home", "show the whole plant"),
        ("Esc", "select nothing"),
        ("T", "show or hide the tree"),
        ("B  N", "event before, next event"),
        ("L", "back to live"),
        ("V", "kept views"),
        ("X", "the alarms that stand"),
        ("C", "the line to the host"),
        ("M", "measure"),
        ("?  or F1", "show or hide this help"),
    ],
];

/// Asks to show the help, or to hide it if it is shown.
#[derive(Message, Debug, Clone, Copy)]
pub struct ToggleHelp;

pub(crate) fn plugin(app: &mut App) {
    app.add_message::<ToggleHelp>().add_systems(EguiPrimaryContextPass, show.in_set(Screen::Windows));
}

fn show(
    mut contexts: EguiContexts,
    mut asked: MessageReader<ToggleHelp>,
    mut open: Local<bool>,
    mut ready_secs: Local<Option<f64>>,
    progress: Res<PlantProgress>,
    view: Res<PlantView>,
    time: Res<Time<Real>>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    let toggles = asked.read().count() + usize::from(pressed(ctx));
    if toggles % 2 == 1 {
        *open = !*open;
    }
    if *progress == PlantProgress::Ready && ready_secs.is_none() {
        *ready_secs = Some(time.elapsed_secs_f64());
    }
    if *open {
        window(ctx, &mut open, view.rect);
    } else if ready_secs.is_some_and(|since| time.elapsed_secs_f64() - since < HINT_SECS) {
        hint(ctx, view.rect);
    }
    Ok(())
}

/// `?` wherever the layout has it, so it is read as text and not as a key.
fn pressed(ctx: &egui::Context) -> bool {
    let typing = ctx.egui_wants_keyboard_input();
    ctx.input(|i| {
        let asked = i.events.iter().any(|event| matches!(event, egui::Event::Text(text) if text == "?"));
        i.key_pressed(egui::Key::F1) || (asked && !typing)
    })
}

fn window(ctx: &egui::Context, open: &mut bool, area: egui::Rect) {
    egui::Window::new("Mouse and keys")
        .open(open)
        .collapsible(false)
        .resizable(false)
        .pivot(egui::Align2::CENTER_CENTER)
        .default_pos(area.center())
        .frame(egui::Frame::window(&ctx.global_style()).inner_margin(14))
        .show(ctx, |ui| {
            ui.horizontal_top(|ui| {
                for (number, column) in COLUMNS.iter().enumerate() {
                    if number > 0 {
                        ui.add_space(18.0);
                    }
                    egui::Grid::new(("help", number)).num_columns(2).spacing([14.0, 6.0]).show(ui, |ui| {
                        for (key, action) in *column {
                            ui.label(egui::RichText::new(*key).monospace().color(theme::ACCENT));
                            ui.label(*action);
                            ui.end_row();
                        }
                    });
                }
            });
        });
}

fn hint(ctx: &egui::Context, area: egui::Rect) {
    let painter = ctx.layer_painter(egui::LayerId::background()).with_clip_rect(area);
    let at = area.left_bottom() + egui::vec2(12.0, -12.0);
    let text = painter.layout_no_wrap("press ? for help".to_owned(), egui::FontId::proportional(13.0), theme::TEXT);
    let plate = egui::Align2::LEFT_BOTTOM.anchor_size(at, text.size() + egui::vec2(16.0, 8.0));
    painter.rect_filled(plate, 4.0, theme::PANEL.gamma_multiply(0.92));
    painter.galley(plate.min + egui::vec2(8.0, 4.0), text, theme::TEXT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_explained_twice() {
        let mut keys: Vec<_> = COLUMNS.iter().flat_map(|c| c.iter().map(|(key, _)| *key)).collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }
}
