//! The record's entries in one pass: folded by the rules of the record as far as they hold, and hashed to the end.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use gemba_record::body::Body;
use gemba_record::entry::Seen;
use gemba_record::log::Log;
use gemba_record::merkle::{Frontier, Hash, empty_root, leaf_hash};
use gemba_record::refusal::Refusal;
use gemba_record::site::Placed;
use gemba_twin::peer::PeerKey;

use super::{Audit, Finding, Phase, Progress, Watch};
use crate::problem::{Problem, SiteDirError};
use crate::site_dir::verification::preverify_all;
use crate::store::Store;

/// What the pass leaves for the comparisons after it.
pub(super) struct Entries {
    pub(super) store: Store,
    /// The hash of each entry; none of one that is damaged.
    pub(super) leaves: Vec<Option<Hash>>,
    /// Checkpoints that authors had seen: index of the entry, what it names, whose it is.
    pub(super) seen: Vec<(u64, Seen, PeerKey)>,
    /// The keys by which the host has signed, each with the number of entries from which on; none where it was revoked.
    host_keys: Vec<(u64, Option<PeerKey>)>,
    /// Entries that each right commitment of the host vouches for, with its digest.
    pub(super) committed: Vec<(u64, [u8; 32])>,
}

/// Reads, hashes and folds everything. None when `watch` broke it off.
pub(super) fn read_all(store: Store, audit: &mut Audit, watch: Watch<'_>) -> Result<Option<Entries>, SiteDirError> {
    let total = store.entries();
    let mut found =
        Entries { store, leaves: Vec::new(), seen: Vec::new(), host_keys: Vec::new(), committed: Vec::new() };
    let mut fold = Some(Log::new());
    let mut held = None;
    audit.findings.extend(
        found.store.problems().iter().filter(|p| matches!(p, Problem::Header { .. })).cloned().map(Finding::from),
    );
    loop {
        let first = found.leaves.len() as u64;
        let progress = Progress { phase: Phase::Entries, done: first, total };
        if watch(progress).is_break() {
            return Ok(None);
        }
        match found.store.read(first) {
            Ok(entries) if entries.is_empty() => break,
            Ok(entries) => {
                found.leaves.extend(entries.iter().map(|entry| Some(leaf_hash(entry))));
                if let Some(log) = &mut fold
                    && let ControlFlow::Break(finding) = found.fold(log, entries)
                {
                    audit.findings.push(finding.into());
                    held = fold.take();
                }
            }
            Err(SiteDirError::ReadOnly(damage)) => {
                held = held.or_else(|| fold.take());
                let after = match &damage {
                    Problem::Damaged { entries, .. } => entries.end,
                    _ => total,
                };
                audit.findings.push(damage.into());
                // What is missing at the end is as many as somebody says; there is nothing behind it.
                if after >= total {
                    break;
                }
                found.leaves.resize(usize::try_from(after).unwrap_or(usize::MAX), None);
            }
            Err(other) => return Err(other),
        }
    }
    let log = held.or(fold).unwrap_or_default();
    audit.entries = found.leaves.len() as u64;
    audit.held = log.entries();
    audit.site = log.site().cloned();
    audit.state_digests = found.committed.len() as u64;
    Ok(Some(found))
}

impl Entries {
    /// Folds a batch up to the first entry that does not hold.
    fn fold(&mut self, log: &mut Log, mut batch: Vec<Vec<u8>>) -> ControlFlow<Problem> {
        let path = self.store.path().to_owned();
        let refused = |entry, why| ControlFlow::Break(Problem::Refused { path: path.clone(), entry, why });
        if log.entries() == 0 {
            // Nobody but the first entry's author is known before it.
            if let Err(damaged) = log.replay_next(batch.remove(0)) {
                return refused(damaged.index, damaged.why);
            }
            if log.site().is_some_and(|site| site.id() != self.store.site()) {
                return refused(0, Refusal::OtherSite);
            }
            self.note_host_key(log);
        }
        for entry in preverify_all(log, batch) {
            let index = log.entries();
            let seen = entry.entry().and_then(|entry| Some((entry.seen?, entry.author)));
            let may_change_key = entry.entry().is_some_and(|entry| changes_keys(&entry.body));
            match log.append_preverified(entry).and_then(Placed::must_be_new) {
                Ok(()) => {}
                Err(why) => return refused(index, why),
            }
            if may_change_key {
                self.note_host_key(log);
            }
            self.seen.extend(seen.map(|(seen, author)| (index, seen, author)));
            let committed = log.site().and_then(|site| site.committed()).filter(|c| c.entries == index);
            self.committed.extend(committed.map(|committed| (index, committed.digest)));
        }
        ControlFlow::Continue(())
    }

    fn note_host_key(&mut self, log: &Log) {
        let key = log.site().and_then(|site| site.host_key());
        if self.host_keys.last().is_none_or(|(_, last)| *last != key) {
            self.host_keys.push((log.entries(), key));
        }
    }

    /// The key that signs for the record when it has as many entries; of more than hold, the last. None where no key
    /// counted.
    pub(super) fn host_key_at(&self, size: u64) -> Option<PeerKey> {
        let before = self.host_keys.iter().rfind(|(from, _)| *from <= size).or(self.host_keys.first());
        before.and_then(|(_, key)| *key)
    }

    /// The roots that the record had at these sizes, where it has as many whole entries.
    pub(super) fn roots_at(&self, mut sizes: Vec<u64>) -> BTreeMap<u64, Hash> {
        sizes.sort_unstable();
        sizes.dedup();
        let mut roots = BTreeMap::new();
        let mut tree = Frontier::default();
        for size in sizes {
            while tree.size() < size {
                let Some(Some(leaf)) = self.leaves.get(tree.size() as usize) else { return roots };
                tree.push(*leaf);
            }
            roots.insert(size, if size == 0 { empty_root() } else { tree.root() });
        }
        roots
    }

    /// How many entries, fewer than `size`, the host's newest right commitment to the state vouches for: it covers the
    /// hashes of all entries before it.
    pub(super) fn vouched_before(&self, size: u64) -> u64 {
        self.committed.iter().map(|(entries, _)| *entries).rfind(|entries| *entries < size).unwrap_or(0)
    }
}

/// Whether this may give the host another key, or the site another host.
fn changes_keys(body: &Body) -> bool {
    matches!(body, Body::RotateKey(_) | Body::RecoverKey { .. } | Body::RevokeKey { .. } | Body::Succeed { .. })
}
