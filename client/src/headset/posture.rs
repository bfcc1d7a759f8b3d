//! How the person is in the world: standing at their real height or seated, and how large they are. Both grips closed grab
//! the world: pulling the hands apart makes it larger, down to a table-top model, and the scale is shown over the hand;
//! the `bar` has the same for one hand. Back at life size one stands on a floor, with room.
//!
//! Standing, the floor of the room is the plant's, so that everybody has their real height there. Seated, that floor is
//! lowered until the eyes are where a standing person's are: what is meant to be operated standing is within reach.

use bevy::prelude::*;
use gemba_xr::{HeadsetState, Rig, Tracked};

use super::Doing;
use super::cards::Cards;
use super::carry::Carrying;
use super::footing::{self, Surfaces};
use super::moving::SCALES;
use super::panel::Panel;

/// Height of a standing person's eyes, metres.
const EYES: f32 = 1.6;
/// Nobody is lifted further, metres: who sits on the floor still sits.
const MOST_LIFT: f32 = 0.9;
/// Height of the table on which the plant stands as a model, and how far before the person its middle is, metres.
const TABLE: (f32, f32) = (0.72, 0.6);
/// Nearer to life size than this is life size.
const LIFE_SIZE: f32 = 1.12;
/// A hand is closed from then on.
const CLOSED: f32 = 0.7;

/// How the person is in the world.
#[derive(Resource, Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Posture {
    /// Whether they are seated.
    pub(super) is_seated: bool,
    /// How far the room's floor is above the plant's, metres of the room.
    lift: f32,
}

/// Asks to be of another size, or in another posture.
#[derive(Message, Debug, Clone, Copy, PartialEq)]
pub(super) enum Become {
    /// The world so many times smaller.
    Scaled(f32),
    /// Seated, or standing.
    Seated(bool),
}

/// Both hands hold the world since they were so far apart.
#[derive(Clone, Copy)]
struct Grab {
    span: f32,
    scale: f32,
    /// The world's place between the hands.
    middle: Vec3,
}

impl Posture {
    /// The place on the plant's floor below the head, world frame.
    pub(super) fn feet(&self, rig: &Transform, head: Transform) -> Vec3 {
        rig.transform_point(head.translation.with_y(-self.lift))
    }

    /// Moves the rig so that the person stands there.
    pub(super) fn stand_at(&self, rig: &mut Transform, head: Transform, place: Vec3) {
        let feet = self.feet(rig, head);
        rig.translation += place - feet;
    }

    /// Sits down or stands up where the person is.
    fn sit(&mut self, is_seated: bool, rig: &mut Transform, head: Transform) {
        let feet = self.feet(rig, head);
        let lift = if is_seated { (EYES - head.translation.y).clamp(0.0, MOST_LIFT) } else { 0.0 };
        *self = Self { is_seated, lift };
        self.stand_at(rig, head, feet);
    }
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Posture>()
        .add_message::<Become>()
        .add_systems(Update, (change, grab_world).chain().in_set(Doing::Become));
}

/// Does what the bar asks for.
fn change(
    mut asked: MessageReader<Become>,
    mut posture: ResMut<Posture>,
    surfaces: Surfaces,
    mut rig: Single<&mut Transform, With<Rig>>,
    tracked: Res<Tracked>,
) {
    let Some(head) = tracked.head else { return };
    for asked in asked.read() {
        match *asked {
            Become::Seated(is_seated) => posture.sit(is_seated, &mut rig, head),
            Become::Scaled(scale) => {
                let before = middle(&posture, &rig, head);
                rig.scale = Vec3::splat(scale.clamp(SCALES.0, SCALES.1));
                let now = middle(&posture, &rig, head);
                rig.translation += before - now;
                settle(&posture, &mut rig, head, &surfaces);
            }
        }
    }
}

/// What stays where it is when the size changes, world frame: at life size the feet, of a model the middle of the table.
fn middle(posture: &Posture, rig: &Transform, head: Transform) -> Vec3 {
    if rig.scale.x <= SCALES.0 {
        return posture.feet(rig, head);
    }
    let ahead = head.forward().with_y(0.0).normalize_or(Vec3::NEG_Z) * TABLE.1;
    rig.transform_point((head.translation + ahead).with_y(TABLE.0))
}

