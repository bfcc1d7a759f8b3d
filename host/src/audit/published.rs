//! The published files of a log (C2SP `tlog-tiles`) against the record they were made from, and the record against
//! them where it is the one that was changed.

use std::collections::HashMap;
use std::io;
use std::ops::{ControlFlow, Range};

use gemba_record::checkpoint::SignedCheckpoint;
use gemba_record::merkle::{Frontier, Hash};
use gemba_record::tile::{Bundle, Resource, Tile, TileEdge, TileError, WIDTH};
use gemba_record::tile_tree::TileTree;

use super::entries::Entries;
use super::{Audit, Finding, Phase, Progress, Watch, WhichEntry};
use crate::disk::{Disk, read_whole};
use crate::limits;
use crate::problem::{SiteDirError, io};
use crate::publisher::{CHECKPOINT, LOG};
use crate::store;

/// The published files beside the record's hashes.
pub(super) struct Published<'a> {
    disk: &'a dyn Disk,
    leaves: &'a [Option<Hash>],
}

impl<'a> Published<'a> {
    pub(super) fn new(disk: &'a dyn Disk, leaves: &'a [Option<Hash>]) -> Self {
        Self { disk, leaves }
    }

    /// Compares every file up to `signed`, whose root is the record's, with what the record makes. With `complete`
    /// none may be missing.
    pub(super) fn compare(
        &self,
        entries: &Entries,
        signed: &SignedCheckpoint,
        complete: bool,
        audit: &mut Audit,
        watch: Watch<'_>,
    ) -> Result<ControlFlow<()>, SiteDirError> {
        let size = signed.checkpoint().size;
        let published = self.published_size(complete).min(size);
        let mut edge = TileEdge::default();
        let mut bundle: Vec<Vec<u8>> = Vec::new();
        let mut first = 0;
        while first < size {
            let progress = Progress { phase: Phase::Tiles, done: first, total: size };
            if watch(progress).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let batch = entries.store.read(first)?;
            for entry in batch.into_iter().take((size - first) as usize) {
                let leaf = self.leaves[first as usize].expect("a record whose root is the signed one is whole");
                first += 1;
                let mut filled = Vec::new();
                edge.push(leaf, |tile, bytes| filled.push((tile, bytes)));
                bundle.push(entry);
                if bundle.len() == usize::from(WIDTH) || first == size {
                    self.compare_bundle(std::mem::take(&mut bundle), first, published, audit)?;
                }
                for (tile, bytes) in filled {
                    self.compare_tile(tile, &bytes, published, audit)?;
                }
            }
        }
        for (tile, bytes) in edge.partial() {
            self.compare_tile(tile, &bytes, published, audit)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Entries that the published checkpoint says are published; 0 where nothing says so.
    fn published_size(&self, complete: bool) -> u64 {
        let note = self.disk.read(CHECKPOINT, 0, limits::SMALL_BYTES).ok().filter(|_| complete);
        let note = note.and_then(|note| String::from_utf8(note).ok());
        note.and_then(|note| SignedCheckpoint::read(&note).ok()).map_or(0, |signed| signed.checkpoint().size)
    }

    fn compare_bundle(
        &self,
        entries: Vec<Vec<u8>>,
        end: u64,
        published: u64,
        audit: &mut Audit,
    ) -> Result<(), SiteDirError> {
        let bundle = Bundle::of(end - 1, end).expect("a log has its own last entry");
        let tile = bundle.tile();
        for width in self.widths(tile, |tile| Resource::Entries(Bundle::of_tile(tile)), published, audit)? {
            let held = Bundle::of_tile(width);
            let resource = Resource::Entries(held);
            let Some(bytes) = self.read(resource)? else { continue };
            audit.tiles += 1;
            let mut at = 0;
            for (index, entry) in (bundle.start()..).zip(&entries[..usize::from(held.width())]) {
                let expected = [&(entry.len() as u16).to_be_bytes()[..], entry].concat();
                let range = at..at + expected.len();
                if bytes.get(range.clone()) != Some(&expected) {
                    let differs = first_difference(&bytes, &expected, range);
                    audit.findings.push(self.tile_finding(resource, differs, "bytes", index));
                    break;
                }
                at = range.end;
            }
            if at < bytes.len() && audit.findings.last().is_none_or(|f| f.path() != self.path(resource)) {
                let why = TileError::Length(resource);
                audit.findings.push(Finding::Published { path: self.path(resource), why });
            }
        }
        Ok(())
    }

    fn compare_tile(&self, tile: Tile, expected: &[u8], published: u64, audit: &mut Audit) -> Result<(), SiteDirError> {
        for held in self.widths(tile, Resource::Hashes, published, audit)? {
            let resource = Resource::Hashes(held);
            let Some(bytes) = self.read(resource)? else { continue };
            audit.tiles += 1;
            let expected = &expected[..usize::from(held.width()) * 32];
            if bytes.len() != expected.len() {
                let why = TileError::Length(resource);
                audit.findings.push(Finding::Published { path: self.path(resource), why });
            } else if let Some(at) = bytes.iter().zip(expected).position(|(a, b)| a != b) {
                let hash = (at / 32) as u64;
                let entry = (tile.index() * u64::from(WIDTH) + hash) << (8 * u32::from(tile.level()));
                audit.findings.push(self.tile_finding(resource, at as u64..at as u64 + 1, "in the hash", entry));
            }
        }
        Ok(())
    }

    /// The files there are of this tile: itself, and those that were published while it was narrower. That one is
    /// missing which has to be there is a finding.
    fn widths(
        &self,
        tile: Tile,
        resource: impl Fn(Tile) -> Resource,
        published: u64,
        audit: &mut Audit,
    ) -> Result<Vec<Tile>, SiteDirError> {
        let of_full = self.name(resource(tile.full()));
        let folder = format!("{of_full}.p");
        let names = match self.disk.list(&folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(io("read", &self.disk.path(&folder)))?,
        };
        let narrower = names.iter().filter_map(|name| name.parse::<u16>().ok()).filter(|width| *width < tile.width());
        let mut widths: Vec<Tile> = narrower.filter_map(|width| tile.narrowed(width)).collect();
        let needed = Tile::of(tile.level(), tile.index(), published);
        if let Some(needed) = needed
            && self.disk.size(&self.name(resource(needed))).is_err()
            && self.disk.size(&of_full).is_err()
        {
            let path = self.path(resource(needed));
            audit.findings.push(Finding::Published { path, why: TileError::Absent(resource(needed)) });
        }
        widths.push(tile);
        Ok(widths)
    }

    fn read(&self, resource: Resource) -> Result<Option<Vec<u8>>, SiteDirError> {
        let name = self.name(resource);
        read_whole(self.disk, &name).map_err(io("read", &self.disk.path(&name)))
    }

    fn tile_finding(&self, resource: Resource, bytes: Range<u64>, what: &'static str, entry: u64) -> Finding {
        Finding::Tile { path: self.path(resource), bytes, what, entry }
    }

    fn path(&self, resource: Resource) -> std::path::PathBuf {
        self.disk.path(&self.name(resource))
    }

    fn name(&self, resource: Resource) -> String {
        format!("{LOG}/{resource}")
    }

    /// Says which entries are not those that were signed, as the tiles under the signed root show.
    pub(super) fn locate(&self, signed: &SignedCheckpoint, findings: &mut Vec<Finding>) {
        let stated = signed.checkpoint();
        let Ok(mut tree) = TileTree::new(stated.size, stated.root) else { return };
        let fetch = |tile: Tile| read_whole(self.disk, &self.name(Resource::Hashes(tile))).ok().flatten();
        // Where the record and what was signed differ: what stands there, and what should.
        let (mut here, mut should): (Vec<(u64, Option<Hash>)>, Vec<(u64, Hash)>) = Default::default();
        for start in (0..stated.size).step_by(usize::from(WIDTH)) {
            let end = stated.size.min(start + u64::from(WIDTH));
            let own = self.leaves.get(start as usize..end as usize).map(block_hash);
            let told = match tree.fetching(|tree| tree.bundle_hash(start), fetch) {
                Ok(told) => told,
                Err(why) => return self.cannot_tell(why, findings),
            };
            if own.flatten() == Some(told) {
                continue;
            }
            for index in start..end {
                match tree.fetching(|tree| tree.leaf(index), fetch) {
                    Ok(leaf) => should.push((index, leaf)),
                    Err(why) => return self.cannot_tell(why, findings),
                }
                here.extend(self.leaves.get(index as usize).map(|leaf| (index, *leaf)));
            }
        }
        here.extend((stated.size..).zip(self.leaves.get(stated.size as usize..).unwrap_or_default().iter().copied()));
        findings.extend(which(&here, &should).into_iter().map(|which| self.entry_finding(which)));
    }

    fn cannot_tell(&self, why: TileError, findings: &mut Vec<Finding>) {
        let path = match why {
            TileError::Forged(r) | TileError::Absent(r) | TileError::Length(r) | TileError::Elsewhere(r) => {
                self.path(r)
            }
            _ => self.disk.path(LOG),
        };
        findings.push(Finding::Published { path, why });
    }

    fn entry_finding(&self, which: WhichEntry) -> Finding {
        Finding::Entry { path: self.disk.path(store::RECORD), which }
    }
}

/// The hash over neighbouring leaves; none where one is damaged.
fn block_hash(leaves: &[Option<Hash>]) -> Option<Hash> {
    let mut tree = Frontier::default();
    for leaf in leaves {
        tree.push((*leaf)?);
    }
    Some(tree.root())
}

/// The first bytes that differ within a range of a file.
fn first_difference(bytes: &[u8], expected: &[u8], range: Range<usize>) -> Range<u64> {
    let held = bytes.get(range.start..).unwrap_or_default();
    let at = held.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(held.len().min(expected.len()));
    let at = (range.start + at) as u64;
    at..at + 1
}

/// What became of the entries that should be there, from those that are: at most [`limits::FINDINGS`].
fn which(here: &[(u64, Option<Hash>)], should: &[(u64, Hash)]) -> Vec<WhichEntry> {
    let signed_at: HashMap<Hash, u64> = should.iter().map(|(index, leaf)| (*leaf, *index)).collect();
    let mut found: HashMap<Hash, u64> = HashMap::new();
    let in_place: HashMap<u64, Hash> = should.iter().copied().collect();
    let mut all = Vec::new();
    for (index, leaf) in here {
        let Some(leaf) = leaf else { continue };
        let is_first = found.insert(*leaf, *index).is_none();
        if in_place.get(index) == Some(leaf) {
            continue;
        }
        match signed_at.get(leaf) {
            Some(signed) if is_first => all.push(WhichEntry::Moved { index: *index, signed: *signed }),
            _ if in_place.contains_key(index) => all.push(WhichEntry::Foreign { index: *index }),
            // Behind the signed ones others may follow; not those that were signed before.
            _ => {}
        }
    }
    let gone = should.iter().filter(|(_, leaf)| !found.contains_key(leaf));
    // What is gone or foreign explains why others have moved, and comes first.
    let mut found: Vec<WhichEntry> = gone.map(|(signed, _)| WhichEntry::Gone { signed: *signed }).collect();
    let (foreign, moved): (Vec<_>, Vec<_>) = all.into_iter().partition(|w| matches!(w, WhichEntry::Foreign { .. }));
    found.extend(foreign);
    found.extend(moved);
    if found.len() > limits::FINDINGS {
        let count = (found.len() - limits::FINDINGS) as u64;
        found.truncate(limits::FINDINGS);
        found.push(WhichEntry::More { count });
    }
    found
}
