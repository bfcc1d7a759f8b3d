//! `gembactl plant generate`: writes the drawn plant to a file, whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use gemba_tools::plant::{self, MOST_LINES};

/// What to draw and where to write it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl plant generate --lines 2 --out plant.glb
  gembactl plant generate --lines 200 --out large.glb --seed 7 --json")]
pub(crate) struct GenerateArgs {
    /// Production lines; eight fill a hall.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=MOST_LINES as i64))]
    lines: u16,
    /// File to write.
    #[arg(long, value_name = "FILE.glb")]
    out: PathBuf,
    /// Decides what stands in the racks.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &GenerateArgs) -> Result<()> {
    let (bytes, size) = plant::generate(usize::from(args.lines), args.seed);
    write_whole(&args.out, &bytes)?;
    if args.json {
        println!("{}", serde_json::to_string(&size)?);
    } else {
        let megabytes = size.bytes as f64 / 1e6;
        println!(
            "{}: {} things, {} meshes, {} triangles, {megabytes:.1} MB",
            args.out.display(),
            size.nodes,
            size.meshes,
            size.triangles,
        );
    }
    Ok(())
}

/// Writes beside the file first and renames, so that no reader ever sees half a plant.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().with_context(|| format!("{} is not a file name", path.display()))?;
    let mut partial = name.to_owned();
    partial.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(partial);
    let written = fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}
