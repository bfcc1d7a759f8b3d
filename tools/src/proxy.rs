//! `gembactl proxy`: a bad network in front of a site's host, to see how everything holds up on it.

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use gemba_host::stop;
use gemba_net::Address;
use gemba_net::test_network::{Conditions, Counts, ProxyConfig, ProxyCounts, UdpProxy};

/// Between whom, and how bad.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl proxy --to 127.0.0.1:7440 --line delay=150ms,loss=3%
                                     300 ms round trip, 3 % lost each way
  gembactl proxy --to 'gemba://10.0.0.5:7440/plant#KEY' --line delay=25ms,loss=1%,bandwidth=4Mbit
                                     prints the address to give to ./gemba view
  gembactl proxy --to 127.0.0.1:7440 --up bandwidth=1Mbit --down bandwidth=16Mbit,queue=256kB
                                     a slow uplink
  gembactl proxy --to 127.0.0.1:7440 --line burst=2%x10,jitter=20ms,reorder=1%,duplicate=1%
  gembactl proxy --to 127.0.0.1:7440 --cut 10+3 --rebind 20
                                     nothing passes for 3 s after 10 s; after 20 s all ports change

A line's conditions, in any combination: delay=25ms  jitter=5ms  loss=1%  burst=0.5%x8 (share, packets in a row)
reorder=1%  duplicate=1%  bandwidth=4Mbit  queue=64kB (in front of the bandwidth)")]
pub(crate) struct ProxyArgs {
    /// The host: an address and port, or its gemba:// address.
    #[arg(long, value_name = "TARGET")]
    to: String,
    /// UDP address to listen at; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    listen: SocketAddr,
    /// Conditions both ways.
    #[arg(long, default_value = "", value_name = "CONDITIONS")]
    line: Conditions,
    /// Conditions from the viewers to the host, in place of --line.
    #[arg(long, value_name = "CONDITIONS")]
    up: Option<Conditions>,
    /// Conditions from the host to the viewers, in place of --line.
    #[arg(long, value_name = "CONDITIONS")]
    down: Option<Conditions>,
    /// The same seed, the same losses.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cut the line after so many seconds for so many; may be given again.
    #[arg(long, value_name = "AT+FOR", value_parser = cut)]
    cut: Vec<(f64, f64)>,
    /// Change every viewer's port after so many seconds; may be given again.
    #[arg(long, value_name = "AT")]
    rebind: Vec<f64>,
    /// End by itself after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Print what became of packets as JSON.
    #[arg(long)]
    json: bool,
}

/// Forwards until the process is stopped; then says what became of packets.
pub(crate) fn run(args: &ProxyArgs) -> Result<()> {
    let (target, address) = target(&args.to)?;
    let (up, down) = (args.up.unwrap_or(args.line), args.down.unwrap_or(args.line));
    let config = ProxyConfig { listen: args.listen, target, up, down, seed: args.seed };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let proxy = UdpProxy::start(config).with_context(|| format!("cannot listen on {}", args.listen))?;
    let here = proxy.local_addr();
    let mut stdout = std::io::stdout();
    match address {
        Some(address) => writeln!(stdout, "{}", Address { host: here.ip().to_string(), port: here.port(), ..address }),
        None => writeln!(stdout, "{here}"),
    }
    .and_then(|()| stdout.flush())
    .context("nobody reads the proxy's address")?;
    eprintln!("gembactl: to {target}; up {up}; down {down}; seed {}", args.seed);
    runtime.block_on(act(&proxy, args))?;
    tell(&proxy.counts(), args.json);
    Ok(())
}

