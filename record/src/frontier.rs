//! The right edge of a Merkle tree: all that appending and the root need. A million entries take 20 hashes, where the
//! whole tree takes 64 MB; proofs are made from the tiles on the disk.

use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use crate::merkle::{Hash, node_hash};

/// A tree that only grows, of which only the roots of its largest complete subtrees are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Frontier {
    #[n(0)]
    size: u64,
    /// From the largest subtree to the smallest: one for each bit that is set in `size`.
    #[n(1)]
    subtrees: Vec<SubtreeRoot>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
struct SubtreeRoot(#[cbor(n(0), with = "minicbor::bytes")] Hash);

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

    /// The root of the tree (RFC 9162 §2.1.1).
    pub fn root(&self) -> Hash {
        let mut subtrees = self.subtrees.iter().rev();
        let Some(smallest) = subtrees.next() else { return Sha256::digest([]).into() };
        subtrees.fold(smallest.0, |right, left| node_hash(&left.0, &right))
    }

    /// Whether it has the form of a frontier, as one that was read from outside may not.
    pub fn is_sound(&self) -> bool {
        self.subtrees.len() == self.size.count_ones() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{Tree, leaf_hash};

    #[test]
    fn the_edge_has_the_root_of_the_whole_tree() {
        let (mut edge, mut tree) = (Frontier::default(), Tree::default());
        for n in 0u32..300 {
            assert_eq!((edge.root(), edge.size()), (tree.root(), tree.size()));
            edge.push(leaf_hash(&n.to_be_bytes()));
            tree.push(leaf_hash(&n.to_be_bytes()));
            assert!(edge.is_sound());
        }
    }
}
