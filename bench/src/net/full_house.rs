//! N7: whether one host keeps its beat with 500 connected peers: real QUIC on the loopback, each peer moving head and hands at
//! 30 Hz and answering, in rooms of 21 so that each has 20 neighbours. All of them come before anyone moves. The peers are
//! tasks of this process, on the same cores as the host: what they take the host does not get.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use ed25519_dalek::SigningKey;
use gemba_net::client_core::ClientCore;
use gemba_net::wire::{self, ToHost};
use gemba_net::{Hello, HostCommand, HostEvent, LinkEvent, ListenConfig, limits, listen, tls, transport};
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::Timestamp;
use quinn::{Endpoint, RecvStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::Sizes;
use super::tracked::Tracked;
use crate::report::{Row, Runs};

const GOAL_MS: f64 = 20.0;
/// People of one room; rooms are beyond each other's reach.
const ROOM: usize = 21;
const APART_METRES: f32 = 400.0;
const FRAME: Duration = Duration::from_millis(33);
/// How often a peer says that it is there, until all are.
const WAITING: Duration = Duration::from_secs(1);

/// What all peers have seen together.
#[derive(Default)]
struct Seen {
    poses: AtomicU64,
    lost: AtomicU64,
    stops: AtomicBool,
}

fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

async fn frame(recv: &mut RecvStream) -> anyhow::Result<Vec<u8>> {
    let mut length = [0; 4];
    recv.read_exact(&mut length).await?;
    let length = u32::from_le_bytes(length) as usize;
    anyhow::ensure!(length <= limits::FRAME_BYTES, "a frame of {length} bytes");
    let mut body = vec![0; length];
    recv.read_exact(&mut body).await?;
    Ok(body)
}

/// One peer, from hello to the end.
async fn live(
    connection: quinn::Connection,
    n: usize,
    motion: Arc<Tracked>,
    seen: Arc<Seen>,
    mut begins: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let (mut send, mut recv) = connection.open_bi().await?;
    let kind = PeerKind::Person;
    let (oldest_minor, newest_minor) = (*wire::MINORS.start(), *wire::MINORS.end());
    let hello = Hello { oldest_minor, newest_minor, name: format!("p{n}"), kind, entries_held: 0, redemption: None };
    send.write_all(&wire::frame(&ToHost::Hello(hello))).await?;
    let (messages, mut control) = tokio::sync::mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok(body) = frame(&mut recv).await {
            if messages.send(body).await.is_err() {
                return;
            }
        }
    });
    let mut core = ClientCore::new(0);
    let begun = Instant::now();
    let room = [(n / ROOM) as f32 * APART_METRES + (n % 5) as f32, (n % ROOM / 5) as f32];
    // No two of a room at the same moment.
    let offset = FRAME * (n % 33) as u32 / 33;
    // A word now and then, until all move.
    let (mut beat, mut moves, mut pings) = (tokio::time::interval(WAITING), false, 0);
    while !seen.stops.load(Relaxed) {
        tokio::select! {
            begun = begins.changed(), if !moves => {
                begun?;
                moves = true;
                beat = tokio::time::interval_at(tokio::time::Instant::now() + offset, FRAME);
            }
            _ = beat.tick() => {
                if !moves {
                    send.write_all(&wire::frame(&ToHost::Ping { sent: clock().0 })).await?;
                    continue;
                }
                core.tell_pose(&motion.at(n, begun.elapsed().as_secs_f64(), room), false);
                for bytes in core.poll_datagrams() {
                    // Lost here or on the way is the same.
                    let _ = connection.send_datagram(bytes.into());
                }
                pings += 1;
                if pings % 6 == 0 {
                    send.write_all(&wire::frame(&ToHost::Ping { sent: clock().0 })).await?;
                }
            }
            bytes = connection.read_datagram() => {
                let events = core.handle_datagram(&bytes?);
                // Peers came one after the other: their numbers at the host are their own.
                let is_near = |event: &&LinkEvent| matches!(event, LinkEvent::Pose { peer, .. } if usize::from(peer.0) / ROOM == n / ROOM);
                let poses = events.iter().filter(is_near).count();
                seen.poses.fetch_add(poses as u64, Relaxed);
            }
            body = control.recv() => {
                let message = wire::decode_to_peer(&body.context("the host has gone")?)?;
                core.handle_message(message, clock()).map_err(|end| anyhow::anyhow!("{end:?}"))?;
            }
        }
    }
    Ok(())
}

