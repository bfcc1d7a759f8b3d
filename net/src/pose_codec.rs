//! A person's pose in some forty bytes. Places are whole millimetres (i32, little endian), rotations the smallest
//! three components in 15 bits each behind two bits that name the largest, which is left out.

use crate::peers::{Pose, TrackedPoint};

/// Largest coded pose: flags, three points of 18 bytes, a pointer of 12.
pub const POSE_BYTES: usize = 1 + 3 * POINT_BYTES + 12;
const POINT_BYTES: usize = 12 + 6;

/// Largest value of a component that is not the largest one.
const COMPONENT: f32 = std::f32::consts::FRAC_1_SQRT_2;
const STEPS: f32 = 32_767.0;

/// Appends a coded pose. What is not finite becomes the origin: a broken tracker must not break the others.
pub fn encode(pose: &Pose, out: &mut Vec<u8>) {
    let flags = u8::from(pose.hands[0].is_some())
        | u8::from(pose.hands[1].is_some()) << 1
        | u8::from(pose.pointer.is_some()) << 2;
    out.push(flags);
    for point in std::iter::once(&pose.head).chain(pose.hands.iter().flatten()) {
        put_place(point.place, out);
        out.extend_from_slice(&pack(point.rotation).to_le_bytes()[..6]);
    }
    if let Some(pointer) = pose.pointer {
        put_place(pointer, out);
    }
}

/// Takes a pose from the front of `bytes`; none if there is no whole one.
pub fn decode(bytes: &mut &[u8]) -> Option<Pose> {
    let flags = take::<1>(bytes)?[0];
    if flags > 7 {
        return None;
    }
    let head = point(bytes)?;
    let left = if flags & 1 != 0 { Some(point(bytes)?) } else { None };
    let right = if flags & 2 != 0 { Some(point(bytes)?) } else { None };
    let pointer = if flags & 4 != 0 { Some(place(bytes)?) } else { None };
    Some(Pose { head, hands: [left, right], pointer })
}

/// Takes `N` bytes from the front.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn put_place(place: [f32; 3], out: &mut Vec<u8>) {
    for metres in place {
        // Saturates: 2,147 km is beyond any plant.
        out.extend_from_slice(&((f64::from(metres) * 1000.0).round() as i32).to_le_bytes());
    }
}

fn place(bytes: &mut &[u8]) -> Option<[f32; 3]> {
    let mut coordinate = || Some((f64::from(i32::from_le_bytes(take::<4>(bytes)?)) / 1000.0) as f32);
    Some([coordinate()?, coordinate()?, coordinate()?])
}

fn point(bytes: &mut &[u8]) -> Option<TrackedPoint> {
    let place = place(bytes)?;
    let mut packed = [0; 8];
    packed[..6].copy_from_slice(&take::<6>(bytes)?);
    Some(TrackedPoint { place, rotation: unpack(u64::from_le_bytes(packed)) })
}

fn pack(rotation: [f32; 4]) -> u64 {
    let length = rotation.iter().map(|c| c * c).sum::<f32>().sqrt();
    let unit = if length.is_finite() && length > 1e-6 { rotation.map(|c| c / length) } else { [0.0, 0.0, 0.0, 1.0] };
    let largest = (0..4).max_by(|a, b| unit[*a].abs().total_cmp(&unit[*b].abs())).unwrap_or(3);
    // A quaternion and its negative are the same rotation: the one left out is made positive.
    let sign = unit[largest].signum();
    let mut packed = largest as u64;
    for (shift, i) in (0..4).filter(|i| *i != largest).enumerate() {
        let step = (unit[i] * sign / COMPONENT * (STEPS / 2.0) + STEPS / 2.0).round().clamp(0.0, STEPS) as u64;
        packed |= step << (2 + 15 * shift);
    }
    packed
}

fn unpack(packed: u64) -> [f32; 4] {
    let largest = (packed & 3) as usize;
    let mut rotation = [0.0; 4];
    let mut rest = 1.0f32;
    for (shift, i) in (0..4).filter(|i| *i != largest).enumerate() {
        let step = (packed >> (2 + 15 * shift) & 0x7fff) as f32;
        rotation[i] = (step - STEPS / 2.0) / (STEPS / 2.0) * COMPONENT;
        rest -= rotation[i] * rotation[i];
    }
    rotation[largest] = rest.max(0.0).sqrt();
    let length = rotation.iter().map(|c| c * c).sum::<f32>().sqrt();
    rotation.map(|c| c / length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_pose_comes_back_within_a_millimetre_and_a_hundredth_of_a_degree(
            place in proptest::array::uniform3(-5000f32..5000.0),
            raw in proptest::array::uniform4(-1f32..1.0),
            hand: bool, point: bool,
        ) {
            let length = raw.iter().map(|c| c * c).sum::<f32>().sqrt();
            prop_assume!(length > 0.1);
            let rotation = raw.map(|c| c / length);
            let head = TrackedPoint { place, rotation };
            let pose = Pose { head, hands: [None, hand.then_some(head)], pointer: point.then_some(place) };
            let mut bytes = Vec::new();
            encode(&pose, &mut bytes);
            prop_assert!(bytes.len() <= POSE_BYTES);
            let mut rest = bytes.as_slice();
            let back = decode(&mut rest).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert_eq!(back.hands.map(|h| h.is_some()), pose.hands.map(|h| h.is_some()));
            for (a, b) in back.head.place.iter().zip(place) {
                prop_assert!((a - b).abs() < 1.1e-3, "{a} for {b}");
            }
            let dot: f32 = back.head.rotation.iter().zip(rotation).map(|(a, b)| a * b).sum();
            prop_assert!(f64::from(dot.abs().min(1.0)).acos() * 2.0 < 0.0015, "{dot}");
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(pose) = decode(&mut bytes.as_slice()) {
                prop_assert!(pose.head.rotation.iter().all(|c| c.is_finite()));
            }
        }
    }
}
