//! What is told of one avatar or body at one instant, in whole steps: a millimetre, and 1/1024 of a component of a
//! quaternion. In whole steps everyone computes the same, on every machine and along whichever way it came.

use crate::body::{Epoch, Placement};
use crate::peers::{Pose, TrackedPoint};

/// Steps of a component of a quaternion that make one. Three of them and the one that is left out, each off by half a
/// step, are off by less than 4 mrad together.
pub(super) const TURN_STEPS: i32 = 1024;
/// Farthest place on an axis, millimetres: as far as bodies reach, and a sum of three still fits 32 bits.
const REACH_MM: f64 = crate::body::REACH * 1000.0;

/// How exactly something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// To the step, with all points: how whatever rests is told, to everyone.
    Exact,
    /// Within a millimetre and 10 mrad: three components each off by a step and a half, and the largest by their sum.
    Near,
    /// Within 4 mm and 31 mrad.
    Middle,
    /// Within 16 mm and 58 mrad; of an avatar the head alone.
    Far,
}

impl Detail {
    /// All, by how they are written.
    pub(super) const ALL: [Self; 4] = [Self::Exact, Self::Near, Self::Middle, Self::Far];

    /// By how many bits places and components of turns are coarser than a step.
    pub(super) fn shifts(self) -> (u32, u32) {
        match self {
            Self::Exact => (0, 0),
            Self::Near => (1, 1),
            Self::Middle => (3, 3),
            Self::Far => (5, 4),
        }
    }
}

/// A rotation: which component of the quaternion is largest and positive, and the three others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) largest: u8,
    pub(super) parts: [i16; 3],
}

/// A place with a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) place: [i32; 3],
    pub(super) turn: Turn,
}

impl Point {
    pub(super) const ORIGIN: Self = Self { place: [0; 3], turn: Turn { largest: 3, parts: [0; 3] } };
}

/// What is told of one avatar or body at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When the host heard it, milliseconds on its clock.
    pub(super) millis: u64,
    pub(super) detail: Detail,
    /// Of a body: under which lease.
    pub(super) epoch: Epoch,
    /// Of an avatar: whether there are a left hand, a right hand, a pointer.
    pub(super) shape: u8,
    /// A body or a head; the hands.
    pub(super) points: [Point; 3],
    /// Where the pointer ends.
    pub(super) pointer: [i32; 3],
}

/// Bits of [`Sample::shape`].
pub(super) const HANDS: [u8; 2] = [1, 2];
pub(super) const POINTER: u8 = 4;

impl Sample {
    pub(super) const NOTHING: Self = Self {
        millis: 0,
        detail: Detail::Exact,
        epoch: Epoch(0),
        shape: 0,
        points: [Point::ORIGIN; 3],
        pointer: [0; 3],
    };

    /// An avatar, exactly.
    pub fn of_pose(pose: &Pose, millis: u64) -> Self {
        let mut sample = Self { millis, ..Self::NOTHING };
        sample.points[0] = point_of(&pose.head);
        for (side, hand) in pose.hands.iter().enumerate() {
            if let Some(hand) = hand {
                sample.shape |= HANDS[side];
                sample.points[1 + side] = point_of(hand);
            }
        }
        if let Some(pointer) = pose.pointer {
            sample.shape |= POINTER;
            sample.pointer = place_of(pointer.map(f64::from));
        }
        sample
    }

    /// A body, exactly.
    pub fn of_body(at: &Placement, epoch: Epoch, millis: u64) -> Self {
        let mut sample = Self { millis, epoch, ..Self::NOTHING };
        sample.points[0] = Point { place: place_of(at.place), turn: Turn::of(at.rotation) };
        sample
    }

    /// As an avatar's.
    pub fn pose(&self) -> Pose {
        let hand = |side: usize| (self.shape & HANDS[side] != 0).then(|| self.points[1 + side].tracked());
        let pointer = (self.shape & POINTER != 0).then(|| self.pointer.map(metres));
        Pose { head: self.points[0].tracked(), hands: [hand(0), hand(1)], pointer }
    }

