//! R8 as a person meets it: the real viewer, headless, goes from one instant of the shift to the next, and tells for each how
//! long it took from asking until the frame with it had been drawn. With a plant of as many lines as have that many tags.
//!
//! Absent where the viewer has not been built: it takes a quarter of an hour, and no benchmark waits for that.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use gemba_net::Address;

use super::Sizes;
use super::shift::{self, Plant, Shift};
use crate::report::{Row, Runs};

/// Milliseconds.
const GOAL: f64 = 200.0;
/// Pixels of the picture: a software renderer's time would hide all else in a large one.
const SIZE: &str = "320x180";
/// Where `./gemba bench` says that the viewer is.
const VIEWER: &str = "GEMBA_VIEWER";

/// Measures the 99th percentile of each run at a host of the site with this shift; `key` is a person's who may come in.
pub fn measure(sizes: &Sizes, work: &Path, host: &Address, key: &[u8; 32], shift: &Shift) -> anyhow::Result<Vec<Row>> {
    let Some(viewer) = std::env::var_os(VIEWER).map(PathBuf::from).filter(|viewer| viewer.is_file()) else {
        eprintln!("gemba bench: R8-viewer is left out: build the viewer first (./gemba build)");
        return Ok(Vec::new());
    };
    let folder = tempfile::tempdir_in(work)?;
    let (key_file, report) = (folder.path().join("person.key"), folder.path().join("report.json"));
    std::fs::write(&key_file, key)?;
    let (mut runs, mut chance, mut adapter) = (Runs::default(), Plant::new(1), String::new());
    for _ in 0..sizes.runs {
        let (from, to) = (shift.span.0 / 1_000_000 + 2, shift.span.1 / 1_000_000);
        let instants =
            (0..sizes.instants).map(|_| format!("--at=@{}", from + chance.random((to - from) as u64) as i64));
        let mut command = Command::new(&viewer);
        command.args(["view", &host.to_string(), "--headless", "--size", SIZE, "--seconds", "0", "--name", "bench"]);
        command.arg("--key").arg(&key_file).arg("--report").arg(&report).args(instants);
        let ended = command.stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
        ensure!(ended.status.success(), "the viewer fails: {}", String::from_utf8_lossy(&ended.stderr).trim());
        let seen: serde_json::Value = serde_json::from_slice(&std::fs::read(&report)?)?;
        ensure!(seen["values"].as_object().is_some_and(|values| values.len() == shift::tags()), "tags are missing");
        runs.push(seen["cursor"]["show_ms"]["p99"].as_f64().context("the viewer's report has no times")?);
        adapter = seen["adapter"].as_str().unwrap_or_default().to_owned();
    }
    Ok(vec![Row {
        id: "R8-viewer".to_owned(),
        what: format!("the same in the viewer, asked to drawn, {SIZE} on {adapter}, p99 of {}", sizes.instants),
        value: runs.median(),
        unit: "ms",
        spread: runs.spread(),
        goal: Some(GOAL),
        pass: Some(runs.median() < GOAL),
        peers: [].into(),
    }])
}
