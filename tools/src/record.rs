//! `gembactl record`: what one does with a site's record from outside: look into it, verify it, prove something with
//! it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use gemba_host::site_dir::SiteDir;

mod show;
mod verify;
mod words;

/// What to do with the record.
#[derive(Debug, Subcommand)]
pub(crate) enum RecordCommand {
    /// Verify everything: signatures, roles, state digests, the signed root, tiles, snapshots, blobs.
    Verify(verify::VerifyArgs),
    /// List the entries in words.
    Show(show::ShowArgs),
}

/// Runs the command.
pub(crate) fn run(command: &RecordCommand) -> Result<()> {
    match command {
        RecordCommand::Verify(args) => verify::run(args),
        RecordCommand::Show(args) => show::run(args),
    }
}

/// Opening replays and verifies everything.
fn open(dir: &Path) -> Result<SiteDir> {
    Ok(SiteDir::open(dir)?)
}

/// The whole of a file that has at most `most` bytes.
fn read_file(path: &Path, most: usize) -> Result<Vec<u8>> {
    use std::io::Read;
    let failed = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).with_context(failed)?;
    file.take(most as u64 + 1).read_to_end(&mut bytes).with_context(failed)?;
    if bytes.len() > most {
        bail!("{} has more than {most} bytes, which is more than what it should be may have", path.display());
    }
    Ok(bytes)
}
