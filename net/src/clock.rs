//! How far the host's clock is from ours, estimated from pings as NTP does (RFC 5905): the offset of the exchange with
//! the shortest round trip among the recent ones, since the least delayed answer says most. And our own clock, for the
//! edges that hand it to the cores.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gemba_twin::sample::Timestamp;

/// Our clock in the form that goes over the wire.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Exchanges kept: eight seconds at five a second.
const EXCHANGES: usize = 40;

/// Estimates the host's clock minus ours.
#[derive(Debug, Default)]
pub struct ClockEstimate {
    exchanges: VecDeque<(i64, i64)>,
}

impl ClockEstimate {
    /// Takes in one exchange: when we sent, what the host's clock said, when we received; microseconds. Returns the
    /// offset (host minus ours) and the round trip of the best recent exchange; none for an impossible one.
    pub fn exchange(&mut self, sent: i64, host: i64, received: i64) -> Option<(i64, Duration)> {
        let round_trip = received.checked_sub(sent).filter(|rtt| *rtt >= 0)?;
        let offset = host.checked_sub(sent + round_trip / 2)?;
        if self.exchanges.len() == EXCHANGES {
            self.exchanges.pop_front();
        }
        self.exchanges.push_back((round_trip, offset));
        let (round_trip, offset) = *self.exchanges.iter().min_by_key(|(rtt, _)| *rtt)?;
        Some((offset, Duration::from_micros(round_trip.unsigned_abs())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_delayed_answer_decides() {
        let mut clock = ClockEstimate::default();
        // The host is 1,000,000 ahead. The answer of the second exchange is held up for 80 ms on its way back.
        assert_eq!(clock.exchange(0, 1_002_000, 4_000), Some((1_000_000, Duration::from_millis(4))));
        assert_eq!(clock.exchange(10_000, 1_012_000, 94_000), Some((1_000_000, Duration::from_millis(4))));
        assert_eq!(clock.exchange(10, 0, 5), None, "received before it was sent");
    }
}
