//! Congestion control for the real-time connection: a rate rather than a window that every loss halves.
//!
//! Loss-based control (Cubic, Reno) takes each lost packet for a full queue, so on a line that loses one packet in a
//! hundred it starves datagrams that need a steady rate. Here a round, which is a round-trip time, ends with a decision:
//!
//! - The line is full when the shortest round trip of this round and the one before is above the shortest of the last
//!   seconds by `QUEUE_DELAY`; when a packet was lost while others waited in a queue (`CONGESTED`, the rule of TCP
//!   Veno); or when over `SUSTAINED_LOSS` of what was sent in the last second or so was lost. Then the rate falls below
//!   what was really delivered. Single losses on a line without a queue change nothing.
//! - Else it grows, but only while it is used, and never above the budget.
//! - Who backs off from a queue that others keep full ends with nothing (the fate of TCP Vegas beside Reno). When backing
//!   off does not empty the queue for long (`COMPETITION`), others fill it; then it takes part as Reno would: more by a
//!   packet each round trip, less by `SHARE_LEFT` at each loss. This is what makes it fair both ways.
//!
//! [`RtControl`] decides, without quinn; [`RtController`] is what quinn calls.

use std::any::Any;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerFactory};
use quinn_proto::RttEstimator;

use crate::bulk_control::BulkControl;
use crate::careful_resume::SavedWindows;
use crate::limits;

/// Added waiting that people notice in somebody else's hand, and little enough for a voice.
const QUEUE_DELAY: Duration = Duration::from_millis(15);
/// Share of lost bytes over several rounds above which the line is taken for full. Radio links lose up to 5 % for other
/// reasons; Google's congestion control (draft-ietf-rmcat-gcc, section 5) draws this line at 10 %.
const SUSTAINED_LOSS: f64 = 0.08;
/// Packets in the sum below which a share says nothing.
const LOSS_PACKETS: f64 = 30.0;
/// What is left of a round's losses in the sum a round later: some five rounds count.
const LOSS_MEMORY: f64 = 0.8;
/// Waiting, shown by the shortest of the last [`NEWEST`] round trips, with which a lost packet was one too many for a
/// queue. Three packets at 8 Mbit/s, as in TCP Veno (Fu, Liew 2003).
const CONGESTED: Duration = Duration::from_millis(4);
/// Round trips that tell how long the queue is at this moment; the shortest, since acknowledgements come late.
const NEWEST: usize = 8;
/// Rounds in a row that find the queue full before the rate falls for it: one alone is a computer that was busy.
const FULL_ROUNDS: u32 = 2;
/// Least and most of what was delivered that a round with a full queue leaves; between them, as much as empties the
/// queue within a round trip.
const BACK_OFF: (f64, f64) = (0.5, 0.85);
/// What a loss leaves of the rate while others compete: as Cubic does (RFC 9438, section 4.6).
const SHARE_LEFT: f64 = 0.7;
/// What the rate is multiplied with in each of the first rounds, until one is full.
const START_GROWTH: f64 = 2.0;
/// Growth on lines so long that a packet each round trip would take minutes: bytes a second, each second.
const LEAST_GROWTH: f64 = 100_000.0;
/// Shortest round: with less time there are too few packets in it to judge.
const ROUND: Duration = Duration::from_millis(40);
/// How long the shortest round trip is remembered, at least; twice as long at most.
const BASE_MEMORY: Duration = Duration::from_secs(10);
/// Share of rounds that find the queue full, and no shorter than the round before although that one backed off, above
/// which others fill it: who is alone on the line stays below 0.2 as simulated.
const COMPETITION: f64 = 0.3;
/// After so many rounds of taking part it is tried again whether backing off empties the queue: two of ours that took
/// each other for others would fill it for ever.
const PARTAKING_ROUNDS: u32 = 128;
/// What a round leaves of that share: some 25 rounds count, a second or two.
const FULLNESS_MEMORY: f64 = 0.96;
/// Beside a round trip's worth, what may be under way: acknowledgements come up to 25 ms late.
const SLACK: Duration = Duration::from_millis(25);

/// Packets of bulk under way before anything has been acknowledged, spread over a round trip: as many as Chrome's QUIC
/// begins with, not the ten of RFC 9002: a newcomer is spared one or two doublings, each a round trip.
const BULK_BEGIN_PACKETS: u64 = 32;

/// Makes controllers with one budget.
#[derive(Debug, Clone)]
pub struct RtConfig {
    /// Never more than this, bytes a second.
    pub budget: u64,
    /// Whether the connection has turned out to be for bulk. A host learns that when the peer has said so, on a
    /// connection that stands; from then on quinn's Cubic decides, which has been told everything too.
    pub is_bulk: Arc<AtomicBool>,
    /// Where it goes, and what was saved of connections for bulk that went there before.
    pub(crate) saved: Option<(Arc<SavedWindows>, IpAddr)>,
}

