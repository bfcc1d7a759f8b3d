//! Moving through the plant: a stick pushed forward throws an arc, and letting it go teleports to where that landed; pushed
//! otherwise it slides, where the comfort allows it; the other stick turns, by steps or smoothly. Where the comfort slides
//! forward too, the turning stick throws the arc. The size of the world is `scale`'s.
//!
//! Every movement can also be done with one hand alone: a hand that is the only one tracked teleports and turns. And with a
//! trigger alone: with the tool [`Tool::Go`] in hand one goes to where it points, and the `bar` on the panel turns.

use std::time::Duration;

use bevy::prelude::*;
use gemba_xr::{Buzz, Hand, HeadsetFigures, HeadsetState, Rig, Side, Tracked};

use super::comfort::Comfort;
use super::footing::{self, Meets, Surfaces};
use super::posture::Posture;
use super::press::Pressing;
use super::{Doing, Seeing};
use crate::pointer::{PointedBy, Pointers};
use crate::tool::Tool;

/// Speed of a teleport's arc, metres a second: reaches ten metres from hip height.
const THROW: f32 = 9.0;
const GRAVITY: f32 = 9.81;
/// Pieces an arc is looked along.
const PIECES: usize = 24;
/// Time along the arc of one piece, seconds.
const PIECE_SECS: f32 = 0.075;
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

/// Asks to turn by so many steps, to the left where it is positive.
#[derive(Message, Debug, Clone, Copy)]
pub(super) struct TurnSteps(pub(super) i8);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Arc>()
        .init_resource::<Motion>()
        .add_message::<TurnSteps>()
        .add_systems(Update, (teleport, turn, slide).chain().in_set(Doing::Move))
        .add_systems(Update, go.in_set(Doing::Go))
        .add_systems(Update, show_arc.in_set(Seeing::Arc));
}

/// The hand that moves and the hand that turns: the left and the right, or one for both.
fn roles(tracked: &Tracked) -> (Side, Side) {
    match (tracked.hand(Side::Left).grip, tracked.hand(Side::Right).grip) {
        (None, Some(_)) => (Side::Right, Side::Right),
        (Some(_), None) => (Side::Left, Side::Left),
        _ => (Side::Left, Side::Right),
    }
}

/// The hand that throws the arc: that which slides cannot where it slides forward.
fn thrower(tracked: &Tracked, comfort: &Comfort) -> Side {
    let (moves, turns) = roles(tracked);
    if comfort.slides_forward { turns } else { moves }
}

/// Whether the stick is pushed forward, or still held there.
fn throws(hand: &Hand, was_thrown: bool) -> bool {
    hand.stick.y > if was_thrown { REST } else { PUSHED } && hand.stick.x.abs() < PUSHED
}

fn teleport(
    mut arc: ResMut<Arc>,
    surfaces: Surfaces,
    mut buzz: MessageWriter<Buzz>,
    mut rig: Single<&mut Transform, With<Rig>>,
    tracked: Res<Tracked>,
    state: Res<HeadsetState>,
    comfort: Res<Comfort>,
    posture: Res<Posture>,
    pressing: Res<Pressing>,
    figures: Res<HeadsetFigures>,
) {
    let _own = figures.timed();
    let side = thrower(&tracked, &comfort);
    let hand = tracked.hand(side);
    let was_thrown = !arc.points.is_empty();
    let aim = hand.aim.filter(|_| *state == HeadsetState::Focused);
    // A stick over the panel scrolls that.
    match aim.filter(|_| throws(hand, was_thrown) && (was_thrown || !pressing.is_under(side))) {
        Some(aim) => {
            let aim = rig.mul_transform(aim);
            let mut meets = |from, to| surfaces.meets(from, to);
            let thrown = throw(aim.translation, *aim.forward() * THROW * rig.scale.x.sqrt(), rig.scale.x, &mut meets);
            if thrown.lands.is_some() && arc.lands.is_none() {
                buzz.write(Buzz { side, strength: 0.2, secs: 0.02 });
            }
            *arc = thrown;
        }
        None if was_thrown => {
            // Letting go is the deed; losing the hand or the focus is not.
            if let (Some(lands), Some(head), Some(_)) = (arc.lands, tracked.head, aim) {
                posture.stand_at(&mut rig, head, lands);
                buzz.write(Buzz { side, strength: 0.5, secs: 0.04 });
            }
            *arc = Arc::default();
        }
        None => {}
    }
}

/// Follows a thrown ball until it meets something; it lands where a person can stand.
fn throw(from: Vec3, speed: Vec3, scale: f32, meets: &mut impl Meets) -> Arc {
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
        arc.lands = footing::is_footing(place, normal, meets).then_some(place);
        break;
    }
    arc
}

/// With the tool in hand a press goes where it points.
fn go(
    surfaces: Surfaces,
    mut buzz: MessageWriter<Buzz>,
    mut rig: Single<&mut Transform, With<Rig>>,
    pointers: Res<Pointers>,
    posture: Res<Posture>,
    tracked: Res<Tracked>,
    tool: Res<Tool>,
) {
    if *tool != Tool::Go {
        return;
    }
    let mut hands = pointers.iter().filter(|p| p.by != PointedBy::Mouse && p.on_panel.is_none() && p.was_pressed);
    let Some((by, met)) = hands.find_map(|pointer| Some((pointer.by, pointer.met?))) else { return };
    let side = if by == PointedBy::LeftHand { Side::Left } else { Side::Right };
    let can_stand = footing::is_footing(met.place, met.normal, &mut |from, to| surfaces.meets(from, to));
    if let Some(head) = tracked.head.filter(|_| can_stand) {
        posture.stand_at(&mut rig, head, met.place);
    }
    buzz.write(Buzz { side, strength: if can_stand { 0.5 } else { 0.1 }, secs: 0.04 });
}

