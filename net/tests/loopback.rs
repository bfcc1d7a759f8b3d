//! Real QUIC on the loopback: hosts and links as the programs use them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use gemba_net::telemetry::{Tags, Want, Window};
use gemba_net::{
    Address, BlobHash, BlobParts, BlobTree, HostCommand, HostEvent, HostPort, Link, LinkCommand, LinkConfig, LinkEvent,
    LinkState, ListenConfig, Pose, TagSample, TrackedPoint, connect, limits, listen,
};
use gemba_twin::path::{TagId, ThingId};
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::{Quality, Sample, Timestamp, Value};

/// A small site: admits everyone, keeps entries in memory, answers as a host does.
struct TestHost {
    runtime: tokio::runtime::Runtime,
    address: Address,
    commands: tokio::sync::mpsc::Sender<HostCommand>,
}

/// Longer than anything here takes on a busy machine; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// A thing that nobody gets.
const NAILED_DOWN: ThingId = ThingId([9; 16]);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn start(seed: u8, port: u16, log: Vec<Vec<u8>>, blob: Vec<u8>) -> TestHost {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let config = ListenConfig {
        address: ([127, 0, 0, 1], port).into(),
        signing_key: key(seed),
        earlier_keys: vec![],
        site: "test".to_owned(),
    };
    let port = runtime.block_on(listen(config)).expect("a free port");
    let address = Address {
        host: "127.0.0.1".to_owned(),
        port: port.local_addr().port(),
        site: "test".to_owned(),
        key: PeerKey(key(seed).verifying_key().to_bytes()),
    };
    let commands = port.commands.clone();
    runtime.spawn(serve(port, log, blob.into()));
    TestHost { runtime, address, commands }
}

async fn serve(mut port: HostPort, mut log: Vec<Vec<u8>>, blob: Arc<[u8]>) {
    while let Some(event) = port.events.recv().await {
        match event {
            HostEvent::Arrived { peer, hello, .. } if hello.name == "stranger" => {
                let why = "you are not known here".to_owned();
                port.commands
                    .send(HostCommand::Refuse { peer, why })
                    .await
                    .expect("the hub takes commands as long as the host runs");
            }
            HostEvent::Arrived { peer, hello, .. } => {
                let entries = log.len() as u64;
                port.commands
                    .send(HostCommand::Admit { peer, entries })
                    .await
                    .expect("the hub takes commands as long as the host runs");
                let first = hello.entries_held;
                let entries = log.get(first as usize..).unwrap_or_default().to_vec();
                port.commands
                    .send(HostCommand::Entries { peer: Some(peer), first, entries })
                    .await
                    .expect("the hub takes commands as long as the host runs");
            }
            HostEvent::Submitted { peer, submission, entry } => {
                let first = log.len() as u64;
                log.push(entry.clone());
                let all = HostCommand::Entries { peer: None, first, entries: vec![entry] };
                port.commands.send(all).await.expect("the hub takes commands as long as the host runs");
                let answer = HostCommand::Answer { peer, submission, outcome: Ok(first), overruled: None };
                port.commands.send(answer).await.expect("the hub takes commands as long as the host runs");
            }
            HostEvent::BlobWanted { peer, hash, offset } => {
                let blob = (hash == BlobHash::of(&blob)).then(|| BlobParts::of(&blob, offset));
                port.commands
                    .send(HostCommand::Blob { peer, hash, offset, blob })
                    .await
                    .expect("the hub takes commands as long as the host runs");
            }
            HostEvent::Grabbing { peer, hold, thing } => {
                let outcome = if thing == NAILED_DOWN { Err("it is nailed down".to_owned()) } else { Ok(()) };
                let decided = port.commands.send(HostCommand::Grab { peer, hold, outcome }).await;
                decided.expect("the hub takes commands as long as the host runs");
            }
            HostEvent::Left { .. }
            | HostEvent::Recall { .. }
            | HostEvent::EntriesTaken { .. }
            | HostEvent::Rested { .. }
            | HostEvent::StandsBy { .. } => {}
        }
    }
}

fn join(address: &Address, seed: u8, name: &str) -> Link {
    connect(LinkConfig {
        address: address.clone(),
        signing_key: key(seed),
        name: name.to_owned(),
        kind: PeerKind::Person,
        entries_held: 0,
    })
}

