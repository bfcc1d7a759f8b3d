//! `gembactl simulate`: the simulated plant behind a real OPC UA server.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use gemba_devices::opcua_server::{ServeConfig, serve};
use gemba_host::stop;

/// What to simulate and where to serve it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl simulate                                  one line at opc.tcp://127.0.0.1:4840/
  gembactl simulate --lines 4 --seed 7 --speed 10
  gembactl simulate --listen 127.0.0.1:0             any free port; stdout tells which")]
pub(crate) struct SimulateArgs {
    /// TCP address to serve OPC UA at. Anyone who reaches it can read, and command the valves: keep it to this machine.
    #[arg(long, default_value = "127.0.0.1:4840", value_name = "ADDR")]
    listen: SocketAddr,
    /// Production lines.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=200))]
    lines: u16,
    /// The same seed, the same plant and the same faults.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Simulated seconds a second.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Simulated seconds that have passed before anyone can look.
    #[arg(long, default_value_t = 600, value_name = "S", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    warm_up: u32,
    /// End when stdin is closed, as it is when whoever started this has gone, however that ended.
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Serves until the process is stopped.
pub(crate) fn run(args: &SimulateArgs) -> Result<()> {
    let warm_up = Duration::from_secs(args.warm_up.into());
    let config =
        ServeConfig { speed: args.speed, warm_up, ..ServeConfig::new(args.listen, usize::from(args.lines), args.seed) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    runtime.block_on(async {
        let signal = stop::signalled().context("cannot be told to stop")?;
        let mut serving = serve(config).await?;
        println!("{}", serving.endpoint());
        std::io::stdout().flush().context("nobody reads the endpoint's address")?;
        tokio::select! {
            ended = serving.ended() => ended.context("the simulator has stopped"),
            () = signal => Ok(()),
            () = stop::stdin_closed(), if args.until_stdin_closes => Ok(()),
        }
    })
}
