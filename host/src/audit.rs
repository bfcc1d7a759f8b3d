//! Everything about a site on disk that can be verified, verified anew and by nothing but itself: frames, signatures,
//! roles and state digests of all entries; their Merkle root against what the host signed; the published tiles;
//! snapshots and blobs.
//!
//! Nothing is trusted: not the host's secret key, which need not be there, nor that the host played by the rules. A host
//! that signs for an entry which no role allows is found out as a thief would be. What cannot be found from the
//! directory alone is a record that its host wrote wholly anew; that takes something from outside: the host's key as
//! it stands in the site's address, or a checkpoint that somebody kept ([`AuditConfig`]).
//!
//! Nothing is written and no lock is taken, so that a running host is audited as well as a copy. Every
//! [`Finding`] names the file and, as exactly as hashes can tell, the entry and the byte.

mod beside;
mod entries;
mod finding;
mod published;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use gemba_record::checkpoint::{CheckpointError, SignedCheckpoint, origin};
use gemba_record::merkle::Hash;
use gemba_record::note::{SignatureKind, VerifierKey};
use gemba_record::quorum::Standing;
use gemba_record::site::Site;
use gemba_twin::peer::PeerKey;

use crate::disk::Disk;
use crate::notary;
use crate::problem::{Problem, SiteDirError};
use crate::publisher::{self, LOG};
use crate::site_dir::CHECKPOINT;
use crate::store::{self, Store};
use entries::Entries;
pub use finding::{Finding, WhichEntry};
use published::Published;

/// What an auditor knows beforehand.
#[derive(Debug, Clone, Default)]
pub struct AuditConfig {
    /// The key that the site's address names, if it is known.
    pub host: Option<PeerKey>,
    /// Checkpoints of this site that were kept elsewhere, as text, each with the file it is from.
    pub kept: Vec<(PathBuf, String)>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Audit {
    /// The site of the entries that hold; none where not even the first does.
    pub site: Option<Site>,
    /// Entries there are, whole or not.
    pub entries: u64,
    /// Entries from the first on that hold: form, signature, role, and every rule of the record.
    pub held: u64,
    /// The newest checkpoint that is signed by the host and has this record's root.
    pub checkpoint: Option<SignedCheckpoint>,
    /// What the policy says of the newest checkpoint that it calls final, else of the newest that is signed; none
    /// without a policy.
    pub standing: Option<Standing>,
    /// Commitments to the state of the site that were recomputed and are right.
    pub state_digests: u64,
    /// Published files that were compared.
    pub tiles: u64,
    /// Snapshots that were compared.
    pub snapshots: u64,
    /// Blobs whose hash is their name.
    pub blobs: u64,
    /// What is wrong. Empty when the site is what its host and authors signed.
    pub findings: Vec<Finding>,
}

/// How far an audit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being looked at.
    pub phase: Phase,
    /// How many are done.
    pub done: u64,
    /// Of how many.
    pub total: u64,
}

/// What an audit looks at, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The record's entries.
    Entries,
    /// Bundles of published entries, with their tiles.
    Tiles,
    /// Snapshots and blobs.
    Blobs,
}

/// Told now and then how far it is; the audit ends early at `Break`.
pub type Watch<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Audits the site on this disk. None when `watch` broke it off; an error only where there is nothing to audit.
pub fn audit(disk: Arc<dyn Disk>, config: &AuditConfig, watch: Watch<'_>) -> Result<Option<Audit>, SiteDirError> {
    // Checkpoints first: a host that is running signs for more while we read, never for less.
    let mut checkpoints: Vec<(PathBuf, Result<SignedCheckpoint, CheckpointError>)> = Vec::new();
    for name in [CHECKPOINT, publisher::CHECKPOINT, notary::FINAL] {
        if let Some(note) = small(&*disk, name)? {
            checkpoints.push((disk.path(name), read(note)));
        }
    }
    let published_there = checkpoints.iter().any(|(path, _)| *path == disk.path(publisher::CHECKPOINT));
    checkpoints.extend(config.kept.iter().map(|(path, note)| (path.clone(), SignedCheckpoint::read(note))));

    let store = Store::open_to_read(disk.clone())?;
    let mut audit = Audit::default();
    let Some(entries) = entries::read_all(store, &mut audit, watch)? else { return Ok(None) };
    if let (Some(expected), Some(site)) = (config.host, &audit.site)
        && !site.is_or_was_host_key(&expected)
    {
        let host = site.host_key().unwrap_or(site.host());
        audit.findings.push(Finding::OtherHost { path: disk.path(store::RECORD), host, expected });
    }
    let signed = verify_checkpoints(&mut audit, &entries, checkpoints);
    let wrong = compare_roots(&disk, &mut audit, &entries, &signed);
    if wrong.is_none() {
        audit.standing = standing(&mut audit, &entries, &signed);
    }
    if published_there || disk.list(LOG).is_ok() {
        let newest = signed.iter().map(|(_, signed)| signed).max_by_key(|signed| signed.checkpoint().size);
        let published = Published::new(&*disk, &entries.leaves);
        if let Some(wrong) = &wrong {
            published.locate(wrong, &mut audit.findings);
        } else if let Some(newest) = newest
            && published.compare(&entries, newest, published_there, &mut audit, watch)?.is_break()
        {
            return Ok(None);
        }
    }
    if beside::verify(&disk, &mut audit, &entries, watch)?.is_break() {
        return Ok(None);
    }
    Ok(Some(audit))
}

