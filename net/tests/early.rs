//! What a peer says with its first packet (0-RTT): over a real socket, behind a relay that can swallow all that a host
//! answers, so that no handshake comes to its end.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use gemba_net::tls::Resumable;
use gemba_net::wire::{self, ToHost};
use gemba_net::{
    Address, BlobHash, BlobParts, Hello, HostCommand, HostEvent, HostPort, Link, LinkCommand, LinkConfig, LinkEvent,
    LinkState, ListenConfig, connect, listen, transport,
};
use gemba_twin::peer::{PeerKey, PeerKind};
use quinn::{Connection, Endpoint};
use tokio::net::UdpSocket;
use tokio::runtime::Runtime;

/// Longer than anything here takes on a busy machine; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// For what must not happen: a host on this machine would do it in a thousandth of that.
const A_WHILE: Duration = Duration::from_millis(500);

const BLOB: &[u8] = b"what is read";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

async fn host_at(address: SocketAddr) -> HostPort {
    listen(ListenConfig { address, signing_key: key(1), earlier_keys: vec![], site: "test".to_owned() }).await.unwrap()
}

fn host_key() -> PeerKey {
    PeerKey(key(1).verifying_key().to_bytes())
}

async fn within<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(PATIENCE, what).await.expect("nothing here takes so long")
}

/// Passes packets on to a host, and its answers to whoever sent last; as one socket, as a router does.
struct Relay {
    address: SocketAddr,
    swallows: Arc<AtomicBool>,
}

impl Relay {
    async fn to(host: SocketAddr) -> Self {
        let inside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let outside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        outside.connect(host).await.unwrap();
        let (address, swallows) = (inside.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let swallowing = swallows.clone();
        tokio::spawn(async move {
            let (mut up, mut down, mut peer) = ([0; 2048], [0; 2048], None);
            loop {
                tokio::select! {
                    Ok((bytes, from)) = inside.recv_from(&mut up) => {
                        peer = Some(from);
                        let _ = outside.send(&up[..bytes]).await;
                    }
                    Ok(bytes) = outside.recv(&mut down) => {
                        if let Some(peer) = peer && !swallowing.load(Relaxed) {
                            let _ = inside.send_to(&down[..bytes], peer).await;
                        }
                    }
                }
            }
        });
        Self { address, swallows }
    }
}

/// A peer that says by hand what it likes, as early as it likes.
struct EarlyPeer {
    endpoint: Endpoint,
    resumable: Resumable,
    to: SocketAddr,
}

impl EarlyPeer {
    fn to(endpoint: &Endpoint, to: SocketAddr) -> Self {
        Self { endpoint: endpoint.clone(), resumable: Resumable::default(), to }
    }

    fn begin(&self, to: SocketAddr) -> quinn::Connecting {
        let mut client = quinn::ClientConfig::new(Arc::new(self.resumable.client(&key(2), host_key()).unwrap()));
        client.transport_config(Arc::new(transport::real_time()));
        self.endpoint.connect_with(client, to, "host.gemba").unwrap()
    }

