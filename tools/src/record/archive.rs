//! `gembactl record export` and `import`: a whole site as one file, and back, on another machine.
//!
//! The file is a plain tar, which any tool lists and unpacks: record, checkpoints, blobs, snapshots and history. It is
//! not compressed, since models and segments are already; so it never unpacks to more than it is. Secret keys come
//! along only when asked for: with them another machine goes on hosting the site, without them it verifies and reads.
//!
//! An archive is believed in nothing: only plain files under names that a site has are taken out of it, into a directory
//! of their own beside the new one, and only when the site there holds in every respect is it given its name.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use gemba_host::audit::{AuditConfig, audit};
use gemba_host::disk::{Disk, FileDisk};
use gemba_host::site_dir::{HOST_KEY, is_earlier};

use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// Files of a site's directory that are in an archive.
const FILES: [&str; 3] = ["site.record", "checkpoint", "final"];

/// Folders of it, with all plain files in them.
const FOLDERS: [&str; 3] = ["blobs", "snapshots", "history"];

/// Whether a file of this name holds a secret key that whoever hosts the site has: not the one that is promised, which is
/// kept elsewhere.
fn is_key(name: &str) -> bool {
    name == HOST_KEY || name == "gateway.key" || is_earlier(name)
}

/// Deepest path: history/segments/NAME.
const DEPTH: usize = 4;

/// Most files of one archive: ten years of history in segments of five minutes, with their blobs.
const MOST_FILES: u64 = 3_000_000;

/// Which site, and where to.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl record export plant/ plant.tar
  gembactl record export plant/ plant.tar --with-keys     to go on hosting it elsewhere: keep the file secret")]
