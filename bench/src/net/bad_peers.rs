//! N9: how soon eight honest people see each other move while others do their worst at the same host: a flood of
//! datagrams that are nothing, one of control messages, garbage on the control stream again and again, readers that never
//! read, and connections that never say who they are. Beside it the same eight alone. The bad ones run on the host's own
//! cores: what they take to be bad the honest ones do not get, so this is more than a host does to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Context;
use ed25519_dalek::SigningKey;
use gemba_net::wire::{self, ToHost};
use gemba_net::{Address, Hello, Link, LinkCommand, LinkEvent, Pose, TrackedPoint, tls, transport};
use gemba_twin::peer::PeerKind;
use quinn::{Connection, Endpoint, RecvStream, SendStream};

use super::Sizes;
use super::scene::Seeded;
use super::served::Served;
use crate::report::{Row, Runs};

const HONEST: u8 = 8;
/// Datagrams a second of each of two that flood; a host takes 400.
const FLOOD: (u64, Duration) = (64, Duration::from_millis(8));
const SILENT: u64 = 200;
const SLOW: u64 = 4;
const FRAME: Duration = Duration::from_millis(33);
/// Places that a person walks through, a step a frame, before they begin anew.
const STEPS: usize = 64;
const STEP_METRES: f32 = 0.05;
pub const SETTLE: Duration = Duration::from_secs(1);

/// Measures the row.
pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let [mut beside, mut alone, mut told] = std::array::from_fn(|_| Runs::default());
    let lasting = Duration::from_secs(u64::from(sizes.seconds.div_ceil(3)));
    for _ in 0..sizes.runs {
        let (p99, _) = run(lasting, false)?;
        alone.push(p99);
        let (p99, rate) = run(lasting, true)?;
        beside.push(p99);
        told.push(rate);
    }
    let row = |id: &str, what: &str, unit, runs: &Runs, rival: Option<&Runs>| Row {
        id: id.to_owned(),
        what: what.to_owned(),
        value: runs.median(),
        unit,
        spread: runs.spread(),
        goal: None,
        pass: None,
        peers: rival.map(|runs| ("the same eight alone".to_owned(), runs.median())).into_iter().collect(),
    };
    let what =
        "p99 from a motion to the others' hearing of it, 8 honest people beside floods, garbage, deaf and silent peers";
    Ok(vec![
        row("N9", what, "ms", &beside, Some(&alone)),
        row("N9-rate", "times a second that each honest person hears of each other one", "Hz", &told, None),
    ])
}

/// p99 in ms of what the honest ones hear, and how often they hear of each other.
fn run(lasting: Duration, beside_bad: bool) -> anyhow::Result<(f64, f64)> {
    let host = Served::start("", 1)?;
    let is_over = Arc::new(AtomicBool::new(false));
    let bad = beside_bad.then(|| {
        let (address, is_over) = (host.direct().clone(), is_over.clone());
        std::thread::spawn(move || misbehave(&address, &is_over))
    });
    let begun = Instant::now();
    let threads: Vec<_> = (0..HONEST)
        .map(|who| {
            let link = host.connect_directly(who + 10);
            std::thread::spawn(move || walk(link, who, begun, lasting))
        })
        .collect();
    let mut ways = Runs::default();
    let mut heard = 0;
    for thread in threads {
        for way in thread.join().map_err(|_| anyhow::anyhow!("an honest peer panicked"))?? {
            ways.push(way);
            heard += 1;
        }
    }
    is_over.store(true, Relaxed);
    if let Some(bad) = bad {
        bad.join().map_err(|_| anyhow::anyhow!("the bad peers panicked"))?.context("the bad peers")?;
    }
    let pairs = f64::from(HONEST) * f64::from(HONEST - 1);
    Ok((ways.percentile(0.99), f64::from(heard) / pairs / lasting.as_secs_f64()))
}

