//! N3: what a host spends on each client, visible body and tick: 100,000 bodies of which 1 % move, 50 clients that each see
//! 2,000. Told what moves ([`Crowd::handle_sample`]), it decides who is to hear of it and writes the packets; answers come
//! a tick later. The rivals are given the same and asked for the same: whom they tell what is settled beforehand.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gemba_net::body::{Acks, BodyNumber, Epoch, Placement};
use gemba_net::interest::{Crowd, Turn};
use gemba_net::relay::{Name, RelayReceiver, Sample};
use gemba_net::{PeerNumber, Pose, TrackedPoint};

use super::Sizes;
use super::lightyear;
use super::replicon::{self, Placed, Tick};
use crate::report::{Row, Runs};

const GOAL_NS: f64 = 20.0;
const GOAL_TIMES: f64 = 20.0;
/// Between two ticks of the host, milliseconds.
const TICK: u64 = 33;
/// Between the middles of two regions, metres: what is in another region is beyond reach.
const APART: f64 = 400.0;
/// Every so many bodies one moves.
const STILL: u32 = 100;
/// Ticks until everyone knows all bodies: 2,000 rests at the budget of this row.
const WARM_UP: u32 = 60;

/// A body of the grid of its region, some 20 m wide; `tick` is none while it rests.
fn placement(number: u32, clients: u32, tick: Option<u32>) -> Placement {
    let (region, n) = (number % clients, number / clients);
    let time = tick.map_or(0.0, |tick| f64::from(tick) / 30.0 + f64::from(number));
    let x = f64::from(region) * APART + f64::from(n % 45) * 0.2 + 0.4 * time.sin();
    let place = [x, 1.0 + 0.3 * (2.3 * time).cos(), f64::from(n / 45) * 0.2];
    Placement { place, rotation: [0.0, (0.2 * time).sin(), 0.0, (0.2 * time).cos()] }
}

fn moves(number: u32, clients: u32) -> bool {
    (number / clients).is_multiple_of(STILL)
}

/// Our time for each client, visible body and tick, and the bytes of one client and tick.
fn ours(clients: u32, bodies: u32, ticks: u32) -> anyhow::Result<(f64, f64)> {
    let mut crowd = Crowd::default();
    let mut receivers: Vec<RelayReceiver> = (0..clients).map(|_| RelayReceiver::new(bodies as usize + 1024)).collect();
    let (mut spent, mut bytes) = (Duration::ZERO, 0);
    let mut answers: Vec<(PeerNumber, [u8; Acks::BYTES])> = Vec::new();
    let begin = 1_700_000_000_000;
    for client in 0..clients {
        let peer = PeerNumber(client as u16);
        crowd.join(peer, 10_000_000);
        let place = [client as f32 * APART as f32 + 4.0, 1.7, 4.0];
        let head = TrackedPoint { place, rotation: [0.0, 0.0, 0.0, 1.0] };
        let pose = Sample::of_pose(&Pose { head, hands: [None, None], pointer: None }, begin);
        crowd.handle_sample(Name::of_avatar(peer), pose, true);
    }
    for tick in 0..WARM_UP + ticks {
        let clock = begin + u64::from(tick) * TICK;
        let told: Vec<(Name, Sample, bool)> = (0..bodies)
            .filter(|number| tick == 0 || moves(*number, clients))
            .map(|number| {
                let moves = moves(number, clients);
                let at = placement(number, clients, moves.then_some(tick));
                (Name::of_body(BodyNumber(number)), Sample::of_body(&at, Epoch(0), clock), !moves)
            })
            .collect();
        let begun = Instant::now();
        for (peer, acks) in std::mem::take(&mut answers) {
            crowd.handle_acks(peer, &acks);
        }
        for (name, sample, rests) in told {
            crowd.handle_sample(name, sample, rests);
        }
        let packets = crowd.tick(clock, Turn::ALL, |_| 0);
        let passed = begun.elapsed();
        if tick >= WARM_UP {
            spent += passed;
            bytes += packets.iter().flat_map(|(_, packets)| packets).map(Vec::len).sum::<usize>();
        }
        for (peer, packets) in packets {
            let receiver = &mut receivers[usize::from(peer.0)];
            for packet in packets {
                receiver.handle_packet(&packet)?;
            }
            answers.extend(receiver.acks().map(|acks| (peer, acks.encode())));
        }
    }
    let known = receivers.iter().map(|receiver| receiver.held().0).min().unwrap_or(0);
    anyhow::ensure!(known >= (bodies / clients) as usize, "a client was told of {known} bodies only");
    let (ticks, clients, bodies) = (f64::from(ticks), f64::from(clients), f64::from(bodies));
    Ok((spent.as_nanos() as f64 / (ticks * bodies), bytes as f64 / (ticks * clients)))
}

