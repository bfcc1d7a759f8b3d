//! Finding out what of a site's record holds, and putting copies in the place of what does not.
//!
//! A mirror is not believed. What it gives is taken only when, with all that is here, it adds up to a root that this
//! site's host has signed: the kept checkpoint, or a newer one that the mirror has of the host.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use gemba_record::checkpoint::{Checkpoint, CheckpointError, origin};
use gemba_record::log::{Damaged, Log};
use gemba_record::merkle::{Tree, leaf_hash};
use gemba_record::refusal::Refusal;
use gemba_record::site::Placed;
use gemba_twin::peer::PeerKey;

use crate::disk::Disk;
use crate::limits;
use crate::problem::{Problem, SiteDirError};
use crate::site_dir::snapshots::Snapshots;
use crate::site_dir::verification::preverify_all;
use crate::site_dir::{CHECKPOINT, SiteDir, open_parts};
use crate::store::Store;

/// What a store holds.
pub(super) struct Examined {
    /// Folded up to the first damage.
    pub(super) log: Log,
    /// The kept checkpoint, if it is the host's.
    pub(super) signed: Option<String>,
    pub(super) problems: Vec<Problem>,
}

impl SiteDir {
    /// Replaces what is damaged by a mirror's copies, after which the site is whole and can be written again. Returns
    /// how many entries were replaced.
    ///
    /// `mirror` is asked for ranges of at most [`limits::BATCH_ENTRIES`] entries. `checkpoint` is the newest one the
    /// mirror has of this host, needed where what is damaged is newer than the host's own. When copies are missing or
    /// wrong nothing is changed.
    pub fn repair(
        &mut self,
        checkpoint: Option<&str>,
        mirror: impl FnMut(Range<u64>) -> Option<Vec<Vec<u8>>>,
    ) -> Result<u64, SiteDirError> {
        let keys = self.host.public();
        let replaced = mend(&mut self.store, &mut self.snapshots, &keys, checkpoint, mirror)?;
        let Examined { log, signed, problems } = examine(&mut self.store, &mut self.snapshots, &keys, &mut unseen)?;
        (self.log, self.signed, self.problems, self.ahead) = (log, signed, problems, false);
        match self.problems.first() {
            Some(problem) => Err(SiteDirError::ReadOnly(problem.clone())),
            None => Ok(replaced),
        }
    }

    /// As [`SiteDir::repair`], of a site of which so much is damaged that it does not open.
    pub fn repair_on(
        disk: Arc<dyn Disk>,
        checkpoint: Option<&str>,
        mirror: impl FnMut(Range<u64>) -> Option<Vec<Vec<u8>>>,
    ) -> Result<Self, SiteDirError> {
        let (mut store, mut snapshots, host) = open_parts(&disk)?;
        mend(&mut store, &mut snapshots, &host.public(), checkpoint, mirror)?;
        let examined = examine(&mut store, &mut snapshots, &host.public(), &mut unseen)?;
        Self::with(disk, store, snapshots, host, examined)?.with_key_in_force()?.checked()
    }
}

/// Told how many entries of how many have been folded.
pub(super) type Folded<'a> = &'a mut dyn FnMut(u64, u64);

/// Nobody looks at how far it is.
pub(super) fn unseen(_: u64, _: u64) {}

/// Goes on from the newest snapshot, or reads and verifies everything. The kept checkpoint may be by any of these keys of
/// the host.
pub(super) fn examine(
    store: &mut Store,
    snapshots: &mut Snapshots,
    keys: &[PeerKey],
    progress: Folded<'_>,
) -> Result<Examined, SiteDirError> {
    let (note, kept, mut other) = match kept_checkpoint(store, keys)? {
        Ok(Some((note, checkpoint))) => (Some(note), Some(checkpoint), Vec::new()),
        Ok(None) => (None, None, Vec::new()),
        Err(problem) => (None, None, vec![problem]),
    };
    if let Some(checkpoint) = &kept {
        store.expect_entries(checkpoint.size);
    }
    let resumed = snapshots.resume(store).map(|log| fold(store, log, kept.as_ref(), progress)).transpose()?;
    let (log, stopped) = match resumed {
        Some((log, None)) => (log, None),
        // Where something is wrong behind the snapshot, all of it is looked at.
        Some((_, Some(_))) | None => fold(store, Log::new(), kept.as_ref(), progress)?,
    };
    let mut problems = store.problems().to_vec();
    match stopped {
        // Where one thing is damaged there may be more: all of it is to be said.
        Some(Problem::Damaged { .. }) => problems = store.check()?.to_vec(),
        Some(refused) => problems.push(refused),
        None => {}
    }
    problems.append(&mut other);
    Ok(Examined { log, signed: note, problems })
}

/// The kept checkpoint as text and verified; the problem where there is one that does not hold.
pub(super) fn kept_checkpoint(
    store: &Store,
    keys: &[PeerKey],
) -> Result<Result<Option<(String, Checkpoint)>, Problem>, SiteDirError> {
    let Some(bytes) = store.small(CHECKPOINT)? else { return Ok(Ok(None)) };
    let note = String::from_utf8(bytes).map_err(|_| CheckpointError::Form("not a text"));
    let verified = note.and_then(|note| {
        let checkpoint = verified(&note, store, keys)?;
        Ok(Some((note, checkpoint)))
    });
    Ok(verified.map_err(|why| Problem::Checkpoint { path: store.path().with_file_name(CHECKPOINT), why }))
}

/// A checkpoint of this record, by one of these keys.
fn verified(note: &str, store: &Store, keys: &[PeerKey]) -> Result<Checkpoint, CheckpointError> {
    let tried = keys.iter().map(|key| Checkpoint::verify(note, &origin(store.site()), key));
    // What is no checkpoint is none by any key.
    tried.reduce(|first, next| first.or_else(|why| next.map_err(|_| why))).unwrap_or(Err(CheckpointError::Unsigned))
}

