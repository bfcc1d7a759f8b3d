//! `gembactl record repair`: replaces what is damaged in a site's record by a mirror's copies.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use gemba_host::disk::FileDisk;
use gemba_host::log_files::LogFiles;
use gemba_host::mending::Copies;
use gemba_host::problem::SiteDirError;
use gemba_host::site_dir::SiteDir;

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
    let mut copies = Copies::of(&args.from).context("the mirror is of no use")?;
    let (note, size) = (copies.note.clone(), copies.size());
    let fetch = |wanted: std::ops::Range<u64>| {
        let taken = copies.take(wanted);
        progress.show("copies", copies.taken, size);
        taken
    };
    let repaired = match opened {
        Ok(mut site) => site.repair(Some(&note), fetch).map(|_| site),
        Err(_) => SiteDir::repair_on(Arc::new(FileDisk::new(&args.dir)), Some(&note), fetch),
    };
    let (fetched, failed) = (copies.taken, copies.failed);
    match (repaired, failed) {
        (Ok(site), _) => {
            println!("{}: {fetched} entries were replaced; all {} hold", args.dir.display(), site.site().entries());
            Ok(())
        }
        (Err(error), Some(why)) => bail!("{error} ({why})"),
        (Err(error), None) => Err(error.into()),
    }
}
