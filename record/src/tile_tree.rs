//! Proofs from tiles, none of which is believed before it is verified.
//!
//! A [`TileTree`] knows size and root of a log, as a verified checkpoint states them. Asked for a proof it either has
//! it or names the tile that is [`Unproved::Missing`]; the caller fetches that from wherever it can and hands it to
//! [`TileTree::insert`], which takes it only if its hashes lead to the root: the partial tiles at the right edge
//! together make the root, and a full tile makes one hash of the tile above it. So a mirror, a web server or a disk
//! may be mistaken or lie, and the worst they do is to be found out.
//!
//! [`TileTree::fetching`] does the asking and fetching in a loop, where the tiles can be read at once.

use std::collections::BTreeMap;

use crate::limits;
use crate::merkle::{self, Hash, complete_root, empty_root, range_hash};
use crate::tile::{Resource, Tile, TileEdge, TileError, WIDTH, edge_root, edge_tiles};

/// A tree known by size and root, and as many of its tiles as were needed.
#[derive(Debug, Clone)]
pub struct TileTree {
    size: u64,
    root: Hash,
    /// The partial tiles by level. Believed once all are there and make the root.
    edge: BTreeMap<u8, Vec<Hash>>,
    edge_is_verified: bool,
    /// Full tiles by level and index, every one verified.
    full: BTreeMap<(u8, u64), Vec<Hash>>,
}

/// Why there is no answer yet, or none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// To be fetched and inserted first.
    #[error("tile {} is needed", Resource::Hashes(*.0))]
    Missing(Tile),
    /// A question about entries that a log of this size does not have.
    #[error("the log has not as many entries")]
    Beyond,
}

