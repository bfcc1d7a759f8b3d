//! N4: how long a newcomer takes until it knows where 100,000 bodies at rest are, at a round-trip time of 50 ms; and N4a,
//! until it knows those of its own cell.
//!
//! What is measured is the join's core over QUIC, with the round trips that a session takes: a connection and its hello;
//! then what is near on that one, and the rest on a second connection, which is made meanwhile. The bodies have the names
//! of their things (16 bytes each), which the rival's do not have.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use gemba_net::body::{BodyNumber, Epoch, Placement};
use gemba_net::join::{JoinTable, Newcomer, Pieces, StillBody};
use gemba_net::relay::Sample;
use gemba_net::{PeerNumber, transport};
use gemba_twin::path::ThingId;
use quinn::{Connection, RecvStream, SendStream, TransportConfig};

use super::Sizes;
use super::join_scene::{self, BodyAtRest, Joined, NEAR_METRES};
use super::line::{Ends, Line};
use super::replicon_join;
use crate::report::{Row, Runs};

const LINE: &str = "delay=25ms";
const BODIES: usize = 100_000;
const GOAL: Duration = Duration::from_millis(1_000);
const GOAL_NEAR: Duration = Duration::from_millis(250);
const TIMES_FASTER: f64 = 5.0;

/// Measures the rows.
pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let bodies = join_scene::bodies(BODIES * sizes.ticks / Sizes::full(1).ticks, 4);
    let [mut all, mut near, mut rival_all, mut rival_near] = std::array::from_fn(|_| Runs::default());
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    for seed in 0..sizes.runs as u64 {
        let ours = runtime.block_on(join(&bodies, seed))?;
        all.push(millis(ours.all));
        near.push(millis(ours.near));
        let rival = replicon_join::join(&bodies, LINE, seed).context("bevy_replicon")?;
        rival_all.push(millis(rival.all));
        rival_near.push(millis(rival.near));
    }
    let row = |id: &str, what: String, runs: &Runs, goal: Duration, rival: &Runs| Row {
        id: id.to_owned(),
        what,
        value: runs.median(),
        unit: "ms",
        spread: runs.spread(),
        goal: Some(millis(goal)),
        pass: Some(runs.median() <= millis(goal) && rival.median() >= TIMES_FASTER * runs.median()),
        peers: [("bevy_replicon 0.44 over renet 2".to_owned(), rival.median())].into(),
    };
    let site = format!("{} bodies at rest, 50 ms round trip", bodies.len());
    Ok(vec![
        row("N4", format!("join a site until all is known: {site}"), &all, GOAL, &rival_all),
        row("N4a", format!("join a site until the own cell is known: {site}"), &near, GOAL_NEAR, &rival_near),
    ])
}

async fn join(bodies: &[BodyAtRest], seed: u64) -> anyhow::Result<Joined> {
    let mut table = JoinTable::default();
    for body in bodies {
        let place = body.place.map(f64::from);
        let at = Placement { place, rotation: body.rotation.map(f64::from) };
        let mut thing = [0; 16];
        thing
            .iter_mut()
            .zip(body.number.to_le_bytes().repeat(4))
            .for_each(|(to, byte)| *to = byte.wrapping_mul(251) ^ 91);
        let (number, sample) = (BodyNumber(body.number), Sample::of_body(&at, Epoch(0), 0));
        table.put(StillBody { body: number, thing: ThingId(thing), holder: PeerNumber(u16::MAX), sample });
    }
    let is_near = |body: &BodyAtRest| body.place.iter().all(|metres| (0.0..NEAR_METRES).contains(metres));
    let near = bodies.iter().filter(|body| is_near(body)).count();
    let line = Line::open(LINE, seed)?;
    let begun = Instant::now();
    let Ends { host, peer, _endpoint: _open } = line.connect(transport::real_time()).await?;
    let serving = tokio::spawn(async move {
        let (mut send, mut recv) = host.accept_bi().await?;
        take(&mut recv).await?;
        put(&mut send, b"welcome").await?;
        take(&mut recv).await?;
        // Coded when it is asked for, as for the first newcomer after a start.
        let Pieces { near, rest } = table.pieces([0; 3], 0);
        put_all(&mut send, &near).await?;
        anyhow::Ok((send, host, rest))
    });
    let (mut send, mut recv) = peer.open_bi().await?;
    put(&mut send, b"hello").await?;
    take(&mut recv).await?;
    put(&mut send, b"join").await?;
    let second = async {
        let Ends { host, peer, _endpoint } = line.connect(TransportConfig::default()).await?;
        anyhow::Ok((host, peer, _endpoint))
    };
    let around = async {
        let (mut newcomer, mut here, mut told) = (Newcomer::default(), 0, None);
        while !newcomer.is_done() {
            let still = newcomer.handle_piece(&take(&mut recv).await?)?;
            here += still.iter().filter(|still| is_near(&bodies[still.body.0 as usize])).count();
            if here == near && told.is_none() {
                told = Some(begun.elapsed());
            }
        }
        anyhow::Ok((told.context("what is near was not told as such")?, newcomer.progress().0))
    };
    let (near, second) = tokio::join!(around, second);
    let ((near, mut count), (bulk_host, bulk_peer, _endpoint)) = (near?, second?);
    let (_send, _host, rest) = serving.await??;
    let telling = tokio::spawn(tell_rest(bulk_host, rest));
    let mut recv = bulk_peer.accept_uni().await?;
    let mut newcomer = Newcomer::default();
    while !newcomer.is_done() {
        newcomer.handle_piece(&take(&mut recv).await?)?;
    }
    count += newcomer.progress().0;
    anyhow::ensure!(count as usize == bodies.len(), "{count} bodies have come");
    let all = begun.elapsed();
    telling.await??;
    Ok(Joined { near, all })
}

async fn tell_rest(host: Connection, pieces: Vec<Arc<[u8]>>) -> anyhow::Result<()> {
    let mut send = host.open_uni().await?;
    put_all(&mut send, &pieces).await?;
    send.finish()?;
    // What was written shall still arrive.
    send.stopped().await?;
    Ok(())
}

async fn put_all(send: &mut SendStream, pieces: &[Arc<[u8]>]) -> anyhow::Result<()> {
    for piece in pieces {
        put(send, piece).await?;
    }
    Ok(())
}

async fn put(send: &mut SendStream, frame: &[u8]) -> anyhow::Result<()> {
    send.write_all(&(frame.len() as u32).to_le_bytes()).await?;
    Ok(send.write_all(frame).await?)
}

async fn take(recv: &mut RecvStream) -> anyhow::Result<Vec<u8>> {
    let mut length = [0; 4];
    recv.read_exact(&mut length).await?;
    let mut frame = vec![0; u32::from_le_bytes(length) as usize];
    recv.read_exact(&mut frame).await?;
    Ok(frame)
}
