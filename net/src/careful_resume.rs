//! What was under way at once to peers' addresses lately, and when a connection for bulk may begin with as much: "careful
//! resume" (draft-ietf-tsvwg-careful-resume, whose words these are). A newcomer from an office where somebody else has been
//! is spared most doublings of a slow start, each a round trip.
//!
//! - Reconnaissance: it begins as every connection does. When the first packets have arrived without loss, and as soon as
//!   they did then, half of what was saved is put under way at once ([`Jump`]).
//! - Unvalidated: what arrives of what was under way before that does not make it more.
//! - When all of it has arrived without loss, all is as ever. When something is lost first, half of what has arrived is what
//!   is left, nothing stays saved, and growth goes on as after any loss.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits;

/// How long what was saved is believed.
const BELIEVED: Duration = Duration::from_secs(3600);
/// Packets that must have arrived first: as many as RFC 9002 lets anybody begin with.
const FIRST_PACKETS: u64 = 10;
/// Least and most of the saved round trip with which the route is still taken for the same.
const SAME_ROUTE: (f64, f64) = (0.5, 10.0);

/// What connections for bulk to an address have found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Saved {
    /// Bytes that were under way at once, at most, with none of them lost.
    pub(crate) bytes: u64,
    /// The shortest round trip.
    pub(crate) round_trip: Duration,
    /// When.
    pub(crate) at: Instant,
}

/// What is saved of each address; of IPv6, of each network of 64 bits, since a peer changes the other half often
/// (RFC 8981).
#[derive(Debug, Default)]
pub(crate) struct SavedWindows(Mutex<HashMap<IpAddr, Saved>>);

fn network(to: IpAddr) -> IpAddr {
    match to.to_canonical() {
        IpAddr::V6(to) => Ipv6Addr::from_bits(to.to_bits() >> 64 << 64).into(),
        to @ IpAddr::V4(_) => to,
    }
}

impl SavedWindows {
    /// What is saved of this address, if it is not too old.
    pub(crate) fn recall(&self, to: IpAddr, now: Instant) -> Option<Saved> {
        let known = self.known().get(&network(to)).copied();
        known.filter(|saved| now.saturating_duration_since(saved.at) < BELIEVED)
    }

    /// So much was under way; less than is known of the last hour says nothing.
    pub(crate) fn note(&self, to: IpAddr, saved: Saved) {
        let (mut known, to) = (self.known(), network(to));
        let is_news =
            |before: &Saved| before.bytes < saved.bytes || saved.at.saturating_duration_since(before.at) >= BELIEVED;
        if known.get(&to).is_some_and(|before| !is_news(before)) {
            return;
        }
        if known.len() >= limits::SAVED_WINDOWS && !known.contains_key(&to) {
            let oldest = known.iter().min_by_key(|(_, saved)| saved.at).map(|(to, _)| *to);
            oldest.map(|oldest| known.remove(&oldest));
        }
        known.insert(to, saved);
    }

    /// Something was lost while more than this was under way.
    pub(crate) fn lower(&self, to: IpAddr, bytes: u64) {
        if let Some(saved) = self.known().get_mut(&network(to)) {
            saved.bytes = saved.bytes.min(bytes);
        }
    }

    /// What was saved has turned out to be too much.
    pub(crate) fn forget(&self, to: IpAddr) {
        self.known().remove(&network(to));
    }

