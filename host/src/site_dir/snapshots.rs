//! States of the site that its host has committed to, kept so that opening need not fold the record from its beginning.
//!
//! A snapshot is a file named by its BLAKE3 hash, which is the digest that an entry of the record commits to. It is
//! believed only where that entry stands, signed by the host, right behind the entries that the snapshot folds. So one
//! that is damaged, old or forged costs time and nothing else. Only the newest is kept.

use gemba_record::body::Body;
use gemba_record::entry::UnverifiedEntry;
use gemba_record::limits::ENTRIES_PER_STATE;
use gemba_record::log::Log;
use gemba_record::site::{Placed, Site};

use crate::blobs::Blobs;
use crate::problem::SiteDirError;
use crate::store::Store;

/// The folder of snapshots in a site's directory.
pub(crate) const SNAPSHOTS: &str = "snapshots";

/// The snapshots of one site.
#[derive(Debug)]
pub(super) struct Snapshots {
    folder: Blobs,
    /// Entries that the newest one folds; 0 while there is none.
    newest: u64,
    /// Entries between two of them.
    pub(super) interval: u64,
}

/// A state that is to be kept, and may be by another thread: until it is, or if it never is, opening takes longer.
#[derive(Debug)]
#[must_use = "a snapshot is of use when it is kept"]
pub struct PendingSnapshot {
    folder: Blobs,
    snapshot: Vec<u8>,
}

impl PendingSnapshot {
    /// Makes it durable, and then forgets older ones.
    pub fn keep(self) -> Result<(), SiteDirError> {
        let kept = self.folder.put(&self.snapshot)?;
        for other in self.folder.list()?.into_iter().filter(|name| *name != kept) {
            self.folder.remove(&other)?;
        }
        Ok(())
    }
}

impl Snapshots {
    pub(super) fn new(folder: Blobs) -> Self {
        Self { folder, newest: 0, interval: ENTRIES_PER_STATE }
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Whether it is time for another one of a log with as many entries.
    pub(super) fn is_due(&self, entries: u64) -> bool {
        entries.saturating_sub(self.newest) >= self.interval
    }

    /// The record was asked to commit to the state after so many entries. Whatever becomes of that and of the file, the
    /// next one is due when as many have come again.
    pub(super) fn tried(&mut self, entries: u64) {
        self.newest = entries;
    }

    /// What keeps this state, to which the record on the disk commits by now.
    pub(super) fn pending(&self, snapshot: Vec<u8>) -> PendingSnapshot {
        PendingSnapshot { folder: self.folder.clone(), snapshot }
    }

    /// The log up to and with the entry that commits to the newest snapshot that holds; none where there is no such.
    pub(super) fn resume(&mut self, store: &Store) -> Option<Log> {
        self.newest = 0;
        let mut sites: Vec<([u8; 32], Site)> =
            self.folder.list().ok()?.into_iter().filter_map(|name| Some((name, self.read(&name)?))).collect();
        sites.sort_by_key(|(_, site)| std::cmp::Reverse(site.entries()));
        let (entries, log) = sites.into_iter().find_map(|(name, site)| {
            let entries = site.entries();
            Some((entries, committed(&name, site, store)?))
        })?;
        self.newest = entries;
        Some(log)
    }

    fn read(&self, name: &[u8; 32]) -> Option<Site> {
        let found = self.folder.read(name).map_err(|error| error.to_string());
        let site = found.and_then(|bytes| {
            let bytes = bytes.ok_or_else(|| "it is gone".to_owned())?;
            Site::from_snapshot(&bytes).map_err(|error| error.to_string())
        });
        match site {
            Ok(site) => Some(site),
            Err(why) => {
                let path = self.folder.path(name);
                tracing::warn!(path = %path.display(), why, "a snapshot is of no use; the record is folded instead");
                None
            }
        }
    }
}

/// The log that goes on from this state with the entry that commits to it.
fn committed(name: &[u8; 32], site: Site, store: &Store) -> Option<Log> {
    if site.id() != store.site() {
        return None;
    }
    let bytes = store.read(site.entries()).ok()?.into_iter().next()?;
    let entry = UnverifiedEntry::read(bytes.clone()).ok()?;
    let commits = matches!(&entry.entry().body, Body::CommitState { digest } if digest == name);
    let mut log = Log::resume(site);
    // That its author is the host, and its signature the host's, is for the log to find.
    (commits && matches!(log.append(bytes), Ok(Placed::New(_)))).then_some(log)
}
