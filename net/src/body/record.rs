//! One body in a packet: whether it rests, and how far it is from where both ends expect it.

use std::sync::LazyLock;

use super::entropy::{Bit, Coder, Size};
use super::motion::{Expected, Known};
use super::placement::{Placement, Precision, inverse, product, turn_of, turned, unit};

const BUCKETS: usize = 32;
/// Farthest from what is expected, in steps: beyond any site at the finest precision.
const FARTHEST: f64 = 2e9;

/// What is likely, learnt anew in each packet.
#[derive(Debug, Clone)]
pub(super) struct Likely {
    resting: [Bit; 6],
    same_largest: Bit,
    first: Size,
    place: [Size; BUCKETS],
    turn: [Size; BUCKETS],
}

impl Likely {
    /// As a packet begins. To work it out takes longer than to write most packets.
    pub(super) fn new() -> Self {
        static BEGINNING: LazyLock<Likely> = LazyLock::new(Likely::work_out);
        BEGINNING.clone()
    }

    fn work_out() -> Self {
        Self {
            resting: [0.001, 0.01, 0.03, 0.1, 0.4, 0.95].map(Bit::prior),
            same_largest: Bit::prior(0.95),
            first: Size::about(500.0),
            place: std::array::from_fn(|bucket| Size::about(middle(bucket))),
            turn: std::array::from_fn(|bucket| Size::about(middle(bucket))),
        }
    }
}

/// Half octaves of a size, from 1/32 of a step.
fn bucket(size: f32) -> usize {
    let octaves = size.clamp(1.0 / 32.0, 2040.0).to_bits() >> 22;
    (octaves - ((1f32 / 32.0).to_bits() >> 22)) as usize
}

fn middle(bucket: usize) -> f64 {
    let octave = f64::from(1u32 << (bucket / 2)) / 32.0;
    if bucket.is_multiple_of(2) { octave * 1.25 } else { octave * 1.75 }
}

/// Codes three numbers about as large as `size`; returns them and their mean size.
fn triple<C: Coder>(coder: &mut C, likely: &mut [Size; BUCKETS], size: f32, numbers: [i32; 3]) -> ([i32; 3], f32) {
    let mut told = [0; 3];
    let mut sum = 0.0;
    for (axis, number) in numbers.into_iter().enumerate() {
        // The axes of one body are surprising together.
        let expected = (size + sum) / (1.0 + axis as f32);
        told[axis] = likely[bucket(expected)].code_signed(coder, number);
        sum += told[axis].unsigned_abs() as f32;
    }
    (told, sum / 3.0)
}

fn steps(distance: f64, step: f64) -> i32 {
    (distance / step).round_ties_even().clamp(-FARTHEST, FARTHEST) as i32
}

/// A body told by its difference to what is expected, of what is known and foreseen. `truth` is ignored by a decoder.
pub(super) fn code_known<C: Coder>(
    coder: &mut C,
    likely: &mut Likely,
    precision: &Precision,
    (known, foreseen): (&[&Known], Option<Placement>),
    (packet, tick): (u32, u32),
    truth: (Placement, bool),
) -> Known {
    let base = known[0];
    let (place_step, turn_step) = (precision.place_step(), precision.turn_step());
    let expected = Expected::at(known, tick, foreseen);
    let resting = coder.bit(&mut likely.resting[expected.calm(base)], truth.1);
    let (at, sizes) = if resting {
        (code_rest(coder, likely, precision, (expected.at, base), truth.0), [base.place_size, base.turn_size])
    } else {
        let off = std::array::from_fn(|i| steps(truth.0.place[i] - expected.at.place[i], place_step));
        let (off, place_size) = triple(coder, &mut likely.place, base.place_size, off);
        let place = std::array::from_fn(|i| expected.at.place[i] + f64::from(off[i]) * place_step);
        let turn = turn_of(product(inverse(expected.at.rotation), truth.0.rotation));
        let turn = turn.map(|radians| steps(radians, turn_step));
        // What a simulation did not know of turned the body as much as it pushed it.
        let pushed = if foreseen.is_some() { (place_size + 1.0) / (base.place_size + 1.0) } else { 1.0 };
        let (turn, turn_size) = triple(coder, &mut likely.turn, base.turn_size * pushed, turn);
        let rotation = turned_by(expected.at.rotation, turn, turn_step);
        (Placement { place, rotation }.mended(), [place_size, turn_size])
    };
    expected.learn(base, (packet, tick), (at, resting), [place_step, turn_step], sizes)
}

