//! Which cells there are, and how many bodies in each.

use super::MANIFEST;
use crate::interest::Cell;
use crate::leb128::{get, get_signed, put, put_signed};
use crate::limits;
use crate::pose_codec::take;

/// Cells with bodies in the order in which they come, and how many there are in each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// At least one body each.
    pub cells: Vec<(Cell, u32)>,
}

impl Manifest {
    /// As a piece.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![MANIFEST];
        put(self.cells.len() as u64, &mut out);
        let mut before = [0; 3];
        for (Cell(at), bodies) in &self.cells {
            at.iter().zip(before).for_each(|(to, from)| put_signed(i64::from(*to) - i64::from(from), &mut out));
            put(u64::from(*bodies), &mut out);
            before = *at;
        }
        out
    }

    /// From a piece; none if it is none, or tells of more bodies than there may be.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        if take::<1>(&mut bytes)? != [MANIFEST] {
            return None;
        }
        let count = usize::try_from(get(&mut bytes)?).ok()?;
        // Every cell takes at least four bytes.
        if count > limits::BODIES || count > bytes.len() / 4 {
            return None;
        }
        let (mut cells, mut before, mut sum) = (Vec::with_capacity(count), [0; 3], 0);
        for _ in 0..count {
            for at in &mut before {
                *at = i32::try_from(i64::from(*at).checked_add(get_signed(&mut bytes)?)?).ok()?;
            }
            let bodies = u32::try_from(get(&mut bytes)?).ok().filter(|bodies| *bodies > 0)?;
            sum += u64::from(bodies);
            if sum > limits::BODIES as u64 {
                return None;
            }
            cells.push((Cell(before), bodies));
        }
        bytes.is_empty().then_some(Self { cells })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_of_a_manifest_stay_as_they_are() {
        let manifest = Manifest { cells: vec![(Cell([0, 0, -1]), 70), (Cell([100, 0, -1]), 1)] };
        assert_eq!(manifest.encode(), [0, 2, 0, 0, 1, 70, 0xc8, 1, 0, 0, 1]);
        assert_eq!(Manifest::decode(&manifest.encode()), Some(manifest));
    }

    #[test]
    fn a_manifest_of_more_bodies_than_there_may_be_is_refused() {
        let of = |bodies| Manifest { cells: vec![(Cell([0; 3]), bodies), (Cell([1; 3]), 1)] }.encode();
        assert!(Manifest::decode(&of(limits::BODIES as u32 - 1)).is_some());
        assert!(Manifest::decode(&of(limits::BODIES as u32)).is_none());
        assert!(Manifest::decode(&of(0)).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Manifest::decode(&[&[MANIFEST], &bytes[..]].concat());
        }
    }
}
