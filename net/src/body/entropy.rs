//! An adaptive binary range coder, and whole numbers in it. Probabilities are 16 bits and learn within one packet only,
//! so that a lost packet costs nothing but itself. Encoder and decoder run the same code through [`Coder`].
//!
//! The arithmetic is that of LZMA's range coder (32 bits of range, carries propagated late), with the first byte, which
//! is always zero, and the trailing zero bytes left out: a decoder reads zeros past the end. How much is decoded is
//! bounded by whoever calls, never by the input.

/// Probability that a bit is one, in units of 2⁻¹⁶, and how much it has learnt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bit {
    one: u16,
    seen: u8,
}

/// The steps of learning: 1 / (seen + 1.6) at first, then 1/24: quick where the prior is wrong, calm where it is right.
const LEARN: [i32; 24] = {
    let mut steps = [0; 24];
    let mut seen = 0;
    while seen < 24 {
        steps[seen] = (65_536 * 10 / (seen as i64 * 10 + 16)) as i32;
        seen += 1;
    }
    steps
};
/// As if so many had been seen already when a prior is given.
const TRUST: u8 = 10;
const CERTAIN: u16 = 48;

impl Bit {
    pub(super) const EVEN: Self = Self { one: 1 << 15, seen: 1 };

    /// A bit that is one with this probability, as far as is known.
    pub(super) fn prior(probability: f64) -> Self {
        let one = (probability * 65_536.0).clamp(f64::from(CERTAIN), f64::from(u16::MAX - CERTAIN));
        Self { one: one as u16, seen: TRUST }
    }

    fn learn(&mut self, one: bool) {
        let goal = if one { 65_535 - i32::from(CERTAIN) } else { i32::from(CERTAIN) };
        let step = ((i64::from(goal - i32::from(self.one)) * i64::from(LEARN[self.seen as usize])) >> 16) as i32;
        // Stays within [CERTAIN, 65535 − CERTAIN], since it moves towards one of the two by less than the distance.
        self.one = (i32::from(self.one) + step) as u16;
        self.seen = (self.seen + 1).min(LEARN.len() as u8 - 1);
    }
}

/// One end of the code. What is given is coded, or ignored by a decoder; what is returned is what both now know.
pub(super) trait Coder {
    /// Whether this end decides: an encoder.
    const WRITES: bool;
    /// One bit of a probability that learns.
    fn bit(&mut self, model: &mut Bit, bit: bool) -> bool;
    /// `count` (up to 32) bits that look random.
    fn raw(&mut self, count: u32, bits: u32) -> u32;
}

/// Packs bits into bytes.
#[derive(Debug)]
pub(super) struct Encoder {
    low: u64,
    range: u32,
    held: u8,
    held_ones: u32,
    started: bool,
    begun: usize,
    bytes: Vec<u8>,
}

impl Encoder {
    /// Appends to what `bytes` hold.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { low: 0, range: u32::MAX, held: 0, held_ones: 0, started: false, begun: bytes.len(), bytes }
    }

    /// Bytes so far, and those that finishing may still add.
    pub(super) fn bytes_at_most(&self) -> usize {
        self.bytes.len() + self.held_ones as usize + 6
    }

    /// Ends the code with as few bytes as name it.
    pub(super) fn finish(mut self) -> Vec<u8> {
        // The number in [low, low + range) with the most trailing zeros.
        let (low, high) = (self.low, self.low + u64::from(self.range) - 1);
        self.low = (0..=32).rev().map(|zeros| high >> zeros << zeros).find(|ended| *ended >= low).unwrap_or(low);
        for _ in 0..5 {
            self.shift();
        }
        while self.bytes.len() > self.begun && self.bytes.last() == Some(&0) {
            self.bytes.pop();
        }
        self.bytes
    }

    fn shift(&mut self) {
        if self.low < 0xFF00_0000 || self.low > u64::from(u32::MAX) {
            let carry = (self.low >> 32) as u8;
            if self.started {
                self.bytes.push(self.held.wrapping_add(carry));
            }
            self.started = true;
            for _ in 0..std::mem::take(&mut self.held_ones) {
                self.bytes.push(0xFFu8.wrapping_add(carry));
            }
            self.held = (self.low >> 24) as u8;
        } else {
            self.held_ones += 1;
        }
        self.low = (self.low & 0x00FF_FFFF) << 8;
    }

    fn normalise(&mut self) {
        while self.range < 1 << 24 {
            self.range <<= 8;
            self.shift();
        }
    }
}

impl Coder for Encoder {
    const WRITES: bool = true;

    fn bit(&mut self, model: &mut Bit, bit: bool) -> bool {
        let ones = ((u64::from(self.range) * u64::from(model.one)) >> 16) as u32;
        if bit {
            self.range = ones;
        } else {
            self.low += u64::from(ones);
            self.range -= ones;
        }
        model.learn(bit);
        self.normalise();
        bit
    }

    fn raw(&mut self, count: u32, bits: u32) -> u32 {
        for place in (0..count).rev() {
            self.range >>= 1;
            if bits >> place & 1 == 1 {
                self.low += u64::from(self.range);
            }
            self.normalise();
        }
        bits
    }
}

/// Unpacks bits from bytes, whatever they are; zeros follow the last.
#[derive(Debug)]
pub(super) struct Decoder<'a> {
    code: u32,
    range: u32,
    bytes: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Self { code: 0, range: u32::MAX, bytes };
        for _ in 0..4 {
            decoder.pull();
        }
        decoder
    }

    fn pull(&mut self) {
        let byte = self.bytes.split_first().map_or(0, |(first, rest)| {
            self.bytes = rest;
            *first
        });
        self.code = self.code << 8 | u32::from(byte);
    }

    fn normalise(&mut self) {
        while self.range < 1 << 24 {
            self.range <<= 8;
            self.pull();
        }
    }
}

