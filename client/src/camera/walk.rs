//! Walk: on the floor at eye height, stopped by what stands in the way (bevy_rapier3d's character controller against
//! the boxes of the plant's things).

use bevy::input::mouse::AccumulatedMouseMotion;
use bevy::prelude::*;
use bevy_egui::EguiContexts;
use bevy_rapier3d::prelude::*;

use super::{CameraMode, Gaze, fly};
use crate::mirror::{NodeOf, ThingBounds, ThingEntities};
use crate::site::Site;
use crate::view::PlantView;

/// Height of the eyes above the floor, metres.
const EYE_HEIGHT: f32 = 1.7;
/// Metres a second: a brisk walk on a factory floor.
const SPEED: f32 = 1.6;
/// With Shift.
const FAST: f32 = 2.5;
/// Radius of the walker, metres.
const RADIUS: f32 = 0.25;
/// Most boxes that may stand in the way: beyond this a plant is walked through rather than slow.
const OBSTACLES: usize = 20_000;

/// The body that walks.
#[derive(Component)]
pub(super) struct Walker;

pub(super) fn plugin(app: &mut App) {
    app.add_plugins(RapierPhysicsPlugin::<NoUserData>::default().in_fixed_schedule())
        .add_systems(Startup, spawn_walker)
        .add_systems(Update, build_obstacles.in_set(crate::schedule::Frame::Present));
}

fn spawn_walker(mut commands: Commands, mut timestep: ResMut<TimestepMode>) {
    *timestep = TimestepMode::Fixed { dt: 1.0 / 64.0, substeps: 1 };
    commands.spawn((
        Walker,
        RigidBody::KinematicPositionBased,
        Collider::capsule_y(EYE_HEIGHT / 2.0 - RADIUS, RADIUS),
        KinematicCharacterController {
            offset: CharacterLength::Absolute(0.02),
            autostep: None,
            snap_to_ground: None,
            ..default()
        },
        Transform::default(),
    ));
}

/// The physics runs only while someone walks; the boxes are made when that happens for the first time: one for every
/// thing between ankle and head that is no larger than a machine and has no parts of its own.
fn build_obstacles(
    mut commands: Commands,
    mut built: Local<bool>,
    mut physics: Single<&mut RapierConfiguration>,
    mode: Res<CameraMode>,
    site: Res<Site>,
    things: Res<ThingEntities>,
    bounds: Query<(&ThingBounds, &NodeOf)>,
) {
    let walking = *mode == CameraMode::Walk;
    if physics.physics_pipeline_active != walking {
        physics.physics_pipeline_active = walking;
    }
    let Some((lowest, _)) = things.plant.filter(|_| walking && !*built) else { return };
    *built = true;
    let floor = lowest.y;
    let in_the_way = |bounds: &ThingBounds| {
        let (low, high) = (bounds.centre.y - bounds.half.y, bounds.centre.y + bounds.half.y);
        let upright = low < floor + 1.6 && high > floor + 0.3;
        upright && bounds.half.max_element() < 12.0 && bounds.half.min_element() > 0.005
    };
    let leaves = bounds.iter().filter(|(bounds, node)| site.children(node.0).is_empty() && in_the_way(bounds));
    for (bounds, _) in leaves.take(OBSTACLES) {
        let half = bounds.half;
        commands.spawn((Collider::cuboid(half.x, half.y, half.z), Transform::from_translation(bounds.centre)));
    }
}

pub(super) fn walk(
    mut contexts: EguiContexts,
    mut gaze: ResMut<Gaze>,
    mode: Res<CameraMode>,
    view: Res<PlantView>,
    things: Res<ThingEntities>,
    time: Res<Time>,
    keys: Res<ButtonInput<KeyCode>>,
    buttons: Res<ButtonInput<MouseButton>>,
    motion: Res<AccumulatedMouseMotion>,
    walker: Single<(&mut Transform, &mut KinematicCharacterController), With<Walker>>,
    mut was_walking: Local<bool>,
) -> Result {
    let (mut body, mut controller) = walker.into_inner();
    let floor = things.plant.map_or(0.0, |(low, _)| low.y);
    let height = floor + EYE_HEIGHT / 2.0 + 0.05;
    if *mode != CameraMode::Walk {
        *was_walking = false;
        return Ok(());
    }
    if !*was_walking {
        // Where the eye is now, put on the floor.
        body.translation = Vec3::new(gaze.eye.x, height, gaze.eye.z);
        *was_walking = true;
    }
    fly::look(&mut gaze, &view, &buttons, &motion);
    if !contexts.ctx_mut()?.egui_wants_keyboard_input() {
        let wish = fly::wish(&keys) * Vec3::new(1.0, 0.0, 1.0);
        let faster = if keys.any_pressed([KeyCode::ShiftLeft, KeyCode::ShiftRight]) { FAST } else { 1.0 };
        let step = Quat::from_rotation_y(gaze.yaw) * wish * SPEED * faster * time.delta_secs();
        // The controller moves in its own schedule; what it has not taken yet is added to.
        let waiting = controller.translation.unwrap_or_default();
        controller.translation = (step != Vec3::ZERO || waiting != Vec3::ZERO).then_some(waiting + step);
    }
    gaze.eye = Vec3::new(body.translation.x, floor + EYE_HEIGHT, body.translation.z);
    Ok(())
}
