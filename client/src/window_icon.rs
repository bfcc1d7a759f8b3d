//! The window's icon: drawn here, so that no picture file is needed: a gable roof over a line of machines, on the dark
//! of the theme.

use bevy::prelude::*;
use bevy::window::PrimaryWindow;
use bevy::winit::WINIT_WINDOWS;

/// Edge of the icon in pixels.
const EDGE: u32 = 64;

pub(crate) fn plugin(app: &mut App) {
    app.add_systems(Update, set.run_if(any_with_component::<PrimaryWindow>));
}

fn set(window: Single<Entity, With<PrimaryWindow>>, mut done: Local<bool>) {
    if *done {
        return;
    }
    let Ok(icon) = winit::window::Icon::from_rgba(pixels(), EDGE, EDGE) else { return };
    WINIT_WINDOWS.with_borrow(|windows| {
        if let Some(window) = windows.get_window(*window) {
            window.set_window_icon(Some(icon));
            *done = true;
        }
    });
}

/// RGBA, top row first.
fn pixels() -> Vec<u8> {
    let dark = [27, 30, 34, 255];
    let light = [214, 218, 222, 255];
    let accent = [94, 178, 240, 255];
    let colour = |x: u32, y: u32| {
        let from_middle = x.abs_diff(EDGE / 2);
        // Two panes of roof falling at 1:2 from the ridge, 6 pixels thick.
        let roof = y >= 10 + from_middle / 2 && y < 16 + from_middle / 2 && from_middle < 26;
        let wall = (from_middle == 23 || from_middle == 22) && (24..54).contains(&y);
        let floor = (52..56).contains(&y) && from_middle < 26;
        let machine = (36..50).contains(&y) && [13, 27, 41].iter().any(|m| (*m..m + 9).contains(&x));
        match () {
            () if machine => accent,
            () if roof || wall || floor => light,
            () => dark,
        }
    };
    (0..EDGE * EDGE).flat_map(|i| colour(i % EDGE, i / EDGE)).collect()
}
