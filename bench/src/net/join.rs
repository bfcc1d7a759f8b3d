//! N4: how long a newcomer takes until it knows where 100,000 bodies at rest are, at a round-trip time of 50 ms; and N4a,
//! until it knows those of its own cell.
//!
//! From the connecting of a link, as the viewer has it, until it has told of all bodies. Someone at the same address has
//! been there before, so that the host has coded its cells already and knows what the path carries; the rival's world stands
//! as well, and it has no congestion control that would have to learn. The bodies of both have the names of their things
//! (16 bytes each): a place without a thing is of no use.

use std::time::{Duration, Instant};

use anyhow::Context;
use gemba_net::{HostCommand, LinkEvent, TrackedPoint};

use super::Sizes;
use super::join_scene::{self, BodyAtRest, Joined, NEAR_METRES};
use super::replicon_join;
use super::served::Served;
use crate::report::{Row, Runs};

const LINE: &str = "delay=25ms";
const BODIES: usize = 100_000;
const GOAL: Duration = Duration::from_millis(1_000);
const GOAL_NEAR: Duration = Duration::from_millis(250);
const TIMES_FASTER: f64 = 5.0;
/// Whoever takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures the rows.
pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let bodies = join_scene::bodies(BODIES * sizes.ticks / Sizes::full(1).ticks, 4);
    let [mut all, mut near, mut rival_all, mut rival_near] = std::array::from_fn(|_| Runs::default());
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    for seed in 0..sizes.runs as u64 {
        let ours = join(&bodies, seed)?;
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

fn join(bodies: &[BodyAtRest], seed: u64) -> anyhow::Result<Joined> {
    let host = Served::start(LINE, seed)?;
    let rests = bodies.iter().map(|body| (body.thing(), TrackedPoint { place: body.place, rotation: body.rotation }));
    host.say(HostCommand::Rests(rests.collect()))?;
    newcomer(&host, bodies, 2)?;
    newcomer(&host, bodies, 3)
}

fn newcomer(host: &Served, bodies: &[BodyAtRest], key: u8) -> anyhow::Result<Joined> {
    let is_near = |body: &BodyAtRest| body.place.iter().all(|metres| (0.0..NEAR_METRES).contains(metres));
    let mut near_left = bodies.iter().filter(|body| is_near(body)).count();
    let mut is_here = vec![false; bodies.len()];
    let (mut left, mut near) = (bodies.len(), None);
    let begun = Instant::now();
    let mut link = host.connect(key);
    while begun.elapsed() < PATIENCE {
        let Some(event) = link.wait(Duration::from_millis(5)) else { continue };
        let LinkEvent::Bodies(told) = event else { continue };
        for thing in told.iter().map(|told| told.thing) {
            let number = u32::from_le_bytes([thing.0[0], thing.0[1], thing.0[2], thing.0[3]]) as usize;
            let known = is_here.get_mut(number).context("there is no such body")?;
            if std::mem::replace(known, true) {
                continue;
            }
            left -= 1;
            near_left -= usize::from(is_near(&bodies[number]));
        }
        if near_left == 0 && near.is_none() {
            near = Some(begun.elapsed());
        }
        if left == 0 {
            return Ok(Joined { near: near.context("all are here, and not all near ones")?, all: begun.elapsed() });
        }
    }
    anyhow::bail!("{left} bodies did not come in {} s", PATIENCE.as_secs())
}
