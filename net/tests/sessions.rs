//! Sessions of peers that are older, that move, and that lose their host: over real sockets.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use gemba_net::wire::{self, PoseDown, PoseUp, ToHost, ToPeer};
use gemba_net::{
    Address, Hello, HostCommand, HostEvent, HostPort, Link, LinkCommand, LinkConfig, LinkEvent, LinkState,
    ListenConfig, Pose, TrackedPoint, connect, listen, serves, stand_by, tls, transport,
};
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::Timestamp;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// Longer than anything here takes on a busy machine; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn config(seed: u8) -> ListenConfig {
    ListenConfig {
        address: ([127, 0, 0, 1], 0).into(),
        signing_key: key(seed),
        earlier_keys: vec![],
        site: "test".to_owned(),
    }
}

/// Admits everyone, knows a past, numbers what is submitted.
async fn serve(mut port: HostPort) {
    let mut entries = 0;
    port.commands.send(HostCommand::History { from: Timestamp(1), to: Timestamp(2) }).await.unwrap();
    while let Some(event) = port.events.recv().await {
        let command = match event {
            HostEvent::Arrived { peer, .. } => HostCommand::Admit { peer, entries },
            HostEvent::Submitted { peer, submission, .. } => {
                entries += 1;
                HostCommand::Answer { peer, submission, outcome: Ok(entries - 1), overruled: Some(0) }
            }
            _ => continue,
        };
        if port.commands.send(command).await.is_err() {
            return;
        }
    }
}

struct TestHost {
    runtime: Runtime,
    address: Address,
}

impl TestHost {
    fn start(seed: u8) -> Self {
        let runtime = Runtime::new().unwrap();
        let port = runtime.block_on(listen(config(seed))).unwrap();
        let address = address(seed, port.local_addr());
        runtime.spawn(serve(port));
        Self { runtime, address }
    }
}

fn address(seed: u8, at: SocketAddr) -> Address {
    let key = PeerKey(key(seed).verifying_key().to_bytes());
    Address { host: at.ip().to_string(), port: at.port(), site: "test".to_owned(), key }
}

/// A peer that speaks the protocol by hand.
struct RawPeer {
    endpoint: Endpoint,
    connection: Connection,
    send: SendStream,
    recv: RecvStream,
}

impl RawPeer {
    async fn connect(host: &Address, seed: u8) -> Self {
        let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
        let mut client = quinn::ClientConfig::new(Arc::new(tls::client(&key(seed), host.key).unwrap()));
        client.transport_config(Arc::new(transport::real_time()));
        let to = SocketAddr::from(([127, 0, 0, 1], host.port));
        let connection = endpoint.connect_with(client, to, "gemba").unwrap().await.unwrap();
        let (send, recv) = connection.open_bi().await.unwrap();
        Self { endpoint, connection, send, recv }
    }

    async fn say(&mut self, message: &ToHost) {
        self.send.write_all(&wire::frame(message)).await.unwrap();
    }

    async fn hear(&mut self) -> ToPeer {
        let heard = async {
            let mut length = [0; 4];
            self.recv.read_exact(&mut length).await.unwrap();
            let mut body = vec![0; u32::from_le_bytes(length) as usize];
            self.recv.read_exact(&mut body).await.unwrap();
            wire::decode_to_peer(&body).unwrap()
        };
        tokio::time::timeout(PATIENCE, heard).await.unwrap()
    }

    /// Hears until `wanted` comes; all that came.
    async fn until(&mut self, wanted: impl Fn(&ToPeer) -> bool) -> Vec<ToPeer> {
        let mut all = Vec::new();
        loop {
            all.push(self.hear().await);
            if all.last().is_some_and(&wanted) {
                return all;
            }
        }
    }
}

fn hello(oldest_minor: u16, newest_minor: u16) -> ToHost {
    let (name, kind) = (format!("1.{newest_minor}"), PeerKind::Person);
    ToHost::Hello(Hello { oldest_minor, newest_minor, name, kind, entries_held: 0, redemption: None, here: None })
}

