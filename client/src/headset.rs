//! In the headset: the person stands on the plant's floor where the desktop's camera was, and each eye sees the plant in
//! the same light as the desktop does. Added only when `--xr` has found a headset.

use bevy::light::EnvironmentMapLight;
use bevy::prelude::*;
use gemba_xr::{Eye, HeadsetState, Rig};

use crate::camera::Gaze;
use crate::mirror::ThingEntities;
use crate::schedule::Frame;
use crate::view::PlantCamera;

pub(crate) fn plugin(app: &mut App) {
    app.add_plugins(gemba_xr::plugin).add_systems(Update, (light_eyes, stand).in_set(Frame::Present));
}

/// A new eye gets the plant camera's environment.
fn light_eyes(
    mut commands: Commands,
    eyes: Query<Entity, Added<Eye>>,
    environment: Option<Single<&EnvironmentMapLight, With<PlantCamera>>>,
) {
    let Some(environment) = environment else { return };
    for eye in &eyes {
        commands.entity(eye).insert((**environment).clone());
    }
}

/// Puts the rig on the floor in front of what the desktop looks at, once the person enters.
fn stand(
    mut was: Local<HeadsetState>,
    state: Res<HeadsetState>,
    gaze: Res<Gaze>,
    things: Res<ThingEntities>,
    mut rig: Single<&mut Transform, With<Rig>>,
) {
    let Some((lowest, _)) = things.plant else { return };
    if *state == *was {
        return;
    }
    *was = *state;
    if *state == HeadsetState::Running {
        let place = gaze.pivot() - gaze.forward().with_y(0.0).normalize_or(Vec3::NEG_Z) * 4.0;
        **rig = Transform::from_translation(place.with_y(lowest.y)).with_rotation(Quat::from_rotation_y(gaze.yaw));
    }
}
