//! `gembactl record`: looks into a site's record without changing it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use gemba_host::site_dir::SiteDir;
use gemba_record::body::Body;
use gemba_record::entry::SignedEntry;
use serde::Serialize;

/// What to do with the record.
#[derive(Debug, Subcommand)]
pub(crate) enum RecordCommand {
    /// Check every entry: signatures, roles, order; print what the record adds up to.
    Verify(SiteArgs),
    /// List the entries in words.
    Show(SiteArgs),
}

/// Which site, and how to answer.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl record verify plant/
  gembactl record show plant/ --json")]
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

#[derive(Debug, Serialize)]
struct Shown {
    index: u64,
    author: String,
    what: String,
}

/// Runs the command.
pub(crate) fn run(command: &RecordCommand) -> Result<()> {
    match command {
        RecordCommand::Verify(args) => verify(args),
        RecordCommand::Show(args) => show(args),
    }
}

/// Opening replays and verifies everything.
fn open(dir: &Path) -> Result<SiteDir> {
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

fn show(args: &SiteArgs) -> Result<()> {
    let dir = open(&args.dir)?;
    let mut shown = Vec::new();
    for (index, bytes) in (0..).zip(dir.read_entries(0)?) {
        let entry = SignedEntry::decode(bytes).with_context(|| format!("entry {index}"))?;
        let author = dir.site().peer(&entry.entry().author).map_or_else(
            || entry.entry().author.short(),
            |peer| format!("{} ({})", peer.name, entry.entry().author.short()),
        );
        shown.push(Shown { index, author, what: words(&entry.entry().body) });
    }
    if args.json {
        println!("{}", serde_json::to_string(&shown)?);
    } else {
        shown.iter().for_each(|s| println!("{:>6}  {}: {}", s.index, s.author, s.what));
    }
    Ok(())
}

fn words(body: &Body) -> String {
    match body {
        Body::Found { name, host } => format!("founds the site {name} with the host {}", host.short()),
        Body::Admit { name, role, kind, .. } => format!("admits {name} as {role:?} ({kind:?})").to_lowercase(),
        Body::ImportModel { name, bytes, blob } => {
            format!("imports {name}, {bytes} bytes, BLAKE3 {}", &hex(blob)[..16])
        }
        Body::AddThings { things, .. } => format!("adds {} things", things.len()),
        Body::DeclareTags { tags } => format!("declares {} tags", tags.len()),
        Body::AddNote { text, thing } => format!("notes at {thing}: {text}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
