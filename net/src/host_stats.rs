//! What a host counts: every drop, and what it keeps from happening.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::beat::Beat;
use crate::interest::CrowdStats;

/// Counted since the host began to listen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostStats {
    /// Poses dropped because their sender sent too many.
    pub poses_over_rate: u64,
    /// Poses dropped because the newest ones of their sender still waited.
    pub poses_waiting: u64,
    /// Poses that were late, damaged or of a peer that is not in.
    pub poses_refused: u64,
    /// Pose datagrams thrown away unsent, since the line to their receiver took no more.
    pub poses_unsent: u64,
    /// Avatars and bodies told to peers of minor 4 and later, each time.
    pub poses_told: u64,
    /// Bytes of the datagrams that told them, without what UDP and QUIC add.
    pub pose_bytes: u64,
    /// Times that an avatar or body waited for a later burst, since its receiver's budget was spent.
    pub poses_over_budget: u64,
    /// Avatars and bodies that wait to be told, of all receivers, now.
    pub poses_to_tell: u64,
    /// Rests told once more, since they had not been acknowledged.
    pub rests_repeated: u64,
    /// Times that a peer moved or released what it did not hold, or not any more.
    pub moves_fenced: u64,
    /// Bursts of poses to all peers, and ticks at which there should have been one and the host was late by a whole tick.
    pub bursts: u64,
    /// See above.
    pub ticks_skipped: u64,
    /// How long 99 in 100 bursts took at most, until all was handed to QUIC.
    pub burst_p99: Duration,
    /// Frames of voices that somebody was not told: over a budget, late, or too many at once.
    pub voices_dropped: u64,
    /// Words of bent fingers, likewise.
    pub fingers_dropped: u64,
    /// Times that a peer's control messages were made to wait, since it sent too many.
    pub messages_paced: u64,
    /// Samples that newer ones replaced before a slow peer took them.
    pub samples_conflated: u64,
    /// Peers let go because they did not take what they were told.
    pub peers_too_slow: u64,
    /// Peers let go because they broke the protocol.
    pub peers_broken: u64,
    /// Newcomers sent away since the host or their key's share of it was full.
    pub peers_surplus: u64,
    /// Newcomers asked to prove their address first, since many connections were being made.
    pub handshakes_retried: u64,
    /// Connections given up half made, since newer ones needed the room.
    pub handshakes_abandoned: u64,
    /// Wishes for blobs that were sent away.
    pub blobs_refused: u64,
    /// Second connections, for blobs, that were made.
    pub bulk_lines: u64,
    /// Wishes for blobs that were heard before their peer had proved to be there: one who had been here before (0-RTT).
    pub blobs_early: u64,
    /// Peers that are here or are coming in, now.
    pub peers: u64,
    /// Events that wait for the host program, now.
    pub events_waiting: u64,
    /// Bytes of control frames that wait for peers to take them, of all peers, now.
    pub control_bytes_waiting: u64,
}

impl HostStats {
    /// Each under its name, for who shows or keeps them.
    pub fn named(&self) -> Vec<(&'static str, u64)> {
        // Named one by one, so that none that is added is forgotten here.
        let Self {
            poses_over_rate,
            poses_waiting,
            poses_refused,
            poses_unsent,
            poses_told,
            pose_bytes,
            poses_over_budget,
            poses_to_tell,
            rests_repeated,
            moves_fenced,
            bursts,
            ticks_skipped,
            burst_p99,
            voices_dropped,
            fingers_dropped,
            messages_paced,
            samples_conflated,
            peers_too_slow,
            peers_broken,
            peers_surplus,
            handshakes_retried,
            handshakes_abandoned,
            blobs_refused,
            bulk_lines,
            blobs_early,
            peers,
            events_waiting,
            control_bytes_waiting,
        } = *self;
        vec![
            ("poses_over_rate", poses_over_rate),
            ("poses_waiting", poses_waiting),
            ("poses_refused", poses_refused),
            ("poses_unsent", poses_unsent),
            ("poses_told", poses_told),
            ("pose_bytes", pose_bytes),
            ("poses_over_budget", poses_over_budget),
            ("poses_to_tell", poses_to_tell),
            ("rests_repeated", rests_repeated),
            ("moves_fenced", moves_fenced),
            ("bursts", bursts),
            ("ticks_skipped", ticks_skipped),
            ("burst_p99_micros", burst_p99.as_micros() as u64),
            ("voices_dropped", voices_dropped),
            ("fingers_dropped", fingers_dropped),
            ("messages_paced", messages_paced),
            ("samples_conflated", samples_conflated),
            ("peers_too_slow", peers_too_slow),
            ("peers_broken", peers_broken),
            ("peers_surplus", peers_surplus),
            ("handshakes_retried", handshakes_retried),
            ("handshakes_abandoned", handshakes_abandoned),
            ("blobs_refused", blobs_refused),
            ("bulk_lines", bulk_lines),
            ("blobs_early", blobs_early),
            ("peers", peers),
            ("events_waiting", events_waiting),
            ("control_bytes_waiting", control_bytes_waiting),
        ]
    }
}

