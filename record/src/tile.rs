//! A log as static files: C2SP `tlog-tiles` (<https://c2sp.org/tlog-tiles>). Any web server can publish them, and
//! anyone can make any proof from them.
//!
//! A **tile** is a row of at most 256 neighbouring hashes: of leaves at level 0, of full tiles of the level below at
//! the others. A **bundle** is the entries under a tile of level 0. Both are written when they are full, and once for
//! each published size while they are not; a file once written never changes.
//!
//! Here are names, bytes and which files are new. [`TileEdge`] makes the tiles of a growing log;
//! [`crate::tile_tree`] believes tiles of others no further than a signed root goes, and makes proofs of them. Left
//! out: pruning, since a record forgets nothing.

use std::fmt;
use std::str::FromStr;

use crate::merkle::{Hash, complete_root, empty_root, node_hash};

/// Hashes in a full tile, entries in a full bundle.
pub const WIDTH: u16 = 256;

/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// Largest bundle in bytes: 256 entries of 65,535 bytes and their lengths, 16.8 MB.
pub const BUNDLE_BYTES: usize = WIDTH as usize * (2 + u16::MAX as usize);

/// Where a tile of hashes is in the tree, and how many it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

/// Where a bundle of entries is in the log, and how many it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bundle {
    index: u64,
    width: u16,
}

/// A file of a published log. Its text form is its path below the log's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// The newest signed checkpoint: the only file that changes.
    Checkpoint,
    /// Hashes of the tree.
    Hashes(Tile),
    /// Entries.
    Entries(Bundle),
}

/// What is no tile, no bundle, or not of this log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Not one of the specification's paths.
    #[error("not a path of a tiled log")]
    Path,
    /// As many bytes as no tile or bundle of its width has.
    #[error("{0} is damaged: its length is not what its width asks for")]
    Length(Resource),
    /// An entry that does not fit.
    #[error("a bundle holds 1 to 256 entries of at most 65535 bytes each")]
    Entry,
    /// Hashes that are not under the signed root.
    #[error("{0} is forged or damaged: its hashes do not belong to the signed root; fetch it from a mirror")]
    Forged(Resource),
    /// A tile that the tree of this size does not have.
    #[error("{0} is not in a log of this size")]
    Elsewhere(Resource),
    /// A tile that cannot be verified before another is there.
    #[error("{0} is needed first")]
    ParentFirst(Resource),
    /// A file that could not be fetched.
    #[error("{0} is not there; try another mirror")]
    Absent(Resource),
}

impl Tile {
    /// The tile at this place in a tree of `size` leaves, full or as wide as it is; none where the tree has none.
    pub fn of(level: u8, index: u64, size: u64) -> Option<Self> {
        let hashes = hashes_at(level, size);
        let width = hashes.checked_sub(index.checked_mul(u64::from(WIDTH))?)?.min(u64::from(WIDTH));
        (width > 0).then_some(Self { level, index, width: width as u16 })
    }

    /// 0 above the entries, and 8 levels of the tree further up with each.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Which of its level, from the left.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes, 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether it will never grow.
    pub fn is_full(&self) -> bool {
        self.width == WIDTH
    }

    /// The full tile in this place, for when a partial one is no longer kept.
    pub fn full(&self) -> Self {
        Self { width: WIDTH, ..*self }
    }

    /// The tile in this place while it had only so many hashes; none for more than it has, or none at all.
    pub fn narrowed(&self, width: u16) -> Option<Self> {
        (1..=self.width).contains(&width).then_some(Self { width, ..*self })
    }

    /// The bytes of these hashes.
    pub fn encode(hashes: &[Hash]) -> Vec<u8> {
        hashes.concat()
    }

    /// The hashes in the bytes of this tile. A partial tile may come as the full one that it has become since.
    pub fn decode(&self, bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
        let own = usize::from(self.width) * HASH_BYTES;
        if bytes.len() != own && bytes.len() != usize::from(WIDTH) * HASH_BYTES {
            return Err(TileError::Length(Resource::Hashes(*self)));
        }
        let (hashes, _) = bytes[..own].as_chunks::<HASH_BYTES>();
        Ok(hashes.to_vec())
    }
}

impl Bundle {
    /// The bundle with this entry in a log of `size` entries; none where the log has none.
    pub fn of(index: u64, size: u64) -> Option<Self> {
        Tile::of(0, index / u64::from(WIDTH), size).map(Bundle::of_tile)
    }

