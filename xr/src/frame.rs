//! A frame in the render world: begun, drawn into the runtime's images from where the eyes are at the last moment, and
//! ended. An error is noted for the main world, which ends the session; nothing here panics.

use bevy::prelude::*;
use bevy::render::render_resource::{TextureFormat, TextureViewDescriptor, TextureViewDimension};
use bevy::render::texture::{ManualTextureView, ManualTextureViews};
use bevy::render::view::ExtractedView;
use bevy::render::{ExtractSchedule, MainWorld, Render, RenderApp};
use bevy_mod_openxr::layer_builder::{
    CompositionLayer, CompositionLayerProjection, CompositionLayerProjectionView, SwapchainSubImage,
};
use bevy_mod_xr::camera::{Fov, XrCamera, XrProjection, calculate_projection};
use bevy_mod_xr::session::{XrRenderSystems, XrRootTransform};
use bevy_mod_xr::spaces::XrSpace;
use openxr::sys::Handle;
use openxr::{View, ViewConfigurationType, ViewStateFlags};

use crate::pose::transform;
use crate::session::{FrameNow, Letting, Picture, Trouble, eye_texture};

/// The eyes as last located, and whether an image of the runtime is ours to draw into.
#[derive(Resource, Default)]
struct Eyes {
    views: Vec<View>,
    has_begun: bool,
    has_image: bool,
}

pub(crate) fn plugin(app: &mut App) {
    let Some(render_app) = app.get_sub_app_mut(RenderApp) else { return };
    render_app
        .init_resource::<Eyes>()
        .add_systems(ExtractSchedule, (let_go, take).chain())
        .add_systems(Render, (begin, acquire, look, draw_into).chain().in_set(XrRenderSystems::PreRender))
        .add_systems(Render, end.in_set(XrRenderSystems::PostRender));
}

/// The part of an image that one eye sees.
pub(crate) fn view_texture(image: &wgpu::Texture, eye: u32, size: UVec2, format: TextureFormat) -> ManualTextureView {
    let view = image.create_view(&TextureViewDescriptor {
        dimension: Some(TextureViewDimension::D2),
        array_layer_count: Some(1),
        base_array_layer: eye,
        ..default()
    });
    ManualTextureView { texture_view: view.into(), size, view_format: format }
}

/// The session's pictures come over from the main world once.
fn take(mut commands: Commands, mut main: ResMut<MainWorld>) {
    if let Some(picture) = main.remove_resource::<Picture>() {
        commands.insert_resource(picture);
    }
}

fn let_go(
    mut commands: Commands,
    mut eyes: ResMut<Eyes>,
    letting: Option<Res<Letting>>,
    picture: Option<Res<Picture>>,
) {
    if picture.is_some() && letting.is_some_and(|letting| letting.0) {
        commands.remove_resource::<Picture>();
        *eyes = Eyes::default();
    }
}

fn begin(mut eyes: ResMut<Eyes>, picture: Option<ResMut<Picture>>, frame: Res<FrameNow>, trouble: Res<Trouble>) {
    eyes.has_begun = false;
    let (Some(mut picture), Some(_)) = (picture, frame.0) else { return };
    match picture.stream.begin() {
        Ok(()) => eyes.has_begun = true,
        Err(why) => trouble.note(why),
    }
}

/// Gets the image to draw into. Nothing is drawn before the runtime has read what was in it.
fn acquire(
    mut eyes: ResMut<Eyes>,
    mut textures: ResMut<ManualTextureViews>,
    picture: Option<ResMut<Picture>>,
    frame: Res<FrameNow>,
    trouble: Res<Trouble>,
) {
    eyes.has_image = false;
    let (Some(mut picture), Some(now)) = (picture, frame.0) else { return };
    if !eyes.has_begun || !now.should_render {
        return;
    }
    let image = picture.swapchain.acquire_image().and_then(|image| {
        picture.swapchain.wait_image(openxr::Duration::INFINITE)?;
        Ok(image)
    });
    match image {
        Ok(image) => {
            let Some(image) = picture.images.get(image as usize) else { return };
            for eye in 0..2 {
                textures.insert(eye_texture(eye), view_texture(image, eye, picture.size, picture.format));
            }
            eyes.has_image = true;
        }
        Err(bevy_mod_openxr::error::OxrError::OpenXrError(why)) => trouble.note(why),
        Err(_) => trouble.note(openxr::sys::Result::ERROR_RUNTIME_FAILURE),
    }
}

