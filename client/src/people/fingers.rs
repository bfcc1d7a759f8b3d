//! Fingers of who is near: bones of a middling hand, as long as the person's own middle finger says, bent as they were told
//! last. They ease from word to word, for words come seldomer than frames. Who tells of none has one finger that points.

use std::collections::BTreeMap;
use std::time::Duration;

use bevy::prelude::*;
use gemba_net::fingers::Fingers;
use gemba_net::limits;

use super::avatar::{self, Avatars, HandEntities};
use super::{People, trace};
use crate::schedule::Frame;

/// Seconds in which a finger goes two thirds of the way to where it was told to be.
const EASE_SECS: f32 = 0.05;
/// From the middle finger's knuckle to its tip in the hand below, metres.
const MIDDLE: f32 = 0.099;
/// How much smaller or larger than that hands are drawn, whatever is told.
const SIZES: (f32, f32) = (0.6, 1.4);

/// A finger of a middling right hand, palm frame, metres: where it begins, how long its three bones are, how thick it is.
struct Measures {
    knuckle: Vec3,
    bones: [f32; 3],
    radius: f32,
}

/// Thumb first. After the means that ergonomists give for adults (ISO/TR 7250-2), rounded.
const HAND: [Measures; 5] = [
    Measures { knuckle: Vec3::new(-0.028, -0.008, 0.022), bones: [0.046, 0.034, 0.028], radius: 0.0105 },
    Measures { knuckle: Vec3::new(-0.026, 0.0, -0.044), bones: [0.042, 0.025, 0.022], radius: 0.0085 },
    Measures { knuckle: Vec3::new(-0.003, 0.002, -0.047), bones: [0.046, 0.029, 0.024], radius: 0.009 },
    Measures { knuckle: Vec3::new(0.018, 0.0, -0.042), bones: [0.043, 0.027, 0.024], radius: 0.0085 },
    Measures { knuckle: Vec3::new(0.036, -0.003, -0.034), bones: [0.034, 0.020, 0.021], radius: 0.0075 },
];

/// What was heard of one person's fingers.
#[derive(Debug, Clone, Default)]
pub struct HeardFingers {
    /// The number of the newest word, and when it came.
    newest: Option<(u16, Duration)>,
    hands: [Option<Fingers>; 2],
}

impl HeardFingers {
    /// A word came; one that is older than the newest says nothing.
    pub fn hear(&mut self, number: u16, hands: [Option<Fingers>; 2], now: Duration) {
        if self.newest.is_none_or(|(newest, _)| number.wrapping_sub(newest).cast_signed() > 0) {
            (self.newest, self.hands) = (Some((number, now)), hands);
        }
    }

    /// Left and right; none of a hand of which nothing was heard for a while.
    pub fn hands(&self, now: Duration) -> [Option<Fingers>; 2] {
        let is_known = self.newest.is_some_and(|(_, at)| now.saturating_sub(at) < limits::FINGERS_SILENCE);
        if is_known { self.hands } else { [None, None] }
    }
}

/// How far each finger is bent in its two outer joints together, degrees, thumb first.
pub fn bends(fingers: &Fingers) -> [u16; 5] {
    fingers.bones().map(|bones| {
        let [first, second, last] = bones.map(Vec3::from);
        (first.angle_between(second) + second.angle_between(last)).to_degrees().round() as u16
    })
}

/// The bones of one hand as they are drawn.
struct Drawn {
    bones: [[Entity; 3]; 5],
    /// Where they point, palm frame.
    shown: [[Vec3; 3]; 5],
    is_visible: bool,
}

/// Of each hand that ever told of fingers, by its palm.
#[derive(Resource, Default)]
struct DrawnFingers(BTreeMap<Entity, Drawn>);

/// Shapes of all bones, which point along +Y.
#[derive(Resource)]
struct BoneShapes([[Handle<Mesh>; 3]; 5]);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<DrawnFingers>()
        .add_systems(Startup, make_shapes)
        .add_systems(Update, bend.after(avatar::place).before(trace::note).in_set(Frame::Present));
}

fn make_shapes(mut commands: Commands, mut meshes: ResMut<Assets<Mesh>>) {
    let bone = |radius: f32, length: f32| Capsule3d::new(radius, length).mesh().longitudes(8).latitudes(4).build();
    let shapes = HAND.each_ref().map(|finger| finger.bones.map(|length| meshes.add(bone(finger.radius, length))));
    commands.insert_resource(BoneShapes(shapes));
}

/// Draws what has been told of fingers.
fn bend(
    mut commands: Commands,
    mut drawn: ResMut<DrawnFingers>,
    avatars: Res<Avatars>,
    people: Res<People>,
    shapes: Res<BoneShapes>,
    time: Res<Time<Real>>,
    mut parts: Query<(&mut Transform, &mut Visibility)>,
) {
    drawn.0.retain(|palm, _| parts.contains(*palm));
    let ease = 1.0 - (-time.delta_secs() / EASE_SECS).exp();
    for (number, hands) in avatars.hands() {
        let Some(person) = people.0.get(&number) else { continue };
        for (side, (hand, fingers)) in hands.iter().zip(person.fingers.hands(time.elapsed())).enumerate() {
            let Some(drawn) = (match (drawn.0.get_mut(&hand.palm), fingers) {
                (None, None) => None,
                (Some(drawn), _) => Some(drawn),
                (None, Some(_)) => {
                    drawn.0.insert(hand.palm, spawn(&mut commands, &shapes, hand));
                    // Its entities are there from the next frame on.
                    None
                }
            }) else {
                continue;
            };
            drawn.show(fingers, hand, side, ease, &mut parts);
        }
    }
}

