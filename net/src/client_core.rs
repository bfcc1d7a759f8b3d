//! What a peer decides about its session, without sockets or clocks: what the host's messages mean, where the log
//! continues after a reconnect, whether the host still lives, when to try again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use gemba_twin::path::ThingId;
use gemba_twin::sample::Timestamp;

use crate::clock::ClockEstimate;
use crate::fingers::{self, Fingers};
use crate::holding::Holding;
use crate::join::Newcomer;
use crate::limits;
use crate::link::{BodyTold, LinkEvent};
use crate::nearby::{FINGERS, NearbyFrame, VOICE};
use crate::peers::{PeerNumber, Pose, TrackedPoint};
use crate::relay::{Name, RelayReceiver};
use crate::uplink::{self, Teller};
use crate::wire::{self, PoseDown, ToHost, ToPeer};

/// Why a session cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEnd {
    /// The host does not want us; trying again would not help.
    Refused(String),
    /// The host broke the protocol.
    Broken(&'static str),
}

/// How a newcomer comes to know where very many bodies are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// The host is to be asked.
    MustBeAsked,
    /// The host tells: the hello has said where the newcomer is.
    Comes,
}

/// One peer's view of its sessions with a host, across reconnects.
#[derive(Debug)]
pub struct ClientCore {
    entries_held: u64,
    clock: ClockEstimate,
    heard: Option<Instant>,
    failures: u32,
    newest_poses: BTreeMap<PeerNumber, Timestamp>,
    minor: u16,
    lane: Lane,
    holding: Holding,
    voice_frames: u16,
    finger_words: u16,
    /// What comes of bodies on the control stream, and on the second connection.
    newcomers: [Newcomer; 2],
    /// Places of bodies that were told together.
    joined: Vec<BodyTold>,
    join: Option<Join>,
    awaits_rest: bool,
}

/// The pose lane of a session of minor 4 or later.
#[derive(Debug)]
struct Lane {
    teller: Teller,
    receiver: RelayReceiver,
    owes_acks: bool,
    here: BTreeSet<PeerNumber>,
    /// Poses of peers whose coming has not been heard of yet: datagrams overtake streams.
    early: BTreeMap<PeerNumber, LinkEvent>,
    unread: u64,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            teller: Teller::default(),
            receiver: RelayReceiver::new(limits::PEERS + limits::BODIES),
            owes_acks: false,
            here: BTreeSet::new(),
            early: BTreeMap::new(),
            unread: 0,
        }
    }
}

impl ClientCore {
    /// A peer that holds so many entries of the log already.
    pub fn new(entries_held: u64) -> Self {
        Self {
            entries_held,
            clock: ClockEstimate::default(),
            heard: None,
            failures: 0,
            newest_poses: BTreeMap::new(),
            minor: 0,
            lane: Lane::default(),
            holding: Holding::default(),
            voice_frames: 0,
            finger_words: 0,
            newcomers: Default::default(),
            joined: Vec::new(),
            join: None,
            awaits_rest: false,
        }
    }

    /// Entries held: what the next hello says.
    pub fn entries_held(&self) -> u64 {
        self.entries_held
    }

    /// Whether the host of this session speaks of the past.
    pub fn host_knows_past(&self) -> bool {
        self.minor >= wire::PAST_MINOR
    }

    /// Whether the host of this session takes a second connection for blobs.
    pub fn host_takes_bulk(&self) -> bool {
        self.minor >= wire::BULK_MINOR
    }

    /// Whether the host of this session takes poses and bodies by differences.
    pub fn host_takes_bodies(&self) -> bool {
        self.minor >= wire::BODY_MINOR
    }

    /// Whether the host of this session sends blobs so that each group can be verified.
    pub fn host_proves_blobs(&self) -> bool {
        self.minor >= wire::BLOB_TREE_MINOR
    }

    /// Whether the host of this session is told which tags are wanted.
    pub fn host_takes_wants(&self) -> bool {
        self.minor >= wire::TELEMETRY_MINOR
    }

    /// Whether the host of this session can be stood by for.
    pub fn host_has_heirs(&self) -> bool {
        self.minor >= wire::SUCCESSION_MINOR
    }

    /// Packets of the pose lane that were left out, over all sessions: late, doubled or damaged.
    pub fn packets_unread(&self) -> u64 {
        self.lane.unread
    }