/// Polls until `find` finds what it looks for; says what came instead if it does not.
fn until<T>(link: &mut Link, mut find: impl FnMut(&LinkEvent) -> Option<T>) -> T {
    let begun = Instant::now();
    let mut seen = Vec::new();
    while begun.elapsed() < PATIENCE {
        if let Some(event) = link.wait(Duration::from_millis(100)) {
            if let Some(found) = find(&event) {
                return found;
            }
            seen.push(event);
        }
    }
    panic!("it did not come; instead: {seen:?}");
}

fn welcome(link: &mut Link) -> gemba_net::PeerNumber {
    until(link, |e| if let LinkEvent::Welcome { me, .. } = e { Some(*me) } else { None })
}

fn pose(x: f32) -> Pose {
    let head = TrackedPoint { place: [x, 1.7, 0.0], rotation: [0.0, 0.0, 0.0, 1.0] };
    Pose { head, hands: [None, None], pointer: Some([1.0, 2.0, 3.0]) }
}

#[test]
fn two_people_see_each_other_come_select_move_and_go() {
    let host = start(1, 0, vec![], vec![]);
    let mut ada = join(&host.address, 2, "Ada");
    let ada_number = welcome(&mut ada);
    let thing = Some(ThingId([5; 16]));
    ada.send(LinkCommand::Select(thing)).unwrap();
    let mut grace = join(&host.address, 3, "Grace");
    let grace_number = welcome(&mut grace);
    let name = until(&mut grace, |e| if let LinkEvent::Joined(info) = e { Some(info.name.clone()) } else { None });
    assert_eq!(name, "Ada");
    let seen = until(&mut grace, |e| match e {
        LinkEvent::Selected { peer, thing } => Some((*peer, *thing)),
        _ => None,
    });
    assert_eq!(seen, (ada_number, thing));
    grace.send(LinkCommand::Pose(pose(4.5))).unwrap();
    let (who, place) = until(&mut ada, |e| match e {
        LinkEvent::Pose { peer, pose, .. } => Some((*peer, pose.head.place)),
        _ => None,
    });
    assert_eq!((who, place), (grace_number, [4.5, 1.7, 0.0]));
    drop(grace);
    let left = until(&mut ada, |e| if let LinkEvent::Left(peer) = e { Some(*peer) } else { None });
    assert_eq!(left, grace_number);
}

#[test]
fn a_host_with_another_key_than_the_address_names_is_refused() {
    let host = start(1, 0, vec![], vec![]);
    let address = Address { key: PeerKey(key(9).verifying_key().to_bytes()), ..host.address.clone() };
    let mut ada = join(&address, 2, "Ada");
    let why =
        until(
            &mut ada,
            |e| if let LinkEvent::State(LinkState::Refused { why }) = e { Some(why.clone()) } else { None },
        );
    assert!(why.contains("does not have the key"), "{why}");
}

#[test]
fn a_peer_that_the_site_does_not_admit_is_told_why() {
    let host = start(1, 0, vec![], vec![]);
    let mut stranger = join(&host.address, 2, "stranger");
    let why = until(&mut stranger, |e| match e {
        LinkEvent::State(LinkState::Refused { why }) => Some(why.clone()),
        _ => None,
    });
    assert_eq!(why, "you are not known here");
}

#[test]
fn after_the_host_has_died_and_come_back_the_log_continues_without_a_gap() {
    let log = vec![vec![1], vec![2]];
    let host = start(1, 0, log.clone(), vec![]);
    let (address, port) = (host.address.clone(), host.address.port);
    let mut ada = join(&address, 2, "Ada");
    let first = until(&mut ada, |e| {
        if let LinkEvent::Entries { first, entries } = e { Some((*first, entries.clone())) } else { None }
    });
    assert_eq!(first, (0, log));
    // No good-bye: the runtime goes with all its sockets, as a killed process does.
    host.runtime.shutdown_background();
    until(&mut ada, |e| matches!(e, LinkEvent::State(LinkState::Lost { .. })).then_some(()));
    ada.send(LinkCommand::Submit { submission: 7, entry: vec![9] }).unwrap();
    let _again = start(1, port, vec![vec![1], vec![2], vec![3]], vec![]);
    let next = until(&mut ada, |e| {
        if let LinkEvent::Entries { first, entries } = e { Some((*first, entries.clone())) } else { None }
    });
    assert_eq!(next, (2, vec![vec![3]]));
    let answer = until(&mut ada, |e| {
        if let LinkEvent::Answer { submission, outcome, .. } = e { Some((*submission, outcome.clone())) } else { None }
    });
    assert_eq!(answer, (7, Ok(3)), "what was asked for during the interruption is not lost");
}

