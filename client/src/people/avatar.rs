//! Avatars: a head with a visor, shoulders below it, hands where a headset tracks them, a name (drawn by the labels), and
//! the laser pointer. The pose
//! shown lies a little in the past, between the two newest that arrived, so that motion is smooth at 20 poses a second.

use std::collections::BTreeMap;

use bevy::light::NotShadowCaster;
use bevy::prelude::*;
use gemba_net::{Pose, TrackedPoint};
use gemba_twin::peer::PeerKind;

use super::{People, Person};
use crate::readings::Readings;
use crate::schedule::Frame;
use crate::theme;

/// The picture of a person lies this far behind the newest pose, microseconds: one pose interval at 20 Hz and a half.
const DELAY_MICROS: i64 = 75_000;

/// Shapes that all avatars share.
#[derive(Resource)]
struct Shapes {
    head: Handle<Mesh>,
    visor: Handle<Mesh>,
    palm: Handle<Mesh>,
    finger: Handle<Mesh>,
    body: Handle<Mesh>,
    beam: Handle<Mesh>,
    visor_material: Handle<StandardMaterial>,
}

/// The entities that draw one person.
#[derive(Clone, Copy)]
struct Avatar {
    head: Entity,
    hands: [Entity; 2],
    beam: Entity,
}

#[derive(Resource, Default)]
struct Avatars(BTreeMap<u16, Avatar>);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Avatars>()
        .add_systems(Startup, make_shapes)
        .add_systems(Update, (come_and_go, place).chain().in_set(Frame::Present));
}

fn make_shapes(
    mut commands: Commands,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<StandardMaterial>>,
) {
    commands.insert_resource(Shapes {
        head: meshes.add(Sphere::new(0.13).mesh().ico(3).unwrap_or_else(|_| Sphere::new(0.13).mesh().uv(16, 10))),
        visor: meshes.add(Cuboid::new(0.2, 0.075, 0.07)),
        palm: meshes.add(Cuboid::new(0.085, 0.035, 0.11)),
        finger: meshes.add(Cuboid::new(0.022, 0.022, 0.085)),
        body: meshes.add(ConicalFrustum { radius_top: 0.09, radius_bottom: 0.24, height: 0.5 }),
        beam: meshes.add(Cylinder::new(0.008, 1.0).mesh().resolution(6)),
        visor_material: materials.add(StandardMaterial {
            base_color: Color::srgb(0.05, 0.06, 0.08),
            perceptual_roughness: 0.2,
            ..default()
        }),
    });
}

/// Spawns avatars for who came and removes those of who left.
fn come_and_go(
    mut commands: Commands,
    mut avatars: ResMut<Avatars>,
    mut materials: ResMut<Assets<StandardMaterial>>,
    people: Res<People>,
    shapes: Res<Shapes>,
) {
    avatars.0.retain(|number, avatar| {
        let here = people.0.contains_key(number);
        if !here {
            commands.entity(avatar.head).despawn();
            avatar.hands.iter().for_each(|hand| commands.entity(*hand).despawn());
            commands.entity(avatar.beam).despawn();
        }
        here
    });
    for (number, person) in people.0.iter().filter(|(_, p)| p.info.kind == PeerKind::Person && p.poses[1].is_some()) {
        if avatars.0.contains_key(number) {
            continue;
        }
        avatars.0.insert(*number, spawn(&mut commands, &mut materials, &shapes, person));
    }
}

fn spawn(
    commands: &mut Commands,
    materials: &mut Assets<StandardMaterial>,
    shapes: &Shapes,
    person: &Person,
) -> Avatar {
    let [r, g, b, _] = theme::person_colour(&person.info.key).to_array();
    let colour = Color::srgb_u8(r, g, b);
    let skin = materials.add(StandardMaterial { base_color: colour, perceptual_roughness: 0.6, ..default() });
    let light = materials.add(StandardMaterial { base_color: colour, unlit: true, ..default() });
    let head = commands
        .spawn((Mesh3d(shapes.head.clone()), MeshMaterial3d(skin.clone()), Transform::default()))
        .with_child((
            Mesh3d(shapes.visor.clone()),
            MeshMaterial3d(shapes.visor_material.clone()),
            Transform::from_xyz(0.0, 0.02, -0.1),
        ))
        .with_child((Mesh3d(shapes.body.clone()), MeshMaterial3d(skin.clone()), Transform::from_xyz(0.0, -0.42, 0.03)))
        .id();
    let hands = [(); 2].map(|()| {
        let palm = (Mesh3d(shapes.palm.clone()), MeshMaterial3d(skin.clone()), Transform::default());
        let finger =
            (Mesh3d(shapes.finger.clone()), MeshMaterial3d(skin.clone()), Transform::from_xyz(0.0, 0.0, -0.09));
        commands.spawn((palm, Visibility::Hidden)).with_child(finger).id()
    });
    let beam = commands
        .spawn((
            Mesh3d(shapes.beam.clone()),
            MeshMaterial3d(light),
            Transform::default(),
            Visibility::Hidden,
            NotShadowCaster,
        ))
        .id();
    Avatar { head, hands, beam }
}

