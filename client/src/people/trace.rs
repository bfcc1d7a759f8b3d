//! Where each avatar was drawn in every frame, for the report of a run (`avatars`), switched on with `--trace`: what shows
//! whether motion is smooth for who watches it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bevy::prelude::*;
use serde_json::json;

use super::People;
use super::avatar::Avatars;
use crate::report::MoreSeen;

/// Frames kept of one person: some minutes.
const FRAMES: usize = 20_000;

/// Seconds of this run and the place of the head, by name.
type Traces = BTreeMap<String, Vec<[f32; 4]>>;

/// What has been drawn; none where nobody asked.
#[derive(Resource, Debug, Default)]
pub struct AvatarTrace(Option<Arc<Mutex<Traces>>>);

impl AvatarTrace {
    /// Kept or not.
    pub fn new(is_kept: bool) -> Self {
        Self(is_kept.then(Arc::default))
    }
}

pub(super) fn add_to_report(mut more: ResMut<MoreSeen>, trace: Res<AvatarTrace>) {
    if let Some(traces) = trace.0.clone() {
        more.add("avatars", move || json!(*traces.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}

/// Notes where the avatars are in this frame.
pub(super) fn note(
    trace: Res<AvatarTrace>,
    avatars: Res<Avatars>,
    people: Res<People>,
    heads: Query<&Transform>,
    time: Res<Time<Real>>,
) {
    let Some(traces) = &trace.0 else { return };
    let mut traces = traces.lock().unwrap_or_else(PoisonError::into_inner);
    for (number, head) in avatars.heads() {
        let (Some(person), Ok(at)) = (people.0.get(&number), heads.get(head)) else { continue };
        let drawn = traces.entry(person.info.name.clone()).or_default();
        if drawn.len() < FRAMES {
            let [x, y, z] = at.translation.to_array();
            drawn.push([time.elapsed_secs(), x, y, z]);
        }
    }
}