#[test]
fn a_newcomer_gets_the_newest_sample_of_every_tag_and_then_what_changes() {
    let host = start(1, 0, vec![], vec![]);
    let sample = |value| Sample {
        value: Some(Value::Float(value)),
        quality: Quality::Good,
        source_time: Timestamp(1),
        server_time: Timestamp(2),
    };
    let publish = |tag, value| {
        let samples = vec![TagSample { tag: TagId(tag), sample: sample(value) }];
        host.commands.blocking_send(HostCommand::Publish(samples)).unwrap();
    };
    publish(3, 1.0);
    publish(3, 2.0);
    let mut ada = join(&host.address, 2, "Ada");
    let held = until(&mut ada, |e| if let LinkEvent::Samples(s) = e { Some(s.clone()) } else { None });
    assert_eq!(held, [TagSample { tag: TagId(3), sample: sample(2.0) }]);
    publish(4, 5.0);
    let news = until(&mut ada, |e| if let LinkEvent::Samples(s) = e { Some(s.clone()) } else { None });
    assert_eq!(news, [TagSample { tag: TagId(4), sample: sample(5.0) }]);
}

#[test]
fn a_blob_arrives_whole_and_verified_and_one_that_is_not_there_fails() {
    let blob: Vec<u8> = (0..3_000_000u32).map(|i| ((i * 31) >> 7) as u8).collect();
    let hash = BlobHash::of(&blob);
    let host = start(1, 0, vec![], blob.clone());
    let mut ada = join(&host.address, 2, "Ada");
    ada.send(LinkCommand::Fetch { hash, metres: 0.0, kept: vec![] }).unwrap();
    let mut progress = 0;
    let bytes = until(&mut ada, |e| match e {
        LinkEvent::BlobProgress { .. } => {
            progress += 1;
            None
        }
        LinkEvent::BlobDone { bytes, .. } => Some(bytes.clone()),
        _ => None,
    });
    assert!(bytes == blob && progress > 2, "{progress} steps");
    ada.send(LinkCommand::Fetch { hash: BlobHash([0; 32]), metres: 0.0, kept: vec![] }).unwrap();
    let why = until(&mut ada, |e| if let LinkEvent::BlobFailed { why, .. } = e { Some(why.clone()) } else { None });
    assert_eq!(why, "the host does not have it");
}

#[test]
fn what_was_kept_of_a_blob_is_not_sent_again_and_what_was_kept_wrong_is() {
    let blob: Vec<u8> = (0..3_000_000u32).map(|i| ((i * 31) >> 7) as u8).collect();
    let hash = BlobHash::of(&blob);
    let host = start(1, 0, vec![], blob.clone());
    let mut wrong = blob[..2_000_000].to_vec();
    wrong[5] ^= 1;
    for (kept, least, most) in [(blob[..2_000_000].to_vec(), 1_000_000, 1_200_000), (wrong, 4_000_000, 4_200_000)] {
        let mut ada = join(&host.address, 2, "Ada");
        ada.send(LinkCommand::Fetch { hash, metres: 0.0, kept }).unwrap();
        let mut here = blob.clone();
        let bytes = until(&mut ada, |e| match e {
            LinkEvent::BlobProgress { have, bytes, .. } => {
                here[*have as usize - bytes.len()..*have as usize].copy_from_slice(bytes);
                None
            }
            LinkEvent::BlobDone { bytes, .. } => Some(bytes.clone()),
            LinkEvent::BlobFailed { why, .. } => panic!("{why}"),
            _ => None,
        });
        assert!(bytes == blob && here == blob);
        let sent = ada.stats().blob_bytes;
        assert!((least..most).contains(&sent), "{sent} bytes came");
    }
}

#[test]
fn a_port_in_use_is_said_to_be() {
    let host = start(1, 0, vec![], vec![]);
    let config = ListenConfig {
        address: ([127, 0, 0, 1], host.address.port).into(),
        signing_key: key(2),
        earlier_keys: vec![],
        site: "second".to_owned(),
    };
    let error = host.runtime.block_on(listen(config)).unwrap_err();
    assert!(error.to_string().contains("is in use"), "{error}");
}

