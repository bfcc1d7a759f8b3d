//! Whole numbers in as few bytes as they need: seven bits a byte, the lowest first (LEB128, as in DWARF); signed ones
//! zigzag, so that small ones are short either way.

use crate::pose_codec::take;

/// Appends a number.
pub(crate) fn put(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off; none if there is none.
pub(crate) fn get(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take::<1>(bytes)?[0];
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Appends a number that may be negative.
pub(crate) fn put_signed(number: i64, out: &mut Vec<u8>) {
    put(((number << 1) ^ (number >> 63)) as u64, out);
}

/// Takes a number off that may be negative; none if there is none.
pub(crate) fn get_signed(bytes: &mut &[u8]) -> Option<i64> {
    let raw = get(bytes)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}
