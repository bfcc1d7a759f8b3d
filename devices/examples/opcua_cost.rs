//! What the simulated plant's OPC UA server and the gateway cost: runs each in a process of its own and tells their share
//! of one core, samples a second and how old samples are when they reach the gateway's reader. Linux only: it reads
//! `/proc`.
//!
//! `cargo run -p gemba-devices --example opcua_cost -- --lines 2 --seconds 20`

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use gemba_devices::gateway::{self, GatewayConfig, GatewayEvent};
use gemba_devices::opcua_server::{ServeConfig, serve};

#[derive(Parser)]
struct Args {
    /// Production lines.
    #[arg(long, default_value_t = 2)]
    lines: usize,
    /// How long to measure.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Only serve, for the process that measures.
    #[arg(long)]
    serve: bool,
}

/// Kills the server's process when the measurement ends in whatever way.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    if args.serve { serve_until_killed(args.lines).await } else { measure(&args).await }
}

async fn serve_until_killed(lines: usize) -> Result<()> {
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    let mut serving = serve(ServeConfig::new(address, lines, 1)).await?;
    println!("{}", serving.endpoint());
    std::io::stdout().flush()?;
    Ok(serving.ended().await?)
}

async fn measure(args: &Args) -> Result<()> {
    let mut server = Command::new(std::env::current_exe()?);
    server.args(["--serve", "--lines", &args.lines.to_string()]).stdout(Stdio::piped());
    let mut server = Killed(server.spawn()?);
    let stdout = server.0.stdout.take().context("the server's output is piped")?;
    let mut endpoint = String::new();
    BufReader::new(stdout).read_line(&mut endpoint)?;

    let mut gateway = gateway::spawn(GatewayConfig::new(endpoint.trim()));
    let tags = loop {
        match gateway.next().await.context("the gateway stopped")? {
            GatewayEvent::Tags(tags) => break tags.len(),
            GatewayEvent::Lost { why } => anyhow::bail!(why),
            _ => {}
        }
    };
    // Let it settle: the first batch holds every tag.
    let mut ages = Vec::new();
    let settled = Instant::now() + Duration::from_secs(2);
    let end = settled + Duration::from_secs(args.seconds);
    let (own, pid) = (std::process::id(), server.0.id());
    let mut before = None;
    while Instant::now() < end {
        let Some(event) = gateway.next().await else { break };
        if let GatewayEvent::Lost { why } = event {
            anyhow::bail!(why);
        }
        if Instant::now() < settled {
            continue;
        }
        if before.is_none() {
            before = Some((cpu_secs(own)?, cpu_secs(pid)?, Instant::now()));
        }
        if let GatewayEvent::Samples(samples) = event {
            ages.extend(samples.iter().map(|(_, sample)| sample.server_time.micros_since(sample.source_time)));
        }
    }
    let (own_before, server_before, since) = before.context("nothing came")?;
    let secs = since.elapsed().as_secs_f64();
    ages.sort_unstable();
    let at = |share: f64| ages[((ages.len() - 1) as f64 * share) as usize] as f64 / 1000.0;
    println!("lines {}, tags {tags}, {:.0} samples/s", args.lines, ages.len() as f64 / secs);
    println!("server  {:.1} % of one core", (cpu_secs(pid)? - server_before) / secs * 100.0);
    println!("gateway {:.1} % of one core", (cpu_secs(own)? - own_before) / secs * 100.0);
    println!("age of samples: p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms", at(0.5), at(0.99), at(1.0));
    Ok(())
}

/// CPU time a process has used, seconds, from the fields utime and stime of `/proc/PID/stat` (in hundredths).
fn cpu_secs(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(") ").context("unknown form of /proc/PID/stat")?.1;
    let ticks = fields.split(' ').skip(11).take(2).map(|field| Ok(field.parse::<f64>()?)).sum::<Result<f64>>()?;
    Ok(ticks / 100.0)
}
