//! A blob's hash as a tree over its groups of 64 KiB, so that each group can be verified as it comes: the values of all
//! groups, which together give the hash of the whole (BLAKE3's specification, section 2.4; Bao is built on the same).

use blake3::Hasher;
use blake3::hazmat::{ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};

use crate::blob_hash::BlobHash;
use crate::limits::BLOB_GROUP_BYTES;

/// Bytes of the value of a group.
pub(crate) const VALUE_BYTES: usize = 32;

/// The values of all groups of a blob; of one that is a single group none, since its hash says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobTree {
    size: u64,
    groups: Vec<ChainingValue>,
    root: BlobHash,
}

impl BlobTree {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut builder = BlobTreeBuilder::default();
        builder.update(bytes);
        builder.finish()
    }

    /// How many values a blob of this size has.
    pub(crate) fn values_of(size: u64) -> usize {
        if size <= BLOB_GROUP_BYTES { 0 } else { size.div_ceil(BLOB_GROUP_BYTES) as usize }
    }

    /// Of the values that somebody says are those of a blob of this size and hash; none if they are not.
    pub(crate) fn proven(hash: BlobHash, size: u64, groups: Vec<ChainingValue>) -> Option<Self> {
        let is_whole = groups.len() == Self::values_of(size);
        let is_proven = is_whole && (groups.is_empty() || merge(&groups, size) == hash);
        is_proven.then_some(Self { size, groups, root: hash })
    }

    /// The hash of the whole.
    pub fn hash(&self) -> BlobHash {
        self.root
    }

    /// Bytes of the whole.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The values, one after the other.
    pub(crate) fn values(&self) -> Vec<u8> {
        self.groups.concat()
    }

    /// Whether these bytes are the group that begins at `offset`.
    pub(crate) fn proves(&self, offset: u64, bytes: &[u8]) -> bool {
        let length = BLOB_GROUP_BYTES.min(self.size.saturating_sub(offset));
        if !offset.is_multiple_of(BLOB_GROUP_BYTES) || bytes.len() as u64 != length {
            return false;
        }
        if self.groups.is_empty() {
            return BlobHash::of(bytes) == self.root;
        }
        let value = self.groups.get((offset / BLOB_GROUP_BYTES) as usize);
        value.is_some_and(|value| Hasher::new().set_input_offset(offset).update(bytes).finalize_non_root() == *value)
    }
}

/// Computes the tree of a blob that comes in parts.
#[derive(Debug, Default)]
pub struct BlobTreeBuilder {
    size: u64,
    groups: Vec<ChainingValue>,
    /// Of the group that has begun.
    hasher: Hasher,
}

impl BlobTreeBuilder {
    /// The next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let within = self.size % BLOB_GROUP_BYTES;
            if within == 0 && self.size > 0 {
                // Only now is it known that the group before is not the whole.
                self.groups.push(self.hasher.finalize_non_root());
                self.hasher = Hasher::new();
                self.hasher.set_input_offset(self.size);
            }
            let (now, later) = bytes.split_at(bytes.len().min((BLOB_GROUP_BYTES - within) as usize));
            self.hasher.update(now);
            self.size += now.len() as u64;
            bytes = later;
        }
    }

    /// The tree of all bytes.
    pub fn finish(mut self) -> BlobTree {
        if self.groups.is_empty() {
            let root = BlobHash(*self.hasher.finalize().as_bytes());
            return BlobTree { size: self.size, groups: Vec::new(), root };
        }
        self.groups.push(self.hasher.finalize_non_root());
        let root = merge(&self.groups, self.size);
        BlobTree { size: self.size, groups: self.groups, root }
    }
}

/// The hash of a blob of at least two groups, from their values.
fn merge(groups: &[ChainingValue], size: u64) -> BlobHash {
    let left = left_subtree_len(size);
    let (of_left, of_right) = groups.split_at((left / BLOB_GROUP_BYTES) as usize);
    let root = merge_subtrees_root(&subtree(of_left, left), &subtree(of_right, size - left), Mode::Hash);
    BlobHash(*root.as_bytes())
}

/// The value of a subtree of so many bytes; as deep as a blob has doublings.
fn subtree(groups: &[ChainingValue], bytes: u64) -> ChainingValue {
    if let [group] = groups {
        return *group;
    }
    let left = left_subtree_len(bytes);
    let (of_left, of_right) = groups.split_at((left / BLOB_GROUP_BYTES) as usize);
    merge_subtrees_non_root(&subtree(of_left, left), &subtree(of_right, bytes - left), Mode::Hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: usize = BLOB_GROUP_BYTES as usize;

    fn bytes(count: usize) -> Vec<u8> {
        (0..count).map(|n| (n / 251) as u8 ^ n as u8).collect()
    }

    #[test]
    fn the_tree_has_the_hash_that_everyone_computes_however_it_came_and_proves_every_group() {
        for size in [0, 1, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP, 3 * GROUP + 7, 8 * GROUP, 11 * GROUP + 1024] {
            let bytes = bytes(size);
            let mut builder = BlobTreeBuilder::default();
            bytes.chunks(50_001).for_each(|part| builder.update(part));
            let tree = builder.finish();
            assert_eq!((tree.hash(), tree.size()), (BlobHash::of(&bytes), size as u64));
            let groups: Vec<ChainingValue> = tree.values().as_chunks().0.to_vec();
            assert_eq!(BlobTree::proven(tree.hash(), size as u64, groups), Some(tree.clone()));
            for (n, group) in bytes.chunks(GROUP).enumerate() {
                let mut other = group.to_vec();
                other[group.len() / 2] ^= 1;
                assert!(tree.proves((n * GROUP) as u64, group) && !tree.proves((n * GROUP) as u64, &other));
            }
        }
    }

    #[test]
    fn values_that_are_another_blobs_prove_nothing() {
        let (ours, other) = (BlobTree::of(&bytes(3 * GROUP)), BlobTree::of(&bytes(3 * GROUP + 1)));
        assert_eq!(BlobTree::proven(ours.hash(), ours.size, other.groups.clone()), None);
        assert_eq!(BlobTree::proven(ours.hash(), other.size, ours.groups.clone()), None);
        assert_eq!(BlobTree::proven(ours.hash(), ours.size, ours.groups[1..].to_vec()), None);
    }
}