/// Does what was asked for at its time, until the end.
async fn act(proxy: &UdpProxy, args: &ProxyArgs) -> Result<()> {
    enum Act {
        Cut(bool),
        Rebind,
    }
    let cuts = args.cut.iter().flat_map(|(at, lasts)| [(*at, Act::Cut(true)), (at + lasts, Act::Cut(false))]);
    let rebinds = args.rebind.iter().map(|at| (*at, Act::Rebind));
    let mut acts: Vec<(f64, Act)> = cuts.chain(rebinds).collect();
    acts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let signal = stop::signalled().context("cannot be told to stop")?;
    let begun = tokio::time::Instant::now();
    let at = |seconds: f64| begun + Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4);
    let acting = async {
        for (when, what) in acts {
            tokio::time::sleep_until(at(when)).await;
            match what {
                Act::Cut(is_cut) => proxy.set_cut(is_cut, is_cut),
                Act::Rebind => proxy.rebind(),
            }
        }
        match args.seconds {
            Some(seconds) => tokio::time::sleep_until(at(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = acting => {}
        () = signal => {}
    }
    Ok(())
}

fn tell(counts: &ProxyCounts, json: bool) {
    if json {
        let way = |c: &Counts| {
            serde_json::json!({
                "offered": c.offered, "delivered": c.delivered, "delivered_bytes": c.delivered_bytes, "lost": c.lost,
                "lost_in_bursts": c.lost_in_bursts, "dropped_full": c.dropped_full, "dropped_cut": c.dropped_cut,
                "duplicated": c.duplicated, "reordered": c.reordered,
            })
        };
        let ProxyCounts { up, down, clients, failed } = counts;
        println!("{}", serde_json::json!({"up": way(up), "down": way(down), "clients": clients, "failed": failed}));
        return;
    }
    for (name, c) in [("up", &counts.up), ("down", &counts.down)] {
        println!(
            "{name:4} {} of {} packets delivered, {} bytes; lost {} alone and {} in bursts; dropped {} by a full queue \
             and {} by a cut; {} came twice, {} were overtaken",
            c.delivered,
            c.offered,
            c.delivered_bytes,
            c.lost,
            c.lost_in_bursts,
            c.dropped_full,
            c.dropped_cut,
            c.duplicated,
            c.reordered
        );
    }
    if counts.failed > 0 {
        println!("{} packets were not taken by this machine", counts.failed);
    }
}

/// Where the target listens, and its gemba:// address if that was given.
fn target(text: &str) -> Result<(SocketAddr, Option<Address>)> {
    let address: Option<Address> = text.starts_with("gemba://").then(|| text.parse()).transpose()?;
    let place = match &address {
        Some(Address { host, port, .. }) => (host.clone(), *port),
        None => {
            let (host, port) = text.rsplit_once(':').context("--to is an address and port, as in 127.0.0.1:7440")?;
            let port = port.parse().with_context(|| format!("'{port}' in --to is no port"))?;
            (host.trim_matches(['[', ']']).to_owned(), port)
        }
    };
    let mut found = place.to_socket_addrs().with_context(|| format!("the name {} is not known here", place.0))?;
    let target = found.next().with_context(|| format!("the name {} has no address", place.0))?;
    Ok((target, address))
}

fn cut(text: &str) -> Result<(f64, f64), String> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|n| (0.0..=1e9).contains(n));
    let cut = text.split_once('+').and_then(|(at, lasts)| Some((number(at)?, number(lasts)?)));
    cut.ok_or_else(|| "a cut looks like 10+3: after 10 seconds for 3".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_address_or_a_site() {
        assert_eq!(target("127.0.0.1:7440").unwrap().0, "127.0.0.1:7440".parse().unwrap());
        assert_eq!(target("[::1]:9").unwrap().0, "[::1]:9".parse().unwrap());
        let site = format!("gemba://127.0.0.1:7440/plant#{}", "00".repeat(32));
        let (place, address) = target(&site).unwrap();
        assert_eq!((place.port(), address.unwrap().site.as_str()), (7440, "plant"));
        assert!(target("127.0.0.1").is_err() && target("127.0.0.1:x").is_err() && target("gemba://x").is_err());
    }

    #[test]
    fn a_cut_has_a_beginning_and_a_length() {
        assert_eq!(cut("10+3"), Ok((10.0, 3.0)));
        assert!(cut("10").is_err() && cut("x+1").is_err() && cut("-1+1").is_err());
    }
}
