//! Signatures of many entries looked at by all cores, for a log that then folds the entries on one, in order, with the
//! outcome they have one by one.

use gemba_record::log::{Log, Preverified};

use crate::limits;

/// Does for each entry what [`Log::append`] does before it changes anything, by several threads where that pays.
pub(crate) fn preverify_all(log: &Log, entries: Vec<Vec<u8>>) -> Vec<Preverified> {
    let verify = |share: Vec<Vec<u8>>| log.preverify_all(share);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
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
