//! What the host decides about its peers, without sockets or clocks: who is in, who sees whom, which poses go out in
//! the next burst, and what a newcomer is told.

use std::collections::BTreeMap;

use gemba_twin::path::{TagId, ThingId};
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::{Sample, Timestamp};

use crate::interest::CrowdStats;
use crate::limits;
use crate::peers::{Hello, PeerInfo, PeerNumber};
use crate::pose_lane::{Brought, PoseLane};
use crate::telemetry::TagSample;
use crate::wire::{self, PoseDown, PoseUp, ToPeer};

/// Something to be sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// On the control stream.
    Control(PeerNumber, ToPeer),
    /// As a datagram.
    Datagram(PeerNumber, Vec<u8>),
    /// Into the peer's conflater.
    Samples(PeerNumber, Vec<TagSample>),
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
    /// The tick from which on they may be told.
    next_telling: u64,
}

/// The host's view of its peers.
#[derive(Debug, Default)]
pub struct HostCore {
    members: BTreeMap<PeerNumber, Member>,
    next: u16,
    newest: BTreeMap<TagId, Sample>,
    history: Option<(Timestamp, Timestamp)>,
    lane: PoseLane,
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
        while self.members.contains_key(&PeerNumber(self.next)) {
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
            self.lane.join(peer);
        }
        self.outputs.extend(datagrams(peer, poses.iter()));
        let held = self.newest.iter().map(|(tag, sample)| TagSample { tag: *tag, sample: sample.clone() }).collect();
        self.outputs.push(Output::Samples(peer, held));
    }

    /// The site does not let the peer in.
    pub fn refuse(&mut self, peer: PeerNumber, why: &str) {
        let why = wire::cut(why, limits::REASON_BYTES);
        self.outputs.push(Output::Control(peer, ToPeer::Refused { why }));
        self.handle_left(peer);
    }

    /// The peer's connection is gone.
    pub fn handle_left(&mut self, peer: PeerNumber) {
        if self.members.remove(&peer).is_some_and(|member| member.admitted) {
            self.lane.leave(peer);
            self.tell_others(peer, &ToPeer::Left(peer));
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
        let (sequence, pose) = if member.minor >= wire::BODY_MINOR {
            match self.lane.handle_datagram(peer, bytes, now) {
                Brought::Nothing => return,
                Brought::Dropped => {
                    self.poses_dropped += 1;
                    return;
                }
                Brought::Pose(pose) => (0, pose),
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
        member.newest_pose = Some((sequence, PoseDown { peer, at: now, pose }));
        member.moved = true;
    }

    /// New samples for every peer that is in.
    pub fn publish(&mut self, samples: &[TagSample]) {
        for TagSample { tag, sample } in samples {
            self.newest.insert(*tag, sample.clone());
        }
        for (number, _) in self.members.iter().filter(|(_, m)| m.admitted) {
            self.outputs.push(Output::Samples(*number, samples.to_vec()));
        }
    }

    /// One burst at `now`: everybody gets what they are to hear of all others. Peers before minor 4 get all poses of all
    /// others who have moved since the last. Of what somebody selects or shares they hear the newest, and not too often.
    pub fn tick(&mut self, now: Timestamp) {
        self.ticks += 1;
        self.tell_news();
        let told = self.lane.tick(now).into_iter();
        self.outputs.extend(told.map(|(peer, bytes)| Output::Datagram(peer, bytes)));
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
            if member.next_telling > self.ticks || !(member.selection_is_news || member.instant_is_news) {
                continue;
            }
            member.next_telling = self.ticks + limits::TELLING_TICKS;
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
