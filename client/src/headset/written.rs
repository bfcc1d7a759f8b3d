//! What is written on the panel and on cards, and where, as it is drawn: for `--eyes`, so that a test finds a button as a person does,
//! by its words. Nothing is collected without it.

use bevy::prelude::*;
use bevy_egui::{EguiFullOutput, EguiPostUpdateSet, PrimaryEguiContext, egui};

use super::eyes::EyeFiles;
use crate::inspector::{PinScreen, SLOTS, slot_rect};

/// Words taken of one picture; a full panel has some hundred.
const MOST: usize = 2_000;

/// Words, and the middle of each in points from the upper left corner of what they are written on.
type Words = Vec<(String, Vec2)>;

/// What is written.
#[derive(Resource, Debug, Default)]
pub(super) struct Written {
    pub(super) on_panel: Words,
    /// By slots.
    pub(super) on_cards: [Words; SLOTS],
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Written>().add_systems(
        PostUpdate,
        read.after(EguiPostUpdateSet::EndPass)
            .before(EguiPostUpdateSet::ProcessOutput)
            .run_if(|files: Res<EyeFiles>| files.is_on()),
    );
}

fn read(
    mut written: ResMut<Written>,
    panel: Single<&EguiFullOutput, With<PrimaryEguiContext>>,
    cards: Option<Single<&EguiFullOutput, With<PinScreen>>>,
) {
    written.on_panel = words_of(&panel);
    // Cards are not drawn in every frame.
    let Some(cards) = cards.filter(|cards| cards.0.is_some()) else { return };
    let words = words_of(&cards);
    written.on_cards = std::array::from_fn(|slot| {
        let rect = slot_rect(slot);
        let here = words.iter().filter(|(_, at)| rect.contains(egui::pos2(at.x, at.y)));
        here.map(|(words, at)| (words.clone(), *at - Vec2::new(rect.min.x, rect.min.y))).collect()
    });
}

fn words_of(output: &EguiFullOutput) -> Words {
    let mut words = Vec::new();
    for clipped in output.0.iter().flat_map(|output| &output.shapes) {
        collect(&clipped.shape, clipped.clip_rect, &mut words);
    }
    words
}

fn collect(shape: &egui::Shape, clip: egui::Rect, written: &mut Words) {
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
