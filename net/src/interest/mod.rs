//! Who is told what, how often and how exactly. Space is divided into cells; of what is in near cells a peer hears
//! often, of what is in far ones rarely, at instants that differ by name so that not all come at once. What a peer may
//! be sent is bounded by a bucket of bytes; what waits the longest for how far it is goes first, so that nothing waits
//! for ever. Presenters are exempt: who shares the instant they look at, and whom a peer has asked for.
//!
//! [`Crowd`] holds all that a host tells; it has no socket and no clock. Left out: whose words count ([`crate::body::LeaseBook`]
//! and the host's core), and how they are written ([`crate::relay`]).

mod budget;
mod crowd;
mod turn;

pub use budget::Budget;
pub use crowd::{Crowd, CrowdStats};
pub use turn::Turn;

use crate::relay::Detail;

/// Edge of a cell, millimetres.
pub(crate) const CELL_MM: i32 = 8_000;

/// A cube of space: the unit of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell(pub(crate) [i32; 3]);

impl Cell {
    /// The one that a place (millimetres) is in.
    pub fn of(place: [i32; 3]) -> Self {
        Self(place.map(|millimetres| millimetres.div_euclid(CELL_MM)))
    }

    /// Square of the distance of its middle from a place (millimetres), in half cells.
    pub(crate) fn squares_from(self, place: [i32; 3]) -> u64 {
        let half = i64::from(CELL_MM / 2);
        let apart = (0..3).map(|i| (i64::from(self.0[i]) * 2 + 1 - i64::from(place[i]) / half).unsigned_abs());
        apart.map(|halves| halves * halves).sum()
    }

    /// How far another one is.
    pub fn reach(self, other: Self) -> Reach {
        let apart = (0..3).map(|i| self.0[i].abs_diff(other.0[i])).max().unwrap_or(0);
        match apart {
            0..=1 => Reach::Near,
            2..=4 => Reach::Middle,
            5..=12 => Reach::Far,
            _ => Reach::Beyond,
        }
    }
}

/// How far a cell is from a peer's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// The peer's own cell and those beside it: within 8 m surely.
    Near,
    /// Within 32 m surely.
    Middle,
    /// Within 96 m surely.
    Far,
    /// Farther: of avatars a little is still told, of bodies nothing.
    Beyond,
}

impl Reach {
    /// Motions after which everything begins anew: as many as the farthest wait for.
    pub(crate) const ROUND: u32 = 60;

    /// Of how many motions one is told.
    pub const fn every(self) -> u32 {
        match self {
            Self::Near => 1,
            Self::Middle => 3,
            Self::Far => 15,
            Self::Beyond => Self::ROUND,
        }
    }

    /// How many motions from this one it is until one is told.
    pub(crate) fn turns_away(self, motion: u32) -> u32 {
        // A host asks this for every two of its peers and each motion: divisors that are known cost nothing.
        const fn left<const EVERY: u32>(motion: u32) -> u32 {
            (EVERY - motion % EVERY) % EVERY
        }
        match self {
            Self::Near => 0,
            Self::Middle => left::<{ Reach::Middle.every() }>(motion),
            Self::Far => left::<{ Reach::Far.every() }>(motion),
            Self::Beyond => left::<{ Reach::Beyond.every() }>(motion),
        }
    }
}

/// How exactly something is told that moves so far away (millimetres): errors of a third of a degree of sight at most.
pub fn detail_at(millimetres: f32) -> Detail {
    match millimetres {
        ..6_000.0 => Detail::Near,
        ..40_000.0 => Detail::Middle,
        _ => Detail::Far,
    }
}

/// How urgent it is to tell of something that has waited for so long and is so far away: what is 4 m away waits twice as
/// long as what is here, and everything becomes more urgent by waiting.
pub fn urgency(waited_millis: u64, millimetres: f32) -> f32 {
    (waited_millis + 1) as f32 / (1.0 + millimetres / 4_000.0)
}

/// Between two places, millimetres.
pub(crate) fn apart(a: [i32; 3], b: [i32; 3]) -> f32 {
    let squared = (0..3).map(|i| {
        let off = a[i] as f32 - b[i] as f32;
        off * off
    });
    squared.sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_cells_are_told_often_and_coarser_the_farther_they_are() {
        let here = Cell::of([-1, 0, 0]);
        let reaches = [7_999, 15_999, 30_000, 90_000, 500_000].map(|x| here.reach(Cell::of([x, 0, 0])));
        assert_eq!(reaches, [Reach::Near, Reach::Middle, Reach::Middle, Reach::Far, Reach::Beyond]);
        assert!(reaches.windows(2).all(|pair| pair[0].every() <= pair[1].every()));
        let details = [0.0, 10_000.0, 50_000.0].map(detail_at);
        assert_eq!(details, [Detail::Near, Detail::Middle, Detail::Far]);
    }

    #[test]
    fn of_so_many_motions_one_is_told_and_rounds_fit_together() {
        for reach in [Reach::Near, Reach::Middle, Reach::Far, Reach::Beyond] {
            assert_eq!(Reach::ROUND % reach.every(), 0, "the round after is as this one");
            for motion in 0..2 * Reach::ROUND {
                assert_eq!((motion + reach.turns_away(motion)) % reach.every(), 0);
                assert!(reach.turns_away(motion) < reach.every());
            }
        }
    }

    #[test]
    fn what_is_far_comes_first_when_it_has_waited_long_enough() {
        assert!(urgency(30, 100.0) > urgency(30, 50_000.0));
        assert!(urgency(3_000, 50_000.0) > urgency(30, 100.0));
    }
}
