//! `gembad`: serves one site directory to its peers. Prints the site's address on stdout, logs to stderr.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use gemba_host::daemon::DaemonConfig;
use gemba_host::historian::HistorianConfig;
use gemba_host::service::{self, Standing};
use gemba_host::stop::{signalled, stdin_closed};
use gemba_net::Address;
use gemba_record::role::Role;

/// Serves a site: sequences its record, relays its peers, takes in its devices.
#[derive(Debug, Parser)]
#[command(name = "gembad", version)]
struct Args {
    /// The site's directory; a site is founded there if it is empty or missing.
    dir: PathBuf,
    /// Address and port to listen on (UDP); port 0 takes any free one.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// OPC UA server whose tags belong to this site, such as opc.tcp://localhost:4840.
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    opcua: Option<String>,
    /// Let in persons who are not known yet, as viewer, commenter or editor.
    #[arg(long, value_name = "ROLE", value_parser = guest_role)]
    admit: Option<Role>,
    /// Name of the site if it is founded now; the directory's name if not given.
    #[arg(long)]
    name: Option<String>,
    /// End when stdin is closed, as it is when whoever started this has gone, however that ended.
    #[arg(long)]
    until_stdin_closes: bool,
    /// Write what the network counts (drops, budgets, queues) into this file as JSON, once a second.
    #[arg(long, value_name = "FILE")]
    counters: Option<PathBuf>,
    /// Serve the published log over HTTP for witnesses, mirrors and auditors: tiles, entries and checkpoints, read-only.
    #[arg(long, value_name = "ADDR")]
    publish: Option<SocketAddr>,
    #[command(flatten)]
    standing: StandingArgs,
    #[command(flatten)]
    history: HistoryArgs,
}

/// One host of a site dies and another goes on: see README.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Succession")]
struct StandingArgs {
    /// Stand by for the host at this address, in an empty directory: follow it, and take over when it has died. Later
    /// starts know from the record.
    #[arg(long, value_name = "ADDRESS")]
    stand_by: Option<Address>,
    /// Take over after so many seconds of the host's silence.
    #[arg(long, value_name = "SECS", default_value_t = 3.0, value_parser = patience)]
    patience: f64,
    /// Take over at once: the host is off, and you know it.
    #[arg(long, conflicts_with = "alone")]
    succeed: bool,
    /// Go on without the host that stands by: it is off, has not taken over, and you know it.
    #[arg(long)]
    alone: bool,
}

/// What is kept of what the devices say: segments of history, the oldest of which go first.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "History")]
struct HistoryArgs {
    /// Keep history for so many days; 0 keeps it whatever its age.
    #[arg(long, value_name = "DAYS", default_value_t = 90.0, value_parser = days)]
    keep_days: f64,
    /// Keep at most so many GiB of history, of whatever age: 1,000 tags take some 0.4 GiB a day.
    #[arg(long, value_name = "GIB", default_value_t = 50.0, value_parser = gib)]
    keep_gib: f64,
    /// Close a segment after so many seconds; it is on the disk as Parquet and in the record then. A crash loses none.
    #[arg(long, value_name = "SECS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    segment_secs: u32,
}

impl HistoryArgs {
    fn config(&self) -> HistorianConfig {
        HistorianConfig {
            segment_length: Duration::from_secs(self.segment_secs.into()),
            keep_age: (self.keep_days > 0.0).then(|| Duration::from_secs_f64(self.keep_days * 86_400.0)),
            keep_bytes: (self.keep_gib * f64::from(1 << 30)) as u64,
        }
    }
}

/// Hundreds of peers are told small frames, by more than one thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let Args { dir, listen, opcua, admit, name, until_stdin_closes, publish, counters, standing, history } =
        Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| format!("warn,gemba_host=info,{}", gemba_devices::QUIET_LIBRARY).into());
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    let config = DaemonConfig { dir, listen, opcua, admit, name, publish, history: history.config() };
    let StandingArgs { stand_by, patience, succeed, alone } = standing;
    let patience = Duration::from_secs_f64(patience);
    let standing = Standing { by: stand_by, patience, is_alone: alone, succeeds: succeed, counters };
    match serve(config, standing, until_stdin_closes).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gembad: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: DaemonConfig, standing: Standing, until_stdin_closes: bool) -> anyhow::Result<()> {
    let signal = signalled()?;
    let stop = async {
        tokio::select! {
            () = signal => {}
            () = stdin_closed(), if until_stdin_closes => {}
        }
    };
    let tell = |address: &Address| {
        let mut stdout = std::io::stdout();
        writeln!(stdout, "{address}")?;
        Ok(stdout.flush()?)
    };
    service::run(config, standing, tell, stop).await
}

fn endpoint(text: &str) -> Result<String, String> {
    match text.strip_prefix("opc.tcp://") {
        Some(rest) if !rest.is_empty() => Ok(text.to_owned()),
        _ => Err("an OPC UA endpoint looks like opc.tcp://host:4840".to_owned()),
    }
}

fn guest_role(text: &str) -> Result<Role, String> {
    match text.parse()? {
        role @ (Role::Viewer | Role::Commenter | Role::Editor) => Ok(role),
        role => Err(format!("nobody becomes {role} by just coming in; give viewer, commenter or editor")),
    }
}

fn patience(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(secs @ 2.0..=86_400.0) => Ok(secs),
        _ => Err("give a number of seconds from 2 on, such as 3".to_owned()),
    }
}

fn days(text: &str) -> Result<f64, String> {
    match text.parse() {
        // Beyond a thousand years the number is a mistake.
        Ok(days @ 0.0..=365_000.0) => Ok(days),
        _ => Err("give a number of days, such as 90 or 0.5; 0 keeps history whatever its age".to_owned()),
    }
}

fn gib(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(gib @ 0.000_001..=1e9) => Ok(gib),
        _ => Err("give a number of GiB above zero, such as 50 or 0.5".to_owned()),
    }
}
