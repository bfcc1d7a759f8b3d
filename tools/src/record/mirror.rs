//! `gembactl record mirror`: holds a copy of a site's log, serves it, and cosigns what it holds (C2SP `tlog-mirror`). It
//! is sent entries by the log's host, and fetches them itself where it is given the log's URL.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use gemba_host::disk::FileDisk;
use gemba_host::http::Request;
use gemba_host::log_files::LogFiles;
use gemba_host::mirror_dir::{MirrorDir, REQUEST_BYTES};
use gemba_host::notary;
use gemba_record::mirror::origin_hash;
use gemba_record::note::VerifierKey;

use super::serve::serve;
use crate::progress::Progress;

/// How often the log is looked at while nothing is wrong, and after something was.
const EVERY: Duration = Duration::from_secs(1);
const AFTER_A_FAILURE: Duration = Duration::from_secs(10);

/// Which log, and where.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl record mirror http://host:7442/ --dir m1/ --name mirror.example/m1 --log 'gemba/site/ID+KEYID+KEY' \\
      --listen 0.0.0.0:7451
  gembactl record mirror http://host:7442/ --dir m1/ --name mirror.example/m1 --log 'gemba/site/ID+KEYID+KEY' --once

The log's URL is that of `gembad --publish`, or of any web server with the site's log/. The copy is served under
http://ADDR/HASH/, which `record verify`, `prove` and `repair --from` take.")]
pub(crate) struct MirrorArgs {
    /// The log: a URL, or a directory.
    #[arg(value_name = "URL")]
    log_files: LogFiles,
    /// The mirror's directory, made if missing: its key and its copy.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The name it signs under; best its public URL without the scheme.
    #[arg(long)]
    name: String,
    /// Key of the log, NAME+ID+KEY. Where its host has got another key, the old one and behind it the new.
    #[arg(long, value_name = "VKEY", required = true)]
    log: Vec<VerifierKey>,
    /// Where to listen (TCP); port 0 takes any free one.
    #[arg(long, value_name = "ADDR", required_unless_present = "once")]
    listen: Option<SocketAddr>,
    /// Copy what there is and stop.
    #[arg(long)]
    once: bool,
}

/// Runs the command.
pub(crate) fn run(args: &MirrorArgs) -> Result<()> {
    let log = args.log.last().context("no key of the log")?;
    if args.log.iter().any(|key| key.name() != log.name()) {
        bail!("a mirror holds one log, and these are keys of several");
    }
    let mirror = Arc::new(MirrorDir::open(Arc::new(FileDisk::new(&args.dir)), &args.name, &args.log)?);
    let key = mirror.verifier()?;
    let folder = origin_hash(log.name());
    let Some(listen) = args.listen.filter(|_| !args.once) else {
        let held = copy(&mirror, &args.log_files, log, &key)?;
        println!("{held} entries are held and cosigned by {key} in {}", args.dir.join(folder).display());
        return Ok(());
    };
    let (fetching, files, log, own) = (mirror.clone(), args.log_files.clone(), log.clone(), key.clone());
    // Ends with the process: whatever it is doing is whole on the disk or not there at all.
    std::thread::Builder::new().name("fetching".into()).spawn(move || {
        loop {
            let pause = match copy(&fetching, &files, &log, &own) {
                Ok(_) => EVERY,
                Err(error) => {
                    eprintln!("gembactl: the log is not copied for now: {error:#}");
                    AFTER_A_FAILURE
                }
            };
            std::thread::sleep(pause);
        }
    })?;
    serve(
        listen,
        REQUEST_BYTES,
        move |request| mirror.answer(&request),
        |address| {
            let said = format!("{key}=http://{address}\nhttp://{address}/{folder}/\n");
            Ok(std::io::stdout().write_all(said.as_bytes())?)
        },
    )
}

/// Fetches what is new and gives it to the mirror as its host would. Returns how many entries it holds then.
fn copy(mirror: &MirrorDir, files: &LogFiles, log: &VerifierKey, own: &VerifierKey) -> Result<u64> {
    let checkpoint = files.checkpoint()?;
    checkpoint.verify(log).with_context(|| files.to_string())?;
    let size = checkpoint.checkpoint().size;
    let held = || mirror.held(log.name()).unwrap_or(0);
    if held() == size {
        return Ok(size);
    }
    let (progress, begun) = (std::cell::RefCell::new(Progress::begin()), held());
    let post = |verb: &str, body: &[u8]| {
        let answer = mirror.answer(&Request { is_post: true, path: verb.to_owned(), body: body.to_vec() });
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let next = gemba_record::mirror::read_info(&text).map_or(begun, |(_, next)| next);
        progress.borrow_mut().show("entries", next, size);
        Ok((answer.status, text))
    };
    notary::bring(files, &checkpoint, own, &post)?;
    Ok(held())
}
