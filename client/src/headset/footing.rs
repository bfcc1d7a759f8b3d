//! Where a person can stand, and how far they can slide: never into what stands in the way, never off an edge, never
//! stuck. Whatever moves the person asks here; a person who walks into a machine with their own legs can always slide or
//! teleport out again, since only what is entered stops, not what is left: a surface is met from its outer side only.
//!
//! Decides only: what a straight line meets first is asked of whoever calls. That is answered by the plant's own surfaces
//! ([`Surfaces`]), as the eye sees them, not by boxes around them.

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;

use super::rays::Rays;

/// A floor: its normal is within 25° of straight up.
const FLAT: f32 = 0.906;
/// Free height above the floor that a person needs, metres.
const HEADROOM: f32 = 1.9;
/// What is lower than this is stepped over, or onto, metres: a kerb, a cable bridge.
const STEP: f32 = 0.35;
/// Half the width of a person, metres.
const GIRTH: f32 = 0.22;
/// Height at which it is asked what stands around a person, metres.
const WAIST: f32 = 1.0;
/// How far around a person it is asked what they might be within, metres: half of the largest machine.
const FAR: f32 = 4.0;
/// How far down a floor is looked for below a place that has none, metres.
const DEEP: f32 = 3.0;
/// Rings around a place that has no room in which another is looked for, so far apart, metres.
const RINGS: (u32, f32) = (12, 0.5);
/// Places looked at in each ring.
const DIRECTIONS: u32 = 8;

/// The first surface that a straight way from one place to another meets: where, and its normal.
pub(super) trait Meets: FnMut(Vec3, Vec3) -> Option<(Vec3, Vec3)> {}
impl<F: FnMut(Vec3, Vec3) -> Option<(Vec3, Vec3)>> Meets for F {}

/// The plant's surfaces.
#[derive(SystemParam)]
pub(super) struct Surfaces<'w, 's> {
    rays: Rays<'w, 's>,
}

impl Surfaces<'_, '_> {
    /// What a way from one place to another meets first, world frame.
    pub(super) fn meets(&self, from: Vec3, to: Vec3) -> Option<(Vec3, Vec3)> {
        let (direction, length) = Dir3::new_and_length(to - from).ok()?;
        self.rays.first(Ray3d::new(from, direction), length).map(|met| (met.place, met.normal))
    }
}

/// Whether a surface is one to stand on, and a person has room on it: above them, and as wide as they are.
pub(super) fn is_footing(place: Vec3, normal: Vec3, meets: &mut impl Meets) -> bool {
    if normal.y < FLAT || meets(place + Vec3::Y * 0.05, place + Vec3::Y * HEADROOM).is_some() {
        return false;
    }
    let sides = [Vec3::X, Vec3::NEG_X, Vec3::Z, Vec3::NEG_Z];
    let is_wide = sides.into_iter().all(|side| {
        let at = place + side * GIRTH;
        meets(at + Vec3::Y * HEADROOM, at + Vec3::Y * STEP).is_none()
    });
    is_wide && !is_within(place + Vec3::Y * WAIST, sides, meets)
}

/// Whether a place is within something, or closer than half a person to it. What lies beside a place is met from there and
/// from afar; what the place is within is met from afar only.
fn is_within(place: Vec3, sides: [Vec3; 4], meets: &mut impl Meets) -> bool {
    let mut is_around = true;
    for side in sides {
        let outwards = meets(place, place + side * FAR);
        // From beside it as well: who stands in the very surface meets nothing on the way out.
        let is_close = outwards.is_some_and(|(at, _)| at.distance(place) < GIRTH);
        if is_close || meets(place + side * GIRTH, place).is_some() {
            return true;
        }
        is_around &= outwards.is_none() && meets(place + side * FAR, place).is_some();
    }
    is_around
}

/// The nearest place to this one where a person can stand.
pub(super) fn nearest(feet: Vec3, meets: &mut impl Meets) -> Option<Vec3> {
    for ring in 0..=RINGS.0 {
        for n in 0..if ring == 0 { 1 } else { DIRECTIONS } {
            let towards = Quat::from_rotation_y(n as f32 / DIRECTIONS as f32 * std::f32::consts::TAU) * Vec3::Z;
            let at = feet + towards * (ring as f32 * RINGS.1);
            let floor = meets(at + Vec3::Y * HEADROOM, at - Vec3::Y * DEEP);
            if let Some((place, _)) = floor.filter(|(place, normal)| is_footing(*place, *normal, meets)) {
                return Some(place);
            }
        }
    }
    None
}

