//! How a host keeps its beat: how long its bursts take, and how many it has left out. Counted in buckets of a quarter of an
//! octave, so that it costs nothing to keep for ever.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Four for each doubling, from a microsecond to four seconds.
const BUCKETS: usize = 88;

/// Bursts since the host began.
#[derive(Debug)]
pub(crate) struct Beat {
    bursts: [AtomicU64; BUCKETS],
    skipped: AtomicU64,
}

impl Default for Beat {
    fn default() -> Self {
        Self { bursts: std::array::from_fn(|_| AtomicU64::new(0)), skipped: AtomicU64::new(0) }
    }
}

impl Beat {
    /// A burst took so long.
    pub(crate) fn note(&self, took: Duration) {
        self.bursts[bucket(took)].fetch_add(1, Relaxed);
    }

    /// So much time passed between two ticks, of which one is due in every `tick`.
    pub(crate) fn note_tick(&self, passed: Duration, tick: Duration) {
        let missed = passed.as_micros() / tick.as_micros().max(1);
        self.skipped.fetch_add(u64::try_from(missed).unwrap_or(u64::MAX).saturating_sub(1), Relaxed);
    }

    /// How many there were.
    pub(crate) fn bursts(&self) -> u64 {
        self.bursts.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Ticks that came too late by a whole one or more.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Relaxed)
    }

    /// How long 99 in 100 took at most, a fifth too much at worst.
    pub(crate) fn p99(&self) -> Duration {
        let mut left = self.bursts() * 99 / 100;
        for (number, count) in self.bursts.iter().enumerate() {
            let count = count.load(Relaxed);
            if count > left {
                return Duration::from_nanos((1000.0 * 2f64.powf((number + 1) as f64 / 4.0)) as u64);
            }
            left -= count;
        }
        Duration::ZERO
    }
}

fn bucket(took: Duration) -> usize {
    let micros = took.as_nanos() as f64 / 1000.0;
    ((micros.max(1.0).log2() * 4.0) as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_of_a_hundred_bursts_does_not_hide_how_long_the_others_take() {
        let beat = Beat::default();
        assert_eq!(beat.p99(), Duration::ZERO);
        (0..990).for_each(|_| beat.note(Duration::from_micros(1000)));
        (0..9).for_each(|_| beat.note(Duration::from_millis(50)));
        assert!((1000..1250).contains(&beat.p99().as_micros()), "{:?}", beat.p99());
        (0..9).for_each(|_| beat.note(Duration::from_secs(90)));
        assert!(beat.p99() >= Duration::from_millis(50), "{:?}", beat.p99());
        assert_eq!(beat.bursts(), 1008);
    }

    #[test]
    fn a_tick_that_comes_late_by_less_than_one_is_none_missed() {
        let beat = Beat::default();
        let tick = Duration::from_millis(10);
        [9, 10, 19, 20, 45].iter().for_each(|millis| beat.note_tick(Duration::from_millis(*millis), tick));
        assert_eq!(beat.skipped(), 1 + 3);
    }
}
