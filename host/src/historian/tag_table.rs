//! Which path and device each tag number stands for. History belongs to the path; a tag that was renamed keeps all its
//! paths, so that its old history is found under its number.

use std::collections::HashMap;
use std::sync::Arc;

use gemba_twin::path::{TagId, TagPath};
use gemba_twin::peer::PeerKey;

/// A path and whose samples they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) path: Arc<str>,
    pub(super) device: PeerKey,
}

/// All tags declared so far.
#[derive(Debug, Default)]
pub(super) struct TagTable {
    /// By tag number.
    owners: Vec<Option<Owner>>,
    by_path: HashMap<Arc<str>, TagId>,
}

impl TagTable {
    /// Tells or changes what a tag stands for; whether that is news. The caller has checked the number against
    /// [`gemba_twin::limits::TAGS`].
    pub(super) fn declare(&mut self, tag: TagId, path: &TagPath, device: PeerKey) -> bool {
        let place = tag.0 as usize;
        if self.owners.len() <= place {
            self.owners.resize(place + 1, None);
        }
        let owner = Owner { path: path.as_str().into(), device };
        if self.owners[place].as_ref() == Some(&owner) {
            return false;
        }
        self.by_path.insert(owner.path.clone(), tag);
        self.owners[place] = Some(owner);
        true
    }

    /// What a tag stands for now.
    pub(super) fn owner(&self, tag: TagId) -> Option<&Owner> {
        self.owners.get(tag.0 as usize)?.as_ref()
    }

    /// All paths that were ever declared, with their tag.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&Arc<str>, TagId)> {
        self.by_path.iter().map(|(path, tag)| (path, *tag))
    }
}