    /// The bundle under a tile of level 0.
    pub fn of_tile(tile: Tile) -> Self {
        Self { index: tile.index, width: tile.width }
    }

    /// Which, from the log's beginning.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many entries, 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Index of its first entry.
    pub fn start(&self) -> u64 {
        self.index * u64::from(WIDTH)
    }

    /// Index after its last entry.
    pub fn end(&self) -> u64 {
        self.start() + u64::from(self.width)
    }

    /// The tile of its leaf hashes.
    pub fn tile(&self) -> Tile {
        Tile { level: 0, index: self.index, width: self.width }
    }

    /// The full bundle in this place, for when a partial one is no longer kept.
    pub fn full(&self) -> Self {
        Self { width: WIDTH, ..*self }
    }

    /// The bytes of these entries.
    pub fn encode<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, TileError> {
        let (mut bytes, mut count) = (Vec::new(), 0);
        for entry in entries {
            let length = u16::try_from(entry.len()).map_err(|_| TileError::Entry)?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(entry);
            count += 1;
        }
        if (1..=WIDTH).contains(&count) { Ok(bytes) } else { Err(TileError::Entry) }
    }

    /// The entries in the bytes of this bundle: as many as its width says, and nothing after them.
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, TileError> {
        let mut rest = bytes;
        let entries = (0..self.width).map(|_| take_entry(&mut rest)).collect::<Option<Vec<_>>>();
        entries.filter(|_| rest.is_empty()).ok_or(TileError::Length(Resource::Entries(*self)))
    }
}

/// Takes one entry with its length off the front.
pub(crate) fn take_entry<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *bytes = rest;
    Some(entry)
}

/// The files that a log of `new` entries has and the same log with `old` entries had not, but for the checkpoint: the
/// entries first, then tiles from the leaves up, so that what is published under a checkpoint is there before it is.
/// None when the log did not grow.
pub fn new_between(old: u64, new: u64) -> impl Iterator<Item = Resource> {
    let bundles = new_at(0, old, new).map(|tile| Resource::Entries(Bundle::of_tile(tile)));
    bundles.chain((0..8).flat_map(move |level| new_at(level, old, new).map(Resource::Hashes)))
}

fn new_at(level: u8, old: u64, new: u64) -> impl Iterator<Item = Tile> {
    let (had, has) = (hashes_at(level, old), hashes_at(level, new));
    let first = had / u64::from(WIDTH);
    let after = if had < has { has.div_ceil(u64::from(WIDTH)) } else { first };
    (first..after).filter_map(move |index| Tile::of(level, index, new))
}

/// Hashes of one level in a tree of `size` leaves.
fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, width) = match self {
            Self::Checkpoint => return f.write_str("checkpoint"),
            Self::Hashes(tile) => {
                write!(f, "tile/{}", tile.level)?;
                (tile.index, tile.width)
            }
            Self::Entries(bundle) => {
                f.write_str("tile/entries")?;
                (bundle.index, bundle.width)
            }
        };
        let digits = index.to_string();
        let digits = format!("{digits:0>width$}", width = digits.len().div_ceil(3) * 3);
        for (n, group) in digits.as_bytes().chunks(3).enumerate() {
            let last = (n + 1) * 3 == digits.len();
            f.write_str(if last { "/" } else { "/x" })?;
            group.iter().try_for_each(|digit| write!(f, "{}", char::from(*digit)))?;
        }
        if width < WIDTH { write!(f, ".p/{width}") } else { Ok(()) }
    }
}

impl FromStr for Resource {
    type Err = TileError;

    /// Reads the paths that [`Resource`] writes, and no others.
    fn from_str(path: &str) -> Result<Self, TileError> {
        // Twenty digits in seven groups, a level and a width: longer ones are not even split.
        if path.len() > 64 {
            return Err(TileError::Path);
        }
        let resource = resource_from_path(path).ok_or(TileError::Path)?;
        if resource.to_string() == path { Ok(resource) } else { Err(TileError::Path) }
    }
}

