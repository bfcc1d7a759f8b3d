//! R1: signed entries verified, folded and fsynced, in commits of many. The rival is SQLite as it is when it must lose
//! nothing, storing the same bytes in the same commits and verifying none.
//!
//! The goal is about commits of 512, the most that the host takes at once when edits wait for it. Commits of 64 show
//! what one fsync costs when fewer share it.

use std::path::Path;

use gemba_host::site_dir::SiteDir;

use super::Sizes;
use super::plant_log::{PlantLog, accepted};
use crate::report::{Row, Runs, timed};

const GOAL: f64 = 20_000.0;
/// Of SQLite's rate.
const SHARE: f64 = 0.5;
const RIVAL: &str = "SQLite, WAL, synchronous=FULL, nothing verified";

/// Measures both sizes of commits.
pub fn measure(sizes: &Sizes, work: &Path) -> anyhow::Result<Vec<Row>> {
    Ok(vec![row("R1", 512, Some(GOAL), sizes, work)?, row("R1-64", 64, None, sizes, work)?])
}

fn row(id: &str, batch: u64, goal: Option<f64>, sizes: &Sizes, work: &Path) -> anyhow::Result<Row> {
    let (mut ours, mut theirs) = (Runs::default(), Runs::default());
    for _ in 0..sizes.runs {
        let folder = tempfile::tempdir_in(work)?;
        let (site, log) = PlantLog::found(&folder.path().join("site"))?;
        let starts = (0..sizes.appended).step_by(batch as usize);
        let batches: Vec<Vec<Vec<u8>>> =
            starts.map(|first| log.entries(first..(first + batch).min(sizes.appended))).collect();
        theirs.push(sizes.appended as f64 / sqlite_seconds(&folder.path().join("rival.sqlite"), &batches)?);
        ours.push(sizes.appended as f64 / seconds(site, batches)?);
    }
    let pass = goal.map(|goal| ours.median() >= goal && ours.median() >= SHARE * theirs.median());
    Ok(Row {
        id: id.to_owned(),
        what: format!("{} entries verified, folded and fsynced, {batch} a commit", sizes.appended),
        value: ours.median(),
        unit: "entries/s",
        spread: ours.spread(),
        goal,
        pass,
        peers: [(RIVAL.to_owned(), theirs.median())].into(),
    })
}

fn seconds(mut site: SiteDir, batches: Vec<Vec<Vec<u8>>>) -> anyhow::Result<f64> {
    let (took, outcome) = timed(|| batches.into_iter().try_for_each(|batch| accepted(site.append(batch)?)));
    outcome?;
    Ok(took.as_secs_f64())
}

fn sqlite_seconds(path: &Path, batches: &[Vec<Vec<u8>>]) -> anyhow::Result<f64> {
    let mut database = rusqlite::Connection::open(path)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch("CREATE TABLE entries (number INTEGER PRIMARY KEY, bytes BLOB NOT NULL)")?;
    let (took, outcome) = timed(|| -> rusqlite::Result<()> {
        let mut number = 0i64;
        for batch in batches {
            let transaction = database.transaction()?;
            {
                let mut insert = transaction.prepare_cached("INSERT INTO entries VALUES (?1, ?2)")?;
                for bytes in batch {
                    insert.execute((number, bytes))?;
                    number += 1;
                }
            }
            transaction.commit()?;
        }
        Ok(())
    });
    outcome?;
    Ok(took.as_secs_f64())
}