    /// Tells the host our pose (minor 4); `rests` if it stays so until another one is told. [`Self::poll_datagrams`]
    /// then has what to send.
    pub fn tell_pose(&mut self, pose: &Pose, rests: bool) {
        self.lane.teller.tell_pose(pose, rests);
    }

    /// The datagram by which the host hears a frame of this person's voice; none if it takes none.
    pub fn tell_voice(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        self.voice_frames = self.voice_frames.wrapping_add(1);
        VOICE.encode_up(self.voice_frames, frame).filter(|_| self.host_takes_bodies())
    }

    /// The datagram by which the host hears how this person's fingers are bent; none if it does not pass that on.
    pub fn tell_fingers(&mut self, hands: &[Option<Fingers>; 2]) -> Option<Vec<u8>> {
        self.finger_words = self.finger_words.wrapping_add(1);
        let word = FINGERS.encode_up(self.finger_words, &fingers::encode(hands));
        word.filter(|_| self.minor >= wire::FINGERS_MINOR)
    }

    /// A piece of what is told of all bodies has come on the second connection.
    pub fn handle_piece(&mut self, piece: &[u8]) -> Result<(), SessionEnd> {
        self.take_piece(1, piece)
    }

    fn take_piece(&mut self, way: usize, piece: &[u8]) -> Result<(), SessionEnd> {
        let told = self.newcomers[way].handle_piece(piece);
        let told = told.map_err(|_| SessionEnd::Broken("the host tells of bodies what it did not announce"))?;
        for still in told {
            self.joined.extend(self.holding.handle_joined(still.news(), &mut self.lane.teller));
        }
        Ok(())
    }

    /// Whether there are so many bodies that they come together; said once.
    pub fn take_join(&mut self) -> Option<Join> {
        self.join.take()
    }

    /// Whether the bodies of the second connection are to be read, now that those around the newcomer are here; said once.
    /// What is far would else be here first where the main connection is slower.
    pub fn take_rest(&mut self) -> bool {
        let is_due = self.awaits_rest && self.newcomers[0].is_done();
        self.awaits_rest &= !is_due;
        is_due
    }

    /// The places that were told together, if there are any.
    pub fn take_joined(&mut self) -> Option<LinkEvent> {
        (!self.joined.is_empty()).then(|| LinkEvent::Bodies(std::mem::take(&mut self.joined)))
    }

    /// Takes a thing in hand, with the host's leave. [`Self::poll_said`] then has what to say.
    pub fn grab(&mut self, thing: ThingId, from: TrackedPoint) {
        self.holding.grab(thing, from);
    }

    /// Carries what is in hand. True if [`Self::poll_datagrams`] then has what to send.
    pub fn carry(&mut self, thing: ThingId, at: TrackedPoint) -> bool {
        self.holding.carry(thing, at, &mut self.lane.teller)
    }

    /// Lets go what is in hand. [`Self::poll_said`] then has what to say.
    pub fn release(&mut self, thing: ThingId, at: TrackedPoint) {
        self.holding.release(thing, at, &mut self.lane.teller);
    }

    /// What is in hand and has not moved since this was last called rests there, until it moves.
    pub fn rest_held(&mut self) {
        self.holding.rest(&mut self.lane.teller);
    }

    /// What is to be said on the control stream of what is taken in hand and let go.
    pub fn poll_said(&mut self) -> Vec<ToHost> {
        let said = self.holding.poll();
        if self.host_takes_bodies() { said } else { Vec::new() }
    }

    /// Datagrams of the pose lane (minor 4): what was told since the last time, what the host does not know yet, and our
    /// answers to what it tells.
    pub fn poll_datagrams(&mut self) -> Vec<Vec<u8>> {
        let lane = &mut self.lane;
        let acks = if std::mem::take(&mut lane.owes_acks) { lane.receiver.acks() } else { None };
        let packets = lane.teller.packets();
        if packets.is_empty() {
            return acks.map(|acks| uplink::datagram(Some(acks), None)).into_iter().collect();
        }
        let answers = std::iter::once(acks).chain(std::iter::repeat(None));
        packets.iter().zip(answers).map(|(packet, acks)| uplink::datagram(acks, Some(packet))).collect()
    }

