//! Three ways to look at the plant: orbit around a point, fly, walk on the floor. They share one pose, so that
//! switching never jumps.

use std::cmp::Ordering;

use bevy::prelude::*;
use bevy_egui::EguiContexts;
use gemba_twin::thing::{Class, Level};

use crate::mirror::{ThingBounds, ThingEntities};
use crate::plant::PlantReady;
use crate::pointer::mouse_is_free;
use crate::schedule::Frame;
use crate::selection::Selection;
use crate::site::{Site, ThingIndex};
use crate::view::{PlantCamera, PlantView};

mod circle;
mod fly;
mod orbit;
mod walk;

pub use circle::Circling;

/// How the camera moves.
#[derive(Resource, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CameraMode {
    /// Around a point, the way CAD does.
    #[default]
    Orbit,
    /// Freely through the air.
    Fly,
    /// On the floor at eye height, stopped by what stands in the way.
    Walk,
}

impl CameraMode {
    /// What a person reads.
    pub fn label(self) -> &'static str {
        match self {
            CameraMode::Orbit => "Orbit",
            CameraMode::Fly => "Fly",
            CameraMode::Walk => "Walk",
        }
    }
}

/// Share of the frame that a framed box fills.
const MARGIN: f32 = 0.94;

/// Asks to bring the selected thing into the frame, or everything if nothing is selected.
#[derive(Message, Debug, Clone, Copy)]
pub struct FrameSelection;

/// Asks to show the whole plant from the front.
#[derive(Message, Debug, Clone, Copy)]
pub struct ShowAll;

/// Where the camera is and what it looks at. The cameras write it; the transform follows.
#[derive(Resource, Debug, Clone, Copy, PartialEq)]
pub struct Gaze {
    /// Eye, world frame.
    pub eye: Vec3,
    /// Angle about +Y, radians; 0 looks along −Z.
    pub yaw: f32,
    /// Angle above the horizon, radians.
    pub pitch: f32,
    /// Distance to the point the orbit turns about, metres.
    pub distance: f32,
}

impl Default for Gaze {
    fn default() -> Self {
        Self { eye: Vec3::new(10.0, 10.0, 30.0), yaw: 0.0, pitch: -0.4, distance: 30.0 }
    }
}

impl Gaze {
    /// The camera's rotation in the world.
    pub fn rotation(&self) -> Quat {
        Quat::from_rotation_y(self.yaw) * Quat::from_rotation_x(self.pitch)
    }

    /// Unit vector of the view direction.
    pub fn forward(&self) -> Vec3 {
        self.rotation() * Vec3::NEG_Z
    }

    /// The point the orbit turns about.
    pub fn pivot(&self) -> Vec3 {
        self.eye + self.forward() * self.distance
    }

    /// Turns; pitch stays short of straight up and down, where left and right lose their meaning.
    pub fn turn(&mut self, yaw: f32, pitch: f32) {
        self.yaw = (self.yaw + yaw).rem_euclid(std::f32::consts::TAU);
        self.pitch = (self.pitch + pitch).clamp(-1.55, 1.55);
    }

