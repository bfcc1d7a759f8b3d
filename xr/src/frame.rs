//! A frame in the render world: begun, drawn into the runtime's images from where the eyes are at the last moment, and
//! ended. An error is noted for the main world, which ends the session; nothing here panics.

use std::time::Instant;

use bevy::core_pipeline::{Core3d, Core3dSystems};
use bevy::prelude::*;
use bevy::render::render_resource::PollType;
use bevy::render::renderer::{RenderAdapterInfo, RenderDevice, RenderGraph, RenderGraphSystems};
use bevy::render::texture::ManualTextureViews;
use bevy::render::view::ExtractedView;
use bevy::render::{ExtractSchedule, MainWorld, Render, RenderApp};
use bevy_mod_openxr::error::OxrError;
use bevy_mod_openxr::layer_builder::CompositionLayer;
use bevy_mod_xr::camera::{Fov, XrCamera, XrProjection, calculate_projection};
use bevy_mod_xr::session::{XrRenderSystems, XrRootTransform};
use openxr::View;
use openxr::sys::Result as XrResult;

use crate::depth::{self, PairDepth};
use crate::figures::HeadsetFigures;
use crate::layer::EyesLayer;
use crate::mask::{self, Masks};
use crate::picture::{Pair, Picture};
use crate::pose::transform;
use crate::room::Room;
use crate::session::{FrameNow, HiddenNow, Letting, Trouble, code_of, eye_texture};
use crate::views::MOST_VIEWS;

/// The eyes as last located, and whether an image of the runtime is ours to draw into.
#[derive(Resource, Default)]
struct Eyes {
    views: Vec<View>,
    /// The instant they were located for, nanoseconds of the runtime's clock.
    at: i64,
    has_begun: bool,
    has_image: bool,
}

pub(crate) fn plugin(app: &mut App) {
    let Some(render_app) = app.get_sub_app_mut(RenderApp) else { return };
    render_app
        .init_resource::<Eyes>()
        .init_resource::<Masks>()
        .init_resource::<Handed>()
        .add_systems(ExtractSchedule, (let_go, take).chain())
        .add_systems(
            Render,
            (begin, acquire, look, draw_into, mask::prepare).chain().in_set(XrRenderSystems::PreRender),
        )
        .add_systems(RenderGraph, hand_over.after(RenderGraphSystems::Render).before(RenderGraphSystems::Submit))
        .add_systems(Core3d, mask::hide.after(Core3dSystems::Prepass).before(Core3dSystems::MainPass))
        .add_systems(Render, (depth::draw, rest, end).chain().in_set(XrRenderSystems::PostRender));
}

/// The session's pictures come over from the main world once.
fn take(
    mut commands: Commands,
    mut main: ResMut<MainWorld>,
    mut masks: ResMut<Masks>,
    picture: Option<ResMut<Picture>>,
) {
    if let Some(picture) = main.remove_resource::<Picture>() {
        masks.forget();
        commands.insert_resource(picture);
    }
    if let (Some(HiddenNow(hidden)), Some(mut picture)) = (main.remove_resource(), picture) {
        masks.forget();
        picture.hidden = hidden;
    }
}

fn let_go(
    mut commands: Commands,
    mut eyes: ResMut<Eyes>,
    mut textures: ResMut<ManualTextureViews>,
    letting: Option<Res<Letting>>,
    picture: Option<Res<Picture>>,
    device: Res<RenderDevice>,
) {
    if picture.is_some() && letting.is_some_and(|letting| letting.0) {
        // Nothing of ours may still be drawing into the runtime's images when they go.
        if let Err(why) = device.poll(PollType::wait_indefinitely()) {
            warn!("the renderer could not finish: {why}");
        }
        (0..MOST_VIEWS).for_each(|view| drop(textures.remove(&eye_texture(view))));
        commands.remove_resource::<Picture>();
        *eyes = Eyes::default();
    }
}

fn begin(
    mut eyes: ResMut<Eyes>,
    picture: Option<ResMut<Picture>>,
    frame: Res<FrameNow>,
    trouble: Res<Trouble>,
    figures: Res<HeadsetFigures>,
) {
    let mut own = figures.timed();
    eyes.has_begun = false;
    let (Some(mut picture), Some(_)) = (picture, frame.0) else { return };
    match own.outside(|| picture.stream.begin()) {
        Ok(()) => eyes.has_begun = true,
        Err(why) => trouble.note(why),
    }
}

