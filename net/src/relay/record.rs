//! One sample in a packet: how far it is from where both ends expect it, by what the receiver has said that it knows.

use super::bits::Bits;
use super::sample::{Detail, HANDS, POINTER, Point, Sample, Turn, rounded};
use crate::body::Epoch;

/// What a sample builds on: one that the receiver has acknowledged, and the one which that built on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base<'a> {
    pub(super) known: &'a Sample,
    pub(super) before: Option<&'a Sample>,
}

/// Most bytes of one sample: a head, two hands and a pointer, each number in its longest code of 8 bytes at most, would
/// be 170; honest ones take 60 for the first time and 15 later.
pub(crate) const SAMPLE_BYTES: usize = 176;

/// Orders of numbers of which nothing is known: places in a site of some 60 m, in millimetres; a hand or pointer beside
/// its head.
const ORDER_ANYWHERE: u32 = 15;
const ORDER_HAND: u32 = 9;
const ORDER_POINTER: u32 = 12;
/// Milliseconds between the hearing and the telling of a sample.
const ORDER_AGE: u32 = 3;

/// Codes a sample that is told at `now` (ms). `truth` is ignored by a reader.
pub(super) fn code<B: Bits>(bits: &mut B, now: u64, is_avatar: bool, base: Option<Base<'_>>, truth: &Sample) -> Sample {
    let detail = Detail::ALL[bits.bits(2, truth.detail as u32) as usize];
    let age = bits.number(ORDER_AGE, now.saturating_sub(truth.millis).min(1 << 20) as u32);
    let mut told = Sample { millis: now.saturating_sub(age.into()), detail, ..Sample::NOTHING };
    if is_avatar {
        let same = base.is_some_and(|base| bits.flag(base.known.shape == truth.shape));
        told.shape =
            base.filter(|_| same).map_or_else(|| bits.bits(3, truth.shape.into()) as u8, |base| base.known.shape);
    } else {
        let before = base.map_or(0, |base| base.known.epoch.0);
        let ahead =
            if bits.flag(truth.epoch.0 == before) { 0 } else { bits.number(1, truth.epoch.0.wrapping_sub(before)) };
        told.epoch = Epoch(before.wrapping_add(ahead));
    }
    let course = Course::new(base, told.millis);
    told.points[0] = course.code_point(bits, detail, 0, None, &truth.points[0]);
    let head = told.points[0].place;
    for side in (0..2).filter(|side| told.shape & HANDS[*side] != 0) {
        let known = base.is_some_and(|base| base.known.shape & HANDS[side] != 0);
        told.points[1 + side] =
            course.code_point(bits, detail, 1 + side, (!known).then_some(head), &truth.points[1 + side]);
    }
    if told.shape & POINTER != 0 {
        let known = base.filter(|base| base.known.shape & POINTER != 0);
        let (near, order) = known.map_or((head, ORDER_POINTER), |base| (base.known.pointer, 4));
        told.pointer = code_place(bits, detail, near, order, truth.pointer);
    }
    told
}

/// How something moves on.
struct Course<'a> {
    base: Option<Base<'a>>,
    /// Milliseconds since the base, and between it and the one before.
    since: i64,
    between: i64,
}

/// Of the way that it would go on in a straight line something takes so many eighths: hands and heads turn back soon.
const GOES_ON: i64 = 5;

impl<'a> Course<'a> {
    fn new(base: Option<Base<'a>>, millis: u64) -> Self {
        let (mut since, mut between) = (0, 0);
        if let Some(Base { known, before }) = base {
            since = (millis as i64).wrapping_sub(known.millis as i64).clamp(0, 1000);
            between = before.map_or(0, |before| (known.millis as i64).wrapping_sub(before.millis as i64));
        }
        // After a rest nobody knows where to.
        let moved = base.is_some_and(|base| !base.known.is_resting());
        let between = if moved && (1..=2000).contains(&between) { between } else { 0 };
        Self { base, since, between }
    }

    /// `moved` from the one before to the base, carried on.
    fn onward(&self, moved: i32) -> i32 {
        if self.between == 0 {
            return 0;
        }
        let onward = i64::from(moved) * self.since.min(2 * self.between) * GOES_ON / (8 * self.between);
        onward.clamp(-(1 << 26), 1 << 26) as i32
    }

    /// The order of what a point is off by: a part of what it moved lately, or as much as hands move in that time.
    fn order(&self, moved: [i32; 3], shift: u32) -> u32 {
        let steps = if self.between == 0 {
            2 + self.since / 8
        } else {
            let moved: i64 = moved.iter().map(|moved| i64::from(moved.unsigned_abs())).sum();
            moved * self.since / (self.between * 8) + self.since / 32
        };
        ((steps >> shift) + 1).ilog2().min(24)
    }

