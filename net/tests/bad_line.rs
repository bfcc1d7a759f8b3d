//! Links and a host with a bad network between them: a session outlives a change of address and resumes after a cut, and
//! whoever misbehaves harms only itself.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use gemba_net::test_network::{ProxyConfig, UdpProxy};
use gemba_net::wire::{self, ToHost};
use gemba_net::{
    Address, BlobHash, BlobParts, Hello, HostCommand, HostEvent, HostPort, HostStats, Link, LinkCommand, LinkConfig,
    LinkEvent, LinkState, ListenConfig, Pose, TagSample, TrackedPoint, connect, listen, tls, transport,
};
use gemba_twin::path::{TagId, ThingId};
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::{Quality, Sample, Timestamp, Value};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

/// Longer than anything here takes on a busy machine; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// Admits everyone, keeps entries in memory, answers as a host does.
struct TestHost {
    runtime: Runtime,
    local: SocketAddr,
    commands: mpsc::Sender<HostCommand>,
    ask_stats: mpsc::Sender<oneshot::Sender<HostStats>>,
}

impl TestHost {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let config = ListenConfig {
            address: ([127, 0, 0, 1], 0).into(),
            signing_key: key(1),
            earlier_keys: vec![],
            site: "test".to_owned(),
        };
        let port = runtime.block_on(listen(config)).unwrap();
        let (local, commands) = (port.local_addr(), port.commands.clone());
        let (ask_stats, asked) = mpsc::channel(1);
        runtime.spawn(serve(port, asked));
        Self { runtime, local, commands, ask_stats }
    }

    fn stats(&self) -> HostStats {
        let (reply, stats) = oneshot::channel();
        self.ask_stats.blocking_send(reply).unwrap();
        stats.blocking_recv().unwrap()
    }

    fn behind(&self, line: &str) -> UdpProxy {
        let line = line.parse().unwrap();
        let listen = ([127, 0, 0, 1], 0).into();
        UdpProxy::start(ProxyConfig { listen, target: self.local, up: line, down: line, seed: 1 }).unwrap()
    }

    /// A peer that may say what a link never would.
    fn raw_peer(&self, seed: u8) -> RawPeer {
        self.runtime.block_on(async {
            let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
            let crypto = tls::client(&key(seed), PeerKey(key(1).verifying_key().to_bytes())).unwrap();
            let mut client = quinn::ClientConfig::new(Arc::new(crypto));
            client.transport_config(Arc::new(transport::real_time()));
            let connection = endpoint.connect_with(client, self.local, "gemba").unwrap().await.unwrap();
            let (mut send, recv) = connection.open_bi().await.unwrap();
            let (name, kind) = (format!("raw {seed}"), PeerKind::Person);
            let hello =
                Hello { oldest_minor: 0, newest_minor: 0, name, kind, entries_held: 0, redemption: None, here: None };
            send.write_all(&wire::frame(&ToHost::Hello(hello))).await.unwrap();
            RawPeer { connection, send, _recv: recv, _endpoint: endpoint }
        })
    }
}

struct RawPeer {
    connection: Connection,
    send: SendStream,
    _recv: RecvStream,
    _endpoint: Endpoint,
}

async fn serve(mut port: HostPort, mut asked: mpsc::Receiver<oneshot::Sender<HostStats>>) {
    let mut log: Vec<Vec<u8>> = Vec::new();
    loop {
        let event = tokio::select! {
            event = port.events.recv() => event,
            Some(reply) = asked.recv() => {
                let _ = reply.send(port.stats());
                continue;
            }
        };
        let commands = match event {
            None => return,
            Some(HostEvent::Arrived { peer, hello, .. }) => {
                let first = hello.entries_held;
                let entries = log.get(first as usize..).unwrap_or_default().to_vec();
                let admit = HostCommand::Admit { peer, entries: log.len() as u64 };
                vec![admit, HostCommand::Entries { peer: Some(peer), first, entries }]
            }
            Some(HostEvent::Submitted { peer, submission, entry }) => {
                // The same entry again has the same place, as in a record.
                let known = log.iter().position(|held| *held == entry);
                let index = known.unwrap_or(log.len()) as u64;
                let answer = HostCommand::Answer { peer, submission, outcome: Ok(index), overruled: None };
                if known.is_some() {
                    vec![answer]
                } else {
                    log.push(entry.clone());
                    vec![HostCommand::Entries { peer: None, first: index, entries: vec![entry] }, answer]
                }
            }
            Some(HostEvent::BlobWanted { peer, hash, offset }) => {
                let blob = blob(hash).map(|bytes| BlobParts::of(&bytes, offset));
                vec![HostCommand::Blob { peer, hash, offset, blob }]
            }
            Some(HostEvent::Grabbing { peer, hold, .. }) => vec![HostCommand::Grab { peer, hold, outcome: Ok(()) }],
            Some(
                HostEvent::Left { .. }
                | HostEvent::Recall { .. }
                | HostEvent::EntriesTaken { .. }
                | HostEvent::Rested { .. }
                | HostEvent::StandsBy { .. },
            ) => vec![],
        };
        for command in commands {
            port.commands.send(command).await.unwrap();
        }
    }
}