/// The same, as several tasks count them.
#[derive(Debug, Default)]
pub(crate) struct HostCounters {
    pub(crate) poses_over_rate: AtomicU64,
    pub(crate) poses_waiting: AtomicU64,
    pub(crate) poses_refused: AtomicU64,
    pub(crate) poses_unsent: AtomicU64,
    pub(crate) poses_told: AtomicU64,
    pub(crate) pose_bytes: AtomicU64,
    pub(crate) poses_over_budget: AtomicU64,
    pub(crate) poses_to_tell: AtomicU64,
    pub(crate) rests_repeated: AtomicU64,
    pub(crate) moves_fenced: AtomicU64,
    pub(crate) voices_dropped: AtomicU64,
    pub(crate) fingers_dropped: AtomicU64,
    pub(crate) beat: Beat,
    pub(crate) messages_paced: AtomicU64,
    pub(crate) samples_conflated: AtomicU64,
    pub(crate) peers_too_slow: AtomicU64,
    pub(crate) peers_broken: AtomicU64,
    pub(crate) peers_surplus: AtomicU64,
    pub(crate) handshakes_retried: AtomicU64,
    pub(crate) handshakes_abandoned: AtomicU64,
    pub(crate) blobs_refused: AtomicU64,
    pub(crate) bulk_lines: AtomicU64,
    pub(crate) blobs_early: AtomicU64,
    pub(crate) peers: AtomicU64,
    pub(crate) events_waiting: AtomicU64,
    pub(crate) control_bytes_waiting: AtomicU64,
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl HostCounters {
    /// Takes over what the core has counted.
    pub(crate) fn note(&self, refused: u64, fenced: u64, crowd: &CrowdStats) {
        self.moves_fenced.store(fenced, Relaxed);
        self.poses_refused.store(refused, Relaxed);
        self.poses_told.store(crowd.told, Relaxed);
        self.pose_bytes.store(crowd.bytes, Relaxed);
        self.poses_over_budget.store(crowd.over_budget, Relaxed);
        self.poses_to_tell.store(crowd.waiting, Relaxed);
        self.rests_repeated.store(crowd.rests_repeated, Relaxed);
    }

    /// Takes over what the hub holds: peers, events, bytes of control frames.
    pub(crate) fn note_queues(&self, peers: usize, events: usize, control_bytes: usize) {
        self.peers.store(peers as u64, Relaxed);
        self.events_waiting.store(events as u64, Relaxed);
        self.control_bytes_waiting.store(control_bytes as u64, Relaxed);
    }

    /// How they stand.
    pub(crate) fn stats(&self) -> HostStats {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        HostStats {
            poses_over_rate: read(&self.poses_over_rate),
            poses_waiting: read(&self.poses_waiting),
            poses_refused: read(&self.poses_refused),
            poses_unsent: read(&self.poses_unsent),
            poses_told: read(&self.poses_told),
            pose_bytes: read(&self.pose_bytes),
            poses_over_budget: read(&self.poses_over_budget),
            poses_to_tell: read(&self.poses_to_tell),
            rests_repeated: read(&self.rests_repeated),
            moves_fenced: read(&self.moves_fenced),
            voices_dropped: read(&self.voices_dropped),
            fingers_dropped: read(&self.fingers_dropped),
            bursts: self.beat.bursts(),
            ticks_skipped: self.beat.skipped(),
            burst_p99: self.beat.p99(),
            messages_paced: read(&self.messages_paced),
            samples_conflated: read(&self.samples_conflated),
            peers_too_slow: read(&self.peers_too_slow),
            peers_broken: read(&self.peers_broken),
            peers_surplus: read(&self.peers_surplus),
            handshakes_retried: read(&self.handshakes_retried),
            handshakes_abandoned: read(&self.handshakes_abandoned),
            blobs_refused: read(&self.blobs_refused),
            bulk_lines: read(&self.bulk_lines),
            blobs_early: read(&self.blobs_early),
            peers: read(&self.peers),
            events_waiting: read(&self.events_waiting),
            control_bytes_waiting: read(&self.control_bytes_waiting),
        }
    }
}