    /// Looks at a box from the direction it looks in now, from just so far that every corner is in the frame.
    pub fn frame(&mut self, centre: Vec3, half: Vec3, lens: &PerspectiveProjection) {
        let half = half.max(Vec3::splat(0.05));
        let tan_y = (lens.fov / 2.0).tan() * MARGIN;
        let tan_x = tan_y * lens.aspect_ratio;
        let camera_from_world = self.rotation().inverse();
        let corner = |i: u8| {
            let sign = |bit: u8| if i & bit == 0 { -1.0 } else { 1.0 };
            camera_from_world * (half * Vec3::new(sign(1), sign(2), sign(4)))
        };
        let fits = |shift: Vec2, c: Vec3| c.z + ((c.x - shift.x).abs() / tan_x).max((c.y - shift.y).abs() / tan_y);
        let mut shift = Vec2::ZERO;
        // What is nearer looks larger, so that the middle of the box is not the middle of the picture: a few steps
        // find the shift that leaves equal room on both sides.
        for _ in 0..6 {
            let distance = (0..8).map(corner).map(|c| fits(shift, c)).fold(0.1, f32::max);
            let seen = (0..8).map(corner).map(|c| (c.truncate() - shift) / (distance - c.z).max(0.01));
            let (low, high) = seen.fold((Vec2::MAX, Vec2::MIN), |(low, high), p| (low.min(p), high.max(p)));
            shift += (low + high) / 2.0 * distance;
        }
        let distance = (0..8).map(corner).map(|c| fits(shift, c)).fold(0.1, f32::max);
        self.distance = distance;
        self.eye = centre + self.rotation() * shift.extend(distance);
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<CameraMode>()
        .init_resource::<Gaze>()
        .init_resource::<Circling>()
        .add_message::<FrameSelection>()
        .add_message::<ShowAll>()
        .add_plugins(walk::plugin)
        .add_systems(
            Update,
            (keys, frame, (orbit::orbit, fly::fly, walk::walk).chain().run_if(mouse_is_free), circle::go_round, follow)
                .chain()
                .in_set(Frame::Act)
                .after(crate::selection::take),
        );
}

/// Keys that choose a mode or a frame, unless someone is typing.
fn keys(
    mut contexts: EguiContexts,
    mut mode: ResMut<CameraMode>,
    mut frame: MessageWriter<FrameSelection>,
    mut all: MessageWriter<ShowAll>,
    keys: Res<ButtonInput<KeyCode>>,
) -> Result {
    if contexts.ctx_mut()?.egui_wants_keyboard_input() {
        return Ok(());
    }
    let modes =
        [(KeyCode::Digit1, CameraMode::Orbit), (KeyCode::Digit2, CameraMode::Fly), (KeyCode::Digit3, CameraMode::Walk)];
    for (key, wanted) in modes {
        if keys.just_pressed(key) {
            *mode = wanted;
        }
    }
    if keys.just_pressed(KeyCode::KeyF) {
        frame.write(FrameSelection);
    }
    if keys.just_pressed(KeyCode::Home) {
        all.write(ShowAll);
    }
    Ok(())
}

fn frame(
    mut gaze: ResMut<Gaze>,
    mut selected: MessageReader<FrameSelection>,
    mut all: MessageReader<ShowAll>,
    mut ready: MessageReader<PlantReady>,
    selection: Res<Selection>,
    site: Res<Site>,
    things: Res<ThingEntities>,
    bounds: Query<(&ThingBounds, &GlobalTransform)>,
    projection: Single<&Projection, With<PlantCamera>>,
) {
    let Projection::Perspective(lens) = *projection else { return };
    let whole = things.plant.map(|(low, high)| ((low + high) / 2.0, (high - low) / 2.0));
    let begins = ready.read().count() > 0;
    if begins || all.read().count() > 0 {
        // From the front and a little to the side, as a visitor on a gallery sees a hall.
        *gaze = Gaze { yaw: 0.42, pitch: -0.44, ..*gaze };
        // A newcomer is shown the machines, not the walls around them.
        let machines = if begins { first_machines(&gaze, &site, &things, &bounds) } else { None };
        if let Some((centre, half)) = machines.or(whole) {
            gaze.frame(centre, half, lens);
        }
    }
    if selected.read().count() > 0 {
        let chosen = selection.0.and_then(|t| things.entity(t)).and_then(|e| bounds.get(e).ok());
        let chosen = chosen.map(|(b, transform)| (b.centre_now(transform), b.half * 1.6)).or(whole);
        if let Some((centre, half)) = chosen {
            gaze.frame(centre, half, lens);
        }
    }
}

/// The space that the machines of the nearest line of the first area take up, if this plant has any.
fn first_machines(
    gaze: &Gaze,
    site: &Site,
    things: &ThingEntities,
    bounds: &Query<(&ThingBounds, &GlobalTransform)>,
) -> Option<(Vec3, Vec3)> {
    let area = *site.roots().first()?;
    let lines = site.children(area).iter().filter(|t| site.thing(**t).is_some_and(|t| t.level == Level::Line));
    let line_bounds = |line: &&ThingIndex| Some(bounds.get(things.entity(**line)?).ok()?.0.centre.dot(gaze.forward()));
    let nearest = lines.min_by(|a, b| line_bounds(a).partial_cmp(&line_bounds(b)).unwrap_or(Ordering::Equal))?;
    let is_machine = |thing: &ThingIndex| {
        site.thing(*thing)
            .is_some_and(|t| t.level == Level::Unit && !matches!(t.class, Class::Rack | Class::Workpiece | Class::Amr))
    };
    let units = site.subtree(*nearest).into_iter().filter(is_machine);
    let boxes = units.filter_map(|t| bounds.get(things.entity(t)?).ok());
    let (low, high) =
        boxes.map(|(b, _)| (b.centre - b.half, b.centre + b.half)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    Some(((low + high) / 2.0, (high - low) / 2.0))
}

/// The camera entity follows the gaze; its near plane follows the scale of what is looked at.
fn follow(
    gaze: Res<Gaze>,
    view: Option<Res<PlantView>>,
    mut camera: Single<(&mut Transform, &mut Projection), With<PlantCamera>>,
) {
    let (transform, projection) = &mut *camera;
    transform.set_if_neq(Transform::from_translation(gaze.eye).with_rotation(gaze.rotation()));
    if let Projection::Perspective(lens) = &mut **projection
        && view.is_some()
    {
        lens.near = (gaze.distance * 0.002).clamp(0.001, 0.1);
        lens.far = (gaze.distance * 200.0).max(4000.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_framed_box_is_wholly_in_view_and_fills_one_side_of_it() {
        let lens = PerspectiveProjection { fov: 0.9, aspect_ratio: 1.6, ..default() };
        for (yaw, pitch) in [(0.0, 0.0), (0.42, -0.44), (2.0, -1.2), (5.0, 0.7)] {
            let mut gaze = Gaze { yaw, pitch, ..default() };
            let (centre, half) = (Vec3::new(3.0, 1.0, -7.0), Vec3::new(20.0, 2.0, 9.0));
            gaze.frame(centre, half, &lens);
            let camera_from_world = gaze.rotation().inverse();
            let mut largest = 0f32;
            for i in 0..8u8 {
                let sign = |bit: u8| if i & bit == 0 { -1.0 } else { 1.0 };
                let at = camera_from_world * (centre + half * Vec3::new(sign(1), sign(2), sign(4)) - gaze.eye);
                let tan = (lens.fov / 2.0).tan();
                let ndc = Vec2::new(at.x / (-at.z * tan * lens.aspect_ratio), at.y / (-at.z * tan));
                assert!(at.z < 0.0, "a corner lies behind the camera");
                largest = largest.max(ndc.abs().max_element());
            }
            assert!((0.85..=1.0).contains(&largest), "yaw {yaw} pitch {pitch}: {largest}");
        }
    }
}