/// At life size one stands on a floor and has room.
pub(super) fn settle(posture: &Posture, rig: &mut Transform, head: Transform, surfaces: &Surfaces) {
    if rig.scale.x > SCALES.0 {
        return;
    }
    let feet = posture.feet(rig, head);
    if let Some(place) = footing::nearest(feet, &mut |from, to| surfaces.meets(from, to)) {
        posture.stand_at(rig, head, place);
    }
}

/// Both grips closed: the world shifts and grows with the hands.
fn grab_world(
    mut held: Local<Option<Grab>>,
    surfaces: Surfaces,
    mut rig: Single<&mut Transform, With<Rig>>,
    posture: Res<Posture>,
    tracked: Res<Tracked>,
    state: Res<HeadsetState>,
    (panel, cards): (Res<Panel>, Res<Cards>),
    carrying: Res<Carrying>,
) {
    let is_busy = panel.sheet.hold.is_carried() || cards.is_any_carried() || carrying.is_any();
    let closed = tracked.hands.each_ref().map(|hand| hand.grip.filter(|_| hand.squeeze > CLOSED));
    let ([Some(left), Some(right)], HeadsetState::Focused, false) = (closed, *state, is_busy) else {
        // Nearly life size is meant to be life size.
        if held.take().is_some()
            && rig.scale.x < LIFE_SIZE
            && let Some(head) = tracked.head
        {
            let feet = posture.feet(&rig, head);
            rig.scale = Vec3::ONE;
            posture.stand_at(&mut rig, head, feet);
            settle(&posture, &mut rig, head, &surfaces);
        }
        return;
    };
    let (left, right) = (left.translation, right.translation);
    let (span, between) = (left.distance(right).max(0.05), left.midpoint(right));
    let Some(grab) = *held else {
        *held = Some(Grab { span, scale: rig.scale.x, middle: rig.transform_point(between) });
        return;
    };
    // Hands further apart: the world grows, so that the person becomes smaller in it.
    rig.scale = Vec3::splat((grab.scale * grab.span / span).clamp(SCALES.0, SCALES.1));
    let now = rig.transform_point(between);
    rig.translation += grab.middle - now;
}

/// The scale as people write it, such as `1:20`; none at life size.
pub(super) fn scale_words(rig: &Transform) -> Option<String> {
    (rig.scale.x > 1.005).then(|| format!("1:{:.0}", rig.scale.x.max(2.0).round()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_told_only_when_it_is_not_life_size() {
        assert_eq!(scale_words(&Transform::default()), None);
        assert_eq!(scale_words(&Transform::from_scale(Vec3::splat(20.2))), Some("1:20".to_owned()));
    }

    #[test]
    fn seated_eyes_are_as_high_as_standing_ones_and_standing_up_gives_the_real_height_back() {
        let head = Transform::from_xyz(0.3, 1.15, -0.2);
        let mut rig = Transform::from_xyz(4.0, 2.0, 1.0).with_rotation(Quat::from_rotation_y(0.8));
        let (mut posture, before) = (Posture::default(), rig);
        let feet = posture.feet(&rig, head);
        posture.sit(true, &mut rig, head);
        assert!((rig.transform_point(head.translation).y - feet.y - EYES).abs() < 1e-4);
        assert!(posture.feet(&rig, head).distance(feet) < 1e-4, "nobody is moved by sitting down");
        posture.stand_at(&mut rig, head, Vec3::new(7.0, 0.0, 0.0));
        assert!((rig.transform_point(head.translation) - Vec3::new(7.0, EYES, 0.0)).length() < 1e-4);
        posture.stand_at(&mut rig, head, feet);
        posture.sit(false, &mut rig, head);
        assert!(rig.translation.distance(before.translation) < 1e-4 && posture == Posture::default());
    }

    #[test]
    fn a_model_stands_on_the_table_before_the_person_and_at_life_size_they_stand_where_its_middle_was() {
        let (posture, head) = (Posture::default(), Transform::from_xyz(0.0, 1.2, 0.0));
        let mut rig = Transform::from_xyz(10.0, 0.0, 5.0);
        let before = middle(&posture, &rig, head);
        rig.scale = Vec3::splat(20.0);
        let shift = before - middle(&posture, &rig, head);
        rig.translation += shift;
        let table = rig.transform_point(Vec3::new(0.0, TABLE.0, -TABLE.1));
        assert!(table.distance(Vec3::new(10.0, 0.0, 5.0)) < 1e-4, "{table}");
    }
}
