//! Moving through the plant: the left stick pushed forward throws an arc and lets go to teleport there; pushed otherwise
//! it slides, where the comfort allows it. The right stick turns, by steps or smoothly. Both grips closed together grab
//! the world: pulling the hands apart makes it larger, down to a table-top model, and the scale is shown.
//!
//! Every movement can also be done with one hand alone: a hand that is the only one tracked does both.

use std::time::Duration;

use bevy::picking::mesh_picking::ray_cast::{MeshRayCast, MeshRayCastSettings};
use bevy::prelude::*;
use gemba_xr::{Buzz, HeadsetFigures, HeadsetState, Rig, Side, Tracked};

use super::comfort::Comfort;
use super::panel::Panel;
use crate::mirror::NodeOf;
use crate::schedule::Frame;

/// The rig moves here; what depends on where it is comes after.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MoveRig;

/// Speed of a teleport's arc, metres a second: reaches ten metres from hip height.
const THROW: f32 = 9.0;
const GRAVITY: f32 = 9.81;
/// Pieces an arc is looked along.
const PIECES: usize = 24;
/// Time along the arc of one piece, seconds.
const PIECE_SECS: f32 = 0.075;
/// A floor: its normal is within 25° of straight up.
const FLAT: f32 = 0.906;
/// Free height above the floor that a person needs, metres.
const HEADROOM: f32 = 1.9;
/// A stick within this of its middle is at rest.
const REST: f32 = 0.25;
/// A stick beyond this is pushed.
const PUSHED: f32 = 0.7;
/// Smallest and largest scale of the tracking space: 1 is life size, 50 a plant on a table.
pub(super) const SCALES: (f32, f32) = (1.0, 50.0);

/// Where the arc goes, and whether one may stand at its end.
#[derive(Resource, Debug, Default, Clone, PartialEq)]
pub(super) struct Arc {
    pub(super) points: Vec<Vec3>,
    pub(super) lands: Option<Vec3>,
}

/// How fast the person is being slid or turned, for the vignette: 0 to 1.
#[derive(Resource, Debug, Default, Clone, Copy)]
pub(super) struct Motion(pub(super) f32);

/// What the sticks and grips were doing.
#[derive(Resource, Default)]
struct Held {
    has_turned: bool,
    grab: Option<Grab>,
}

/// Both hands hold the world since they were so far apart.
#[derive(Clone, Copy)]
struct Grab {
    span: f32,
    scale: f32,
    /// The world's place between the hands.
    middle: Vec3,
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Arc>()
        .init_resource::<Motion>()
        .init_resource::<Held>()
        .configure_sets(Update, MoveRig.in_set(Frame::Act))
        .add_systems(Update, (teleport, turn_and_slide, grab_world).chain().in_set(MoveRig))
        .add_systems(Update, show_arc.in_set(Frame::Present));
}

/// The hand that moves and the hand that turns: the left and the right, or one for both.
fn roles(tracked: &Tracked) -> (Side, Side) {
    match (tracked.hand(Side::Left).grip, tracked.hand(Side::Right).grip) {
        (None, Some(_)) => (Side::Right, Side::Right),
        (Some(_), None) => (Side::Left, Side::Left),
        _ => (Side::Left, Side::Right),
    }
}

