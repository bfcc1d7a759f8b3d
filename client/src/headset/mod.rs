//! In the headset: the person stands on the plant's floor where the desktop's camera was, and each eye sees the plant in
//! the same light as the desktop does. Added only when `--xr` has found a headset.
//!
//! - `moving` under a `comfort`: teleport, turning, sliding; `posture`: seated or standing, and the scale; `footing`: where
//!   there is room to stand
//! - `rays`: where a way meets the plant
//! - `point`: what the hands point at, and selecting it
//! - `carry`: boxes and parts in the hand
//! - `hands`: the person's own hands and laser, and what the others get to see of them
//! - `front`: what belongs to the person is never hidden by the plant
//! - `bar`: tools, turning, scale, comfort and posture as buttons, for one hand
//! - `panel`: the desktop's panels, curved around the person; `nearness`: before what stands in its way; `keyboard`: keys
//!   over it; `cards`: pinned inspectors, each beside its machine
//! - `sheet`: the shape of either; `hold`: what holds it; `touch` and `press`: fingers and lasers on it
//! - `words`: names of people, what is pointed at, distances, in the plant
//! - `notices`: what must not be missed while the panel is closed
//! - `visit`: going to what the panels name
//! - `room`: the plant on a table in the person's own room
//! - `eyes`: what each eye sees, as files, for tests; `written`: what the panel reads, for the same
//! - `figures`: what all this costs, for the report
//!
//! While the headset is worn the desktop window stands still: drawing the plant a third time is dear.

use bevy::core_pipeline::tonemapping::Tonemapping;
use bevy::light::{EnvironmentMapLight, ShadowFilteringMethod};
use bevy::prelude::*;
use bevy::render::view::NoIndirectDrawing;
use gemba_xr::{Eye, HeadsetNews, HeadsetState, Rig, Tracked};

use crate::camera::Gaze;
use crate::mirror::ThingEntities;
use crate::problems::Problems;
use crate::quality::Quality;
use crate::schedule::Frame;
use crate::view::PlantCamera;

mod bar;
mod cards;
mod carry;
mod comfort;
mod eyes;
mod figures;
mod fingers;
mod footing;
mod front;
mod hands;
mod hold;
mod keyboard;
mod moving;
mod nearness;
mod notices;
mod panel;
mod point;
mod posture;
mod press;
mod rays;
mod room;
mod sheet;
mod touch;
mod visit;
mod words;
mod written;

pub(crate) use eyes::EyeFiles;

pub(crate) fn plugin(app: &mut App) {
    app.add_plugins((gemba_xr::plugin, front::plugin, notices::plugin))
        .add_plugins((
            comfort::plugin,
            moving::plugin,
            posture::plugin,
            bar::plugin,
            point::plugin,
            (panel::plugin, cards::plugin),
            words::plugin,
            keyboard::plugin,
            hands::plugin,
            carry::plugin,
            eyes::plugin,
            figures::plugin,
            room::plugin,
            visit::plugin,
            written::plugin,
        ))
        .init_resource::<Stood>()
        .configure_sets(Update, Doing::all().chain().in_set(Frame::Hands))
        .configure_sets(Update, Seeing::all().chain().in_set(Frame::Worn))
        .add_systems(Update, (tell, stand).chain().in_set(Doing::Enter))
        .add_systems(Update, (open_eyes, rest_desktop, spare_shadows).chain().in_set(Seeing::Eyes));
}

/// What the person does, in the order it is found out: where they are, what they point at from there, what that means.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Doing {
    /// They come into the plant.
    Enter,
    /// They choose how they are moved.
    Choose,
    /// They go, and turn.
    Move,
    /// They sit down, or grow.
    Become,
    /// The plant comes onto their table, or they go back into it.
    Table,
    /// Pointers are written.
    Point,
    /// The panel takes those that are on it.
    Cover,
    /// What they press in the plant is asked for.
    Press,
    /// What they hold is carried along.
    Carry,
    /// They go to where they have pressed: what was pointed at was so from where they stood.
    Go,
    /// They are brought before what the panels name.
    Visit,
}

