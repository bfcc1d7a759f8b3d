//! `gembactl record verify`: whether a site is what its host and authors signed, and where it is not.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use gemba_host::audit::{Audit, AuditConfig, Finding, Phase, audit};
use gemba_host::disk::FileDisk;
use gemba_record::checkpoint::{origin, verifier_key};
use gemba_record::note::VerifierKey;
use gemba_twin::peer::PeerKey;
use serde::Serialize;

use super::words::hex;
use crate::progress::Progress;

/// Which site, and what is known of it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl record verify plant/
  gembactl record verify plant/ --json
  gembactl record verify copy/ --host KEY             KEY as in the site's address gemba://HOST:PORT/SITE#KEY
  gembactl record verify copy/ --checkpoint kept.txt  a checkpoint that was kept elsewhere

Exit codes: 0 all holds; 1 something is wrong, and standard output says what; 2 bad usage.")]
pub(crate) struct VerifyArgs {
    /// The site's directory. Its host may be running; nothing is written.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Key of the host, as the site's address has it after the '#'.
    #[arg(long, value_name = "KEY")]
    host: Option<PeerKey>,
    /// A checkpoint of this site that was kept elsewhere: shows whether the record still begins so.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Verified {
    holds: bool,
    site: Option<String>,
    id: Option<String>,
    /// Its key in force; none where that was revoked.
    host: Option<String>,
    /// What outside verifiers check checkpoints with (C2SP signed-note).
    verifier_key: Option<String>,
    entries: u64,
    entries_that_hold: u64,
    things: usize,
    tags: usize,
    peers: usize,
    /// State after the entries that hold.
    digest: Option<String>,
    state_digests: u64,
    signed_entries: u64,
    /// Entries from the first on that the policy calls final; none without a policy.
    final_entries: Option<u64>,
    witnesses: Vec<String>,
    mirrors: Vec<String>,
    checkpoint: Option<String>,
    tiles: u64,
    snapshots: u64,
    blobs: u64,
    findings: Vec<Found>,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Found {
    what: String,
    file: String,
    /// First and last.
    entries: Option<[u64; 2]>,
    /// First and last.
    bytes: Option<[u64; 2]>,
}

/// Runs the command.
pub(crate) fn run(args: &VerifyArgs) -> Result<()> {
    let config = AuditConfig { host: args.host, kept: kept(&args.checkpoint)? };
    let mut progress = Progress::begin();
    let watch = &mut |p: gemba_host::audit::Progress| {
        let what = match p.phase {
            Phase::Entries => "entries",
            Phase::Tiles => "tiles",
            Phase::Blobs => "blobs",
        };
        progress.show(what, p.done, p.total);
        ControlFlow::Continue(())
    };
    let audit = audit(Arc::new(FileDisk::new(&args.dir)), &config, watch)?.context("broken off")?;
    let seconds = progress.elapsed().as_secs_f64();
    drop(progress);
    let verified = verified(&audit, seconds);
    if args.json {
        println!("{}", serde_json::to_string(&verified)?);
    } else {
        tell(&verified, &audit);
    }
    match audit.findings.len() {
        0 => Ok(()),
        1 => bail!("{} does not hold: {}", args.dir.display(), audit.findings[0]),
        more => bail!("{} does not hold: {more} things are wrong with it", args.dir.display()),
    }
}

fn kept(files: &[PathBuf]) -> Result<Vec<(PathBuf, String)>> {
    let read = |file: &PathBuf| {
        let bytes = super::read_file(file, gemba_record::limits::CHECKPOINT_BYTES)?;
        let text = String::from_utf8(bytes).with_context(|| format!("{} is no checkpoint", file.display()))?;
        Ok((file.clone(), text))
    };
    files.iter().map(read).collect()
}

fn verified(audit: &Audit, seconds: f64) -> Verified {
    let (site, standing) = (audit.site.as_ref(), audit.standing.as_ref());
    let names = |who: &[(VerifierKey, u64)]| who.iter().map(|(key, _)| key.name().to_owned()).collect::<Vec<_>>();
    Verified {
        holds: audit.findings.is_empty(),
        site: site.map(|site| site.name().to_owned()),
        id: site.map(|site| site.id().to_string()),
        host: site.and_then(|site| site.host_key()).map(|key| key.to_string()),
        verifier_key: site.and_then(|site| Some(verifier_key(&origin(site.id()), &site.host_key()?))),
        entries: audit.entries,
        entries_that_hold: audit.held,
        things: site.map_or(0, |site| site.things().len()),
        tags: site.map_or(0, |site| site.tags().len()),
        peers: site.map_or(0, |site| site.peers().count()),
        digest: site.map(|site| hex(&site.digest())),
        state_digests: audit.state_digests,
        signed_entries: audit.checkpoint.as_ref().map_or(0, |signed| signed.checkpoint().size),
        final_entries: standing.map(|standing| if standing.is_final { standing.size } else { 0 }),
        witnesses: standing.map_or_else(Vec::new, |standing| names(&standing.witnesses)),
        mirrors: standing.map_or_else(Vec::new, |standing| names(&standing.mirrors)),
        checkpoint: audit.checkpoint.as_ref().map(ToString::to_string),
        tiles: audit.tiles,
        snapshots: audit.snapshots,
        blobs: audit.blobs,
        findings: audit.findings.iter().map(found).collect(),
        seconds,
    }
}

fn found(finding: &Finding) -> Found {
    let first_and_last = |range: std::ops::Range<u64>| [range.start, range.end.saturating_sub(1).max(range.start)];
    Found {
        what: finding.to_string(),
        file: finding.path().display().to_string(),
        entries: finding.entries().map(first_and_last),
        bytes: finding.bytes().map(first_and_last),
    }
}

fn tell(verified: &Verified, audit: &Audit) {
    let Verified { entries, entries_that_hold, things, tags, peers, .. } = verified;
    for finding in &audit.findings {
        println!("WRONG  {finding}");
    }
    let Some(site) = &verified.site else { return println!("no entry holds; nothing is known of the site") };
    if verified.holds {
        println!("{site}: all {entries} entries hold: {things} things, {tags} tags, {peers} peers");
    } else {
        println!("{site}: of {entries} entries the first {entries_that_hold} hold; what stands above is wrong");
    }
    if let Some(host) = &verified.host {
        println!("host          {host}");
    }
    println!(
        "signed        {} of {entries} entries, {} state digests recomputed",
        verified.signed_entries, verified.state_digests
    );
    println!(
        "compared      {} published files, {} snapshots, {} blobs",
        verified.tiles, verified.snapshots, verified.blobs
    );
    if let Some(digest) = &verified.digest {
        println!("state digest  {digest}");
    }
    if let Some(checkpoint) = &verified.checkpoint {
        println!("\n{checkpoint}");
    }
}
