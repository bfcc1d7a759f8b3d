//! Light: a high window-side sun with shadows, and an environment of sky, walls and floor for everything else.

use bevy::light::{CascadeShadowConfigBuilder, DirectionalLightShadowMap, EnvironmentMapLight};
use bevy::prelude::*;

use super::PlantReady;
use crate::mirror::ThingEntities;
use crate::quality::Quality;
use crate::schedule::Frame;
use crate::view::PlantCamera;

/// The one light that casts shadows.
#[derive(Component)]
struct Sun;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PostStartup, set_up).add_systems(Update, fit_shadows.in_set(Frame::Present));
}

fn set_up(
    mut commands: Commands,
    mut images: ResMut<Assets<Image>>,
    camera: Single<Entity, With<PlantCamera>>,
    quality: Res<Quality>,
) {
    // A hall seen from inside: bright roof lights above, off-white walls around, warm concrete below.
    let mut environment = EnvironmentMapLight::hemispherical_gradient(
        &mut images,
        Color::srgb(0.93, 0.96, 1.0),
        Color::srgb(0.62, 0.66, 0.71),
        Color::srgb(0.33, 0.31, 0.29),
    );
    environment.intensity = 900.0;
    commands.entity(*camera).insert(environment);
    if let Some(size) = quality.shadow_texels {
        commands.insert_resource(DirectionalLightShadowMap { size });
    }
    commands.spawn((
        Sun,
        DirectionalLight {
            illuminance: 5200.0,
            color: Color::srgb(1.0, 0.965, 0.91),
            shadow_maps_enabled: quality.shadow_texels.is_some(),
            ..default()
        },
        Transform::from_xyz(-0.55, 1.0, 0.62).looking_at(Vec3::ZERO, Vec3::Y),
    ));
}

/// Spreads the shadow map over the plant, up to what still looks sharp.
fn fit_shadows(
    mut commands: Commands,
    mut ready: MessageReader<PlantReady>,
    sun: Single<Entity, With<Sun>>,
    things: Res<ThingEntities>,
    quality: Res<Quality>,
) {
    if ready.read().count() == 0 || quality.shadow_texels.is_none() {
        return;
    }
    let reach = things.plant.map_or(60.0, |(low, high)| (high - low).length() * 1.2).clamp(2.0, 120.0);
    let cascades = CascadeShadowConfigBuilder {
        num_cascades: if quality.cheap { 1 } else { 3 },
        minimum_distance: 0.1,
        maximum_distance: reach,
        first_cascade_far_bound: if quality.cheap { reach } else { reach * 0.15 },
        ..default()
    };
    commands.entity(*sun).insert(cascades.build());
}