/// One for the host, one for all others.
fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// p99 of a burst (ms), ticks skipped, and poses a second and neighbour that peers were told.
async fn run(host: &Runtime, peers: usize, seconds: u32, motion: Arc<Tracked>) -> anyhow::Result<(f64, f64, f64)> {
    let key = SigningKey::from_bytes(&[1; 32]);
    let address = ([127, 0, 0, 1], 0).into();
    let config = ListenConfig { address, signing_key: key.clone(), earlier_keys: vec![], site: "house".to_owned() };
    let mut port = host.spawn(listen(config)).await??;
    let to = port.local_addr();
    let mut sockets: Vec<Endpoint> = Vec::new();
    let host = PeerKey(key.verifying_key().to_bytes());
    let seen = Arc::new(Seen::default());
    let mut tasks = Vec::new();
    let (begin, begins) = watch::channel(false);
    for n in 0..peers {
        let mut seed = [2; 32];
        seed[..8].copy_from_slice(&(n as u64 + 1).to_le_bytes());
        let mut client = quinn::ClientConfig::new(Arc::new(tls::client(&SigningKey::from_bytes(&seed), host)?));
        client.transport_config(Arc::new(transport::real_time()));
        // One for each room: on machines of their own it would be one for each peer.
        if n % ROOM == 0 {
            sockets.push(transport::endpoint(([127, 0, 0, 1], 0).into(), None)?);
        }
        let endpoint = sockets.last().context("no socket")?;
        let connection = endpoint.connect_with(client, to, "gemba")?.await?;
        let (motion, seen, begins) = (motion.clone(), seen.clone(), begins.clone());
        tasks.push(tokio::spawn(async move {
            if let Err(error) = live(connection, n, motion, seen.clone(), begins).await
                && seen.lost.fetch_add(1, Relaxed) == 0
            {
                eprintln!("gemba bench: a peer was lost: {error:#}");
            }
        }));
        let Some(HostEvent::Arrived { peer, .. }) = port.events.recv().await else {
            anyhow::bail!("peer {n} did not arrive")
        };
        port.commands.send(HostCommand::Admit { peer, entries: 0 }).await?;
    }
    let commands = port.commands.clone();
    begin.send_replace(true);
    // All are there and move; what it took to come does not count.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (before, told) = (port.stats(), seen.poses.load(Relaxed));
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    let (after, told) = (port.stats(), seen.poses.load(Relaxed) - told);
    seen.stops.store(true, Relaxed);
    for task in tasks {
        task.await?;
    }
    drop(commands);
    let lost = seen.lost.load(Relaxed);
    anyhow::ensure!(lost == 0, "{lost} of {peers} peers were lost");
    let neighbours = (ROOM - 1).min(peers - 1) as f64;
    let rate = told as f64 / (peers as f64 * neighbours * f64::from(seconds));
    let skipped = (after.ticks_skipped - before.ticks_skipped) as f64;
    port.close().await;
    Ok((after.burst_p99.as_secs_f64() * 1000.0, skipped, rate))
}

pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let motion = Arc::new(Tracked::load());
    let [mut p99, mut skipped, mut rate] = std::array::from_fn(|_| Runs::default());
    let (peers, seconds) = sizes.house;
    for _ in 0..sizes.runs {
        let host = runtime()?;
        let guests = runtime()?;
        let (burst, missed, told) = guests.block_on(run(&host, peers, seconds, motion.clone()))?;
        host.shutdown_background();
        (p99.push(burst), skipped.push(missed), rate.push(told));
    }
    let row = |id: &str, what: String, unit, runs: &Runs, goal: Option<f64>, pass: Option<bool>| Row {
        id: id.to_owned(),
        what,
        value: runs.median(),
        unit,
        spread: runs.spread(),
        goal,
        pass,
        peers: std::collections::BTreeMap::new(),
    };
    let pass = p99.median() < GOAL_MS && skipped.median() == 0.0;
    let scene = format!("{peers} peers at 30 Hz, 20 neighbours each, on the same cores as the host, {seconds} s");
    Ok(vec![
        row("N7", format!("p99 tick of a host, {scene}"), "ms", &p99, Some(GOAL_MS), Some(pass)),
        row("N7-skipped", "ticks that came late by a whole one (10 ms)".to_owned(), "", &skipped, Some(0.0), None),
        row("N7-rate", "times a second that each neighbour is told".to_owned(), "Hz", &rate, None, None),
    ])
}
