//! Whose turn it is: with many peers not all are told at once. A burst that tells a third of them takes a third as long, so
//! that whoever says something meanwhile waits less, and the line carries evenly what it carries.

use crate::peers::PeerNumber;

/// One of the turns of a round; in a round everybody has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    now: u64,
    of: u64,
}

impl Turn {
    /// Everybody's.
    pub const ALL: Self = Self { now: 0, of: 1 };

    /// The turn after so many, where a round has `of`; of none is taken for one.
    pub fn after(turns: u64, of: u64) -> Self {
        let of = of.max(1);
        Self { now: turns % of, of }
    }

    /// Whether a peer is told in it.
    pub fn is_of(self, peer: PeerNumber) -> bool {
        u64::from(peer.0) % self.of == self.now
    }

    /// Whether a round begins with it.
    pub fn begins_round(self) -> bool {
        self.now == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_round_everybody_has_one_turn() {
        for of in [0, 1, 2, 3] {
            let round: Vec<Turn> = (10..10 + of.max(1)).map(|turns| Turn::after(turns, of)).collect();
            for peer in 0..50 {
                assert_eq!(round.iter().filter(|turn| turn.is_of(PeerNumber(peer))).count(), 1, "{peer} of {of}");
            }
            assert_eq!(round.iter().filter(|turn| turn.begins_round()).count(), 1);
        }
        assert_eq!(Turn::after(7, 1), Turn::ALL);
    }
}
