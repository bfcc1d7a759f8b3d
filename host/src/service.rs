//! What `gembad` does from its start to its end: hosts the site, or stands by for the host that the record names; and
//! when one takes over from the other, changes places.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use gemba_net::{Address, HostPort, serves};

use crate::daemon::{self, Daemon, DaemonConfig};
use crate::following::Copy;
use crate::key_file::peer_key;
use crate::site_dir::SiteDir;
use crate::stand_by::{self, StandBy};
use crate::{bonding, limits};

/// What an operator has said of the other hosts.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Whom to stand by for, while the directory holds no record that says so.
    pub by: Option<Address>,
    /// How long the host is silent before this one takes over.
    pub patience: Duration,
    /// No other host serves this site: this one goes on without the word of its heir.
    pub is_alone: bool,
    /// Takes over at once.
    pub succeeds: bool,
    /// Where to write what the network counts.
    pub counters: Option<PathBuf>,
}

/// Serves or stands by until `stop` is ready. `tell` is told the address, once at the beginning.
pub async fn run(
    config: DaemonConfig,
    mut standing: Standing,
    tell: impl FnOnce(&Address) -> anyhow::Result<()>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    tokio::pin!(stop);
    let mut config = config;
    let mut tell = Some(tell);
    let mut told = |address: &Address| tell.take().map_or(Ok(()), |tell| tell(address));
    let mut followed = stands_by(&config.dir, &standing).await?;
    loop {
        let mut daemon = match followed.take() {
            None => Daemon::start(config.clone()).await?,
            Some(hosts) => {
                let copy = Copy::open(&config.dir)?;
                let stand_by = listening(&config, copy, hosts, standing.patience).await?;
                told(stand_by.address())?;
                let end = if std::mem::take(&mut standing.succeeds) {
                    stand_by.succeed()?
                } else {
                    stand_by.run(&mut stop).await?
                };
                let (site, port): (SiteDir, HostPort) = match end {
                    stand_by::End::Stopped => return Ok(()),
                    stand_by::End::Rekeyed(listen) => {
                        config.listen = listen;
                        followed = stands_by(&config.dir, &standing).await?;
                        continue;
                    }
                    stand_by::End::TakesOver(site, port) => (*site, port),
                };
                Daemon::serve(config.clone(), site, port).await?
            }
        };
        told(daemon.address())?;
        if let Some(file) = &standing.counters {
            daemon.count_in(file.clone());
        }
        // The published log goes on being served from its directory, whoever writes it.
        config.publish = None;
        match daemon.run(&mut stop).await? {
            daemon::End::Stopped => return Ok(()),
            daemon::End::Succeeded(by) => followed = Some(vec![by]),
            daemon::End::Rekeyed(listen) => {
                config.listen = listen;
                freed(listen).await;
            }
        }
    }
}

/// The hosts to stand by for; none if this one hosts the site.
async fn stands_by(dir: &Path, standing: &Standing) -> anyhow::Result<Option<Vec<Address>>> {
    if !dir.exists() || !SiteDir::is_site(dir)? {
        return Ok(standing.by.clone().map(|by| vec![by]));
    }
    // What does not open is for the host to mend, or to say.
    let Ok(site) = SiteDir::open_copy(dir) else { return Ok(None) };
    let own = peer_key(site.host_key());
    let name = daemon::address_name(site.site().name());
    let others = bonding::others(site.site(), &name, &own);
    if !site.is_host() {
        if others.is_empty() && standing.by.is_none() {
            // Says why, as for any directory with a wrong key.
            drop(site);
            return SiteDir::open(dir).map(|_| None).map_err(Into::into);
        }
        return Ok(Some(if others.is_empty() { standing.by.iter().cloned().collect() } else { others }));
    }
    if standing.by.is_some() {
        bail!("{} hosts its site; leave out --stand-by", dir.display());
    }
    if standing.is_alone {
        bonding::forget(dir)?;
        return Ok(None);
    }
    // While this host was away another may have taken over.
    for other in &others {
        if serves(other, site.host_key(), limits::SUCCESSOR_ASKED).await == Some(true) {
            tracing::warn!(by = %other, "another host has taken over; this one stands by");
            return Ok(Some(vec![other.clone()]));
        }
    }
    Ok(None)
}

/// Begins to stand by.
async fn listening(
    config: &DaemonConfig,
    copy: Copy,
    hosts: Vec<Address>,
    patience: Duration,
) -> anyhow::Result<StandBy> {
    freed(config.listen).await;
    StandBy::start(config, copy, hosts, patience).await.context("cannot stand by")
}

/// Waits for the system to get a port back that was this process's own a moment ago.
async fn freed(listen: SocketAddr) {
    let until = Instant::now() + limits::SUCCESSOR_ASKED;
    while std::net::UdpSocket::bind(listen).is_err() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
