//! Sends what this person does: where they look, what they point at and what they have selected.

use std::collections::VecDeque;
use std::time::Duration;

use bevy::prelude::*;
use bevy_egui::EguiContexts;
use gemba_net::fingers::Fingers;
use gemba_net::telemetry::{Tags, Window};
use gemba_net::{LinkCommand, Pose, TrackedPoint, Want, limits};
use gemba_twin::path::ThingId;

use super::Connection;
use super::hosts::{ToldHosts, tell_hosts};
use crate::bodies::{Bodies, Deed};
use crate::camera::Gaze;
use crate::inspector::PlottedTags;
use crate::past::TellHost;
use crate::people::{LookingThrough, OwnBody};
use crate::schedule::Frame;
use crate::selection::Selection;
use crate::site::Site;
use crate::view::{PlantCamera, PlantView};

/// Poses a second that are offered to the link.
const POSE_INTERVAL: Duration = Duration::from_millis(50);

/// Between two samples of any tag: what the demo's gateway is told at, and shorter than the picture lies behind.
const ALL_MILLIS: u32 = 50;

/// Between two points of a curve: shorter than one of its pixels at the narrowest window.
const CURVE_MILLIS: u32 = 100;

/// The same of a body that a headset tracks: 90 Hz, as it does.
const TRACKED_INTERVAL: Duration = Duration::from_millis(11);

/// What the host was last told.
#[derive(Resource, Default)]
struct Told {
    selected: Option<Option<ThingId>>,
    to: Option<gemba_net::PeerNumber>,
    /// Whose eyes this person looks through.
    watched: Option<gemba_net::PeerNumber>,
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Told>().init_resource::<ToldHosts>().add_systems(
        Update,
        (tell_hosts, send_selection, send_wants, send_watched, send_pose, send_fingers, send_bodies, tell_host)
            .chain()
            .in_set(Frame::Send),
    );
}

fn send_selection(
    mut connection: ResMut<Connection>,
    mut told: ResMut<Told>,
    selection: Res<Selection>,
    site: Res<Site>,
) {
    if connection.me != told.to {
        // A new session knows nothing of what the old one was told.
        *told = Told { selected: None, to: connection.me, watched: None };
    }
    let selected = selection.0.and_then(|thing| site.standing(thing)).map(|standing| standing.id);
    if connection.me.is_none() || told.selected == Some(selected) {
        return;
    }
    let Some(link) = connection.link_mut() else { return };
    if link.send(LinkCommand::Select(selected)).is_ok() {
        told.selected = Some(selected);
    }
}

/// Every tag as often as a picture needs it, and those whose curves are shown with the extremes between.
fn send_wants(
    mut connection: ResMut<Connection>,
    plotted: Option<Res<PlottedTags>>,
    mut told: Local<Option<Vec<Want>>>,
) {
    let mut wants = vec![Want { tags: Tags::All, interval_millis: ALL_MILLIS, window: Window::Newest }];
    // Where there is no inspector there are no curves.
    if let Some(plotted) = plotted.filter(|plotted| !plotted.0.is_empty()) {
        let tags = Tags::These(plotted.0.clone());
        wants.push(Want { tags, interval_millis: CURVE_MILLIS, window: Window::Extremes });
    }
    let Some(link) = connection.link_mut().filter(|_| told.as_ref() != Some(&wants)) else { return };
    if link.send(LinkCommand::Subscribe(wants.clone())).is_ok() {
        *told = Some(wants);
    }
}

/// Whose eyes one looks through is to be told of first, however far away they are.
fn send_watched(mut connection: ResMut<Connection>, mut told: ResMut<Told>, looking: Res<LookingThrough>) {
    if connection.me.is_none() || told.watched == looking.whose() {
        return;
    }
    let Some(link) = connection.link_mut() else { return };
    if link.send(LinkCommand::Watch(looking.whose())).is_ok() {
        told.watched = looking.whose();
    }
}