impl TileTree {
    /// The tree of a checkpoint that the caller has verified. Refused where a log without entries has a root.
    pub fn new(size: u64, root: Hash) -> Result<Self, TileError> {
        if size == 0 && root != empty_root() {
            return Err(TileError::Forged(Resource::Checkpoint));
        }
        Ok(Self { size, root, edge: BTreeMap::new(), edge_is_verified: size == 0, full: BTreeMap::new() })
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// Takes a tile with its bytes, if they lead to the root. A partial tile may come as the full one that it has
    /// become since. When the partial tiles do not make the root, all of them are forgotten: one is forged.
    pub fn insert(&mut self, tile: Tile, bytes: &[u8]) -> Result<(), TileError> {
        let resource = Resource::Hashes(tile);
        if Tile::of(tile.level(), tile.index(), self.size) != Some(tile) {
            return Err(TileError::Elsewhere(resource));
        }
        let hashes = tile.decode(bytes)?;
        if tile.is_full() {
            return self.insert_full(tile, hashes);
        }
        if self.edge_is_verified {
            return Ok(());
        }
        self.edge.insert(tile.level(), hashes);
        if edge_tiles(self.size).all(|tile| self.edge.contains_key(&tile.level())) {
            self.edge_is_verified = edge_root(self.edge.values().map(Vec::as_slice)) == self.root;
            if !self.edge_is_verified {
                self.edge.clear();
                return Err(TileError::Forged(resource));
            }
        }
        Ok(())
    }

    fn insert_full(&mut self, tile: Tile, hashes: Vec<Hash>) -> Result<(), TileError> {
        let above = match self.above(tile) {
            Ok(hash) => hash,
            Err(Unproved::Missing(first)) => return Err(TileError::ParentFirst(Resource::Hashes(first))),
            Err(Unproved::Beyond) => return Err(TileError::Elsewhere(Resource::Hashes(tile))),
        };
        if above != complete_root(&hashes) {
            return Err(TileError::Forged(Resource::Hashes(tile)));
        }
        // No proof needs more than a few tiles of each level, so that what is dropped is not needed again at once. The
        // tiles above this one are kept where they are not too many themselves.
        if self.full.len() == limits::TILES_HELD {
            self.full.retain(|(level, _), _| *level > tile.level());
            if self.full.len() == limits::TILES_HELD {
                self.full.clear();
            }
        }
        self.full.insert((tile.level(), tile.index()), hashes);
        Ok(())
    }

    /// Proof that leaf `index` is in the tree.
    pub fn inclusion(&self, index: u64) -> Result<Vec<Hash>, Unproved> {
        self.hashes(merkle::inclusion_ranges(index, self.size))
    }

    /// Proof that the tree of the first `old` leaves is the beginning of this one.
    pub fn consistency(&self, old: u64) -> Result<Vec<Hash>, Unproved> {
        self.hashes(merkle::consistency_ranges(old, self.size))
    }

    /// As [`TileTree::consistency`], but complete in itself: see [`merkle::prefix_root`].
    pub fn prefix(&self, old: u64) -> Result<Vec<Hash>, Unproved> {
        self.hashes(merkle::prefix_ranges(old, self.size))
    }

    /// Proof for [`merkle::verify_bundle`]: that the leaves from `start` up to the next multiple of 256, or to the
    /// tree's end, have the hash they have. `start` is to be a multiple of 256.
    pub fn bundle(&self, start: u64) -> Result<Vec<Hash>, Unproved> {
        if start >= self.size || !start.is_multiple_of(u64::from(WIDTH)) {
            return Err(Unproved::Beyond);
        }
        let last = (self.size - 1) >> 8;
        let ranges = merkle::inclusion_ranges(start >> 8, last + 1).ok_or(Unproved::Beyond)?;
        let in_leaves = |end: u64| if end > last { self.size } else { end << 8 };
        self.hashes(Some(ranges.into_iter().map(|r| r.start << 8..in_leaves(r.end)).collect()))
    }

    /// The hash of leaf `index`.
    pub fn leaf(&self, index: u64) -> Result<Hash, Unproved> {
        if index < self.size { self.node(0, index) } else { Err(Unproved::Beyond) }
    }

    /// The hash over the leaves from `start` up to the next multiple of 256, or to the tree's end. `start` is to be a
    /// multiple of 256.
    pub fn bundle_hash(&self, start: u64) -> Result<Hash, Unproved> {
        if start >= self.size || !start.is_multiple_of(u64::from(WIDTH)) {
            return Err(Unproved::Beyond);
        }
        let end = start.checked_add(u64::from(WIDTH)).map_or(self.size, |end| end.min(self.size));
        range_hash(start..end, &mut |level, index| self.node(level, index))
    }

    /// The root that the tree had when it had its first `size` leaves.
    pub fn root_at(&self, size: u64) -> Result<Hash, Unproved> {
        match size {
            0 => Ok(empty_root()),
            _ if size > self.size => Err(Unproved::Beyond),
            _ => range_hash(0..size, &mut |level, index| self.node(level, index)),
        }
    }

    /// The right edge, from which the log can be continued.
    pub fn edge(&self) -> Result<TileEdge, Unproved> {
        self.need_edge()?;
        let levels = self.edge.keys().last().map_or(0, |level| level + 1);
        let rows = (0..levels).map(|level| self.edge.get(&level).cloned().unwrap_or_default());
        Ok(TileEdge::from_rows(self.size, rows.collect()))
    }

    /// Asks, fetches what is missing, and asks again. `fetch` gives a tile's bytes, or none where it cannot; a partial
    /// tile that is gone is asked for as the full one. At most [`limits::TILES_FETCHED`] tiles are fetched.
    pub fn fetching<T>(
        &mut self,
        ask: impl Fn(&Self) -> Result<T, Unproved>,
        mut fetch: impl FnMut(Tile) -> Option<Vec<u8>>,
    ) -> Result<T, TileError> {
        for _ in 0..limits::TILES_FETCHED {
            let tile = match ask(self) {
                Ok(answer) => return Ok(answer),
                Err(Unproved::Beyond) => return Err(TileError::Elsewhere(Resource::Checkpoint)),
                Err(Unproved::Missing(tile)) => tile,
            };
            let bytes = fetch(tile).or_else(|| if tile.is_full() { None } else { fetch(tile.full()) });
            self.insert(tile, &bytes.ok_or(TileError::Absent(Resource::Hashes(tile)))?)?;
        }
        Err(TileError::Elsewhere(Resource::Checkpoint))
    }

    fn hashes(&self, ranges: Option<Vec<core::ops::Range<u64>>>) -> Result<Vec<Hash>, Unproved> {
        let ranges = ranges.ok_or(Unproved::Beyond)?;
        let hash = |range| range_hash(range, &mut |level, index| self.node(level, index));
        ranges.into_iter().map(hash).collect()
    }

    /// The hash of a complete subtree of this tree: `1 << level` leaves, number `index` from the left.
    fn node(&self, level: u32, index: u64) -> Result<Hash, Unproved> {
        let (row, within) = ((level / 8) as u8, level % 8);
        let first = index << within;
        let tile = Tile::of(row, first / u64::from(WIDTH), self.size).ok_or(Unproved::Beyond)?;
        let start = (first % u64::from(WIDTH)) as usize;
        let hashes = self.held(tile)?.get(start..start + (1 << within)).ok_or(Unproved::Beyond)?;
        Ok(complete_root(hashes))
    }

    /// The hash that a full tile has in the tile above it.
    fn above(&self, tile: Tile) -> Result<Hash, Unproved> {
        self.node(8 * (u32::from(tile.level()) + 1), tile.index())
    }

    /// The hashes of a tile of this tree, or the first tile that is missing on the way to it.
    fn held(&self, tile: Tile) -> Result<&[Hash], Unproved> {
        self.need_edge()?;
        let held = match tile.is_full() {
            true => self.full.get(&(tile.level(), tile.index())),
            false => self.edge.get(&tile.level()),
        };
        match held {
            Some(hashes) => Ok(hashes),
            // The tile above comes first, since this one is verified by it.
            None => Err(self.above(tile).err().unwrap_or(Unproved::Missing(tile))),
        }
    }

    fn need_edge(&self) -> Result<(), Unproved> {
        if self.edge_is_verified {
            return Ok(());
        }
        let missing = edge_tiles(self.size).find(|tile| !self.edge.contains_key(&tile.level()));
        Err(missing.map_or(Unproved::Beyond, Unproved::Missing))
    }
}