/// A rival's time for each client, visible body and tick, and the bytes of one client and tick.
fn rival(
    mut tick_of: impl FnMut(&dyn Fn(u32) -> Option<Placed>) -> Tick,
    (clients, bodies, ticks): (u32, u32, u32),
) -> (f64, f64) {
    let (mut spent, mut bytes) = (Duration::ZERO, 0);
    for tick in 0..ticks {
        let cost = tick_of(&|number| {
            moves(number, clients).then(|| {
                let at = placement(number, clients, Some(tick + 1));
                let rotation = [0, 1, 2].map(|i| (at.rotation[i] * 1024.0).round() as i16);
                Placed { place: at.place.map(|metres| (metres * 1000.0).round() as i32), rotation }
            })
        });
        spent += cost.spent;
        bytes += cost.bytes;
    }
    let (ticks, clients, bodies) = (f64::from(ticks), f64::from(clients), f64::from(bodies));
    (spent.as_nanos() as f64 / (ticks * bodies), bytes as f64 / (ticks * clients))
}

pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let (clients, bodies, ticks) = sizes.crowd;
    let [mut time, mut bytes] = std::array::from_fn(|_| Runs::default());
    let mut rivals = [replicon::NAME, lightyear::NAME].map(|name| (name, Runs::default(), Runs::default()));
    for _ in 0..sizes.runs {
        let (spent, sent) = ours(clients, bodies, ticks)?;
        time.push(spent);
        bytes.push(sent);
        let scene = (clients, bodies, ticks.min(30));
        let found = {
            let mut replication = replicon::Replication::new(clients, bodies);
            let first = rival(|moved| replication.tick(moved), scene);
            drop(replication);
            let mut replication = lightyear::Replication::new(clients, bodies)?;
            [first, rival(|moved| replication.tick(moved), scene)]
        };
        for ((_, time, bytes), (spent, sent)) in rivals.iter_mut().zip(found) {
            time.push(spent);
            bytes.push(sent);
        }
    }
    let row = |id: &str, what: String, unit, runs: &Runs, goal, pass, peers: Vec<(&str, f64)>| Row {
        id: id.to_owned(),
        what,
        value: runs.median(),
        unit,
        spread: runs.spread(),
        goal,
        pass,
        peers: peers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>(),
    };
    let scene = format!("{bodies} bodies, 1 % moving, {clients} clients that see {} each", bodies / clients);
    let better = rivals.iter().map(|(_, time, _)| time.median()).fold(f64::INFINITY, f64::min);
    let times = better / time.median();
    let pass = Some(time.median() <= GOAL_NS && times >= GOAL_TIMES);
    let what =
        format!("core time a client, visible body and tick, {scene}; the better rival takes {times:.1} times as much");
    let their_time = rivals.iter().map(|(name, time, _)| (*name, time.median())).collect();
    let their_bytes = rivals.iter().map(|(name, _, bytes)| (*name, bytes.median())).collect();
    Ok(vec![
        row("N3", what, "ns", &time, Some(GOAL_NS), pass, their_time),
        row("N3-bytes", format!("bytes to one client a tick, {scene}"), "B", &bytes, None, None, their_bytes),
    ])
}