    /// Connects and leaves; then it can be early, once.
    async fn been_there(&self) {
        let connection = within(self.begin(self.to)).await.unwrap();
        // A host says twice how to come back; the first is used here to see that it has.
        let told = async {
            while self.begin(self.to).into_0rtt().is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        within(told).await;
        connection.close(0u32.into(), b"");
    }

    fn early(&self, to: SocketAddr) -> Connection {
        self.begin(to).into_0rtt().unwrap_or_else(|_| panic!("it was there before")).0
    }
}

/// Says the first words on a connection; the stream stays open as long as what is returned.
async fn say(connection: &Connection, words: &ToHost) -> quinn::SendStream {
    let (mut send, _) = connection.open_bi().await.unwrap();
    send.write_all(&wire::frame(words)).await.unwrap();
    send
}

fn hello() -> ToHost {
    let (name, kind) = ("early".to_owned(), PeerKind::Person);
    let (oldest_minor, newest_minor) = (*wire::MINORS.end(), *wire::MINORS.end());
    ToHost::Hello(Hello { oldest_minor, newest_minor, name, kind, entries_held: 0, redemption: None, here: None })
}

async fn wish(connection: &Connection) {
    let (mut wish, _) = connection.open_bi().await.unwrap();
    wish.write_all(&[&BlobHash::of(BLOB).0[..], &0u64.to_le_bytes()].concat()).await.unwrap();
    wish.finish().unwrap();
}

async fn until(host: &mut HostPort, wanted: impl Fn(&HostEvent) -> bool) -> HostEvent {
    let event = async {
        loop {
            let event = host.events.recv().await.unwrap();
            if wanted(&event) {
                return event;
            }
        }
    };
    within(event).await
}

fn is_arrival(event: &HostEvent) -> bool {
    matches!(event, HostEvent::Arrived { .. })
}

/// Fails if somebody arrives.
async fn nobody_arrives(host: &mut HostPort) {
    let arrived = async { while !is_arrival(&host.events.recv().await.unwrap()) {} };
    assert!(tokio::time::timeout(A_WHILE, arrived).await.is_err(), "who has not proved to be there has arrived");
}

fn endpoint() -> Endpoint {
    Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap()
}

#[tokio::test]
async fn before_a_peer_has_proved_to_be_there_it_may_read_and_change_nothing() {
    let mut host = host_at(([127, 0, 0, 1], 0).into()).await;
    let relay = Relay::to(host.local_addr()).await;
    let endpoint = endpoint();
    let [reader, author] = [0, 1].map(|_| EarlyPeer::to(&endpoint, relay.address));
    let session = within(reader.begin(relay.address)).await.unwrap();
    let _control = say(&session, &hello()).await;
    let HostEvent::Arrived { peer, .. } = until(&mut host, is_arrival).await else { unreachable!() };
    host.commands.send(HostCommand::Admit { peer, entries: 0 }).await.unwrap();
    reader.been_there().await;
    author.been_there().await;

    // From here on nobody hears the host, and can prove nothing: like one who repeats what they have overheard.
    relay.swallows.store(true, Relaxed);
    let bulk = reader.early(relay.address);
    let _line = say(&bulk, &ToHost::Bulk).await;
    wish(&bulk).await;
    until(&mut host, |event| matches!(event, HostEvent::BlobWanted { hash, .. } if *hash == BlobHash::of(BLOB))).await;
    assert_eq!(host.stats().blobs_early, 1);
    let other = author.early(relay.address);
    let _control = say(&other, &hello()).await;
    nobody_arrives(&mut host).await;

    relay.swallows.store(false, Relaxed);
    until(&mut host, is_arrival).await;
}

#[tokio::test]
async fn what_a_thief_has_overheard_of_a_first_packet_brings_nobody_in() {
    let mut host = host_at(([127, 0, 0, 1], 0).into()).await;
    let peer = EarlyPeer::to(&endpoint(), host.local_addr());
    peer.been_there().await;
    let thief = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let early = peer.early(thief.local_addr().unwrap());
    let _control = say(&early, &hello()).await;
    let mut overheard = Vec::new();
    let listening = async {
        loop {
            let mut packet = vec![0; 2048];
            let (bytes, _) = thief.recv_from(&mut packet).await.unwrap();
            packet.truncate(bytes);
            overheard.push(packet);
        }
    };
    let _ = tokio::time::timeout(A_WHILE, listening).await;
    assert!(!overheard.is_empty());
    for _ in 0..2 {
        for packet in &overheard {
            thief.send_to(packet, host.local_addr()).await.unwrap();
        }
        nobody_arrives(&mut host).await;
    }
}

/// Admits everyone and has one blob.
async fn serve(mut host: HostPort) {
    while let Some(event) = host.events.recv().await {
        let command = match event {
            HostEvent::Arrived { peer, .. } => HostCommand::Admit { peer, entries: 0 },
            HostEvent::BlobWanted { peer, hash, offset } => {
                HostCommand::Blob { peer, hash, offset, blob: Some(BlobParts::of(BLOB, offset)) }
            }
            _ => continue,
        };
        if host.commands.send(command).await.is_err() {
            return;
        }
    }
}

fn until_event<T>(link: &mut Link, what: &str, mut find: impl FnMut(LinkEvent) -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(found) = link.wait(Duration::from_millis(100)).and_then(&mut find) {
            return found;
        }
    }
    panic!("waited in vain for {what}");
}

fn fetch(link: &mut Link) {
    link.send(LinkCommand::Fetch { hash: BlobHash::of(BLOB), metres: 1.0, kept: Vec::new() }).unwrap();
}

fn fetched(link: &mut Link) {
    let bytes = until_event(link, "a blob", |event| match event {
        LinkEvent::BlobDone { bytes, .. } => Some(bytes),
        LinkEvent::BlobFailed { why, .. } => panic!("{why}"),
        _ => None,
    });
    assert_eq!(bytes, BLOB);
}

fn until_lost(link: &mut Link) {
    until_event(link, "the loss", |event| matches!(event, LinkEvent::State(LinkState::Lost { .. })).then_some(()));
}

/// A host, a relay to it, and a link that has fetched something through that.
struct Visit {
    host: Runtime,
    at: SocketAddr,
    relay: Relay,
    link: Link,
    between: Runtime,
}

fn start(runtime: &Runtime, at: SocketAddr) -> SocketAddr {
    let host = runtime.block_on(host_at(at));
    let at = host.local_addr();
    runtime.spawn(serve(host));
    at
}

fn visit() -> Visit {
    let (host, between) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let at = start(&host, ([127, 0, 0, 1], 0).into());
    let relay = between.block_on(Relay::to(at));
    let (place, port, site) = (relay.address.ip().to_string(), relay.address.port(), "test".to_owned());
    let address = Address { host: place, port, site, key: host_key() };
    let (signing_key, name) = (key(2), "Ada".to_owned());
    let mut link = connect(LinkConfig { address, signing_key, name, kind: PeerKind::Person, entries_held: 0 });
    fetch(&mut link);
    fetched(&mut link);
    assert_eq!(link.stats().blobs_early, 0);
    Visit { host, at, relay, link, between }
}

#[test]
fn who_comes_back_says_with_the_first_packet_what_they_lack() {
    let Visit { host: _host, relay, mut link, between: _between, .. } = visit();
    relay.swallows.store(true, Relaxed);
    fetch(&mut link);
    until_lost(&mut link);
    relay.swallows.store(false, Relaxed);
    fetched(&mut link);
    assert_eq!(link.stats().blobs_early, 1);
}

#[test]
fn a_host_that_was_started_anew_takes_nothing_early_and_is_asked_again() {
    let Visit { host, at, relay: _relay, mut link, between } = visit();
    fetch(&mut link);
    drop(host);
    until_lost(&mut link);
    fetch(&mut link);
    start(&between, at);
    fetched(&mut link);
}