    /// A point; `beside` is given for a hand that the base does not have.
    fn code_point<B: Bits>(
        &self,
        bits: &mut B,
        detail: Detail,
        n: usize,
        beside: Option<[i32; 3]>,
        truth: &Point,
    ) -> Point {
        let Some(base) = self.base.filter(|_| beside.is_none()) else {
            let (near, order) = beside.map_or(([0; 3], ORDER_ANYWHERE), |head| (head, ORDER_HAND));
            let place = code_place(bits, detail, near, order, truth.place);
            return Point { place, turn: code_first_turn(bits, detail, truth.turn) };
        };
        let known = &base.known.points[n];
        let has_before = n == 0 || base.before.is_some_and(|before| before.shape & HANDS[n - 1] != 0);
        let before = base.before.filter(|_| has_before).map_or(known, |before| &before.points[n]);
        let moved: [i32; 3] = std::array::from_fn(|i| known.place[i].saturating_sub(before.place[i]));
        let near = std::array::from_fn(|i| known.place[i].saturating_add(self.onward(moved[i])));
        let order = self.order(moved, detail.shifts().0);
        let place = code_place(bits, detail, near, order, truth.place);
        Point { place, turn: self.code_turn(bits, detail, (known.turn, before.turn), truth.turn) }
    }

    fn code_turn<B: Bits>(&self, bits: &mut B, detail: Detail, (known, before): (Turn, Turn), truth: Turn) -> Turn {
        let same = bits.flag(known.largest == truth.largest);
        let largest = if same { known.largest } else { bits.bits(2, truth.largest.into()) as u8 };
        let (known, before) = (known.beside(largest), before.beside(largest));
        let shift = detail.shifts().1;
        let moved: [i32; 3] = std::array::from_fn(|i| i32::from(known[i]) - i32::from(before[i]));
        let order = self.order(moved, shift);
        let parts = std::array::from_fn(|i| {
            let near = rounded(i32::from(known[i]) + self.onward(moved[i]), shift);
            let off = bits.signed(order, (i32::from(truth.parts[i]) - near) >> shift);
            near.saturating_add(off.clamp(-4096, 4096) << shift).clamp(-2047, 2047) as i16
        });
        Turn { largest, parts }
    }
}

fn code_place<B: Bits>(bits: &mut B, detail: Detail, near: [i32; 3], order: u32, truth: [i32; 3]) -> [i32; 3] {
    let shift = detail.shifts().0;
    std::array::from_fn(|i| {
        let near = rounded(near[i].clamp(-(1 << 28), 1 << 28), shift);
        let off = bits
            .signed(order.saturating_sub(if order > 8 { shift } else { 0 }), truth[i].saturating_sub(near) >> shift);
        // Only what no honest sender says is as far as this.
        near.saturating_add(off.clamp(-(1 << 29), 1 << 29).saturating_mul(1 << shift)).clamp(-(1 << 28), 1 << 28)
    })
}

fn code_first_turn<B: Bits>(bits: &mut B, detail: Detail, truth: Turn) -> Turn {
    let largest = bits.bits(2, truth.largest.into()) as u8;
    let shift = detail.shifts().1;
    let parts = truth.parts.map(|part| {
        // From -1024 to 1023: components beside the largest are below 725.
        let steps = bits.bits(11 - shift, ((i32::from(part) + 1024) >> shift).cast_unsigned());
        ((steps.cast_signed() << shift) - 1024) as i16
    });
    Turn { largest, parts }
}

#[cfg(test)]
mod tests {
    use super::super::bits::{Reader, Writer};
    use super::*;
    use proptest::prelude::*;

    fn point() -> impl Strategy<Value = Point> {
        let place = proptest::array::uniform3(prop_oneof![-2000..2000i32, -100_000_000..=100_000_000i32]);
        (place, 0u8..4, proptest::array::uniform3(-724i16..=724))
            .prop_map(|(place, largest, parts)| Point { place, turn: Turn { largest, parts } })
    }

    fn sample() -> impl Strategy<Value = Sample> {
        (proptest::array::uniform3(point()), 0u8..8, 0usize..4, 0u64..5000, any::<u32>()).prop_map(
            |(points, shape, detail, millis, epoch)| {
                let exact =
                    Sample { millis, shape, points, epoch: Epoch(epoch), pointer: points[0].place, ..Sample::NOTHING };
                exact.in_detail(Detail::ALL[detail])
            },
        )
    }

    proptest! {
        #[test]
        fn whatever_it_builds_on_a_sample_comes_back_as_it_was(
            known in sample(), before in sample(), mut truth in sample(), builds in 0..3, is_avatar: bool, wait in 0u64..4000,
        ) {
            if is_avatar { truth.epoch = Epoch(0); } else {
                let point = truth.points[0];
                truth = Sample { points: [point, Point::ORIGIN, Point::ORIGIN], shape: 0, pointer: [0; 3], ..truth };
            }
            let base = Base { known: &known, before: (builds == 2).then_some(&before) };
            let base = (builds > 0).then_some(base);
            let now = truth.millis + wait;
            let mut writer = Writer::new(Vec::new());
            let told = code(&mut writer, now, is_avatar, base, &truth);
            prop_assert_eq!(&told, &truth);
            let bytes = writer.finish();
            prop_assert!(bytes.len() <= SAMPLE_BYTES, "{} bytes", bytes.len());
            let mut reader = Reader::new(&bytes);
            let back = code(&mut reader, now, is_avatar, base, &Sample::NOTHING);
            prop_assert!(!reader.is_broken());
            prop_assert_eq!(back, truth);
        }
    }
}
