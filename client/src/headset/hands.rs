//! The person's own hands and laser as they see them, and their body as the others get it.
//!
//! A hand is drawn by its 26 joints where they are tracked, else as a ball with a finger; controllers of no make in
//! particular, since none is shipped with the program.

use bevy::light::NotShadowCaster;
use bevy::prelude::*;
use gemba_net::{Pose, TrackedPoint};
use gemba_xr::{Hand, HeadsetFigures, HeadsetState, Rig, Side, Tracked};

use super::Seeing;
use super::front::FrontMaterial;
use super::point::pointed_by;
use crate::people::OwnBody;
use crate::pointer::{PointedBy, Pointers};
use crate::theme;

/// Length of a laser that meets nothing, metres.
const FAR: f32 = 30.0;
/// Joints of a hand in XR_EXT_hand_tracking.
const JOINTS: usize = 26;

/// What one hand is drawn with, in the rig's frame.
struct Drawn {
    side: Side,
    ball: Entity,
    laser: Entity,
    spot: Entity,
    joints: Vec<Entity>,
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
    let joint = meshes.add(Sphere::new(0.008).mesh().uv(8, 6));
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
            // Forward along the grip, and a little down: how a hand that holds something points.
            let forward = Transform::from_xyz(0.0, 0.0, -0.06).with_rotation(Quat::from_rotation_x(1.57));
            commands.entity(hand).with_child((Mesh3d(finger.clone()), MeshMaterial3d(skin.clone()), forward));
            Drawn { side, ball: hand, laser, spot, joints }
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
        let pointer = pointers.of(pointed_by(drawn.side));
        show(drawn.laser, pointer.map(|p| beam(p.ray, p.met.map(|met| met.place), rig.scale.x)));
        let spot = pointer.and_then(|p| p.met).map(|met| Transform::from_translation(met.place).with_scale(rig.scale));
        show(drawn.spot, spot);
    }
}

/// A cylinder of length 1 along Y, stretched from the hand to what it meets.
fn beam(ray: Ray3d, end: Option<Vec3>, thickness: f32) -> Transform {
    let end = end.unwrap_or(ray.get_point(FAR));
    let span = end - ray.origin;
    Transform {
        translation: (ray.origin + end) / 2.0,
        rotation: Quat::from_rotation_arc(Vec3::Y, span.normalize_or(Vec3::Y)),
        scale: Vec3::new(thickness, span.length().max(1e-3), thickness),
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
    let hand = |hand: &Hand| hand.grip.map(point);
    body.0 = tracked.head.filter(|_| state.is_seen()).map(|head| Pose {
        head: point(head),
        hands: [hand(tracked.hand(Side::Left)), hand(tracked.hand(Side::Right))],
        pointer: shown_pointer(&pointers),
    });
}

/// Others see one laser: of the hand that presses, else of the right one, else of the left.
fn shown_pointer(pointers: &Pointers) -> Option<[f32; 3]> {
    let hands = [PointedBy::RightHand, PointedBy::LeftHand].map(|by| pointers.of(by));
    let mut there = hands.iter().flatten();
    let pressed = there.clone().find(|pointer| pointer.is_pressed);
    let met = pressed.or_else(|| there.find(|pointer| pointer.met.is_some()))?.met?;
    Some(met.place.to_array())
}
