//! How the fingers of a tracked hand are bent, as the others see it: of each finger the directions of its three outer bones,
//! and how long the middle one is. Where the palm is, the pose says; the rest of the hand is solved at the receiver. Each
//! word says it whole, so that any may get lost.
//!
//! ```text
//! 1 byte    which hands follow: 1 the left, 2 the right
//! of each:
//! 1 byte    length of the middle finger from its knuckle to its tip, millimetres
//! 27 bytes  fifteen directions of twice 7 bits, and 6 bits that are 0
//! ```
//!
//! A direction is a point on an octahedron, unfolded to a square of 127 by 127 steps (Cigolle and others, "A Survey of
//! Efficient Representations for Independent Unit Vectors", 2014), and off by at most 35 mrad: a tip by less than 4 mm.

use crate::relay::bits::{Bits as _, Reader, Writer};

/// Most bytes of one word.
pub const MOST_BYTES: usize = 1 + 2 * HAND_BYTES;
const HAND_BYTES: usize = 1 + 27;
const BONES: usize = 15;
/// Bits of one coordinate.
const BITS: u32 = 7;
/// Steps on either side of the middle of the square.
const STEPS: f32 = 63.0;

/// The fingers of one hand, thumb first, in the frame of its palm: +Y out of its back, -Z along the middle finger when that
/// is stretched. In whole steps: everyone reads the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingers {
    middle_millimetres: u8,
    /// Steps from the square's edges, 0 to 126.
    bones: [[u8; 2]; BONES],
}

impl Fingers {
    /// Of bones from knuckle to tip, whose lengths do not matter; of the thumb those beyond the wrist. What is no direction
    /// points ahead.
    pub fn new(middle_metres: f32, bones: [[[f32; 3]; 3]; 5]) -> Self {
        let mut steps = bones.iter().flatten().map(|bone| steps_of(*bone));
        Self {
            middle_millimetres: (middle_metres * 1000.0).round() as u8,
            bones: std::array::from_fn(|_| steps.next().unwrap_or_default()),
        }
    }

    /// From the knuckle of the middle finger to its tip, metres.
    pub fn middle_metres(&self) -> f32 {
        f32::from(self.middle_millimetres) / 1000.0
    }

    /// The bones' directions, each of length 1.
    pub fn bones(&self) -> [[[f32; 3]; 3]; 5] {
        std::array::from_fn(|finger| std::array::from_fn(|bone| direction_of(self.bones[finger * 3 + bone])))
    }

    fn encode(&self, out: Vec<u8>) -> Vec<u8> {
        let mut bits = Writer::new(out);
        bits.bits(8, self.middle_millimetres.into());
        for step in self.bones.as_flattened() {
            bits.bits(BITS, (*step).into());
        }
        bits.finish()
    }

    fn decode(bytes: &[u8; HAND_BYTES]) -> Option<Self> {
        let mut bits = Reader::new(bytes);
        let middle_millimetres = bits.bits(8, 0) as u8;
        let bones = std::array::from_fn(|_| std::array::from_fn(|_| bits.bits(BITS, 0) as u8));
        let ends = bits.bits(6, 0) == 0;
        let is_on_square = bones.as_flattened().iter().all(|step| *step <= 2 * STEPS as u8);
        (ends && is_on_square).then_some(Self { middle_millimetres, bones })
    }
}

/// Both hands' fingers as one word; of a hand that is not tracked nothing.
pub fn encode(hands: &[Option<Fingers>; 2]) -> Vec<u8> {
    let mut out = vec![u8::from(hands[0].is_some()) | u8::from(hands[1].is_some()) << 1];
    for fingers in hands.iter().flatten() {
        out = fingers.encode(out);
    }
    out
}

