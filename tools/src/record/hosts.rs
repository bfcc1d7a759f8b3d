//! `gembactl record hosts`: which machines may host the site, so that one takes over when another has died.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use gemba_host::key_file::peer_key;
use gemba_net::Address;
use gemba_record::body::Body;
use gemba_record::role::Role;
use gemba_record::site::Site;
use gemba_record::succession::SiteHost;
use gemba_twin::peer::PeerKind;

/// Which site, and who.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl record hosts plant/ --host 'gemba://10.0.0.5:7440/plant#KEY1' --host 'gemba://10.0.0.6:7440/plant#KEY2'
                                           the second stands by for the first
  gembactl record hosts plant/ --nobody    nobody does any more
  gembactl record hosts plant/             says how it is now

gembad prints its address when it starts, also with --stand-by. The site's present host must be among them. Who is first
of the others takes over when the host has died; any further ones only follow. The list is an entry of the record, signed
with the host's key, which therefore has to be an owner; hosts that the record does not know yet are admitted, as owners.")]
pub(crate) struct HostsArgs {
    /// The site's directory. To change it, its host must not be running.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// A machine that may host the site, in the order in which they take over.
    #[arg(long, value_name = "ADDRESS")]
    host: Vec<Address>,
    /// Only the present host from now on.
    #[arg(long, conflicts_with = "host")]
    nobody: bool,
}

/// Runs the command.
pub(crate) fn run(args: &HostsArgs) -> Result<()> {
    if args.host.is_empty() && !args.nobody {
        let site = super::look(&args.dir)?;
        if site.site().hosts().is_empty() {
            bail!("{} has no host that could take over; name the hosts with --host", args.dir.display());
        }
        tell(site.site());
        return Ok(());
    }
    let mut site = super::open(&args.dir)?;
    // A host is named by its identity, whichever key it has by now.
    let identity = |host: &Address| site.site().identity_of(&host.key).unwrap_or(host.key);
    if !args.nobody && !args.host.iter().any(|host| identity(host) == site.site().host()) {
        bail!("the site's present host must be among its hosts: its key is {}", peer_key(site.host_key()));
    }
    let is_known = |host: &&Address| site.site().peer(&identity(host)).is_some_and(|peer| peer.kind == PeerKind::Host);
    let mut bodies: Vec<Body> = args.host.iter().filter(|host| !is_known(host)).map(admit).collect();
    let hosts = args.host.iter().map(|host| SiteHost { key: identity(host), place: place(host) }).collect();
    bodies.push(Body::NameHosts { hosts });
    let entries = site.submit_all(bodies)?;
    println!("entry {} names the hosts:", entries.end - 1);
    tell(site.site());
    Ok(())
}

fn admit(host: &Address) -> Body {
    let name = format!("host {}", host.key.short());
    Body::Admit { peer: host.key, kind: PeerKind::Host, name, role: Role::Owner }
}

fn place(Address { host, port, .. }: &Address) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn tell(site: &Site) {
    for host in site.hosts() {
        let what = match () {
            () if host.key == site.host() => "hosts the site",
            () if site.heir() == Some(host) => "takes over when the host has died",
            () => "follows",
        };
        let key = site.key_of(&host.key).map_or_else(|| "(key revoked)".to_owned(), |key| key.short().to_string());
        println!("  {key} at {} {what}", host.place);
    }
}