#[test]
fn a_link_that_is_still_connecting_is_dropped_at_once() {
    // Bound, so that no host can be there, and silent.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = Address {
        host: "127.0.0.1".to_owned(),
        port: silent.local_addr().unwrap().port(),
        site: "test".to_owned(),
        key: PeerKey(key(1).verifying_key().to_bytes()),
    };
    let mut ada = join(&address, 2, "Ada");
    until(&mut ada, |e| matches!(e, LinkEvent::State(LinkState::Connecting { .. })).then_some(()));
    let begun = Instant::now();
    drop(ada);
    // Not when the attempt has come to its own end.
    assert!(begun.elapsed() < limits::CONNECT * 2 / 3, "{:?}", begun.elapsed());
}

#[test]
fn a_pose_at_rest_is_told_once_more_exactly_and_to_a_host_that_comes_back() {
    let host = start(1, 0, vec![], vec![]);
    let (address, port) = (host.address.clone(), host.address.port);
    let (mut ada, mut grace) = (join(&address, 2, "Ada"), join(&address, 3, "Grace"));
    let ada_number = welcome(&mut ada);
    welcome(&mut grace);
    ada.send(LinkCommand::Pose(pose(2.5))).unwrap();
    let mut times = 0;
    until(&mut grace, |e| {
        times += i32::from(matches!(e, LinkEvent::Pose { peer, .. } if *peer == ada_number));
        (times == 2).then_some(())
    });
    host.runtime.shutdown_timeout(Duration::from_secs(5));
    until(&mut grace, |e| matches!(e, LinkEvent::State(LinkState::Lost { .. })).then_some(()));
    let _again = start(1, port, vec![], vec![]);
    let place = until(&mut grace, |e| match e {
        LinkEvent::Pose { pose, .. } => Some(pose.head.place),
        _ => None,
    });
    assert_eq!(place, [2.5, 1.7, 0.0]);
}

#[test]
fn what_was_asked_for_just_before_leaving_still_reaches_the_host() {
    let host = start(1, 0, vec![], vec![]);
    let mut ada = join(&host.address, 2, "Ada");
    welcome(&mut ada);
    let mut grace = join(&host.address, 3, "Grace");
    welcome(&mut grace);
    grace.send(LinkCommand::Submit { submission: 1, entry: vec![8] }).unwrap();
    drop(grace);
    let entries =
        until(&mut ada, |e| if let LinkEvent::Entries { entries, .. } = e { Some(entries.clone()) } else { None });
    assert_eq!(entries, [vec![8]]);
}

fn body_at(x: f32) -> TrackedPoint {
    TrackedPoint { place: [x, 0.5, 0.0], rotation: [0.0, 0.0, 0.0, 1.0] }
}

/// The x of where a thing comes to rest.
fn rest(link: &mut Link, thing: ThingId) -> f32 {
    until(link, |e| {
        let LinkEvent::Bodies(told) = e else { return None };
        told.iter().find(|told| told.thing == thing && told.holder.is_none()).map(|told| told.at.place[0])
    })
}

#[test]
fn what_one_carries_the_others_see_and_whoever_comes_later_finds_it_where_it_was_left() {
    const CRATE: ThingId = ThingId([7; 16]);
    let host = start(1, 0, vec![], vec![]);
    let (mut ada, mut grace) = (join(&host.address, 2, "Ada"), join(&host.address, 3, "Grace"));
    let ada_number = welcome(&mut ada);
    welcome(&mut grace);
    // Who has not shown where they are is near no body.
    grace.send(LinkCommand::Pose(pose(0.0))).unwrap();
    ada.send(LinkCommand::GrabBody { thing: CRATE, from: body_at(0.0) }).unwrap();
    ada.send(LinkCommand::MoveBody { thing: CRATE, at: body_at(1.0) }).unwrap();
    until(&mut ada, |e| (*e == LinkEvent::Grabbed { thing: CRATE }).then_some(()));
    let holder = until(&mut grace, |e| if let LinkEvent::Bodies(told) = e { told[0].holder } else { None });
    assert_eq!(holder, ada_number);
    until(&mut grace, |e| match e {
        LinkEvent::BodyMoved { thing: CRATE, at, .. } => (at.place == [1.0, 0.5, 0.0]).then_some(()),
        _ => None,
    });
    grace.send(LinkCommand::GrabBody { thing: CRATE, from: body_at(1.0) }).unwrap();
    let why = until(&mut grace, |e| if let LinkEvent::GrabRefused { why, .. } = e { Some(why.clone()) } else { None });
    assert!(why.contains("someone else"), "{why}");
    ada.send(LinkCommand::ReleaseBody { thing: CRATE, at: body_at(2.5) }).unwrap();
    assert_eq!(rest(&mut grace, CRATE), 2.5);
    let mut late = join(&host.address, 4, "Late");
    assert_eq!(rest(&mut late, CRATE), 2.5);
    grace.send(LinkCommand::GrabBody { thing: CRATE, from: body_at(2.5) }).unwrap();
    until(&mut grace, |e| (*e == LinkEvent::Grabbed { thing: CRATE }).then_some(()));
    drop(grace);
    assert_eq!(rest(&mut late, CRATE), 2.5, "who leaves lets go");
    late.send(LinkCommand::GrabBody { thing: NAILED_DOWN, from: body_at(0.0) }).unwrap();
    let why = until(&mut late, |e| if let LinkEvent::GrabRefused { why, .. } = e { Some(why.clone()) } else { None });
    assert_eq!(why, "it is nailed down");
}