/// A megabyte and its hash.
fn model() -> (BlobHash, Vec<u8>) {
    let bytes: Vec<u8> = (0..1u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    (BlobHash::of(&bytes), bytes)
}

fn blob(hash: BlobHash) -> Option<Vec<u8>> {
    let (known, bytes) = model();
    (hash == known).then_some(bytes)
}

fn join(at: SocketAddr, seed: u8) -> Link {
    let key_of_host = PeerKey(key(1).verifying_key().to_bytes());
    let address = Address { host: at.ip().to_string(), port: at.port(), site: "test".to_owned(), key: key_of_host };
    connect(LinkConfig {
        address,
        signing_key: key(seed),
        name: format!("person {seed}"),
        kind: PeerKind::Person,
        entries_held: 0,
    })
}

fn until<T>(link: &mut Link, what: &str, mut find: impl FnMut(&LinkEvent) -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(found) = link.wait(Duration::from_millis(100)).and_then(|event| find(&event)) {
            return found;
        }
    }
    panic!("waited in vain for {what}");
}

fn welcome(link: &mut Link) {
    until(link, "a welcome", |e| matches!(e, LinkEvent::Welcome { .. }).then_some(()));
}

fn submit(link: &mut Link, submission: u64) -> u64 {
    link.send(LinkCommand::Submit { submission, entry: submission.to_le_bytes().to_vec() }).unwrap();
    answer(link, submission)
}

fn answer(link: &mut Link, wanted: u64) -> u64 {
    until(link, "an answer", |e| match e {
        LinkEvent::Answer { submission, outcome, .. } if *submission == wanted => Some(outcome.clone().unwrap()),
        LinkEvent::State(state) if !matches!(state, LinkState::Connected) => panic!("{state:?}"),
        _ => None,
    })
}

fn pose(x: f32) -> Pose {
    let head = TrackedPoint { place: [x, 1.7, 0.0], rotation: [0.0, 0.0, 0.0, 1.0] };
    Pose { head, hands: [None, None], pointer: None }
}

fn seen_at(link: &mut Link, x: f32) {
    until(link, "a pose", |e| matches!(e, LinkEvent::Pose { pose, .. } if pose.head.place[0] == x).then_some(()));
}

#[test]
fn a_laptop_that_changes_its_address_keeps_its_session() {
    let host = TestHost::start();
    let proxy = host.behind("delay=20ms,loss=1%");
    let (mut ada, mut grace) = (join(proxy.local_addr(), 2), join(host.local, 3));
    welcome(&mut ada);
    welcome(&mut grace);
    assert_eq!(submit(&mut ada, 1), 0);
    for round in 1..4u64 {
        proxy.rebind();
        ada.send(LinkCommand::Pose(pose(round as f32))).unwrap();
        seen_at(&mut grace, round as f32);
        // Panics if the link says anything of a lost connection.
        assert_eq!(submit(&mut ada, round + 1), round);
    }
}

#[test]
fn after_a_cut_line_is_mended_the_session_resumes_and_nothing_is_lost_or_done_twice() {
    let host = TestHost::start();
    let proxy = host.behind("delay=20ms,loss=2%");
    let (mut ada, mut grace) = (join(proxy.local_addr(), 2), join(host.local, 3));
    welcome(&mut ada);
    welcome(&mut grace);
    assert_eq!(submit(&mut ada, 1), 0);
    // What the host says is lost, but what Ada says is heard: the answer to this goes missing, not the entry.
    proxy.set_cut(false, true);
    ada.send(LinkCommand::Submit { submission: 2, entry: 2u64.to_le_bytes().to_vec() }).unwrap();
    ada.send(LinkCommand::Pose(pose(7.0))).unwrap();
    until(&mut ada, "the loss", |e| matches!(e, LinkEvent::State(LinkState::Lost { .. })).then_some(()));
    proxy.set_cut(true, true);
    ada.send(LinkCommand::Submit { submission: 3, entry: 3u64.to_le_bytes().to_vec() }).unwrap();
    proxy.set_cut(false, false);
    let mut answers = Vec::new();
    let mut entries = Vec::new();
    until(&mut ada, "both answers", |e| {
        match e {
            LinkEvent::Answer { submission, outcome, .. } => answers.push((*submission, outcome.clone().unwrap())),
            LinkEvent::Entries { first, entries: more } => entries.push((*first, more.len())),
            _ => {}
        }
        (answers.len() == 2).then_some(())
    });
    answers.sort_unstable();
    assert_eq!(answers, [(2, 1), (3, 2)]);
    assert_eq!(submit(&mut grace, 4), 3, "three entries, each once");
    seen_at(&mut grace, 7.0);
}

