//! The Merkle tree of RFC 9162 §2.1 over the log's entries, with SHA-256: root, inclusion and consistency proofs.
//!
//! [`Tree`] keeps all complete subtrees, level by level: 64 bytes an entry, for proofs in a few dozen look-ups.
//! [`Frontier`] keeps only the right edge: enough to append and to know the root. Proofs for a log of which only the
//! frontier is held are made from tiles ([`crate::tile_tree`]).

use core::convert::Infallible;
use core::ops::Range;

use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

/// A SHA-256 hash of a leaf, a node or a tree.
pub type Hash = [u8; 32];

/// Most hashes a proof may have: no tree of `u64` leaves needs more than 65.
pub const PROOF_HASHES: usize = 65;

/// The hash of one entry's bytes as a leaf.
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(bytes).finalize().into()
}

/// The hash of two nodes side by side.
pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// A tree that only grows.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// `levels[k][i]` is the hash of the complete subtree over leaves `i << k` to `(i + 1) << k`.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Adds a leaf at the end.
    pub fn push(&mut self, leaf: Hash) {
        let (mut hash, mut level) = (leaf, 0);
        loop {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let row = &mut self.levels[level];
            row.push(hash);
            if row.len() % 2 == 1 {
                return;
            }
            hash = node_hash(&row[row.len() - 2], &row[row.len() - 1]);
            level += 1;
        }
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// The root of the tree as it is.
    pub fn root(&self) -> Hash {
        self.root_at(self.size()).expect("a tree has a root at its own size")
    }

    /// The root the tree had with this many leaves; none when it never had as many.
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        match size {
            0 => Some(empty_root()),
            _ if size > self.size() => None,
            _ => Some(self.range(0, size)),
        }
    }

    /// Proof that leaf `index` is in the tree of the first `size` leaves; none unless `index < size <= self.size()`.
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        self.hashes(inclusion_ranges(index, size).filter(|_| size <= self.size())?)
    }

    /// Proof that the tree of the first `old` leaves is the beginning of that of the first `new`; none unless
    /// `old <= new <= self.size()`. Empty when `old` is 0 or equals `new`.
    pub fn consistency(&self, old: u64, new: u64) -> Option<Vec<Hash>> {
        self.hashes(consistency_ranges(old, new).filter(|_| new <= self.size())?)
    }

    /// As [`Tree::consistency`], but complete in itself: see [`prefix_root`].
    pub fn prefix(&self, old: u64, new: u64) -> Option<Vec<Hash>> {
        self.hashes(prefix_ranges(old, new).filter(|_| new <= self.size())?)
    }

    fn hashes(&self, ranges: Vec<Range<u64>>) -> Option<Vec<Hash>> {
        Some(ranges.into_iter().map(|range| self.range(range.start, range.end)).collect())
    }

    fn range(&self, start: u64, end: u64) -> Hash {
        let node = &mut |level: u32, index: u64| Ok::<_, Infallible>(self.levels[level as usize][index as usize]);
        match range_hash(start..end, node) {
            Ok(hash) => hash,
        }
    }
}

/// The right edge of a tree: the roots of its largest complete subtrees, one for each bit that is set in its size. A
/// million entries take 20 hashes, where the whole tree takes 64 MB.
///
/// As CBOR it is the array of the size and the subtrees' roots; what has another form is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode)]
pub struct Frontier {
    #[n(0)]
    size: u64,
    /// From the largest subtree to the smallest.
    #[n(1)]
    subtrees: Vec<SubtreeRoot>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
struct SubtreeRoot(#[cbor(n(0), with = "minicbor::bytes")] Hash);

/// Bytes that are no frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the right edge of a tree: the snapshot is damaged, fold the log anew")]
pub struct FrontierError;

impl Frontier {
    /// Adds a leaf at the end.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each trailing one of the size is a complete subtree that the new one completes to a larger.
        for _ in 0..self.size.trailing_ones() {
            let left = self.subtrees.pop().expect("there is a subtree for each bit of the size");
            hash = node_hash(&left.0, &hash);
        }
        self.subtrees.push(SubtreeRoot(hash));
        self.size += 1;
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let mut subtrees = self.subtrees.iter().rev();
        let Some(smallest) = subtrees.next() else { return empty_root() };
        subtrees.fold(smallest.0, |right, left| node_hash(&left.0, &right))
    }

    /// Whether it has the form of a frontier. Always true of one made or decoded here.
    pub fn is_sound(&self) -> bool {
        self.subtrees.len() == self.size.count_ones() as usize
    }

    /// Its only bytes.
    pub fn encode(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("a vector takes all that is written")
    }

    /// Reads [`Frontier::encode`]'s bytes and no others. At most 64 subtrees, so nothing else needs a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrontierError> {
        let frontier: Self = minicbor::decode(bytes).map_err(|_| FrontierError)?;
        if frontier.encode() == bytes { Ok(frontier) } else { Err(FrontierError) }
    }
}

