//! Where each avatar was drawn in every frame, and where this person was then, for the report of a run (`avatars`, `own`),
//! switched on with `--trace`: what shows whether motion is smooth for who watches it, measured against the motion itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use std::time::{SystemTime, UNIX_EPOCH};

use bevy::prelude::*;
use serde_json::json;

use super::avatar::Avatars;
use super::{OwnBody, People};
use crate::camera::Gaze;
use crate::report::MoreSeen;

/// Frames kept of one person: some minutes.
const FRAMES: usize = 20_000;

/// Seconds since the trace began, and the place of a head.
type Path = Vec<[f32; 4]>;

/// What is kept.
#[derive(Debug, Default)]
struct Traces {
    /// When the trace began: seconds of this run, and seconds since 1970, so that the traces of two runs can be compared.
    begun: Option<(f64, f64)>,
    avatars: BTreeMap<String, Path>,
    own: Path,
}

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
    let Some(traces) = trace.0.clone() else { return };
    let own = traces.clone();
    more.add("avatars", move || json!(traces.lock().unwrap_or_else(PoisonError::into_inner).avatars));
    more.add("own", move || {
        let traces = own.lock().unwrap_or_else(PoisonError::into_inner);
        json!({"begun_unix_secs": traces.begun.map(|(_, unix)| unix), "head": traces.own})
    });
}

/// Notes where everyone is in this frame.
pub(super) fn note(
    trace: Res<AvatarTrace>,
    avatars: Res<Avatars>,
    people: Res<People>,
    (gaze, body): (Res<Gaze>, Res<OwnBody>),
    heads: Query<&Transform>,
    time: Res<Time<Real>>,
) {
    let Some(traces) = &trace.0 else { return };
    let mut traces = traces.lock().unwrap_or_else(PoisonError::into_inner);
    let now = time.elapsed_secs_f64();
    let (begun, _) = *traces.begun.get_or_insert_with(|| {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        // The frame began a moment before this.
        let since_frame = time.last_update().map_or(0.0, |begun| begun.elapsed().as_secs_f64());
        (now, unix - since_frame)
    });
    let now = (now - begun) as f32;
    let add = |path: &mut Path, [x, y, z]: [f32; 3]| {
        if path.len() < FRAMES {
            path.push([now, x, y, z]);
        }
    };
    add(&mut traces.own, body.pose.as_ref().map_or(gaze.eye.to_array(), |pose| pose.head.place));
    for (number, head) in avatars.heads() {
        let (Some(person), Ok(at)) = (people.0.get(&number), heads.get(head)) else { continue };
        add(traces.avatars.entry(person.info.name.clone()).or_default(), at.translation.to_array());
    }
}
