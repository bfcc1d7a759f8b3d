//! Fly: drag to look, WASD to move, Q and E down and up, Shift faster; the wheel moves along the view.

use bevy::input::mouse::{AccumulatedMouseMotion, AccumulatedMouseScroll};
use bevy::prelude::*;
use bevy_egui::EguiContexts;

use super::{CameraMode, Gaze};
use crate::view::PlantView;

/// Metres a second.
const SPEED: f32 = 6.0;
/// With Shift.
const FAST: f32 = 4.0;
/// Radians for a drag over one point of the screen.
const TURN: f32 = 0.004;

pub(super) fn fly(
    mut contexts: EguiContexts,
    mut gaze: ResMut<Gaze>,
    mode: Res<CameraMode>,
    view: Res<PlantView>,
    time: Res<Time>,
    keys: Res<ButtonInput<KeyCode>>,
    buttons: Res<ButtonInput<MouseButton>>,
    motion: Res<AccumulatedMouseMotion>,
    scroll: Res<AccumulatedMouseScroll>,
) -> Result {
    if *mode != CameraMode::Fly {
        return Ok(());
    }
    look(&mut gaze, &view, &buttons, &motion);
    if view.hovered && scroll.delta.y != 0.0 {
        let forward = gaze.forward();
        gaze.eye += forward * scroll.delta.y.clamp(-3.0, 3.0);
    }
    if !contexts.ctx_mut()?.egui_wants_keyboard_input() {
        let wish = gaze.rotation() * wish(&keys);
        let faster = if keys.any_pressed([KeyCode::ShiftLeft, KeyCode::ShiftRight]) { FAST } else { 1.0 };
        gaze.eye += wish * SPEED * faster * time.delta_secs();
    }
    Ok(())
}

/// Turns the gaze while a button is held over the plant.
pub(super) fn look(
    gaze: &mut Gaze,
    view: &PlantView,
    buttons: &ButtonInput<MouseButton>,
    motion: &AccumulatedMouseMotion,
) {
    if view.hovered && buttons.any_pressed([MouseButton::Left, MouseButton::Right]) {
        gaze.turn(-motion.delta.x * TURN, -motion.delta.y * TURN);
    }
}

/// Where the keys want to go, in the camera's frame; at most length 1.
pub(super) fn wish(keys: &ButtonInput<KeyCode>) -> Vec3 {
    let axis = |plus: [KeyCode; 2], minus: [KeyCode; 2]| {
        f32::from(u8::from(keys.any_pressed(plus))) - f32::from(u8::from(keys.any_pressed(minus)))
    };
    Vec3::new(
        axis([KeyCode::KeyD, KeyCode::ArrowRight], [KeyCode::KeyA, KeyCode::ArrowLeft]),
        axis([KeyCode::KeyE, KeyCode::PageUp], [KeyCode::KeyQ, KeyCode::PageDown]),
        axis([KeyCode::KeyS, KeyCode::ArrowDown], [KeyCode::KeyW, KeyCode::ArrowUp]),
    )
    .clamp_length_max(1.0)
}
