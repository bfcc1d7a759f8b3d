//! `gembactl record fork`: whether two checkpoints prove that a log told two stories.

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;
use gemba_host::log_files::LogFiles;
use gemba_record::checkpoint::SignedCheckpoint;
use gemba_record::equivocation::{Verdict, compare};
use gemba_record::limits::CHECKPOINT_BYTES;
use gemba_record::note::VerifierKey;
use gemba_record::tile_tree::TileTree;

/// Which two.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl record fork kept-monday.txt http://mirror:7451/HASH/ --log 'gemba/site/ID+KEYID+KEY'
  gembactl record fork w1/fork-HASH-17-held w1/fork-HASH-17-offered --log 'gemba/site/ID+KEYID+KEY'

Two files of checkpoints suffice where their sizes are the same. Else the larger one has to be a directory or URL with
its tiles, or --tiles says where those are.
Exit codes: 0 they are consistent; 1 they prove a fork, or nothing, and standard output says which; 2 bad usage.")]
pub(crate) struct ForkArgs {
    /// A checkpoint's file, a directory or a URL of a published log.
    #[arg(value_name = "A")]
    a: String,
    /// Another one.
    #[arg(value_name = "B")]
    b: String,
    /// Key of the log, NAME+ID+KEY.
    #[arg(long, value_name = "VKEY")]
    log: VerifierKey,
    /// Where the tiles of the larger one are.
    #[arg(long, value_name = "TARGET")]
    tiles: Option<LogFiles>,
    /// Print the verdict as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &ForkArgs) -> Result<()> {
    let (a, a_files) = read(&args.a)?;
    let (b, b_files) = read(&args.b)?;
    let (smaller, larger, files) = match a.checkpoint().size < b.checkpoint().size {
        true => (&a, &b, b_files),
        false => (&b, &a, a_files),
    };
    let old = smaller.checkpoint().size;
    let stated = larger.checkpoint();
    let connecting = match args.tiles.clone().or(files) {
        Some(files) if old < stated.size && old > 0 => {
            let mut tree = TileTree::new(stated.size, stated.root)?;
            Some(files.prove(&mut tree, |tree| tree.prefix(old)).context("the tiles of the larger one are of no use")?)
        }
        _ => None,
    };
    let verdict = compare(&a, &b, &args.log, connecting.as_deref());
    if args.json {
        let word = match &verdict {
            Verdict::Consistent => "consistent",
            Verdict::Equivocation(_) => "equivocation",
            Verdict::Undecided(_) => "undecided",
        };
        let sizes = [&a, &b].map(|signed| signed.checkpoint().size);
        let said = serde_json::json!({ "verdict": word, "why": verdict.to_string(), "sizes": sizes, "log": args.log.to_string() });
        println!("{said}");
    } else {
        println!("{verdict}");
    }
    match verdict {
        Verdict::Consistent => Ok(()),
        Verdict::Equivocation(_) => {
            bail!("{} signed two histories: keep both files, they are the proof", args.log.name())
        }
        Verdict::Undecided(_) => bail!("{} and {} prove nothing", args.a, args.b),
    }
}

/// The checkpoint, and the files it belongs to where it comes with them.
fn read(target: &str) -> Result<(SignedCheckpoint, Option<LogFiles>)> {
    if Path::new(target).is_file() {
        let note = String::from_utf8(super::read_file(Path::new(target), CHECKPOINT_BYTES)?);
        let note = note.with_context(|| format!("{target} is no checkpoint"))?;
        return Ok((SignedCheckpoint::read(&note).with_context(|| target.to_owned())?, None));
    }
    let files: LogFiles = target.parse()?;
    Ok((files.checkpoint()?, Some(files)))
}