impl Doing {
    fn all() -> (Self, Self, Self, Self, Self, Self, Self, Self, Self, Self, Self) {
        use Doing::{Become, Carry, Choose, Cover, Enter, Go, Move, Point, Press, Table, Visit};
        (Enter, Choose, Move, Become, Table, Point, Cover, Press, Carry, Go, Visit)
    }
}

/// What the person sees, the farthest first.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Seeing {
    /// New eyes are opened, and those of the desktop closed.
    Eyes,
    /// The room around them, where the plant is on a table.
    Room,
    /// The panels have a place to be drawn.
    Panel,
    /// Where a teleport would go.
    Arc,
    /// Their own hands and body.
    Hands,
    /// Words.
    Words,
    /// What is right before the eyes.
    Rim,
}

impl Seeing {
    fn all() -> (Self, Self, Self, Self, Self, Self, Self) {
        use Seeing::{Arc, Eyes, Hands, Panel, Rim, Room, Words};
        (Eyes, Room, Panel, Arc, Hands, Words, Rim)
    }
}

/// What happened to the session, where people read what went wrong.
fn tell(mut news: MessageReader<HeadsetNews>, mut problems: ResMut<Problems>) {
    news.read().for_each(|HeadsetNews(what)| problems.note(what.clone()));
}

/// A new eye sees as the plant camera does.
fn open_eyes(
    mut commands: Commands,
    quality: Res<Quality>,
    eyes: Query<Entity, Added<Eye>>,
    environment: Option<Single<&EnvironmentMapLight, With<PlantCamera>>>,
) {
    for eye in &eyes {
        commands.entity(eye).insert((
            // A frame that differs from its neighbours is worse in an eye than anywhere: see `view`.
            NoIndirectDrawing,
            if quality.multisample { Msaa::Sample4 } else { Msaa::Off },
            if quality.cheap { Tonemapping::None } else { Tonemapping::AgX },
            if quality.cheap { ShadowFilteringMethod::Hardware2x2 } else { ShadowFilteringMethod::Gaussian },
        ));
        if let Some(environment) = &environment {
            commands.entity(eye).insert((**environment).clone());
        }
    }
}

/// The desktop's picture of the plant rests while the person looks through the headset.
fn rest_desktop(state: Res<HeadsetState>, mut camera: Single<&mut Camera, With<PlantCamera>>) {
    let is_active = !state.is_seen();
    if camera.is_active != is_active {
        camera.is_active = is_active;
    }
}

/// Each eye would have a shadow map of its own, with all of the plant drawn into it: more than a software renderer can do at
/// the rate of any display.
fn spare_shadows(state: Res<HeadsetState>, quality: Res<Quality>, mut lights: Query<&mut DirectionalLight>) {
    let has_shadows = quality.shadow_texels.is_some() && !(quality.cheap && state.is_seen());
    for mut light in &mut lights {
        if light.shadow_maps_enabled != has_shadows {
            light.shadow_maps_enabled = has_shadows;
        }
    }
}

/// Whether the person has been put into the plant; it stays so when the headset is lost and comes back.
#[derive(Resource, Default)]
struct Stood(bool);

/// Frames in which the desktop's camera turns to a plant that has come: as long as messages live, and the one it turns in.
const TURNING_FRAMES: u8 = 3;

/// Puts the rig on the floor in front of what the desktop looks at, when the person enters and the plant is there.
fn stand(
    mut frames: Local<u8>,
    mut stood: ResMut<Stood>,
    state: Res<HeadsetState>,
    gaze: Res<Gaze>,
    things: Res<ThingEntities>,
    surfaces: footing::Surfaces,
    tracked: Res<Tracked>,
    posture: Res<posture::Posture>,
    mut rig: Single<&mut Transform, With<Rig>>,
) {
    let Some((lowest, _)) = things.plant.filter(|_| !stood.0) else { return };
    *frames = frames.saturating_add(1);
    if *frames <= TURNING_FRAMES || !state.is_seen() {
        return;
    }
    let Some(head) = tracked.head else { return };
    stood.0 = true;
    let place = gaze.pivot() - gaze.forward().with_y(0.0).normalize_or(Vec3::NEG_Z) * 4.0;
    **rig = Transform::from_translation(place.with_y(lowest.y)).with_rotation(Quat::from_rotation_y(gaze.yaw));
    posture::settle(&posture, &mut rig, head, &surfaces);
}