impl<'b, C> Decode<'b, C> for Frontier {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        const BROKEN: &str = "not the right edge of a tree";
        if d.array()? != Some(2) {
            return Err(minicbor::decode::Error::message(BROKEN));
        }
        let size = d.u64()?;
        if d.array()? != Some(u64::from(size.count_ones())) {
            return Err(minicbor::decode::Error::message(BROKEN));
        }
        let subtrees = (0..size.count_ones()).map(|_| d.decode_with(ctx)).collect::<Result<_, _>>()?;
        Ok(Self { size, subtrees })
    }
}

/// The root of the tree without leaves.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The root of a complete subtree over these hashes, whose number is a power of two.
pub(crate) fn complete_root(hashes: &[Hash]) -> Hash {
    match hashes {
        [hash] => *hash,
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            node_hash(&complete_root(left), &complete_root(right))
        }
    }
}

/// The leaves under each hash of an inclusion proof, from the leaf's sibling upwards; none unless `index < size`.
pub(crate) fn inclusion_ranges(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let (mut ranges, mut at) = (Vec::new(), 0..size);
    while at.end - at.start > 1 {
        let middle = at.start + split(at.end - at.start);
        if index < middle {
            ranges.push(middle..at.end);
            at.end = middle;
        } else {
            ranges.push(at.start..middle);
            at.start = middle;
        }
    }
    ranges.reverse();
    Some(ranges)
}

/// The leaves under each hash of a consistency proof; none when `old > new`.
pub(crate) fn consistency_ranges(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    let mut ranges = prefix_ranges(old, new)?;
    // Where the old tree is complete, its root is known to the verifier and not in the proof.
    if old == new || ranges.first() == Some(&(0..old)) {
        ranges.remove(0);
    }
    Some(ranges)
}

/// The leaves under each hash that [`prefix_root`] needs; none when `old > new`.
pub(crate) fn prefix_ranges(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    if old > new {
        return None;
    }
    if old == 0 {
        return Some(Vec::new());
    }
    let (mut ranges, mut at) = (Vec::new(), 0..new);
    while at.end != old {
        let middle = at.start + split(at.end - at.start);
        if old <= middle {
            ranges.push(middle..at.end);
            at.end = middle;
        } else {
            ranges.push(at.start..middle);
            at.start = middle;
        }
    }
    ranges.push(at);
    ranges.reverse();
    Some(ranges)
}

