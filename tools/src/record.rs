//! `gembactl record`: looks into a site's record without changing it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use gemba_host::site_dir::SiteDir;
use serde::Serialize;

use show::ShowArgs;
use words::hex;

mod show;
mod words;

/// What to do with the record.
#[derive(Debug, Subcommand)]
pub(crate) enum RecordCommand {
    /// Check every entry: signatures, roles, order; print what the record adds up to.
    Verify(SiteArgs),
    /// List the entries in words.
    Show(ShowArgs),
}

/// Which site, and how to answer.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl record verify plant/
  gembactl record verify plant/ --json")]
pub(crate) struct SiteArgs {
    /// The site's directory. Its host must not be running.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Verified {
    site: String,
    entries: u64,
    things: usize,
    tags: usize,
    peers: usize,
    digest: String,
    checkpoint: String,
}

/// Runs the command.
pub(crate) fn run(command: &RecordCommand) -> Result<()> {
    match command {
        RecordCommand::Verify(args) => verify(args),
        RecordCommand::Show(args) => show::run(args),
    }
}

/// Opening replays and verifies everything.
pub(crate) fn open(dir: &Path) -> Result<SiteDir> {
    Ok(SiteDir::open(dir)?)
}

fn verify(args: &SiteArgs) -> Result<()> {
    let dir = open(&args.dir)?;
    let site = dir.site();
    let verified = Verified {
        site: site.name().to_owned(),
        entries: site.entries(),
        things: site.things().len(),
        tags: site.tags().len(),
        peers: site.peers().count(),
        digest: hex(&site.digest()),
        checkpoint: dir.checkpoint(),
    };
    if args.json {
        println!("{}", serde_json::to_string(&verified)?);
        return Ok(());
    }
    let Verified { site, entries, things, tags, peers, digest, checkpoint } = &verified;
    println!("{site}: all {entries} entries hold: {things} things, {tags} tags, {peers} peers");
    println!("state digest {digest}\n\n{checkpoint}");
    Ok(())
}