/// What a word says; none if it is damaged.
pub fn decode(bytes: &[u8]) -> Option<[Option<Fingers>; 2]> {
    let (which, mut rest) = bytes.split_first()?;
    let mut hands = [None, None];
    for (_, hand) in hands.iter_mut().enumerate().filter(|(side, _)| which >> side & 1 == 1) {
        let (bytes, after) = rest.split_first_chunk()?;
        *hand = Some(Fingers::decode(bytes)?);
        rest = after;
    }
    (rest.is_empty() && *which < 4).then_some(hands)
}

fn steps_of(direction: [f32; 3]) -> [u8; 2] {
    let sum: f32 = direction.iter().map(|c| c.abs()).sum();
    let [x, y, z] = if sum.is_finite() && sum > 1e-6 { direction.map(|c| c / sum) } else { [0.0, 0.0, -1.0] };
    // The half towards -Z is the middle of the square: most fingers point there.
    let (u, v) = if z <= 0.0 { (x, y) } else { (folded(x, y), folded(y, x)) };
    [u, v].map(|c| (c * STEPS + STEPS).round() as u8)
}

fn direction_of(steps: [u8; 2]) -> [f32; 3] {
    let [u, v] = steps.map(|step| (f32::from(step) - STEPS) / STEPS);
    let z = u.abs() + v.abs() - 1.0;
    let (x, y) = if z <= 0.0 { (u, v) } else { (folded(u, v), folded(v, u)) };
    let length = (x * x + y * y + z * z).sqrt();
    [x / length, y / length, z / length]
}

/// One coordinate of a point beyond the edge of the inner square, over which it is folded.
fn folded(this: f32, other: f32) -> f32 {
    (1.0 - other.abs()).copysign(this)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn straight() -> Fingers {
        Fingers::new(0.1, [[[0.0, 0.0, -1.0]; 3]; 5])
    }

    #[test]
    fn the_bytes_of_fingers_stay_as_they_are() {
        assert_eq!(encode(&[None, None]), [0]);
        let mut told = encode(&[None, Some(straight())]);
        assert_eq!((told.len(), &told[..5]), (29, &[2, 100, 0x7e, 0xfd, 0xfb][..]));
        assert_eq!(told[27..], [0xef, 0xc0]);
        assert_eq!(decode(&told), Some([None, Some(straight())]));
        told[28] |= 1;
        assert_eq!(decode(&told), None, "what follows the last bone says something");
    }

    #[test]
    fn nonsense_of_a_tracker_becomes_a_hand_that_others_can_draw() {
        let nonsense = Fingers::new(f32::NAN, [[[f32::NAN, 0.0, 0.0], [f32::INFINITY; 3], [0.0; 3]]; 5]);
        assert_eq!(nonsense.bones(), straight().bones());
        assert_eq!(Fingers::new(7.0, straight().bones()).middle_metres(), 0.255);
    }

    proptest! {
        #[test]
        fn a_direction_is_as_exact_as_the_format_says(raw in proptest::array::uniform3(-1f32..1.0)) {
            let length = raw.iter().map(|c| c * c).sum::<f32>().sqrt();
            prop_assume!(length > 0.01);
            let told = Fingers::new(0.09, [[raw; 3]; 5]);
            let back = decode(&encode(&[Some(told), None]));
            prop_assert_eq!(back, Some([Some(told), None]));
            for bone in told.bones().iter().flatten() {
                let dot: f32 = bone.iter().zip(raw).map(|(a, b)| a * b / length).sum();
                let across: f32 = 1.0 - dot.clamp(-1.0, 1.0);
                // For small angles 1 - cos is half the square.
                prop_assert!((2.0 * across).sqrt() < 0.036, "{raw:?} became {bone:?}");
            }
        }

        #[test]
        fn any_bytes_are_refused_or_read_as_what_they_say(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(hands) = decode(&bytes) {
                prop_assert_eq!(encode(&hands), bytes);
                let is_direction = |bone: &[f32; 3]| (bone.iter().map(|c| c * c).sum::<f32>() - 1.0).abs() < 1e-3;
                prop_assert!(hands.iter().flatten().all(|hand| hand.bones().iter().flatten().all(is_direction)));
            }
        }
    }
}
