//! A damaged record mends itself: a host that opens one, or finds out while it runs, asks the mirrors that the site's policy
//! names for copies.
//!
//! Nobody is believed for that. Which mirrors there are is read from whatever entries can still be read, also behind the
//! damage, where nothing can be verified; but what a mirror gives is taken only where it adds up to a root that this site's
//! host has signed ([`SiteDir::repair`]).

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use gemba_record::body::Body;
use gemba_record::checkpoint::origin;
use gemba_record::entry::UnverifiedEntry;
use gemba_record::mirror::origin_hash;
use gemba_record::tile_tree::TileTree;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::disk::FileDisk;
use crate::limits;
use crate::log_files::{LogFiles, LogFilesError};
use crate::problem::{Problem, SiteDirError};
use crate::site_dir::SiteDir;
use crate::store::Store;

/// A mirror's copies of a log, each verified under the checkpoint that the mirror has of it.
pub struct Copies<'a> {
    files: &'a LogFiles,
    tree: TileTree,
    /// The mirror's newest checkpoint.
    pub note: String,
    /// Entries that were taken so far.
    pub taken: u64,
    /// Why there are no more.
    pub failed: Option<LogFilesError>,
}

impl<'a> Copies<'a> {
    /// Of the log that is mirrored there.
    pub fn of(files: &'a LogFiles) -> Result<Self, LogFilesError> {
        let checkpoint = files.checkpoint()?;
        let stated = checkpoint.checkpoint();
        let tree = TileTree::new(stated.size, stated.root);
        let tree = tree.map_err(|error| LogFilesError::Tile(files.to_string(), error))?;
        Ok(Self { files, tree, note: checkpoint.to_string(), taken: 0, failed: None })
    }

    /// Entries of the log by the mirror's checkpoint.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Copies of these entries; none where one of them cannot be had.
    pub fn take(&mut self, wanted: Range<u64>) -> Option<Vec<Vec<u8>>> {
        let mut copies = Vec::new();
        let mut at = wanted.start;
        while at < wanted.end {
            let found = self.files.entries(&mut self.tree, at);
            let (first, entries) = found.map_err(|error| self.failed = Some(error)).ok()?;
            let end = wanted.end.min(first + entries.len() as u64);
            copies.extend(entries.into_iter().skip((at - first) as usize).take((end - at) as usize));
            at = end;
        }
        self.taken += copies.len() as u64;
        Some(copies)
    }
}

/// Opens a site, or founds one with this name where there is none. Where its record is damaged it is mended by the first
/// mirror that can; else it is open for reading only, and [`SiteDir::problems`] says what is damaged.
pub fn open_or_create(dir: &Path, name: &str) -> Result<SiteDir, SiteDirError> {
    match SiteDir::open_or_create(dir, name) {
        Ok(mut site) if !site.problems().is_empty() => {
            for mirror in mirrors(dir) {
                let mended =
                    mend(&mirror, |copies| site.repair(Some(&copies.note.clone()), |wanted| copies.take(wanted)));
                if mended.is_some() {
                    break;
                }
            }
            Ok(site)
        }
        Err(SiteDirError::Unreadable(problem)) => {
            let whole = |copies: &mut Copies<'_>| {
                SiteDir::repair_on(Arc::new(FileDisk::new(dir)), Some(&copies.note.clone()), |wanted| {
                    copies.take(wanted)
                })
            };
            let mended = mirrors(dir).iter().find_map(|mirror| mend(mirror, whole));
            mended.ok_or(SiteDirError::Unreadable(problem))
        }
        other => other,
    }
}