fn teleport(
    mut arc: ResMut<Arc>,
    mut ray_cast: MeshRayCast,
    mut buzz: MessageWriter<Buzz>,
    mut rig: Single<&mut Transform, With<Rig>>,
    tracked: Res<Tracked>,
    state: Res<HeadsetState>,
    panel: Res<Panel>,
    nodes: Query<&NodeOf>,
    figures: Res<HeadsetFigures>,
) {
    let _own = figures.timed();
    let (side, _) = roles(&tracked);
    let hand = tracked.hand(side);
    let was_thrown = !arc.points.is_empty();
    let aim = hand.aim.filter(|_| *state == HeadsetState::Focused);
    let throws = hand.stick.y > if was_thrown { REST } else { PUSHED } && hand.stick.x.abs() < PUSHED;
    // A stick over the panel scrolls that.
    match aim.filter(|_| throws && (was_thrown || !panel.is_under(side))) {
        Some(aim) => {
            let aim = rig.mul_transform(aim);
            let is_thing = |entity| nodes.contains(entity);
            let settings = MeshRayCastSettings::default().with_filter(&is_thing);
            let mut meets = |from: Vec3, to: Vec3| {
                let (direction, length) = Dir3::new_and_length(to - from).ok()?;
                let hits = ray_cast.cast_ray(Ray3d::new(from, direction), &settings);
                hits.first().filter(|(_, hit)| hit.distance <= length).map(|(_, hit)| (hit.point, hit.normal))
            };
            let thrown = throw(aim.translation, *aim.forward() * THROW * rig.scale.x.sqrt(), rig.scale.x, &mut meets);
            if thrown.lands.is_some() && arc.lands.is_none() {
                buzz.write(Buzz { side, strength: 0.2, secs: 0.02 });
            }
            *arc = thrown;
        }
        None if was_thrown => {
            // Letting go is the deed; losing the hand or the focus is not.
            if let (Some(lands), Some(head), Some(_)) = (arc.lands, tracked.head, aim) {
                let below = rig.transform_point(head.translation.with_y(0.0));
                rig.translation += lands - below;
                buzz.write(Buzz { side, strength: 0.5, secs: 0.04 });
            }
            *arc = Arc::default();
        }
        None => {}
    }
}

/// Follows a thrown ball until it meets something; it lands where that is flat and a person has room.
fn throw(from: Vec3, speed: Vec3, scale: f32, meets: &mut impl FnMut(Vec3, Vec3) -> Option<(Vec3, Vec3)>) -> Arc {
    let mut arc = Arc { points: vec![from], lands: None };
    let mut at = from;
    for piece in 1..=PIECES {
        let t = piece as f32 * PIECE_SECS * scale.sqrt();
        let next = from + speed * t + Vec3::NEG_Y * (GRAVITY / 2.0 * t * t);
        let Some((place, normal)) = meets(at, next) else {
            arc.points.push(next);
            at = next;
            continue;
        };
        arc.points.push(place);
        let up = place + Vec3::Y * 0.05;
        let has_room = normal.y > FLAT && meets(up, up + Vec3::Y * HEADROOM).is_none();
        arc.lands = has_room.then_some(place);
        break;
    }
    arc
}

fn turn_and_slide(
    mut held: ResMut<Held>,
    mut motion: ResMut<Motion>,
    mut rig: Single<&mut Transform, With<Rig>>,
    tracked: Res<Tracked>,
    state: Res<HeadsetState>,
    comfort: Res<Comfort>,
    arc: Res<Arc>,
    panel: Res<Panel>,
    time: Res<Time>,
    figures: Res<HeadsetFigures>,
) {
    let _own = figures.timed();
    motion.0 = 0.0;
    let Some(head) = tracked.head.filter(|_| *state == HeadsetState::Focused) else { return };
    let (moves, turns) = roles(&tracked);
    let secs = time.delta().min(Duration::from_millis(100)).as_secs_f32();
    let turn = tracked.hand(turns).stick.x;
    let pivot = rig.transform_point(head.translation.with_y(0.0));
    match comfort.snap_degrees {
        Some(degrees) if !held.has_turned && turn.abs() > PUSHED => {
            held.has_turned = true;
            rig.rotate_around(pivot, Quat::from_rotation_y(-turn.signum() * degrees.to_radians()));
        }
        Some(_) if turn.abs() < REST => held.has_turned = false,
        Some(_) => {}
        None if turn.abs() > REST => {
            rig.rotate_around(pivot, Quat::from_rotation_y(-turn * comfort.turn_speed * secs));
            motion.0 = turn.abs();
        }
        None => {}
    }
    let stick = tracked.hand(moves).stick;
    let slides = comfort.slide_speed > 0.0
        && !panel.is_under(moves)
        && arc.points.is_empty()
        && stick.length() > REST
        && moves != turns;
    if slides {
        // Along the floor, by where the head looks; forward is the arc's unless sliding is wanted there too.
        let forward = if comfort.slides_forward { stick.y } else { stick.y.min(0.0) };
        let towards = rig.rotation * head.rotation * Vec3::new(stick.x, 0.0, -forward);
        let flat = towards.with_y(0.0).clamp_length_max(1.0);
        let scale = rig.scale.x;
        rig.translation += flat * comfort.slide_speed * secs * scale;
        motion.0 = motion.0.max(flat.length());
    }
}

