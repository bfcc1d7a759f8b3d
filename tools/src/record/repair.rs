//! `gembactl record repair`: replaces what is damaged in a site's record by a mirror's copies.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use gemba_host::disk::FileDisk;
use gemba_host::log_files::LogFiles;
use gemba_host::problem::SiteDirError;
use gemba_host::site_dir::SiteDir;
use gemba_record::tile_tree::TileTree;

use crate::progress::Progress;

/// Which site, and from where.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl record repair plant/ --from http://mirror:7451/HASH/
  gembactl record repair plant/ --from plant/          from its own published files
  gembactl record repair plant/ --from backup/log

Nothing is taken that is not under a root which the site's own host signed; when copies are missing or wrong nothing is
changed.")]
pub(crate) struct RepairArgs {
    /// The site's directory. Its host must not be running.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// A mirror's copy: a URL, or a directory.
    #[arg(long, value_name = "TARGET")]
    from: LogFiles,
}

/// Runs the command.
pub(crate) fn run(args: &RepairArgs) -> Result<()> {
    let mut progress = Progress::begin();
    let opened = match SiteDir::open_watched(&args.dir, &mut |done, total| progress.show("entries", done, total)) {
        Err(SiteDirError::Unreadable(problem)) => Err(problem),
        other => Ok(other?),
    };
    match &opened {
        Ok(site) if site.problems().is_empty() => {
            println!("{}: nothing is damaged", args.dir.display());
            return Ok(());
        }
        Ok(site) => site.problems().iter().for_each(|problem| println!("{problem}")),
        Err(problem) => println!("{problem}"),
    }
    let checkpoint = args.from.checkpoint().context("the mirror is of no use")?;
    let stated = checkpoint.checkpoint();
    let mut tree = TileTree::new(stated.size, stated.root)?;
    let (mut fetched, mut failed) = (0, None);
    let fetch = |wanted: std::ops::Range<u64>| {
        let mut copies = Vec::new();
        let mut at = wanted.start;
        while at < wanted.end {
            let (first, entries) = args.from.entries(&mut tree, at).map_err(|error| failed = Some(error)).ok()?;
            let end = wanted.end.min(first + entries.len() as u64);
            copies.extend(entries.into_iter().skip((at - first) as usize).take((end - at) as usize));
            at = end;
        }
        fetched += copies.len() as u64;
        progress.show("copies", fetched, stated.size);
        Some(copies)
    };
    let note = checkpoint.to_string();
    let repaired = match opened {
        Ok(mut site) => site.repair(Some(&note), fetch).map(|_| site),
        Err(_) => SiteDir::repair_on(Arc::new(FileDisk::new(&args.dir)), Some(&note), fetch),
    };
    match (repaired, failed) {
        (Ok(site), _) => {
            println!("{}: {fetched} entries were replaced; all {} hold", args.dir.display(), site.site().entries());
            Ok(())
        }
        (Err(error), Some(why)) => bail!("{error} ({why})"),
        (Err(error), None) => Err(error.into()),
    }
}
