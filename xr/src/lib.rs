//! The headset, through OpenXR. Switched on by `--xr`: [`probe`] says whether there is one, before the app is built;
//! [`add_to`] puts it under the app; [`plugin`] gives the app what it needs to show the plant there and to act in it.
//!
//! No other crate names OpenXR. The app sees plain values: [`HeadsetState`] (how the session stands), [`Tracked`] (head,
//! hands, buttons, gaze), [`Eye`] (two cameras), [`Rig`] (where the tracking space is in the world), [`Buzz`] and
//! [`HeadsetNews`]; and, for reports, [`HeadsetFigures`].
//!
//! - `course`: what is to be done with the session next; decides only
//! - `session`: does it, in the main world
//! - `frame`: draws, in the render world, with `depth` and `mask`, and gives it to the runtime as a `layer`
//! - `display`: the refresh rate, and what the lenses hide
//! - `input` with `bindings`: actions; `pose`: poses of the runtime as transforms
//!
//! bevy_mod_openxr brings Vulkan's and wgpu's devices together at the start, and its swapchains and layers are used; its
//! session and frame systems are not, because they panic when a runtime dies, and merge the states that must be told
//! apart (seen without input, and unseen).
//!
//! Absent so far: foveation, passthrough. Single-pass stereo is blocked by
//! Bevy 0.19, which passes no multiview mask to any of its pipelines. A headset that is plugged in after a start without
//! one needs a new start: the runtime has a say in how the Vulkan device is made.

use bevy::app::PluginGroupBuilder;
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::extract_resource::ExtractResourcePlugin;
use bevy_mod_openxr::exts::OxrExtensions;
use bevy_mod_openxr::init::OxrInitPlugin;
use bevy_mod_xr::session::{XrFirst, XrHandleEvents, XrSessionPlugin};

/// The camera of one eye: 0 is the left.
pub use bevy_mod_xr::camera::XrCamera as Eye;
/// Marks the entity whose transform places the tracking space in the world: its origin is on the floor below the person,
/// +Y up. Moving it moves the person; nothing else may.
pub use bevy_mod_xr::session::XrTrackingRoot as Rig;

mod bindings;
mod course;
mod depth;
mod display;
mod figures;
mod frame;
mod input;
mod layer;
mod mask;
mod pose;
mod runtime;
mod session;
mod tracked;

pub use course::HeadsetState;
pub use figures::{Fittings, HeadsetFigures, HeadsetReport, Timed};
pub use runtime::{Runtime, XrUnavailable, probe};
pub use session::eye_texture;
pub use tracked::{Buzz, EnterHeadset, Hand, HeadsetNews, Side, Tracked};

/// Puts OpenXR under the app: Bevy's renderer is then made by the runtime's wishes. Call only after a [`probe`] that
/// found a headset. `is_whole`: whether no frame may lack what has not been compiled yet.
pub fn add_to(plugins: PluginGroupBuilder, is_whole: bool) -> PluginGroupBuilder {
    // The head's pose is read right before rendering; a frame of pipelining would make it a frame old.
    plugins
        .disable::<bevy::render::pipelined_rendering::PipelinedRenderingPlugin>()
        .disable::<RenderPlugin>()
        .add_before::<RenderPlugin>(XrSessionPlugin { auto_handle: false })
        .add_before::<RenderPlugin>(OxrInitPlugin {
            app_info: session::app_info(),
            exts: OxrExtensions::from(runtime::offered(&session::wanted_extensions())),
            synchronous_pipeline_compilation: is_whole,
            ..default()
        })
        .add(bevy_mod_xr::camera::XrCameraPlugin)
}

/// Keeps the session, its state and the person where the app can read them.
pub fn plugin(app: &mut App) {
    app.init_resource::<HeadsetState>()
        .init_resource::<Tracked>()
        .init_resource::<session::Headset>()
        .init_resource::<session::FrameNow>()
        .init_resource::<session::Trouble>()
        .init_resource::<session::Letting>()
        .init_resource::<HeadsetFigures>()
        .add_message::<Buzz>()
        .add_message::<EnterHeadset>()
        .add_message::<HeadsetNews>()
        .add_plugins((
            ExtractResourcePlugin::<session::FrameNow>::default(),
            ExtractResourcePlugin::<session::Trouble>::default(),
            ExtractResourcePlugin::<session::Letting>::default(),
            ExtractResourcePlugin::<HeadsetFigures>::default(),
            frame::plugin,
        ))
        .add_systems(XrFirst, (session::attend, session::wait).chain().in_set(XrHandleEvents::FrameLoop))
        .add_systems(PostUpdate, session::look.before(TransformSystems::Propagate));
}
