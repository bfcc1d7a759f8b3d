//! Signatures of many entries looked at by all cores, for a log that then folds the entries on one, in order, with the
//! outcome they have one by one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use gemba_record::entry::UnverifiedEntry;
use gemba_record::log::{Claimed, Log, Preverified};

use crate::limits;

/// How many cores there are. Asked once: the answer lies in several of the system's files, and to read them for each commit
/// takes longer than to verify the few entries of a small one.
static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

type Task = Box<dyn FnOnce() + Send>;

/// Threads that are there when a commit needs them, one for each core: starting one takes as long as to verify several
/// entries. What they are given they do in that order; they end with the process.
static WORKERS: LazyLock<mpsc::Sender<Task>> = LazyLock::new(|| {
    let (work, waiting) = mpsc::channel::<Task>();
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..*CORES {
        let waiting = waiting.clone();
        std::thread::spawn(move || {
            let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
            while let Ok(task) = next() {
                // Whoever gave it notices, since its answer does not come; the next task is another's.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(task));
            }
        });
    }
    work
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
    std::thread::scope(|scope| {
        let first = shares.remove(0);
        let others: Vec<_> = shares.into_iter().map(|share| scope.spawn(|| verify(share))).collect();
        let mut verified = verify(first);
        for other in others {
            // A thread that panics is a bug of ours, and no entry of its share may be taken for verified.
            verified.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        verified
    })
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
    let read = entries.into_iter().map(UnverifiedEntry::read).collect();
    let mut claimed = log.claim_all(read).into_iter();
    let mut shares = VecDeque::new();
    while claimed.len() > 0 {
        shares.push_back((shares.len(), claimed.by_ref().take(limits::ENTRIES_PER_SHARE).collect::<Vec<_>>()));
    }
    let (count, shares) = (shares.len(), Mutex::new(shares));
    // The earliest share that nobody has taken, verified.
    let verify_next = Arc::new(move || {
        let (number, share) = shares.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
        Some((number, Claimed::verify_all(share, &verifier)))
    });
    let (done, verified) = mpsc::channel();
    for _ in 1..threads.min(count) {
        let (done, verify_next) = (done.clone(), verify_next.clone());
        // Nobody listens any more only where the thread that folds has panicked.
        let task: Task = Box::new(move || while verify_next().is_some_and(|share| done.send(share).is_ok()) {});
        // Without workers, which end only with the process, this thread does all.
        let _ = WORKERS.send(task);
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
}
