//! A site's directory that is only looked at, also while its host runs: no secret key is needed, no lock is taken, and
//! nothing is written. What is being written meanwhile is not seen.

use std::path::Path;
use std::sync::Arc;

use gemba_record::body::Body;
use gemba_record::entry::UnverifiedEntry;
use gemba_record::log::Log;
use gemba_record::site::Site;

use crate::blobs::Blobs;
use crate::disk::FileDisk;
use crate::problem::{Problem, SiteDirError};
use crate::site_dir::repair::{Examined, examine, kept_checkpoint};
use crate::site_dir::snapshots::{SNAPSHOTS, Snapshots};
use crate::site_dir::{State, state};
use crate::store::Store;

/// What a site's directory held when it was opened.
#[derive(Debug)]
pub struct SiteView {
    store: Store,
    log: Log,
    problems: Vec<Problem>,
}

impl SiteView {
    /// Looks at a site: goes on from its newest snapshot, or where none holds verifies every entry. `progress` is told how
    /// many entries of how many have been folded.
    pub fn open(dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, SiteDirError> {
        let disk = Arc::new(FileDisk::new(dir));
        match state(&*disk)? {
            State::Missing => return Err(SiteDirError::Missing(dir.to_owned())),
            State::Empty | State::Other => return Err(SiteDirError::NotASite(dir.to_owned())),
            State::Site => {}
        }
        let mut store = Store::open_to_read(disk.clone())?;
        let first = store.read(0)?.into_iter().next();
        let first = first.and_then(|bytes| UnverifiedEntry::read(bytes).ok());
        // Whether the host it names is the one that its checkpoints are by is found when it is folded.
        let host = first.and_then(|entry| match &entry.entry().body {
            Body::Found { host, .. } => Some(*host),
            _ => None,
        });
        let host = host.ok_or_else(|| SiteDirError::NoRecord(store.path().to_owned()))?;
        let mut snapshots = Snapshots::new(Blobs::existing(disk, SNAPSHOTS));
        let Examined { log, mut problems, .. } = examine(&mut store, &mut snapshots, &[host], progress)?;
        if let Some(site) = log.site() {
            // Who has signed it may be a later host, or the same one by a later key: the record tells.
            let keys: Vec<_> = site.host_keys().collect();
            let is_signed = kept_checkpoint(&store, &keys)?.is_ok();
            problems.retain(|problem| !(is_signed && matches!(problem, Problem::Checkpoint { .. })));
        }
        if log.site().is_none() {
            let problem = problems.into_iter().next();
            return Err(problem.map_or(SiteDirError::NoRecord(store.path().to_owned()), SiteDirError::Unreadable));
        }
        Ok(Self { store, log, problems })
    }

    /// The state folded from the record, up to the first damage.
    pub fn site(&self) -> &Site {
        self.log.site().expect("a record without its founding entry is not opened")
    }

    /// What is damaged.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Entries from `first` on that the state was folded from, as [`crate::site_dir::SiteDir::read_entries`] has them.
    pub fn read_entries(&self, first: u64) -> Result<Vec<Vec<u8>>, SiteDirError> {
        self.store.read(first)
    }
}
