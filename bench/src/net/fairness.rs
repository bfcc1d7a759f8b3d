//! N5-fair: two of our real-time connections and one bulk transfer with quinn's Cubic share a bottleneck. A fair share
//! is a third of it. Shown is what the worse of ours gets of that; beside it what Cubic gets, and what the worst of
//! three Cubics gets of each other.

use std::time::Duration;

use gemba_net::transport;
use quinn::{Connection, TransportConfig, VarInt};

use super::Sizes;
use super::line::{Ends, Line};
use crate::report::{Row, Runs};

/// A home's line with the queue of its router, 43 ms.
const LINE: &str = "delay=25ms,bandwidth=12Mbit,queue=64kB";
const BYTES_PER_SEC: f64 = 12e6 / 8.0;
const GOAL: f64 = 0.5;
/// Seconds that do not count: everyone finds a rate.
const WARM_UP: u64 = 5;

/// Measures the row.
pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mut ours, mut cubic, mut alike) = (Runs::default(), Runs::default(), Runs::default());
    let seconds = u64::from(sizes.seconds);
    for seed in 0..sizes.runs as u64 {
        let shares = runtime.block_on(shares([Kind::Ours, Kind::Ours, Kind::Bulk], seed, seconds))?;
        ours.push(shares[0].min(shares[1]));
        cubic.push(shares[2]);
        let shares = runtime.block_on(self::shares([Kind::Bulk; 3], seed, seconds))?;
        alike.push(shares.into_iter().fold(f64::INFINITY, f64::min));
    }
    Ok(vec![Row {
        id: "N5-fair".to_owned(),
        what: format!("what the worse of two of ours gets beside one Cubic on 12 Mbit/s; 1 is fair; {seconds} s"),
        value: ours.median(),
        unit: "share",
        spread: ours.spread(),
        goal: Some(GOAL),
        pass: Some(ours.median() >= GOAL && cubic.median() >= GOAL),
        peers: [
            ("the one Cubic beside two of ours".to_owned(), cubic.median()),
            ("the worst of three Cubics (quinn 0.11)".to_owned(), alike.median()),
        ]
        .into(),
    }])
}

#[derive(Clone, Copy)]
enum Kind {
    /// Datagrams, always more than the line carries.
    Ours,
    /// A stream that always has more.
    Bulk,
}

/// What each gets, where 1 is a third of the line.
async fn shares(kinds: [Kind; 3], seed: u64, seconds: u64) -> anyhow::Result<[f64; 3]> {
    let line = Line::open(LINE, seed)?;
    let mut ends = Vec::new();
    for kind in kinds {
        let settings = match kind {
            Kind::Ours => transport::real_time(),
            Kind::Bulk => TransportConfig::default(),
        };
        ends.push(line.connect(settings).await?);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (kind, Ends { host, peer, .. }) in kinds.iter().zip(&ends) {
        match kind {
            Kind::Ours => drop(tasks.spawn(send_datagrams(host.clone()))),
            Kind::Bulk => {
                tasks.spawn(send_bulk(host.clone()));
                tasks.spawn(take_bulk(peer.clone()));
            }
        }
    }
    tokio::time::sleep(Duration::from_secs(WARM_UP)).await;
    let received = |ends: &[Ends]| ends.iter().map(|ends| ends.peer.stats().udp_rx.bytes).collect::<Vec<_>>();
    let before = received(&ends);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let after = received(&ends);
    ends.iter().for_each(|ends| ends.host.close(VarInt::from_u32(0), b""));
    Ok([0, 1, 2].map(|n| (after[n] - before[n]) as f64 / seconds as f64 / (BYTES_PER_SEC / 3.0)))
}

/// 8 Mbit/s in bursts; what does not fit pushes out what is older.
async fn send_datagrams(host: Connection) {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    loop {
        tick.tick().await;
        for _ in 0..10 {
            if host.send_datagram(vec![0; 1000].into()).is_err() {
                return;
            }
        }
    }
}

async fn send_bulk(host: Connection) {
    let Ok(mut stream) = host.open_uni().await else { return };
    while stream.write_all(&[0; 64 << 10]).await.is_ok() {}
}

async fn take_bulk(peer: Connection) {
    let Ok(mut stream) = peer.accept_uni().await else { return };
    while let Ok(Some(_)) = stream.read_chunk(64 << 10, false).await {}
}