fn join(address: &Address, seed: u8) -> Link {
    let (address, name) = (address.clone(), format!("person {seed}"));
    connect(LinkConfig { address, signing_key: key(seed), name, kind: PeerKind::Person, entries_held: 0 })
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

fn pose(x: f32) -> Pose {
    let head = TrackedPoint { place: [x, 1.5, 0.0], rotation: [0.0, 0.0, 0.0, 1.0] };
    Pose { head, hands: [None, None], pointer: None }
}

#[test]
fn every_older_minor_meets_todays_host_and_hears_only_what_it_knows() {
    let host = TestHost::start(1);
    let mut ada = join(&host.address, 2);
    until(&mut ada, "a welcome", |e| matches!(e, LinkEvent::Welcome { .. }).then_some(()));
    ada.send(LinkCommand::Pose(pose(4.0))).unwrap();
    ada.send(LinkCommand::ShareInstant(Some(Timestamp(7)))).unwrap();
    for minor in *wire::MINORS.start()..wire::BODY_MINOR {
        let x = 10.0 + f32::from(minor);
        let mut peer = host.runtime.block_on(RawPeer::connect(&host.address, 10 + minor as u8));
        let heard = host.runtime.block_on(async {
            peer.say(&hello(0, minor)).await;
            let mut heard = peer.until(|m| matches!(m, ToPeer::Welcome { .. })).await;
            peer.say(&ToHost::Submit { submission: 1, entry: vec![1].into() }).await;
            heard.extend(peer.until(|m| matches!(m, ToPeer::Accepted { .. })).await);
            peer.connection.send_datagram(PoseUp { sequence: 1, pose: pose(x) }.encode().into()).unwrap();
            peer.say(&ToHost::Ping { sent: 5 }).await;
            heard.extend(peer.until(|m| matches!(m, ToPeer::Pong { sent: 5, .. })).await);
            heard
        });
        assert!(matches!(heard[0], ToPeer::Welcome { minor: spoken, .. } if spoken == minor), "{:?}", heard[0]);
        let knows = |m: &ToPeer| match m {
            ToPeer::History { .. } | ToPeer::InstantShared { .. } => minor >= wire::PAST_MINOR,
            ToPeer::Accepted { overruled, .. } => overruled.is_none() || minor >= wire::EDIT_MINOR,
            _ => true,
        };
        assert!(heard.iter().all(knows), "1.{minor}: {heard:?}");
        until(&mut ada, "its pose", |e| {
            matches!(e, LinkEvent::Pose { pose, .. } if pose.head.place[0] == x).then_some(())
        });
        // And it sees her, in the form that it reads.
        let sees = host.runtime.block_on(async {
            loop {
                let datagram = tokio::time::timeout(PATIENCE, peer.connection.read_datagram()).await.unwrap().unwrap();
                let seen = PoseDown::decode_all(&datagram).into_iter().any(|down| down.pose.head.place[0] == 4.0);
                if seen {
                    return true;
                }
                ada.send(LinkCommand::Pose(pose(4.0))).unwrap();
            }
        });
        assert!(sees);
    }
}

#[test]
fn a_newer_peer_speaks_the_newest_minor_that_the_host_knows() {
    let host = TestHost::start(1);
    host.runtime.block_on(async {
        let mut peer = RawPeer::connect(&host.address, 2).await;
        peer.say(&hello(2, 99)).await;
        let welcome = peer.hear().await;
        assert!(matches!(welcome, ToPeer::Welcome { minor, .. } if minor == *wire::MINORS.end()), "{welcome:?}");
    });
}

#[test]
fn a_peer_whose_socket_is_another_one_keeps_its_session() {
    let host = TestHost::start(1);
    host.runtime.block_on(async {
        let mut peer = RawPeer::connect(&host.address, 2).await;
        peer.say(&hello(0, 4)).await;
        peer.until(|m| matches!(m, ToPeer::Welcome { .. })).await;
        for round in 0..3 {
            let before = peer.endpoint.local_addr().unwrap();
            peer.endpoint.rebind(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
            assert_ne!(peer.endpoint.local_addr().unwrap(), before);
            peer.say(&ToHost::Ping { sent: round }).await;
            let heard = peer.until(|m| matches!(m, ToPeer::Pong { .. })).await;
            assert!(!heard.iter().any(|m| matches!(m, ToPeer::Welcome { .. })), "the same session");
        }
    });
}

#[test]
fn a_host_whose_key_was_replaced_is_found_by_the_old_address_and_goes_on_under_the_new_one() {
    let runtime = Runtime::new().unwrap();
    let port = runtime.block_on(listen(ListenConfig { earlier_keys: vec![key(1)], ..config(9) })).unwrap();
    let (old, new) = (address(1, port.local_addr()), address(9, port.local_addr()));
    runtime.spawn(serve(port));
    let mut ada = join(&old, 2);
    until(&mut ada, "a welcome", |e| matches!(e, LinkEvent::Welcome { .. }).then_some(()));
    assert_eq!(ada.host(), Some(old));
    // The record says which key counts, and the session with the old one is over.
    ada.send(LinkCommand::Hosts(vec![new.clone()])).unwrap();
    until(&mut ada, "another welcome", |e| matches!(e, LinkEvent::Welcome { .. }).then_some(()));
    assert_eq!(ada.host(), Some(new.clone()));
    ada.send(LinkCommand::Hosts(vec![new.clone()])).unwrap();
    ada.send(LinkCommand::Submit { submission: 7, entry: vec![9] }).unwrap();
    until(&mut ada, "an answer", |e| match e {
        LinkEvent::State(LinkState::Lost { why, .. }) => panic!("{why}"),
        LinkEvent::Answer { submission: 7, .. } => Some(()),
        _ => None,
    });
    // A key that it never had it does not show.
    let mut lost = join(&address(5, SocketAddr::from(([127, 0, 0, 1], new.port))), 3);
    let why = until(&mut lost, "a refusal", |e| match e {
        LinkEvent::State(LinkState::Refused { why }) => Some(why.clone()),
        _ => None,
    });
    assert!(why.contains("does not have the key"), "{why}");
}

#[test]
fn who_has_lost_the_host_finds_the_one_that_takes_over_and_goes_on_there() {
    let first = TestHost::start(1);
    let second = Runtime::new().unwrap();
    let port = second.block_on(stand_by(config(9))).unwrap();
    let heir = address(9, port.local_addr());
    let (mut ada, mut grace) = (join(&first.address, 2), join(&first.address, 3));
    for link in [&mut ada, &mut grace] {
        link.send(LinkCommand::Hosts(vec![first.address.clone(), heir.clone()])).unwrap();
        until(link, "a welcome", |e| matches!(e, LinkEvent::Welcome { .. }).then_some(()));
        assert_eq!(link.host(), Some(first.address.clone()));
    }
    let asked = |host: &Address| second.block_on(serves(host, &key(4), PATIENCE));
    assert_eq!((asked(&first.address), asked(&heir)), (Some(true), Some(false)), "who stands by lets nobody connect");
    ada.send(LinkCommand::Pose(pose(6.0))).unwrap();
    // No good-bye, as of a process that is killed.
    first.runtime.shutdown_background();
    until(&mut ada, "the loss", |e| matches!(e, LinkEvent::State(LinkState::Lost { .. })).then_some(()));
    ada.send(LinkCommand::Submit { submission: 7, entry: vec![9] }).unwrap();
    let (opened, is_open) = oneshot::channel();
    second.spawn(async move {
        port.open();
        let _ = opened.send(Instant::now());
        serve(port).await;
    });
    let opened = is_open.blocking_recv().unwrap();
    until(&mut grace, "where Ada stands", |e| {
        matches!(e, LinkEvent::Pose { pose, .. } if pose.head.place[0] == 6.0).then_some(())
    });
    println!("poses went on {} ms after the other host had opened", opened.elapsed().as_millis());
    let outcome = until(&mut ada, "an answer", |e| match e {
        LinkEvent::Answer { submission: 7, outcome, .. } => Some(outcome.clone()),
        _ => None,
    });
    assert_eq!((outcome, ada.host(), grace.host()), (Ok(0), Some(heir.clone()), Some(heir)));
}
