//! What is left of the screen: each feature takes its bar or panel from it and leaves the rest to the next.

use bevy::prelude::*;
use bevy_egui::{EguiContexts, EguiPrimaryContextPass, egui};

use crate::schedule::Screen;

/// The part of the screen no panel has taken yet this frame, in egui points.
#[derive(Resource)]
pub struct FreeRect(pub egui::Rect);

impl FreeRect {
    /// A `Ui` over what is left, in which the caller shows one panel; `take` the panel's rectangle afterwards.
    pub fn ui(&self, ctx: &egui::Context, id: &'static str) -> egui::Ui {
        let layer = egui::LayerId::background();
        egui::Ui::new(ctx.clone(), id.into(), egui::UiBuilder::new().layer_id(layer).max_rect(self.0))
    }

    /// Takes away the side that `panel` covers.
    pub fn take(&mut self, panel: egui::Rect) {
        let free = &mut self.0;
        if panel.width() >= free.width() {
            if panel.center().y < free.center().y { free.min.y = panel.max.y } else { free.max.y = panel.min.y }
        } else if panel.center().x < free.center().x {
            free.min.x = panel.max.x;
        } else {
            free.max.x = panel.min.x;
        }
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.insert_resource(FreeRect(egui::Rect::ZERO)).add_systems(EguiPrimaryContextPass, clear.in_set(Screen::Clear));
}

fn clear(mut contexts: EguiContexts, mut free: ResMut<FreeRect>) -> Result {
    free.0 = contexts.ctx_mut()?.viewport_rect();
    Ok(())
}