/// Where the feet are after this step along the floor: beside what stands in the way, up and down what can be stepped.
pub(super) fn slide(feet: Vec3, step: Vec3, meets: &mut impl Meets) -> Vec3 {
    let mut step = step.with_y(0.0);
    // Once along what is met, and no further than to the next: in a corner one stands.
    for again in [true, false] {
        let Ok(towards) = Dir3::new(step) else { return feet };
        let mut in_the_way = [STEP + 0.05, 1.1, 1.7].into_iter().filter_map(|height| {
            let from = feet + Vec3::Y * height;
            meets(from, from + step + *towards * GIRTH)
        });
        let Some((_, normal)) = in_the_way.next() else { break };
        let against = normal.with_y(0.0).normalize_or(-*towards);
        step = if again { step - against * step.dot(against).min(0.0) } else { Vec3::ZERO };
        // What is left of a step straight against a wall is rounding.
        if step.length_squared() < 1e-10 {
            return feet;
        }
    }
    let at = feet + step;
    let floor = meets(at + Vec3::Y * STEP, at - Vec3::Y * STEP).filter(|(_, normal)| normal.y > FLAT);
    match floor {
        Some((floor, _)) => floor,
        // Over an edge, or where there is no floor at all: on a model without one people walk on as they stand.
        None if meets(feet + Vec3::Y * STEP, feet - Vec3::Y * STEP).is_some() => feet,
        None => at,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A plant of boxes (lowest and highest corner) on a floor at 0, met from outside only as the surfaces are.
    pub(in crate::headset) fn plant(boxes: &[(Vec3, Vec3)]) -> impl Meets + '_ {
        let floor = (Vec3::new(-20.0, -1.0, -20.0), Vec3::new(20.0, 0.0, 20.0));
        move |from, to| {
            let all = boxes.iter().copied().chain([floor]);
            let hits = all.filter_map(|(low, high)| enters(from, to, low, high));
            hits.min_by(|a, b| a.0.distance(from).total_cmp(&b.0.distance(from)))
        }
    }

    fn enters(from: Vec3, to: Vec3, low: Vec3, high: Vec3) -> Option<(Vec3, Vec3)> {
        let way = to - from;
        let (mut first, mut last, mut normal) = (0.0f32, 1.0f32, None);
        for axis in 0..3 {
            if way[axis].abs() < 1e-9 {
                if from[axis] <= low[axis] || from[axis] >= high[axis] {
                    return None;
                }
                continue;
            }
            let (a, b) = ((low[axis] - from[axis]) / way[axis], (high[axis] - from[axis]) / way[axis]);
            if a.min(b) > first {
                first = a.min(b);
                let mut out = Vec3::ZERO;
                out[axis] = -way[axis].signum();
                normal = Some(out);
            }
            last = last.min(a.max(b));
        }
        normal.filter(|_| first <= last).map(|normal| (from + way * first, normal))
    }

    fn machine() -> (Vec3, Vec3) {
        (Vec3::new(1.0, 0.0, -1.0), Vec3::new(3.0, 2.5, 1.0))
    }

    #[test]
    fn nobody_stands_in_a_machine_under_a_table_or_half_in_a_wall() {
        let table = (Vec3::new(-3.0, 0.7, -1.0), Vec3::new(-1.0, 0.75, 1.0));
        let boxes = [machine(), table];
        let mut plant = plant(&boxes);
        let mut at = |x: f32, z: f32| is_footing(Vec3::new(x, 0.0, z), Vec3::Y, &mut plant);
        assert!(at(0.0, 0.0) && at(0.7, 0.0));
        assert!(!at(-2.0, 0.0), "under a table");
        assert!(!at(0.9, 0.0), "half in a machine");
        assert!(!is_footing(Vec3::ZERO, Vec3::new(0.6, 0.8, 0.0), &mut plant), "on a slope");
    }

    #[test]
    fn whoever_would_be_within_a_machine_is_put_beside_it() {
        let boxes = [machine()];
        let put = nearest(Vec3::new(2.0, 0.0, 0.0), &mut plant(&boxes)).expect("there is room around it");
        assert!(put.distance(Vec3::new(2.0, 0.0, 0.0)) < 2.6, "{put}");
        let beside = put.x < 1.0 - GIRTH || put.x > 3.0 + GIRTH || put.z.abs() > 1.0 + GIRTH;
        assert!(beside && put.y.abs() < 1e-4, "{put}");
        assert_eq!(nearest(Vec3::ZERO, &mut plant(&boxes)), Some(Vec3::ZERO), "who has room stays");
    }

    #[test]
    fn sliding_goes_along_a_wall_up_a_kerb_and_never_into_a_machine_or_off_an_edge() {
        let kerb = (Vec3::new(-9.0, 0.0, 2.0), Vec3::new(9.0, 0.2, 4.0));
        let boxes = [machine(), kerb];
        let walk = |from: Vec3, step: Vec3, count: usize| {
            (0..count).fold(from, |feet, _| slide(feet, step, &mut plant(&boxes)))
        };
        let stopped = walk(Vec3::ZERO, Vec3::X * 0.02, 200);
        assert!((0.7..1.0).contains(&stopped.x), "{stopped}");
        let along = walk(Vec3::ZERO, Vec3::new(0.02, 0.0, 0.01), 100);
        assert!(along.x < 1.0 && along.z > 0.9, "{along}");
        let up = walk(Vec3::new(0.0, 0.0, 1.0), Vec3::Z * 0.02, 75);
        assert!((up.y - 0.2).abs() < 1e-4 && up.z > 2.4, "{up}");
        let edge = walk(Vec3::new(0.0, 0.0, 19.0), Vec3::Z * 0.02, 200);
        assert!((19.5..=20.0).contains(&edge.z) && edge.y == 0.0, "{edge}");
        let out = walk(Vec3::new(2.0, 0.0, 0.0), Vec3::X * 0.02, 100);
        assert!(out.x > 3.5, "who is within a machine comes out: {out}");
    }
}
