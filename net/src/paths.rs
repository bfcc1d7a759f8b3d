//! What the paths to peers' addresses have carried lately, and when a connection for bulk may send as much at once as is
//! remembered of its own: "careful resume" (draft-ietf-tsvwg-careful-resume, whose phases these are). A newcomer from an
//! office where somebody else has been is spared most doublings of a slow start, each a round trip.
//!
//! - Reconnaissance: it begins as every connection does. When the first packets have arrived without loss, and as soon as
//!   they did when the path was known, half of what that carried is put under way at once ([`Leap`]).
//! - Unvalidated: what arrives of what was under way before that does not make it more.
//! - When all of it has arrived without loss, all is as ever. When something is lost first, half of what has arrived is what
//!   is left, nothing is remembered of the path, and growth goes on as after any loss.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits;

/// How long what a path has carried is believed.
const BELIEVED: Duration = Duration::from_secs(3600);
/// Packets that must have arrived first: as many as RFC 9002 lets anybody begin with.
const FIRST_PACKETS: u64 = 10;
/// Least and most of the remembered round trip that is still the same path's.
const SAME_PATH: (f64, f64) = (0.5, 10.0);

/// What a path has carried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Carried {
    /// Bytes that were under way at once, at most, with none of them lost.
    pub(crate) bytes: u64,
    /// The shortest round trip.
    pub(crate) round_trip: Duration,
    /// When.
    pub(crate) at: Instant,
}

/// The paths of a host to its peers' addresses.
#[derive(Debug, Default)]
pub(crate) struct Paths(Mutex<HashMap<IpAddr, Carried>>);

impl Paths {
    /// What the path to this address has carried, if it is known and not too long ago.
    pub(crate) fn recall(&self, to: IpAddr, now: Instant) -> Option<Carried> {
        let known = self.known().get(&to).copied();
        known.filter(|carried| now.saturating_duration_since(carried.at) < BELIEVED)
    }

    /// A path has carried so much; less than is known of the last hour says nothing.
    pub(crate) fn note(&self, to: IpAddr, carried: Carried) {
        let mut known = self.known();
        let is_news = |before: &Carried| {
            before.bytes < carried.bytes || carried.at.saturating_duration_since(before.at) >= BELIEVED
        };
        if known.get(&to).is_some_and(|before| !is_news(before)) {
            return;
        }
        if known.len() >= limits::PATHS && !known.contains_key(&to) {
            let oldest = known.iter().min_by_key(|(_, carried)| carried.at).map(|(to, _)| *to);
            oldest.map(|oldest| known.remove(&oldest));
        }
        known.insert(to, carried);
    }

    /// The path has lost something while more than this was under way.
    pub(crate) fn lower(&self, to: IpAddr, bytes: u64) {
        if let Some(carried) = self.known().get_mut(&to) {
            carried.bytes = carried.bytes.min(bytes);
        }
    }

    /// The path has lost what it is said to carry.
    pub(crate) fn forget(&self, to: IpAddr) {
        self.known().remove(&to);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<IpAddr, Carried>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a connection has sent, or may send, what its path is remembered to carry. Decides only.
#[derive(Debug, Clone)]
pub(crate) enum Leap {
    /// Not before the path has shown that it is the same: so many bytes have arrived.
    Reconnaissance { remembered: Carried, arrived: u64 },
    /// Since then so many bytes are under way at once, of which so many have arrived.
    Unvalidated { since: Instant, bytes: u64, arrived: u64 },
    /// It has not, or not any more.
    Over,
}

/// What an acknowledgement is for the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Growth {
    /// It grows as ever.
    Usual,
    /// It stays.
    None,
    /// It is so many bytes from now on.
    To(u64),
}

impl Leap {
    /// Of a connection on a path of which this is remembered.
    pub(crate) fn begin(remembered: Option<Carried>) -> Self {
        remembered.map_or(Self::Over, |remembered| Self::Reconnaissance { remembered, arrived: 0 })
    }

    /// So many bytes have arrived that were sent then; `shortest` is the connection's shortest round trip, `window` what
    /// may be under way.
    pub(crate) fn handle_ack(
        &mut self,
        (now, sent): (Instant, Instant),
        bytes: u64,
        shortest: Duration,
        window: u64,
        mtu: u64,
    ) -> Growth {
        match self {
            Self::Reconnaissance { remembered, arrived } => {
                *arrived += bytes;
                if *arrived < FIRST_PACKETS * mtu {
                    return Growth::Usual;
                }
                let half = remembered.bytes / 2;
                let share = shortest.as_secs_f64() / remembered.round_trip.as_secs_f64().max(1e-6);
                if half <= window || !(SAME_PATH.0..=SAME_PATH.1).contains(&share) {
                    *self = Self::Over;
                    return Growth::Usual;
                }
                *self = Self::Unvalidated { since: now, bytes: half, arrived: 0 };
                Growth::To(half)
            }
            Self::Unvalidated { since, bytes: whole, arrived } => {
                if sent < *since {
                    return Growth::None;
                }
                *arrived += bytes;
                if *arrived >= *whole {
                    *self = Self::Over;
                }
                Growth::Usual
            }
            Self::Over => Growth::Usual,
        }
    }

