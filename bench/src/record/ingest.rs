//! R3: samples taken in by the historian until they are on the disk as Parquet: journal, sorting, proof, columns and
//! compression, all fsynced. The rival is `pyarrow` writing the very same columns, which it has in memory already and
//! sorted, to as many fsynced files. It needs no journal and proves nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use gemba_host::blobs::Blobs;
use gemba_net::TagSample;
use gemba_twin::peer::PeerKey;

use super::Sizes;
use super::shift::Plant;
use crate::report::{Row, Runs, timed};

const GOAL: f64 = 1_000_000.0;
/// Lines of the plant: some 6,000 tags.
const LINES: usize = 40;
const RIVAL: &str = "pyarrow, the same columns from memory, no journal, no proof";
const RIVAL_SCRIPT: &str = include_str!("ingest_pyarrow.py");

/// Measures.
pub fn measure(sizes: &Sizes, work: &Path) -> anyhow::Result<Vec<Row>> {
    let mut plant = Plant::new(LINES);
    let mut batches: Vec<Vec<TagSample>> = Vec::new();
    let mut count = 0;
    while count < sizes.ingested {
        let batch = plant.changes(usize::MAX);
        count += batch.len();
        batches.push(batch);
    }
    let python = python();
    let (mut ours, mut theirs) = (Runs::default(), Vec::new());
    for run in 0..sizes.runs {
        let folder = tempfile::tempdir_in(work)?;
        ours.push(count as f64 / seconds(&plant, &batches, folder.path())?);
        if let Some(python) = &python {
            theirs.push(count as f64 / pyarrow_seconds(python, folder.path())?);
        }
        eprintln!("gemba bench: R3, run {} of {}", run + 1, sizes.runs);
    }
    let mut peers = std::collections::BTreeMap::new();
    if !theirs.is_empty() {
        let mut runs = Runs::default();
        theirs.into_iter().for_each(|rate| runs.push(rate));
        peers.insert(RIVAL.to_owned(), runs.median());
    }
    let (tags, batches) = (plant.tags().len(), batches.len());
    Ok(vec![Row {
        id: "R3".to_owned(),
        what: format!(
            "{count} samples of {tags} tags in {batches} batches to fsynced Parquet, journal and proof included"
        ),
        value: ours.median(),
        unit: "samples/s",
        spread: ours.spread(),
        goal: Some(GOAL),
        pass: Some(ours.median() >= GOAL),
        peers,
    }])
}

fn seconds(plant: &Plant, batches: &[Vec<TagSample>], folder: &Path) -> anyhow::Result<f64> {
    let blobs = Blobs::open(folder.join("blobs"))?;
    let mut historian = plant.historian(&folder.join("history"), blobs, PeerKey([7; 32]))?;
    let (took, outcome) = timed(|| -> anyhow::Result<()> {
        for batch in batches {
            let Some(now) = batch.first().map(|sample| sample.sample.server_time) else { continue };
            historian.append(batch, now)?;
            historian.poll_seal(now)?;
        }
        historian.seal(plant.now())?;
        Ok(())
    });
    outcome?;
    ensure!(historian.stats().undeclared == 0, "samples were left out");
    Ok(took.as_secs_f64())
}

/// Where `./gemba` installs what analysts read segments with, if it is there.
fn python() -> Option<PathBuf> {
    let python = Path::new(&std::env::var_os("HOME")?).join(".cache/gemba/python/bin/python");
    let has_pyarrow = Command::new(&python).args(["-c", "import pyarrow"]).output().is_ok_and(|o| o.status.success());
    if !has_pyarrow {
        eprintln!(
            "gemba bench: R3 without its rival: there is no pyarrow in ~/.cache/gemba/python (./gemba test installs it)"
        );
    }
    has_pyarrow.then_some(python)
}

fn pyarrow_seconds(python: &Path, folder: &Path) -> anyhow::Result<f64> {
    let out = Command::new(python).args(["-c", RIVAL_SCRIPT]).arg(folder.join("blobs")).arg(folder).output()?;
    let said = String::from_utf8_lossy(&out.stdout);
    ensure!(out.status.success(), "pyarrow fails: {}", String::from_utf8_lossy(&out.stderr).trim());
    said.trim().parse().with_context(|| format!("pyarrow said {said:?}, not how many seconds it took"))
}
