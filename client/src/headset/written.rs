//! What is written on the panel and where, as it is drawn: for `--eyes`, so that a test finds a button as a person does,
//! by its words. Nothing is collected without it.

use bevy::prelude::*;
use bevy_egui::{EguiFullOutput, EguiPostUpdateSet, PrimaryEguiContext, egui};

use super::eyes::EyeFiles;

/// Words taken of one frame; a full panel has some hundred.
const MOST: usize = 2_000;

/// Words and the middle of each, points from the panel's upper left corner.
#[derive(Resource, Debug, Default)]
pub(super) struct Written(pub(super) Vec<(String, Vec2)>);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Written>().add_systems(
        PostUpdate,
        read.after(EguiPostUpdateSet::EndPass)
            .before(EguiPostUpdateSet::ProcessOutput)
            .run_if(|files: Res<EyeFiles>| files.is_on()),
    );
}

fn read(mut written: ResMut<Written>, output: Single<&EguiFullOutput, With<PrimaryEguiContext>>) {
    written.0.clear();
    let Some(output) = &output.0 else { return };
    for clipped in &output.shapes {
        collect(&clipped.shape, clipped.clip_rect, &mut written.0);
    }
}

fn collect(shape: &egui::Shape, clip: egui::Rect, written: &mut Vec<(String, Vec2)>) {
    match shape {
        egui::Shape::Vec(shapes) => shapes.iter().for_each(|shape| collect(shape, clip, written)),
        egui::Shape::Text(text) => {
            let middle = text.visual_bounding_rect().center();
            let words = text.galley.text().trim();
            if clip.contains(middle) && !words.is_empty() && written.len() < MOST {
                written.push((words.to_owned(), Vec2::new(middle.x, middle.y)));
            }
        }
        _ => {}
    }
}
