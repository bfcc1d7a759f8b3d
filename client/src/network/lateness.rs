//! How old the others' poses are when they arrive. What is shown lies a little behind the quickest of them: those that are
//! older than that come too late to be moved towards.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use gemba_twin::sample::Timestamp;

/// Poses of which the age is known: half a minute of one person who walks.
const KEPT: usize = 1024;

/// Ages of the newest poses.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    newest: BTreeMap<u16, Timestamp>,
    ages_ms: VecDeque<f32>,
}

impl Lateness {
    /// The newest pose of each who is here, at `now` on the host's clock.
    pub(super) fn note(&mut self, newest: impl Iterator<Item = (u16, Timestamp)>, now: Timestamp) {
        let before = std::mem::take(&mut self.newest);
        for (peer, at) in newest {
            // Of the first one nobody knows how long it had been there.
            if before.get(&peer).is_some_and(|known| *known != at) {
                self.ages_ms.push_back(now.micros_since(at) as f32 / 1000.0);
            }
            self.newest.insert(peer, at);
        }
        let surplus = self.ages_ms.len().saturating_sub(KEPT);
        self.ages_ms.drain(..surplus);
    }

    /// The age that this share of them did not exceed, ms; none before anybody has moved.
    pub(super) fn age_ms(&self, share: f64) -> Option<f32> {
        let mut ages: Vec<f32> = self.ages_ms.iter().copied().collect();
        ages.sort_by(f32::total_cmp);
        let at = (ages.len().checked_sub(1)? as f64 * share).round() as usize;
        ages.get(at).copied()
    }

    /// Share of them that were older than the quickest by more than this; none before anybody has moved.
    pub(super) fn late(&self, behind: Duration) -> Option<f32> {
        let most = self.age_ms(0.0)? + behind.as_secs_f32() * 1000.0;
        let late = self.ages_ms.iter().filter(|age| **age > most).count();
        (!self.ages_ms.is_empty()).then(|| late as f32 / self.ages_ms.len() as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pose_counts_once_and_the_first_of_a_person_not_at_all() {
        let mut lateness = Lateness::default();
        let at = |ms: i64| Timestamp(ms * 1000);
        lateness.note([(1, at(0))].into_iter(), at(5000));
        assert_eq!((lateness.age_ms(0.5), lateness.late(Duration::ZERO)), (None, None));
        for ms in [100, 200, 300] {
            lateness.note([(1, at(ms))].into_iter(), at(ms + 40));
            lateness.note([(1, at(ms))].into_iter(), at(ms + 56));
        }
        lateness.note([(1, at(400))].into_iter(), at(490));
        assert_eq!((lateness.age_ms(0.5), lateness.age_ms(1.0)), (Some(40.0), Some(90.0)));
        assert_eq!(lateness.late(Duration::from_millis(40)), Some(0.25));
    }
}
