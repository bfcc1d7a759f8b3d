//! The whole system on a bad line: the real `gembad` and twenty people behind 3 % loss and 300 ms round trip, who end
//! where they stand; and people among bad peers, who hardly notice them. The first lasts a minute, the second a part of it;
//! GEMBA_CROWD_SECONDS for another length. How quick it is is printed, not judged: this machine does other things too. What
//! is judged is that all end where they stand, and that nothing piles up in the host meanwhile.

#![allow(clippy::unwrap_used)] // Test code outside of test functions too.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use gemba_net::test_network::{ProxyConfig, UdpProxy};
use gemba_net::wire::{self, PoseUp, ToHost};
use gemba_net::{
    Address, Hello, Link, LinkCommand, LinkConfig, LinkEvent, PeerNumber, Pose, QueueFull, TrackedPoint, connect, tls,
    transport,
};
use gemba_twin::path::ThingId;
use gemba_twin::peer::PeerKind;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tokio::runtime::Runtime;

/// Longer than anything here takes on a busy machine; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two poses of a person.
const FRAME: Duration = Duration::from_millis(33);
/// What a host with so few people may take at most, whatever they do to it: ten times what it takes at rest.
const MOST_MEMORY: u64 = 400 << 20;

/// One test at a time: each is a crowd of its own.
static TURN: Mutex<()> = Mutex::new(());

fn lasts() -> Duration {
    let seconds = std::env::var("GEMBA_CROWD_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

/// A `gembad` of its own; killed, not asked, when dropped.
struct Gembad {
    child: Child,
    address: Address,
    counters: PathBuf,
}

/// The most that waited in the host at any look.
#[derive(Debug, Default)]
struct Queues {
    events: u64,
    control_bytes: u64,
}

impl Gembad {
    fn start(dir: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gembad"));
        let counters = dir.with_extension("counters");
        command.arg(dir).args(["--listen", "127.0.0.1:0", "--admit", "commenter"]).env("RUST_LOG", "off");
        command.arg("--counters").arg(&counters);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, address: line.trim_end().parse().unwrap(), counters }
    }

    /// One of the counters, as it was written last; none before the first second.
    fn counter(&self, name: &str) -> Option<u64> {
        let text = std::fs::read_to_string(&self.counters).ok()?;
        serde_json::from_str::<serde_json::Value>(&text).unwrap()[name].as_u64()
    }

    fn look(&self, most: &mut Queues) {
        most.events = most.events.max(self.counter("events_waiting").unwrap_or(0));
        most.control_bytes = most.control_bytes.max(self.counter("control_bytes_waiting").unwrap_or(0));
    }

    fn place(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.address.port).into()
    }

    fn behind(&self, line: &str) -> UdpProxy {
        let line = line.parse().unwrap();
        let listen = ([127, 0, 0, 1], 0).into();
        UdpProxy::start(ProxyConfig { listen, target: self.place(), up: line, down: line, seed: 1 }).unwrap()
    }

    fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The most memory it has ever had, bytes; none where the system does not say.
    fn most_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    }
}

impl Drop for Gembad {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.counters);
    }
}

/// A person who walks: every pose has a number, by which others can tell when it was shown.
struct Walker {
    link: Link,
    number: Option<PeerNumber>,
    /// When each pose was shown.
    shown: Vec<Instant>,
    /// The number of the newest pose seen of each other.
    seen: BTreeMap<PeerNumber, u32>,
    lost: u32,
}

impl Walker {
    fn come(address: &Address, seed: u8) -> Self {
        let link = connect(LinkConfig {
            address: address.clone(),
            signing_key: SigningKey::from_bytes(&[seed; 32]),
            name: format!("walker {seed}"),
            kind: PeerKind::Person,
            entries_held: 0,
        });
        Self { link, number: None, shown: Vec::new(), seen: BTreeMap::new(), lost: 0 }
    }

    /// Whole millimetres are what the wire carries: a pose's number is its place.
    fn step(&mut self) {
        let x = self.shown.len() as f32 / 1000.0;
        let head = TrackedPoint { place: [x, 1.7, 0.0], rotation: [0.0, 0.0, 0.0, 1.0] };
        let shown = self.link.send(LinkCommand::Pose(Pose { head, hands: [None, None], pointer: None }));
        // A link that has not got round to the last ones shows the next.
        if shown != Err(QueueFull) {
            self.shown.push(Instant::now());
        }
    }

