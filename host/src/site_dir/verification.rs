//! Signatures of many entries looked at by all cores, for a log that then folds the entries on one, in order, with the
//! outcome they have one by one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc;
use std::sync::{LazyLock, Mutex, PoisonError};

use gemba_record::entry::UnverifiedEntry;
use gemba_record::log::{Claimed, Log, Preverified};
use gemba_record::refusal::Refusal;

use crate::limits;

/// How many cores there are. Asked once: the answer lies in several of the system's files, and to read them for each commit
/// takes longer than to verify the few entries of a small one.
static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

/// Threads that are there when a commit needs them: starting one takes longer than to verify the entries of a small commit.
/// One more than there are cores, since one at a time waits for a disk.
pub(super) static WORKERS: LazyLock<rayon::ThreadPool> = LazyLock::new(|| {
    let workers = rayon::ThreadPoolBuilder::new().num_threads(*CORES + 1).thread_name(|n| format!("verifier-{n}"));
    workers.build().expect("the system gives a process a few threads")
});

/// Does for each entry what [`Log::append`] does before it changes anything, by several threads where that pays.
pub(crate) fn preverify_all(log: &Log, entries: Vec<Vec<u8>>) -> Vec<Preverified> {
    let verify = |share: Vec<Vec<u8>>| log.preverify_all(share);
    let threads = *CORES;
    let share = entries.len().div_ceil(threads).max(limits::ENTRIES_PER_THREAD);
    if share >= entries.len() {
        return verify(entries);
    }
    let mut shares = Vec::new();
    let mut entries = entries.into_iter();
    while entries.len() > 0 {
        shares.push(entries.by_ref().take(share).collect::<Vec<_>>());
    }
    in_order(shares, verify)
}

/// Does this to each share, by several threads; what comes of them is in the shares' order.
fn in_order<S: Send, T: Send>(shares: Vec<S>, act: impl Fn(S) -> Vec<T> + Sync) -> Vec<T> {
    let mut done: Vec<Vec<T>> = shares.iter().map(|_| Vec::new()).collect();
    let mut work = shares.into_iter().zip(&mut done);
    let first = work.next();
    WORKERS.in_place_scope(|scope| {
        for (share, done) in work {
            let act = &act;
            scope.spawn(move |_| *done = act(share));
        }
        if let Some((share, done)) = first {
            *done = act(share);
        }
    });
    done.into_iter().flatten().collect()
}

/// Gives each entry to `take`, in order, with its signature looked at, as [`preverify_all`] does; but while the first ones
/// are taken and change the log, other cores look at those behind them. What the log said when it began is what keys are
/// looked up by; `take` finds out where that has changed.
pub(crate) fn take_all(log: &mut Log, entries: Vec<Vec<u8>>, mut take: impl FnMut(&mut Log, Preverified)) {
    let threads = *CORES;
    if threads == 1 || entries.len() <= limits::ENTRIES_PER_THREAD {
        return log.preverify_all(entries).into_iter().for_each(|entry| take(log, entry));
    }
    let verifier = log.verifier().sharing_tables();
    let mut claimed = log.claim_all(read_all(entries, threads)).into_iter();
    let mut shares = VecDeque::new();
    while claimed.len() > 0 {
        shares.push_back((shares.len(), claimed.by_ref().take(limits::ENTRIES_PER_SHARE).collect::<Vec<_>>()));
    }
    let (count, shares) = (shares.len(), Mutex::new(shares));
    // The earliest share that nobody has taken, verified.
    let verify_next = || {
        let (number, share) = shares.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
        Some((number, Claimed::verify_all(share, &verifier)))
    };
    WORKERS.in_place_scope(|scope| {
        let (done, verified) = mpsc::channel();
        for _ in 1..threads {
            let (done, verify_next) = (done.clone(), &verify_next);
            // Nobody listens any more only where this thread's own part has panicked.
            scope.spawn(move |_| while verify_next().is_some_and(|share| done.send(share).is_ok()) {});
        }
        drop(done);
        let mut ready: BTreeMap<usize, Vec<Preverified>> = BTreeMap::new();
        for number in 0..count {
            ready.extend(verified.try_iter());
            while !ready.contains_key(&number) {
                // Rather than to wait for others, look at signatures too.
                let more = verify_next().or_else(|| verified.recv().ok());
                ready.extend([more.expect("every share is verified here or by a thread that sends it")]);
                ready.extend(verified.try_iter());
            }
            let share = ready.remove(&number).expect("it has just been seen");
            share.into_iter().for_each(|entry| take(log, entry));
        }
    });
}

/// Reads each of these, by several threads.
fn read_all(entries: Vec<Vec<u8>>, threads: usize) -> Vec<Result<UnverifiedEntry, Refusal>> {
    let read = |share: Vec<Vec<u8>>| share.into_iter().map(UnverifiedEntry::read).collect::<Vec<_>>();
    let share = entries.len().div_ceil(threads);
    let mut entries = entries.into_iter();
    let mut shares = Vec::new();
    while entries.len() > 0 {
        shares.push(entries.by_ref().take(share).collect());
    }
    in_order(shares, read)
}
