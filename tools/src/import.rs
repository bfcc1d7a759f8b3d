//! `gembactl import`: glTF into a site. The file is checked first; what is written is the file as a blob, one entry that
//! names it, and entries with its things.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use gemba_host::site_dir::SiteDir;
use gemba_record::body::Body;
use gemba_tools::pack;
use gemba_twin::model::{self, Outline};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// What to import and where to.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl import plant.glb --site plant/
  gembactl import hall.gltf robot.glb --site plant/ --dry-run")]
pub(crate) struct ImportArgs {
    /// The .glb and .gltf files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The site's directory; founded where there is none.
    #[arg(long, value_name = "DIR")]
    site: PathBuf,
    /// Check and report; write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// What became of one file.
#[derive(Debug, Serialize)]
struct Imported {
    file: String,
    bytes: usize,
    things: usize,
    bindings: usize,
    problems: Vec<String>,
}

/// Runs the command. All files are checked before the first is written.
pub(crate) fn run(args: &ImportArgs) -> Result<()> {
    let progress = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
    // What takes less than a second needs no spinner.
    progress.enable_steady_tick(Duration::from_secs(1));
    let mut checked = Vec::new();
    for file in &args.files {
        progress.set_message(format!("checking {}", file.display()));
        let bytes = pack::read(file)?;
        let outline = model::outline(&bytes).with_context(|| format!("{} cannot be imported", file.display()))?;
        checked.push((file, bytes, outline));
    }
    if !args.dry_run {
        let name = args.site.file_name().map_or("site".into(), |name| name.to_string_lossy());
        let mut site = SiteDir::open_or_create(&args.site, &name)?;
        for (file, bytes, outline) in &checked {
            progress.set_message(format!("importing {}", file.display()));
            import(&mut site, file, bytes, outline)?;
        }
    }
    progress.finish_and_clear();
    let reports: Vec<Imported> = checked.iter().map(|(file, bytes, outline)| report(file, bytes, outline)).collect();
    if args.json {
        println!("{}", serde_json::to_string(&reports)?);
    } else {
        reports.iter().for_each(|report| tell(report, args.dry_run));
    }
    Ok(())
}

fn import(site: &mut SiteDir, file: &Path, bytes: &[u8], outline: &Outline) -> Result<()> {
    let blob = site.put_blob(bytes)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let things = outline.things.iter().map(|node| node.thing.clone()).collect();
    let mut bodies = vec![Body::ImportModel { blob, bytes: bytes.len() as u64, name }];
    bodies.extend(Body::add_things(blob, things));
    site.submit_all(bodies)?;
    Ok(())
}

fn report(file: &Path, bytes: &[u8], outline: &Outline) -> Imported {
    Imported {
        file: file.display().to_string(),
        bytes: bytes.len(),
        things: outline.things.len(),
        bindings: outline.things.iter().map(|node| node.thing.bindings.len()).sum(),
        problems: outline.problems.clone(),
    }
}

fn tell(report: &Imported, dry_run: bool) {
    let Imported { file, things, bindings, problems, bytes } = report;
    let megabytes = *bytes as f64 / 1e6;
    let verb = if dry_run { "could be imported" } else { "imported" };
    println!("{file}: {verb}: {things} things, {bindings} bindings, {megabytes:.1} MB");
    problems.iter().for_each(|problem| println!("  note: {problem}"));
}