/// Reads a path and more: the caller compares.
fn resource_from_path(path: &str) -> Option<Resource> {
    if path == "checkpoint" {
        return Some(Resource::Checkpoint);
    }
    let (level, place) = path.strip_prefix("tile/")?.split_once('/')?;
    let (index, width) = match place.split_once(".p/") {
        Some((index, width)) => (index, width.parse().ok().filter(|width| (1..WIDTH).contains(width))?),
        None => (place, WIDTH),
    };
    let digits: String = index.split('/').map(|group| group.strip_prefix('x').unwrap_or(group)).collect();
    let index = digits.parse().ok()?;
    match level {
        "entries" => Some(Resource::Entries(Bundle { index, width })),
        _ => {
            let level = level.parse().ok().filter(|level| *level < 64)?;
            Some(Resource::Hashes(Tile { level, index, width }))
        }
    }
}

/// The partial tiles at the right edge of a growing log: what it takes to write all its tiles, each once it is full.
/// At most 8 rows of 255 hashes, 65 kB.
///
/// ```
/// use gemba_record::merkle::leaf_hash;
/// use gemba_record::tile::{Resource, TileEdge};
///
/// let mut edge = TileEdge::default();
/// let mut files = Vec::new();
/// for n in 0..300u32 {
///     edge.push(leaf_hash(&n.to_be_bytes()), |tile, bytes| files.push((Resource::Hashes(tile), bytes)));
/// }
/// files.extend(edge.partial().map(|(tile, bytes)| (Resource::Hashes(tile), bytes)));
/// let paths: Vec<String> = files.iter().map(|(resource, _)| resource.to_string()).collect();
/// assert_eq!(paths, ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TileEdge {
    size: u64,
    /// The hashes of the partial tile at each level, from level 0; none where the level ends with a full tile.
    rows: Vec<Vec<Hash>>,
}

impl TileEdge {
    /// Adds a leaf at the end, and hands out every tile that it fills with its bytes.
    pub fn push(&mut self, leaf: Hash, mut filled: impl FnMut(Tile, Vec<u8>)) {
        self.size += 1;
        let (mut hash, mut level) = (leaf, 0u8);
        loop {
            if self.rows.len() == usize::from(level) {
                self.rows.push(Vec::new());
            }
            let row = &mut self.rows[usize::from(level)];
            row.push(hash);
            if row.len() < usize::from(WIDTH) {
                return;
            }
            let index = (hashes_at(level, self.size) - 1) / u64::from(WIDTH);
            filled(Tile { level, index, width: WIDTH }, Tile::encode(row));
            hash = complete_root(row);
            row.clear();
            level += 1;
        }
    }

    /// The tiles that are not full, with their bytes, from the leaves up: published once for each published size.
    pub fn partial(&self) -> impl Iterator<Item = (Tile, Vec<u8>)> {
        let tile = |level| Tile::of(level, hashes_at(level, self.size) / u64::from(WIDTH), self.size);
        (0..).zip(&self.rows).filter_map(move |(level, row)| Some((tile(level)?, Tile::encode(row))))
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        edge_root(self.rows.iter().map(Vec::as_slice))
    }

    /// The edge of a log of `size` entries from these partial tiles (a row for each level, from level 0), which the
    /// caller has verified.
    pub(crate) fn from_rows(size: u64, rows: Vec<Vec<Hash>>) -> Self {
        Self { size, rows }
    }
}

/// The partial tiles of a tree of `size` leaves: all that its root depends on, so that they are verified together.
pub(crate) fn edge_tiles(size: u64) -> impl Iterator<Item = Tile> {
    (0..8).filter_map(move |level| {
        let tile = Tile::of(level, hashes_at(level, size) / u64::from(WIDTH), size)?;
        (!tile.is_full()).then_some(tile)
    })
}