impl Coder for Decoder<'_> {
    const WRITES: bool = false;

    fn bit(&mut self, model: &mut Bit, _: bool) -> bool {
        let ones = ((u64::from(self.range) * u64::from(model.one)) >> 16) as u32;
        let bit = self.code < ones;
        if bit {
            self.range = ones;
        } else {
            self.code -= ones;
            self.range -= ones;
        }
        model.learn(bit);
        self.normalise();
        bit
    }

    fn raw(&mut self, count: u32, _: u32) -> u32 {
        (0..count).fold(0, |bits, _| {
            self.range >>= 1;
            let one = self.code >= self.range;
            if one {
                self.code -= self.range;
            }
            self.normalise();
            bits << 1 | u32::from(one)
        })
    }
}

/// Longest number, bits: places reach 2³¹ steps.
const LENGTHS: usize = 32;

/// How likely each further bit is at least, measured on cubes that tumble and rocks that collide.
const SURPRISE: [f64; 6] = [0.12, 0.15, 0.35, 0.4, 0.4, 0.3];

/// How large whole numbers of one kind are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    longer: [Bit; LENGTHS],
    top: [[Bit; 2]; 12],
}

impl Size {
    /// Numbers whose sizes nobody knows yet.
    pub(super) const ANY: Self = Self { longer: [Bit::EVEN; LENGTHS], top: [[Bit::EVEN; 2]; 12] };

    /// Magnitudes of about `mean`, with a tail as heavy as real motion has: P(size > x) = (1 + x / 2 mean)⁻³, and
    /// surprises that no mean foretells.
    pub(super) fn about(mean: f64) -> Self {
        let beyond = |x: f64| {
            let base = 1.0 + x.max(0.0) / (2.0 * mean);
            1.0 / (base * base * base)
        };
        let mut size = Self::ANY;
        let mut before = 1.0;
        for (length, longer) in size.longer.iter_mut().enumerate() {
            // A number of `length` bits ends below 2^length.
            let after = beyond((1u64 << length) as f64 - 0.5);
            let surprise = SURPRISE.get(length).copied().unwrap_or(0.1);
            *longer = Bit::prior((after / before).max(surprise));
            before = after;
        }
        size
    }

    /// A number of at least zero.
    pub(super) fn code<C: Coder>(&mut self, coder: &mut C, number: u32) -> u32 {
        let wanted = 32 - number.leading_zeros();
        let mut length = 0;
        while length < LENGTHS as u32 && coder.bit(&mut self.longer[length as usize], wanted > length) {
            length += 1;
        }
        if length < 2 {
            return length;
        }
        // The bit below the leading one tells much, the next less, the others nothing.
        let known = length - 1;
        let mut value = 1;
        let mut learnt = 0;
        if let Some(models) = self.top.get_mut(length as usize - 2) {
            for model in models.iter_mut().take(known as usize) {
                let bit = coder.bit(model, number >> (known - 1 - learnt) & 1 == 1);
                value = value << 1 | u32::from(bit);
                learnt += 1;
            }
        }
        let rest = known - learnt;
        let mask = ((1u64 << rest) - 1) as u32;
        ((u64::from(value) << rest) as u32) | coder.raw(rest, number & mask)
    }

    /// A number that may be negative.
    pub(super) fn code_signed<C: Coder>(&mut self, coder: &mut C, number: i32) -> i32 {
        // −2³¹ has no opposite, and no place is so far.
        let size = self.code(coder, number.unsigned_abs()).min(i32::MAX as u32) as i32;
        if size != 0 && coder.raw(1, u32::from(number < 0)) == 1 { -size } else { size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code<C: Coder>(coder: &mut C, numbers: &[i32]) -> Vec<i32> {
        let mut sizes = [Size::ANY, Size::about(3.0)];
        let mut flag = Bit::prior(0.01);
        numbers
            .iter()
            .enumerate()
            .map(|(i, number)| {
                let sign = coder.bit(&mut flag, *number % 7 == 0);
                assert!(!C::WRITES || sign == (*number % 7 == 0));
                sizes[i % 2].code_signed(coder, *number)
            })
            .collect()
    }

    proptest! {
        #[test]
        fn numbers_come_back_as_they_were(numbers in proptest::collection::vec(
            prop_oneof![Just(0), -3..4, -500..500, (i32::MIN + 1)..i32::MAX], 0..300,
        )) {
            let mut encoder = Encoder::new(vec![7, 0, 0]);
            code(&mut encoder, &numbers);
            let bytes = encoder.finish();
            prop_assert_eq!(&bytes[..3], &[7, 0, 0]);
            prop_assert_eq!(code(&mut Decoder::new(&bytes[3..]), &numbers), numbers);
        }

        #[test]
        fn any_bytes_decode_to_something(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut decoder = Decoder::new(&bytes);
            code(&mut decoder, &[0; 100]);
        }
    }

    #[test]
    fn what_is_expected_costs_next_to_nothing() {
        let mut encoder = Encoder::new(Vec::new());
        let mut model = Bit::prior(0.001);
        for _ in 0..2000 {
            encoder.bit(&mut model, false);
        }
        let bytes = encoder.finish();
        assert!(bytes.len() <= 3, "{bytes:?}");
    }
}
