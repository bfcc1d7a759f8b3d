//! The newcomer's end: what is to come, and what has come.

use std::collections::BTreeMap;

use super::{CELL, CellBlock, MANIFEST, Manifest, StillBody};
use crate::interest::Cell;

/// Why a piece is no good. Its sender is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// It is no piece.
    #[error("what it tells a newcomer makes no sense")]
    Damaged,
    /// It is of a cell that was not announced, or so many bodies were not, or it came before.
    #[error("it tells a newcomer of bodies that it did not announce")]
    NotAnnounced,
}

/// What has come of all bodies.
#[derive(Debug, Default)]
pub struct Newcomer {
    /// Of the cells that are still to come.
    missing: BTreeMap<Cell, u32>,
    here: u64,
    total: u64,
    has_begun: bool,
}

impl Newcomer {
    /// A piece has arrived; returns the bodies in it.
    pub fn handle_piece(&mut self, bytes: &[u8]) -> Result<Vec<StillBody>, JoinError> {
        match bytes.first() {
            Some(&MANIFEST) => {
                let manifest = Manifest::decode(bytes).ok_or(JoinError::Damaged)?;
                let total = manifest.cells.iter().map(|(_, bodies)| u64::from(*bodies)).sum();
                let (announced, missing) =
                    (manifest.cells.len(), manifest.cells.into_iter().collect::<BTreeMap<_, _>>());
                if announced != missing.len() {
                    return Err(JoinError::Damaged);
                }
                *self = Self { missing, here: 0, total, has_begun: true };
                Ok(Vec::new())
            }
            Some(&CELL) => {
                let block = CellBlock::decode(bytes).ok_or(JoinError::Damaged)?;
                let announced = self.missing.remove(&block.cell);
                if announced.is_none_or(|bodies| bodies as usize != block.bodies.len()) {
                    return Err(JoinError::NotAnnounced);
                }
                self.here += block.bodies.len() as u64;
                Ok(block.bodies)
            }
            _ => Err(JoinError::Damaged),
        }
    }

    /// Bodies that have come, and bodies in all as far as is known.
    pub fn progress(&self) -> (u64, u64) {
        (self.here, self.total)
    }

    /// Whether all that was announced has come.
    pub fn is_done(&self) -> bool {
        self.has_begun && self.missing.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_tells_what_it_did_not_announce_is_found_at_the_first_piece() {
        let block = |x| CellBlock { cell: Cell([x, 0, 0]), millis: 0, bodies: Vec::new() }.encode();
        let mut newcomer = Newcomer::default();
        assert_eq!(newcomer.handle_piece(&block(0)), Err(JoinError::NotAnnounced));
        let manifest = Manifest { cells: vec![(Cell([0; 3]), 1)] };
        assert_eq!(newcomer.handle_piece(&manifest.encode()), Ok(Vec::new()));
        assert_eq!((newcomer.progress(), newcomer.is_done()), ((0, 1), false));
        assert_eq!(newcomer.handle_piece(&block(0)), Err(JoinError::NotAnnounced), "another count");
        let twice = Manifest { cells: vec![(Cell([0; 3]), 1), (Cell([0; 3]), 1)] };
        assert_eq!(newcomer.handle_piece(&twice.encode()), Err(JoinError::Damaged));
        assert_eq!(newcomer.handle_piece(&[7]), Err(JoinError::Damaged));
        assert_eq!(newcomer.handle_piece(&[]), Err(JoinError::Damaged));
    }
}