    /// As a body's, and under which lease it was told.
    pub fn body(&self) -> (TrackedPoint, Epoch) {
        (self.points[0].tracked(), self.epoch)
    }

    /// As a body's, in steps: the place, which component of the turn is largest and the three others, and the lease.
    pub(crate) fn body_steps(&self) -> ([i32; 3], (u8, [i16; 3]), Epoch) {
        let Point { place, turn } = self.points[0];
        (place, (turn.largest, turn.parts), self.epoch)
    }

    /// A body, of such steps.
    pub(crate) fn of_body_steps(place: [i32; 3], (largest, parts): (u8, [i16; 3]), epoch: Epoch, millis: u64) -> Self {
        let mut sample = Self { millis, epoch, ..Self::NOTHING };
        sample.points[0] = Point { place, turn: Turn { largest, parts } };
        sample
    }

    /// Whether what is told stays so until something else is.
    pub fn is_resting(&self) -> bool {
        self.detail == Detail::Exact
    }

    /// When the host heard it, milliseconds on its clock.
    pub fn millis(&self) -> u64 {
        self.millis
    }

    /// Where it is, millimetres.
    pub(crate) fn place(&self) -> [i32; 3] {
        self.points[0].place
    }

    /// The same at a later instant.
    pub(crate) fn later(&self, millis: u64) -> Self {
        Self { millis, ..self.clone() }
    }

    /// Whether it is the same but for the instant.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        (self.epoch, self.shape, self.points, self.pointer) == (other.epoch, other.shape, other.points, other.pointer)
    }

    /// The same as it is told in this detail.
    pub fn in_detail(&self, detail: Detail) -> Self {
        let (place, turn) = detail.shifts();
        let shape = if detail == Detail::Far { 0 } else { self.shape };
        let mut points = [Point::ORIGIN; 3];
        for (n, point) in points.iter_mut().enumerate() {
            if n == 0 || shape & HANDS[n - 1] != 0 {
                let from = &self.points[n];
                point.place = from.place.map(|step| rounded(step, place));
                point.turn.largest = from.turn.largest;
                point.turn.parts = from.turn.parts.map(|step| rounded(i32::from(step), turn) as i16);
            }
        }
        let pointer = if shape & POINTER != 0 { self.pointer.map(|step| rounded(step, place)) } else { [0; 3] };
        Self { millis: self.millis, detail, epoch: self.epoch, shape, points, pointer }
    }
}

/// The nearest multiple of 2^`shift`.
pub(super) fn rounded(step: i32, shift: u32) -> i32 {
    (step + ((1 << shift) >> 1)) >> shift << shift
}

/// Metres of a place that is finite and not too far: a broken tracker must not break the others.
fn place_of(metres: [f64; 3]) -> [i32; 3] {
    metres.map(|metres| {
        if metres.is_finite() { (metres * 1000.0).clamp(-REACH_MM, REACH_MM).round_ties_even() as i32 } else { 0 }
    })
}

fn metres(step: i32) -> f32 {
    (f64::from(step) / 1000.0) as f32
}

fn point_of(point: &TrackedPoint) -> Point {
    Point { place: place_of(point.place.map(f64::from)), turn: Turn::of(point.rotation.map(f64::from)) }
}

impl Point {
    fn tracked(&self) -> TrackedPoint {
        TrackedPoint { place: self.place.map(metres), rotation: self.turn.rotation() }
    }
}

impl Turn {
    /// Of a quaternion, of which only the direction counts; not turned, if there is none.
    fn of(rotation: [f64; 4]) -> Self {
        let length = rotation.iter().map(|c| c * c).sum::<f64>().sqrt();
        if !(length.is_finite() && length > 1e-6) {
            return Point::ORIGIN.turn;
        }
        let steps = rotation.map(|c| (c / length * f64::from(TURN_STEPS)).round_ties_even() as i32);
        Self::of_steps(steps, largest_of(steps))
    }

