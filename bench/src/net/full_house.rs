//! N7: whether one host keeps its beat with 500 connected peers: real QUIC on the loopback, each peer moving head and hands at
//! 30 Hz and answering, in rooms of 21 so that each has 20 neighbours. All of them come before anyone moves. The peers are
//! one thread of this process, on the same cores as the host: what they take the host does not get.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::Context;
use ed25519_dalek::SigningKey;
use gemba_net::{HostCommand, HostEvent, HostPort, ListenConfig, listen};
use gemba_twin::peer::PeerKey;
use tokio::runtime::Runtime;

use super::Sizes;
use super::guests::{Guests, ROOM, Seen};
use super::served::cpu_of;
use super::tracked::Tracked;
use crate::report::{Row, Runs};

const GOAL_MS: f64 = 20.0;
/// For all to come.
const COMING: Duration = Duration::from_secs(60);

/// Names of threads.
const HOST: &str = "bench-host";
const GUESTS: &str = "bench-guests";

/// The host's, which has both cores as far as the peers leave them to it.
fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name(HOST).enable_all().build()
}

/// Lets everybody in who comes within this time, or until `is_over`.
async fn admit(port: &mut HostPort, time: Duration, is_over: impl Fn() -> bool) -> anyhow::Result<()> {
    let until = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < until && !is_over() {
        let Ok(event) = tokio::time::timeout(Duration::from_millis(20), port.events.recv()).await else { continue };
        if let HostEvent::Arrived { peer, .. } = event.context("the host has stopped")? {
            port.commands.send(HostCommand::Admit { peer, entries: 0 }).await?;
        }
    }
    Ok(())
}

/// What a run found.
struct Found {
    p99_ms: f64,
    skipped: f64,
    /// Poses a second and neighbour that peers were told.
    rate: f64,
    /// Cores that the peers took, and the host.
    cores: [f64; 2],
}

async fn run(peers: usize, seconds: u32, motion: Arc<Tracked>) -> anyhow::Result<Found> {
    let signing_key = SigningKey::from_bytes(&[1; 32]);
    let host_key = PeerKey(signing_key.verifying_key().to_bytes());
    let address = ([127, 0, 0, 1], 0).into();
    let config = ListenConfig { address, signing_key, earlier_keys: vec![], site: "house".to_owned() };
    let mut port = listen(config).await?;
    let seen = Arc::new(Seen::default());
    let guests = Guests::new(port.local_addr(), host_key, motion, seen.clone());
    let guests = std::thread::Builder::new().name(GUESTS.to_owned()).spawn(move || guests.live(peers))?;
    admit(&mut port, COMING, || seen.here.load(Relaxed) == peers || guests.is_finished()).await?;
    seen.moves.store(true, Relaxed);
    // All are there and move; what it took to come does not count.
    admit(&mut port, Duration::from_secs(2), || false).await?;
    let sample = |port: &HostPort| -> anyhow::Result<_> {
        Ok((port.stats().ticks_skipped, seen.poses.load(Relaxed), cpu_of(GUESTS)?, cpu_of(HOST)?))
    };
    let before = sample(&port)?;
    admit(&mut port, Duration::from_secs(seconds.into()), || false).await?;
    let after = sample(&port)?;
    let here = seen.here.load(Relaxed);
    seen.stops.store(true, Relaxed);
    guests.join().map_err(|_| anyhow::anyhow!("the peers' thread has panicked"))??;
    anyhow::ensure!(here == peers, "only {here} of {peers} peers came");
    let p99_ms = port.stats().burst_p99.as_secs_f64() * 1000.0;
    port.close().await;
    let neighbours = (ROOM - 1).min(peers - 1) as f64;
    let seconds = f64::from(seconds);
    let cores = [after.2 - before.2, after.3 - before.3].map(|cpu| cpu.as_secs_f64() / seconds);
    let rate = (after.1 - before.1) as f64 / (peers as f64 * neighbours * seconds);
    Ok(Found { p99_ms, skipped: (after.0 - before.0) as f64, rate, cores })
}

pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let motion = Arc::new(Tracked::load());
    let [mut p99, mut skipped, mut rate, mut theirs, mut ours] = std::array::from_fn(|_| Runs::default());
    let (peers, seconds) = sizes.house;
    for _ in 0..sizes.runs {
        let host = runtime()?;
        let found = host.block_on(run(peers, seconds, motion.clone()))?;
        host.shutdown_background();
        p99.push(found.p99_ms);
        skipped.push(found.skipped);
        rate.push(found.rate);
        theirs.push(found.cores[0]);
        ours.push(found.cores[1]);
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
    let scene = format!(
        "{peers} peers at 30 Hz, 20 neighbours each, {seconds} s; the host takes {:.2} cores, the peers {:.2} of the same two",
        ours.median(),
        theirs.median()
    );
    Ok(vec![
        row("N7", format!("p99 tick of a host, {scene}"), "ms", &p99, Some(GOAL_MS), Some(pass)),
        row("N7-skipped", "ticks that came late by a whole one (10 ms)".to_owned(), "", &skipped, Some(0.0), None),
        row("N7-rate", "times a second that each neighbour is told".to_owned(), "Hz", &rate, None, None),
    ])
}