    /// Something was lost. If it was too much at once: what may be under way from now on, bytes.
    pub(crate) fn handle_loss(&mut self) -> Option<u64> {
        match std::mem::replace(self, Self::Over) {
            Self::Unvalidated { arrived, .. } => Some(arrived / 2),
            Self::Reconnaissance { .. } | Self::Over => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MTU: u64 = 1200;
    const ROUND_TRIP: Duration = Duration::from_millis(50);

    fn carried(bytes: u64, at: Instant) -> Carried {
        Carried { bytes, round_trip: ROUND_TRIP, at }
    }

    #[test]
    fn half_of_what_the_path_carried_is_sent_once_ten_packets_have_arrived_as_soon_as_then() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let mut leap = Leap::begin(Some(carried(1_000_000, begun)));
        for _ in 0..9 {
            assert_eq!(leap.handle_ack((at(50), at(0)), MTU, ROUND_TRIP, 40_000, MTU), Growth::Usual);
        }
        assert_eq!(leap.handle_ack((at(51), at(1)), MTU, ROUND_TRIP, 50_000, MTU), Growth::To(500_000));
        assert_eq!(leap.handle_ack((at(60), at(10)), MTU, ROUND_TRIP, 500_000, MTU), Growth::None, "sent before");
        assert_eq!(leap.handle_ack((at(101), at(51)), 499_000, ROUND_TRIP, 500_000, MTU), Growth::Usual);
        assert!(matches!(leap, Leap::Unvalidated { .. }));
        assert_eq!(leap.handle_ack((at(102), at(52)), 1_000, ROUND_TRIP, 900_000, MTU), Growth::Usual);
        assert_eq!(leap.handle_loss(), None, "all of it has arrived: a loss is one as any");
    }

    #[test]
    fn another_path_or_a_loss_before_it_begins_as_ever() {
        let begun = Instant::now();
        let ack = |leap: &mut Leap, shortest| leap.handle_ack((begun, begun), 10 * MTU, shortest, 50_000, MTU);
        for millis in [20, 600] {
            let mut leap = Leap::begin(Some(carried(1_000_000, begun)));
            assert_eq!(ack(&mut leap, Duration::from_millis(millis)), Growth::Usual, "{millis} ms are another path's");
            assert_eq!(ack(&mut leap, ROUND_TRIP), Growth::Usual, "for good");
        }
        let mut leap = Leap::begin(Some(carried(1_000_000, begun)));
        assert_eq!(leap.handle_loss(), None);
        assert_eq!(ack(&mut leap, ROUND_TRIP), Growth::Usual);
        assert_eq!(ack(&mut Leap::begin(Some(carried(90_000, begun))), ROUND_TRIP), Growth::Usual, "it has as much");
        assert_eq!(ack(&mut Leap::begin(None), ROUND_TRIP), Growth::Usual);
    }

    #[test]
    fn what_was_too_much_leaves_half_of_what_has_arrived() {
        let begun = Instant::now();
        let mut leap = Leap::begin(Some(carried(1_000_000, begun)));
        leap.handle_ack((begun, begun), 10 * MTU, ROUND_TRIP, 40_000, MTU);
        leap.handle_ack((begun, begun), 120_000, ROUND_TRIP, 500_000, MTU);
        assert_eq!(leap.handle_loss(), Some(60_000));
        assert_eq!(leap.handle_loss(), None);
    }

    #[test]
    fn paths_are_believed_for_an_hour_and_the_oldest_makes_room() {
        let (paths, begun) = (Paths::default(), Instant::now());
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        paths.note(address(1), carried(500, begun));
        paths.note(address(1), carried(100, begun));
        assert_eq!(paths.recall(address(1), begun).unwrap().bytes, 500);
        paths.lower(address(1), 400);
        paths.lower(address(1), 450);
        assert_eq!(paths.recall(address(1), begun).unwrap().bytes, 400, "what was lost was too much");
        let later = begun + BELIEVED;
        assert_eq!(paths.recall(address(1), later), None);
        paths.note(address(1), carried(100, later));
        assert_eq!(paths.recall(address(1), later).unwrap().bytes, 100);
        paths.forget(address(1));
        assert_eq!(paths.recall(address(1), later), None);
        for n in 0..=limits::PATHS as u32 {
            paths.note(address(n), carried(1, begun + Duration::from_millis(n.into())));
        }
        assert_eq!(paths.recall(address(0), begun), None);
        assert!(paths.recall(address(limits::PATHS as u32), begun).is_some());
    }
}
