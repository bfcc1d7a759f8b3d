//! N4-beside: how late people see each other who share a narrow line with a newcomer, while that one is told of 100,000
//! bodies. Others have been there before, so that the host sends at once half of what the line has carried
//! (`careful_resume` in `net`), through the queue that the others' poses wait in.

use std::time::{Duration, Instant};

use gemba_net::{HostCommand, LinkEvent, TrackedPoint};

use super::Sizes;
use super::bad_peers::{SETTLE, walk};
use super::join_scene;
use super::served::Served;
use crate::report::{Row, Runs};

/// What many an office has, with a queue of a tenth of a second.
const LINE: &str = "delay=25ms,bandwidth=20Mbit,queue=250kB";
const PEOPLE: u8 = 4;
const BODIES: usize = 100_000;
/// Until the people themselves have been told of all bodies.
const TOLD: Duration = Duration::from_secs(10);
/// A newcomer is done well before.
const LASTING: Duration = Duration::from_secs(4);

/// Measures the rows.
pub fn measure(sizes: &Sizes) -> anyhow::Result<Vec<Row>> {
    let [mut alone, mut beside, mut joined] = std::array::from_fn(|_| Runs::default());
    for seed in 0..sizes.runs as u64 {
        let host = Served::start(LINE, seed)?;
        let bodies = join_scene::bodies(BODIES * sizes.ticks / Sizes::full(1).ticks, 4);
        let rests =
            bodies.iter().map(|body| (body.thing(), TrackedPoint { place: body.place, rotation: body.rotation }));
        host.say(HostCommand::Rests(rests.collect()))?;
        alone.push(people(&host, 10, || {})?);
        let mut took = Ok(0.0);
        beside.push(people(&host, 20, || took = join(&host, bodies.len()))?);
        joined.push(took?);
    }
    let row = |id: &str, what: &str, runs: &Runs, rival: Option<&Runs>| Row {
        id: id.to_owned(),
        what: what.to_owned(),
        value: runs.median(),
        unit: "ms",
        spread: runs.spread(),
        goal: None,
        pass: None,
        peers: rival.map(|runs| ("while nobody joins".to_owned(), runs.median())).into_iter().collect(),
    };
    let what = "p99 from a motion to the others' hearing of it, 4 people, while one more joins on the same 20 Mbit/s";
    Ok(vec![
        row("N4-beside", what, &beside, Some(&alone)),
        row("N4-beside-join", "how long that one takes until all bodies are known", &joined, None),
    ])
}

/// p99 in ms of how late people see each other, while something else happens.
fn people(host: &Served, first_key: u8, meanwhile: impl FnOnce()) -> anyhow::Result<f64> {
    let begun = Instant::now() + TOLD;
    let walkers: Vec<_> = (0..PEOPLE)
        .map(|who| {
            let link = host.connect(first_key + who);
            std::thread::spawn(move || walk(link, who, begun, LASTING))
        })
        .collect();
    std::thread::sleep(TOLD + SETTLE);
    meanwhile();
    let mut ways = Runs::default();
    for walker in walkers {
        walker.join().map_err(|_| anyhow::anyhow!("a person panicked"))??.into_iter().for_each(|way| ways.push(way));
    }
    Ok(ways.percentile(0.99))
}

/// How long a newcomer takes until all bodies are known, ms.
fn join(host: &Served, bodies: usize) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let (mut link, mut left) = (host.connect(2), bodies);
    while left > 0 {
        anyhow::ensure!(begun.elapsed() < LASTING, "{left} bodies did not come in time");
        if let Some(LinkEvent::Bodies(told)) = link.wait(Duration::from_millis(5)) {
            left = left.saturating_sub(told.len());
        }
    }
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}
