//! The headset, through OpenXR. Switched on by `--xr`: [`add_to`] puts it under the app, before that is built, and says
//! what it has found; [`plugin`] gives the app what it needs to show the plant there and to act in it.
//!
//! No other crate names OpenXR. The app sees plain values: [`HeadsetState`] (how the session stands), [`Tracked`] (head,
//! hands, buttons, gaze), [`Eye`] (two cameras), [`Rig`] (where the tracking space is in the world), [`Room`],
//! [`Anchor`], [`Buzz`] and [`HeadsetNews`]; and, for reports, [`HeadsetFigures`].
//!
//! - `runtime`: the connection with it; `start`: a renderer that it can use; `join`: it comes, or comes back, later
//! - `course`: what is to be done with the session next; decides only
//! - `session`: does it, in the main world; `word`: what it hears from the runtime
//! - `views`: which pictures an eye has, one, or two by `foveation`; `picture` with `swapchain`: what they are drawn into
//! - `frame`: draws, in the render world, with `depth` and `mask`, and gives it to the runtime as a `layer`
//! - `display`: the refresh rate, and what the lenses hide
//! - `room`: the person's own, behind the plant; `anchor`: what in it is to stay where it is
//! - `input` with `bindings`: actions; `palm`: the menu button of a bare hand; `pose`: poses of the runtime as transforms
//!
//! bevy_mod_openxr brings Vulkan's and wgpu's devices together, and its swapchains and layers are used; its start, session
//! and frame systems are not, because they ask once, panic when a runtime dies, and merge the states that must be told
//! apart (seen without input, and unseen).
//!
//! Blocked from outside: single-pass stereo by Bevy 0.19, whose every pipeline and pass has `multiview_mask: None`
//! (`grep multiview_mask` in bevy_render and bevy_core_pipeline finds nothing else); of the two ways to foveate the one by
//! density (XR_FB_foveation) by wgpu 29, which can neither attach a fragment density map nor set a shading rate, and on
//! Vulkan that extension is nothing but such maps. The other, by insets, is used where it is offered.

use bevy::prelude::*;
use bevy::render::extract_resource::ExtractResourcePlugin;
use bevy_mod_openxr::resources::OxrInstance;
use bevy_mod_xr::session::{XrFirst, XrHandleEvents};

/// The camera of one view: 0 the left eye's, 1 the right one's; 2 and 3 are the sharp insets in their middles, where the
/// runtime has such.
pub use bevy_mod_xr::camera::XrCamera as Eye;
/// Marks the entity whose transform places the tracking space in the world: its origin is on the floor below the person,
/// +Y up. Moving it moves the person; nothing else may.
pub use bevy_mod_xr::session::XrTrackingRoot as Rig;

mod anchor;
mod bindings;
mod course;
mod depth;
mod display;
mod figures;
mod foveation;
mod frame;
mod input;
mod join;
mod layer;
mod mask;
mod palm;
mod picture;
mod pose;
mod room;
mod runtime;
mod session;
mod start;
mod swapchain;
mod tracked;
mod views;
mod word;

pub use anchor::Anchor;
pub use course::HeadsetState;
pub use figures::{Fittings, HeadsetFigures, HeadsetReport, Timed};
pub use room::Room;
pub use runtime::{Runtime, XrUnavailable};
pub use session::eye_texture;
pub use start::{Found, add_to};
pub use tracked::{Buzz, EnterHeadset, Hand, HeadsetNews, Side, Tracked};

/// Keeps the session, its state and the person where the app can read them.
pub fn plugin(app: &mut App) {
    let is_there = app.world().contains_resource::<OxrInstance>();
    app.init_resource::<HeadsetState>()
        .init_resource::<Tracked>()
        .init_resource::<Anchor>()
        .insert_resource(if is_there { session::Headset::default() } else { session::Headset::looked_for() })
        .init_resource::<session::FrameNow>()
        .init_resource::<session::Trouble>()
        .init_resource::<session::Letting>()
        .init_resource::<HeadsetFigures>()
        .init_resource::<Room>()
        .add_message::<Buzz>()
        .add_message::<EnterHeadset>()
        .add_message::<HeadsetNews>()
        .add_plugins((
            ExtractResourcePlugin::<session::FrameNow>::default(),
            ExtractResourcePlugin::<session::Trouble>::default(),
            ExtractResourcePlugin::<session::Letting>::default(),
            ExtractResourcePlugin::<HeadsetFigures>::default(),
            ExtractResourcePlugin::<Room>::default(),
            frame::plugin,
        ))
        .add_systems(XrFirst, (session::attend, session::wait).chain().in_set(XrHandleEvents::FrameLoop))
        .add_systems(PostUpdate, session::look.before(TransformSystems::Propagate));
}