/// Both grips closed: the world turns, shifts and grows with the hands.
fn grab_world(
    mut held: ResMut<Held>,
    mut rig: Single<&mut Transform, With<Rig>>,
    tracked: Res<Tracked>,
    state: Res<HeadsetState>,
    panel: Res<Panel>,
) {
    let hands = tracked.hands.each_ref().map(|hand| hand.grip.filter(|_| hand.squeeze > 0.7).map(|g| g.translation));
    let ([Some(left), Some(right)], HeadsetState::Focused, false) = (hands, *state, panel.is_carried()) else {
        if held.grab.take().is_some() && rig.scale.x < 1.12 {
            // Nearly life size is meant to be life size.
            let head = tracked.head.unwrap_or_default().translation.with_y(0.0);
            let below = rig.transform_point(head);
            rig.scale = Vec3::ONE;
            let now = rig.transform_point(head);
            rig.translation += below - now;
        }
        return;
    };
    let (span, between) = (left.distance(right).max(0.05), (left + right) / 2.0);
    let Some(grab) = held.grab else {
        held.grab = Some(Grab { span, scale: rig.scale.x, middle: rig.transform_point(between) });
        return;
    };
    // Hands further apart: the world grows, so that the person becomes smaller in it.
    rig.scale = Vec3::splat((grab.scale * grab.span / span).clamp(SCALES.0, SCALES.1));
    let now = rig.transform_point(between);
    rig.translation += grab.middle - now;
}

fn show_arc(mut gizmos: Gizmos, arc: Res<Arc>) {
    let colour = if arc.lands.is_some() { Color::srgb(0.35, 0.85, 0.45) } else { Color::srgb(0.9, 0.4, 0.35) };
    gizmos.linestrip(arc.points.iter().copied(), colour);
    if let Some(lands) = arc.lands {
        let flat = Isometry3d::new(lands + Vec3::Y * 0.02, Quat::from_rotation_x(std::f32::consts::FRAC_PI_2));
        gizmos.circle(flat, 0.3, colour);
        gizmos.circle(flat, 0.25, colour);
    }
}

/// The scale as people write it, such as `1:20`; none at life size.
pub(super) fn scale_words(rig: &Transform) -> Option<String> {
    (rig.scale.x > 1.005).then(|| format!("1:{:.0}", rig.scale.x.max(2.0).round()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor_at(height: f32) -> impl FnMut(Vec3, Vec3) -> Option<(Vec3, Vec3)> {
        move |from, to| {
            let crosses = from.y >= height && to.y < height;
            crosses.then(|| (from.lerp(to, (from.y - height) / (from.y - to.y)), Vec3::Y))
        }
    }

    #[test]
    fn an_arc_lands_on_the_floor_in_front_of_the_hand() {
        let arc = throw(Vec3::new(0.0, 1.2, 0.0), Vec3::new(0.0, 3.0, -8.0), 1.0, &mut floor_at(0.0));
        let lands = arc.lands.expect("there is a floor");
        assert!(lands.y.abs() < 1e-4 && lands.z < -5.0, "{lands}");
        assert_eq!(arc.points.last(), Some(&lands));
    }

    #[test]
    fn nobody_lands_on_a_wall_or_under_a_low_roof() {
        let mut wall = |from: Vec3, to: Vec3| (from.z > -2.0 && to.z <= -2.0).then_some((to, Vec3::Z));
        assert_eq!(throw(Vec3::Y, Vec3::new(0.0, 1.0, -8.0), 1.0, &mut wall).lands, None);
        let mut floor = floor_at(0.0);
        let mut low = |from: Vec3, to: Vec3| {
            if to.y > from.y && from.y < 0.5 { Some((to, Vec3::NEG_Y)) } else { floor(from, to) }
        };
        assert_eq!(throw(Vec3::Y * 1.2, Vec3::new(0.0, 1.0, -8.0), 1.0, &mut low).lands, None);
    }

    #[test]
    fn the_scale_is_told_only_when_it_is_not_life_size() {
        assert_eq!(scale_words(&Transform::default()), None);
        assert_eq!(scale_words(&Transform::from_scale(Vec3::splat(20.2))), Some("1:20".to_owned()));
    }
}
