//! The host's end: all bodies by cell, and each cell as it was coded last, for all newcomers alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{CellBlock, Manifest, StillBody};
use crate::body::BodyNumber;
use crate::body_table::BodyOutput;
use crate::interest::{Cell, Reach};
use crate::limits;
use crate::relay::Sample;
use crate::uplink;
use crate::wire::{BodyNews, ToPeer};

/// All bodies of a site, by cell.
#[derive(Debug, Default)]
pub struct JoinTable {
    cells: BTreeMap<Cell, Room>,
    cell_of: BTreeMap<BodyNumber, Cell>,
}

/// What is in a cell.
#[derive(Debug, Default)]
struct Room {
    bodies: BTreeMap<BodyNumber, StillBody>,
    /// None since something in it has changed.
    coded: Option<Arc<[u8]>>,
}

impl JoinTable {
    /// A body is so now.
    pub fn put(&mut self, still: StillBody) {
        let (body, cell) = (still.body, Cell::of(still.sample.place()));
        if let Some(before) = self.cell_of.insert(body, cell).filter(|before| *before != cell) {
            self.take_out(body, before);
        }
        let room = self.cells.entry(cell).or_default();
        room.coded = None;
        room.bodies.insert(body, still);
    }

    /// What peers are told of a body, newcomers are told too.
    pub(crate) fn note(&mut self, output: &BodyOutput) {
        match output {
            BodyOutput::All(ToPeer::Body(BodyNews { body, thing, lease, at, when })) => {
                let millis = (when.0 / 1000).max(0).cast_unsigned();
                let sample = Sample::of_body(&uplink::placement_of(at), lease.epoch, millis);
                self.put(StillBody { body: *body, thing: *thing, holder: lease.holder, sample });
            }
            BodyOutput::Moved { body, at, epoch, .. } => {
                let known = self.cell_of.get(body).and_then(|cell| self.cells.get(cell)?.bodies.get(body)).cloned();
                if let Some(known) = known {
                    let sample = Sample::of_body(&uplink::placement_of(at), *epoch, known.sample.millis());
                    self.put(StillBody { sample, ..known });
                }
            }
            BodyOutput::Gone(body) => self.remove(*body),
            BodyOutput::All(_) | BodyOutput::One(..) | BodyOutput::Rested { .. } => {}
        }
    }

    /// There is no such body any more.
    pub fn remove(&mut self, body: BodyNumber) {
        if let Some(cell) = self.cell_of.remove(&body) {
            self.take_out(body, cell);
        }
    }

    /// Bodies that are known.
    pub fn len(&self) -> usize {
        self.cell_of.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.cell_of.is_empty()
    }

    /// All of them at `millis` on the host's clock, for a newcomer at a place (millimetres), from near to far: those around
    /// it, as many as [`limits::JOIN_NEAR_BYTES`] hold, and the rest; each a manifest and then its cells. Only cells that
    /// have changed since they were last coded cost anything: all 100,000 bodies some 20 ms.
    pub fn pieces(&mut self, here: [i32; 3], millis: u64) -> Pieces {
        let mut cells: Vec<(u64, Cell)> = self.cells.keys().map(|cell| (cell.squares_from(here), *cell)).collect();
        cells.sort_unstable();
        let (mut near, mut rest) = (Part::default(), Part::default());
        let mut bytes = 0;
        for (_, cell) in cells {
            let Some(room) = self.cells.get_mut(&cell) else { continue };
            let piece = room.piece(cell, millis);
            bytes += piece.len();
            let is_near = Cell::of(here).reach(cell) == Reach::Near && bytes <= limits::JOIN_NEAR_BYTES;
            let part = if is_near && rest.cells.is_empty() { &mut near } else { &mut rest };
            part.manifest.cells.push((cell, room.bodies.len() as u32));
            part.cells.push(piece);
        }
        Pieces { near: near.pieces(), rest: rest.pieces() }
    }

    fn take_out(&mut self, body: BodyNumber, cell: Cell) {
        let Some(room) = self.cells.get_mut(&cell) else { return };
        room.bodies.remove(&body);
        room.coded = None;
        if room.bodies.is_empty() {
            self.cells.remove(&cell);
        }
    }
}

/// What a newcomer is told.
#[derive(Debug, Clone)]
pub struct Pieces {
    /// Of what is around it, soon.
    pub near: Vec<Arc<[u8]>>,
    /// Of all else.
    pub rest: Vec<Arc<[u8]>>,
}

#[derive(Default)]
struct Part {
    manifest: Manifest,
    cells: Vec<Arc<[u8]>>,
}

impl Part {
    fn pieces(self) -> Vec<Arc<[u8]>> {
        std::iter::once(self.manifest.encode().into()).chain(self.cells).collect()
    }
}

impl Room {
    fn piece(&mut self, cell: Cell, millis: u64) -> Arc<[u8]> {
        let bodies = &self.bodies;
        let code = || CellBlock { cell, millis, bodies: bodies.values().cloned().collect() }.encode().into();
        self.coded.get_or_insert_with(code).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{Epoch, Placement};
    use crate::join::Newcomer;
    use crate::peers::PeerNumber;
    use crate::relay::Sample;
    use gemba_twin::path::ThingId;

    fn still(body: u32, x: f64) -> StillBody {
        let at = Placement { place: [x, 0.0, 0.0], ..Placement::ORIGIN };
        let (body, thing, holder) = (BodyNumber(body), ThingId([body as u8; 16]), PeerNumber(u16::MAX));
        StillBody { body, thing, holder, sample: Sample::of_body(&at, Epoch(0), 5) }
    }

    fn told(table: &mut JoinTable, here: i32) -> Vec<u32> {
        let Pieces { near, rest } = table.pieces([here, 0, 0], 5);
        let mut bodies = Vec::new();
        for pieces in [near, rest] {
            let mut newcomer = Newcomer::default();
            for piece in pieces {
                bodies.extend(newcomer.handle_piece(&piece).unwrap().into_iter().map(|still| still.body.0));
            }
            assert!(newcomer.is_done());
        }
        bodies
    }

    #[test]
    fn a_newcomer_hears_of_its_own_cell_first_and_of_the_farthest_last() {
        let mut table = JoinTable::default();
        (0..20).for_each(|n| table.put(still(n, f64::from(n) * 10.0)));
        assert_eq!(told(&mut table, 0), (0..20).collect::<Vec<_>>());
        assert_eq!(told(&mut table, 195_000)[0], 19);
        let middle = told(&mut table, 100_000);
        assert!(middle[0] == 10 && middle[1..3].iter().all(|n| [9, 11].contains(n)), "{middle:?}");
    }

    #[test]
    fn who_comes_later_hears_where_bodies_are_by_then_and_of_none_that_is_gone() {
        let mut table = JoinTable::default();
        [(1, 1.0), (2, 2.0), (3, 90.0)].into_iter().for_each(|(body, x)| table.put(still(body, x)));
        told(&mut table, 0);
        table.put(still(1, 91.0));
        table.remove(BodyNumber(2));
        table.remove(BodyNumber(7));
        let Pieces { near, rest } = table.pieces([0; 3], 9);
        assert_eq!((near.len(), rest.len()), (1, 2), "manifests, and the one cell that is left");
        assert_eq!(told(&mut table, 0), [1, 3]);
        table.remove(BodyNumber(1));
        table.remove(BodyNumber(3));
        assert!(table.is_empty() && told(&mut table, 0).is_empty());
    }
}
