//! When an entry is *final*: enough witnesses have seen the same log, and enough mirrors hold it.
//!
//! A [`Policy`] names the log's key, the witnesses and the mirrors, and how many of each are needed. They have to have
//! cosigned **one** checkpoint: cosignatures of two checkpoints add up only if the two are consistent, and a reader of
//! a single file cannot know that. An entry is final when such a checkpoint has more entries than its index.
//!
//! A key counts once, under however many names, and either as witness or as mirror: an Ed25519 cosignature does not
//! cover the name, so that one given as a witness could be passed off as a mirror's.

use std::collections::BTreeSet;

use gemba_twin::peer::PeerKey;

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::cosignature;
use crate::limits;
use crate::note::{NoteError, SignatureKind, VerifierKey};

/// Who has to have cosigned what is final. Checked when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    log: VerifierKey,
    witnesses: Members,
    mirrors: Members,
}

/// Cosigners of one kind, and how many of them are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// Their keys.
    pub keys: Vec<VerifierKey>,
    /// How many different ones.
    pub needed: usize,
}

/// A policy that could never be met, or be met by fewer than it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// More than there are.
    #[error("{needed} {what} are needed but only {keys} different keys are named: name more, or need fewer")]
    TooFew {
        /// Witnesses or mirrors.
        what: &'static str,
        /// How many are needed.
        needed: usize,
        /// How many different keys there are.
        keys: usize,
    },
    /// One key in two parts.
    #[error("the key of {0} has two parts in the policy: give log, witnesses and mirrors keys of their own")]
    TwoParts(String),
    /// A log's key among the cosigners, or the other way round.
    #[error("the key of {0} is of the wrong kind: logs sign with type 1, witnesses and mirrors with type 4")]
    Kind(String),
    /// A key or name that no signature can be verified with.
    #[error("a key of the policy is of no use: {0}")]
    Key(NoteError),
    /// More than is worth it.
    #[error("a policy names at most {} witnesses and as many mirrors", limits::POLICY_MEMBERS)]
    TooMany,
}

/// A checkpoint that does not speak for its log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// Not a checkpoint of this log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A line that claims a member's key and is wrong, for which the specification would refuse the whole note.
    #[error("the cosignature of {0} is wrong: the checkpoint was altered on its way, fetch it again")]
    Forged(String),
}

/// Who has cosigned one checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Entries it covers.
    pub size: u64,
    /// The witnesses that cosigned it, with the time in seconds since 1970. Each key once.
    pub witnesses: Vec<(VerifierKey, u64)>,
    /// The mirrors, likewise.
    pub mirrors: Vec<(VerifierKey, u64)>,
    /// Whether that is enough.
    pub is_final: bool,
}

impl Policy {
    /// A policy that can be met. The same key named twice is one member.
    pub fn new(log: VerifierKey, witnesses: Members, mirrors: Members) -> Result<Self, PolicyError> {
        if log.kind() != SignatureKind::Log {
            return Err(PolicyError::Kind(log.name().to_owned()));
        }
        let mut taken = BTreeSet::from([log.key()]);
        for (what, members) in [("witnesses", &witnesses), ("mirrors", &mirrors)] {
            let own = members.check(what, &taken)?;
            taken.extend(own);
        }
        Ok(Self { log, witnesses, mirrors })
    }

    /// The key of the log it is for.
    pub fn log(&self) -> &VerifierKey {
        &self.log
    }

    /// Those who watch the log.
    pub fn witnesses(&self) -> &Members {
        &self.witnesses
    }

    /// Those who hold it.
    pub fn mirrors(&self) -> &Members {
        &self.mirrors
    }

    /// Verifies the log's signature and all cosignatures by members. Lines by others are passed over.
    pub fn judge(&self, checkpoint: &SignedCheckpoint) -> Result<Standing, QuorumError> {
        checkpoint.verify(&self.log)?;
        let witnesses = self.witnesses.cosigned(checkpoint)?;
        let mirrors = self.mirrors.cosigned(checkpoint)?;
        let is_final = witnesses.len() >= self.witnesses.needed && mirrors.len() >= self.mirrors.needed;
        Ok(Standing { size: checkpoint.checkpoint().size, witnesses, mirrors, is_final })
    }
}

impl Standing {
    /// Whether the entry with this index is final.
    pub fn covers(&self, index: u64) -> bool {
        self.is_final && index < self.size
    }
}

impl Members {
    fn check(&self, what: &'static str, taken: &BTreeSet<PeerKey>) -> Result<BTreeSet<PeerKey>, PolicyError> {
        if self.keys.len() > limits::POLICY_MEMBERS {
            return Err(PolicyError::TooMany);
        }
        let mut own = BTreeSet::new();
        for member in &self.keys {
            if member.kind() != SignatureKind::Cosignature {
                return Err(PolicyError::Kind(member.name().to_owned()));
            }
            if taken.contains(&member.key()) {
                return Err(PolicyError::TwoParts(member.name().to_owned()));
            }
            own.insert(member.key());
        }
        if own.len() < self.needed {
            return Err(PolicyError::TooFew { what, needed: self.needed, keys: own.len() });
        }
        Ok(own)
    }