fn small(disk: &dyn Disk, name: &str) -> Result<Option<Vec<u8>>, SiteDirError> {
    let failed = crate::problem::io("read", &disk.path(name));
    match disk.read(name, 0, crate::limits::SMALL_BYTES + 1) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(failed),
    }
}

fn read(note: Vec<u8>) -> Result<SignedCheckpoint, CheckpointError> {
    SignedCheckpoint::read(&String::from_utf8(note).map_err(|_| CheckpointError::Form("not a text"))?)
}

/// Those that were signed by the key that the host had when the record was as long. The others are findings: also what a
/// key has signed that was replaced or revoked by then.
fn verify_checkpoints(
    audit: &mut Audit,
    entries: &Entries,
    checkpoints: Vec<(PathBuf, Result<SignedCheckpoint, CheckpointError>)>,
) -> Vec<(PathBuf, SignedCheckpoint)> {
    // A record without its first entry names no key; that it is not there has been said.
    let Some(site) = &audit.site else { return Vec::new() };
    let verify = |checkpoint: SignedCheckpoint| {
        let key = entries.host_key_at(checkpoint.checkpoint().size).ok_or(CheckpointError::Unsigned)?;
        let log = match VerifierKey::new(&origin(site.id()), SignatureKind::Log, key) {
            Ok(log) => log,
            Err(error) => unreachable!("the fold takes no host whose key is weak: {error}"),
        };
        checkpoint.verify(&log).map(|()| checkpoint)
    };
    let mut signed = Vec::new();
    for (path, checkpoint) in checkpoints {
        match checkpoint.and_then(verify) {
            Ok(checkpoint) => signed.push((path, checkpoint)),
            Err(why) => audit.findings.push(Finding::Problem(Problem::Checkpoint { path, why })),
        }
    }
    signed
}

/// How final the record is, by the policy that its owners set. A wrong line of a member is a finding.
fn standing(audit: &mut Audit, entries: &Entries, signed: &[(PathBuf, SignedCheckpoint)]) -> Option<Standing> {
    let site = audit.site.as_ref()?;
    let mut best: Option<Standing> = None;
    for (path, signed) in signed {
        let key = entries.host_key_at(signed.checkpoint().size)?;
        let policy = site.policy()?.quorum(site.id(), key).ok()?;
        match policy.judge(signed) {
            Ok(standing) => {
                let rank = |standing: &Standing| (standing.is_final, standing.size);
                if best.as_ref().is_none_or(|best| rank(best) < rank(&standing)) {
                    best = Some(standing);
                }
            }
            Err(why) => audit.findings.push(Finding::Cosignature { path: path.clone(), why }),
        }
    }
    best
}

/// Compares the roots of signed checkpoints, and of those that authors name, with the record's. Returns the newest
/// signed checkpoint whose root is not the record's.
fn compare_roots(
    disk: &Arc<dyn Disk>,
    audit: &mut Audit,
    entries: &Entries,
    signed: &[(PathBuf, SignedCheckpoint)],
) -> Option<SignedCheckpoint> {
    let record = disk.path(store::RECORD);
    let sizes = signed.iter().map(|(_, signed)| signed.checkpoint().size).chain(entries.seen.iter().map(|s| s.1.size));
    let roots = entries.roots_at(sizes.collect());
    let root_at = |size: u64| roots.get(&size).copied();
    let mut wrong: Option<SignedCheckpoint> = None;
    for (path, signed) in signed {
        let stated = signed.checkpoint();
        match root_at(stated.size) {
            Some(root) if root == stated.root => {
                if audit.checkpoint.as_ref().is_none_or(|newest| newest.checkpoint().size <= stated.size) {
                    audit.checkpoint = Some(signed.clone());
                }
                continue;
            }
            Some(_) => audit.findings.push(Finding::OtherRoot {
                path: record.clone(),
                signed: path.clone(),
                entries: entries.vouched_before(stated.size)..stated.size,
            }),
            // Of a damaged record it has been said what is damaged.
            None if stated.size <= entries.leaves.len() as u64 => {}
            None => audit.findings.push(Finding::TooFew {
                path: record.clone(),
                signed: path.clone(),
                entries: entries.leaves.len() as u64..stated.size,
            }),
        }
        if wrong.as_ref().is_none_or(|newest| newest.checkpoint().size < stated.size) {
            wrong = Some(signed.clone());
        }
    }
    for (index, seen, author) in &entries.seen {
        if root_at(seen.size).is_some_and(|root: Hash| root != seen.root) {
            audit.findings.push(Finding::Seen {
                path: record.clone(),
                entry: *index,
                author: *author,
                size: seen.size,
            });
        }
    }
    wrong
}
