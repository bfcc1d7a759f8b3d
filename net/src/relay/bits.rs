//! Whole numbers in bits, and bits in bytes. Numbers are Exp-Golomb codes (Solomon Golomb, 1966; Jukka Teuhola, 1978)
//! whose order both ends derive from what they know, so that likely numbers are short. One function writes and reads
//! through [`Bits`]; a reader that runs out of bytes reads zeros and says so.

/// One end. What is given is written, or ignored by a reader; what is returned is what both now know.
pub(crate) trait Bits {
    /// `count` bits, at most 32.
    fn bits(&mut self, count: u32, value: u32) -> u32;

    /// One bit.
    fn flag(&mut self, value: bool) -> bool {
        self.bits(1, u32::from(value)) == 1
    }

    /// A number of about 2^`order`.
    fn number(&mut self, order: u32, value: u32) -> u32;

    /// A number that may be negative, of about 2^`order` either way.
    fn signed(&mut self, order: u32, value: i32) -> i32 {
        let folded = self.number(order + 1, ((value << 1) ^ (value >> 31)).cast_unsigned());
        (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed()
    }
}

/// Longest code of a number: so many zeros, and the number itself in one bit more.
const LONGEST: u32 = 31;

/// Packs bits into bytes.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    held: u64,
    count: u32,
}

impl Writer {
    /// Appends to what `bytes` hold.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, held: 0, count: 0 }
    }

    /// Bytes so far, the begun one too.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.count.div_ceil(8) as usize
    }

    /// Ends the code; the last byte is filled with zeros.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.push((self.held << (8 - self.count)) as u8);
        }
        self.bytes
    }
}

impl Bits for Writer {
    fn bits(&mut self, count: u32, value: u32) -> u32 {
        // At most 7 bits wait, so that 32 more find room.
        self.held = self.held << count | u64::from(value) & ((1 << count) - 1);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.held >> self.count) as u8);
        }
        value
    }

    fn number(&mut self, order: u32, value: u32) -> u32 {
        let (order, top) = (order.min(LONGEST), u64::from(value >> order.min(LONGEST)) + 1);
        let zeros = top.ilog2();
        self.bits(zeros, 0);
        self.bits(1, 1);
        self.bits(zeros, (top & ((1 << zeros) - 1)) as u32);
        self.bits(order, value);
        value
    }
}

/// Unpacks bits from bytes, whatever they are; zeros follow the last.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    held: u64,
    count: u32,
    is_over: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, held: 0, count: 0, is_over: false }
    }

    /// Whether more was read than there is, or what is no number.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_over
    }

    /// What follows the byte that was begun last; none if more was read than there is.
    pub(crate) fn rest(self) -> Option<&'a [u8]> {
        (!self.is_over).then_some(self.bytes)
    }
}

impl Bits for Reader<'_> {
    fn bits(&mut self, count: u32, _: u32) -> u32 {
        while self.count < count {
            let byte = self.bytes.split_first().map(|(first, rest)| {
                self.bytes = rest;
                *first
            });
            self.is_over |= byte.is_none();
            self.held = self.held << 8 | u64::from(byte.unwrap_or(0));
            self.count += 8;
        }
        self.count -= count;
        ((self.held >> self.count) & ((1 << count) - 1)) as u32
    }

    fn number(&mut self, order: u32, _: u32) -> u32 {
        let mut zeros = 0;
        while self.bits(1, 0) == 0 {
            zeros += 1;
            if zeros > LONGEST {
                self.is_over = true;
                return 0;
            }
        }
        let top = (1u64 << zeros | u64::from(self.bits(zeros, 0))) - 1;
        let order = order.min(LONGEST);
        // What does not fit was not written by our writer, and is read as something.
        (top << order) as u32 | self.bits(order, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(bits: &mut impl Bits, numbers: &[(u32, i32)]) -> Vec<i32> {
        numbers.iter().map(|(order, number)| bits.signed(*order, *number)).collect()
    }

    proptest! {
        #[test]
        fn numbers_come_back_as_they_were(numbers in proptest::collection::vec(
            (0u32..30, prop_oneof![-3..4, -500..500, (i32::MIN / 2 + 1)..(i32::MAX / 2)]), 0..100,
        )) {
            let mut writer = Writer::new(vec![9]);
            code(&mut writer, &numbers);
            let bytes = writer.finish();
            prop_assert_eq!(bytes[0], 9);
            let mut reader = Reader::new(&bytes[1..]);
            let back = code(&mut reader, &numbers);
            prop_assert!(!reader.is_broken());
            prop_assert_eq!(back, numbers.iter().map(|(_, number)| *number).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_read_as_something(bytes in proptest::collection::vec(any::<u8>(), 0..40), order in 0u32..32) {
            let mut reader = Reader::new(&bytes);
            for _ in 0..400 {
                reader.signed(order, 0);
            }
            prop_assert!(reader.is_broken());
        }
    }
}