/// One honest person: walks, and notes how long ago each other one was where they are heard to be, milliseconds. All
/// take the same step at the same instant.
pub fn walk(mut link: Link, who: u8, begun: Instant, lasting: Duration) -> anyhow::Result<Vec<f64>> {
    let mut ways = Vec::new();
    let mut steps = 0;
    while begun.elapsed() < SETTLE + lasting {
        if begun.elapsed() >= FRAME * steps {
            let place = [(steps as usize % STEPS) as f32 * STEP_METRES, 1.6, f32::from(who) * 0.5];
            let head = TrackedPoint { place, rotation: [0.0, 0.0, 0.0, 1.0] };
            // A full queue drops this pose, as a viewer would.
            let _ = link.send(LinkCommand::Pose(Pose { head, hands: [None, None], pointer: None }));
            steps += 1;
        }
        let next = (FRAME * steps).saturating_sub(begun.elapsed());
        match link.wait(next.max(Duration::from_millis(1))) {
            Some(LinkEvent::Pose { pose, .. }) if begun.elapsed() > SETTLE => {
                let step = (pose.head.place[0] / STEP_METRES).round() as usize;
                // The last time that everyone took this step.
                let now = (begun.elapsed().as_nanos() / FRAME.as_nanos()) as usize;
                let taken = now - (now + STEPS - step % STEPS) % STEPS;
                ways.push((begun.elapsed() - FRAME * taken as u32).as_secs_f64() * 1e3);
            }
            _ => {}
        }
    }
    anyhow::ensure!(!ways.is_empty(), "an honest person heard of nobody");
    Ok(ways)
}

fn misbehave(address: &Address, is_over: &AtomicBool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into())?;
        let mut tasks = tokio::task::JoinSet::new();
        for seed in 0..2 {
            tasks.spawn(flood(Peer::greet(&endpoint, address, 100 + seed).await?, seed));
        }
        tasks.spawn(talk_without_end(Peer::greet(&endpoint, address, 110).await?));
        tasks.spawn(talk_nonsense(endpoint.clone(), address.clone()));
        let mut silent = Vec::new();
        for seed in 0..SLOW {
            silent.push(Peer::greet(&endpoint, address, 120 + seed).await?);
        }
        let mut nameless = std::collections::VecDeque::new();
        let mut seed = 1_000;
        while !is_over.load(Relaxed) {
            seed += 1;
            // One that is turned away is as bad as any.
            nameless.extend(dial(&endpoint, address, seed).await.ok());
            if nameless.len() as u64 > SILENT {
                nameless.pop_front();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        anyhow::Ok(())
    })
}

async fn dial(endpoint: &Endpoint, address: &Address, seed: u64) -> anyhow::Result<Connection> {
    let mut key = [9; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut client = quinn::ClientConfig::new(Arc::new(tls::client(&SigningKey::from_bytes(&key), address.key)?));
    client.transport_config(Arc::new(transport::real_time()));
    let to = format!("{}:{}", address.host, address.port).parse()?;
    Ok(endpoint.connect_with(client, to, "gemba")?.await?)
}

/// One that has said its name, and reads nothing.
struct Peer {
    connection: Connection,
    send: SendStream,
    _recv: RecvStream,
}

impl Peer {
    async fn greet(endpoint: &Endpoint, address: &Address, seed: u64) -> anyhow::Result<Self> {
        let connection = dial(endpoint, address, seed).await?;
        let (mut send, recv) = connection.open_bi().await?;
        let (name, kind) = (format!("bad {seed}"), PeerKind::Person);
        let (oldest_minor, newest_minor) = (*wire::MINORS.start(), *wire::MINORS.end());
        let hello = Hello { oldest_minor, newest_minor, name, kind, entries_held: 0, redemption: None, here: None };
        send.write_all(&wire::frame(&ToHost::Hello(hello))).await?;
        Ok(Self { connection, send, _recv: recv })
    }
}

async fn flood(peer: Peer, seed: u64) {
    let mut random = Seeded(seed);
    loop {
        for _ in 0..FLOOD.0 {
            let nonsense: Vec<u8> = (0..12).flat_map(|_| random.bits().to_le_bytes()).collect();
            if peer.connection.send_datagram(nonsense.into()).is_err() {
                return;
            }
        }
        tokio::time::sleep(FLOOD.1).await;
    }
}

async fn talk_without_end(mut peer: Peer) {
    let words = wire::frame(&ToHost::Select(None)).repeat(100);
    while peer.send.write_all(&words).await.is_ok() {}
}

async fn talk_nonsense(endpoint: Endpoint, address: Address) {
    for seed in 200.. {
        if let Ok(mut peer) = Peer::greet(&endpoint, &address, seed).await {
            // It is thrown out for it, and comes back.
            let _ = peer.send.write_all(&[0xFF; 256]).await;
            peer.connection.closed().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
