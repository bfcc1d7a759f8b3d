//! The record's signed bytes as they came, with the time each was in force from, so that the plant can be folded as it was
//! at any instant. Folding begins at the nearest state before it that was put aside.

use gemba_record::log::Log;
use gemba_twin::sample::Timestamp;

/// Most bytes kept. A record that is longer can only be shown as it is now: a million small edits take about this.
const KEPT_BYTES: usize = 256 << 20;

/// States put aside at most, for whoever goes back and forth: each is a whole plant, of some 40 MB at 100,000 things.
const STATES: usize = 6;
/// Entries between two states that are worth putting aside: folding as many takes some 0.1 s.
const BETWEEN: u64 = 2048;

/// All entries of the record from the first on, or none.
#[derive(Debug, Default)]
pub(super) struct KeptEntries {
    entries: Vec<Vec<u8>>,
    /// The record's time after each entry, which never goes back.
    times: Vec<Timestamp>,
    bytes: usize,
    is_given_up: bool,
    /// In ascending order of their entries.
    states: Vec<Log>,
}

impl KeptEntries {
    /// Keeps the next entry, after which the record's time is `time`.
    pub(super) fn keep(&mut self, entry: &[u8], time: Timestamp) {
        self.bytes += entry.len();
        self.is_given_up |= self.bytes > KEPT_BYTES;
        if self.is_given_up {
            *self = Self { is_given_up: true, ..Self::default() };
        } else {
            self.entries.push(entry.to_vec());
            self.times.push(time);
        }
    }

    /// One entry; none if it is not kept.
    pub(super) fn entry(&self, index: u64) -> Option<&[u8]> {
        self.entries.get(usize::try_from(index).ok()?).map(Vec::as_slice)
    }

    /// How many entries were in force at an instant: all that are not dated after it, and at least the first, which
    /// founds the site. None if they are not kept.
    pub(super) fn in_force_at(&self, instant: Timestamp) -> Option<u64> {
        if self.entries.is_empty() {
            return None;
        }
        Some(self.times.partition_point(|time| *time <= instant).max(1) as u64)
    }

    /// The record of the first `count` entries; none if they are not kept.
    pub(super) fn fold(&mut self, count: u64) -> Option<Log> {
        let wanted = usize::try_from(count).ok().filter(|count| *count <= self.entries.len())?;
        let nearest = self.states.iter().rev().find(|state| state.entries() <= count);
        let mut log = nearest.cloned().unwrap_or_default();
        let begin = log.entries();
        // They have been verified once already as they came, so that none can be refused.
        let missing = self.entries.get(usize::try_from(begin).ok()?..wanted)?;
        missing.iter().try_for_each(|entry| log.replay_next_under_checkpoint(entry.clone())).ok()?;
        if log.entries() - begin >= BETWEEN {
            self.put_aside(log.clone());
        }
        Some(log)
    }

    /// Of too many states, the one goes that leaves the smallest gap.
    fn put_aside(&mut self, state: Log) {
        let at = self.states.partition_point(|held| held.entries() < state.entries());
        self.states.insert(at, state);
        if self.states.len() > STATES {
            let before = |i: usize| if i == 0 { 0 } else { self.states[i - 1].entries() };
            let gap = |i: &usize| self.states.get(i + 1).map_or(u64::MAX, |next| next.entries() - before(*i));
            let least = (0..self.states.len()).min_by_key(gap).expect("there is one more than allowed");
            self.states.remove(least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use gemba_record::author::Author;
    use gemba_record::body::Body;
    use gemba_record::entry::{EntryId, SiteId};

    #[test]
    fn a_record_too_long_to_keep_is_not_folded_in_part() {
        let mut kept = KeptEntries::default();
        kept.keep(&[1], Timestamp(0));
        kept.keep(&vec![0; KEPT_BYTES], Timestamp(0));
        kept.keep(&[2], Timestamp(0));
        assert!(kept.fold(1).is_none() && kept.entries.is_empty());
        assert_eq!(kept.in_force_at(Timestamp(9)), None, "it is shown as it is now");
    }

    #[test]
    fn the_record_at_an_instant_is_what_was_dated_until_then_however_one_came_there() {
        let author = Author::new(SigningKey::from_bytes(&[7; 32]), SiteId([1; 16]));
        let (mut log, mut kept) = (Log::new(), KeptEntries::default());
        let count = 3 * BETWEEN + 100;
        for n in 0..count {
            let body = match n {
                0 => Body::Found { name: "Plant".to_owned(), host: author.key() },
                n => Body::Admit {
                    peer: author.key(),
                    kind: gemba_twin::peer::PeerKind::Host,
                    name: format!("name {n}"),
                    role: gemba_record::role::Role::Owner,
                },
            };
            let mut id = [0; 16];
            id[..8].copy_from_slice(&n.to_be_bytes());
            let entry = author.clone().at(Timestamp::from_secs(n as i64)).sign(body, EntryId(id));
            let bytes = entry.bytes().to_vec();
            log.append_signed(entry).unwrap();
            kept.keep(&bytes, log.site().unwrap().time());
        }
        let name = |kept: &mut KeptEntries, secs: i64| {
            let count = kept.in_force_at(Timestamp::from_secs(secs)).unwrap();
            let log = kept.fold(count).unwrap();
            (log.entries(), log.site().unwrap().peer(&author.key()).unwrap().name.clone())
        };
        for secs in [6000, 5999, 2500, 100, 4400, 6000, 2100, 6200, 3000, 4100] {
            assert_eq!(name(&mut kept, secs), (secs as u64 + 1, format!("name {secs}")));
            assert!(kept.states.len() <= STATES && kept.states.is_sorted_by_key(Log::entries));
        }
        assert_eq!(name(&mut kept, -5).0, 1, "before it was founded there is nothing else to show");
        assert_eq!(name(&mut kept, 1_000_000).0, count);
    }
}
