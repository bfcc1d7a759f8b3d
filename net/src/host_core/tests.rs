//! A host's decisions about its peers, without sockets.

use super::*;
use crate::client_core::ClientCore;
use crate::fingers::Fingers;
use crate::link::LinkEvent;
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
        here: None,
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
    core.tick(Timestamp(9), Turn::ALL);
    let outputs = core.poll_outputs();
    let [Output::Datagram(to, bytes)] = outputs.as_slice() else { panic!("{outputs:?}") };
    let poses = PoseDown::decode_all(bytes);
    assert_eq!((*to, poses[0].peer, poses[0].pose.head.place[0], poses.len()), (grace, ada, 3.0, 1));
    assert_eq!(core.poses_dropped, 1);
    core.tick(Timestamp(9), Turn::ALL);
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
    core.tick(Timestamp(9), Turn::ALL);
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
            core.tick(Timestamp(9), Turn::ALL);
            heard.extend(told(&mut core, grace));
        }
    }
    (0..limits::TELLING_TICKS).for_each(|_| core.tick(Timestamp(9), Turn::ALL));
    heard.extend(told(&mut core, grace));
    assert!((2..=4).contains(&heard.len()), "{heard:?}");
    assert_eq!(heard.last(), Some(&ToPeer::Selected { peer: ada, thing: Some(ThingId([(999u16) as u8; 16])) }));
}

#[test]
fn a_peer_of_another_version_is_told_so() {
    let mut core = HostCore::default();
    let newer = Hello { oldest_minor: 7, newest_minor: 8, ..hello("x") };
    let why = core.handle_hello(PeerKey([1; 32]), &newer).unwrap_err();
    assert!(why.contains("1.6") && why.contains("1.8"), "{why}");
}

#[test]
fn many_poses_are_split_into_datagrams_that_every_path_carries() {
    let mut core = HostCore::default();
    let watcher = join(&mut core, "watcher");
    let crowd: Vec<PeerNumber> = (0..100).map(|i| join(&mut core, &format!("p{i}"))).collect();
    core.poll_outputs();
    crowd.iter().for_each(|peer| core.handle_pose(*peer, &pose(1), Timestamp(1)));
    core.tick(Timestamp(9), Turn::ALL);
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

#[test]
fn bent_fingers_are_told_to_who_is_near_and_knows_of_them() {
    let mut host = HostCore::default();
    // Two of today, one of the version before, and one of today at the far end of the plant.
    let people = [(5, 0.0), (5, 1.0), (4, 2.0), (5, 80.0)];
    let mut come = |newest_minor| {
        let key = PeerKey([host.next as u8; 32]);
        let number = host.handle_hello(key, &Hello { newest_minor, ..hello("x") }).unwrap();
        host.admit(number, "site", 0);
        (number, ClientCore::new(0))
    };
    let mut peers: BTreeMap<_, _> = people.map(|(minor, _)| come(minor)).into();
    let numbers: Vec<_> = peers.keys().copied().collect();
    let hands = [None, Some(Fingers::new(0.09, [[[0.0, -1.0, -1.0]; 3]; 5]))];
    let mut seen = Vec::new();
    for millis in 0..200 {
        let now = Timestamp(1_700_000_000_000_000 + millis * 1000);
        for ((number, core), (_, x)) in peers.iter_mut().zip(people) {
            let head = TrackedPoint { place: [x, 1.7, 0.0], rotation: [0.0, 0.0, 0.0, 1.0] };
            core.tell_pose(&Pose { head, hands: [None, Some(head)], pointer: None }, false);
            core.poll_datagrams().iter().for_each(|bytes| host.handle_pose(*number, bytes, now));
        }
        if millis == 100 {
            let mut say = |number| peers.get_mut(number).and_then(|core| core.tell_fingers(&hands));
            assert_eq!(say(&numbers[2]), None, "a session of minor 4 has no word for fingers");
            host.handle_pose(numbers[0], &say(&numbers[0]).expect("the host knows of them"), now);
        }
        if millis % 20 == 0 {
            host.tick(now, Turn::ALL);
        }
        for output in host.poll_outputs() {
            if let Output::Control(to, message) = output {
                peers.get_mut(&to).unwrap().handle_message(message, now).unwrap();
            } else if let Output::Datagram(to, bytes) = output {
                let told = peers.get_mut(&to).unwrap().handle_datagram(&bytes).into_iter();
                seen.extend(told.filter(|event| matches!(event, LinkEvent::Fingers { .. })).map(|event| (to, event)));
            }
        }
    }
    assert_eq!(seen, [(numbers[1], LinkEvent::Fingers { peer: numbers[0], number: 1, hands })]);
    assert_eq!((host.poses_dropped, host.nearby_dropped()), (0, (0, 0)));
}

#[test]
fn a_newcomer_that_has_said_where_it_is_need_not_ask_where_very_many_bodies_are() {
    let mut core = HostCore::default();
    let at = |n: usize| TrackedPoint { place: [n as f32, 0.0, 0.0], rotation: [0.0, 0.0, 0.0, 1.0] };
    let thing = |n: usize| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&n.to_le_bytes());
        ThingId(id)
    };
    let lying = |count: usize| (0..count).map(|n| (thing(n), at(n))).collect();
    core.restore_rests(lying(limits::BODIES_AT_ONCE), Timestamp(1));
    let come = |core: &mut HostCore, newest_minor, here| {
        let hello = Hello { newest_minor, here, ..hello("Ada") };
        let peer = core.handle_hello(PeerKey([3; 32]), &hello).unwrap();
        core.poll_outputs();
        assert_eq!(core.tell_newcomer(peer, Timestamp(2)), Vec::<Arc<[u8]>>::new(), "not before it is let in");
        core.admit(peer, "site", 0);
        let far = core.tell_newcomer(peer, Timestamp(2)).len();
        let again = core.tell_newcomer(peer, Timestamp(2)).len();
        let near = told(core, peer).iter().filter(|message| matches!(message, ToPeer::Piece(_))).count();
        (near > 0, far > 0, again)
    };
    let here = Some([0; 3]);
    assert_eq!(come(&mut core, 6, here), (false, false, 0), "few are told one by one");
    core.restore_rests(lying(limits::BODIES_AT_ONCE + 1), Timestamp(1));
    assert_eq!(come(&mut core, 6, here), (true, true, 0), "once");
    assert_eq!(come(&mut core, 6, None), (false, false, 0), "who has not said where it is asks");
    assert_eq!(come(&mut core, 5, here), (false, false, 0), "so does who speaks an older version");
}