/// Hash over leaves `start..end`, where `start` is a multiple of the least power of two not below the length, as it is
/// for every range the definitions of RFC 9162 ask for. `node(level, index)` is the hash of the complete subtree over
/// leaves `index << level` to `(index + 1) << level`.
pub(crate) fn range_hash<E>(range: Range<u64>, node: &mut impl FnMut(u32, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    let count = range.end - range.start;
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return node(level, range.start >> level);
    }
    let middle = range.start + split(count);
    Ok(node_hash(&range_hash(range.start..middle, node)?, &range_hash(middle..range.end, node)?))
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

/// Whether `proof` shows that `leaf` is number `index` of the tree with `size` leaves and this root (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size || proof.len() > PROOF_HASHES {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree with root `old_root` is the beginning of the one with `new_root`
/// (RFC 9162 §2.1.4.2).
pub fn verify_consistency(old: u64, old_root: &Hash, new: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    if old > new || proof.len() > PROOF_HASHES {
        return false;
    }
    if old == new || old == 0 {
        let old_is_true = if old == new { old_root == new_root } else { *old_root == empty_root() };
        return proof.is_empty() && old_is_true;
    }
    // A complete old tree is a subtree of the new one, so that the proof need not name its root.
    let complete = old.is_power_of_two();
    let (first, rest) = match proof.split_first() {
        _ if complete => (old_root, proof),
        Some((first, rest)) => (first, rest),
        None => return false,
    };
    both_roots(old, new, first, rest) == Some((*old_root, *new_root))
}

/// The root that the tree with `new_root` had when it had its first `old` leaves, as `hashes` show; none when they do
/// not belong to that tree. They are those of a consistency proof, and before them the old root where the old tree is
/// complete, so that they show it also to somebody who was told another one: this is what proves that two
/// checkpoints contradict each other. `old` is to be between 1 and `new`.
pub fn prefix_root(old: u64, new: u64, new_root: &Hash, hashes: &[Hash]) -> Option<Hash> {
    let (first, rest) = hashes.split_first()?;
    if old == 0 || old > new || rest.len() > PROOF_HASHES {
        return None;
    }
    if old == new {
        return (rest.is_empty() && first == new_root).then_some(*first);
    }
    both_roots(old, new, first, rest).filter(|(_, root)| root == new_root).map(|(root, _)| root)
}

/// Whether `proof` shows that `hash` is over leaves `range` of the tree with `size` leaves and this root. The range
/// begins at a multiple of 256 and has 256 leaves, or fewer where it ends with the tree: the subtrees whose
/// consistency `tlog-mirror` asks for.
///
/// Such a subtree is a node of the tree, so that the subtree consistency proof of draft-ietf-plants-merkle-tree-certs
/// is the inclusion proof of that node among the nodes of its level.
pub fn verify_bundle(hash: &Hash, range: Range<u64>, size: u64, proof: &[Hash], root: &Hash) -> bool {
    is_bundle(&range, size) && verify_inclusion(hash, range.start >> 8, ((size - 1) >> 8) + 1, proof, root)
}

/// Whether the range is one that [`verify_bundle`] takes.
pub(crate) fn is_bundle(range: &Range<u64>, size: u64) -> bool {
    let whole = range.start.checked_add(256);
    range.start.is_multiple_of(256)
        && range.start < range.end
        && range.end <= size
        && (Some(range.end) == whole || range.end == size && whole.is_none_or(|whole| range.end < whole))
}

/// Old and new root that follow from a consistency proof whose first hash is `first`, for `0 < old < new`.
fn both_roots(old: u64, new: u64, first: &Hash, rest: &[Hash]) -> Option<(Hash, Hash)> {
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for hash in rest {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(hash, &old_hash);
            new_hash = node_hash(hash, &new_hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some((old_hash, new_hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(size: u64) -> (Frontier, Tree) {
        let (mut edge, mut tree) = (Frontier::default(), Tree::default());
        for n in 0..size {
            edge.push(leaf_hash(&n.to_be_bytes()));
            tree.push(leaf_hash(&n.to_be_bytes()));
        }
        (edge, tree)
    }

    #[test]
    fn the_edge_has_the_root_of_the_whole_tree_and_one_form() {
        let (mut edge, mut tree) = grown(0);
        for n in 0u64..600 {
            assert_eq!((edge.root(), edge.size()), (tree.root(), tree.size()));
            let bytes = edge.encode();
            assert_eq!(Frontier::decode(&bytes), Ok(edge.clone()));
            assert!(edge.is_sound() && bytes.len() < 2048);
            assert!(Frontier::decode(&bytes[..bytes.len() - 1]).is_err());
            assert!(Frontier::decode(&[&bytes[..], &[0]].concat()).is_err());
            edge.push(leaf_hash(&n.to_be_bytes()));
            tree.push(leaf_hash(&n.to_be_bytes()));
        }
    }

    #[test]
    fn an_edge_with_a_hash_too_few_or_too_many_is_refused() {
        let mut bytes = grown(5).0.encode();
        assert_eq!(bytes[..3], [0x82, 5, 0x82], "an array of the size and an array of two");
        bytes[1] = 4;
        assert!(Frontier::decode(&bytes).is_err());
        bytes[1] = 7;
        assert!(Frontier::decode(&bytes).is_err());
        assert!(Frontier::decode(&[0x82, 0x1b, 255, 255, 255, 255, 255, 255, 255, 255, 0x98, 64]).is_err());
    }

    #[test]
    fn the_root_a_tree_had_follows_from_its_hashes() {
        let (_, tree) = grown(40);
        for new in 1..=40 {
            for old in 1..=new {
                let hashes = tree.prefix(old, new).unwrap();
                let root = tree.root_at(new).unwrap();
                assert_eq!(prefix_root(old, new, &root, &hashes), tree.root_at(old), "{old} of {new}");
                assert_eq!(prefix_root(old, new, &[0; 32], &hashes), None);
            }
        }
    }

    #[test]
    fn a_bundle_is_in_its_place_and_in_no_other() {
        let (_, tree) = grown(1000);
        for (start, end, size) in [(0, 256, 256), (0, 256, 1000), (512, 768, 900), (768, 1000, 1000), (0, 100, 100)] {
            let ranges = inclusion_ranges(start >> 8, ((size - 1) >> 8) + 1).unwrap();
            let in_leaves = |r: Range<u64>| tree.range(r.start << 8, (r.end << 8).min(size));
            let proof: Vec<Hash> = ranges.into_iter().map(in_leaves).collect();
            let (hash, root) = (tree.range(start, end), tree.root_at(size).unwrap());
            assert!(verify_bundle(&hash, start..end, size, &proof, &root));
            assert!(!verify_bundle(&[0; 32], start..end, size, &proof, &root));
            assert!(!verify_bundle(&hash, start..end - 1, size, &proof, &root));
            assert!(!verify_bundle(&hash, start + 256..end + 256, size, &proof, &root));
        }
    }
}
