//! What the headset's session has cost and kept to, for the report of the run (`headset` in it) and `gemba bench xr`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bevy::prelude::*;
use gemba_xr::{HeadsetFigures, HeadsetState};
use serde_json::json;

use crate::plant::PlantProgress;
use crate::report::{FrameTimes, MoreSeen};
use crate::schedule::Frame;

/// When the first picture with the plant in it, drawn from where the head was, had been given to the runtime.
#[derive(Resource, Debug, Clone, Default)]
struct FirstPicture(Arc<Mutex<Option<SystemTime>>>);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<FirstPicture>()
        .add_systems(Startup, add_to_report)
        .add_systems(Update, (note_first, restart).chain().in_set(Frame::Send));
}

fn add_to_report(mut more: ResMut<MoreSeen>, figures: Res<HeadsetFigures>, first: Res<FirstPicture>) {
    let (figures, first) = (figures.clone(), first.clone());
    more.add("headset", move || {
        let report = figures.report();
        let first = *first.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unix_ms = |at: SystemTime| at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e3);
        json!({
            "openxr": report.fittings.openxr,
            "eye": report.fittings.eye.to_array(),
            "inset": report.fittings.inset.map(|inset| inset.to_array()),
            "inset_follows_gaze": report.fittings.inset_follows_gaze,
            "depth": report.fittings.has_depth,
            "mask_triangles": report.fittings.mask_triangles,
            "refresh_hz": report.fittings.refresh_hz,
            "sessions": report.sessions,
            "frames": report.frames,
            "pictures": report.pictures,
            "late": report.late,
            "late_by_us": report.late_by_us,
            "drawn_ms": {"p50": report.drawn_ms[0], "p99": report.drawn_ms[1]},
            "disordered": report.disordered,
            "asked_ms": {"p50": report.asked_ms[0], "p99": report.asked_ms[1]},
            "own_ms": {"p50": report.own_ms[0], "p99": report.own_ms[1]},
            "pose_age_ms": report.pose_age_ms,
            "pose_off": report.pose_off,
            "first_picture_unix_ms": first.map(unix_ms),
        })
    });
}

/// The plant is there, and then a picture has gone out.
fn note_first(
    mut before: Local<Option<u64>>,
    figures: Res<HeadsetFigures>,
    first: Res<FirstPicture>,
    progress: Res<PlantProgress>,
    state: Res<HeadsetState>,
) {
    let mut first = first.0.lock().unwrap_or_else(PoisonError::into_inner);
    if first.is_some() || *progress != PlantProgress::Ready || !state.is_seen() {
        return;
    }
    let pictures = figures.report().pictures;
    if pictures > *before.get_or_insert(pictures) {
        *first = Some(SystemTime::now());
    }
}

/// Where the frames are counted anew, what they cost is too.
fn restart(mut counted: Local<u64>, times: Res<FrameTimes>, figures: Res<HeadsetFigures>) {
    if times.frames < *counted {
        figures.restart();
    }
    *counted = times.frames;
}
