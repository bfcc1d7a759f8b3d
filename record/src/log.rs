//! A site's entries in order, verified as they come. The bytes themselves stay with the caller.

use gemba_twin::peer::PeerKey;

use crate::body::Body;
use crate::entry::{Entry, SignedEntry, UnverifiedEntry};
use crate::limits;
use crate::merkle::Frontier;
use crate::refusal::Refusal;
use crate::signature::Verifier;
use crate::site::{Placed, Site};

/// A log that folds what is appended to it.
#[derive(Debug, Clone, Default)]
pub struct Log {
    site: Option<Site>,
    verifier: Verifier,
}

/// An entry whose signature has been looked at, as far as that goes without those before it.
#[derive(Debug)]
pub struct Preverified(Stage);

#[derive(Debug)]
enum Stage {
    Refused(Refusal),
    Read(UnverifiedEntry),
    Signed(SignedEntry),
}

/// An entry that was read, with the key that must have signed it, as far as that can be told without those before it.
#[derive(Debug)]
pub struct Claimed(Claim);

#[derive(Debug)]
enum Claim {
    Refused(Refusal),
    Read(UnverifiedEntry),
    By(UnverifiedEntry, PeerKey),
}

impl Claimed {
    /// Looks at the signatures: the part that takes longest, and needs no log. In their order.
    pub fn verify_all(claimed: Vec<Self>, verifier: &Verifier) -> Vec<Preverified> {
        let mut stages = Vec::with_capacity(claimed.len());
        let mut signed = Vec::with_capacity(claimed.len());
        for claim in claimed {
            stages.push(match claim.0 {
                Claim::Refused(why) => Some(Stage::Refused(why)),
                Claim::Read(entry) => Some(Stage::Read(entry)),
                Claim::By(entry, signer) => {
                    signed.push((entry, signer));
                    None
                }
            });
        }
        let mut verified = UnverifiedEntry::verify_all(signed, verifier).into_iter();
        let mut next = || match verified.next() {
            Some(Ok(signed)) => Stage::Signed(signed),
            Some(Err(why)) => Stage::Refused(why),
            None => unreachable!("as many are verified as were put aside for it"),
        };
        stages.into_iter().map(|stage| Preverified(stage.unwrap_or_else(&mut next))).collect()
    }
}

/// A stored log that does not hold together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {index} of the record is damaged or forged: {why}")]
pub struct Damaged {
    /// Where.
    pub index: u64,
    /// What was wrong with it.
    pub why: Refusal,
}

impl Preverified {
    /// The entry, as far as it could be read.
    pub fn entry(&self) -> Option<&Entry> {
        match &self.0 {
            Stage::Refused(_) => None,
            Stage::Read(entry) => Some(entry.entry()),
            Stage::Signed(entry) => Some(entry.entry()),
        }
    }

    /// Refuses it, for a reason that the log itself cannot know.
    pub fn refuse(&mut self, why: Refusal) {
        self.0 = Stage::Refused(why);
    }
}

impl Log {
    /// A log without entries; the first to be appended founds the site.
    pub fn new() -> Self {
        Self::default()
    }

    /// A log that goes on from a snapshot's state.
    pub fn resume(site: Site) -> Self {
        Self { site: Some(site), verifier: Verifier::default() }
    }

