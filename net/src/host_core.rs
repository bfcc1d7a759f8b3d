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
mod tests {
    use super::*;
    use crate::peers::{Pose, TrackedPoint};
    use gemba_twin::peer::PeerKind;

    fn hello(name: &str) -> Hello {
        Hello {
            oldest_minor: 0,
            newest_minor: 3,
            name: name.to_owned(),
            kind: PeerKind::Person,
            entries_held: 0,
            redemption: None,
        }
    }

    fn join(core: &mut HostCore, name: &str) -> PeerNumber {
        let peer = core.handle_hello(PeerKey([name.len() as u8; 32]), &hello(name)).unwrap();
        core.admit(peer, "site", 0);
        peer
    }

    fn pose(sequence: u32) -> Vec<u8> {
        let head = TrackedPoint { place: [sequence as f32, 0.0, 0.0], rotation: [0.0, 0.0, 0.0, 1.0] };
        PoseUp { sequence, pose: Pose { head, hands: [None, None], pointer: None } }.encode()
    }

    fn told(core: &mut HostCore, to: PeerNumber) -> Vec<ToPeer> {
        let outputs = core.poll_outputs().into_iter();
        outputs.filter_map(|o| if let Output::Control(p, m) = o { (p == to).then_some(m) } else { None }).collect()
    }

    #[test]
    fn a_newcomer_learns_who_is_here_and_what_they_have_selected() {
        let mut core = HostCore::default();
        let ada = join(&mut core, "Ada");
        let thing = Some(ThingId([7; 16]));
        core.handle_select(ada, thing);
        core.poll_outputs();
        let grace = join(&mut core, "Grace");
        let told = told(&mut core, grace);
        assert!(matches!(&told[0], ToPeer::Welcome { me, .. } if *me == grace));
        assert!(matches!(&told[1], ToPeer::Joined(info) if info.name == "Ada"));
        assert_eq!(told[2], ToPeer::Selected { peer: ada, thing });
    }

    #[test]
    fn a_peer_of_an_older_version_hears_nothing_of_the_past() {
        let mut core = HostCore::default();
        core.set_history(Timestamp(1), Timestamp(2));
        let ada = join(&mut core, "Ada");
        let old = core.handle_hello(PeerKey([9; 32]), &Hello { newest_minor: 0, ..hello("old") }).unwrap();
        core.admit(old, "site", 0);
        core.handle_share_instant(ada, Some(Timestamp(7)));
        core.set_history(Timestamp(1), Timestamp(3));
        let grace = join(&mut core, "Grace");
        let outputs = core.poll_outputs();
        let past = |to: PeerNumber| {
            let is_past = |m: &ToPeer| matches!(m, ToPeer::History { .. } | ToPeer::InstantShared { .. });
            let told = outputs.iter().filter_map(|o| if let Output::Control(p, m) = o { Some((*p, m)) } else { None });
            told.filter(|(p, m)| *p == to && is_past(m)).map(|(_, m)| m.clone()).collect::<Vec<_>>()
        };
        assert_eq!(past(old), []);
        assert!(!core.knows_past(old) && core.knows_past(ada));
        let shared = ToPeer::InstantShared { peer: ada, instant: Some(Timestamp(7)) };
        assert_eq!(past(grace), [ToPeer::History { from: Timestamp(1), to: Timestamp(3) }, shared]);
        assert_eq!(past(ada).len(), 2, "the history at the welcome, and as it grew");
    }

    #[test]
    fn a_late_pose_is_worthless_and_only_others_get_the_newest() {
        let mut core = HostCore::default();
        let (ada, grace) = (join(&mut core, "Ada"), join(&mut core, "Grace"));
        core.poll_outputs();
        for sequence in [1, 3, 2] {
            core.handle_pose(ada, &pose(sequence), Timestamp(5));
        }
        core.tick(Timestamp(9));
        let outputs = core.poll_outputs();
        let [Output::Datagram(to, bytes)] = outputs.as_slice() else { panic!("{outputs:?}") };
        let poses = PoseDown::decode_all(bytes);
        assert_eq!((*to, poses[0].peer, poses[0].pose.head.place[0], poses.len()), (grace, ada, 3.0, 1));
        assert_eq!(core.poses_dropped, 1);
        core.tick(Timestamp(9));
        assert_eq!(core.poll_outputs(), []);
    }

    #[test]
    fn who_has_not_been_admitted_is_neither_seen_nor_heard() {
        let mut core = HostCore::default();
        let ada = join(&mut core, "Ada");
        let stranger = core.handle_hello(PeerKey([9; 32]), &hello("stranger")).unwrap();
        core.poll_outputs();
        core.handle_select(stranger, None);
        core.handle_pose(stranger, &pose(1), Timestamp(1));
        core.tick(Timestamp(9));
        core.publish(&[]);
        core.handle_left(stranger);
        assert!(core.poll_outputs().iter().all(|o| matches!(o, Output::Samples(p, _) if *p == ada)));
    }

    #[test]
    fn who_selects_a_thousand_times_tells_the_others_little_and_the_newest() {
        let mut core = HostCore::default();
        let (ada, grace) = (join(&mut core, "Ada"), join(&mut core, "Grace"));
        core.poll_outputs();
        let mut heard = Vec::new();
        for n in 0..1000u16 {
            core.handle_select(ada, Some(ThingId([n as u8; 16])));
            if n % 50 == 0 {
                core.tick(Timestamp(9));
                heard.extend(told(&mut core, grace));
            }
        }
        (0..limits::TELLING_TICKS).for_each(|_| core.tick(Timestamp(9)));
        heard.extend(told(&mut core, grace));
        assert!((2..=4).contains(&heard.len()), "{heard:?}");
        assert_eq!(heard.last(), Some(&ToPeer::Selected { peer: ada, thing: Some(ThingId([(999u16) as u8; 16])) }));
    }

    #[test]
    fn a_peer_of_another_version_is_told_so() {
        let mut core = HostCore::default();
        let newer = Hello { oldest_minor: 5, newest_minor: 6, ..hello("x") };
        let why = core.handle_hello(PeerKey([1; 32]), &newer).unwrap_err();
        assert!(why.contains("1.4") && why.contains("1.6"), "{why}");
    }

    #[test]
    fn many_poses_are_split_into_datagrams_that_every_path_carries() {
        let mut core = HostCore::default();
        let watcher = join(&mut core, "watcher");
        let crowd: Vec<PeerNumber> = (0..100).map(|i| join(&mut core, &format!("p{i}"))).collect();
        core.poll_outputs();
        crowd.iter().for_each(|peer| core.handle_pose(*peer, &pose(1), Timestamp(1)));
        core.tick(Timestamp(9));
        let outputs = core.poll_outputs();
        let mine: Vec<&Vec<u8>> = outputs
            .iter()
            .filter_map(|o| match o {
                Output::Datagram(to, bytes) if *to == watcher => Some(bytes),
                _ => None,
            })
            .collect();
        assert!(mine.iter().all(|d| d.len() <= limits::POSE_DATAGRAM_BYTES));
        assert_eq!(mine.iter().map(|d| PoseDown::decode_all(d).len()).sum::<usize>(), 100);
    }
}
