//! Orbit: left drag turns about the pivot, right or middle drag moves it, the wheel goes nearer or farther.

use bevy::input::mouse::{AccumulatedMouseMotion, AccumulatedMouseScroll, MouseScrollUnit};
use bevy::prelude::*;

use super::{CameraMode, Gaze};
use crate::view::PlantView;

/// Radians for a drag over one point of the screen.
const TURN: f32 = 0.006;
/// Share of the distance that one notch of the wheel goes.
const NOTCH: f32 = 0.12;

pub(super) fn orbit(
    mut gaze: ResMut<Gaze>,
    mode: Res<CameraMode>,
    view: Res<PlantView>,
    buttons: Res<ButtonInput<MouseButton>>,
    motion: Res<AccumulatedMouseMotion>,
    scroll: Res<AccumulatedMouseScroll>,
    mut dragging: Local<bool>,
) {
    let pressed = [MouseButton::Left, MouseButton::Right, MouseButton::Middle];
    if buttons.any_just_pressed(pressed) {
        *dragging = view.hovered;
    }
    if !buttons.any_pressed(pressed) {
        *dragging = false;
    }
    if *mode != CameraMode::Orbit {
        return;
    }
    if *dragging && motion.delta != Vec2::ZERO {
        let pivot = gaze.pivot();
        if buttons.pressed(MouseButton::Left) {
            gaze.turn(-motion.delta.x * TURN, -motion.delta.y * TURN);
            gaze.eye = pivot - gaze.forward() * gaze.distance;
        } else {
            // The pivot moves with the pointer: one screen height is what the lens sees at the pivot's distance.
            let metres_per_point = gaze.distance * 0.93 / view.rect.height().max(1.0);
            let rotation = gaze.rotation();
            gaze.eye += rotation * Vec3::new(-motion.delta.x, motion.delta.y, 0.0) * metres_per_point;
        }
    }
    if view.hovered && scroll.delta.y != 0.0 {
        let notches = match scroll.unit {
            MouseScrollUnit::Line => scroll.delta.y,
            MouseScrollUnit::Pixel => scroll.delta.y / 50.0,
        };
        let pivot = gaze.pivot();
        gaze.distance = (gaze.distance * (1.0 - NOTCH).powf(notches)).clamp(0.05, 20_000.0);
        gaze.eye = pivot - gaze.forward() * gaze.distance;
    }
}