/// A body that the receiver knows nothing of, told on the lattice of all rests.
pub(super) fn code_first<C: Coder>(
    coder: &mut C,
    likely: &mut Likely,
    precision: &Precision,
    near: Placement,
    (packet, tick): (u32, u32),
    truth: (Placement, bool),
) -> Known {
    let resting = coder.bit(&mut likely.resting[0], truth.1);
    let place_step = precision.place_step();
    let place = std::array::from_fn(|i| {
        let from = steps(near.place[i], place_step);
        let to = steps(truth.0.place[i], place_step);
        let off = likely.first.code_signed(coder, to.saturating_sub(from));
        f64::from(from.saturating_add(off)) * place_step
    });
    let rotation = code_rotation(coder, likely, precision, (near.rotation, 200.0), truth.0.rotation);
    Known::first(packet, tick, Placement { place, rotation }.mended(), resting)
}

/// Where a body rests is on a lattice of its own, so that all receivers hold the same, whatever they expected.
fn code_rest<C: Coder>(
    coder: &mut C,
    likely: &mut Likely,
    precision: &Precision,
    (near, base): (Placement, &Known),
    truth: Placement,
) -> Placement {
    let step = precision.place_step();
    let from = near.place.map(|metres| steps(metres, step));
    let off = std::array::from_fn(|i| steps(truth.place[i], step).saturating_sub(from[i]));
    let (off, _) = triple(coder, &mut likely.place, base.place_size, off);
    let place = std::array::from_fn(|i| f64::from(from[i].saturating_add(off[i])) * step);
    // A step of a turn is two of a component, and the lattice itself is off by a third of one.
    let near = (near.rotation, base.turn_size * 2.0 + 0.3);
    Placement { place, rotation: code_rotation(coder, likely, precision, near, truth.rotation) }.mended()
}

fn largest_of(q: [f64; 4]) -> usize {
    (0..4).fold(0, |largest, i| if q[i].abs() > q[largest].abs() { i } else { largest })
}

/// The three smaller components in whole steps, the largest made positive.
fn components(q: [f64; 4], largest: usize, step: f64) -> [i32; 3] {
    let sign = if q[largest] < 0.0 { -1.0 } else { 1.0 };
    let mut numbers = [0; 3];
    (0..4).filter(|i| *i != largest).zip(&mut numbers).for_each(|(i, number)| *number = steps(q[i] * sign, step));
    numbers
}

fn code_rotation<C: Coder>(
    coder: &mut C,
    likely: &mut Likely,
    precision: &Precision,
    (near, size): ([f64; 4], f32),
    truth: [f64; 4],
) -> [f64; 4] {
    let step = precision.component_step();
    let (guess, wanted) = (largest_of(near), largest_of(truth));
    let largest = if coder.bit(&mut likely.same_largest, guess == wanted) {
        guess
    } else {
        coder.raw(2, wanted as u32) as usize & 3
    };
    let (from, to) = (components(near, largest, step), components(truth, largest, step));
    let off = std::array::from_fn(|i| to[i].saturating_sub(from[i]));
    let (off, _) = triple(coder, &mut likely.turn, size, off);
    let mut rotation = [0.0; 4];
    let mut left = 1.0;
    for (number, i) in (0..4).filter(|i| *i != largest).enumerate() {
        rotation[i] = f64::from(from[number].saturating_add(off[number])) * step;
        left -= rotation[i] * rotation[i];
    }
    rotation[largest] = left.max(0.0).sqrt();
    unit(rotation)
}

/// `from`, turned about its own axes by so many steps. A turn that is off by so much gives a rotation that is off by no
/// more, however far it turns.
fn turned_by(from: [f64; 4], turn: [i32; 3], step: f64) -> [f64; 4] {
    if turn == [0; 3] { from } else { unit(product(from, turned(turn.map(|t| f64::from(t) * step)))) }
}
