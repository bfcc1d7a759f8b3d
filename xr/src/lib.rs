//! The headset, through OpenXR (bevy_mod_openxr). Switched on by `--xr`: [`probe`] says whether there is one, before
//! the app is built; [`add_to`] puts it under the app; [`plugin`] gives the app what it needs to show the plant there.
//!
//! Absent so far: controllers and hands as tools, menus, locomotion, comfort, and reattaching after a runtime has died;
//! bevy_mod_openxr contacts the runtime once, at the start. No other crate names OpenXR.

use bevy::app::PluginGroupBuilder;
use bevy::prelude::*;
use bevy_mod_xr::session::{XrState, XrStateChanged};

/// The camera of one eye.
pub use bevy_mod_xr::camera::XrCamera as Eye;
/// Marks the entity whose transform places the tracking space in the world: its origin is on the floor below the person,
/// +Y up. Moving it moves the person; nothing else may.
pub use bevy_mod_xr::session::XrTrackingRoot as Rig;

mod runtime;

pub use runtime::{Runtime, XrUnavailable, probe};

/// How the session with the headset stands.
#[derive(Resource, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HeadsetState {
    /// Not yet, or no longer: the desktop goes on.
    #[default]
    Away,
    /// The runtime is there and the session is beginning or ending.
    Changing,
    /// The person sees the plant.
    Running,
}

/// Puts OpenXR under the app: Bevy's renderer is then made by the runtime's wishes. Call only after a [`probe`] that
/// found a headset.
pub fn add_to(plugins: PluginGroupBuilder) -> PluginGroupBuilder {
    // The head's pose is read right before rendering; a frame of pipelining would make it a frame old.
    let plugins = plugins.disable::<bevy::render::pipelined_rendering::PipelinedRenderingPlugin>();
    bevy_mod_openxr::add_xr_plugins(plugins)
}

/// Keeps the session's state where the app can read it.
pub fn plugin(app: &mut App) {
    app.init_resource::<HeadsetState>().add_systems(PreUpdate, note_state.run_if(resource_exists::<XrState>));
}

fn note_state(mut changes: MessageReader<XrStateChanged>, mut state: ResMut<HeadsetState>) {
    for XrStateChanged(change) in changes.read() {
        let now = headset_state(*change);
        info!("headset: {change:?}");
        state.set_if_neq(now);
    }
}

fn headset_state(state: XrState) -> HeadsetState {
    match state {
        XrState::Running => HeadsetState::Running,
        XrState::Unavailable | XrState::Available => HeadsetState::Away,
        _ => HeadsetState::Changing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_running_session_counts_as_being_in_the_headset() {
        assert_eq!(headset_state(XrState::Running), HeadsetState::Running);
        assert_eq!(headset_state(XrState::Available), HeadsetState::Away);
        assert_eq!(headset_state(XrState::Idle), HeadsetState::Changing);
    }
}