/// Puts every avatar where its person was a moment ago.
fn place(
    avatars: Res<Avatars>,
    people: Res<People>,
    readings: Res<Readings>,
    mut transforms: Query<(&mut Transform, &mut Visibility)>,
) {
    let shown = readings.live_now().plus_micros(-DELAY_MICROS);
    for (number, avatar) in &avatars.0 {
        let Some(person) = people.0.get(number) else { continue };
        let Some((place, rotation)) = point_at(&person.poses, shown, |pose| Some(pose.head)) else { continue };
        let hands = [0, 1].map(|side: usize| point_at(&person.poses, shown, |pose| pose.hands[side]));
        for (hand, at) in avatar.hands.iter().zip(hands) {
            let Ok((mut transform, mut visibility)) = transforms.get_mut(*hand) else { continue };
            visibility.set_if_neq(if at.is_some() { Visibility::Inherited } else { Visibility::Hidden });
            if let Some((place, rotation)) = at {
                transform.set_if_neq(Transform::from_translation(place).with_rotation(rotation));
            }
        }
        if let Ok((mut transform, _)) = transforms.get_mut(avatar.head) {
            transform.set_if_neq(Transform::from_translation(place).with_rotation(rotation));
        }
        let Ok((mut transform, mut visibility)) = transforms.get_mut(avatar.beam) else { continue };
        let target = person.poses[1].as_ref().and_then(|(_, pose)| pose.pointer).map(Vec3::from);
        visibility.set_if_neq(if target.is_some() { Visibility::Inherited } else { Visibility::Hidden });
        if let Some(target) = target {
            // From a hand, or from its height, so that the beam does not blind who it belongs to.
            let hand = hands[1].or(hands[0]).map(|(place, _)| place);
            let from = hand.unwrap_or(place + rotation * Vec3::new(0.18, -0.25, -0.1));
            transform.set_if_neq(beam(from, target));
        }
    }
}

/// A cylinder of length 1 along Y, stretched between two points.
fn beam(from: Vec3, to: Vec3) -> Transform {
    let span = to - from;
    Transform {
        translation: (from + to) / 2.0,
        rotation: Quat::from_rotation_arc(Vec3::Y, span.normalize_or(Vec3::Y)),
        scale: Vec3::new(1.0, span.length().max(1e-3), 1.0),
    }
}

/// Place and rotation of head or hand at an instant: between the two poses, never beyond the newer one.
fn point_at(
    poses: &[Option<(gemba_twin::sample::Timestamp, Pose)>; 2],
    at: gemba_twin::sample::Timestamp,
    part: impl Fn(&Pose) -> Option<TrackedPoint>,
) -> Option<(Vec3, Quat)> {
    let of = |pose: &Pose| part(pose).map(|p| (Vec3::from(p.place), Quat::from_array(p.rotation).normalize()));
    let (newer_at, newer) = poses[1].as_ref()?;
    let (newer_place, newer_rotation) = of(newer)?;
    let older = poses[0].as_ref().and_then(|(at, pose)| Some((at, of(pose)?)));
    let Some((older_at, (older_place, older_rotation))) = older else { return Some((newer_place, newer_rotation)) };
    let span = newer_at.micros_since(*older_at).max(1) as f32;
    let along = (at.micros_since(*older_at) as f32 / span).clamp(0.0, 1.0);
    Some((older_place.lerp(newer_place, along), older_rotation.slerp(newer_rotation, along)))
}
