//! R6: by how much a process grows that folds a large plant. Each run is a process of its own, since memory that was
//! freed before would hide the growth.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use ed25519_dalek::SigningKey;
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::entry::SiteId;
use gemba_record::log::Log;

use super::Sizes;
use super::plant_log::{id, import_model, thousand_things};
use crate::report::{Row, Runs};

/// Megabytes, for the 100,000 things of the full size.
const GOAL: f64 = 200.0;
/// As what this program starts itself.
pub const CHILD: &str = "fold-things";
const THINGS: &str = "GEMBA_BENCH_THINGS";

/// Measures.
pub fn measure(sizes: &Sizes, _work: &Path) -> anyhow::Result<Vec<Row>> {
    let mut runs = Runs::default();
    for _ in 0..sizes.runs {
        let child = Command::new(std::env::current_exe()?).arg(CHILD).env(THINGS, sizes.things.to_string()).output()?;
        if !child.status.success() {
            bail!("folding in a process of its own failed: {}", String::from_utf8_lossy(&child.stderr).trim());
        }
        runs.push(String::from_utf8_lossy(&child.stdout).trim().parse().context("no number from the folding process")?);
    }
    Ok(vec![Row {
        id: "R6".to_owned(),
        what: format!("memory to fold {} things", sizes.things),
        value: runs.median(),
        unit: "MB",
        spread: runs.spread(),
        goal: Some(GOAL),
        pass: Some(runs.median() < GOAL),
        peers: [].into(),
    }])
}

/// The run itself: folds as many things as the environment says and prints the growth in megabytes.
pub fn fold_and_tell() -> anyhow::Result<()> {
    let things: u64 = std::env::var(THINGS).context("this is started by `gemba bench record`")?.parse()?;
    let owner = Author::new(SigningKey::from_bytes(&[1; 32]), SiteId([5; 16]));
    let before = resident_bytes()?;
    let mut log = Log::new();
    let found = Body::Found { name: "Bench plant".into(), host: owner.key() };
    let bodies = [found, import_model()].into_iter().chain((0..things / 1_000).flat_map(thousand_things));
    for (n, body) in (0..).zip(bodies) {
        log.append_signed(owner.sign(body, id(n)))?;
    }
    let grown = resident_bytes()?.saturating_sub(before);
    let folded = log.site().map_or(0, |site| site.things().len() as u64);
    if folded != things {
        bail!("{folded} things are folded instead of {things}");
    }
    println!("{}", grown as f64 / 1e6);
    Ok(())
}

fn resident_bytes() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("memory is read from /proc, as Linux has it")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in /proc/self/status")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
}