impl Default for RtConfig {
    fn default() -> Self {
        Self { budget: limits::REAL_TIME_BUDGET, is_bulk: Arc::default(), saved: None }
    }
}

impl ControllerFactory for RtConfig {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        let bulk = BulkControl::new(self.saved.clone(), BULK_BEGIN_PACKETS, now, mtu);
        Box::new(RtController { control: RtControl::new(self.budget, mtu, now), bulk, config: self })
    }
}

/// The real-time connection's controller, as quinn calls it.
pub struct RtController {
    control: RtControl,
    bulk: BulkControl,
    config: Arc<RtConfig>,
}

impl Controller for RtController {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.bulk.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, is_app_limited: bool, rtt: &RttEstimator) {
        self.control.handle_ack(now, sent, bytes);
        let is_bulk = self.config.is_bulk.load(Relaxed);
        self.bulk.on_ack((now, sent), bytes, (is_app_limited, is_bulk), rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, is_app_limited: bool, largest: Option<u64>) {
        let is_bulk = self.config.is_bulk.load(Relaxed);
        self.bulk.on_end_acks(now, in_flight, (is_app_limited, is_bulk), largest);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        self.control.handle_loss(now, lost_bytes, is_persistent);
        let is_bulk = self.config.is_bulk.load(Relaxed);
        self.bulk.on_congestion_event((now, sent), is_persistent, lost_bytes, is_bulk);
    }

    fn on_mtu_update(&mut self, mtu: u16) {
        self.control.mtu = f64::from(mtu);
        self.bulk.on_mtu_update(mtu);
    }

    fn window(&self) -> u64 {
        if self.config.is_bulk.load(Relaxed) { self.bulk.window() } else { self.control.window() }
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        let (control, bulk) = (self.control.clone(), self.bulk.clone());
        Box::new(Self { control, bulk, config: self.config.clone() })
    }

