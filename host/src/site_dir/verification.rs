//! Signatures of many entries looked at by all cores, for a log that then folds the entries on one, in order, with the
//! outcome they have one by one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use gemba_record::entry::UnverifiedEntry;
use gemba_record::log::{Claimed, Log, Preverified};
use gemba_record::signature::Verifier;

use crate::limits;

/// How many cores there are. Asked once: the answer lies in several of the system's files, and to read them for each commit
/// takes longer than to verify the few entries of a small one.
static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

type Task = Box<dyn FnOnce() + Send>;

/// Threads that are there when a commit needs them, one for each further core: starting one takes as long as to verify several
/// entries. What they are given they do in that order; they end with the process.
static WORKERS: LazyLock<mpsc::Sender<Task>> = LazyLock::new(|| {
    let (work, waiting) = mpsc::channel::<Task>();
    let waiting = Arc::new(Mutex::new(waiting));
    // Who gives them something to do works too.
    for _ in 1..*CORES {
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

/// Entries whose signatures are looked at by all cores, a few ahead of the one that folds them. What the log says when they
/// are claimed is what keys are looked up by; appending finds out where that has changed since.
pub(crate) struct Verification {
    /// Not claimed yet.
    entries: std::vec::IntoIter<Vec<u8>>,
    /// The bytes of those that are claimed and not given out.
    bytes: VecDeque<Vec<u8>>,
    shares: Arc<Mutex<VecDeque<Share>>>,
    done: mpsc::Sender<Looked>,
    verified: mpsc::Receiver<Looked>,
    ready: BTreeMap<usize, Vec<Preverified>>,
    /// Shares that were made, and those that were begun to be given out.
    made: usize,
    begun: usize,
    /// Of the share that is being given out.
    current: std::vec::IntoIter<Preverified>,
}

/// The number of a share, with what was found; or with what its thread panicked of.
type Looked = (usize, std::thread::Result<Vec<Preverified>>);

/// What a thread looks at in one go.
struct Share {
    number: usize,
    claimed: Vec<Claimed>,
    verifier: Verifier,
}

impl Share {
    fn verify(self) -> Looked {
        let Self { number, claimed, verifier } = self;
        let verify = std::panic::AssertUnwindSafe(|| Claimed::verify_all(claimed, &verifier));
        (number, std::panic::catch_unwind(verify))
    }
}

fn earliest(shares: &Mutex<VecDeque<Share>>) -> Option<Share> {
    shares.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

impl Verification {
    /// Of these, in this order. Nothing is looked at before the first is asked for.
    pub(crate) fn begin(entries: Vec<Vec<u8>>) -> Self {
        let (done, verified) = mpsc::channel();
        Self {
            entries: entries.into_iter(),
            bytes: VecDeque::new(),
            shares: Arc::default(),
            done,
            verified,
            ready: BTreeMap::new(),
            made: 0,
            begun: 0,
            current: Vec::new().into_iter(),
        }
    }

    /// Whether all have been given out.
    pub(crate) fn is_over(&self) -> bool {
        self.bytes.is_empty() && self.entries.len() == 0
    }

    /// The next one, with its bytes, to be appended to this log before the one after it is asked for.
    pub(crate) fn next(&mut self, log: &Log) -> Option<(Vec<u8>, Preverified)> {
        if self.current.len() == 0 {
            self.claim(log);
            self.current = self.next_share()?.into_iter();
        }
        self.bytes.pop_front().zip(self.current.next())
    }

    /// Keeps some shares ahead of those that are given out, and calls the other cores to them.
    fn claim(&mut self, log: &Log) {
        while self.entries.len() > 0 && self.made - self.begun <= limits::SHARES_AHEAD {
            let share: Vec<_> = self.entries.by_ref().take(limits::ENTRIES_PER_SHARE).collect();
            self.bytes.extend(share.iter().cloned());
            let claimed = log.claim_all(share.into_iter().map(UnverifiedEntry::read).collect());
            let share = Share { number: self.made, claimed, verifier: log.verifier().sharing_tables() };
            let alone = self.made == self.begun && share.claimed.len() <= limits::ENTRIES_PER_THREAD;
            self.shares.lock().unwrap_or_else(PoisonError::into_inner).push_back(share);
            self.made += 1;
            if *CORES > 1 && !alone {
                let (done, shares) = (self.done.clone(), self.shares.clone());
                // Who asks for it may have done it by then, or listen no more. Without workers, which end only with the
                // process, it does all.
                let _ = WORKERS.send(Box::new(move || {
                    earliest(&shares).map(|share| done.send(share.verify()));
                }));
            }
        }
    }

    fn next_share(&mut self) -> Option<Vec<Preverified>> {
        if self.begun == self.made {
            return None;
        }
        loop {
            let verified: Vec<Looked> = self.verified.try_iter().collect();
            verified.into_iter().for_each(|looked| self.keep(looked));
            if let Some(share) = self.ready.remove(&self.begun) {
                self.begun += 1;
                return Some(share);
            }
            // Rather than to wait for others, look at signatures too.
            let more = earliest(&self.shares).map(Share::verify).or_else(|| self.verified.recv().ok());
            self.keep(more.expect("every share is verified here or by a thread that sends it"));
        }
    }

    fn keep(&mut self, (number, verified): Looked) {
        // A thread that panics is a bug of ours, and no entry of its share may be taken for verified.
        self.ready.insert(number, verified.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    }
}
