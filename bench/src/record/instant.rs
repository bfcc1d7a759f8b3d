//! R8: any instant of an eight-hour shift with 1,000 tags, from asking a real host over loopback QUIC until a peer holds
//! every tag's reading, p99. Drawing the frame that shows them is not in it: that is what [`super::viewer`] adds.
//!
//! Beside it, without a goal: a chart of one tag over the whole shift.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use gemba_host::daemon::{Daemon, DaemonConfig};
use gemba_host::historian::HistorianConfig;
use gemba_host::site_dir::SiteDir;
use gemba_net::{Link, LinkCommand, LinkConfig, LinkEvent, Recall, RecallAnswer};
use gemba_twin::path::TagId;
use gemba_twin::peer::PeerKind;
use gemba_twin::sample::Timestamp;
use tokio::sync::oneshot;

use super::Sizes;
use super::edit::{finish, wait};
use super::plant_log::PlantLog;
use super::shift::{self, Plant, Shift};
use super::viewer;
use crate::report::{Row, Runs};

/// Milliseconds.
const GOAL: f64 = 200.0;
/// Columns of a chart on a large screen.
const CHART_POINTS: u32 = 2_000;
/// Charts a run.
const CHARTS: usize = 20;

/// Measures the 99th percentile of each run.
pub fn measure(sizes: &Sizes, work: &Path) -> anyhow::Result<Vec<Row>> {
    let (dir, shift) = shift::site_with_shift(work, sizes.shift_hours)?;
    let site = SiteDir::open(&dir)?;
    let log = PlantLog::new(site.site().id());
    drop(site);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listen = "127.0.0.1:0".parse().expect("it is an address");
    let history = HistorianConfig { keep_age: None, ..HistorianConfig::default() };
    let daemon = runtime.block_on(Daemon::start(DaemonConfig {
        dir,
        listen,
        opcua: None,
        admit: None,
        name: None,
        publish: None,
        history,
    }))?;
    let (address, signing_key) = (daemon.address().clone(), log.first_author().clone());
    let (host, key) = (address.clone(), signing_key.to_bytes());
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = runtime.spawn(daemon.run(async {
        // A sender that is gone stops the host as well.
        let _ = stopped.await;
    }));
    let (name, kind) = ("Person 0".to_owned(), PeerKind::Person);
    let mut link = gemba_net::connect(LinkConfig { address, signing_key, name, kind, entries_held: 0 });
    wait(&mut link, |event| matches!(event, LinkEvent::History { .. }).then_some(()))?;
    let (mut instants, mut charts) = (Runs::default(), Runs::default());
    let mut asking = Asking { link, chance: Plant::new(1), request: 0 };
    for _ in 0..sizes.runs {
        instants.push(asking.instants(&shift, sizes.instants)?.percentile(0.99));
        charts.push(asking.charts(&shift)?.percentile(0.99));
    }
    drop(asking);
    let in_viewer = viewer::measure(sizes, work, &host, &key, &shift);
    drop(stop);
    finish(&runtime, serving)?;
    let in_viewer = in_viewer?;
    let (tags, hours) = (shift::tags(), sizes.shift_hours);
    let row = |id: &str, runs: Runs, goal: Option<f64>, what: String| Row {
        id: id.to_owned(),
        what,
        value: runs.median(),
        unit: "ms",
        spread: runs.spread(),
        goal,
        pass: goal.map(|goal| runs.median() < goal),
        peers: [].into(),
    };
    let asked = sizes.instants;
    let mut rows = vec![
        row(
            "R8",
            instants,
            Some(GOAL),
            format!(
                "any instant of {hours} h with {tags} tags, asked over loopback QUIC to all readings held, p99 of {asked}; drawing not included"
            ),
        ),
        row(
            "R8-chart",
            charts,
            None,
            format!("a chart of one tag over {hours} h, {CHART_POINTS} points, p99 of {CHARTS}"),
        ),
    ];
    rows.splice(1..1, in_viewer);
    Ok(rows)
}

/// A peer that asks again and again.
struct Asking {
    link: Link,
    chance: Plant,
    request: u32,
}

impl Asking {
    fn instants(&mut self, shift: &Shift, count: usize) -> anyhow::Result<Runs> {
        let mut millis = Runs::default();
        let (from, to) = shift.span;
        // Every tag has a value when the first second is over.
        let first = Timestamp(from + 1_000_000);
        for _ in 0..count {
            let at = Timestamp(from + self.chance.random((to - from) as u64) as i64).max(first);
            let begun = Instant::now();
            let answer = self.ask(None, (at, at), 0)?;
            millis.push(begun.elapsed().as_secs_f64() * 1e3);
            let told = answer.samples.len();
            ensure!(told == shift::tags() && answer.covered == [(at, at)], "only {told} tags are known at {at:?}");
        }
        Ok(millis)
    }

    fn charts(&mut self, shift: &Shift) -> anyhow::Result<Runs> {
        let mut millis = Runs::default();
        for _ in 0..CHARTS {
            let tag = TagId(self.chance.random(shift::tags() as u64) as u32);
            let begun = Instant::now();
            let answer = self.ask(Some(vec![tag]), (Timestamp(shift.span.0), Timestamp(shift.span.1)), CHART_POINTS)?;
            millis.push(begun.elapsed().as_secs_f64() * 1e3);
            ensure!(answer.samples.iter().all(|sample| sample.tag == tag), "an answer about another tag");
        }
        Ok(millis)
    }

    fn ask(
        &mut self,
        tags: Option<Vec<TagId>>,
        (from, to): (Timestamp, Timestamp),
        points: u32,
    ) -> anyhow::Result<RecallAnswer> {
        self.request += 1;
        let request = self.request;
        let recall = LinkCommand::Recall(Recall { request, tags, from, to, points });
        self.link.send(recall).context("the link takes no question")?;
        wait(&mut self.link, |event| match event {
            LinkEvent::Recalled(answer) if answer.request == request => Some(answer),
            _ => None,
        })
    }
}
