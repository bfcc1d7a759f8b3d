//! Where a body is, and how exactly that is told. Only additions, multiplications, divisions and square roots are used:
//! IEEE 754 gives them the same result on every machine, and both ends of a lane must predict the same to the last bit.

/// Where a body is. World frame, +Y up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// Metres.
    pub place: [f64; 3],
    /// Unit quaternion, x y z w.
    pub rotation: [f64; 4],
}

impl Placement {
    /// At the origin, not turned.
    pub const ORIGIN: Self = Self { place: [0.0; 3], rotation: [0.0, 0.0, 0.0, 1.0] };

    /// The same with what is not finite or too far replaced: a broken tracker must not break the others.
    pub(super) fn mended(self) -> Self {
        let place = self.place.map(|metres| if metres.is_finite() { metres.clamp(-REACH, REACH) } else { 0.0 });
        Self { place, rotation: unit(self.rotation) }
    }
}

/// Farthest place on an axis, metres: twice the width of any site.
pub const REACH: f64 = 100_000.0;

/// The largest errors of what arrives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Precision {
    place_step: f64,
    turn_step: f64,
}

impl Precision {
    /// Places to within `place_metres` on each axis, rotations to within `rotation_radians` about any axis. None below
    /// a tenth of a millimetre or milliradian, above 10 m or 1 rad, or if one is not a number.
    pub fn new(place_metres: f64, rotation_radians: f64) -> Option<Self> {
        let known = (1e-4..=10.0).contains(&place_metres) && (1e-4..=1.0).contains(&rotation_radians);
        // Three axes that are each off by half a step are off by √3 / 2 steps together.
        known.then(|| Self { place_step: 2.0 * place_metres, turn_step: 2.0 * rotation_radians / 3f64.sqrt() })
    }

    /// For machines and what people carry: 2 mm and 4 mrad (a quarter of a degree).
    pub fn of_hands() -> Self {
        Self { place_step: 0.004, turn_step: 0.008 / 3f64.sqrt() }
    }

    /// Largest error on each axis, metres.
    pub fn place_metres(&self) -> f64 {
        self.place_step / 2.0
    }

    /// Largest error about any axis, radians.
    pub fn rotation_radians(&self) -> f64 {
        self.turn_step * 3f64.sqrt() / 2.0
    }

    /// The place on the lattice of rests that is nearest, its rotation as it is.
    pub(super) fn on_lattice(&self, at: Placement) -> Placement {
        Placement { place: at.place.map(|metres| (metres / self.place_step).round_ties_even() * self.place_step), ..at }
    }

    pub(super) fn place_step(&self) -> f64 {
        self.place_step
    }

    /// Between two rotations about one axis, radians.
    pub(super) fn turn_step(&self) -> f64 {
        self.turn_step
    }

    /// Between two values of a component of a quaternion at rest. A step of a rotation changes a component by half of
    /// it; another half, because the component that is left out may be off by as much as the three others together.
    pub(super) fn component_step(&self) -> f64 {
        self.turn_step / 4.0
    }
}

/// The unit quaternion in this direction, its w not negative; not turned, if there is none.
pub(super) fn unit(q: [f64; 4]) -> [f64; 4] {
    let length = dot(q, q).sqrt();
    if !(length.is_finite() && length > 1e-6) {
        return [0.0, 0.0, 0.0, 1.0];
    }
    let length = if q[3] < 0.0 { -length } else { length };
    q.map(|c| c / length)
}

fn dot(a: [f64; 4], b: [f64; 4]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]
}

/// First `b`, then `a`.
pub(super) fn product(a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
    [
        a[3] * b[0] + a[0] * b[3] + a[1] * b[2] - a[2] * b[1],
        a[3] * b[1] - a[0] * b[2] + a[1] * b[3] + a[2] * b[0],
        a[3] * b[2] + a[0] * b[1] - a[1] * b[0] + a[2] * b[3],
        a[3] * b[3] - a[0] * b[0] - a[1] * b[1] - a[2] * b[2],
    ]
}

