//! What lies beside the record: snapshots, which it commits to, and blobs, which are named by their hash.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::entries::Entries;
use super::{Audit, Finding, Phase, Progress, Watch};
use crate::blobs::{BLOBS, Blobs};
use crate::disk::Disk;
use crate::problem::SiteDirError;
use crate::site_dir::SNAPSHOTS;

/// Verifies snapshots and blobs.
pub(super) fn verify(
    disk: &Arc<dyn Disk>,
    audit: &mut Audit,
    entries: &Entries,
    watch: Watch<'_>,
) -> Result<ControlFlow<()>, SiteDirError> {
    let committed: BTreeSet<[u8; 32]> = entries.committed.iter().map(|(_, digest)| *digest).collect();
    let (snapshots, blobs) = (Blobs::existing(disk.clone(), SNAPSHOTS), Blobs::existing(disk.clone(), BLOBS));
    let (kept, held) = (list(&snapshots)?, list(&blobs)?);
    let total = (kept.len() + held.len()) as u64;
    let mut done = 0;
    for (folder, names, is_blobs) in [(&snapshots, &kept, false), (&blobs, &held, true)] {
        for name in names {
            if watch(Progress { phase: Phase::Blobs, done, total }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            done += 1;
            let path = folder.path(name);
            let whole = match folder.read(name) {
                Ok(bytes) => bytes.is_some(),
                Err(SiteDirError::DamagedBlob(_)) => false,
                Err(other) => return Err(other),
            };
            match (whole, is_blobs) {
                (true, true) => audit.blobs += 1,
                (false, true) => audit.findings.push(Finding::Blob { path, why: "its hash is not its name" }),
                (false, false) => audit.findings.push(Finding::Snapshot { path, why: "its hash is not its name" }),
                // Where the fold stopped, what comes after is not known to be committed to.
                (true, false) if !committed.contains(name) && audit.held == audit.entries => {
                    audit.findings.push(Finding::Snapshot { path, why: "no entry of the record commits to it" });
                }
                (true, false) => audit.snapshots += 1,
            }
        }
    }
    let models = audit.site.iter().flat_map(|site| site.models()).map(|model| model.blob);
    let missing: BTreeSet<[u8; 32]> = models.filter(|blob| !held.contains(blob)).collect();
    for blob in missing {
        audit.findings.push(Finding::Blob { path: blobs.path(&blob), why: "a model of the site is missing" });
    }
    Ok(ControlFlow::Continue(()))
}

fn list(folder: &Blobs) -> Result<BTreeSet<[u8; 32]>, SiteDirError> {
    match folder.list() {
        Err(SiteDirError::Io { why, .. }) if why.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        other => Ok(other?.into_iter().collect()),
    }
}
