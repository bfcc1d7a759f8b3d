//! A site's entries in order: the fold and the Merkle tree, kept in step. The bytes themselves stay with the caller.

use crate::entry::SignedEntry;
use crate::merkle::{Tree, leaf_hash};
use crate::refusal::Refusal;
use crate::site::{Placed, Site};

/// A log that folds what is appended to it.
#[derive(Debug, Clone, Default)]
pub struct Log {
    site: Option<Site>,
    tree: Tree,
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

impl Log {
    /// A log without entries; the first to be appended founds the site.
    pub fn new() -> Self {
        Self::default()
    }

    /// A log from stored entries, every one verified anew.
    pub fn replay(entries: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, Damaged> {
        let mut log = Self::new();
        for bytes in entries {
            let index = log.entries();
            match log.append(bytes) {
                Ok(Placed::New(_)) => {}
                Ok(Placed::Held(_)) => return Err(Damaged { index, why: Refusal::IdTaken }),
                Err(why) => return Err(Damaged { index, why }),
            }
        }
        Ok(log)
    }

    /// Verifies the bytes and takes them as the next entry, or says where the very same entry stands already.
    pub fn append(&mut self, bytes: Vec<u8>) -> Result<Placed, Refusal> {
        self.append_signed(SignedEntry::decode(bytes)?)
    }

    /// As [`Log::append`], of an entry whose signature has been verified.
    pub fn append_signed(&mut self, entry: SignedEntry) -> Result<Placed, Refusal> {
        let leaf = leaf_hash(entry.bytes());
        let placed = match &mut self.site {
            Some(site) => site.apply(entry)?,
            None => {
                self.site = Some(Site::found(entry)?);
                Placed::New(0)
            }
        };
        if let Placed::New(index) = placed {
            self.tree.push(leaf);
            assert_eq!(self.tree.size(), index + 1, "the tree has one leaf an entry");
        }
        Ok(placed)
    }

    /// The site; none before the first entry.
    pub fn site(&self) -> Option<&Site> {
        self.site.as_ref()
    }

    /// How many entries there are.
    pub fn entries(&self) -> u64 {
        self.tree.size()
    }

    /// The Merkle tree over the entries' bytes.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }
}