    fn of_steps(steps: [i32; 4], largest: u8) -> Self {
        let sign = if steps[usize::from(largest)] < 0 { -1 } else { 1 };
        let mut parts = [0; 3];
        let others = (0..4).filter(|i| *i != usize::from(largest));
        others.zip(&mut parts).for_each(|(i, part)| *part = (steps[i] * sign).clamp(-2047, 2047) as i16);
        Self { largest, parts }
    }

    /// All four components in steps.
    pub(super) fn steps(self) -> [i32; 4] {
        let mut steps = [0; 4];
        let mut rest = TURN_STEPS * TURN_STEPS;
        for (part, i) in self.parts.into_iter().zip((0..4).filter(|i| *i != usize::from(self.largest))) {
            steps[i] = i32::from(part);
            rest -= steps[i] * steps[i];
        }
        steps[usize::from(self.largest)] = rest.max(0).isqrt();
        steps
    }

    /// The three components besides `largest`, made positive.
    pub(super) fn beside(self, largest: u8) -> [i16; 3] {
        if largest == self.largest { self.parts } else { Self::of_steps(self.steps(), largest).parts }
    }

    fn rotation(self) -> [f32; 4] {
        let steps = self.steps().map(|step| step as f32);
        let length = steps.iter().map(|c| c * c).sum::<f32>().sqrt();
        if length > 0.0 { steps.map(|c| c / length) } else { [0.0, 0.0, 0.0, 1.0] }
    }
}

fn largest_of(steps: [i32; 4]) -> u8 {
    (0..4u8).fold(0, |most, i| if steps[usize::from(i)].abs() > steps[usize::from(most)].abs() { i } else { most })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nonsense_becomes_the_origin_and_whole_millimetres_come_back_as_they_were() {
        let head = TrackedPoint { place: [f32::NAN, f32::INFINITY, 1e30], rotation: [f32::NAN; 4] };
        let told = Sample::of_pose(&Pose { head, hands: [None, None], pointer: None }, 0).pose().head;
        assert_eq!((told.place, told.rotation), ([0.0, 0.0, 100_000.0], [0.0, 0.0, 0.0, 1.0]));
        for millimetres in -3000..3000 {
            let place = [millimetres as f32 / 1000.0, 7.0, -0.001];
            let head = TrackedPoint { place, rotation: [0.0, 0.0, 0.0, 1.0] };
            let pose = Pose { head, hands: [None, Some(head)], pointer: Some(place) };
            assert_eq!(Sample::of_pose(&pose, 0).pose(), pose);
        }
    }

    proptest! {
        #[test]
        fn what_is_told_is_as_exact_as_its_detail_says(
            place in proptest::array::uniform3(-5000f32..5000.0),
            raw in proptest::array::uniform4(-1f32..1.0),
        ) {
            let length = raw.iter().map(|c| c * c).sum::<f32>().sqrt();
            prop_assume!(length > 0.1);
            let head = TrackedPoint { place, rotation: raw.map(|c| c / length) };
            let pose = Pose { head, hands: [Some(head), None], pointer: Some(place) };
            let exact = Sample::of_pose(&pose, 5);
            for (detail, millimetres, radians) in
                [(Detail::Exact, 0.5, 0.004), (Detail::Near, 1.5, 0.0103), (Detail::Middle, 4.5, 0.031), (Detail::Far, 16.5, 0.06)]
            {
                let told = exact.in_detail(detail).pose();
                prop_assert_eq!(told.hands[0].is_some(), detail != Detail::Far);
                for (a, b) in told.head.place.iter().zip(place) {
                    prop_assert!(f64::from((a - b).abs()) <= millimetres / 1000.0 + 5e-4, "{a} for {b} in {detail:?}");
                }
                let dot: f64 = told.head.rotation.iter().zip(head.rotation).map(|(a, b)| f64::from(*a) * f64::from(b)).sum();
                let angle = dot.abs().min(1.0).acos() * 2.0;
                prop_assert!(angle <= radians, "{angle} rad in {detail:?}");
            }
        }
    }
}
