//! What the host decides about its peers, without sockets or clocks: who is in, who sees whom, which poses go out in
//! the next burst, and what a newcomer is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use gemba_twin::path::{TagId, TagPath, ThingId};
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::Timestamp;

use crate::body_table::{BodyOutput, BodyTable};
use crate::interest::{CrowdStats, Turn};
use crate::join::{JoinTable, Pieces};
use crate::limits;
use crate::peers::{Hello, PeerInfo, PeerNumber, TrackedPoint};
use crate::pose_lane::{Brought, PoseLane};
use crate::telemetry::{Channels, Outgoing, TagSample, Told, Want};
use crate::wire::{self, PoseDown, PoseUp, ToPeer};

/// Something to be sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// On the control stream.
    Control(PeerNumber, ToPeer),
    /// As a datagram.
    Datagram(PeerNumber, Vec<u8>),
    /// Into the peer's feed.
    Samples(PeerNumber, Arc<Told>),
    /// To the host program: a thing that was carried lies there.
    Rested(ThingId, TrackedPoint),
}

#[derive(Debug)]
struct Member {
    info: PeerInfo,
    minor: u16,
    admitted: bool,
    selected: Option<ThingId>,
    shared_instant: Option<Timestamp>,
    /// With the number it came under, of a peer that numbers its poses (before minor 4).
    newest_pose: Option<(u32, PoseDown)>,
    moved: bool,
    /// Whether the others still have to be told what it has selected, and what it shares.
    selection_is_news: bool,
    instant_is_news: bool,
    /// What it wants to be told of tags, if that is new.
    wants: Option<Vec<Want>>,
    /// Where it has said that it is, until it has been told where all bodies are.
    here: Option<[i32; 3]>,
    /// How often it has asked where all bodies are.
    joins: u32,
    /// The tick from which on they may be told.
    next_telling: u64,
}

/// The host's view of its peers.
#[derive(Debug, Default)]
pub struct HostCore {
    members: BTreeMap<PeerNumber, Member>,
    next: u16,
    channels: Channels,
    history: Option<(Timestamp, Timestamp)>,
    lane: PoseLane,
    bodies: BodyTable,
    /// The same for newcomers.
    table: JoinTable,
    ticks: u64,
    outputs: Vec<Output>,
    /// Pose datagrams that were late, damaged or from a peer that is not in.
    pub poses_dropped: u64,
}

impl HostCore {
    /// Takes what is to be sent.
    pub fn poll_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// A peer has said hello. Its number, or why it cannot come in, whatever the site's rules say.
    pub fn handle_hello(&mut self, key: PeerKey, hello: &Hello) -> Result<PeerNumber, String> {
        let minor = hello.newest_minor.min(*wire::MINORS.end());
        if minor < hello.oldest_minor.max(*wire::MINORS.start()) {
            return Err(format!(
                "this host speaks protocol versions 1.{} to 1.{}, you speak 1.{} to 1.{}; update the older one",
                *wire::MINORS.start(),
                *wire::MINORS.end(),
                hello.oldest_minor,
                hello.newest_minor
            ));
        }
        if self.members.len() >= limits::PEERS {
            return Err(format!("this host is full: {} peers are here", limits::PEERS));
        }
        let is_taken = |next| next == PeerNumber::HOST || self.members.contains_key(&next);
        while is_taken(PeerNumber(self.next)) {
            self.next = self.next.wrapping_add(1);
        }
        let number = PeerNumber(self.next);
        // The next one gets another number, so that a late message about who left is not taken for one who came.
        self.next = self.next.wrapping_add(1);
        let info = PeerInfo { number, key, name: hello.name.clone(), kind: hello.kind };
        let member = Member {
            info,
            minor,
            admitted: false,
            selected: None,
            shared_instant: None,
            newest_pose: None,
            moved: false,
            selection_is_news: false,
            instant_is_news: false,
            wants: None,
            here: hello.here.filter(|_| minor >= wire::HERE_MINOR),
            joins: 0,
            next_telling: 0,
        };
        self.members.insert(number, member);
        Ok(number)
    }