    /// Poses that had come before their peers were heard of; to be asked for after each control message.
    pub fn poll_early(&mut self) -> Vec<LinkEvent> {
        let here = &self.lane.here;
        self.lane.early.extract_if(.., |peer, _| here.contains(peer)).map(|(_, event)| event).collect()
    }

    /// A session begins.
    pub fn handle_connected(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// The session is over; returns how long to wait before the next try, twice as long each time.
    pub fn handle_lost(&mut self) -> Duration {
        self.heard = None;
        self.minor = 0;
        self.newest_poses.clear();
        self.lane = Lane { unread: self.lane.unread, ..Lane::default() };
        self.holding.handle_lost();
        self.newcomers = Default::default();
        self.joined.clear();
        (self.join, self.awaits_rest) = (None, false);
        let wait = limits::RETRY.0 * 2u32.saturating_pow(self.failures.min(16));
        self.failures += 1;
        wait.min(limits::RETRY.1)
    }

    /// Something has arrived, whatever it is.
    pub fn handle_heard(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// When the host is to be taken for dead, unless something arrives before.
    pub fn deadline(&self) -> Option<Instant> {
        self.heard.map(|heard| heard + limits::SILENCE)
    }

    /// A control message has arrived at `clock` on our clock.
    pub fn handle_message(&mut self, message: ToPeer, clock: Timestamp) -> Result<Option<LinkEvent>, SessionEnd> {
        Ok(Some(match message {
            ToPeer::Welcome { me, site, entries, minor } => {
                self.failures = 0;
                self.minor = minor;
                self.holding.handle_welcome(me);
                LinkEvent::Welcome { me, site, entries }
            }
            ToPeer::Refused { why } => return Err(SessionEnd::Refused(why)),
            ToPeer::Entries { first, entries } => {
                if first > self.entries_held {
                    return Err(SessionEnd::Broken("the host left out entries of its log"));
                }
                // What we hold already may come again when host and peer met in the middle of an append.
                let known = usize::try_from(self.entries_held - first).unwrap_or(usize::MAX);
                let new: Vec<Vec<u8>> = entries.into_iter().skip(known).map(Into::into).collect();
                if new.is_empty() {
                    return Ok(None);
                }
                let first = self.entries_held;
                self.entries_held += new.len() as u64;
                LinkEvent::Entries { first, entries: new }
            }
            ToPeer::Accepted { submission, index, overruled } => {
                LinkEvent::Answer { submission, outcome: Ok(index), overruled }
            }
            ToPeer::Rejected { submission, why } => {
                LinkEvent::Answer { submission, outcome: Err(why), overruled: None }
            }
            ToPeer::Joined(info) => {
                self.lane.here.insert(info.number);
                LinkEvent::Joined(info)
            }
            ToPeer::Left(peer) => {
                self.newest_poses.remove(&peer);
                self.lane.here.remove(&peer);
                self.lane.receiver.forget(Name::of_avatar(peer));
                LinkEvent::Left(peer)
            }
            ToPeer::Selected { peer, thing } => LinkEvent::Selected { peer, thing },
            ToPeer::History { from, to } => LinkEvent::History { from, to },
            ToPeer::StandsBy { at } => LinkEvent::StandsBy { at },
            ToPeer::InstantShared { peer, instant } => LinkEvent::InstantShared { peer, instant },
            ToPeer::Body(news) => LinkEvent::Bodies(vec![self.holding.handle_body(news, &mut self.lane.teller)]),
            ToPeer::Bodies(_) => {
                let join = if self.minor >= wire::HERE_MINOR { Join::Comes } else { Join::MustBeAsked };
                (self.join, self.awaits_rest) = (Some(join), true);
                return Ok(None);
            }
            ToPeer::Piece(piece) => {
                self.take_piece(0, &piece)?;
                return Ok(None);
            }
            ToPeer::Held { hold, epoch, .. } => {
                return Ok(self.holding.handle_held(hold, epoch, &mut self.lane.teller));
            }
            ToPeer::GrabRefused { hold, why } => return Ok(self.holding.handle_refused(hold, why)),
            ToPeer::BodyGone(body) => {
                self.lane.receiver.forget(Name::of_body(body));
                return Ok(self.holding.handle_gone(body, &mut self.lane.teller));
            }
            ToPeer::Pong { sent, host } => match self.clock.exchange(sent, host.0, clock.0) {
                Some((offset_micros, rtt)) => LinkEvent::Clock { offset_micros, rtt },
                None => return Ok(None),
            },
        }))
    }

    /// A datagram has arrived. Poses that newer ones have overtaken are left out.
    pub fn handle_datagram(&mut self, bytes: &[u8]) -> Vec<LinkEvent> {
        if self.host_takes_bodies() {
            return self.handle_lane(bytes);
        }
        let poses = PoseDown::decode_all(bytes).into_iter();
        let mut events = Vec::new();
        for PoseDown { peer, at, pose } in poses {
            if self.is_newest(peer, at) {
                events.push(LinkEvent::Pose { peer, pose, at, rests: false });
            }
        }
        events
    }

    fn handle_fingers(&mut self, words: Vec<NearbyFrame>) -> Vec<LinkEvent> {
        let read = |NearbyFrame { peer, number, bytes }| {
            let hands = fingers::decode(&bytes)?;
            Some(LinkEvent::Fingers { peer, number, hands })
        };
        let events: Vec<_> = words.into_iter().map(read).collect();
        self.lane.unread += events.iter().filter(|event| event.is_none()).count() as u64;
        events.into_iter().flatten().collect()
    }

    fn is_newest(&mut self, peer: PeerNumber, at: Timestamp) -> bool {
        let newest = self.newest_poses.entry(peer).or_insert(at);
        let behind = newest.micros_since(at);
        let is_newest = behind <= 0 || u128::from(behind.unsigned_abs()) >= limits::POSE_OVERTAKEN.as_micros();
        if is_newest {
            *newest = at;
        }
        is_newest
    }

    fn handle_lane(&mut self, bytes: &[u8]) -> Vec<LinkEvent> {
        if let Some(frames) = VOICE.decode_down(bytes) {
            return frames.into_iter().map(LinkEvent::Voice).collect();
        }
        if let Some(words) = FINGERS.decode_down(bytes) {
            return self.handle_fingers(words);
        }
        let mut events = Vec::new();
        let Some((acks, packet)) = uplink::parts(bytes) else {
            self.lane.unread += 1;
            return events;
        };
        if let Some(acks) = acks {
            self.lane.teller.handle_acks(acks);
        }
        let Some(packet) = packet else { return events };
        // Also of a packet that came twice: then our answer was lost.
        self.lane.owes_acks = true;
        let Ok(told) = self.lane.receiver.handle_packet(packet) else {
            self.lane.unread += 1;
            return events;
        };
        for (name, sample) in told {
            if let Some(body) = name.body() {
                events.extend(self.holding.handle_sample(body, &sample));
                continue;
            }
            let at = Timestamp(sample.millis().cast_signed().saturating_mul(1000));
            let Some(peer) = name.avatar().filter(|peer| self.is_newest(*peer, at)) else { continue };
            let event = LinkEvent::Pose { peer, pose: sample.pose(), at, rests: sample.is_resting() };
            if self.lane.here.contains(&peer) {
                events.push(event);
            } else if self.lane.early.len() < limits::PEERS {
                self.lane.early.insert(peer, event);
            }
        }
        events
    }
}

/// Whether a pose that has rested for so many pings is told again now: any of them may get lost, so it never stops.
pub fn repeats_pose(pings_at_rest: u32) -> bool {
    let (first, later) = limits::POSE_REPEATS;
    first.contains(&pings_at_rest) || (pings_at_rest > 0 && pings_at_rest.is_multiple_of(later))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{BodyNumber, Epoch, Placement};
    use crate::interest::Cell;
    use crate::join::{CellBlock, Manifest, StillBody};
    use crate::peers::{Pose, TrackedPoint};
    use crate::relay::Sample;
    use gemba_twin::path::ThingId;

    fn entries(first: u64, bodies: &[u8]) -> ToPeer {
        ToPeer::Entries { first, entries: bodies.iter().map(|b| vec![*b].into()).collect() }
    }

    #[test]
    fn the_log_continues_without_gap_or_repetition_after_a_reconnect() {
        let mut core = ClientCore::new(0);
        let event = core.handle_message(entries(0, &[1, 2]), Timestamp(0)).unwrap();
        assert_eq!(event, Some(LinkEvent::Entries { first: 0, entries: vec![vec![1], vec![2]] }));
        core.handle_lost();
        assert_eq!(core.entries_held(), 2);
        let event = core.handle_message(entries(1, &[2, 3]), Timestamp(0)).unwrap();
        assert_eq!(event, Some(LinkEvent::Entries { first: 2, entries: vec![vec![3]] }));
        let gap = core.handle_message(entries(9, &[1]), Timestamp(0));
        assert!(matches!(gap, Err(SessionEnd::Broken(_))));
    }

    #[test]
    fn what_is_far_is_read_once_all_that_is_near_is_here() {
        let mut core = ClientCore::new(0);
        assert!(!core.take_rest(), "nothing was asked for");
        let mut hear = |message| {
            core.handle_message(message, Timestamp(0)).unwrap();
            (core.take_join(), core.take_rest(), core.take_rest())
        };
        let cell = Cell([0, 0, 0]);
        let sample = Sample::of_body(&Placement::ORIGIN, Epoch(0), 5);
        let (thing, holder) = (ThingId([1; 16]), PeerNumber(u16::MAX));
        let bodies = vec![StillBody { body: BodyNumber(1), thing, holder, sample }];
        let near = Manifest { cells: vec![(cell, 1)] };
        let block = CellBlock { cell, millis: 0, bodies };
        assert_eq!(hear(ToPeer::Bodies(3_000)), (Some(Join::MustBeAsked), false, false));
        assert_eq!(hear(ToPeer::Piece(near.encode().into())), (None, false, false));
        assert_eq!(hear(ToPeer::Piece(block.encode().into())), (None, true, false), "once");
        // The host tells all over again where there is no second connection.
        assert_eq!(hear(ToPeer::Piece(Manifest::default().encode().into())), (None, false, false));
        // Who has said where it is does not ask.
        let (me, site) = (PeerNumber(1), String::new());
        hear(ToPeer::Welcome { me, site, entries: 0, minor: wire::HERE_MINOR });
        assert_eq!(hear(ToPeer::Bodies(3_000)).0, Some(Join::Comes));
    }

    #[test]
    fn a_pose_that_a_newer_one_has_overtaken_is_not_shown() {
        let mut core = ClientCore::new(0);
        let mut shown = |peer, at_micros| {
            let head = TrackedPoint { place: [0.0; 3], rotation: [0.0, 0.0, 0.0, 1.0] };
            let pose = Pose { head, hands: [None, None], pointer: None };
            let mut bytes = Vec::new();
            PoseDown { peer: PeerNumber(peer), at: Timestamp(at_micros), pose }.encode(&mut bytes);
            core.handle_datagram(&bytes).len()
        };
        assert_eq!([shown(1, 40_000), shown(1, 20_000), shown(2, 20_000), shown(1, 60_000)], [1, 0, 1, 1]);
        assert_eq!(shown(1, -9_000_000), 1, "the host's clock was set back");
    }

    #[test]
    fn a_pose_at_rest_is_told_again_soon_and_then_now_and_then_for_ever() {
        let told: Vec<u32> = (0..=100).filter(|pings| repeats_pose(*pings)).collect();
        assert_eq!(told, [1, 2, 3, 5, 10, 25, 50, 75, 100]);
    }

    #[test]
    fn a_silent_host_is_taken_for_dead_within_a_second() {
        let now = Instant::now();
        let mut core = ClientCore::new(0);
        assert_eq!(core.deadline(), None);
        core.handle_connected(now);
        core.handle_heard(now + Duration::from_millis(300));
        let deadline = core.deadline().unwrap();
        assert!(deadline - now <= Duration::from_millis(1300) && deadline > now + Duration::from_millis(300));
    }

    #[test]
    fn each_try_waits_longer_up_to_a_limit_and_a_welcome_starts_over() {
        let mut core = ClientCore::new(0);
        let waits: Vec<_> = (0..8).map(|_| core.handle_lost()).collect();
        assert!(waits.windows(2).all(|w| w[0] <= w[1]));
        assert_eq!((waits[0], waits[7]), limits::RETRY);
        let welcome = ToPeer::Welcome { me: crate::PeerNumber(1), site: String::new(), entries: 0, minor: 0 };
        core.handle_message(welcome, Timestamp(0)).unwrap();
        assert_eq!(core.handle_lost(), limits::RETRY.0);
    }
}
