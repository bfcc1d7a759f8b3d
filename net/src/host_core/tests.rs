//! A host's decisions about its peers, without sockets.

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
    core.publish(&[], Timestamp(0));
    core.handle_left(stranger, Timestamp(9));
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