#[test]
fn what_is_in_hand_stays_there_when_the_host_is_started_anew() {
    const CRATE: ThingId = ThingId([7; 16]);
    let host = start(1, 0, vec![], vec![]);
    let (address, port) = (host.address.clone(), host.address.port);
    let (mut ada, mut grace) = (join(&address, 2, "Ada"), join(&address, 3, "Grace"));
    welcome(&mut ada);
    welcome(&mut grace);
    ada.send(LinkCommand::GrabBody { thing: CRATE, from: body_at(0.0) }).unwrap();
    until(&mut ada, |e| (*e == LinkEvent::Grabbed { thing: CRATE }).then_some(()));
    host.runtime.shutdown_timeout(Duration::from_secs(5));
    until(&mut ada, |e| matches!(e, LinkEvent::State(LinkState::Lost { .. })).then_some(()));
    ada.send(LinkCommand::MoveBody { thing: CRATE, at: body_at(3.0) }).unwrap();
    let _again = start(1, port, vec![], vec![]);
    until(&mut ada, |e| (*e == LinkEvent::Grabbed { thing: CRATE }).then_some(()));
    ada.send(LinkCommand::ReleaseBody { thing: CRATE, at: body_at(4.0) }).unwrap();
    assert_eq!(rest(&mut grace, CRATE), 4.0);
}

#[test]
fn a_viewer_is_told_what_it_wants_as_often_as_it_wants_also_after_an_interruption() {
    let host = start(1, 0, vec![], vec![]);
    let (address, port) = (host.address.clone(), host.address.port);
    let paths = |host: &TestHost| {
        let paths = [(1, "Hall/Line1/Speed"), (2, "Hall/Line2/Speed")];
        let paths = paths.map(|(tag, path)| (TagId(tag), path.parse().unwrap())).to_vec();
        host.commands.blocking_send(HostCommand::TagPaths(paths)).unwrap();
    };
    paths(&host);
    let mut ada = join(&address, 2, "Ada");
    let line = |n: u32| Tags::Under(format!("Hall/Line{n}").parse().unwrap());
    let wants = vec![
        Want { tags: line(1), interval_millis: 0, window: Window::Newest },
        Want { tags: line(2), interval_millis: 3_000_000, window: Window::Extremes },
    ];
    ada.send(LinkCommand::Subscribe(wants)).unwrap();
    welcome(&mut ada);
    let at = |tag, n: i64| {
        let (source_time, server_time) = (Timestamp(n), Timestamp(n));
        let sample = Sample { value: Some(Value::Int(n)), quality: Quality::Good, source_time, server_time };
        TagSample { tag: TagId(tag), sample }
    };
    // What the host says is in force once nothing else comes than what is wanted.
    let mut number = 0;
    let mut only_what_is_wanted = |host: &TestHost, ada: &mut Link| {
        until(ada, |e| {
            number += 1;
            host.commands
                .blocking_send(HostCommand::Publish(vec![at(1, number), at(2, number), at(3, number)]))
                .unwrap();
            let LinkEvent::Samples(samples) = e else { return None };
            samples.iter().all(|sample| sample.tag == TagId(1)).then_some(())
        });
    };
    only_what_is_wanted(&host, &mut ada);
    host.runtime.shutdown_timeout(Duration::from_secs(5));
    until(&mut ada, |e| matches!(e, LinkEvent::State(LinkState::Lost { .. })).then_some(()));
    let again = start(1, port, vec![], vec![]);
    paths(&again);
    only_what_is_wanted(&again, &mut ada);
    ada.send(LinkCommand::Subscribe(vec![Want { tags: line(2), interval_millis: 50, window: Window::Extremes }]))
        .unwrap();
    let windows = until(&mut ada, |e| {
        number += 1;
        again.commands.blocking_send(HostCommand::Publish(vec![at(1, number), at(2, number)])).unwrap();
        if let LinkEvent::Windows(windows) = e { Some(windows.clone()) } else { None }
    });
    assert!(windows.iter().all(|window| window.tag == TagId(2) && window.lowest <= window.highest));
}

