//! A host's end of the pose lane: what its peers tell of themselves, and what each is told of the others. Peers of minor 4
//! and later answer and are answered; of the others the host hears whole poses, and tells the others of them all the same.

use std::collections::BTreeMap;

use gemba_twin::sample::Timestamp;

use crate::body::{Body, BodyNumber, Epoch};
use crate::interest::{Crowd, CrowdStats, Turn};
use crate::limits;
use crate::nearby::{FINGERS, Nearby, VOICE, Whereabouts};
use crate::peers::{PeerNumber, Pose, TrackedPoint};
use crate::relay::{Name, Sample};
use crate::uplink::{self, Hearer};

/// What a datagram has brought.
pub(crate) enum Brought {
    /// Nothing that anybody needs to know.
    Nothing,
    /// The peer's newest pose, if that is new, and where it says that what it holds is.
    News(Option<Pose>, Vec<(u8, Body)>),
    /// It makes no sense, or came too late.
    Dropped,
}

#[derive(Debug, Default)]
struct Ear {
    hearer: Hearer,
    answered: i64,
}

/// The lane with all peers.
#[derive(Debug)]
pub(crate) struct PoseLane {
    crowd: Crowd,
    ears: BTreeMap<PeerNumber, Ear>,
    voices: Nearby,
    fingers: Nearby,
}

impl Default for PoseLane {
    fn default() -> Self {
        let (voices, fingers) = (Nearby::new(&VOICE), Nearby::new(&FINGERS));
        Self { crowd: Crowd::default(), ears: BTreeMap::new(), voices, fingers }
    }
}

impl PoseLane {
    /// A peer has been let in that speaks this lane, and perhaps of fingers.
    pub(crate) fn join(&mut self, peer: PeerNumber, knows_fingers: bool) {
        self.crowd.join(peer, limits::POSE_BUDGET);
        self.ears.insert(peer, Ear::default());
        self.voices.join(peer);
        if knows_fingers {
            self.fingers.join(peer);
        }
    }

    /// A peer has gone.
    pub(crate) fn leave(&mut self, peer: PeerNumber) {
        self.crowd.leave(peer);
        self.ears.remove(&peer);
        self.voices.leave(peer);
        self.fingers.leave(peer);
    }

    /// What has been told and held back.
    pub(crate) fn stats(&self) -> CrowdStats {
        self.crowd.stats()
    }

    /// Frames of voices, and words of fingers, that somebody was not told.
    pub(crate) fn nearby_dropped(&self) -> (u64, u64) {
        (self.voices.dropped, self.fingers.dropped)
    }

    /// A peer is being told of all bodies on another way.
    pub(crate) fn note_joined(&mut self, peer: PeerNumber) {
        self.crowd.note_joined(peer);
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
        if let Some((number, frame)) = VOICE.decode_up(bytes) {
            self.voices.handle_frame(peer, number, frame);
            return Brought::Nothing;
        }
        if let Some((number, frame)) = FINGERS.decode_up(bytes) {
            self.fingers.handle_frame(peer, number, frame);
            return Brought::Nothing;
        }
        let Some((acks, packet)) = uplink::parts(bytes) else { return Brought::Dropped };
        if let Some(acks) = acks {
            self.crowd.handle_acks(peer, acks);
        }
        let Some(packet) = packet else { return Brought::Nothing };
        let Some(news) = ear.hearer.handle_packet(packet) else { return Brought::Dropped };
        if let Some((pose, rests)) = &news.pose {
            self.crowd.handle_sample(Name::of_avatar(peer), Sample::of_pose(pose, millis(now)), *rests);
        }
        Brought::News(news.pose.map(|(pose, _)| pose), news.bodies)
    }

    /// A body is there now; it `rests` until it is told otherwise.
    pub(crate) fn tell_body(&mut self, body: BodyNumber, at: &TrackedPoint, epoch: Epoch, rests: bool, now: Timestamp) {
        let sample = Sample::of_body(&uplink::placement_of(at), epoch, millis(now));
        self.crowd.handle_sample(Name::of_body(body), sample, rests);
    }

    /// There is no such body any more.
    pub(crate) fn forget_body(&mut self, body: BodyNumber) {
        self.crowd.forget(Name::of_body(body));
    }

    /// The datagrams of one burst, to those whose turn it is; voices and fingers to everybody, once a round.
    pub(crate) fn tick(&mut self, now: Timestamp, turn: Turn) -> Vec<(PeerNumber, Vec<u8>)> {
        let ears = &self.ears;
        let owes = |peer: PeerNumber| ears.get(&peer).is_some_and(|ear| ear.hearer.owes_acks());
        let taken = |peer| 1 + if owes(peer) { crate::body::Acks::BYTES } else { 0 };
        let told = self.crowd.tick(millis(now), turn, taken);
        let crowd = &self.crowd;
        let at = |peer| Whereabouts { place: crowd.place_of(peer), presents: crowd.presents(peer) };
        let mut out = Vec::new();
        if turn.begins_round() {
            out.extend(self.voices.tick(millis(now), at));
            out.extend(self.fingers.tick(millis(now), at));
        }
        for (peer, packets) in told {
            for packet in packets {
                let acks = self.ears.get_mut(&peer).and_then(|ear| {
                    ear.answered = now.0;
                    ear.hearer.take_acks()
                });
                out.push((peer, uplink::datagram(acks, Some(&packet))));
            }
        }
        for (peer, ear) in self.ears.iter_mut().filter(|(peer, _)| turn.is_of(**peer)) {
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