    fn rest(&self) -> Option<u32> {
        (self.shown.len() as u32).checked_sub(1)
    }

    /// Takes what has come; what was seen of whom.
    fn listen(&mut self) -> Vec<(PeerNumber, u32)> {
        let mut news = Vec::new();
        while let Some(event) = self.link.poll() {
            match event {
                LinkEvent::Welcome { me, .. } => self.number = Some(me),
                LinkEvent::State(gemba_net::LinkState::Lost { .. }) => self.lost += 1,
                LinkEvent::Left(peer) => drop(self.seen.remove(&peer)),
                LinkEvent::Pose { peer, pose, .. } => {
                    let number = (f64::from(pose.head.place[0]) * 1000.0).round() as u32;
                    self.seen.insert(peer, number);
                    news.push((peer, number));
                }
                _ => {}
            }
        }
        news
    }
}

/// Waits until all are in.
fn gather(walkers: &mut [Walker]) {
    let begun = Instant::now();
    while walkers.iter().any(|walker| walker.number.is_none()) {
        assert!(begun.elapsed() < PATIENCE, "not everyone is let in");
        walkers.iter_mut().for_each(|walker| drop(walker.listen()));
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Everyone walks for so long; how long the others' motions took to arrive, in ms, sorted, and what waited in the host.
fn walk(host: &Gembad, walkers: &mut [Walker], lasts: Duration) -> (Vec<f64>, Queues) {
    let mut ways = Vec::new();
    let begun = Instant::now();
    let (mut next, mut look, mut most) = (begun, begun, Queues::default());
    while begun.elapsed() < lasts {
        if Instant::now() >= look {
            host.look(&mut most);
            look += Duration::from_secs(1);
        }
        if Instant::now() >= next {
            walkers.iter_mut().for_each(Walker::step);
            next += FRAME;
        }
        for n in 0..walkers.len() {
            let news = walkers[n].listen();
            let now = Instant::now();
            for (peer, number) in news {
                let sender = walkers.iter().find(|walker| walker.number == Some(peer));
                let shown = sender.and_then(|sender| sender.shown.get(number as usize));
                ways.extend(shown.map(|shown| (now - *shown).as_secs_f64() * 1e3));
            }
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    ways.sort_by(f64::total_cmp);
    (ways, most)
}

/// Nobody moves any more: waits until everyone sees everyone where they stand.
fn converge(walkers: &mut [Walker]) {
    let begun = Instant::now();
    loop {
        walkers.iter_mut().for_each(|walker| drop(walker.listen()));
        let rests: BTreeMap<PeerNumber, u32> =
            walkers.iter().filter_map(|walker| Some((walker.number?, walker.rest()?))).collect();
        let sees_all = |walker: &Walker| {
            rests.iter().all(|(peer, rest)| walker.number == Some(*peer) || walker.seen.get(peer) == Some(rest))
        };
        if rests.len() == walkers.len() && walkers.iter().all(sees_all) {
            return;
        }
        let missing: Vec<_> = walkers.iter().filter(|walker| !sees_all(walker)).map(|walker| walker.number).collect();
        assert!(begun.elapsed() < PATIENCE, "{missing:?} do not see where the others stand");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn told(ways: &[f64]) -> String {
    let at = |share: f64| ways.get((ways.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    format!("{} motions seen, p50 {:.0} ms, p99 {:.0} ms", ways.len(), at(0.5), at(0.99))
}

#[test]
fn twenty_people_on_a_bad_line_end_where_they_stand() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let temp = tempfile::tempdir().unwrap();
    let mut host = Gembad::start(temp.path());
    let proxy = host.behind("delay=150ms,loss=3%");
    let address = Address { port: proxy.local_addr().port(), ..host.address.clone() };
    let mut walkers: Vec<Walker> = (0..20).map(|n| Walker::come(&address, 10 + n)).collect();
    gather(&mut walkers);
    let (ways, most) = walk(&host, &mut walkers, lasts());
    converge(&mut walkers);
    let memory = host.most_memory();
    let lost: u32 = walkers.iter().map(|walker| walker.lost).sum();
    let dropped: u64 = walkers.iter().map(|walker| walker.link.stats().poses_dropped).sum();
    println!("20 people, 3 % loss, 300 ms: {}; {lost} interruptions; {dropped} poses not polled", told(&ways));
    println!("host's memory {memory:?}; at most waited {most:?}; {:?}", proxy.counts());
    assert!(host.is_alive());
    assert!(memory.is_none_or(|bytes| bytes < MOST_MEMORY), "{memory:?} bytes");
    assert!(ways.len() > 1000, "hardly anything was seen: {}", told(&ways));
    assert!(most.events < 1000 && most.control_bytes < 1 << 20, "{most:?}");
    assert_eq!(host.counter("peers_too_slow"), Some(0));
}

/// A peer that may say what a link never would.
struct BadPeer {
    connection: Connection,
    send: SendStream,
    recv: RecvStream,
    _endpoint: Endpoint,
}

/// None when the host has no room, or the test is over.
async fn bad_peer(host: &Address, seed: u8) -> Option<BadPeer> {
    let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
    let crypto = tls::client(&SigningKey::from_bytes(&[seed; 32]), host.key).unwrap();
    let mut client = quinn::ClientConfig::new(Arc::new(crypto));
    client.transport_config(Arc::new(transport::real_time()));
    let to = SocketAddr::from(([127, 0, 0, 1], host.port));
    let connection = endpoint.connect_with(client, to, "gemba").ok()?.await.ok()?;
    let (send, recv) = connection.open_bi().await.ok()?;
    Some(BadPeer { connection, send, recv, _endpoint: endpoint })
}

fn hello() -> Vec<u8> {
    let (name, kind) = ("bad".to_owned(), PeerKind::Person);
    let (oldest_minor, newest_minor) = (*wire::MINORS.start(), *wire::MINORS.end());
    let hello = Hello { oldest_minor, newest_minor, name, kind, entries_held: 0, redemption: None, here: None };
    wire::frame(&ToHost::Hello(hello))
}

fn pose_datagram(sequence: u32) -> Vec<u8> {
    let head = TrackedPoint { place: [f32::NAN, 1e30, 0.0], rotation: [0.0; 4] };
    PoseUp { sequence, pose: Pose { head, hands: [None, None], pointer: None } }.encode()
}

/// Says something bad on the control stream of one session after another; each ends when the host ends it.
async fn says(host: Address, seed: u8, what: impl Fn(u32) -> Vec<u8>) {
    for n in 0.. {
        let Some(mut peer) = bad_peer(&host, seed).await else { continue };
        let said = peer.send.write_all(&what(n)).await;
        if said.is_ok() {
            // Until it is thrown out, or a while if it is only left standing.
            let _ = tokio::time::timeout(Duration::from_secs(1), peer.connection.closed()).await;
        }
    }
}

/// Comes in and then sends as fast as it can, reading what it is told or not.
async fn floods(host: Address, seed: u8, reads: bool, what: Vec<u8>) {
    let Some(mut peer) = bad_peer(&host, seed).await else { return };
    if peer.send.write_all(&hello()).await.is_err() {
        return;
    }
    let mut sink = vec![0; 64 << 10];
    loop {
        tokio::select! {
            sent = peer.send.write_all(&what) => if sent.is_err() { return },
            read = peer.recv.read(&mut sink), if reads => if read.is_err() { return },
        }
    }
}

async fn floods_poses(host: Address, seed: u8) {
    let Some(mut peer) = bad_peer(&host, seed).await else { return };
    if peer.send.write_all(&hello()).await.is_err() {
        return;
    }
    // Newest, replayed, from far ahead, and no pose at all.
    for n in 0u32.. {
        for datagram in [pose_datagram(n), pose_datagram(n / 2), pose_datagram(n ^ 1 << 31), vec![n as u8; 900]] {
            if peer.connection.send_datagram(datagram.into()).is_err() {
                return;
            }
        }
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
}

/// Everything bad at once, for as long as the runtime lives.
fn attack(runtime: &Runtime, host: &Address, one_way: SocketAddr) {
    let random = |n: u32, length: usize| -> Vec<u8> {
        // xorshift32: the same garbage in every run.
        let mut state = n.wrapping_mul(2_654_435_761) | 1;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .take(length)
        .collect()
    };
    let framed = |body: Vec<u8>| [(body.len() as u32).to_le_bytes().to_vec(), body].concat();
    let submit = |n: u64| wire::frame(&ToHost::Submit { submission: n, entry: vec![7; 900].into() });
    let at = || host.clone();
    runtime.spawn(says(at(), 100, move |n| framed(random(n, 300))));
    runtime.spawn(says(at(), 101, move |n| [hello(), framed(random(n, 300))].concat()));
    // Truncated, oversized, twice hello, out of its role and before it is let in.
    runtime.spawn(says(at(), 102, move |_| [hello(), vec![200, 0, 0, 0, 1, 2, 3]].concat()));
    runtime.spawn(says(at(), 103, move |_| [hello(), vec![0xff; 8]].concat()));
    runtime.spawn(says(at(), 104, move |_| [hello(), hello()].concat()));
    runtime.spawn(says(at(), 105, move |_| submit(1)));
    // Floods: nonsense to append, always the same; selections; pings by one that reads no answer.
    runtime.spawn(floods(at(), 106, true, (0..200).flat_map(submit).collect()));
    runtime.spawn(floods(at(), 107, true, submit(1).repeat(200)));
    let select = wire::frame(&ToHost::Select(Some(ThingId([9; 16]))));
    runtime.spawn(floods(at(), 108, true, select.repeat(200)));
    runtime.spawn(floods(at(), 109, false, wire::frame(&ToHost::Ping { sent: 1 }).repeat(200)));
    runtime.spawn(floods_poses(at(), 110));
    // Garbage to the port itself, and connections that stay half made.
    let place = SocketAddr::from(([127, 0, 0, 1], host.port));
    runtime.spawn(async move {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for n in 0.. {
            let _ = socket.send_to(&random(n, 1200), place);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let crypto = tls::client(&SigningKey::from_bytes(&[111; 32]), host.key).unwrap();
    let client = quinn::ClientConfig::new(Arc::new(crypto));
    runtime.spawn(async move {
        let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
        let knock = || endpoint.connect_with(client.clone(), one_way, "gemba").unwrap();
        loop {
            let _knocks: Vec<_> = (0..2000).map(|_| knock()).collect();
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    });
}

#[test]
fn people_among_bad_peers_see_each_other_and_the_host_stays_small() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let temp = tempfile::tempdir().unwrap();
    let mut host = Gembad::start(temp.path());
    let proxy = host.behind("delay=25ms,loss=1%");
    let one_way = host.behind("");
    one_way.set_cut(false, true);
    let address = Address { port: proxy.local_addr().port(), ..host.address.clone() };
    let mut walkers: Vec<Walker> = (0..4).map(|n| Walker::come(&address, 10 + n)).collect();
    gather(&mut walkers);
    let (quiet, _) = walk(&host, &mut walkers, lasts() / 12);
    let runtime = Runtime::new().unwrap();
    attack(&runtime, &host.address, one_way.local_addr());
    let (attacked, most) = walk(&host, &mut walkers, lasts() / 6);
    converge(&mut walkers);
    // A newcomer comes in all the same.
    walkers.push(Walker::come(&address, 50));
    gather(&mut walkers);
    walkers.last_mut().unwrap().step();
    converge(&mut walkers);
    runtime.shutdown_background();
    let memory = host.most_memory();
    let lost: u32 = walkers.iter().map(|walker| walker.lost).sum();
    println!("4 honest people alone: {}", told(&quiet));
    println!("among bad peers: {}; {lost} interruptions; host's memory {memory:?}; {most:?}", told(&attacked));
    assert!(host.is_alive());
    assert!(memory.is_none_or(|bytes| bytes < MOST_MEMORY), "{memory:?} bytes");
    assert!(attacked.len() > quiet.len() / 4, "{} instead of {}", told(&attacked), told(&quiet));
}