    fn initial_window(&self) -> u64 {
        RtControl::new(self.config.budget, self.control.mtu as u16, Instant::now()).window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// What a round has seen.
#[derive(Debug, Clone, Copy)]
struct Round {
    begun: Instant,
    shortest: Option<Duration>,
    acked: f64,
    lost: f64,
    packets: f64,
    /// A loss or a mark that says that the queue is full.
    is_overflowing: bool,
}

impl Round {
    fn new(begun: Instant) -> Self {
        Self { begun, shortest: None, acked: 0.0, lost: 0.0, packets: 0.0, is_overflowing: false }
    }
}

/// The decisions: acknowledgements and losses in, a window out.
#[derive(Debug, Clone)]
pub struct RtControl {
    budget: f64,
    mtu: f64,
    /// Bytes a second that may be sent.
    rate: f64,
    is_starting: bool,
    /// Smoothed over rounds; none before the first acknowledgement.
    round_trip: Option<Duration>,
    /// Shortest round trip of the memory before this one, and of this one, which began then.
    base: (Option<Duration>, Option<Duration>, Instant),
    round: Round,
    /// Share of recent rounds that found the queue full and no shorter.
    fullness: f64,
    /// Rounds since this last rose above [`COMPETITION`].
    partaking: u32,
    /// The shortest round trip of the round before, and bytes a second delivered in it.
    before: (Duration, f64),
    /// How many rounds up to now have found the queue full.
    full_rounds: u32,
    /// Bytes lost, bytes in all and packets in all, fading.
    recent: (f64, f64, f64),
    /// The newest round trips.
    newest: VecDeque<Duration>,
}

impl RtControl {
    /// A connection on which nothing has been sent.
    pub fn new(budget: u64, mtu: u16, now: Instant) -> Self {
        let mtu = f64::from(mtu);
        let budget = (budget as f64).max(limits::REAL_TIME_LEAST as f64);
        Self {
            budget,
            mtu,
            // Ten packets in a tenth of a second: the initial window of RFC 9002.
            rate: (10.0 * mtu / 0.1).min(budget),
            is_starting: true,
            round_trip: None,
            base: (None, None, now),
            round: Round::new(now),
            fullness: 0.0,
            partaking: 0,
            before: (Duration::ZERO, 0.0),
            full_rounds: 0,
            recent: (0.0, 0.0, 0.0),
            newest: VecDeque::with_capacity(NEWEST),
        }
    }

    /// Bytes that may be under way.
    pub fn window(&self) -> u64 {
        let round_trip = self.round_trip.unwrap_or(Duration::from_millis(100)) + SLACK;
        (self.rate * round_trip.as_secs_f64()).max(4.0 * self.mtu) as u64
    }

    /// Bytes a second that may be sent.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// A packet that was sent at `sent` is acknowledged.
    pub fn handle_ack(&mut self, now: Instant, sent: Instant, bytes: u64) {
        let took = now.saturating_duration_since(sent);
        self.round.shortest = Some(self.round.shortest.map_or(took, |shortest| shortest.min(took)));
        self.round.acked += bytes as f64;
        self.round.packets += 1.0;
        self.newest.truncate(NEWEST - 1);
        self.newest.push_front(took);
        self.end_round(now);
    }

    /// Packets are lost, or marked by a router if no bytes are. `is_persistent`: for several round trips nothing came
    /// through at all.
    pub fn handle_loss(&mut self, now: Instant, lost_bytes: u64, is_persistent: bool) {
        self.round.lost += lost_bytes as f64;
        self.round.packets += (lost_bytes as f64 / self.mtu).ceil();
        let queue = self.newest.iter().min().zip(self.base()).map(|(newest, base)| newest.saturating_sub(base));
        self.round.is_overflowing |= lost_bytes == 0 || queue.is_some_and(|queue| queue > CONGESTED);
        if is_persistent {
            self.rate = limits::REAL_TIME_LEAST as f64;
            self.is_starting = true;
        }
        self.end_round(now);
    }

    fn end_round(&mut self, now: Instant) {
        let lasted = now.saturating_duration_since(self.round.begun);
        let Some(shortest) = self.round.shortest.filter(|shortest| lasted >= ROUND.max(*shortest)) else { return };
        let round = std::mem::replace(&mut self.round, Round::new(now));
        self.round_trip = Some(self.round_trip.map_or(shortest, |known| (known * 3 + shortest) / 4));
        let base = self.note_base(now, shortest);
        let (lost, bytes, packets) = self.recent;
        self.recent = (
            lost * LOSS_MEMORY + round.lost,
            bytes * LOSS_MEMORY + round.lost + round.acked,
            packets * LOSS_MEMORY + round.packets,
        );
        let (lost, bytes, packets) = self.recent;
        let is_losing = packets >= LOSS_PACKETS && lost > bytes * SUSTAINED_LOSS;
        let delivered = round.acked / lasted.as_secs_f64();
        let is_overflowing = round.is_overflowing || is_losing;
        let is_full = is_overflowing || shortest > base + QUEUE_DELAY;
        let has_backed_off = is_full && self.full_rounds >= FULL_ROUNDS;
        let is_competing = self.note_competition(has_backed_off && shortest >= self.before.0.mul_f64(0.98));
        // A round in which this machine or the other was busy delivers little and says nothing of the line.
        let typical = delivered.max(self.before.1);
        self.before = (shortest, delivered);
        self.full_rounds = if is_full { self.full_rounds + 1 } else { 0 };
        if is_overflowing && is_competing {
            self.back_off(typical, SHARE_LEFT);
        } else if is_competing || !is_full {
            self.grow(delivered + round.lost / lasted.as_secs_f64(), shortest, lasted);
        } else if is_overflowing || self.full_rounds >= FULL_ROUNDS {
            let target = base + QUEUE_DELAY / 2;
            let left = (target.as_secs_f64() / shortest.as_secs_f64()).clamp(BACK_OFF.0, BACK_OFF.1);
            self.back_off(typical, left);
        } else {
            self.is_starting = false;
        }
    }

    /// Takes in whether a round found the queue full and no shorter; whether others fill it.
    fn note_competition(&mut self, is_stubborn: bool) -> bool {
        self.fullness = self.fullness * FULLNESS_MEMORY + f64::from(u8::from(is_stubborn)) * (1.0 - FULLNESS_MEMORY);
        self.partaking = if self.fullness > COMPETITION { self.partaking + 1 } else { 0 };
        if self.partaking > PARTAKING_ROUNDS {
            self.fullness = COMPETITION * 0.8;
            self.partaking = 0;
        }
        self.partaking > 0
    }

    /// Takes in a round's shortest round trip; the shortest of all that is remembered.
    fn note_base(&mut self, now: Instant, shortest: Duration) -> Duration {
        let (before, current, since) = &mut self.base;
        if now.saturating_duration_since(*since) > BASE_MEMORY {
            (*before, *current, *since) = (*current, None, now);
        }
        *current = Some(current.map_or(shortest, |known| known.min(shortest)));
        self.base().unwrap_or(shortest)
    }

    fn base(&self) -> Option<Duration> {
        [self.base.0, self.base.1].into_iter().flatten().min()
    }

    fn back_off(&mut self, delivered: f64, left: f64) {
        self.is_starting = false;
        self.rate = (self.rate.min(delivered) * left).max(limits::REAL_TIME_LEAST as f64);
    }

    fn grow(&mut self, sent: f64, round_trip: Duration, lasted: Duration) {
        // A rate that is not used is not tried out: nobody knows whether the line has it.
        if sent < self.rate / 2.0 {
            return;
        }
        let round_trips = lasted.as_secs_f64() / round_trip.as_secs_f64().max(1e-4);
        let packets = self.mtu / round_trip.as_secs_f64().max(1e-4) * round_trips;
        let more = if self.is_starting {
            self.rate * (START_GROWTH - 1.0)
        } else {
            packets.max(LEAST_GROWTH * lasted.as_secs_f64())
        };
        self.rate = (self.rate + more).min(self.budget);
    }
}

#[cfg(test)]
mod tests;
