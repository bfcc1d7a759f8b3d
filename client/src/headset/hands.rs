//! The person's own hands and laser as they see them, and their body as the others get it.
//!
//! A hand is drawn by its 26 joints and the bones between them where they are tracked, else as a ball with a finger; controllers of no make in
//! particular, since none is shipped with the program.

use bevy::light::NotShadowCaster;
use bevy::prelude::*;
use gemba_net::{Pose, TrackedPoint};
use gemba_xr::{Hand, HeadsetFigures, HeadsetState, Rig, Side, Tracked};

use super::Seeing;
use super::fingers::{BONES, JOINTS, PALM, fingers_of};
use super::front::FrontMaterial;
use super::point::pointed_by;
use crate::beam;
use crate::people::OwnBody;
use crate::pointer::{PointedBy, Pointer, Pointers};
use crate::theme;

/// Length of a laser that meets nothing, metres.
const FAR: f32 = 30.0;

/// Radius of a joint and of the bones between, metres.
const BONE: f32 = 0.008;

/// What one hand is drawn with, in the rig's frame.
struct Drawn {
    side: Side,
    ball: Entity,
    laser: Entity,
    spot: Entity,
    joints: Vec<Entity>,
    bones: Vec<Entity>,
}

#[derive(Resource, Default)]
struct DrawnHands(Vec<Drawn>);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<DrawnHands>()
        .add_systems(Startup, make)
        .add_systems(Update, (draw, embody).chain().in_set(Seeing::Hands));
}

fn make(
    mut commands: Commands,
    mut hands: ResMut<DrawnHands>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<FrontMaterial>>,
) {
    let [r, g, b, _] = theme::ACCENT.to_array();
    let light = materials.add(FrontMaterial::light(Color::srgb_u8(r, g, b)));
    let skin = materials.add(FrontMaterial::hand(Color::srgb(0.8, 0.82, 0.85)));
    let ball = meshes.add(Sphere::new(0.035).mesh().uv(16, 10));
    let finger = meshes.add(Capsule3d::new(0.011, 0.06).mesh().longitudes(8).latitudes(4));
    let joint = meshes.add(Sphere::new(BONE).mesh().uv(8, 6));
    let bone = meshes.add(Cylinder::new(1.0, 1.0).mesh().resolution(8));
    let laser = meshes.add(Cylinder::new(0.0025, 1.0).mesh().resolution(6));
    let spot = meshes.add(Sphere::new(0.012).mesh().uv(10, 6));
    hands.0 = Side::BOTH
        .map(|side| {
            let mut part = |mesh: &Handle<Mesh>, material: &Handle<FrontMaterial>| {
                let look = (Mesh3d(mesh.clone()), MeshMaterial3d(material.clone()), NotShadowCaster);
                commands.spawn((look, Transform::default(), Visibility::Hidden)).id()
            };
            let (hand, laser, spot) = (part(&ball, &skin), part(&laser, &light), part(&spot, &light));
            let joints = (0..JOINTS).map(|_| part(&joint, &skin)).collect();
            let bones = BONES.iter().map(|_| part(&bone, &skin)).collect();
            // Forward along the grip, and a little down: how a hand that holds something points.
            let forward = Transform::from_xyz(0.0, 0.0, -0.06).with_rotation(Quat::from_rotation_x(1.57));
            commands.entity(hand).with_child((Mesh3d(finger.clone()), MeshMaterial3d(skin.clone()), forward));
            Drawn { side, ball: hand, laser, spot, joints, bones }
        })
        .into();
}

fn draw(
    hands: Res<DrawnHands>,
    tracked: Res<Tracked>,
    pointers: Res<Pointers>,
    rig: Single<&Transform, With<Rig>>,
    mut parts: Query<(&mut Transform, &mut Visibility), Without<Rig>>,
    figures: Res<HeadsetFigures>,
) {
    let _own = figures.timed();
    let mut show = |entity: Entity, place: Option<Transform>| {
        let Ok((mut transform, mut visibility)) = parts.get_mut(entity) else { return };
        visibility.set_if_neq(if place.is_some() { Visibility::Visible } else { Visibility::Hidden });
        if let Some(place) = place {
            transform.set_if_neq(place);
        }
    };
    for drawn in &hands.0 {
        let hand = tracked.hand(drawn.side);
        let has_joints = hand.joints.len() == JOINTS;
        show(drawn.ball, hand.grip.filter(|_| !has_joints).map(|grip| rig.mul_transform(grip)));
        for (at, joint) in drawn.joints.iter().enumerate() {
            show(*joint, hand.joints.get(at).filter(|_| has_joints).map(|place| rig.mul_transform(*place)));
        }
        for (bone, ends) in drawn.bones.iter().zip(BONES) {
            let place = |at: usize| rig.transform_point(hand.joints[at].translation);
            show(*bone, has_joints.then(|| beam::between(place(ends.0), place(ends.1), BONE * rig.scale.x)));
        }
        let pointer = pointers.of(pointed_by(drawn.side));
        let end = |p: &Pointer| p.met.map_or(p.ray.get_point(FAR), |met| met.place);
        show(drawn.laser, pointer.map(|p| beam::between(p.ray.origin, end(p), rig.scale.x)));
        let spot = pointer.and_then(|p| p.met).map(|met| Transform::from_translation(met.place).with_scale(rig.scale));
        show(drawn.spot, spot);
    }
}

/// The body that the others see. While the runtime's own menu has the hands, they have none here.
fn embody(
    mut body: ResMut<OwnBody>,
    state: Res<HeadsetState>,
    tracked: Res<Tracked>,
    pointers: Res<Pointers>,
    rig: Single<&Transform, With<Rig>>,
) {
    let point = |place: Transform| {
        let place = rig.mul_transform(place);
        TrackedPoint { place: place.translation.to_array(), rotation: place.rotation.to_array() }
    };
    // Of a hand whose joints are known others see the palm with its fingers, else what the hand holds.
    let hand = |hand: &Hand| {
        let palm = hand.joints.get(PALM).filter(|_| hand.joints.len() == JOINTS).copied();
        hand.grip.map(|grip| point(palm.unwrap_or(grip)))
    };
    body.pose = tracked.head.filter(|_| state.is_seen()).map(|head| Pose {
        head: point(head),
        hands: tracked.hands.each_ref().map(hand),
        pointer: shown_pointer(&pointers),
    });
    let bent = |hand: &Hand| hand.grip.and_then(|_| fingers_of(&hand.joints));
    body.fingers = if body.pose.is_some() { tracked.hands.each_ref().map(bent) } else { [None, None] };
}

/// Others see one laser: of the hand that presses, else of the right one, else of the left.
fn shown_pointer(pointers: &Pointers) -> Option<[f32; 3]> {
    let hands = [PointedBy::RightHand, PointedBy::LeftHand].map(|by| pointers.of(by));
    let mut there = hands.iter().flatten();
    let pressed = there.clone().find(|pointer| pointer.is_pressed);
    let met = pressed.or_else(|| there.find(|pointer| pointer.met.is_some()))?.met?;
    Some(met.place.to_array())
}