pub(crate) struct ExportArgs {
    /// The site's directory. Its host must not be running.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The archive; must not be there yet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// With the secret keys of host and gateway.
    #[arg(long)]
    with_keys: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Which archive, and where to.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl record import plant.tar plant/

The directory appears once everything in it has been verified, or not at all. From an archive without keys it is
verified, proved from and read, and hosted once the host's key is put into it.")]
pub(crate) struct ImportArgs {
    /// The archive.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The new directory; must not be there yet.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Removes what it names unless it is told to leave it.
struct Unfinished(Option<PathBuf>);

impl Unfinished {
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What cannot be removed was perhaps never there; the reason for the failure is told already.
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

/// Writes an archive.
pub(crate) fn export(args: &ExportArgs) -> Result<()> {
    if args.file.exists() {
        bail!("{} is there already; give another name", args.file.display());
    }
    let interrupt = Interrupt::watch()?;
    // Opening takes the lock, so that nothing changes meanwhile.
    let mut site = super::open(&args.dir)?;
    interrupt.check()?;
    if let Some(problem) = site.problems().first() {
        bail!("{problem}; repair the site before it is exported");
    }
    // By its root whoever imports the archive knows that nothing of the record was left out.
    site.sign_checkpoint()?;
    let mut names: Vec<PathBuf> =
        FILES.iter().map(PathBuf::from).filter(|name| args.dir.join(name).is_file()).collect();
    if args.with_keys {
        names.extend(keys(&args.dir)?);
    }
    for folder in FOLDERS {
        list(&args.dir, Path::new(folder), &mut names)?;
    }
    let partial = beside(&args.file, "exporting");
    let unfinished = Unfinished(Some(partial.clone()));
    let mut archive = tar::Builder::new(io::BufWriter::new(create(&partial, args.with_keys)?));
    let mut progress = Progress::begin();
    for (done, name) in names.iter().enumerate() {
        interrupt.check()?;
        progress.show("files", done as u64, names.len() as u64);
        append(&mut archive, &args.dir, name, &interrupt)?;
    }
    let failed = || format!("cannot write {}", partial.display());
    let file = archive.into_inner().with_context(failed)?.into_inner().map_err(io::IntoInnerError::into_error);
    file.and_then(|file| file.sync_all()).with_context(failed)?;
    fs::rename(&partial, &args.file).with_context(|| format!("cannot write {}", args.file.display()))?;
    unfinished.leave();
    let bytes = fs::metadata(&args.file)?.len();
    if args.json {
        let (entries, with_keys) = (site.site().entries(), args.with_keys);
        let said = serde_json::json!({ "file": args.file, "files": names.len(), "bytes": bytes, "entries": entries, "with_keys": with_keys });
        println!("{said}");
        return Ok(());
    }
    let megabytes = bytes as f64 / 1e6;
    let keys = if args.with_keys { ", with secret keys" } else { "" };
    println!("{}: {} files, {megabytes:.1} MB{keys}", args.file.display(), names.len());
    Ok(())
}

fn append<W: Write>(archive: &mut tar::Builder<W>, dir: &Path, name: &Path, interrupt: &Interrupt) -> Result<()> {
    let path = dir.join(name);
    let failed = || format!("cannot archive {}", path.display());
    let file = File::open(&path).with_context(failed)?;
    let length = file.metadata().with_context(failed)?.len();
    let mut header = tar::Header::new_gnu();
    header.set_size(length);
    header.set_mode(if name.to_str().is_some_and(is_key) { 0o600 } else { 0o644 });
    header.set_mtime(0);
    let watched = Watched { file: file.take(length), interrupt };
    archive.append_data(&mut header, name, watched).with_context(failed)
}

/// A file that ends in an error when Ctrl-C is pressed.
struct Watched<'a, R> {
    file: R,
    interrupt: &'a Interrupt,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.interrupt.check().map_err(io::Error::other)?;
        self.file.read(bytes)
    }
}

/// The keys in a site's directory.
fn keys(dir: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>();
    let mut names = read().with_context(|| format!("cannot read {}", dir.display()))?;
    names.sort();
    Ok(names.into_iter().filter(|name| name.to_str().is_some_and(is_key)).map(PathBuf::from).collect())
}

/// The plain files in a folder and those below it, in order.
fn list(dir: &Path, folder: &Path, names: &mut Vec<PathBuf>) -> Result<()> {
    let path = dir.join(folder);
    let entries = match fs::read_dir(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = folder.join(entry.file_name());
        match entry.file_type()? {
            kind if kind.is_dir() => list(dir, &name, names)?,
            // What a crash left half written is named so that no site reads it.
            kind if kind.is_file() && is_of_a_site(&name) => names.push(name),
            _ => {}
        }
    }
    Ok(())
}

/// Unpacks an archive.
pub(crate) fn import(args: &ImportArgs) -> Result<()> {
    if args.dir.exists() {
        bail!("{} is there already; give a directory that is not", args.dir.display());
    }
    let interrupt = Interrupt::watch()?;
    let file = File::open(&args.file).with_context(|| format!("cannot open {}", args.file.display()))?;
    let length = file.metadata()?.len();
    let partial = beside(&args.dir, "importing");
    let unfinished = Unfinished(Some(partial.clone()));
    fs::create_dir_all(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
    let mut progress = Progress::begin();
    let mut archive = tar::Archive::new(io::BufReader::new(file));
    let damaged = || format!("{} is no archive of a site, or is damaged", args.file.display());
    for (done, entry) in (0..).zip(archive.entries().with_context(damaged)?) {
        interrupt.check()?;
        let mut entry = entry.with_context(damaged)?;
        if done == MOST_FILES {
            bail!("{} holds more files than a site has", args.file.display());
        }
        progress.show("bytes", entry.raw_file_position(), length);
        unpack(&mut entry, &partial, &interrupt).with_context(damaged)?;
    }
    let watch = &mut |_| if interrupt.check().is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    let audited = audit(Arc::new(FileDisk::new(&partial)), &AuditConfig::default(), watch).with_context(damaged)?;
    let Some(audited) = audited else { return interrupt.check() };
    if let Some(finding) = audited.findings.first() {
        bail!("{} holds no site that can be believed: {finding}", args.file.display());
    }
    FileDisk::new(&partial).sync_folder("").with_context(|| format!("cannot write {}", partial.display()))?;
    fs::rename(&partial, &args.dir).with_context(|| format!("cannot create {}", args.dir.display()))?;
    unfinished.leave();
    let name = audited.site.as_ref().map_or("", |site| site.name());
    if args.json {
        let has_key = args.dir.join(HOST_KEY).exists();
        let said =
            serde_json::json!({ "dir": args.dir, "site": name, "entries": audited.entries, "with_keys": has_key });
        println!("{said}");
        return Ok(());
    }
    println!("{}: {name}, all {} entries hold", args.dir.display(), audited.entries);
    if !args.dir.join(HOST_KEY).exists() {
        println!("without its host's key: it can be verified, proved from and read; put {HOST_KEY} there to host it");
    }
    Ok(())
}

fn unpack<R: Read>(entry: &mut tar::Entry<'_, R>, to: &Path, interrupt: &Interrupt) -> Result<()> {
    let name = entry.path()?.into_owned();
    if entry.header().entry_type() != tar::EntryType::Regular || !is_of_a_site(&name) {
        bail!("it holds {}, which no site has", name.display());
    }
    let path = to.join(&name);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // New files only: what is named twice is no site's.
    let mut file = create(&path, name.to_str().is_some_and(is_key))?;
    let size = entry.size();
    let copied = io::copy(&mut Watched { file: entry, interrupt }, &mut file)?;
    if copied != size {
        bail!("{} ends early", name.display());
    }
    Ok(file.sync_all()?)
}

/// A new file, for its owner alone where it is secret.
fn create(path: &Path, secret: bool) -> Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    if cfg!(unix) && secret {
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    options.open(path).with_context(|| format!("cannot create {}", path.display()))
}

/// Whether a file of this name may be in a site's archive. Only plain names, none of which is hidden or leads anywhere.
fn is_of_a_site(name: &Path) -> bool {
    let parts: Option<Vec<&str>> = name
        .components()
        .map(|part| match part {
            Component::Normal(part) => part.to_str().filter(|part| is_plain(part)),
            _ => None,
        })
        .collect();
    let Some(parts) = parts else { return false };
    match parts[..] {
        [file] => FILES.contains(&file) || is_key(file),
        ["blobs" | "snapshots", hash] => {
            hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        }
        [folder, ..] => FOLDERS[2] == folder && parts.len() <= DEPTH,
        [] => false,
    }
}

fn is_plain(part: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    part.len() <= 100 && !part.starts_with('.') && part.bytes().all(plain) && !part.ends_with(".new")
}

/// A name beside this one for what is not finished, that no other run of this program takes.
fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}-{}", std::process::id()))
}
