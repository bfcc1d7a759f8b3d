//! The desktop's own panels in the headset: tree, inspector, trends, time line and all else on one curved sheet, opened
//! and closed with the menu button, pressed with the laser. It is the same egui as on the desktop, drawn into an image, so
//! that every function of the one is one of the other. Pinned inspectors have sheets of their own ([`cards`](super::cards)).
//!
//! A hand that closes while its laser is on the panel takes it along ([`hold`]); where something is to be
//! written, keys lie over the panel ([`keyboard`](super::keyboard)).
//!
//! A finger at the panel presses it by going through it ([`touch`](super::touch)); further away the laser does
//! ([`press`](super::press)).

use bevy::camera::{ImageRenderTarget, RenderTarget};
use bevy::light::NotShadowCaster;
use bevy::prelude::*;
use bevy::render::render_resource::{TextureFormat, TextureUsages};
use bevy_egui::{EguiPrimaryContextPass, PrimaryEguiContext};
use gemba_xr::{HeadsetFigures, HeadsetState, Rig, Tracked};

use super::front::FrontMaterial;
use super::hold::{self, Hold};
use super::nearness::{self, Nearness};
use super::press::{Pressing, press};
use super::sheet::Sheet;
use super::touch::touch;
use super::{Doing, Seeing, room};
use crate::run::RunPlan;
use crate::schedule::{Screen, ScreenSeen};

/// Width of the panel in points: 106° of a sheet. How high it is follows from the image.
const WIDTH: f32 = 920.0;
/// The image of the panel where the desktop has a window: 19 pixels a degree, which is what headsets resolve.
const PIXELS: UVec2 = UVec2::new(2000, 1240);
/// Frames in which the panels are laid out after they have been closed: a press reaches them in the next.
const LAST_FRAMES: u8 = 4;

/// The panel, open or not.
#[derive(Resource, Debug)]
pub(super) struct Panel {
    pub(super) sheet: Sheet,
    pub(super) nearness: Nearness,
    was_menu: bool,
    entity: Option<Entity>,
    image: Option<Handle<Image>>,
}

impl Default for Panel {
    fn default() -> Self {
        let sheet = Sheet { comes_near: true, ..Sheet::of(points_from_pixels(PIXELS)) };
        Self { sheet, nearness: Nearness::default(), was_menu: false, entity: None, image: None }
    }
}

/// The panel's size in points, by that of the image it is drawn into.
fn points_from_pixels(pixels: UVec2) -> Vec2 {
    pixels.as_vec2() * (WIDTH / pixels.x.max(1) as f32)
}

impl Panel {
    pub(super) fn is_open(&self) -> bool {
        self.sheet.is_open
    }
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Panel>()
        .init_resource::<Pressing>()
        .add_systems(Update, (open, hold::carry, nearness::approach, show, touch, press).chain().in_set(Doing::Cover))
        .add_systems(Update, (wear, rest).chain().in_set(Seeing::Panel))
        .add_systems(EguiPrimaryContextPass, hold::offer.in_set(Screen::Room).before(room::offer));
}

/// While the headset is worn the panels are drawn into an image; else into the window.
fn wear(
    mut panel: ResMut<Panel>,
    mut images: ResMut<Assets<Image>>,
    mut screen: Single<(&mut RenderTarget, &mut Projection), With<PrimaryEguiContext>>,
    mut was_worn: Local<bool>,
    state: Res<HeadsetState>,
    plan: Res<RunPlan>,
) {
    let is_worn = state.is_seen();
    if is_worn == *was_worn {
        return;
    }
    *was_worn = is_worn;
    let image = match &plan.screen {
        // Without a window they are always drawn into an image.
        Some(screen) => screen.clone(),
        None => panel.image.clone().unwrap_or_else(|| {
            let mut image = Image::new_target_texture(PIXELS.x, PIXELS.y, TextureFormat::Rgba8UnormSrgb, None);
            image.texture_descriptor.usage |= TextureUsages::COPY_SRC;
            images.add(image)
        }),
    };
    let pixels = images.get(&image).map_or(PIXELS, |image| image.size());
    panel.sheet.points = points_from_pixels(pixels);
    panel.image = Some(image.clone());
    let scale_factor = if is_worn { pixels.x as f32 / WIDTH } else { 1.0 };
    let onto_image = RenderTarget::Image(ImageRenderTarget { handle: image, scale_factor });
    let (target, projection) = &mut *screen;
    **target = if is_worn || plan.screen.is_some() { onto_image } else { RenderTarget::default() };
    // Bevy looks at a camera's target anew when its projection has changed, not when the target has.
    projection.set_changed();
    if !is_worn {
        panel.sheet.is_open = false;
    }
}

/// In the headset nobody sees a closed panel: what the panels cost in each frame is saved. Not in the first frames after
/// it has closed, in which what was pressed last is still done.
fn rest(mut left: Local<u8>, mut seen: ResMut<ScreenSeen>, panel: Res<Panel>, state: Res<HeadsetState>) {
    *left = if panel.is_open() || !state.is_seen() { LAST_FRAMES } else { left.saturating_sub(1) };
    seen.set_if_neq(ScreenSeen(*left > 0));
}

/// The menu button opens the panel before the person's face, and closes it.
fn open(mut panel: ResMut<Panel>, tracked: Res<Tracked>, figures: Res<HeadsetFigures>) {
    let _own = figures.timed();
    let menu = tracked.hands.iter().any(|hand| hand.menu);
    let is_asked = !std::mem::replace(&mut panel.was_menu, menu) && menu;
    if is_asked && let Some(head) = tracked.head {
        panel.sheet.is_open = !panel.sheet.is_open;
        panel.nearness = Nearness::default();
        panel.sheet.hold = Hold::before(head);
    }
}

/// Draws it where its hold has it.
fn show(
    mut commands: Commands,
    mut panel: ResMut<Panel>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<FrontMaterial>>,
    mut shown: Query<(&mut Transform, &mut Visibility), Without<Rig>>,
    rig: Single<Entity, With<Rig>>,
) {
    if let (true, None, Some(image)) = (panel.is_open(), panel.entity, panel.image.clone()) {
        let look = materials.add(FrontMaterial::panel(image));
        let shape = (Mesh3d(meshes.add(panel.sheet.mesh(Rect::new(0.0, 0.0, 1.0, 1.0)))), MeshMaterial3d(look));
        panel.entity = Some(commands.spawn((shape, panel.sheet.drawn(), ChildOf(*rig), NotShadowCaster)).id());
    }
    let Some(entity) = panel.entity else { return };
    if let Ok((mut place, mut visibility)) = shown.get_mut(entity) {
        visibility.set_if_neq(if panel.is_open() { Visibility::Inherited } else { Visibility::Hidden });
        place.set_if_neq(panel.sheet.drawn());
    }
}