/// Gets the images to draw into. Nothing is drawn before the runtime has read what was in them.
fn acquire(
    mut eyes: ResMut<Eyes>,
    mut textures: ResMut<ManualTextureViews>,
    picture: Option<ResMut<Picture>>,
    frame: Res<FrameNow>,
    trouble: Res<Trouble>,
    figures: Res<HeadsetFigures>,
) {
    let mut own = figures.timed();
    eyes.has_image = false;
    let (Some(mut picture), Some(now)) = (picture, frame.0) else { return };
    if !eyes.has_begun || !now.should_render {
        return;
    }
    let images: Result<Vec<usize>, OxrError> = own.outside(|| picture.pairs.iter_mut().map(Pair::acquire).collect());
    match images {
        Ok(images) => {
            for view in 0..picture.views.count() {
                let image = images.get(view as usize / 2).copied();
                let target = picture.pair(view).zip(image).and_then(|((pair, layer), image)| pair.target(image, layer));
                // An image that was never told of: the session ends, and with it what was got.
                let Some(target) = target else { return trouble.note(XrResult::ERROR_RUNTIME_FAILURE) };
                textures.insert(eye_texture(view), target);
            }
            eyes.has_image = true;
        }
        Err(why) => trouble.note(code_of(&why)),
    }
}

/// Where the eyes are, asked as late as can be.
fn look(
    mut eyes: ResMut<Eyes>,
    picture: Option<Res<Picture>>,
    frame: Res<FrameNow>,
    trouble: Res<Trouble>,
    figures: Res<HeadsetFigures>,
) {
    let mut own = figures.timed();
    let (Some(picture), Some(now)) = (picture, frame.0) else { return };
    if !eyes.has_begun {
        return;
    }
    match own.asking(|| picture.views.locate(&picture.session, &picture.stage, now.predicted_display_time)) {
        Ok(Some(views)) => (eyes.views, eyes.at) = (views, now.predicted_display_time.as_nanos()),
        // Not tracked for the moment: the picture stays where it was.
        Ok(None) => {}
        Err(why) => trouble.note(why),
    }
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
fn end(
    mut eyes: ResMut<Eyes>,
    picture: Option<ResMut<Picture>>,
    frame: Res<FrameNow>,
    room: Res<Room>,
    root: Option<Res<XrRootTransform>>,
    drawn: Query<(&ExtractedView, &XrCamera)>,
    trouble: Res<Trouble>,
    figures: Res<HeadsetFigures>,
) {
    let mut own = figures.timed();
    let (Some(mut picture), Some(now)) = (picture, frame.0) else { return };
    if !std::mem::take(&mut eyes.has_begun) {
        return;
    }
    let picture = &mut *picture;
    let has_image = std::mem::take(&mut eyes.has_image);
    let released = own.outside(|| picture.pairs.iter_mut().map(|pair| pair.release(has_image)).collect());
    let depths: Vec<PairDepth> = match released {
        Ok(depths) => depths,
        Err(why) => return trouble.note(code_of(&why)),
    };
    let (blend, flags) = picture.blending.of_frame(*room);
    let layer = has_image.then(|| EyesLayer::new(picture, &eyes.views, &depths, flags)).flatten();
    if layer.is_some() {
        let age = now.predicted_display_time.as_nanos().saturating_sub(eyes.at);
        figures.note_picture(age, off(&eyes.views, root.as_deref(), &drawn));
    }
    let below = picture.room.as_mut().and_then(|below| own.outside(|| below.show(room.is_shown())));
    let below = below.as_ref().map(|below| below as &dyn CompositionLayer);
    let layers: Vec<&dyn CompositionLayer> =
        below.into_iter().chain(layer.as_ref().map(|layer| layer as &dyn CompositionLayer)).collect();
    match own.outside(|| picture.stream.end(now.predicted_display_time, blend, &layers)) {
        Ok(()) => {}
        Err(why) => trouble.note(code_of(&why)),
    }
}

/// When the frame was given to the renderer. One that is the processor itself may draw it before it returns.
#[derive(Resource, Default)]
struct Handed(Option<Instant>);

fn hand_over(mut handed: ResMut<Handed>) {
    handed.0 = Some(Instant::now());
}

/// Where the processor itself draws, a frame is drawn to its end before it is given to the runtime, which would only wait
/// for it, and before the next begins: else both have the same cores by turns, and each takes as long as both.
fn rest(
    mut handed: ResMut<Handed>,
    device: Res<RenderDevice>,
    adapter: Res<RenderAdapterInfo>,
    picture: Option<Res<Picture>>,
    figures: Res<HeadsetFigures>,
) {
    let begun = handed.0.take().unwrap_or_else(Instant::now);
    if picture.is_none() || adapter.device_type != wgpu::DeviceType::Cpu {
        return;
    }
    if let Err(why) = device.poll(PollType::wait_indefinitely()) {
        warn!("the renderer could not finish: {why}");
    }
    figures.note_drawn(begun.elapsed());
}

/// How far the eyes a picture was drawn from are from where the runtime has last said they would be, metres.
fn off(newest: &[View], root: Option<&XrRootTransform>, drawn: &Query<(&ExtractedView, &XrCamera)>) -> f32 {
    let Some(root) = root else { return 0.0 };
    let away = |(view, eye): (&ExtractedView, &XrCamera)| {
        let newest = root.0.mul_transform(transform(newest.get(eye.0 as usize)?.pose));
        Some(newest.translation().distance(view.world_from_view.translation()))
    };
    drawn.iter().filter_map(away).fold(0.0, f32::max)
}
