//! The view of the plant: a camera that renders into an image, shown in whatever part of the screen the panels leave.
//! On slow adapters the image has fewer pixels than the screen; egui stretches it. The same in a window and headless.

use bevy::camera::RenderTarget;
use bevy::core_pipeline::tonemapping::{DebandDither, Tonemapping};
use bevy::light::ShadowFilteringMethod;
use bevy::prelude::*;
use bevy::render::render_resource::{Extent3d, TextureFormat, TextureUsages};
use bevy::render::view::NoIndirectDrawing;
use bevy_egui::{EguiContexts, EguiPrimaryContextPass, EguiTextureHandle, EguiUserTextures, egui};

use crate::free_rect::FreeRect;
use crate::quality::Quality;
use crate::schedule::Screen;
use crate::theme;

/// Marks the camera that looks at the plant.
#[derive(Component)]
pub struct PlantCamera;

/// Where on the screen the plant is shown.
#[derive(Resource)]
pub struct PlantView {
    /// The image the plant is rendered into.
    pub image: Handle<Image>,
    /// Its place on the screen, in egui points.
    pub rect: egui::Rect,
    /// Whether the pointer is over the plant and nothing else.
    pub hovered: bool,
    texture: egui::TextureId,
    pixels: UVec2,
}

impl PlantView {
    /// Place in the camera's viewport (pixels of the image) of a place on the screen (egui points).
    pub fn viewport_from_screen(&self, screen: egui::Pos2) -> Vec2 {
        let at = (screen - self.rect.min) / self.rect.size();
        Vec2::new(at.x, at.y) * self.pixels.as_vec2()
    }

    /// Place on the screen of a place in the camera's viewport.
    pub fn screen_from_viewport(&self, viewport: Vec2) -> egui::Pos2 {
        let at = viewport / self.pixels.as_vec2().max(Vec2::ONE);
        self.rect.min + egui::vec2(at.x, at.y) * self.rect.size()
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.add_systems(Startup, spawn_camera).add_systems(EguiPrimaryContextPass, show.in_set(Screen::View));
}

fn spawn_camera(
    mut commands: Commands,
    mut images: ResMut<Assets<Image>>,
    mut textures: ResMut<EguiUserTextures>,
    quality: Res<Quality>,
) {
    let pixels = UVec2::new(640, 360);
    let mut image = Image::new_target_texture(pixels.x, pixels.y, TextureFormat::Rgba8UnormSrgb, None);
    image.texture_descriptor.usage |= TextureUsages::COPY_SRC;
    let image = images.add(image);
    let texture = textures.add_image(EguiTextureHandle::Strong(image.clone()));
    let mut camera = commands.spawn((
        PlantCamera,
        Camera3d::default(),
        Camera { order: -1, clear_color: ClearColorConfig::Custom(quality.sky), ..default() },
        RenderTarget::Image(image.clone().into()),
        Projection::Perspective(PerspectiveProjection {
            fov: 50f32.to_radians(),
            near: 0.05,
            far: 4000.0,
            ..default()
        }),
        if quality.multisample { Msaa::Sample4 } else { Msaa::Off },
        // The plain shading of a software renderer needs no curve: its light never exceeds white by much.
        if quality.cheap { Tonemapping::None } else { Tonemapping::AgX },
        if quality.cheap { ShadowFilteringMethod::Hardware2x2 } else { ShadowFilteringMethod::Gaussian },
        DebandDither::Disabled,
        Transform::from_xyz(20.0, 14.0, 34.0).looking_at(Vec3::new(20.0, 1.0, 8.0), Vec3::Y),
    ));
    if quality.cheap {
        // With draws that the renderer makes itself, one frame in each run, about thirty after the plant was there, had
        // lost the shadows of all but a few parts.
        camera.insert(NoIndirectDrawing);
    }
    commands.insert_resource(PlantView { image, rect: egui::Rect::ZERO, hovered: false, texture, pixels });
}

/// Shows the image in the free part of the screen, and gives it as many pixels as that has.
fn show(
    mut contexts: EguiContexts,
    mut free: ResMut<FreeRect>,
    mut view: ResMut<PlantView>,
    mut images: ResMut<Assets<Image>>,
    quality: Res<Quality>,
    camera: Single<&Camera, With<PlantCamera>>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    let rect = free.0;
    let mut ui = free.ui(ctx, "plant");
    if camera.is_active {
        let whole = egui::Rect::from_min_max(egui::pos2(0.0, 0.0), egui::pos2(1.0, 1.0));
        ui.painter().image(view.texture, rect, whole, egui::Color32::WHITE);
    } else {
        // A picture of a while ago would be taken for the plant as it is.
        ui.painter().rect_filled(rect, 0.0, theme::FIELD);
    }
    let response = ui.allocate_rect(rect, egui::Sense::hover());
    view.hovered = response.contains_pointer() && !ctx.egui_is_using_pointer();
    free.0 = rect;
    view.rect = rect;
    let points = rect.size() * ctx.pixels_per_point();
    let points = points * (quality.most_pixels / (points.x * points.y).max(1.0)).sqrt().min(1.0);
    let pixels = UVec2::new(points.x.round().max(16.0) as u32, points.y.round().max(16.0) as u32);
    if pixels != view.pixels {
        let size = Extent3d { width: pixels.x, height: pixels.y, depth_or_array_layers: 1 };
        if let Some(mut image) = images.get_mut(&view.image) {
            image.resize(size);
            view.pixels = pixels;
        }
    }
    Ok(())
}