/// The root of the tree whose partial tiles have these hashes, from level 0.
pub(crate) fn edge_root<'a>(rows: impl IntoIterator<Item = &'a [Hash]>) -> Hash {
    let mut root: Option<Hash> = None;
    for row in rows {
        let mut rest = row;
        // From the right, and so from the smallest complete subtree, as the tree is folded.
        while !rest.is_empty() {
            let (left, subtree) = rest.split_at(rest.len() - (1 << rest.len().trailing_zeros()));
            let hash = complete_root(subtree);
            root = Some(root.map_or(hash, |right| node_hash(&hash, &right)));
            rest = left;
        }
    }
    root.unwrap_or_else(empty_root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{Frontier, leaf_hash};

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = |level, index, width| Resource::Hashes(Tile { level, index, width });
        for (resource, path) in [
            (Resource::Checkpoint, "checkpoint"),
            (tile(0, 1_234_067, 256), "tile/0/x001/x234/067"),
            (tile(0, 273, 112), "tile/0/273.p/112"),
            (tile(63, 0, 1), "tile/63/000.p/1"),
            (tile(1, u64::MAX, 255), "tile/1/x018/x446/x744/x073/x709/x551/615.p/255"),
            (Resource::Entries(Bundle { index: 1000, width: 256 }), "tile/entries/x001/000"),
            (Resource::Entries(Bundle { index: 999, width: 7 }), "tile/entries/999.p/7"),
        ] {
            assert_eq!(resource.to_string(), path);
            assert_eq!(path.parse(), Ok(resource));
        }
        for no in "tile/0/1 tile/00/001 tile/64/001 tile/0/x000/001 tile/0/001/001 tile/0/001.p/0 tile/0/001.p/256 \
             tile/0/001.p/07 tile/0/001.p tile/0/+01 tile/-1/001 tile/entries tile/0/x001 tile/0/001/ /checkpoint \
             tile/1/x018/x446/x744/x073/x709/x551/616"
            .split_whitespace()
        {
            assert_eq!(no.parse::<Resource>(), Err(TileError::Path), "{no}");
        }
    }

    /// The example in the specification: 70,000 entries.
    #[test]
    fn a_log_has_the_tiles_that_the_specification_counts() {
        let (mut full, mut partial) = ([0; 8], Vec::new());
        for resource in new_between(0, 70_000) {
            match resource {
                Resource::Hashes(tile) if tile.is_full() => full[usize::from(tile.level)] += 1,
                Resource::Hashes(tile) => partial.push((tile.level, tile.width)),
                _ => {}
            }
        }
        assert_eq!(full, [273, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(partial, [(0, 112), (1, 17), (2, 1)]);
        let of_256: Vec<String> = new_between(0, 256).map(|r| r.to_string()).collect();
        assert_eq!(of_256, ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(new_between(300, 300).count() + new_between(300, 200).count(), 0);
        let grown: Vec<String> = new_between(511, 513).map(|r| r.to_string()).collect();
        let expected = "tile/entries/001 tile/entries/002.p/1 tile/0/001 tile/0/002.p/1 tile/1/000.p/2";
        assert_eq!(grown.join(" "), expected);
        assert!(new_between(u64::MAX - 300, u64::MAX).count() < 20);
    }

    #[test]
    fn an_edge_hands_out_each_tile_once_and_has_the_trees_root() {
        let (mut edge, mut frontier) = (TileEdge::default(), Frontier::default());
        let mut filled = Vec::new();
        for n in 0u64..66_000 {
            let leaf = leaf_hash(&n.to_be_bytes());
            edge.push(leaf, |tile, _| filled.push(Resource::Hashes(tile)));
            frontier.push(leaf);
            if n % 97 == 0 || n > 65_500 {
                assert_eq!(edge.root(), frontier.root());
                assert_eq!(
                    edge.partial().map(|(tile, _)| tile).collect::<Vec<_>>(),
                    edge_tiles(n + 1).collect::<Vec<_>>()
                );
            }
        }
        filled.extend(edge.partial().map(|(tile, _)| Resource::Hashes(tile)));
        filled.sort();
        let tiles: Vec<_> = new_between(0, 66_000).filter(|r| matches!(r, Resource::Hashes(_))).collect();
        assert_eq!(filled, tiles);
    }

    #[test]
    fn a_bundle_with_other_entries_than_its_width_is_refused() {
        let entries: [&[u8]; 3] = [b"one", b"", &[7; 65_535]];
        let bytes = Bundle::encode(entries).unwrap();
        let bundle = Bundle::of(300, 259).or(Bundle::of(258, 259)).unwrap();
        assert_eq!((bundle.start(), bundle.end()), (256, 259));
        assert_eq!(bundle.decode(&bytes).unwrap(), entries);
        assert!(bundle.decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(bundle.decode(&[&bytes[..], &[0, 0]].concat()).is_err());
        assert_eq!(Bundle::encode([&[0; 65_536][..]]), Err(TileError::Entry));
        assert_eq!(Bundle::encode([&[][..]; 257]), Err(TileError::Entry));
        assert_eq!(Bundle::encode([]), Err(TileError::Entry));
    }
}
