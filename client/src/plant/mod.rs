//! The plant as designers modelled it: reads the glTF (a file, or the site's model blob), checks it, and spawns its
//! nodes a slice a frame, so that the window stays alive. Animations and skins of a model are not played.

use std::path::PathBuf;

use bevy::prelude::*;

use crate::schedule::Frame;

mod light;
mod load;
mod material;
mod model_cache;
mod plain_shading;
mod reach;
mod spawn;

/// Where the model comes from.
#[derive(Resource, Clone, Debug)]
pub enum ModelSource {
    /// A `.glb` or `.gltf` file on this machine.
    File(PathBuf),
    /// The blob that the site's record names.
    Site,
}

/// How far the plant has come onto the screen.
#[derive(Resource, Clone, Debug, PartialEq)]
pub enum PlantProgress {
    /// The record has not named a model yet.
    Waiting,
    /// The model's bytes are on their way from the host.
    Fetching {
        /// Bytes here.
        have: u64,
        /// Bytes in all; 0 while unknown.
        total: u64,
    },
    /// The file is read, checked and decoded.
    Reading,
    /// Nodes are put into the scene.
    Spawning {
        /// Nodes there.
        done: usize,
        /// Nodes in all.
        total: usize,
    },
    /// All is there.
    Ready,
    /// It cannot be shown; the text says why and what to do.
    Failed(String),
}

impl PlantProgress {
    /// What a person reads while waiting.
    pub fn words(&self) -> String {
        match self {
            PlantProgress::Waiting => "waiting for the site's record".to_owned(),
            PlantProgress::Fetching { have, total: 0 } => format!("fetching the model: {} kB", have / 1000),
            PlantProgress::Fetching { have, total } => {
                format!("fetching the model: {:.1} of {:.1} MB", *have as f64 / 1e6, *total as f64 / 1e6)
            }
            PlantProgress::Reading => "reading the model".to_owned(),
            PlantProgress::Spawning { done, total } => format!("building the plant: {done} of {total} parts"),
            PlantProgress::Ready => "ready".to_owned(),
            PlantProgress::Failed(why) => why.clone(),
        }
    }

    /// How far, 0 to 1, where that is known.
    pub fn fraction(&self) -> Option<f32> {
        match self {
            PlantProgress::Fetching { have, total } if *total > 0 => Some(*have as f32 / *total as f32),
            PlantProgress::Spawning { done, total } => Some(*done as f32 / (*total).max(1) as f32),
            PlantProgress::Ready => Some(1.0),
            _ => None,
        }
    }
}

/// Sent once, when the whole plant is in the scene.
#[derive(Message, Debug, Clone, Copy)]
pub struct PlantReady;

pub(crate) fn plugin(app: &mut App) {
    app.insert_resource(PlantProgress::Waiting)
        .add_message::<PlantReady>()
        .init_resource::<load::Loading>()
        .init_resource::<spawn::Spawning>()
        .add_plugins((light::plugin, plain_shading::plugin, reach::plugin))
        .add_systems(Update, (load::load, spawn::spawn).chain().in_set(Frame::Receive).after(crate::link::receive));
}