/// Where the eyes are, asked as late as can be.
fn look(mut eyes: ResMut<Eyes>, picture: Option<Res<Picture>>, frame: Res<FrameNow>, trouble: Res<Trouble>) {
    let (Some(picture), Some(now)) = (picture, frame.0) else { return };
    if !eyes.has_begun {
        return;
    }
    match locate(&picture.session, &picture.stage, now.predicted_display_time) {
        Ok(Some(views)) => eyes.views = views,
        // Not tracked for the moment: the picture stays where it was.
        Ok(None) => {}
        Err(why) => trouble.note(why),
    }
}

/// Both eyes, left first; none while they are not tracked.
pub(crate) fn locate(
    session: &openxr::Session<openxr::AnyGraphics>,
    stage: &openxr::Space,
    at: openxr::Time,
) -> openxr::Result<Option<Vec<View>>> {
    let (flags, views) = session.locate_views(ViewConfigurationType::PRIMARY_STEREO, at, stage)?;
    let both = ViewStateFlags::ORIENTATION_VALID | ViewStateFlags::POSITION_VALID;
    Ok((flags.contains(both) && views.len() == 2).then_some(views))
}

/// The projection of an eye.
pub(crate) fn projection(near: f32, view: &View) -> Mat4 {
    let openxr::Fovf { angle_left, angle_right, angle_down, angle_up } = view.fov;
    calculate_projection(near, Fov { angle_left, angle_right, angle_down, angle_up })
}

fn draw_into(eyes: Res<Eyes>, root: Option<Res<XrRootTransform>>, mut drawn: Query<(&mut ExtractedView, &XrCamera)>) {
    let Some(root) = root else { return };
    for (mut view, eye) in &mut drawn {
        let Some(located) = eyes.views.get(eye.0 as usize) else { continue };
        view.world_from_view = root.0.mul_transform(transform(located.pose));
        view.clip_from_view = projection(XrProjection::default().near, located);
    }
}

/// Gives the image back and ends the frame, with a picture if there is one.
fn end(mut eyes: ResMut<Eyes>, picture: Option<ResMut<Picture>>, frame: Res<FrameNow>, trouble: Res<Trouble>) {
    let (Some(mut picture), Some(now)) = (picture, frame.0) else { return };
    if !std::mem::take(&mut eyes.has_begun) {
        return;
    }
    let picture = &mut *picture;
    let has_image = std::mem::take(&mut eyes.has_image);
    if has_image && picture.swapchain.release_image().is_err() {
        return trouble.note(openxr::sys::Result::ERROR_RUNTIME_FAILURE);
    }
    #[expect(unsafe_code, reason = "bevy_mod_openxr's layers name a space by its raw handle")]
    // SAFETY: the handle is that of `picture.stage`, which outlives the call below.
    let stage = unsafe { XrSpace::from_raw(picture.stage.as_raw().into_raw()) };
    let whole = openxr::Rect2Di {
        offset: openxr::Offset2Di { x: 0, y: 0 },
        extent: openxr::Extent2Di { width: picture.size.x as i32, height: picture.size.y as i32 },
    };
    let views: Vec<_> = (0u32..)
        .zip(&eyes.views)
        .map(|(eye, view)| {
            let image = SwapchainSubImage::new().swapchain(&picture.swapchain).image_array_index(eye).image_rect(whole);
            CompositionLayerProjectionView::new().pose(view.pose).fov(view.fov).sub_image(image)
        })
        .collect();
    let layer = CompositionLayerProjection::new().space(&stage).views(&views);
    let layers: &[&dyn CompositionLayer] = if has_image && views.len() == 2 { &[&layer] } else { &[] };
    match picture.stream.end(now.predicted_display_time, picture.blend, layers) {
        Ok(()) => {}
        Err(bevy_mod_openxr::error::OxrError::OpenXrError(why)) => trouble.note(why),
        Err(_) => trouble.note(openxr::sys::Result::ERROR_RUNTIME_FAILURE),
    }
}
