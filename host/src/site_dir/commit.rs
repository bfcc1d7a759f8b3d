//! Taking entries into the record: verified and folded, written, and given out once they are on the disk.
//!
//! A commit is one write and one sync. Where several follow each other, the next are verified and folded while the disk is
//! busy with those before, so that a host under load waits for whichever takes longer and not for both.

use std::sync::mpsc;

use ed25519_dalek::SigningKey;
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::edit::{Change, Edit};
use gemba_record::entry::EntryId;
use gemba_record::log::{Log, Preverified};
use gemba_record::refusal::Refusal;
use gemba_record::site::Placed;
use gemba_twin::path::ThingId;
use gemba_twin::sample::Timestamp;

use crate::key_file::peer_key;
use crate::limits;
use crate::problem::SiteDirError;
use crate::site_dir::SiteDir;
use crate::site_dir::snapshots::Snapshots;
use crate::site_dir::verification::Verification;
use crate::store::Store;

/// What became of a batch of entries.
#[derive(Debug, Default)]
pub struct Appended {
    /// One for each entry handed in, in the same order.
    pub outcomes: Vec<Result<Placed, Refusal>>,
    /// For each of them, the entry that it overruled without its author's knowledge.
    pub overruled: Vec<Option<u64>>,
    /// Ids of the new entries that command devices.
    pub commands: Vec<EntryId>,
    /// Things that new entries have put somewhere or taken away.
    pub placed: Vec<ThingId>,
    /// Index of the first new entry, if there is any.
    pub first: u64,
    /// The bytes of the new entries, in the order of the log.
    pub entries: Vec<Vec<u8>>,
}

/// What became of entries that were taken in several commits.
#[derive(Debug)]
pub struct Taken {
    /// The commits that are on the disk, in order: together they tell of the first entries that were handed in.
    pub commits: Vec<Appended>,
    /// Why the entries behind those were not taken; none where all were.
    pub failed: Option<SiteDirError>,
}

/// Entries that are folded and not yet stored. Nobody is told of them.
struct Folded {
    appended: Appended,
    /// Of the state that the last of them commits to.
    snapshot: Option<Vec<u8>>,
}

impl Folded {
    fn write(&self, store: &mut Store) -> Result<(), SiteDirError> {
        let Appended { first, entries, .. } = &self.appended;
        if entries.is_empty() { Ok(()) } else { store.append(*first, entries) }
    }
}

impl SiteDir {
    /// Takes entries as they came from their authors, in order, in one commit. When this returns, what was taken is
    /// on the disk. An entry that is refused does not keep the others out.
    pub fn append(&mut self, batch: Vec<Vec<u8>>) -> Result<Appended, SiteDirError> {
        self.append_at(batch, None)
    }

    /// As [`SiteDir::append`] at this time on the host's clock; what is dated far ahead of it is refused.
    pub fn append_at(&mut self, batch: Vec<Vec<u8>>, now: Option<Timestamp>) -> Result<Appended, SiteDirError> {
        self.may_append()?;
        let size = batch.len();
        let mut entries = Verification::begin(batch);
        let folded = fold(&mut self.log, &mut self.snapshots, &self.host.in_use, &mut entries, size, now);
        let stored = folded.write(&mut self.store);
        self.settle(folded, stored)
    }

    /// As [`SiteDir::append_at`], in commits of at most `size` entries: while the disk is busy with one, the next are
    /// verified and folded. Where one fails, those before it stay and nothing behind it is taken.
    ///
    /// # Panics
    /// If `size` is 0.
    pub fn append_in_commits(&mut self, entries: Vec<Vec<u8>>, size: usize, now: Option<Timestamp>) -> Taken {
        let mut commits = Vec::new();
        let failed = self.try_append_in_commits(entries, size, now, &mut commits).err();
        Taken { commits, failed }
    }

