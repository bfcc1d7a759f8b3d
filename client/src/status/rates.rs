//! What is counted over the last second: frames and samples. Time is passed in.

use std::collections::VecDeque;

/// Length of the window, seconds.
const WINDOW_SECS: f64 = 1.0;
/// Most frames remembered: a second at the fastest display.
const FRAMES: usize = 1000;

/// Rates of one counter and of the calls themselves.
#[derive(Debug, Default)]
pub(super) struct Rates {
    seen: VecDeque<(f64, u64)>,
}

impl Rates {
    /// Notes a frame at `now_secs`, with the counter as it stands.
    pub(super) fn note(&mut self, now_secs: f64, count: u64) {
        self.seen.push_back((now_secs, count));
        // One from before the window is kept, so that the window is covered wholly.
        while self.seen.len() > FRAMES || self.seen.get(1).is_some_and(|(at, _)| now_secs - at >= WINDOW_SECS) {
            self.seen.pop_front();
        }
    }

    fn span(&self) -> Option<(f64, u64)> {
        let ((first_at, first), (last_at, last)) = (self.seen.front()?, self.seen.back()?);
        let secs = last_at - first_at;
        (secs > 0.0).then(|| (secs, last.saturating_sub(*first)))
    }

    /// Frames a second.
    pub(super) fn frames(&self) -> Option<f64> {
        let (secs, _) = self.span()?;
        Some((self.seen.len() - 1) as f64 / secs)
    }

    /// Counts a second.
    pub(super) fn counts(&self) -> Option<f64> {
        let (secs, counted) = self.span()?;
        Some(counted as f64 / secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_pace_is_measured_exactly() {
        let mut rates = Rates::default();
        (0..200u64).for_each(|frame| rates.note(frame as f64 / 50.0, frame * 6));
        assert!((rates.frames().unwrap() - 50.0).abs() < 1e-6);
        assert!((rates.counts().unwrap() - 300.0).abs() < 1e-6);
    }

    #[test]
    fn silence_brings_the_count_to_nothing_within_a_second() {
        let mut rates = Rates::default();
        rates.note(0.0, 0);
        rates.note(0.5, 100);
        (0..30).for_each(|frame| rates.note(1.0 + f64::from(frame) * 0.05, 100));
        assert_eq!(rates.counts(), Some(0.0));
    }

    #[test]
    fn one_frame_is_no_rate() {
        let mut rates = Rates::default();
        rates.note(3.0, 9);
        assert_eq!((rates.frames(), rates.counts()), (None, None));
    }
}
