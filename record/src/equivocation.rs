//! Whether two checkpoints prove that a log told two stories.
//!
//! Two files suffice where both checkpoints have one size: the log signed two roots for it. Where the sizes differ it
//! takes hashes of the larger log too, which anyone gets from its tiles ([`crate::tile_tree::TileTree::prefix`]): they
//! show which root the smaller one would have to have. Whoever reads them needs to trust nobody: the log's own
//! signatures speak against it.

use std::fmt;

use crate::checkpoint::SignedCheckpoint;
use crate::merkle::{Hash, empty_root, prefix_root, verify_consistency};
use crate::note::VerifierKey;

/// What two checkpoints say about the log that signed them. Its text form gives the reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They prove that the log signed two histories.
    Equivocation(Reason),
    /// One is the beginning of the other, or the very same.
    Consistent,
    /// Neither proved nor disproved.
    Undecided(Undecided),
}

/// How the log contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Two roots for one size.
    TwoRoots {
        /// That size.
        size: u64,
    },
    /// The larger log does not begin with the smaller one.
    OtherBeginning {
        /// Entries of the smaller one.
        smaller: u64,
        /// Entries of the larger one.
        larger: u64,
        /// Root of the first `smaller` entries of the larger one.
        true_root: Hash,
    },
}

/// What is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undecided {
    /// One of them is not signed by this log.
    NotTheLogs(String),
    /// The sizes differ and nothing connects them.
    NoProof {
        /// Entries of the smaller one.
        smaller: u64,
        /// Entries of the larger one.
        larger: u64,
    },
    /// The hashes belong to neither, so that they say nothing.
    BadProof,
}

/// Compares two checkpoints that both claim to be by this log, in any order. `hashes` connect them where their sizes
/// differ: a consistency proof, or the hashes of [`prefix_root`], without which a smaller log of a power of two
/// entries cannot be shown to be another one.
///
/// A consistency proof that does not hold proves nothing by itself: it may be damaged. It does when it leads to the
/// root of the larger checkpoint, which nobody but the log could have arranged.
pub fn compare(a: &SignedCheckpoint, b: &SignedCheckpoint, log: &VerifierKey, hashes: Option<&[Hash]>) -> Verdict {
    for (which, checkpoint) in [("first", a), ("second", b)] {
        if let Err(error) = checkpoint.verify(log) {
            return Verdict::Undecided(Undecided::NotTheLogs(format!("the {which} file proves nothing: {error}")));
        }
    }
    let (mut old, mut new) = (a.checkpoint(), b.checkpoint());
    if old.size > new.size {
        (old, new) = (new, old);
    }
    let (smaller, larger) = (old.size, new.size);
    if smaller == larger {
        return match old.root == new.root {
            true => Verdict::Consistent,
            false => Verdict::Equivocation(Reason::TwoRoots { size: smaller }),
        };
    }
    let other_beginning = |true_root| Verdict::Equivocation(Reason::OtherBeginning { smaller, larger, true_root });
    if smaller == 0 {
        return if old.root == empty_root() { Verdict::Consistent } else { other_beginning(empty_root()) };
    }
    let Some(hashes) = hashes else { return Verdict::Undecided(Undecided::NoProof { smaller, larger }) };
    if verify_consistency(smaller, &old.root, larger, &new.root, hashes) {
        return Verdict::Consistent;
    }
    match prefix_root(smaller, larger, &new.root, hashes) {
        Some(root) if root == old.root => Verdict::Consistent,
        Some(root) => other_beginning(root),
        None => Verdict::Undecided(Undecided::BadProof),
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consistent => f.write_str("consistent: one checkpoint is the beginning of the other"),
            Self::Equivocation(Reason::TwoRoots { size }) => {
                write!(f, "equivocation: the log signed two different roots for {size} entries")
            }
            Self::Equivocation(Reason::OtherBeginning { smaller, larger, .. }) => write!(
                f,
                "equivocation: the log signed {larger} entries that do not begin with the {smaller} it had signed before"
            ),
            Self::Undecided(Undecided::NotTheLogs(why)) => write!(f, "undecided: {why}"),
            Self::Undecided(Undecided::NoProof { smaller, larger }) => write!(
                f,
                "undecided: the sizes differ ({smaller} and {larger}); give the tiles of the larger log, or a proof"
            ),
            Self::Undecided(Undecided::BadProof) => {
                f.write_str("undecided: the proof belongs to another log or is damaged; make it from the tiles again")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use gemba_twin::peer::PeerKey;

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::merkle::{Tree, leaf_hash};
    use crate::note::SignatureKind;

    fn log() -> VerifierKey {
        let key = PeerKey(SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes());
        VerifierKey::new("gemba/site/1", SignatureKind::Log, key).unwrap()
    }

    fn signed(size: u64, root: Hash) -> SignedCheckpoint {
        let checkpoint = Checkpoint { origin: "gemba/site/1".into(), size, root };
        SignedCheckpoint::read(&checkpoint.sign(&SigningKey::from_bytes(&[1; 32]))).unwrap()
    }

    /// A log of 20 entries, of which entry `changed` is another one.
    fn tree(changed: u64) -> Tree {
        let mut tree = Tree::default();
        (0..20u64).for_each(|n| tree.push(leaf_hash(&[n as u8, u8::from(n == changed)])));
        tree
    }

    #[test]
    fn two_roots_for_one_size_prove_equivocation_with_two_files() {
        let verdict = compare(&signed(5, [1; 32]), &signed(5, [2; 32]), &log(), None);
        assert_eq!(verdict, Verdict::Equivocation(Reason::TwoRoots { size: 5 }));
        assert_eq!(compare(&signed(5, [1; 32]), &signed(5, [1; 32]), &log(), None), Verdict::Consistent);
    }

    #[test]
    fn a_larger_log_with_another_beginning_is_found_out_at_every_size() {
        let (told, other) = (tree(99), tree(0));
        let larger = signed(20, told.root());
        for size in 1..20 {
            let hashes = told.prefix(size, 20).unwrap();
            let honest = signed(size, told.root_at(size).unwrap());
            let forked = signed(size, other.root_at(size).unwrap());
            assert_eq!(compare(&honest, &larger, &log(), Some(&hashes)), Verdict::Consistent);
            assert_eq!(compare(&larger, &honest, &log(), told.consistency(size, 20).as_deref()), Verdict::Consistent);
            let expected = Reason::OtherBeginning { smaller: size, larger: 20, true_root: told.root_at(size).unwrap() };
            assert_eq!(compare(&forked, &larger, &log(), Some(&hashes)), Verdict::Equivocation(expected));
            let no_proof = Verdict::Undecided(Undecided::NoProof { smaller: size, larger: 20 });
            assert_eq!(compare(&forked, &larger, &log(), None), no_proof);
            // A forged proof accuses nobody.
            let forged = other.prefix(size, 20).unwrap();
            assert_eq!(compare(&honest, &larger, &log(), Some(&forged)), Verdict::Undecided(Undecided::BadProof));
        }
    }

    #[test]
    fn what_the_log_did_not_sign_accuses_nobody() {
        let checkpoint = Checkpoint { origin: "gemba/site/1".into(), size: 5, root: [9; 32] };
        let forged = SignedCheckpoint::read(&checkpoint.sign(&SigningKey::from_bytes(&[8; 32]))).unwrap();
        let verdict = compare(&signed(5, [1; 32]), &forged, &log(), None);
        assert!(verdict.to_string().contains("second file"), "{verdict}");
        assert!(matches!(verdict, Verdict::Undecided(_)));
    }
}