#[test]
fn a_blob_comes_on_a_connection_of_its_own_and_goes_on_after_a_cut() {
    let host = TestHost::start();
    let proxy = host.behind("delay=10ms,loss=1%,bandwidth=8Mbit");
    let mut ada = join(proxy.local_addr(), 2);
    welcome(&mut ada);
    let (hash, bytes) = model();
    ada.send(LinkCommand::Fetch { hash, metres: 0.0, kept: vec![] }).unwrap();
    until(&mut ada, "a part", |e| matches!(e, LinkEvent::BlobProgress { have, .. } if *have > 100_000).then_some(()));
    proxy.set_cut(true, true);
    until(&mut ada, "the loss", |e| matches!(e, LinkEvent::State(LinkState::Lost { .. })).then_some(()));
    proxy.set_cut(false, false);
    let mut first_again = None;
    let whole = until(&mut ada, "the blob", |e| match e {
        LinkEvent::BlobProgress { have, .. } => {
            first_again.get_or_insert(*have);
            None
        }
        LinkEvent::BlobDone { bytes, .. } => Some(bytes.clone()),
        LinkEvent::BlobFailed { why, .. } => panic!("{why}"),
        _ => None,
    });
    assert!(whole == bytes && first_again.unwrap() > 100_000, "it began again at {first_again:?}");
    assert_eq!(host.stats().bulk_lines, 2);
}

#[test]
fn who_floods_is_held_up_and_counted_and_the_others_are_not() {
    let host = TestHost::start();
    let mut flooder = host.raw_peer(9);
    let (mut ada, mut grace) = (join(host.local, 2), join(host.local, 3));
    welcome(&mut ada);
    welcome(&mut grace);
    let connection = flooder.connection.clone();
    let poses = host.runtime.spawn(async move {
        for sequence in 0..u32::MAX {
            let up = wire::PoseUp { sequence, pose: pose(-1.0) };
            if connection.send_datagram(up.encode().into()).is_err() {
                return;
            }
            if sequence % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    let selections = host.runtime.spawn(async move {
        let select = wire::frame(&ToHost::Select(Some(ThingId([9; 16]))));
        while flooder.send.write_all(&select.repeat(1000)).await.is_ok() {}
    });
    // In the middle of it the others meet.
    for round in 0..20u64 {
        ada.send(LinkCommand::Pose(pose(round as f32))).unwrap();
        seen_at(&mut grace, round as f32);
        assert_eq!(submit(&mut grace, round), round);
    }
    let begun = Instant::now();
    while (host.stats().poses_over_rate == 0 || host.stats().messages_paced == 0) && begun.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    let stats = host.stats();
    assert!(stats.poses_over_rate > 0 && stats.messages_paced > 0, "{stats:?}");
    assert_eq!((stats.peers_too_slow, stats.peers_surplus), (0, 0), "{stats:?}");
    poses.abort();
    selections.abort();
}

#[test]
fn who_reads_nothing_is_conflated_or_let_go_and_delays_nobody() {
    let host = TestHost::start();
    let slow = host.raw_peer(9);
    let mut ada = join(host.local, 2);
    welcome(&mut ada);
    let sample = |n: u32, time| TagSample {
        tag: TagId(n),
        sample: Sample {
            value: Some(Value::Text(format!("{time:0>400}"))),
            quality: Quality::Good,
            source_time: Timestamp(time),
            server_time: Timestamp(time),
        },
    };
    // Entries go to everyone and pile up before the one who reads none; samples are conflated there.
    let entry = |n: u64| [n.to_le_bytes().to_vec(), vec![0; 200_000]].concat();
    let mut sent = 0;
    let begun = Instant::now();
    while host.stats().peers_too_slow == 0 {
        assert!(begun.elapsed() < PATIENCE, "{:?} after {sent} entries", host.stats());
        ada.send(LinkCommand::Submit { submission: sent, entry: entry(sent) }).unwrap();
        assert_eq!(answer(&mut ada, sent), sent);
        host.commands.blocking_send(HostCommand::Publish((0..500).map(|n| sample(n, sent as i64)).collect())).unwrap();
        sent += 1;
    }
    host.runtime.block_on(slow.connection.closed());
    assert_eq!(submit(&mut ada, sent), sent, "she has noticed nothing");
    assert!(sent > 20, "let go after {sent} entries of 200 kB already");
}

#[test]
fn thousands_of_half_made_connections_do_not_keep_an_honest_peer_out() {
    let host = TestHost::start();
    // Nothing comes back through this line: every connection stays half made.
    let one_way = host.behind("");
    one_way.set_cut(false, true);
    let crypto = tls::client(&key(9), PeerKey(key(1).verifying_key().to_bytes())).unwrap();
    let client = quinn::ClientConfig::new(Arc::new(crypto));
    let to = one_way.local_addr();
    let _knocking = host.runtime.block_on(async {
        let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
        let knocks: Vec<_> = (0..3000).map(|_| endpoint.connect_with(client.clone(), to, "gemba").unwrap()).collect();
        (endpoint, knocks)
    });
    let begun = Instant::now();
    while host.stats().handshakes_retried == 0 {
        assert!(begun.elapsed() < PATIENCE, "{:?} {:?}", host.stats(), one_way.counts());
        std::thread::yield_now();
    }
    let mut ada = join(host.local, 2);
    welcome(&mut ada);
    assert_eq!(submit(&mut ada, 1), 0);
}