/// The other way round.
pub(super) fn inverse(q: [f64; 4]) -> [f64; 4] {
    [-q[0], -q[1], -q[2], q[3]]
}

/// The turn of a unit quaternion, the shorter way: an axis times radians.
pub(super) fn turn_of(q: [f64; 4]) -> [f64; 3] {
    let q = if q[3] < 0.0 { q.map(|c| -c) } else { q };
    let sine = (q[0] * q[0] + q[1] * q[1] + q[2] * q[2]).sqrt();
    if sine < 1e-12 {
        return [2.0 * q[0], 2.0 * q[1], 2.0 * q[2]];
    }
    // atan(s / c) with the angle halved twice, where six terms are exact to 1e-6.
    let quarter = sine / (1.0 + q[3]);
    let eighth = quarter / (1.0 + (1.0 + quarter * quarter).sqrt());
    let x = eighth * eighth;
    let series = 1.0 - x * (1.0 / 3.0 - x * (1.0 / 5.0 - x * (1.0 / 7.0 - x * (1.0 / 9.0 - x / 11.0))));
    let radians = 8.0 * eighth * series;
    [q[0], q[1], q[2]].map(|c| c / sine * radians)
}

/// The unit quaternion of a turn; beyond two turns, none.
pub(super) fn turned(turn: [f64; 3]) -> [f64; 4] {
    let squared = turn[0] * turn[0] + turn[1] * turn[1] + turn[2] * turn[2];
    if squared > 160.0 {
        return [0.0, 0.0, 0.0, 1.0];
    }
    // Sine and cosine of an eighth of the turn, then doubled twice.
    let x = squared / 64.0;
    let sine_per_angle = 1.0 - x / 6.0 * (1.0 - x / 20.0 * (1.0 - x / 42.0 * (1.0 - x / 72.0)));
    let cosine = 1.0 - x / 2.0 * (1.0 - x / 12.0 * (1.0 - x / 30.0 * (1.0 - x / 56.0 * (1.0 - x / 90.0))));
    let eighth =
        unit([turn[0] / 8.0 * sine_per_angle, turn[1] / 8.0 * sine_per_angle, turn[2] / 8.0 * sine_per_angle, cosine]);
    let quarter = product(eighth, eighth);
    unit(product(quarter, quarter))
}

/// Angle between two rotations, radians.
pub fn angle_between(a: [f64; 4], b: [f64; 4]) -> f64 {
    let turn = turn_of(product(inverse(unit(a)), unit(b)));
    (turn[0] * turn[0] + turn[1] * turn[1] + turn[2] * turn[2]).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_turn_is_what_its_quaternion_turns(turn in proptest::array::uniform3(-1.8f64..1.8)) {
            let back = turn_of(turned(turn));
            for (a, b) in turn.iter().zip(back) {
                prop_assert!((a - b).abs() < 1e-5, "{turn:?} {back:?}");
            }
        }

        #[test]
        fn turning_back_and_forth_leaves_nothing(a in proptest::array::uniform4(-1f64..1.0), b in proptest::array::uniform3(-1f64..1.0)) {
            let (a, b) = (unit(a), turned(b));
            prop_assert!(angle_between(product(inverse(b), product(b, a)), a) < 1e-9);
        }
    }

    #[test]
    fn nonsense_is_no_precision_and_no_rotation() {
        assert!(Precision::new(f64::NAN, 0.1).is_none() && Precision::new(0.0, 0.1).is_none());
        assert_eq!(unit([f64::NAN, 0.0, 0.0, 1.0]), Placement::ORIGIN.rotation);
        let far = Placement { place: [f64::INFINITY, 1e300, 1.0], rotation: [0.0; 4] }.mended();
        assert_eq!(far, Placement { place: [0.0, REACH, 1.0], rotation: Placement::ORIGIN.rotation });
    }
}