/// What concerns the past. What the link does not take now it is given in the next frame, in the same order.
fn tell_host(
    mut connection: ResMut<Connection>,
    mut waiting: Local<VecDeque<LinkCommand>>,
    mut told: MessageReader<TellHost>,
) {
    waiting.extend(told.read().map(|told| match told {
        TellHost::Recall(recall) => LinkCommand::Recall(recall.clone()),
        TellHost::ShareInstant(instant) => LinkCommand::ShareInstant(*instant),
    }));
    let Some(link) = connection.link_mut() else { return waiting.clear() };
    while let Some(next) = waiting.front() {
        if link.send(next.clone()).is_err() {
            return;
        }
        waiting.pop_front();
    }
}

/// What this person does with bodies, in order. What the link does not take now it is given in the next frame; of where
/// something is carried only the newest.
fn send_bodies(mut connection: ResMut<Connection>, mut bodies: ResMut<Bodies>) {
    let Some(link) = connection.link_mut() else { return drop(bodies.bypass_change_detection().take_deeds()) };
    let mut deeds = bodies.bypass_change_detection().take_deeds().into_iter();
    while let Some(deed) = deeds.next() {
        let command = match deed {
            Deed::Grab(thing, from) => LinkCommand::GrabBody { thing, from },
            Deed::Move(thing, at) => LinkCommand::MoveBody { thing, at },
            Deed::Release(thing, at) => LinkCommand::ReleaseBody { thing, at },
        };
        if link.send(command).is_err() && !matches!(deed, Deed::Move(..)) {
            let left = std::iter::once(deed).chain(deeds.filter(|deed| !matches!(deed, Deed::Move(..))));
            return bodies.give_back(left.collect());
        }
    }
}

fn send_pose(
    mut contexts: EguiContexts,
    mut connection: ResMut<Connection>,
    mut since: Local<Duration>,
    gaze: Res<Gaze>,
    body: Res<OwnBody>,
    view: Res<PlantView>,
    time: Res<Time<Real>>,
    keys: Res<ButtonInput<KeyCode>>,
    camera: Single<(&Camera, &GlobalTransform), With<PlantCamera>>,
) -> Result {
    *since += time.delta();
    let interval = if body.pose.is_some() { TRACKED_INTERVAL } else { POSE_INTERVAL };
    if *since < interval || connection.me.is_none() {
        return Ok(());
    }
    *since = Duration::ZERO;
    let ctx = contexts.ctx_mut()?;
    // The laser pointer is on while Space is held: it goes where the mouse points.
    let pointing = keys.pressed(KeyCode::Space) && view.hovered && !ctx.egui_wants_keyboard_input();
    let (camera, transform) = *camera;
    let pointer = ctx.pointer_hover_pos().filter(|_| pointing).and_then(|at| {
        let ray = camera.viewport_to_world(transform, view.viewport_from_screen(at)).ok()?;
        let floor = ray.intersect_plane(Vec3::ZERO, InfinitePlane3d::new(Vec3::Y)).filter(|d| *d < gaze.distance * 3.0);
        Some(ray.get_point(floor.unwrap_or(gaze.distance)).to_array())
    });
    let head = TrackedPoint { place: gaze.eye.to_array(), rotation: gaze.rotation().to_array() };
    let pose = body.pose.clone().unwrap_or(Pose { head, hands: [None, None], pointer });
    if let Some(link) = connection.link_mut() {
        // A full queue drops this pose; the next one is newer anyway.
        let _ = link.send(LinkCommand::Pose(pose));
    }
    Ok(())
}

/// Fingers: as they move, now and then while they rest, and once that there are none.
fn send_fingers(
    mut connection: ResMut<Connection>,
    body: Res<OwnBody>,
    time: Res<Time<Real>>,
    mut told: Local<([Option<Fingers>; 2], Duration)>,
) {
    let (hands, at) = &mut *told;
    let (moving, resting) = limits::FINGERS_INTERVAL;
    let since = time.elapsed().saturating_sub(*at);
    let is_due = if body.fingers == *hands { *hands != [None, None] && since >= resting } else { since >= moving };
    if !is_due || connection.me.is_none() {
        return;
    }
    (*hands, *at) = (body.fingers, time.elapsed());
    if let Some(link) = connection.link_mut() {
        // A full queue drops this word; it is said again.
        let _ = link.send(LinkCommand::Fingers(*hands));
    }
}