#[test]
fn a_host_that_sends_another_blob_is_found_out_long_before_the_end() {
    let blob: Vec<u8> = (0..4_000_000u32).map(|i| ((i * 31) >> 7) as u8).collect();
    let tree = Arc::new(BlobTree::of(&blob));
    let hash = tree.hash();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let config = ListenConfig {
        address: ([127, 0, 0, 1], 0).into(),
        signing_key: key(1),
        earlier_keys: vec![],
        site: "liar".to_owned(),
    };
    let mut port = runtime.block_on(listen(config)).unwrap();
    let key = PeerKey(key(1).verifying_key().to_bytes());
    let (host, number) = ("127.0.0.1".to_owned(), port.local_addr().port());
    let address = Address { host, port: number, site: "liar".to_owned(), key };
    runtime.spawn(async move {
        while let Some(event) = port.events.recv().await {
            let command = match event {
                HostEvent::Arrived { peer, .. } => HostCommand::Admit { peer, entries: 0 },
                HostEvent::BlobWanted { peer, hash, offset } => {
                    let mut other = blob.clone();
                    other[100_000] ^= 1;
                    let BlobParts { parts, .. } = BlobParts::of(&other, offset);
                    let blob = Some(BlobParts { tree: tree.clone(), parts });
                    HostCommand::Blob { peer, hash, offset, blob }
                }
                _ => continue,
            };
            port.commands.send(command).await.expect("the hub takes commands as long as the host runs");
        }
    });
    let mut ada = join(&address, 2, "Ada");
    ada.send(LinkCommand::Fetch { hash, metres: 0.0, kept: vec![] }).unwrap();
    let mut here = 0;
    let why = until(&mut ada, |e| match e {
        LinkEvent::BlobProgress { have, .. } => {
            here = *have;
            None
        }
        LinkEvent::BlobFailed { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert_eq!((why.as_str(), here), ("what the host sent is not what was asked for", 65_536));
}

#[test]
fn a_newcomer_of_a_site_full_of_things_hears_where_all_are_and_of_those_around_it_first() {
    const THINGS: u16 = 3_000;
    let host = start(1, 0, vec![], vec![]);
    let thing = |n: u16| {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&n.to_le_bytes());
        ThingId(id)
    };
    let at = |n: u16| {
        let place = [f32::from(n % 60) * 2.0, 0.5, f32::from(n / 60) * 2.0];
        TrackedPoint { place, rotation: [0.0, 0.0, 0.0, 1.0] }
    };
    // The farthest first.
    let rests = (0..THINGS).rev().map(|n| (thing(n), at(n))).collect();
    host.commands.blocking_send(HostCommand::Rests(rests)).unwrap();
    for (seed, expected) in [(2, THINGS), (3, THINGS - 1)] {
        let mut link = join(&host.address, seed, "Ada");
        let mut told = Vec::new();
        until(&mut link, |e| {
            if let LinkEvent::Bodies(these) = e {
                assert!(these.iter().all(|told| told.holder.is_none()));
                told.extend(these.iter().map(|told| (told.thing, told.at.place)));
            }
            (told.len() == usize::from(expected)).then_some(())
        });
        assert!(told[0].1.iter().all(|metres| (0.0..8.0).contains(metres)), "{:?}", told[0]);
        assert!(told.iter().all(|(of, place)| *place == at(u16::from_le_bytes([of.0[0], of.0[1]])).place));
        let things: std::collections::BTreeSet<ThingId> = told.iter().map(|(thing, _)| *thing).collect();
        assert_eq!(things.len(), usize::from(expected));
        host.commands.blocking_send(HostCommand::PutBack { thing: thing(7) }).unwrap();
        if seed == 2 {
            until(&mut link, |e| (*e == LinkEvent::BodyGone { thing: thing(7) }).then_some(()));
        }
    }
}
