//! How long a person waits for an instant: from asking for it until it has been drawn.

use std::collections::VecDeque;
use std::time::Instant;

use gemba_twin::sample::Timestamp;

/// Waits kept for the report.
const WAITS: usize = 1000;

/// Frames after the one that takes an instant in: during the next one it is rendered, and by the second it is done.
const FRAMES: u32 = 2;

/// The instant that is waited for, and how long the ones before were.
#[derive(Debug, Default)]
pub(super) struct Showing {
    asked: Option<(Timestamp, Instant)>,
    frames: u32,
    ms: VecDeque<f64>,
}

impl Showing {
    /// Another instant is asked for, to stand there; or none any more.
    pub(super) fn ask(&mut self, instant: Option<Timestamp>, now: Instant) {
        self.asked = instant.map(|instant| (instant, now));
        self.frames = 0;
    }

    /// A frame begins, and this is the instant that the one before has taken in.
    pub(super) fn begin_frame(&mut self, shown: Option<Timestamp>, now: Instant) {
        let Some((instant, since)) = self.asked else { return };
        self.frames = if shown == Some(instant) { self.frames + 1 } else { 0 };
        if self.frames == FRAMES {
            self.asked = None;
            if self.ms.len() == WAITS {
                self.ms.pop_front();
            }
            self.ms.push_back((now - since).as_secs_f64() * 1000.0);
        }
    }

    /// Whether what was asked for has been drawn.
    pub(super) fn is_over(&self) -> bool {
        self.asked.is_none()
    }

    /// How long `fraction` of the recent ones were waited for at most, milliseconds.
    pub(super) fn ms(&self, fraction: f64) -> Option<f64> {
        let mut ms: Vec<f64> = self.ms.iter().copied().collect();
        ms.sort_by(f64::total_cmp);
        let at = (ms.len().checked_sub(1)? as f64 * fraction).round() as usize;
        ms.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_instant_counts_as_shown_when_it_has_been_drawn_and_one_that_was_replaced_never() {
        let (begun, mut showing) = (Instant::now(), Showing::default());
        let at = |ms| begun + Duration::from_millis(ms);
        let [first, second] = [1, 2].map(Timestamp::from_secs);
        showing.ask(Some(first), at(0));
        showing.begin_frame(None, at(10));
        showing.ask(Some(second), at(20));
        showing.begin_frame(Some(first), at(30));
        showing.begin_frame(Some(second), at(40));
        assert!(!showing.is_over() && showing.ms(0.5).is_none(), "it is being rendered");
        showing.begin_frame(Some(second), at(50));
        assert_eq!((showing.is_over(), showing.ms(1.0)), (true, Some(30.0)));
        showing.ask(Some(first), at(60));
        showing.ask(None, at(70));
        assert!(showing.is_over(), "back to live nobody waits");
    }
}
