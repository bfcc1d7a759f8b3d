//! What is shown until the plant is there: one line of words and a bar, in the middle of the view.

use bevy::prelude::*;
use bevy_egui::{EguiContexts, EguiPrimaryContextPass, egui};

use crate::plant::PlantProgress;
use crate::schedule::Screen;
use crate::theme;
use crate::view::PlantView;

pub(crate) fn plugin(app: &mut App) {
    app.add_systems(EguiPrimaryContextPass, show.in_set(Screen::Loading));
}

fn show(mut contexts: EguiContexts, progress: Res<PlantProgress>, view: Res<PlantView>) -> Result {
    if *progress == PlantProgress::Ready {
        return Ok(());
    }
    let ctx = contexts.ctx_mut()?;
    egui::Area::new("loading".into())
        .order(egui::Order::Foreground)
        .pivot(egui::Align2::CENTER_CENTER)
        .fixed_pos(view.rect.center())
        .show(ctx, |ui| {
            egui::Frame::NONE.fill(theme::PANEL).corner_radius(6).inner_margin(16).show(ui, |ui| {
                ui.set_max_width(320.0);
                let failed = matches!(*progress, PlantProgress::Failed(_));
                let colour = if failed { theme::ALARM } else { theme::TEXT };
                ui.colored_label(colour, progress.words());
                match progress.fraction() {
                    Some(fraction) => drop(ui.add(egui::ProgressBar::new(fraction).desired_width(288.0))),
                    None if failed => {}
                    None => drop(ui.add(egui::ProgressBar::new(0.0).animate(true).desired_width(288.0))),
                }
            });
        });
    Ok(())
}
