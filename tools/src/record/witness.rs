//! `gembactl record witness`: watches logs and cosigns what is consistent, over HTTP (C2SP `tlog-witness`).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use gemba_host::disk::FileDisk;
use gemba_host::witness_dir::WitnessDir;
use gemba_record::limits::SUBMISSION_BYTES;
use gemba_record::note::VerifierKey;

use super::serve::serve;

/// Which logs, and where.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl record witness w1/ --name witness.example/w1 --listen 0.0.0.0:7450 --log 'gemba/site/ID+KEYID+KEY'

The log's key is what `record verify --json` calls verifier_key. The witness prints its own key and URL, as
`record policy --witness` takes them. Its directory is all it has: a witness that lost it must begin under a new key.")]
pub(crate) struct WitnessArgs {
    /// The witness's directory, made if missing: its key, and what it cosigned.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The name it signs under; best its public URL without the scheme.
    #[arg(long)]
    name: String,
    /// Where to listen (TCP); port 0 takes any free one.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// Key of a log to watch, NAME+ID+KEY; may be given several times. Of a log whose host has got another key, the old
    /// one and behind it the new.
    #[arg(long, value_name = "VKEY", required = true)]
    log: Vec<VerifierKey>,
}

/// Runs the command.
pub(crate) fn run(args: &WitnessArgs) -> Result<()> {
    let witness = WitnessDir::open(Arc::new(FileDisk::new(&args.dir)), &args.name, &args.log)?;
    let key = witness.verifier();
    serve(
        args.listen,
        SUBMISSION_BYTES,
        move |request| witness.answer(&request),
        |address| {
            println!("{key}=http://{address}");
            Ok(())
        },
    )
}