    fn known(&self) -> MutexGuard<'_, HashMap<IpAddr, Saved>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a connection has sent, or may send, what was saved. Decides only.
#[derive(Debug, Clone)]
pub(crate) enum Jump {
    /// Not before the route has shown that it is the same: so many bytes have arrived.
    Reconnaissance { remembered: Saved, arrived: u64 },
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

impl Jump {
    /// Of a connection to an address of which this is saved.
    pub(crate) fn begin(remembered: Option<Saved>) -> Self {
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
                if half <= window || !(SAME_ROUTE.0..=SAME_ROUTE.1).contains(&share) {
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

    fn saved(bytes: u64, at: Instant) -> Saved {
        Saved { bytes, round_trip: ROUND_TRIP, at }
    }

    #[test]
    fn half_of_what_was_saved_is_sent_once_ten_packets_have_arrived_as_soon_as_then() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let mut jump = Jump::begin(Some(saved(1_000_000, begun)));
        for _ in 0..9 {
            assert_eq!(jump.handle_ack((at(50), at(0)), MTU, ROUND_TRIP, 40_000, MTU), Growth::Usual);
        }
        assert_eq!(jump.handle_ack((at(51), at(1)), MTU, ROUND_TRIP, 50_000, MTU), Growth::To(500_000));
        assert_eq!(jump.handle_ack((at(60), at(10)), MTU, ROUND_TRIP, 500_000, MTU), Growth::None, "sent before");
        assert_eq!(jump.handle_ack((at(101), at(51)), 499_000, ROUND_TRIP, 500_000, MTU), Growth::Usual);
        assert!(matches!(jump, Jump::Unvalidated { .. }));
        assert_eq!(jump.handle_ack((at(102), at(52)), 1_000, ROUND_TRIP, 900_000, MTU), Growth::Usual);
        assert_eq!(jump.handle_loss(), None, "all of it has arrived: a loss is one as any");
    }

    #[test]
    fn another_route_or_a_loss_before_it_begins_as_ever() {
        let begun = Instant::now();
        let ack = |jump: &mut Jump, shortest| jump.handle_ack((begun, begun), 10 * MTU, shortest, 50_000, MTU);
        for millis in [20, 600] {
            let mut jump = Jump::begin(Some(saved(1_000_000, begun)));
            assert_eq!(ack(&mut jump, Duration::from_millis(millis)), Growth::Usual, "{millis} ms are another route's");
            assert_eq!(ack(&mut jump, ROUND_TRIP), Growth::Usual, "for good");
        }
        let mut jump = Jump::begin(Some(saved(1_000_000, begun)));
        assert_eq!(jump.handle_loss(), None);
        assert_eq!(ack(&mut jump, ROUND_TRIP), Growth::Usual);
        assert_eq!(ack(&mut Jump::begin(Some(saved(90_000, begun))), ROUND_TRIP), Growth::Usual, "it has as much");
        assert_eq!(ack(&mut Jump::begin(None), ROUND_TRIP), Growth::Usual);
    }

    #[test]
    fn what_was_too_much_leaves_half_of_what_has_arrived() {
        let begun = Instant::now();
        let mut jump = Jump::begin(Some(saved(1_000_000, begun)));
        jump.handle_ack((begun, begun), 10 * MTU, ROUND_TRIP, 40_000, MTU);
        jump.handle_ack((begun, begun), 120_000, ROUND_TRIP, 500_000, MTU);
        assert_eq!(jump.handle_loss(), Some(60_000));
        assert_eq!(jump.handle_loss(), None);
    }

    #[test]
    fn who_comes_from_another_address_of_the_same_network_is_known() {
        let (windows, now) = (SavedWindows::default(), Instant::now());
        let recall = |to: &str| windows.recall(to.parse().unwrap(), now).map(|saved| saved.bytes);
        windows.note("2001:db8::1:2:3:4".parse().unwrap(), saved(500, now));
        assert_eq!(recall("2001:db8::8888:1"), Some(500));
        assert_eq!(recall("2001:db8:0:1::1"), None);
        windows.note("192.0.2.1".parse().unwrap(), saved(300, now));
        assert_eq!((recall("::ffff:192.0.2.1"), recall("192.0.2.2")), (Some(300), None));
    }

    #[test]
    fn what_was_saved_is_believed_for_an_hour_and_the_oldest_makes_room() {
        let (windows, begun) = (SavedWindows::default(), Instant::now());
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        windows.note(address(1), saved(500, begun));
        windows.note(address(1), saved(100, begun));
        assert_eq!(windows.recall(address(1), begun).unwrap().bytes, 500);
        windows.lower(address(1), 400);
        windows.lower(address(1), 450);
        assert_eq!(windows.recall(address(1), begun).unwrap().bytes, 400, "what was lost was too much");
        let later = begun + BELIEVED;
        assert_eq!(windows.recall(address(1), later), None);
        windows.note(address(1), saved(100, later));
        assert_eq!(windows.recall(address(1), later).unwrap().bytes, 100);
        windows.forget(address(1));
        assert_eq!(windows.recall(address(1), later), None);
        for n in 0..=limits::SAVED_WINDOWS as u32 {
            windows.note(address(n), saved(1, begun + Duration::from_millis(n.into())));
        }
        assert_eq!(windows.recall(address(0), begun), None);
        assert!(windows.recall(address(limits::SAVED_WINDOWS as u32), begun).is_some());
    }
}
