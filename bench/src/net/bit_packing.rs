//! N2's rival: snapshots as Glenn Fiedler packs them ("Snapshot Compression", and the repository of his Networked
//! Physics), counted to the bit. Places in 1/512 m, rotations as the smallest three of nine bits each, a changed flag or
//! relative index for each cube, differences in ranges of bits, against a baseline six frames old whose own movement
//! predicts. Our own code; the flag that says whether a cube interacts is left out, since we do not send it either.

use super::scene::Placed;

/// A cube as it is packed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    place: [i32; 3],
    largest: u8,
    smallest: [i32; 3],
}

const UNITS_PER_METRE: f64 = 512.0;
const COMPONENT_STEPS: f64 = 511.0;
/// Bits of a place on X, Y and Z: 512 m wide, 32 m high.
const PLACE_BITS: [u32; 3] = [18, 14, 18];

impl Packed {
    pub fn new((place, rotation): &Placed) -> Self {
        let largest = (0..4).fold(0, |most, i| if rotation[i].abs() > rotation[most].abs() { i } else { most });
        let sign = rotation[largest].signum();
        let mut smallest = [0; 3];
        for (steps, i) in smallest.iter_mut().zip((0..4).filter(|i| *i != largest)) {
            let share = rotation[i] * sign * std::f64::consts::FRAC_1_SQRT_2 + 0.5;
            *steps = (share * COMPONENT_STEPS).round() as i32;
        }
        Self { place: place.map(|metres| (metres * UNITS_PER_METRE).round() as i32), largest: largest as u8, smallest }
    }

    /// What arrives.
    pub fn unpacked(&self) -> Placed {
        let mut rotation = [0.0; 4];
        let mut left = 1.0;
        let others = (0..4).filter(|i| *i != usize::from(self.largest));
        for (steps, i) in self.smallest.iter().zip(others) {
            rotation[i] = (f64::from(*steps) / COMPONENT_STEPS - 0.5) * std::f64::consts::SQRT_2;
            left -= rotation[i] * rotation[i];
        }
        rotation[usize::from(self.largest)] = left.max(0.0).sqrt();
        (self.place.map(|units| f64::from(units) / UNITS_PER_METRE), rotation)
    }
}

/// Bits of a frame against the one six frames before, and of that one's movement since six frames before it.
pub fn bits(frame: &[Packed], base: &[Packed], before_base: &[Packed]) -> u64 {
    let changed: Vec<usize> = (0..frame.len()).filter(|i| frame[*i] != base[*i]).collect();
    let indices: u64 =
        8 + changed.first().map_or(0, |_| 10) + changed.windows(2).map(|w| index_bits(w[1] - w[0])).sum::<u64>();
    let flags = frame.len() as u64;
    let named = if !changed.is_empty() && changed.len() <= 256 { indices.min(flags) } else { flags };
    1 + named + changed.iter().map(|i| cube_bits(&frame[*i], &base[*i], &before_base[*i])).sum::<u64>()
}

fn index_bits(difference: usize) -> u64 {
    match difference {
        1 => 1,
        2..=6 => 5,
        7..=14 => 6,
        15..=30 => 8,
        31..=62 => 10,
        63..=126 => 12,
        _ => 16,
    }
}

fn cube_bits(cube: &Packed, base: &Packed, before: &Packed) -> u64 {
    let place = if cube.place == base.place { 1 } else { 1 + place_bits(cube, base, before) };
    place + rotation_bits(cube, base)
}

fn place_bits(cube: &Packed, base: &Packed, before: &Packed) -> u64 {
    let off: [u32; 3] = std::array::from_fn(|i| {
        let moved = base.place[i] - before.place[i];
        let drag = -(f64::from(moved) * 0.062).ceil() as i32;
        // Gravity and ground, on the axis that points up (half a cube is 102 units).
        let guess = base.place[i] + moved + drag;
        zigzag(cube.place[i] - if i == 1 { (guess - 3).max(102) } else { guess })
    });
    if off.iter().all(|off| *off <= 15) {
        return 1 + 3 * 4;
    }
    const RANGES: [u32; 3] = [5, 6, 7];
    if off.iter().all(|off| *off < 32 + 64 + 128) {
        return 2 + off.iter().map(|off| range_bits(*off, RANGES)).sum::<u64>();
    }
    // His own code writes 11 bits each here; what does not fit them is written whole.
    if off.iter().all(|off| *off < 2048) {
        2 + 3 * 11
    } else {
        2 + PLACE_BITS.iter().map(|b| u64::from(*b)).sum::<u64>()
    }
}

fn rotation_bits(cube: &Packed, base: &Packed) -> u64 {
    let off: [u32; 3] = std::array::from_fn(|i| zigzag(cube.smallest[i] - base.smallest[i]));
    if cube.largest != base.largest || off.iter().any(|off| *off >= 16 + 32 + 128) {
        return 1 + 2 + 3 * 9;
    }
    if off.iter().all(|off| *off <= 3) {
        return 2 + 3 * 2;
    }
    2 + off.iter().map(|off| range_bits(*off, [4, 5, 7])).sum::<u64>()
}

fn range_bits(value: u32, ranges: [u32; 3]) -> u64 {
    let [first, second, third] = ranges.map(u64::from);
    let value = u64::from(value);
    if value < 1 << ranges[0] {
        1 + first
    } else if value < (1 << ranges[0]) + (1 << ranges[1]) {
        2 + second
    } else {
        2 + third
    }
}

fn zigzag(difference: i32) -> u32 {
    ((difference << 1) ^ (difference >> 31)) as u32
}
