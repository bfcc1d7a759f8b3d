//! A host's end of the pose lane: what its peers tell of themselves, and what each is told of the others. Peers of minor 4
//! and later answer and are answered; of the others the host hears whole poses, and tells the others of them all the same.

use std::collections::BTreeMap;

use gemba_twin::sample::Timestamp;

use crate::interest::{Crowd, CrowdStats};
use crate::limits;
use crate::peers::{PeerNumber, Pose};
use crate::relay::{Name, Sample};
use crate::uplink::{self, Hearer};

/// What a datagram has brought.
pub(crate) enum Brought {
    /// Nothing that anybody needs to know.
    Nothing,
    /// The peer's newest pose.
    Pose(Pose),
    /// It makes no sense, or came too late.
    Dropped,
}

#[derive(Debug, Default)]
struct Ear {
    hearer: Hearer,
    answered: i64,
}

/// The lane with all peers.
#[derive(Debug, Default)]
pub(crate) struct PoseLane {
    crowd: Crowd,
    ears: BTreeMap<PeerNumber, Ear>,
}

impl PoseLane {
    /// A peer has been let in that speaks this lane.
    pub(crate) fn join(&mut self, peer: PeerNumber) {
        self.crowd.join(peer, limits::POSE_BUDGET);
        self.ears.insert(peer, Ear::default());
    }

    /// A peer has gone.
    pub(crate) fn leave(&mut self, peer: PeerNumber) {
        self.crowd.leave(peer);
        self.ears.remove(&peer);
    }

    /// What has been told and held back.
    pub(crate) fn stats(&self) -> CrowdStats {
        self.crowd.stats()
    }

    /// Whether a peer presents.
    pub(crate) fn present(&mut self, peer: PeerNumber, is_presenting: bool) {
        self.crowd.present(peer, is_presenting);
    }

    /// A peer wants to be told of another one first.
    pub(crate) fn ask_for(&mut self, peer: PeerNumber, whom: Option<PeerNumber>) {
        self.crowd.ask_for(peer, whom);
    }

    /// A peer that does not speak this lane has told its pose.
    pub(crate) fn handle_pose(&mut self, peer: PeerNumber, pose: &Pose, now: Timestamp) {
        self.crowd.handle_sample(Name::of_avatar(peer), Sample::of_pose(pose, millis(now)), false);
    }

    /// A datagram of this lane has arrived.
    pub(crate) fn handle_datagram(&mut self, peer: PeerNumber, bytes: &[u8], now: Timestamp) -> Brought {
        let Some(ear) = self.ears.get_mut(&peer) else { return Brought::Dropped };
        let Some((acks, packet)) = uplink::parts(bytes) else { return Brought::Dropped };
        if let Some(acks) = acks {
            self.crowd.handle_acks(peer, acks);
        }
        let Some(packet) = packet else { return Brought::Nothing };
        let Some(news) = ear.hearer.handle_packet(packet) else { return Brought::Dropped };
        let Some((pose, rests)) = news.pose else { return Brought::Nothing };
        self.crowd.handle_sample(Name::of_avatar(peer), Sample::of_pose(&pose, millis(now)), rests);
        Brought::Pose(pose)
    }

    /// The datagrams of one burst.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Vec<(PeerNumber, Vec<u8>)> {
        let ears = &self.ears;
        let owes = |peer: PeerNumber| ears.get(&peer).is_some_and(|ear| ear.hearer.owes_acks());
        let taken = |peer| 1 + if owes(peer) { crate::body::Acks::BYTES } else { 0 };
        let told = self.crowd.tick(millis(now), taken);
        let mut out = Vec::new();
        for (peer, packets) in told {
            for packet in packets {
                let acks = self.ears.get_mut(&peer).and_then(|ear| {
                    ear.answered = now.0;
                    ear.hearer.take_acks()
                });
                out.push((peer, uplink::datagram(acks, Some(&packet))));
            }
        }
        for (peer, ear) in &mut self.ears {
            // Also when the clock was set back.
            let is_due = now.0.abs_diff(ear.answered) >= limits::ACK_INTERVAL.as_micros() as u64;
            if is_due && let Some(acks) = ear.hearer.take_acks() {
                ear.answered = now.0;
                out.push((*peer, uplink::datagram(Some(acks), None)));
            }
        }
        out
    }
}

fn millis(at: Timestamp) -> u64 {
    // Before 1970 there was no such clock.
    (at.0 / 1000).max(0).cast_unsigned()
}
