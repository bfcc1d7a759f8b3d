//! R1: signed entries verified, folded and fsynced, in commits of many. The rival is SQLite as it is when it must lose
//! nothing, storing the same bytes in the same commits and verifying none. Both have taken some entries before, as a host has
//! that is not just starting.
//!
//! How many share a commit decides who is compared with whom: the disk's fsync with itself where they are few, and Ed25519
//! with nothing where they are many, since verifying an entry takes a core 11 µs and SQLite stores one in 1.4 µs. The goal is
//! about the commits that a host makes at the goal's own rate: of 20,000 entries a second 8 arrive in the 0.4 ms that one of
//! them takes. Commits of 64 and of 512, the most that the host takes at once, show how far it goes on from there.

use std::path::Path;

use gemba_host::site_dir::SiteDir;

use super::Sizes;
use super::plant_log::{PlantLog, accepted};
use crate::report::{Row, Runs, timed};

const GOAL: f64 = 20_000.0;
/// Of SQLite's rate.
const SHARE: f64 = 0.5;
const RIVAL: &str = "SQLite, WAL, synchronous=FULL, nothing verified";

/// Entries that both take before time is taken: the host makes tables for keys that it has met so often.
const WARM_UP: u64 = 2_048;

/// Measures all sizes of commits.
pub fn measure(sizes: &Sizes, work: &Path) -> anyhow::Result<Vec<Row>> {
    Ok(vec![
        row("R1", 8, Some(GOAL), sizes, work)?,
        row("R1-16", 16, Some(GOAL), sizes, work)?,
        row("R1-64", 64, Some(GOAL), sizes, work)?,
        row("R1-512", 512, Some(GOAL), sizes, work)?,
    ])
}

fn row(id: &str, batch: u64, goal: Option<f64>, sizes: &Sizes, work: &Path) -> anyhow::Result<Row> {
    let (mut ours, mut theirs) = (Runs::default(), Runs::default());
    for _ in 0..sizes.runs {
        let folder = tempfile::tempdir_in(work)?;
        let (site, log) = PlantLog::found(&folder.path().join("site"))?;
        let all = sizes.appended + WARM_UP;
        let batches: Vec<Vec<Vec<u8>>> =
            (0..all).step_by(batch as usize).map(|first| log.entries(first..(first + batch).min(all))).collect();
        let warm_up = (WARM_UP / batch) as usize;
        theirs.push(sizes.appended as f64 / sqlite_seconds(&folder.path().join("rival.sqlite"), &batches, warm_up)?);
        ours.push(sizes.appended as f64 / seconds(site, batches, warm_up)?);
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

fn seconds(mut site: SiteDir, mut batches: Vec<Vec<Vec<u8>>>, warm_up: usize) -> anyhow::Result<f64> {
    batches.drain(..warm_up).try_for_each(|batch| accepted(site.append(batch)?))?;
    let (took, outcome) = timed(|| batches.into_iter().try_for_each(|batch| accepted(site.append(batch)?)));
    outcome?;
    Ok(took.as_secs_f64())
}

fn sqlite_seconds(path: &Path, batches: &[Vec<Vec<u8>>], warm_up: usize) -> anyhow::Result<f64> {
    let mut database = rusqlite::Connection::open(path)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch("CREATE TABLE entries (number INTEGER PRIMARY KEY, bytes BLOB NOT NULL)")?;
    let mut number = 0i64;
    let mut store = |batches: &[Vec<Vec<u8>>]| -> rusqlite::Result<()> {
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
    };
    let (before, timed_ones) = batches.split_at(warm_up);
    store(before)?;
    let (took, outcome) = timed(|| store(timed_ones));
    outcome?;
    Ok(took.as_secs_f64())
}