/// What `repair` makes of a mirror's copies, if they are of use.
fn mend<T>(mirror: &LogFiles, repair: impl FnOnce(&mut Copies<'_>) -> Result<T, SiteDirError>) -> Option<T> {
    let mut copies = match Copies::of(mirror) {
        Ok(copies) => copies,
        Err(error) => {
            tracing::warn!("a mirror is of no use: {error}");
            return None;
        }
    };
    match repair(&mut copies) {
        Ok(mended) => {
            tracing::warn!("{} damaged entries were replaced by the copies of {mirror}", copies.taken);
            Some(mended)
        }
        Err(error) => {
            let why = copies.failed.map_or_else(|| error.to_string(), |why| why.to_string());
            tracing::warn!("{mirror} could not mend the record: {why}");
            None
        }
    }
}

/// A mirror's copies of all that is damaged.
#[derive(Debug)]
pub struct Fetched {
    /// Whose they are.
    pub mirror: String,
    /// The mirror's newest checkpoint.
    pub note: String,
    copies: BTreeMap<u64, Vec<u8>>,
}

impl Fetched {
    /// Copies of these entries; none where one of them is missing.
    pub fn take(&self, wanted: Range<u64>) -> Option<Vec<Vec<u8>>> {
        wanted.map(|index| self.copies.get(&index).cloned()).collect()
    }
}

/// Copies of what is damaged, from each mirror that has them.
fn fetch(dir: &Path, problems: &[Problem]) -> Vec<Fetched> {
    let of = |mirror: &LogFiles| {
        let fetched = Copies::of(mirror).and_then(|mut copies| {
            let mut taken = BTreeMap::new();
            for wanted in problems.iter().filter_map(Problem::wanted) {
                let Some(some) = copies.take(wanted.clone()) else { break };
                taken.extend(wanted.zip(some));
            }
            match copies.failed {
                Some(why) => Err(why),
                None => Ok(Fetched { mirror: mirror.to_string(), note: copies.note, copies: taken }),
            }
        });
        fetched.map_err(|why| tracing::warn!("a mirror is of no use: {why}")).ok()
    };
    mirrors(dir).iter().filter_map(of).collect()
}

/// Asks for copies beside a host that runs, as long as anything of its record is damaged.
#[derive(Debug, Default)]
pub(crate) struct Mending {
    fetching: Option<JoinHandle<Vec<Fetched>>>,
    again: Option<Instant>,
}

impl Mending {
    /// Ready with what the mirrors have, which may be nothing; they are asked again after a while.
    pub(crate) async fn next_copies(&mut self, site: &SiteDir) -> Vec<Fetched> {
        if site.problems().is_empty() {
            return std::future::pending().await;
        }
        if self.fetching.is_none() {
            tokio::time::sleep_until(self.again.unwrap_or_else(Instant::now)).await;
        }
        let (dir, problems) = (site.dir().to_owned(), site.problems().to_vec());
        let begin = || tokio::task::spawn_blocking(move || fetch(&dir, &problems));
        let fetched = self.fetching.get_or_insert_with(begin).await.unwrap_or_default();
        (self.fetching, self.again) = (None, Some(Instant::now() + limits::MEND_AGAIN));
        fetched
    }
}

/// Where the mirrors serve this site's log that the newest policy among the entries that can be read names.
fn mirrors(dir: &Path) -> Vec<LogFiles> {
    let Ok(store) = Store::open_to_read(Arc::new(FileDisk::new(dir))) else { return Vec::new() };
    let mut policy = None;
    let read = store.each(&BTreeMap::new(), |_, entry| {
        if let Ok(entry) = UnverifiedEntry::read(entry.to_vec())
            && let Body::SetPolicy(said) = &entry.entry().body
        {
            policy = Some(said.clone());
        }
    });
    if read.is_err() {
        return Vec::new();
    }
    let folder = origin_hash(&origin(store.site()));
    let members = policy.into_iter().flat_map(|policy| policy.mirrors);
    let mirrors: Vec<LogFiles> = members.filter_map(|m| format!("{}/{folder}/", m.url).parse().ok()).collect();
    if !mirrors.is_empty() {
        tracing::warn!("{} is not whole; mirrors are asked for copies", store.path().display());
    }
    mirrors
}
