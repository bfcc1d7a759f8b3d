//! N4's site: bodies at rest on a floor, as pallets, tools and parts lie about, and when a newcomer had them.

use std::time::Duration;

use gemba_twin::path::ThingId;

use super::scene::Seeded;

/// Edge of the cell that the newcomer stands in, at the origin: the unit of interest.
pub const NEAR_METRES: f32 = 8.0;

/// One body.
#[derive(Debug, Clone, Copy)]
pub struct BodyAtRest {
    /// Its number.
    pub number: u32,
    /// Metres.
    pub place: [f32; 3],
    /// Unit quaternion, x y z w.
    pub rotation: [f32; 4],
}

impl BodyAtRest {
    /// Its thing's name, as names are: 16 bytes that tell nothing, but for the first four.
    pub fn thing(&self) -> ThingId {
        let mut random = Seeded(self.number.into());
        let mut id = [0; 16];
        id[..4].copy_from_slice(&self.number.to_le_bytes());
        id[4..12].copy_from_slice(&random.bits().to_le_bytes());
        id[12..].copy_from_slice(&(random.bits() as u32).to_le_bytes());
        ThingId(id)
    }
}

/// How long a newcomer took.
#[derive(Debug, Clone, Copy)]
pub struct Joined {
    /// Until it had all bodies of its own cell.
    pub near: Duration,
    /// Until it had all.
    pub all: Duration,
}

/// So many bodies, one on each square metre, up to 3 m high, turned anyhow; in no order of place.
pub fn bodies(count: usize, seed: u64) -> Vec<BodyAtRest> {
    let mut random = Seeded(seed);
    let edge = (count as f32).sqrt();
    (0..count as u32)
        .map(|number| {
            let place = [random.between(0.0, edge), random.between(0.0, 3.0), random.between(0.0, edge)];
            let raw: [f32; 4] = std::array::from_fn(|_| random.between(-1.0, 1.0));
            let length = raw.iter().map(|c| c * c).sum::<f32>().sqrt().max(1e-3);
            BodyAtRest { number, place, rotation: raw.map(|c| c / length) }
        })
        .collect()
}
