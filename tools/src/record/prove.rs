//! `gembactl record prove` and `verify-proof`: that an entry is in a site's record, in one file that needs no network to
//! be verified (C2SP `tlog-proof`).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use gemba_host::log_files::LogFiles;
use gemba_host::site_dir::SiteView;
use gemba_record::checkpoint::{SignedCheckpoint, origin};
use gemba_record::entry::UnverifiedEntry;
use gemba_record::limits::{ENTRY_BYTES, PROOF_FILE_BYTES};
use gemba_record::merkle::{Frontier, leaf_hash};
use gemba_record::note::{SignatureKind, VerifierKey};
use gemba_record::proof_file::ProofFile;
use gemba_record::quorum::{Members, Policy};
use gemba_record::tile_tree::TileTree;
use serde::Serialize;

use super::words::hex;
use crate::progress::Progress;

/// Which entry of which log.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl record prove plant/ 17 --out entry17.tlog-proof
  gembactl record prove http://mirror:7451/HASH/ 17 --out entry17.tlog-proof
  gembactl record prove plant/ 5f0c41aa2b99d31c8a6670d1f5be0e42 --out noise.tlog-proof")]
pub(crate) struct ProveArgs {
    /// The published log: a site's directory, a mirror's copy, or a URL.
    #[arg(value_name = "TARGET")]
    log: LogFiles,
    /// Index of the entry, or its id (32 hexadecimal digits).
    #[arg(value_name = "ENTRY")]
    entry: String,
    /// Where to write the proof; standard output if not given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Which proof, and whom it has to be by.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl record verify-proof entry17.tlog-proof --log 'gemba/site/ID+KEYID+KEY'
  gembactl record verify-proof entry17.tlog-proof --log ... --witness 'w1+ID+KEY' --mirror 'm1+ID+KEY'
  gembactl record verify-proof entry17.tlog-proof --site plant/ --json

Exit codes: 0 it is proved; 1 it is not; 2 bad usage.")]
pub(crate) struct VerifyProofArgs {
    /// The proof.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The entry's bytes, where they are not in the proof.
    #[arg(long, value_name = "FILE")]
    entry: Option<PathBuf>,
    /// Key of the log, NAME+ID+KEY.
    #[arg(long, value_name = "VKEY", required_unless_present = "site")]
    log: Option<VerifierKey>,
    /// A witness that has to have cosigned; may be given several times.
    #[arg(long, value_name = "VKEY")]
    witness: Vec<VerifierKey>,
    /// A mirror that has to have cosigned; may be given several times.
    #[arg(long, value_name = "VKEY")]
    mirror: Vec<VerifierKey>,
    /// Take key and policy from this site's directory instead.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["log", "witness", "mirror"])]
    site: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Proved {
    index: u64,
    id: Option<String>,
    author: Option<String>,
    log: String,
    size: u64,
    root: String,
    is_final: bool,
    witnesses: Vec<String>,
    mirrors: Vec<String>,
}

/// Writes a proof.
pub(crate) fn prove(args: &ProveArgs) -> Result<()> {
    let checkpoint = newest(&args.log)?;
    let stated = checkpoint.checkpoint().clone();
    let mut tree = TileTree::new(stated.size, stated.root)?;
    let index = match args.entry.parse::<u64>() {
        Ok(index) if args.entry.len() < 32 => index,
        _ => find(&args.log, &mut tree, &args.entry)?,
    };
    if index >= stated.size {
        bail!("entry {index} is not published: the newest checkpoint has {} entries", stated.size);
    }
    let (first, entries) = args.log.entries(&mut tree, index)?;
    let entry = entries[(index - first) as usize].clone();
    let proof = args.log.prove(&mut tree, |tree| tree.inclusion(index))?;
    let file = ProofFile { extra: Some(entry), index, proof, checkpoint }.to_string();
    match &args.out {
        Some(out) => {
            super::write_new(out, file.as_bytes())?;
            println!("{}: entry {index} of {} entries of {}", out.display(), stated.size, stated.origin);
        }
        None => print!("{file}"),
    }
    Ok(())
}

/// The newest checkpoint; in a site's directory the newest final one, if there is one.
fn newest(log: &LogFiles) -> Result<SignedCheckpoint> {
    if let LogFiles::Folder(folder) = log
        && let Some(note) = folder.parent().and_then(|dir| std::fs::read_to_string(dir.join("final")).ok())
        && let Ok(signed) = SignedCheckpoint::read(&note)
    {
        return Ok(signed);
    }
    log.checkpoint().context("nothing is published there; gembad publishes a site while it runs")
}

/// The index of the entry with this id.
fn find(log: &LogFiles, tree: &mut TileTree, id: &str) -> Result<u64> {
    if id.len() != 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        bail!("'{id}' is neither an entry's index nor its id of 32 hexadecimal digits");
    }
    let (mut at, mut progress) = (0, Progress::begin());
    while at < tree.size() {
        progress.show("entries", at, tree.size());
        let (first, entries) = log.entries(tree, at)?;
        for (index, bytes) in (first..).zip(&entries) {
            if UnverifiedEntry::read(bytes.clone()).is_ok_and(|entry| entry.entry().id.to_string() == id.to_lowercase())
            {
                return Ok(index);
            }
        }
        at = first + entries.len() as u64;
    }
    bail!("no published entry has the id {id}")
}

/// Verifies a proof.
pub(crate) fn verify(args: &VerifyProofArgs) -> Result<()> {
    let file = ProofFile::parse(&super::read_file(&args.file, PROOF_FILE_BYTES)?)?;
    let entry = match (&args.entry, &file.extra) {
        (Some(path), _) => super::read_file(path, ENTRY_BYTES)?,
        (None, Some(extra)) => extra.clone(),
        (None, None) => bail!("{} holds no entry; give it with --entry", args.file.display()),
    };
    let policy = policy(args, &file.checkpoint)?;
    let failed = || format!("{} proves nothing", args.file.display());
    file.verify(&entry, policy.log()).with_context(failed)?;
    let wants_more = policy.witnesses().needed + policy.mirrors().needed > 0;
    let standing = match (wants_more, args.site.is_some()) {
        // Of a site it is said how final the entry is; what was asked for by name has to be there.
        (true, false) => file.verify_final(&entry, &policy).with_context(failed)?,
        _ => policy.judge(&file.checkpoint).with_context(failed)?,
    };
    let read = UnverifiedEntry::read(entry).ok();
    let stated = file.checkpoint.checkpoint();
    let names = |who: &[(VerifierKey, u64)]| who.iter().map(|(key, _)| key.name().to_owned()).collect::<Vec<_>>();
    let proved = Proved {
        index: file.index,
        id: read.as_ref().map(|entry| entry.entry().id.to_string()),
        author: read.as_ref().map(|entry| entry.entry().author.to_string()),
        log: policy.log().to_string(),
        size: stated.size,
        root: hex(&stated.root),
        is_final: wants_more && standing.covers(file.index),
        witnesses: names(&standing.witnesses),
        mirrors: names(&standing.mirrors),
    };
    if args.json {
        println!("{}", serde_json::to_string(&proved)?);
        return Ok(());
    }
    println!("proved: the entry is number {} of {} entries of {}", proved.index, proved.size, stated.origin);
    if let (Some(id), Some(author)) = (&proved.id, &proved.author) {
        println!("id      {id}\nauthor  {author}");
    }
    let is = if proved.is_final { "final" } else { "sequenced" };
    println!("{is}: cosigned by {} witnesses and {} mirrors", proved.witnesses.len(), proved.mirrors.len());
    Ok(())
}

fn policy(args: &VerifyProofArgs, checkpoint: &SignedCheckpoint) -> Result<Policy> {
    if let Some(dir) = &args.site {
        return policy_of(dir, checkpoint);
    }
    let log = args.log.clone().context("the log's key is missing; give it with --log")?;
    let all = |keys: &[VerifierKey]| {
        let different: std::collections::BTreeSet<_> = keys.iter().map(VerifierKey::key).collect();
        Members { keys: keys.to_vec(), needed: different.len() }
    };
    Ok(Policy::new(log, all(&args.witness), all(&args.mirror))?)
}

/// The policy of the site in this directory, for the key of its host that signed the checkpoint. One that was replaced
/// since vouches for what is in the record, and for nothing else.
fn policy_of(dir: &Path, checkpoint: &SignedCheckpoint) -> Result<Policy> {
    let view = super::look(dir)?;
    let site = view.site();
    let log = |key| Ok::<_, anyhow::Error>(VerifierKey::new(&origin(site.id()), SignatureKind::Log, key)?);
    let mut signer = site.host_key().context("the key of the site's host was revoked, and no other has come")?;
    for key in site.host_keys().filter(|key| Some(*key) != site.host_key()) {
        if checkpoint.verify(&log(key)?).is_ok() && is_of(checkpoint, &view)? {
            signer = key;
        }
    }
    match site.policy() {
        Some(policy) => Ok(policy.quorum(site.id(), signer)?),
        None => Ok(Policy::new(log(signer)?, Members::default(), Members::default())?),
    }
}

/// Whether the record begins with what the checkpoint states.
fn is_of(checkpoint: &SignedCheckpoint, view: &SiteView) -> Result<bool> {
    let (stated, mut tree) = (checkpoint.checkpoint(), Frontier::default());
    while tree.size() < stated.size {
        let entries = view.read_entries(tree.size())?;
        if entries.is_empty() {
            return Ok(false);
        }
        let wanted = usize::try_from(stated.size - tree.size()).unwrap_or(usize::MAX);
        entries.iter().take(wanted).for_each(|entry| tree.push(leaf_hash(entry)));
    }
    Ok(tree.root() == stated.root)
}