fn turn(
    mut has_turned: Local<bool>,
    mut motion: ResMut<Motion>,
    mut asked: MessageReader<TurnSteps>,
    mut rig: Single<&mut Transform, With<Rig>>,
    tracked: Res<Tracked>,
    state: Res<HeadsetState>,
    comfort: Res<Comfort>,
    arc: Res<Arc>,
    time: Res<Time>,
) {
    motion.0 = 0.0;
    let steps: f32 = asked.read().map(|steps| f32::from(steps.0)).sum();
    let Some(head) = tracked.head.filter(|_| *state == HeadsetState::Focused) else { return };
    let (_, turns) = roles(&tracked);
    let stick = tracked.hand(turns).stick.x;
    let pivot = rig.transform_point(head.translation.with_y(0.0));
    let step = comfort.snap_degrees.unwrap_or(Comfort::GENTLE_STEP).to_radians();
    if steps != 0.0 {
        rig.rotate_around(pivot, Quat::from_rotation_y(steps * step));
    }
    match comfort.snap_degrees {
        Some(_) if !*has_turned && stick.abs() > PUSHED => {
            *has_turned = true;
            rig.rotate_around(pivot, Quat::from_rotation_y(-stick.signum() * step));
        }
        Some(_) if stick.abs() < REST => *has_turned = false,
        Some(_) => {}
        // While the same stick throws an arc it only aims.
        None if stick.abs() > REST && arc.points.is_empty() => {
            rig.rotate_around(pivot, Quat::from_rotation_y(-stick * comfort.turn_speed * secs(&time)));
            motion.0 = stick.abs();
        }
        None => {}
    }
}

/// The time a movement goes on for in this frame: after a hitch nobody is thrown across the hall.
fn secs(time: &Time) -> f32 {
    time.delta().min(Duration::from_millis(100)).as_secs_f32()
}

fn slide(
    surfaces: Surfaces,
    mut motion: ResMut<Motion>,
    mut rig: Single<&mut Transform, With<Rig>>,
    tracked: Res<Tracked>,
    state: Res<HeadsetState>,
    comfort: Res<Comfort>,
    posture: Res<Posture>,
    arc: Res<Arc>,
    pressing: Res<Pressing>,
    time: Res<Time>,
    figures: Res<HeadsetFigures>,
) {
    let _own = figures.timed();
    let Some(head) = tracked.head.filter(|_| *state == HeadsetState::Focused) else { return };
    let (moves, turns) = roles(&tracked);
    let stick = tracked.hand(moves).stick;
    let is_free = !pressing.is_under(moves) && arc.points.is_empty() && moves != turns;
    if comfort.slide_speed == 0.0 || !is_free || stick.length() <= REST {
        return;
    }
    // Along the floor, by where the head looks; forward is the arc's unless sliding is wanted there too.
    let forward = if comfort.slides_forward { stick.y } else { stick.y.min(0.0) };
    let towards = rig.rotation * head.rotation * Vec3::new(stick.x, 0.0, -forward);
    let flat = towards.with_y(0.0).clamp_length_max(1.0);
    let step = flat * comfort.slide_speed * secs(&time) * rig.scale.x;
    motion.0 = motion.0.max(flat.length());
    if rig.scale.x > SCALES.0 {
        // Nothing stands in a giant's way.
        rig.translation += step;
        return;
    }
    let feet = posture.feet(&rig, head);
    let to = footing::slide(feet, step, &mut |from, to| surfaces.meets(from, to));
    rig.translation += to - feet;
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

#[cfg(test)]
mod tests {
    use super::super::footing::tests::plant;
    use super::*;

    #[test]
    fn an_arc_lands_on_the_floor_in_front_of_the_hand() {
        let arc = throw(Vec3::new(0.0, 1.2, 0.0), Vec3::new(0.0, 3.0, -8.0), 1.0, &mut plant(&[]));
        let lands = arc.lands.expect("there is a floor");
        assert!(lands.y.abs() < 1e-4 && lands.z < -5.0, "{lands}");
        assert_eq!(arc.points.last(), Some(&lands));
    }

    #[test]
    fn nobody_lands_on_a_wall_or_under_a_low_roof() {
        let wall = [(Vec3::new(-9.0, 0.0, -3.0), Vec3::new(9.0, 5.0, -2.0))];
        let forward = Vec3::new(0.0, 1.0, -8.0);
        assert_eq!(throw(Vec3::Y, forward, 1.0, &mut plant(&wall)).lands, None);
        let roof = [(Vec3::new(-9.0, 1.5, -20.0), Vec3::new(9.0, 1.6, -2.0))];
        assert_eq!(throw(Vec3::Y, forward * 0.6, 1.0, &mut plant(&roof)).lands, None);
    }

    #[test]
    fn each_stick_has_one_meaning_and_a_hand_alone_has_all_that_is_needed() {
        let hand = |is_there: bool| Hand { grip: is_there.then(Transform::default), ..default() };
        let tracked = |left, right| Tracked { hands: [hand(left), hand(right)], ..default() };
        for comfort in Comfort::ALL {
            let both = tracked(true, true);
            let (moves, turns) = roles(&both);
            let slides_forward = comfort.slide_speed > 0.0 && comfort.slides_forward;
            assert!(moves != turns && (thrower(&both, &comfort) == moves) != slides_forward, "{}", comfort.name);
            for side in Side::BOTH {
                let one = tracked(side == Side::Left, side == Side::Right);
                assert_eq!((roles(&one), thrower(&one, &comfort)), ((side, side), side), "{}", comfort.name);
            }
        }
    }
}
