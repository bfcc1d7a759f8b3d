//! R1: signed entries verified, folded and fsynced, in commits of many. The rival is SQLite as it is when it must lose
//! nothing, storing the same bytes in the same commits and verifying none. Both have taken some entries before, as a host has
//! that is not just starting.
//!
//! How many share a commit decides what is compared: the disk's sync with itself where they are few, and Ed25519 with
//! nothing where they are many, since SQLite stores an entry in a tenth of the time that verifying one takes all cores. R1
//! is the host under load, which takes as many as [`limits::COMMIT_ENTRIES`] a commit; R1-8 and R1-16 are the commits that
//! it makes at the goal's own rate and above. R1-64 and R1-512 have no goal: they show what larger commits would gain.

use std::path::Path;

use gemba_host::limits;
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
        row("R1", limits::COMMIT_ENTRIES, Some(GOAL), sizes, work)?,
        row("R1-8", 8, Some(GOAL), sizes, work)?,
        row("R1-16", 16, Some(GOAL), sizes, work)?,
        row("R1-64", 64, None, sizes, work)?,
        row("R1-512", 512, None, sizes, work)?,
    ])
}

fn row(id: &str, batch: usize, goal: Option<f64>, sizes: &Sizes, work: &Path) -> anyhow::Result<Row> {
    let (mut ours, mut theirs) = (Runs::default(), Runs::default());
    for _ in 0..sizes.runs {
        let folder = tempfile::tempdir_in(work)?;
        let (site, log) = PlantLog::found(&folder.path().join("site"))?;
        let all = sizes.appended + WARM_UP;
        let entries = log.entries(0..all);
        theirs.push(sizes.appended as f64 / sqlite_seconds(&folder.path().join("rival.sqlite"), &entries, batch)?);
        ours.push(sizes.appended as f64 / seconds(site, entries, batch)?);
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

fn seconds(mut site: SiteDir, mut entries: Vec<Vec<u8>>, batch: usize) -> anyhow::Result<f64> {
    let timed_ones = entries.split_off(WARM_UP as usize);
    let mut take = |entries| -> anyhow::Result<()> {
        let taken = site.append_in_commits(entries, batch, None);
        taken.commits.into_iter().try_for_each(accepted)?;
        taken.failed.map_or(Ok(()), |why| Err(why.into()))
    };
    take(entries)?;
    let (took, outcome) = timed(|| take(timed_ones));
    outcome?;
    Ok(took.as_secs_f64())
}

fn sqlite_seconds(path: &Path, entries: &[Vec<u8>], batch: usize) -> anyhow::Result<f64> {
    let mut database = rusqlite::Connection::open(path)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch("CREATE TABLE entries (number INTEGER PRIMARY KEY, bytes BLOB NOT NULL)")?;
    let mut number = 0i64;
    let mut store = |entries: &[Vec<u8>]| -> rusqlite::Result<()> {
        for batch in entries.chunks(batch) {
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
    let (before, timed_ones) = entries.split_at(WARM_UP as usize);
    store(before)?;
    let (took, outcome) = timed(|| store(timed_ones));
    outcome?;
    Ok(took.as_secs_f64())
}