fn spawn(commands: &mut Commands, shapes: &BoneShapes, hand: &HandEntities) -> Drawn {
    let bones = shapes.0.each_ref().map(|finger| {
        finger.each_ref().map(|shape| {
            let look = (Mesh3d(shape.clone()), MeshMaterial3d(hand.skin.clone()));
            commands.spawn((look, Transform::default(), Visibility::Hidden, ChildOf(hand.palm))).id()
        })
    });
    Drawn { bones, shown: [[Vec3::NEG_Z; 3]; 5], is_visible: false }
}

impl Drawn {
    fn show(
        &mut self,
        fingers: Option<Fingers>,
        hand: &HandEntities,
        side: usize,
        ease: f32,
        parts: &mut Query<(&mut Transform, &mut Visibility)>,
    ) {
        if fingers.is_some() != self.is_visible {
            self.is_visible = fingers.is_some();
            let visible = |is| if is { Visibility::Inherited } else { Visibility::Hidden };
            for bone in self.bones.as_flattened() {
                parts.get_mut(*bone).iter_mut().for_each(|(_, seen)| **seen = visible(fingers.is_some()));
            }
            parts.get_mut(hand.pointing).iter_mut().for_each(|(_, seen)| **seen = visible(fingers.is_none()));
        }
        let Some(fingers) = fingers else { return };
        let told = fingers.bones();
        for (shown, told) in self.shown.as_flattened_mut().iter_mut().zip(told.as_flattened()) {
            // Half way between opposite directions there is none: then it goes there at once.
            *shown = shown.lerp(Vec3::from(*told), ease).try_normalize().unwrap_or(Vec3::from(*told));
        }
        let places = bones(&self.shown, side, fingers.middle_metres());
        for (bone, place) in self.bones.as_flattened().iter().zip(places.as_flattened()) {
            parts.get_mut(*bone).iter_mut().for_each(|(transform, _)| {
                transform.set_if_neq(*place);
            });
        }
    }
}

/// Where the bones of a hand are, palm frame: each from its middle along +Y.
fn bones(directions: &[[Vec3; 3]; 5], side: usize, middle: f32) -> [[Transform; 3]; 5] {
    let size = if middle > 0.0 { (middle / MIDDLE).clamp(SIZES.0, SIZES.1) } else { 1.0 };
    let mirror = if side == 0 { Vec3::new(-1.0, 1.0, 1.0) } else { Vec3::ONE };
    std::array::from_fn(|finger| {
        let Measures { knuckle, bones, .. } = &HAND[finger];
        let mut from = *knuckle * mirror * size;
        std::array::from_fn(|bone| {
            let along = directions[finger][bone];
            let (middle, to) = (from + along * bones[bone] * size / 2.0, from + along * bones[bone] * size);
            from = to;
            Transform {
                translation: middle,
                rotation: Quat::from_rotation_arc(Vec3::Y, along),
                scale: Vec3::splat(size),
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(z: f32) -> [Option<Fingers>; 2] {
        [None, Some(Fingers::new(0.09, [[[0.0, -1.0, z]; 3]; 5]))]
    }

    #[test]
    fn the_newest_word_counts_until_nothing_is_heard_for_a_while() {
        let mut heard = HeardFingers::default();
        let at = Duration::from_millis;
        heard.hear(u16::MAX, told(-1.0), at(0));
        heard.hear(0, told(-2.0), at(50));
        heard.hear(u16::MAX - 1, told(-3.0), at(60));
        assert_eq!(heard.hands(at(100)), told(-2.0));
        assert_eq!(heard.hands(at(50) + limits::FINGERS_SILENCE), [None, None]);
    }

    #[test]
    fn hands_mirror_each_other_and_are_as_large_as_is_told_within_reason() {
        let ahead = [[Vec3::NEG_Z; 3]; 5];
        let tip = |side, middle| bones(&ahead, side, middle)[1][2].translation;
        let (left, right) = (tip(0, MIDDLE), tip(1, MIDDLE));
        assert_eq!(left * Vec3::new(-1.0, 1.0, 1.0), right);
        // The right forefinger is left of the middle, and ends nine centimetres before its knuckle but for half a bone.
        assert!(right.x < 0.0 && (right.z + 0.122).abs() < 0.001, "{right}");
        for (told, size) in [(MIDDLE / 2.0, SIZES.0), (7.0, SIZES.1), (0.0, 1.0)] {
            assert!(tip(1, told).distance(right * size) < 1e-6, "{told} m");
        }
    }
}
