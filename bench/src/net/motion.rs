//! N5: how long after somebody has moved a watcher far away sees it, over a line with 25 ms and 1 % loss each way, with
//! 4 Mbit/s of poses: what a host sends of a crowd. The rivals are quinn's own settings on the same line with the same
//! losses: as they are, and with our small datagram buffer.
//!
//! Every tick a burst goes out, a datagram for each of five groups of avatars, who moved at some instant since the last
//! tick. What counts is when a pose at least as new is there: a lost one is made good by the next. N5-stale is the
//! share of datagrams that never arrived.

use std::time::{Duration, Instant};

use anyhow::Context;
use gemba_net::transport;
use quinn::TransportConfig;

use super::Sizes;
use super::line::{Ends, Line};
use crate::report::{Row, Runs};

const LINE: &str = "delay=25ms,loss=1%";
/// Datagrams of a burst; with [`PAYLOAD`] and some 60 bytes of QUIC, UDP and IP, 100 bursts a second are 4 Mbit/s.
const GROUPS: usize = 5;
const PAYLOAD: usize = 940;
const TICK: Duration = Duration::from_millis(10);
/// Ticks at the beginning and at the end that do not count: the controllers find their rate, the last are under way.
const WARM_UP: usize = 200;
const REST: usize = 50;
const GOAL_MILLIS: f64 = 45.0;
const GOAL_PERCENT: f64 = 2.0;

/// One run: p99 in ms, and percent that never arrived.
struct Outcome {
    p99: f64,
    stale: f64,
}

/// Measures both rows.
pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let rivals: [(&str, fn() -> TransportConfig); 2] = [
        ("quinn 0.11 defaults (Cubic)", TransportConfig::default),
        ("quinn 0.11 defaults, datagram buffer 16 KiB", small_buffer),
    ];
    let mut ours = (Runs::default(), Runs::default());
    let mut theirs = vec![(Runs::default(), Runs::default()); rivals.len()];
    for seed in 0..sizes.runs as u64 {
        let note = |runs: &mut (Runs, Runs), settings: TransportConfig| {
            let outcome = runtime.block_on(run(settings, seed, sizes.seconds))?;
            runs.0.push(outcome.p99);
            runs.1.push(outcome.stale);
            anyhow::Ok(())
        };
        note(&mut ours, transport::real_time())?;
        for ((_, settings), runs) in rivals.iter().zip(&mut theirs) {
            note(runs, settings())?;
        }
    }
    let peers = |of: fn(&(Runs, Runs)) -> &Runs| {
        rivals.iter().zip(&theirs).map(|((name, _), runs)| ((*name).to_owned(), of(runs).median())).collect()
    };
    let what = format!("25 ms + 1 % loss each way, 4 Mbit/s of poses, {} s", sizes.seconds);
    Ok(vec![
        Row {
            id: "N5".to_owned(),
            what: format!("p99 motion to remote pose, {what}"),
            value: ours.0.median(),
            unit: "ms",
            spread: ours.0.spread(),
            goal: Some(GOAL_MILLIS),
            pass: Some(ours.0.median() <= GOAL_MILLIS),
            peers: peers(|runs| &runs.0),
        },
        Row {
            id: "N5-stale".to_owned(),
            what: format!("poses that never arrived, {what}"),
            value: ours.1.median(),
            unit: "%",
            spread: ours.1.spread(),
            goal: Some(GOAL_PERCENT),
            pass: Some(ours.1.median() <= GOAL_PERCENT),
            peers: peers(|runs| &runs.1),
        },
    ])
}

fn small_buffer() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.datagram_send_buffer_size(16 << 10);
    transport
}

async fn run(transport: TransportConfig, seed: u64, seconds: u32) -> anyhow::Result<Outcome> {
    let line = Line::open(LINE, seed)?;
    let Ends { host, peer, .. } = &line.connect(transport).await?;
    let ticks = seconds as usize * 100;
    anyhow::ensure!(ticks > WARM_UP + REST, "{seconds} s are too short");
    let begun = Instant::now() + TICK;
    // A group moves at another instant of each tick: thousandths of a tick before it ends.
    let moved = |tick: usize, group: usize| {
        begun + TICK * tick as u32 - TICK * ((tick * 379 + group * 211) % 1000) as u32 / 1000
    };
    let mut arrived: Vec<[Option<Instant>; GROUPS]> = vec![[None; GROUPS]; ticks];
    let sending = async {
        let mut payload = vec![0; PAYLOAD];
        for tick in 0..ticks {
            tokio::time::sleep_until((begun + TICK * tick as u32).into()).await;
            for group in 0..GROUPS {
                payload[..4].copy_from_slice(&(tick as u32).to_le_bytes());
                payload[4] = group as u8;
                host.send_datagram(payload.clone().into()).context("a datagram was refused")?;
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        anyhow::Ok(())
    };
    let receiving = async {
        loop {
            let datagram = match peer.read_datagram().await {
                Ok(datagram) => datagram,
                Err(lost) => break anyhow::Error::from(lost),
            };
            let now = Instant::now();
            let tick = datagram.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes) as usize);
            let place = tick.and_then(|tick| arrived.get_mut(tick)?.get_mut(usize::from(*datagram.get(4)?)));
            match place {
                Some(place) => *place = place.or(Some(now)),
                None => break anyhow::anyhow!("a datagram was damaged"),
            }
        }
    };
    tokio::select! {
        sent = sending => sent?,
        error = receiving => return Err(error),
    }
    Ok(judge(&arrived, moved))
}

fn judge(arrived: &[[Option<Instant>; GROUPS]], moved: impl Fn(usize, usize) -> Instant) -> Outcome {
    let (mut ways, mut stale, mut sent) = (Runs::default(), 0, 0);
    for group in 0..GROUPS {
        let mut shown: Option<Instant> = None;
        for tick in (WARM_UP..arrived.len()).rev() {
            shown = [shown, arrived[tick][group]].into_iter().flatten().min();
            if tick + REST >= arrived.len() {
                continue;
            }
            sent += 1;
            stale += u32::from(arrived[tick][group].is_none());
            // What is not there by the end counts as a second late.
            let way = shown.map_or(Duration::from_secs(1), |shown| shown - moved(tick, group));
            ways.push(way.as_secs_f64() * 1e3);
        }
    }
    Outcome { p99: ways.percentile(0.99), stale: f64::from(stale) * 100.0 / f64::from(sent) }
}