    /// A log from stored entries, every one verified anew.
    pub fn replay(entries: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, Damaged> {
        let mut log = Self::new();
        let mut entries = entries.into_iter();
        loop {
            let batch: Vec<Vec<u8>> = entries.by_ref().take(limits::REPLAY_BATCH).collect();
            if batch.is_empty() {
                return Ok(log);
            }
            for entry in log.preverify_all(batch) {
                let index = log.entries();
                log.append_preverified(entry).and_then(Placed::must_be_new).map_err(|why| Damaged { index, why })?;
            }
        }
    }

    /// The next entry of a stored log, which must be new.
    pub fn replay_next(&mut self, bytes: Vec<u8>) -> Result<(), Damaged> {
        let index = self.entries();
        self.append(bytes).and_then(Placed::must_be_new).map_err(|why| Damaged { index, why })
    }

    /// As [`Log::replay_next`], of an entry below a checkpoint that was signed after it had been verified: all is checked
    /// again but the signature. That the bytes are the right ones the caller must find by the checkpoint's root.
    pub fn replay_next_under_checkpoint(&mut self, bytes: Vec<u8>) -> Result<(), Damaged> {
        let index = self.entries();
        let placed = UnverifiedEntry::read(bytes).and_then(|entry| {
            let signer = self.signer_of(&entry)?;
            self.append_signed(entry.already_verified(&signer))
        });
        placed.and_then(Placed::must_be_new).map_err(|why| Damaged { index, why })
    }

    /// Verifies the bytes and takes them as the next entry, or says where the very same entry stands already.
    pub fn append(&mut self, bytes: Vec<u8>) -> Result<Placed, Refusal> {
        let entry = self.preverify(bytes);
        self.append_preverified(entry)
    }

    /// The part of [`Log::append`] that takes long and changes nothing, so that several threads can do it for a batch.
    pub fn preverify(&self, bytes: Vec<u8>) -> Preverified {
        self.preverify_all(vec![bytes]).remove(0)
    }

    /// As [`Log::preverify`] of each, in their order; quicker than one by one.
    pub fn preverify_all(&self, batch: Vec<Vec<u8>>) -> Vec<Preverified> {
        let read = batch.into_iter().map(UnverifiedEntry::read).collect();
        Claimed::verify_all(self.claim_all(read), &self.verifier)
    }

    /// The part of [`Log::preverify_all`] that needs the log, and is quick: which key must have signed each of these. It
    /// goes on from [`UnverifiedEntry::read`], and [`Claimed::verify_all`] from it.
    pub fn claim_all(&self, read: Vec<Result<UnverifiedEntry, Refusal>>) -> Vec<Claimed> {
        let claim = |read: Result<UnverifiedEntry, Refusal>| match read {
            Err(why) => Claim::Refused(why),
            Ok(entry) => match (self.held(&entry), self.signer_of(&entry)) {
                (Err(why), _) => Claim::Refused(why),
                // An entry before it in the batch may bring the key.
                (Ok(Some(_)), _) | (_, Err(_)) => Claim::Read(entry),
                (Ok(None), Ok(signer)) => Claim::By(entry, signer),
            },
        };
        read.into_iter().map(|read| Claimed(claim(read))).collect()
    }

    /// What signatures are verified by, quickly for keys that this log has met often.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The rest of [`Log::append`], in the order of the log.
    pub fn append_preverified(&mut self, entry: Preverified) -> Result<Placed, Refusal> {
        let signed = match entry.0 {
            Stage::Refused(why) => return Err(why),
            Stage::Signed(signed) => signed,
            Stage::Read(entry) => {
                if let Some(held) = self.held(&entry)? {
                    return Ok(held);
                }
                let signer = self.signer_of(&entry)?;
                entry.verify(&signer, &self.verifier)?
            }
        };
        self.verifier.expect(&signed.signer());
        self.append_signed(signed)
    }

    /// As [`Log::append`], of an entry whose signature has been verified.
    pub fn append_signed(&mut self, entry: SignedEntry) -> Result<Placed, Refusal> {
        match &mut self.site {
            Some(site) => site.apply(entry),
            None => {
                self.site = Some(Site::found(entry)?);
                Ok(Placed::New(0))
            }
        }
    }

    fn held(&self, entry: &UnverifiedEntry) -> Result<Option<Placed>, Refusal> {
        let Some(site) = &self.site else { return Ok(None) };
        Ok(site.held(entry.entry().id, entry.bytes())?.map(Placed::Held))
    }

    fn signer_of(&self, entry: &UnverifiedEntry) -> Result<PeerKey, Refusal> {
        match &self.site {
            Some(site) => site.signer_of(entry),
            // Before the first entry nobody is known, and that one its author signs.
            None if matches!(entry.entry().body, Body::Found { .. }) => Ok(entry.entry().author),
            None => Err(Refusal::NotFounded),
        }
    }

    /// The site; none before the first entry.
    pub fn site(&self) -> Option<&Site> {
        self.site.as_ref()
    }

    /// The site's snapshot and digest, to commit to; none before the first entry.
    pub fn snapshot_and_digest(&mut self) -> Option<(Vec<u8>, [u8; 32])> {
        self.site.as_mut().map(Site::snapshot_and_digest)
    }

    /// How many entries there are.
    pub fn entries(&self) -> u64 {
        self.site.as_ref().map_or(0, Site::entries)
    }

    /// Root of the Merkle tree over the entries' bytes.
    pub fn root(&self) -> crate::merkle::Hash {
        self.site.as_ref().map_or_else(|| Frontier::default().root(), |site| site.tree().root())
    }
}
