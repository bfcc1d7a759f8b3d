//! Congestion control of connections for bulk: quinn's Cubic, which begins with what was saved of its address
//! ([`crate::careful_resume`]).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerFactory, CubicConfig};
use quinn_proto::RttEstimator;

use crate::careful_resume::{Growth, Jump, Saved, SavedWindows};

/// What a loss leaves of Cubic's window (RFC 9438, section 4.6).
const CUBIC_LEFT: f64 = 0.7;
/// What is under way is saved anew when it is more by this factor: not at every packet.
const NOTED: f64 = 1.2;

/// Cubic, and what was saved.
pub(crate) struct BulkControl {
    cubic: Box<dyn Controller>,
    jump: Jump,
    saved: Option<(Arc<SavedWindows>, IpAddr)>,
    begin_packets: u64,
    mtu: u16,
    /// Most bytes under way since something was lost, as noted last.
    noted: u64,
    shortest: Duration,
}

impl Clone for BulkControl {
    fn clone(&self) -> Self {
        let (cubic, jump, saved) = (self.cubic.clone_box(), self.jump.clone(), self.saved.clone());
        Self { cubic, jump, saved, ..*self }
    }
}

impl BulkControl {
    /// Of a connection on which nothing has been sent, and that begins with so many packets.
    pub(crate) fn new(saved: Option<(Arc<SavedWindows>, IpAddr)>, begin_packets: u64, now: Instant, mtu: u16) -> Self {
        let remembered = saved.as_ref().and_then(|(windows, to)| windows.recall(*to, now));
        let (cubic, jump) = (cubic(begin_packets * u64::from(mtu), now, mtu), Jump::begin(remembered));
        Self { cubic, jump, saved, begin_packets, mtu, noted: 0, shortest: Duration::MAX }
    }

    pub(crate) fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.cubic.on_sent(now, bytes, last_packet_number);
    }

    /// `is_bulk`: whether the connection has turned out to be for bulk; nothing is tried before.
    pub(crate) fn on_ack(
        &mut self,
        (now, sent): (Instant, Instant),
        bytes: u64,
        (is_app_limited, is_bulk): (bool, bool),
        rtt: &RttEstimator,
    ) {
        self.shortest = rtt.min();
        let growth = if is_bulk {
            self.jump.handle_ack((now, sent), bytes, self.shortest, self.cubic.window(), self.mtu.into())
        } else {
            Growth::Usual
        };
        match growth {
            Growth::Usual => self.cubic.on_ack(now, sent, bytes, is_app_limited, rtt),
            Growth::None => {}
            Growth::To(window) => self.cubic = cubic(window, now, self.mtu),
        }
    }

    pub(crate) fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        (is_app_limited, is_bulk): (bool, bool),
        largest: Option<u64>,
    ) {
        self.cubic.on_end_acks(now, in_flight, is_app_limited, largest);
        if let Some((windows, to)) =
            self.saved.as_ref().filter(|_| is_bulk && in_flight as f64 > self.noted as f64 * NOTED)
        {
            self.noted = in_flight;
            windows.note(*to, Saved { bytes: in_flight, round_trip: self.shortest, at: now });
        }
    }

    pub(crate) fn on_congestion_event(
        &mut self,
        (now, sent): (Instant, Instant),
        is_persistent: bool,
        lost_bytes: u64,
        is_bulk: bool,
    ) {
        let too_much = self.jump.handle_loss();
        if let Some(left) = too_much {
            // What a loss makes of it is what is to be left.
            let left = left.max(self.begin_packets * u64::from(self.mtu));
            self.cubic = cubic((left as f64 / CUBIC_LEFT) as u64, now, self.mtu);
        }
        self.cubic.on_congestion_event(now, sent, is_persistent, lost_bytes);
        if let Some((windows, to)) = self.saved.as_ref().filter(|_| is_bulk) {
            let left = self.cubic.window();
            self.noted = self.noted.min(left);
            if too_much.is_some() { windows.forget(*to) } else { windows.lower(*to, left) }
        }
    }

    pub(crate) fn on_mtu_update(&mut self, mtu: u16) {
        self.mtu = mtu;
        self.cubic.on_mtu_update(mtu);
    }

    pub(crate) fn window(&self) -> u64 {
        self.cubic.window()
    }
}

fn cubic(window: u64, now: Instant, mtu: u16) -> Box<dyn Controller> {
    let mut config = CubicConfig::default();
    config.initial_window(window);
    Arc::new(config).build(now, mtu)
}