/// Folds what is stored after `log` up to the first entry that is damaged or does not hold, or to the end of what was
/// signed when that is not what was signed.
///
/// The host verified every entry before it signed the checkpoint. So signatures below a checkpoint's root are not
/// verified again where a snapshot is gone on from; a root that differs shows that an entry does.
fn fold(
    store: &Store,
    mut log: Log,
    signed: Option<&Checkpoint>,
    progress: Folded<'_>,
) -> Result<(Log, Option<Problem>), SiteDirError> {
    let resumed = log.entries() > 0;
    let signed = signed.filter(|signed| signed.size >= log.entries());
    loop {
        let first = log.entries();
        progress(first, store.entries());
        let mut entries = match store.read(first) {
            Err(SiteDirError::ReadOnly(problem)) => return Ok((log, Some(problem))),
            other => other?,
        };
        if entries.is_empty() {
            return Ok((log, None));
        }
        // A batch ends where the checkpoint does, whose root is looked at there.
        let left = signed.map_or(0, |signed| signed.size - first.min(signed.size));
        if left > 0 {
            entries.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        let folded = if resumed && left > 0 {
            entries.into_iter().try_for_each(|entry| log.replay_next_under_checkpoint(entry))
        } else {
            fold_verified(&mut log, entries)
        };
        if let Err(Damaged { index, why }) = folded {
            return Ok((log, Some(Problem::Refused { path: store.path().to_owned(), entry: index, why })));
        }
        if first == 0 && log.site().is_some_and(|site| site.id() != store.site()) {
            let (path, why) = (store.path().to_owned(), Refusal::OtherSite);
            return Ok((Log::new(), Some(Problem::Refused { path, entry: 0, why })));
        }
        if let Some(&Checkpoint { size, root, .. }) = signed
            && log.entries() == size
            && log.root() != root
        {
            return Ok((log, Some(Problem::OtherRoot { path: store.path().to_owned(), size })));
        }
    }
}

/// Appends entries that must all be new, up to the first that is not or does not hold.
fn fold_verified(log: &mut Log, entries: Vec<Vec<u8>>) -> Result<(), Damaged> {
    let mut entries = entries.into_iter();
    if log.entries() == 0 {
        // Nobody but the first entry's author is known before it.
        entries.by_ref().take(1).try_for_each(|entry| log.replay_next(entry))?;
    }
    for entry in preverify_all(log, entries.collect()) {
        let index = log.entries();
        match log.append_preverified(entry) {
            Ok(Placed::New(_)) => {}
            Ok(Placed::Held(_)) => return Err(Damaged { index, why: Refusal::IdTaken }),
            Err(why) => return Err(Damaged { index, why }),
        }
    }
    Ok(())
}

fn mend(
    store: &mut Store,
    snapshots: &mut Snapshots,
    keys: &[PeerKey],
    mirrored: Option<&str>,
    mirror: impl FnMut(Range<u64>) -> Option<Vec<Vec<u8>>>,
) -> Result<u64, SiteDirError> {
    let kept = kept_checkpoint(store, keys)?.ok().flatten();
    let mirrored = match mirrored {
        Some(note) => Some((note.to_owned(), verified(note, store, keys)?)),
        None => None,
    };
    let kept_is_whole = kept.is_some() || store.small(CHECKPOINT)?.is_none();
    let newest = [kept, mirrored].into_iter().flatten().max_by_key(|(_, checkpoint)| checkpoint.size);
    if let Some((_, checkpoint)) = &newest {
        store.expect_entries(checkpoint.size);
    }
    let problems = examine(store, snapshots, keys, &mut unseen)?.problems;
    if problems.is_empty() {
        return Ok(0);
    }
    let size = newest.as_ref().map_or(0, |(_, checkpoint)| checkpoint.size);
    if !kept_is_whole && size == 0 {
        return Err(SiteDirError::NotCovered { entries: 0..store.entries(), size });
    }
    let copies = fetch(&problems, size, mirror)?;
    if let Some((note, checkpoint)) = newest {
        let mut tree = Tree::default();
        store.each(&copies, |index, entry| {
            if index < size {
                tree.push(leaf_hash(entry));
            }
        })?;
        if tree.size() != size || tree.root() != checkpoint.root {
            return Err(SiteDirError::WrongCopy);
        }
        store.rewrite(&copies)?;
        store.put_small(CHECKPOINT, note.as_bytes())?;
    } else {
        store.rewrite(&copies)?;
    }
    Ok(copies.len() as u64)
}

/// Copies of all that is damaged, which must lie within what the checkpoint covers.
fn fetch(
    problems: &[Problem],
    size: u64,
    mut mirror: impl FnMut(Range<u64>) -> Option<Vec<Vec<u8>>>,
) -> Result<BTreeMap<u64, Vec<u8>>, SiteDirError> {
    let mut copies = BTreeMap::new();
    for problem in problems {
        let Some(mut wanted) = problem.wanted() else { continue };
        if wanted.end > size {
            return Err(SiteDirError::NotCovered { entries: wanted, size });
        }
        while !wanted.is_empty() {
            let some = wanted.start..wanted.end.min(wanted.start + limits::BATCH_ENTRIES as u64);
            let fits = |entry: &Vec<u8>| entry.len() <= limits::STORED_ENTRY_BYTES;
            let given = mirror(some.clone()).filter(|g| g.len() as u64 == some.end - some.start && g.iter().all(fits));
            copies.extend(some.clone().zip(given.ok_or_else(|| SiteDirError::NoCopy(some.clone()))?));
            wanted.start = some.end;
        }
    }
    Ok(copies)
}
