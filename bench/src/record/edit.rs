//! R5: one edit at a time, from the moment a peer hands it to its link until it holds the host's word that it is on the
//! disk. Host and peer are two threads' worth of this process with QUIC over loopback between them: the same code as in
//! `gembad` and the viewer. A program without frames looks for its answer every 50 µs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use gemba_host::daemon::{Daemon, DaemonConfig};
use gemba_host::historian::HistorianConfig;
use gemba_net::{Address, Link, LinkCommand, LinkConfig, LinkEvent, LinkState};
use gemba_twin::peer::PeerKind;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::Sizes;
use super::plant_log::{AUTHORS, PlantLog};
use crate::report::{Row, Runs};

/// Milliseconds.
const GOAL: f64 = 10.0;
/// Longest that anything may take before the row is given up.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_micros(50);

/// Measures the 99th percentile of each run.
pub fn measure(sizes: &Sizes, work: &Path) -> anyhow::Result<Vec<Row>> {
    let mut runs = Runs::default();
    for _ in 0..sizes.runs {
        runs.push(run(sizes.edits, work)?.percentile(0.99));
    }
    Ok(vec![Row {
        id: "R5".to_owned(),
        what: format!("one edit, submit to acknowledged, loopback QUIC, p99 of {}", sizes.edits),
        value: runs.median(),
        unit: "ms",
        spread: runs.spread(),
        goal: Some(GOAL),
        pass: Some(runs.median() < GOAL),
        peers: [].into(),
    }])
}

fn run(edits: u64, work: &Path) -> anyhow::Result<Runs> {
    let folder = tempfile::tempdir_in(work)?;
    let dir = folder.path().join("site");
    let (site, log) = PlantLog::found(&dir)?;
    drop(site);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listen = "127.0.0.1:0".parse().expect("it is an address");
    let history = HistorianConfig::default();
    let config = DaemonConfig { dir, listen, opcua: None, admit: None, name: None, publish: None, history };
    let daemon = runtime.block_on(Daemon::start(config))?;
    let address = daemon.address().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = runtime.spawn(daemon.run(async {
        // A sender that is gone stops the host as well.
        let _ = stopped.await;
    }));
    let latencies = submit(address, &log, edits);
    drop(stop);
    finish(&runtime, serving)?;
    latencies
}

/// Waits until a host that was stopped has ended.
pub(super) fn finish(
    runtime: &Runtime,
    serving: tokio::task::JoinHandle<anyhow::Result<gemba_host::daemon::End>>,
) -> anyhow::Result<()> {
    runtime.block_on(serving).context("the host ended in the middle")??;
    Ok(())
}

fn submit(address: Address, log: &PlantLog, edits: u64) -> anyhow::Result<Runs> {
    let (signing_key, name) = (log.first_author().clone(), "Person 0".to_owned());
    let mut link =
        gemba_net::connect(LinkConfig { address, signing_key, name, kind: PeerKind::Person, entries_held: 0 });
    wait(&mut link, |event| matches!(event, LinkEvent::Welcome { .. }).then_some(()))?;
    let mut latencies = Runs::default();
    for submission in 0..edits {
        let entry = log.entry(submission * u64::from(AUTHORS));
        let begun = Instant::now();
        link.send(LinkCommand::Submit { submission, entry }).context("the link takes no edit")?;
        let outcome = wait(&mut link, |event| match event {
            LinkEvent::Answer { submission: answered, outcome, .. } if answered == submission => Some(outcome),
            _ => None,
        })?;
        latencies.push(begun.elapsed().as_secs_f64() * 1e3);
        outcome.map_err(|why| anyhow::anyhow!("an edit was refused: {why}"))?;
    }
    Ok(latencies)
}

/// What `wanted` finds in the first event that has it.
pub(super) fn wait<T>(link: &mut Link, mut wanted: impl FnMut(LinkEvent) -> Option<T>) -> anyhow::Result<T> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match link.poll() {
            Some(LinkEvent::State(LinkState::Refused { why })) => bail!("the host refuses the peer: {why}"),
            Some(event) => {
                if let Some(found) = wanted(event) {
                    return Ok(found);
                }
            }
            None => std::thread::sleep(LOOK),
        }
    }
    bail!("the host said nothing for {PATIENCE:?}")
}