    /// The members that cosigned, each key once: with its newest line where it has several.
    fn cosigned(&self, checkpoint: &SignedCheckpoint) -> Result<Vec<(VerifierKey, u64)>, QuorumError> {
        let mut found: Vec<(VerifierKey, u64)> = Vec::new();
        for line in checkpoint.note().signatures() {
            let Some(member) = self.keys.iter().find(|member| member.claims(line)) else { continue };
            let time_secs = cosignature::verify(member, checkpoint, line)
                .map_err(|_| QuorumError::Forged(member.name().to_owned()))?;
            match found.iter_mut().find(|(other, _)| other.key() == member.key()) {
                Some((_, newest)) => *newest = time_secs.max(*newest),
                None => found.push((member.clone(), time_secs)),
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::cosignature::Cosigner;

    fn cosigner(name: &str, seed: u8) -> Cosigner {
        Cosigner::new(name, SigningKey::from_bytes(&[seed; 32])).unwrap()
    }

    fn members(needed: usize, cosigners: &[&Cosigner]) -> Members {
        Members { keys: cosigners.iter().map(|c| c.verifier().clone()).collect(), needed }
    }

    fn log() -> VerifierKey {
        let key = PeerKey(SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes());
        VerifierKey::new("gemba/site/1", SignatureKind::Log, key).unwrap()
    }

    fn cosigned(by: &[&Cosigner]) -> SignedCheckpoint {
        let checkpoint = Checkpoint { origin: "gemba/site/1".into(), size: 10, root: [3; 32] };
        let mut checkpoint = SignedCheckpoint::read(&checkpoint.sign(&SigningKey::from_bytes(&[1; 32]))).unwrap();
        for cosigner in by {
            checkpoint.add(cosigner.cosign(&checkpoint, 100));
        }
        checkpoint
    }

    #[test]
    fn final_is_what_enough_different_members_cosigned() {
        let (a, b, c) = (cosigner("a", 2), cosigner("b", 3), cosigner("c", 4));
        let mirror = cosigner("m", 5);
        let policy = Policy::new(log(), members(2, &[&a, &b, &c]), members(1, &[&mirror])).unwrap();
        for (by, is_final) in [
            (&[&a, &b, &mirror][..], true),
            (&[&c, &b, &mirror, &a], true),
            (&[&a, &b, &c], false),
            (&[&a, &mirror], false),
            (&[&a, &a, &mirror], false),
            (&[], false),
        ] {
            let standing = policy.judge(&cosigned(by)).unwrap();
            assert_eq!(standing.is_final, is_final);
            assert_eq!((standing.covers(9), standing.covers(10)), (is_final, false));
        }
    }

    #[test]
    fn one_key_under_two_names_counts_once() {
        let (a, also_a, b) = (cosigner("a", 2), cosigner("also-a", 2), cosigner("b", 3));
        let policy = Policy::new(log(), members(2, &[&a, &also_a, &b]), Members::default()).unwrap();
        assert!(!policy.judge(&cosigned(&[&a, &also_a])).unwrap().is_final);
        assert!(policy.judge(&cosigned(&[&a, &b])).unwrap().is_final);
        let too_few = Policy::new(log(), members(2, &[&a, &also_a]), Members::default());
        assert_eq!(too_few, Err(PolicyError::TooFew { what: "witnesses", needed: 2, keys: 1 }));
    }

    #[test]
    fn no_key_has_two_parts_in_a_policy() {
        let (a, as_mirror, as_log) = (cosigner("a", 2), cosigner("m", 2), cosigner("gemba/site/1", 1));
        let policy = Policy::new(log(), members(1, &[&a]), members(1, &[&as_mirror]));
        assert_eq!(policy, Err(PolicyError::TwoParts("m".into())));
        assert!(Policy::new(log(), members(1, &[&as_log]), Members::default()).is_err());
        let of_the_wrong_kind = Members { keys: vec![log()], needed: 1 };
        assert!(Policy::new(log(), of_the_wrong_kind, Members::default()).is_err());
        assert!(Policy::new(a.verifier().clone(), Members::default(), Members::default()).is_err());
    }

    #[test]
    fn a_wrong_cosignature_of_a_member_condemns_the_note_and_a_strangers_is_passed_over() {
        let (a, stranger) = (cosigner("a", 2), cosigner("z", 9));
        let policy = Policy::new(log(), members(1, &[&a]), Members::default()).unwrap();
        let mut note = cosigned(&[&stranger, &a]);
        assert!(policy.judge(&note).unwrap().is_final);
        let mut forged = a.cosign(&note, 100);
        forged.signature[20] ^= 1;
        note.add(forged);
        assert_eq!(policy.judge(&note), Err(QuorumError::Forged("a".into())));
    }
}