    fn try_append_in_commits(
        &mut self,
        entries: Vec<Vec<u8>>,
        size: usize,
        now: Option<Timestamp>,
        commits: &mut Vec<Appended>,
    ) -> Result<(), SiteDirError> {
        assert!(size > 0, "a commit has room for an entry");
        if entries.len() <= size {
            commits.push(self.append_at(entries, now)?);
            return Ok(());
        }
        self.may_append()?;
        let Self { store, log, snapshots, host, .. } = &mut *self;
        let mut entries = Verification::begin(entries);
        let (folded, to_write) = mpsc::sync_channel::<Folded>(limits::COMMITS_AHEAD);
        let writer = move || {
            let mut written = Vec::new();
            for folded in to_write {
                let stored = folded.write(store);
                let failed = stored.is_err();
                written.push((folded, stored));
                if failed {
                    break;
                }
            }
            written
        };
        let written = std::thread::scope(|scope| {
            let writer = scope.spawn(writer);
            while !entries.is_over() {
                // Nobody takes it where a commit before it has failed.
                if folded.send(fold(log, snapshots, &host.in_use, &mut entries, size, now)).is_err() {
                    break;
                }
            }
            drop(folded);
            // A thread that panics is a bug of ours, and what it was to write is not to be taken for written.
            writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        for (folded, stored) in written {
            commits.push(self.settle(folded, stored)?);
        }
        Ok(())
    }

    fn may_append(&mut self) -> Result<(), SiteDirError> {
        if let Some(problem) = self.problems.first() {
            return Err(SiteDirError::ReadOnly(problem.clone()));
        }
        self.catch_up()
    }

    /// The disk has taken these, or has not.
    fn settle(&mut self, folded: Folded, stored: Result<(), SiteDirError>) -> Result<Appended, SiteDirError> {
        if let Err(error) = stored {
            self.ahead = true;
            // Where this fails too, the next call tries again; the first reason is the one to tell.
            let _ = self.catch_up();
            return Err(error);
        }
        if let Some(snapshot) = folded.snapshot {
            let pending = self.snapshots.pending(snapshot);
            if self.defers_snapshots {
                self.pending = Some(pending);
            } else {
                // It only saves time; without it the record is folded from an older one.
                let kept = pending.keep();
                kept.unwrap_or_else(|error| tracing::warn!(%error, "no snapshot could be kept"));
            }
        }
        Ok(folded.appended)
    }
}

/// Folds the next `size` entries, or what is left of them, and commits to the state of the site where that is due.
fn fold(
    log: &mut Log,
    snapshots: &mut Snapshots,
    host: &SigningKey,
    entries: &mut Verification,
    size: usize,
    now: Option<Timestamp>,
) -> Folded {
    let mut appended = Appended { first: log.entries(), ..Appended::default() };
    for _ in 0..size {
        let Some((bytes, mut entry)) = entries.next(log) else { break };
        refuse_ahead(&mut entry, now);
        let overrules = overruled_by(log, &entry);
        let command = entry.entry().filter(|e| matches!(e.body, Body::CommandDevice(_))).map(|e| e.id);
        let thing = entry.entry().and_then(|entry| placed_by(&entry.body));
        let outcome = log.append_preverified(entry);
        let is_new = matches!(outcome, Ok(Placed::New(_)));
        appended.entries.extend(is_new.then_some(bytes));
        appended.placed.extend(thing.filter(|_| is_new));
        appended.commands.extend(command.filter(|_| is_new));
        appended.overruled.push(overrules.filter(|_| is_new));
        appended.outcomes.push(outcome);
    }
    if appended.entries.is_empty() {
        return Folded { appended, snapshot: None };
    }
    let snapshot = commit_state_if_due(log, snapshots, host, &mut appended);
    Folded { appended, snapshot }
}

/// Commits in the record to the state of the site, once in [`gemba_record::limits::ENTRIES_PER_STATE`] entries.
/// Returns the bytes of that state.
fn commit_state_if_due(
    log: &mut Log,
    snapshots: &mut Snapshots,
    host: &SigningKey,
    appended: &mut Appended,
) -> Option<Vec<u8>> {
    let entries = log.entries();
    let site = log.site()?;
    // A copy follows the host's word on the state.
    if !snapshots.is_due(entries) || site.host_key() != Some(peer_key(host)) {
        return None;
    }
    let author = Author::of(site, host.clone());
    snapshots.tried(entries);
    let (snapshot, digest) = log.snapshot_and_digest()?;
    // The same state is never committed to twice, so that its digest makes an id as good as a random one.
    let (id, _) = digest.split_first_chunk::<16>().expect("a digest has 32 bytes");
    let entry = author.sign(Body::CommitState { digest }, EntryId(*id));
    let bytes = entry.bytes().to_vec();
    match log.append_signed(entry) {
        Ok(_) => appended.entries.push(bytes),
        Err(why) => {
            tracing::error!(%why, "the record refuses the host's word on the state of the site");
            return None;
        }
    }
    Some(snapshot)
}

/// The thing that an entry puts somewhere or takes away.
fn placed_by(body: &Body) -> Option<ThingId> {
    match body {
        Body::EditThing(Edit { thing, change: Change::Move(_) | Change::Retire(_), .. }) => Some(*thing),
        _ => None,
    }
}

/// The entry that this one overrules without its author's knowledge.
fn overruled_by(log: &Log, entry: &Preverified) -> Option<u64> {
    let entry = entry.entry()?;
    let Body::EditThing(edit) = &entry.body else { return None };
    let conflict = log.site()?.conflict(&entry.author, edit)?;
    Some(conflict.overruled)
}

/// Refuses what is dated far ahead of the host's clock.
fn refuse_ahead(entry: &mut Preverified, now: Option<Timestamp>) {
    let at = entry.entry().and_then(|entry| entry.at);
    let ahead = now.zip(at).map_or(0, |(now, at)| at.micros_since(now));
    if ahead > limits::CLOCK_AHEAD_MICROS {
        entry.refuse(Refusal::ClockAhead(ahead / 1_000_000));
    }
}
