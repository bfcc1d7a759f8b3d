//! Avatars: a head with a visor, a trunk below it, hands and arms where a headset tracks the hands, a name (drawn by the labels), and
//! the laser pointer. They
//! are shown a little in the past ([`crate::playing`]), between two poses that arrived, so that motion is smooth.

use std::collections::BTreeMap;

use bevy::light::NotShadowCaster;
use bevy::prelude::*;
use gemba_net::body::Playback;
use gemba_twin::peer::PeerKind;

use super::posture::Posture;
use super::{LookingThrough, People, Person, trace};
use crate::beam;
use crate::playing::{Playing, TICKS};
use crate::schedule::Frame;
use crate::theme;

/// Middle of the trunk's shape below the neck's root, metres.
const TRUNK: f32 = -0.25;

/// Shapes that all avatars share.
#[derive(Resource)]
struct Shapes {
    head: Handle<Mesh>,
    visor: Handle<Mesh>,
    palm: Handle<Mesh>,
    pointing: Handle<Mesh>,
    body: Handle<Mesh>,
    upper_arm: Handle<Mesh>,
    forearm: Handle<Mesh>,
    beam: Handle<Mesh>,
    visor_material: Handle<StandardMaterial>,
}

/// The entities that draw one hand.
pub(super) struct HandEntities {
    /// What all else of it hangs on.
    pub(super) palm: Entity,
    /// The finger of a hand whose fingers are not told.
    pub(super) pointing: Entity,
    pub(super) skin: Handle<StandardMaterial>,
}

/// The entities that draw one person.
struct Avatar {
    head: Entity,
    trunk: Entity,
    hands: [HandEntities; 2],
    /// Upper arm and forearm of each.
    arms: [[Entity; 2]; 2],
    beam: Entity,
}

impl Avatar {
    fn entities(&self) -> impl Iterator<Item = Entity> {
        [self.head, self.trunk, self.beam]
            .into_iter()
            .chain(self.hands.each_ref().map(|hand| hand.palm))
            .chain(self.arms.into_iter().flatten())
    }
}

#[derive(Resource, Default)]
pub(super) struct Avatars(BTreeMap<u16, Avatar>);

impl Avatars {
    /// The heads that are drawn, by the numbers of their persons.
    pub(super) fn heads(&self) -> impl Iterator<Item = (u16, Entity)> {
        self.0.iter().map(|(number, avatar)| (*number, avatar.head))
    }