    /// The site lets the peer in: it is welcomed, told who is here and what every tag reads.
    pub fn admit(&mut self, peer: PeerNumber, site: &str, entries: u64) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        member.admitted = true;
        let info = member.info.clone();
        let welcome = ToPeer::Welcome { me: peer, site: site.to_owned(), entries, minor: member.minor };
        let knows_past = member.minor >= wire::PAST_MINOR;
        let knows_bodies = member.minor >= wire::BODY_MINOR;
        let knows_fingers = member.minor >= wire::FINGERS_MINOR;
        self.outputs.push(Output::Control(peer, welcome));
        if let Some((from, to)) = self.history.filter(|_| knows_past) {
            self.outputs.push(Output::Control(peer, ToPeer::History { from, to }));
        }
        let mut poses = Vec::new();
        for (number, other) in self.members.iter().filter(|(n, m)| **n != peer && m.admitted) {
            self.outputs.push(Output::Control(*number, ToPeer::Joined(info.clone())));
            self.outputs.push(Output::Control(peer, ToPeer::Joined(other.info.clone())));
            if other.selected.is_some() {
                let selected = ToPeer::Selected { peer: *number, thing: other.selected };
                self.outputs.push(Output::Control(peer, selected));
            }
            if knows_past && other.shared_instant.is_some() {
                let shared = ToPeer::InstantShared { peer: *number, instant: other.shared_instant };
                self.outputs.push(Output::Control(peer, shared));
            }
            poses.extend(other.newest_pose.as_ref().filter(|_| !knows_bodies).map(|(_, pose)| pose.clone()));
        }
        if knows_bodies {
            self.lane.join(peer, knows_fingers);
            if self.bodies.len() > limits::BODIES_AT_ONCE {
                self.outputs.push(Output::Control(peer, ToPeer::Bodies(self.bodies.len() as u32)));
            } else {
                self.outputs.extend(self.bodies.all().map(|news| Output::Control(peer, news)));
            }
        }
        self.outputs.extend(datagrams(peer, poses.iter()));
        let held = self.channels.subscribe(peer, vec![Want::EVERYTHING]);
        self.outputs.push(Output::Samples(peer, Arc::new(held)));
    }

    /// The site does not let the peer in.
    pub fn refuse(&mut self, peer: PeerNumber, why: &str, now: Timestamp) {
        let why = wire::cut(why, limits::REASON_BYTES);
        self.outputs.push(Output::Control(peer, ToPeer::Refused { why }));
        self.handle_left(peer, now);
    }

    /// The peer's connection is gone.
    pub fn handle_left(&mut self, peer: PeerNumber, now: Timestamp) {
        if self.members.remove(&peer).is_some_and(|member| member.admitted) {
            self.lane.leave(peer);
            self.channels.leave(peer);
            self.tell_others(peer, &ToPeer::Left(peer));
            self.bodies.handle_left(peer, now);
            self.tell_bodies(now);
        }
    }

    /// The peer lives: it has said something.
    pub fn handle_heard(&mut self, peer: PeerNumber, now: Timestamp) {
        self.bodies.handle_heard(peer, now);
    }

    /// A peer wants to hold a thing. True if the host program is to say whether it may.
    pub fn handle_grab(
        &mut self,
        peer: PeerNumber,
        hold: u8,
        thing: ThingId,
        from: TrackedPoint,
        now: Timestamp,
    ) -> bool {
        let knows_bodies = |member: &Member| member.admitted && member.minor >= wire::BODY_MINOR;
        let is_asked =
            self.members.get(&peer).is_some_and(knows_bodies) && self.bodies.handle_grab(peer, hold, thing, from, now);
        self.tell_bodies(now);
        is_asked
    }

    /// The host program has said whether it may. What the same person holds in a session that has not ended yet, they
    /// take over.
    pub fn decide_grab(&mut self, peer: PeerNumber, hold: u8, outcome: Result<(), String>, now: Timestamp) {
        let key = |peer: PeerNumber| self.members.get(&peer).map(|member| member.info.key);
        if let Some((_, holder)) = self.bodies.asked(peer, hold)
            && holder != peer
            && outcome.is_ok()
            && key(holder).is_some_and(|holder| Some(holder) == key(peer))
        {
            self.bodies.handle_left(holder, now);
        }
        self.bodies.handle_decided(peer, hold, outcome, now);
        self.tell_bodies(now);
    }

    /// A peer lets go what it holds.
    pub fn handle_release(&mut self, peer: PeerNumber, hold: u8, at: TrackedPoint, now: Timestamp) {
        self.bodies.handle_release(peer, hold, at, now);
        self.tell_bodies(now);
    }

    /// The record says where a thing is, and that it is carried no more.
    pub fn put_back(&mut self, thing: ThingId, now: Timestamp) {
        self.bodies.put_back(thing);
        self.tell_bodies(now);
    }

    /// Where things lie that were carried before this host began.
    pub fn restore_rests(&mut self, rests: Vec<(ThingId, TrackedPoint)>, now: Timestamp) {
        rests.into_iter().for_each(|(thing, at)| self.bodies.restore(thing, at, now));
        self.tell_bodies(now);
    }

    /// A newcomer that has been let in, and has said where it is, is told where all bodies are if they are too many to be told
    /// one by one; as [`Self::handle_join`] else.
    pub fn tell_newcomer(&mut self, peer: PeerNumber, now: Timestamp) -> Vec<Arc<[u8]>> {
        let member = self.members.get_mut(&peer).filter(|member| member.admitted);
        let here = member.and_then(|member| member.here.take());
        let here = here.filter(|_| self.bodies.len() > limits::BODIES_AT_ONCE);
        here.map_or(Vec::new(), |here| self.handle_join(peer, here, false, now))
    }

    /// A newcomer asks where all bodies are. What is near is told; returned is what is to be told on another way.
    pub fn handle_join(&mut self, peer: PeerNumber, here: [i32; 3], is_alone: bool, now: Timestamp) -> Vec<Arc<[u8]>> {
        let Some(member) = self.members.get_mut(&peer).filter(|m| m.admitted && m.minor >= wire::BODY_MINOR) else {
            return Vec::new();
        };
        member.joins += 1;
        if member.joins > limits::JOINS {
            return Vec::new();
        }
        let Pieces { near, rest } = self.table.pieces(here, (now.0 / 1000).max(0).cast_unsigned());
        let (told, rest) = if is_alone { ([near, rest].concat(), Vec::new()) } else { (near, rest) };
        let tell = |piece: Arc<[u8]>| Output::Control(peer, ToPeer::Piece(piece.to_vec().into()));
        self.outputs.extend(told.into_iter().map(tell));
        self.lane.note_joined(peer);
        rest
    }

    /// Times that a peer moved or released what it did not hold.
    pub fn moves_fenced(&self) -> u64 {
        self.bodies.fenced
    }

    /// Frames of voices, and words of fingers, that somebody was not told: over a budget, late, or too many at once.
    pub fn nearby_dropped(&self) -> (u64, u64) {
        self.lane.nearby_dropped()
    }

    fn tell_bodies(&mut self, now: Timestamp) {
        for output in self.bodies.poll() {
            self.table.note(&output);
            match output {
                BodyOutput::All(message) => {
                    let members = self.members.iter().filter(|(_, m)| m.admitted && m.minor >= wire::BODY_MINOR);
                    self.outputs.extend(members.map(|(peer, _)| Output::Control(*peer, message.clone())));
                }
                BodyOutput::One(peer, message) => self.outputs.push(Output::Control(peer, message)),
                BodyOutput::Moved { body, at, epoch, rests } => self.lane.tell_body(body, &at, epoch, rests, now),
                BodyOutput::Rested { thing, at } => self.outputs.push(Output::Rested(thing, at)),
                BodyOutput::Gone(body) => self.lane.forget_body(body),
            }
        }
    }

    /// Whether the peer has been let in.
    pub fn is_admitted(&self, peer: PeerNumber) -> bool {
        self.members.get(&peer).is_some_and(|member| member.admitted)
    }

    /// A peer has selected something. The others are told with the next ticks.
    pub fn handle_select(&mut self, peer: PeerNumber, thing: Option<ThingId>) {
        let Some(member) = self.members.get_mut(&peer).filter(|m| m.admitted) else { return };
        member.selected = thing;
        member.selection_is_news = true;
    }

    /// A peer invites the others to an instant, or withdraws that.
    pub fn handle_share_instant(&mut self, peer: PeerNumber, instant: Option<Timestamp>) {
        let Some(member) = self.members.get_mut(&peer).filter(|m| m.admitted) else { return };
        member.shared_instant = instant;
        member.instant_is_news = true;
        self.lane.present(peer, instant.is_some());
    }

    /// A peer wants to be told of these tags. That counts from the next ticks on.
    pub fn handle_subscribe(&mut self, peer: PeerNumber, wants: Vec<Want>) {
        if let Some(member) = self.members.get_mut(&peer).filter(|m| m.admitted && m.minor >= wire::TELEMETRY_MINOR) {
            member.wants = Some(wants);
        }
    }

    /// Where tags stand, for those who want to be told of a part of the plant.
    pub fn set_tag_paths(&mut self, paths: Vec<(TagId, TagPath)>) {
        self.channels.set_paths(paths);
    }

    /// Whether the peer verifies the groups of a blob as they come.
    pub fn knows_blob_trees(&self, peer: PeerNumber) -> bool {
        self.members.get(&peer).is_some_and(|member| member.minor >= wire::BLOB_TREE_MINOR)
    }

    /// Whether the peer reads packed samples.
    pub fn knows_packing(&self, peer: PeerNumber) -> bool {
        self.members.get(&peer).is_some_and(|member| member.minor >= wire::TELEMETRY_MINOR)
    }

    /// A peer wants to be told of another one first.
    pub fn handle_watch(&mut self, peer: PeerNumber, whom: Option<PeerNumber>) {
        self.lane.ask_for(peer, whom);
    }

    /// What has been told of poses and bodies, and held back.
    pub fn crowd_stats(&self) -> CrowdStats {
        self.lane.stats()
    }

    /// How far back history goes now.
    pub fn set_history(&mut self, from: Timestamp, to: Timestamp) {
        self.history = Some((from, to));
        for (number, _) in self.members.iter().filter(|(_, m)| m.admitted && m.minor >= wire::PAST_MINOR) {
            self.outputs.push(Output::Control(*number, ToPeer::History { from, to }));
        }
    }

    /// Whether a peer that is in can be told what its edits overrule.
    pub fn knows_edits(&self, peer: PeerNumber) -> bool {
        self.members.get(&peer).is_some_and(|member| member.admitted && member.minor >= wire::EDIT_MINOR)
    }

    /// Whether the peer has been let in and speaks of the past.
    pub fn knows_past(&self, peer: PeerNumber) -> bool {
        self.members.get(&peer).is_some_and(|member| member.admitted && member.minor >= wire::PAST_MINOR)
    }

    /// A pose datagram has arrived.
    pub fn handle_pose(&mut self, peer: PeerNumber, bytes: &[u8], now: Timestamp) {
        let Some(member) = self.members.get_mut(&peer).filter(|m| m.admitted) else {
            self.poses_dropped += 1;
            return;
        };
        self.bodies.handle_heard(peer, now);
        let (sequence, pose) = if member.minor >= wire::BODY_MINOR {
            match self.lane.handle_datagram(peer, bytes, now) {
                Brought::Nothing => return,
                Brought::Dropped => {
                    self.poses_dropped += 1;
                    return;
                }
                Brought::News(pose, bodies) => {
                    bodies.into_iter().for_each(|(hold, told)| self.bodies.handle_move(peer, hold, told, now));
                    self.tell_bodies(now);
                    let Some(pose) = pose else { return };
                    (0, pose)
                }
            }
        } else {
            let known = member.newest_pose.as_ref().map(|(known, _)| *known);
            // Sequence numbers wrap: newer means less than half the circle ahead.
            let is_late = |up: &PoseUp| known.is_some_and(|known| up.sequence.wrapping_sub(known) as i32 <= 0);
            let Some(up) = PoseUp::decode(bytes).filter(|up| !is_late(up)) else {
                self.poses_dropped += 1;
                return;
            };
            self.lane.handle_pose(peer, &up.pose, now);
            (up.sequence, up.pose)
        };
        if let Some(member) = self.members.get_mut(&peer) {
            member.newest_pose = Some((sequence, PoseDown { peer, at: now, pose }));
            member.moved = true;
        }
    }

    /// New samples for every peer that wants them.
    pub fn publish(&mut self, samples: &[TagSample], now: Timestamp) {
        let told = self.channels.publish(samples, now);
        self.tell_samples(told);
    }

    fn tell_samples(&mut self, told: Vec<Outgoing>) {
        for (peers, told) in told {
            self.outputs.extend(peers.into_iter().map(|peer| Output::Samples(peer, told.clone())));
        }
    }

    /// One burst at `now`: everybody whose turn it is gets what they are to hear of all others. Peers before minor 4 get,
    /// once a round, all poses of all others who have moved since the last. Of what somebody selects or shares they hear the
    /// newest, and not too often.
    pub fn tick(&mut self, now: Timestamp, turn: Turn) {
        self.ticks += 1;
        self.tell_news();
        self.bodies.tick(now);
        self.tell_bodies(now);
        let samples = self.channels.tick(now);
        self.tell_samples(samples);
        let told = self.lane.tick(now, turn).into_iter();
        self.outputs.extend(told.map(|(peer, bytes)| Output::Datagram(peer, bytes)));
        if !turn.begins_round() {
            return;
        }
        let moved: Vec<PoseDown> = self
            .members
            .values_mut()
            .filter_map(|member| {
                let moved = std::mem::take(&mut member.moved);
                member.newest_pose.as_ref().filter(|_| moved).map(|(_, pose)| pose.clone())
            })
            .collect();
        if moved.is_empty() {
            return;
        }
        let older = self.members.iter().filter(|(_, m)| m.admitted && m.minor < wire::BODY_MINOR);
        for (number, _) in older {
            self.outputs.extend(datagrams(*number, moved.iter().filter(|pose| pose.peer != *number)));
        }
    }

    fn tell_news(&mut self) {
        let mut news = Vec::new();
        for (number, member) in &mut self.members {
            let is_news = member.selection_is_news || member.instant_is_news || member.wants.is_some();
            if member.next_telling > self.ticks || !is_news {
                continue;
            }
            member.next_telling = self.ticks + limits::TELLING_TICKS;
            if let Some(wants) = member.wants.take() {
                let held = self.channels.subscribe(*number, wants);
                self.outputs.push(Output::Samples(*number, Arc::new(held)));
            }
            if std::mem::take(&mut member.selection_is_news) {
                news.push((*number, ToPeer::Selected { peer: *number, thing: member.selected }));
            }
            if std::mem::take(&mut member.instant_is_news) {
                news.push((*number, ToPeer::InstantShared { peer: *number, instant: member.shared_instant }));
            }
        }
        news.iter().for_each(|(peer, message)| self.tell_others(*peer, message));
    }

    fn tell_others(&mut self, peer: PeerNumber, message: &ToPeer) {
        let least = if matches!(message, ToPeer::InstantShared { .. }) { wire::PAST_MINOR } else { 0 };
        let others = self.members.iter().filter(|(number, m)| **number != peer && m.admitted && m.minor >= least);
        self.outputs.extend(others.map(|(number, _)| Output::Control(*number, message.clone())));
    }
}

/// Poses packed into as few datagrams as hold them.
fn datagrams<'a>(to: PeerNumber, poses: impl Iterator<Item = &'a PoseDown>) -> Vec<Output> {
    let mut all = Vec::new();
    let mut datagram = Vec::new();
    for pose in poses {
        let mut bytes = Vec::new();
        pose.encode(&mut bytes);
        if datagram.len() + bytes.len() > limits::POSE_DATAGRAM_BYTES {
            all.push(Output::Datagram(to, std::mem::take(&mut datagram)));
        }
        datagram.extend_from_slice(&bytes);
    }
    if !datagram.is_empty() {
        all.push(Output::Datagram(to, datagram));
    }
    all
}

#[cfg(test)]
mod tests;