    /// Left and right hand of everyone, by the numbers of their persons.
    pub(super) fn hands(&self) -> impl Iterator<Item = (u16, &[HandEntities; 2])> {
        self.0.iter().map(|(number, avatar)| (*number, &avatar.hands))
    }
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Avatars>()
        .init_resource::<trace::AvatarTrace>()
        .add_systems(Startup, (make_shapes, trace::add_to_report))
        .add_systems(Update, (come_and_go, place, trace::note).chain().in_set(Frame::Present));
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
        pointing: meshes.add(Cuboid::new(0.022, 0.022, 0.085)),
        body: meshes.add(ConicalFrustum { radius_top: 0.09, radius_bottom: 0.24, height: 0.5 }),
        upper_arm: meshes.add(Cylinder::new(0.045, 1.0).mesh().resolution(10)),
        forearm: meshes.add(ConicalFrustum { radius_top: 0.03, radius_bottom: 0.042, height: 1.0 }),
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
            avatar.entities().for_each(|entity| commands.entity(entity).despawn());
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
        .id();
    let body = (Mesh3d(shapes.body.clone()), MeshMaterial3d(skin.clone()), Transform::from_xyz(0.0, TRUNK, 0.0));
    let trunk = commands.spawn((Transform::default(), Visibility::Inherited)).with_child(body).id();
    let mut limb = |shape: &Handle<Mesh>| {
        let limb = (Mesh3d(shape.clone()), MeshMaterial3d(skin.clone()), Transform::default());
        commands.spawn((limb, Visibility::Hidden)).id()
    };
    let arms = [(); 2].map(|()| [limb(&shapes.upper_arm), limb(&shapes.forearm)]);
    let hands = [(); 2].map(|()| {
        let palm = (Mesh3d(shapes.palm.clone()), MeshMaterial3d(skin.clone()), Transform::default());
        let palm = commands.spawn((palm, Visibility::Hidden)).id();
        let ahead = Transform::from_xyz(0.0, 0.0, -0.09);
        let pointing = (Mesh3d(shapes.pointing.clone()), MeshMaterial3d(skin.clone()), ahead, ChildOf(palm));
        HandEntities { palm, pointing: commands.spawn(pointing).id(), skin: skin.clone() }
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
    Avatar { head, trunk, hands, arms, beam }
}

/// Puts every avatar where its person was a moment ago.
pub(super) fn place(
    avatars: Res<Avatars>,
    people: Res<People>,
    playing: Res<Playing>,
    looking: Res<LookingThrough>,
    mut transforms: Query<(&mut Transform, &mut Visibility)>,
) {
    let tick = playing.shown();
    for (number, avatar) in &avatars.0 {
        let Some(person) = people.0.get(number) else { continue };
        let Some((place, rotation)) = shown(&person.head, tick) else { continue };
        let hands = [0, 1].map(|side: usize| shown(&person.hands[side], tick));
        for (hand, at) in avatar.hands.iter().zip(hands) {
            let Ok((mut transform, mut visibility)) = transforms.get_mut(hand.palm) else { continue };
            visibility.set_if_neq(if at.is_some() { Visibility::Inherited } else { Visibility::Hidden });
            if let Some((place, rotation)) = at {
                transform.set_if_neq(Transform::from_translation(place).with_rotation(rotation));
            }
        }
        stand(avatar, &Posture::of((place, rotation), hands), &mut transforms);
        if let Ok((mut transform, mut visibility)) = transforms.get_mut(avatar.head) {
            // Through their own eyes nobody sees their head from within.
            let is_ours = looking.whose().is_some_and(|whose| whose.0 == *number);
            visibility.set_if_neq(if is_ours { Visibility::Hidden } else { Visibility::Inherited });
            transform.set_if_neq(Transform::from_translation(place).with_rotation(rotation));
        }
        let Ok((mut transform, mut visibility)) = transforms.get_mut(avatar.beam) else { continue };
        let target = person.poses[1].as_ref().and_then(|(_, pose)| pose.pointer).map(Vec3::from);
        visibility.set_if_neq(if target.is_some() { Visibility::Inherited } else { Visibility::Hidden });
        if let Some(target) = target {
            // From a hand, or from its height, so that the beam does not blind who it belongs to.
            let hand = hands[1].or(hands[0]).map(|(place, _)| place);
            let from = hand.unwrap_or(place + rotation * Vec3::new(0.18, -0.25, -0.1));
            transform.set_if_neq(beam::between(from, target, 1.0));
        }
    }
}

/// Trunk and arms as the posture has them.
fn stand(avatar: &Avatar, posture: &Posture, transforms: &mut Query<(&mut Transform, &mut Visibility)>) {
    if let Ok((mut transform, _)) = transforms.get_mut(avatar.trunk) {
        let (neck, turn) = posture.trunk;
        transform.set_if_neq(Transform::from_translation(neck).with_rotation(turn));
    }
    for (limbs, arm) in avatar.arms.iter().zip(posture.arms) {
        let bones = arm.map(|arm| [(arm.shoulder, arm.elbow), (arm.elbow, arm.hand)]);
        for (number, limb) in limbs.iter().enumerate() {
            let Ok((mut transform, mut visibility)) = transforms.get_mut(*limb) else { continue };
            visibility.set_if_neq(if bones.is_some() { Visibility::Inherited } else { Visibility::Hidden });
            if let Some(bones) = bones {
                let (from, to) = bones[number];
                transform.set_if_neq(beam::between(from, to, 1.0));
            }
        }
    }
}

/// Where head or hand is shown.
fn shown(playback: &Playback, tick: Option<f64>) -> Option<(Vec3, Quat)> {
    let at = playback.behind(tick.unwrap_or(f64::MAX), TICKS)?;
    let [x, y, z] = at.place.map(|c| c as f32);
    Some((Vec3::new(x, y, z), Quat::from_array(at.rotation.map(|c| c as f32)).normalize()))
}
