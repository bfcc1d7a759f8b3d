//! `gembad` as a whole: a site directory, the network and, if asked for, a gateway, wired together.
//!
//! ```text
//! peers ⇄ net ⇄ Daemon ⇄ Sequencer ⇄ site directory
//!          ↑       ↑ tags, answered by their numbers
//!          ├─── gateway feed ← gateway ← OPC UA server
//!          ├─── History ← the same samples
//!          └─── Publishing → log/
//! ```

use std::future::Future;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;

use anyhow::{Context, bail};
use gemba_devices::gateway::{self, GatewayConfig, Writer};
use gemba_net::{Address, Hello, HostCommand, HostEvent, HostPort, ListenConfig};
use gemba_record::author::Author;
use gemba_record::role::Role;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::blob_server::BlobServer;
use crate::bonding::Bonding;
use crate::carrying::Rests;
use crate::clock;
use crate::device_commands::{self, Carried};
use crate::gateway_feed::{self, FoundTags, Outlets};
use crate::historian::HistorianConfig;
use crate::history::{self, History, HistorySetup};
use crate::http;
use crate::key_file::{self, peer_key};
use crate::limits;
use crate::mending::{self, Fetched, Mending};
use crate::publisher::Publishing;
use crate::scrub::Scrub;
use crate::sequencer::{Newcomer, Sequencer, Submission};
use crate::site_dir::{ADDRESS, KeyStanding, PendingSnapshot, SiteDir};

/// What `gembad` was told.
#[derive(Debug, Clone)]
pub struct DaemonConfig {
    /// The site directory; founded if empty or missing.
    pub dir: PathBuf,
    /// Where to listen; port 0 for any free one.
    pub listen: SocketAddr,
    /// Endpoint of an OPC UA server whose tags belong to this site.
    pub opcua: Option<String>,
    /// Role of persons who are not known yet; without it they are refused.
    pub admit: Option<Role>,
    /// Name of a site that is founded; the directory's if not given.
    pub name: Option<String>,
    /// Where to serve the published log over HTTP (TCP); nowhere without it.
    pub publish: Option<SocketAddr>,
    /// How long the segments of its history are, and what is kept of them.
    pub history: HistorianConfig,
}

/// A host that accepts peers.
pub struct Daemon {
    sequencer: Sequencer,
    port: HostPort,
    address: Address,
    /// The gateway's identity in the record, and what it finds.
    gateway: Option<RunningGateway>,
    blobs: BlobServer,
    history: History,
    publishing: Publishing,
    rests: Rests,
    bonding: Bonding,
    slow: Slow,
    /// Where the network's counters are written, once a second.
    counters: Option<PathBuf>,
}

/// How serving ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was asked to stop.
    Stopped,
    /// Another host has taken over, and serves at this address.
    Succeeded(Address),
    /// The record has replaced the key of this host: it begins anew with the other one, at this address.
    Rekeyed(SocketAddr),
}

/// The gateway's identity in the record, what it finds, and commands on their way to its devices.
struct RunningGateway {
    author: Author,
    found: mpsc::Receiver<FoundTags>,
    writer: Writer,
    carried: (mpsc::Sender<Carried>, mpsc::Receiver<Carried>),
    under_way: usize,
}

/// What a gateway brings.
enum Brought {
    Tags(FoundTags),
    Carried(Carried),
}

impl Daemon {
    /// Opens or founds the site, listens, and starts the gateway.
    pub async fn start(config: DaemonConfig) -> anyhow::Result<Self> {
        check_free(config.listen)?;
        let name = config.name.clone().unwrap_or_else(|| name_of(&config.dir));
        let dir = config.dir.clone();
        // Mirrors may have to be asked, which takes a while.
        let site = tokio::task::spawn_blocking(move || mending::open_or_create(&dir, &name)).await??;
        site.check_key()?;
        let (signing_key, earlier_keys) = (site.host_key().clone(), site.earlier_keys().to_vec());
        let site_name = address_name(site.site().name());
        let listening = ListenConfig { address: config.listen, signing_key, earlier_keys, site: site_name };
        let port = gemba_net::listen(listening).await?;
        Self::serve(config, site, port).await
    }

    /// Serves a site through a port that is open already, and starts the gateway.
    pub async fn serve(config: DaemonConfig, mut site: SiteDir, port: HostPort) -> anyhow::Result<Self> {
        site.defer_snapshots();
        if config.name.is_some_and(|name| name != site.site().name()) {
            tracing::warn!(name = site.site().name(), "the site has its name already; --name is passed over");
        }
        let host = peer_key(site.host_key());
        let is_owner = site.site().peer(&site.site().host()).is_some_and(|peer| peer.role() == Some(Role::Owner));
        if !is_owner && (config.admit.is_some() || config.opcua.is_some()) {
            bail!("this site is owned by another key, which alone admits peers; leave out --admit and --opcua");
        }
        let site_name = address_name(site.site().name());
        let address: Address = format!("gemba://{}/{site_name}#{host}", reachable(port.local_addr())).parse()?;
        let told = key_file::write_whole(&config.dir.join(ADDRESS), format!("{address}\n").as_bytes(), false);
        told.unwrap_or_else(|error| tracing::warn!(%error, "who invites to this site has to say where it is"));
        tracing::info!(site = site.site().name(), entries = site.log().entries(), %address, "the site is open");
        for problem in site.problems() {
            tracing::error!("{problem}; the site is open for reading only until it is repaired from a mirror");
        }
        let blobs = BlobServer::new(site.blobs(), port.commands.clone());
        let kept = HistorySetup::of(&site, config.history, config.opcua.is_some());
        let history = History::start(kept, port.commands.clone())?;
        let publishing = Publishing::start(&site)?;
        let rests = Rests::load(&config.dir, site.site());
        port.commands.send(rests.command()).await.context("the network stopped")?;
        if let Some(address) = config.publish {
            http::serve_log(address, site.dir()).await?;
        }
        let mut sequencer = Sequencer::new(site, config.admit);
        sequencer.handle_time(clock::now());
        let gateway = match config.opcua {
            Some(endpoint) => Some(start_gateway(endpoint, &mut sequencer, port.commands.clone(), &history)?),
            None => None,
        };
        let bonding = Bonding::open(&config.dir, false)?;
        Ok(Self {
            sequencer,
            port,
            address,
            gateway,
            blobs,
            history,
            publishing,
            rests,
            bonding,
            slow: Slow::begin(),
            counters: None,
        })
    }

    /// From now on writes what the network counts, as JSON, into this file once a second.
    pub fn count_in(&mut self, file: PathBuf) {
        self.counters = Some(file);
    }

    fn write_counters(&self) {
        let Some(file) = &self.counters else { return };
        let mut counters: serde_json::Map<_, _> =
            self.port.stats().named().into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
        let (damaged, mended) = self.sequencer.damaged_and_mended();
        let of_record = [("record_damaged_entries", damaged), ("record_mended_entries", mended)];
        counters.extend(of_record.map(|(name, count)| (name.to_owned(), count.into())));
        let text = format!("{}\n", serde_json::Value::Object(counters));
        let written = key_file::write_whole(file, text.as_bytes(), false);
        written.unwrap_or_else(|error| tracing::warn!(%error, "the counters are not written"));
    }

    /// What a peer is given to come here.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Serves until `stop` is ready or the site can no longer be written.
    ///
    /// What is decided goes out before more is taken in. When the network takes nothing because it waits for us to
    /// listen, we listen: so neither end can hold up the other for ever. What waits meanwhile is bounded by what the
    /// peers' own queues may send without an answer.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<End> {
        tokio::pin!(stop);
        let mut events = Vec::new();
        let mut keeping: Option<tokio::task::JoinHandle<()>> = None;
        let mut end = End::Stopped;
        loop {
            if let Some(rekeyed) = self.rekeyed()? {
                end = rekeyed;
                break;
            }
            self.bonding.apply(&mut self.sequencer);
            if let Some(gateway) = &mut self.gateway {
                gateway.carry_out(&mut self.sequencer);
            }
            // One at a time, so that an older state never takes the place of a newer one.
            if keeping.as_ref().is_none_or(|keeping| keeping.is_finished())
                && let Some(snapshot) = self.sequencer.poll_snapshot()
            {
                keeping = Some(tokio::task::spawn_blocking(move || keep(snapshot)));
            }
            let mut due = None;
            tokio::select! {
                biased;
                () = &mut stop => break,
                permit = self.port.commands.reserve(), if self.sequencer.has_commands() => {
                    let permit = permit.context("the network stopped")?;
                    if let Some(command) = tokio::task::block_in_place(|| self.sequencer.poll_command())? {
                        self.rests.handle_command(&command);
                        permit.send(command);
                    }
                }
                count = self.port.events.recv_many(&mut events, limits::BATCH_ENTRIES) => {
                    anyhow::ensure!(count > 0, "the network stopped");
                }
                brought = next_of(&mut self.gateway) => {
                    let (gateway, brought) = brought.context("the gateway stopped")?;
                    self.bonding.apply(&mut self.sequencer);
                    self.sequencer.handle_time(clock::now());
                    tokio::task::block_in_place(|| gateway.take(brought, &mut self.sequencer))?;
                }
                report = self.history.next_report() => {
                    self.bonding.apply(&mut self.sequencer);
                    self.sequencer.handle_time(clock::now());
                    tokio::task::block_in_place(|| history::record(report, &mut self.sequencer));
                }
                by = taken_over(&mut self.bonding, &self.sequencer, &self.address) => {
                    tracing::warn!(%by, "another host has taken over; this one takes no more entries");
                    end = End::Succeeded(by);
                    break;
                }
                () = tokio::time::sleep(limits::DISK_RETRY), if self.sequencer.is_waiting() => {
                    self.bonding.apply(&mut self.sequencer);
                    tokio::task::block_in_place(|| self.sequencer.handle_retry())?;
                }
                now = self.slow.due(self.sequencer.site(), &mut self.rests, &mut self.publishing) => due = Some(now),
            }
            if let Some(due) = due {
                self.bonding.apply(&mut self.sequencer);
                tokio::task::block_in_place(|| self.handle_due(due))?;
            }
            if !events.is_empty() {
                self.bonding.apply(&mut self.sequencer);
                self.sequencer.handle_time(clock::now());
                let events = std::mem::take(&mut events);
                tokio::task::block_in_place(|| self.handle_events(events))?;
            }
        }
        self.rests.keep();
        // Peers that are gone themselves do not keep the host from going.
        let _ = tokio::time::timeout(limits::FAREWELL, self.port.close()).await;
        Ok(end)
    }

    /// Does what is due.
    fn handle_due(&mut self, due: Due) -> anyhow::Result<()> {
        match due {
            Due::Scrub => {
                let is_done = self.sequencer.handle_scrub(&mut self.slow.scrub);
                self.slow.scrub_at = Instant::now() + if is_done { limits::SCRUB_AGAIN } else { limits::SCRUB_EVERY };
            }
            Due::Rests => self.rests.keep(),
            Due::Publishing => {
                self.publishing.offer(&mut self.sequencer);
                self.write_counters();
            }
            Due::Copies(copies) => self.sequencer.handle_copies(&copies)?,
            Due::Farewell => {}
        }
        Ok(())
    }

    /// Where an entry says that our key counts no more: goes on with the one in force, as soon as whoever brought that entry
    /// is told so. An error where there is none, or it is not here.
    fn rekeyed(&mut self) -> anyhow::Result<Option<End>> {
        let site = self.sequencer.site();
        let standing = site.key_standing();
        if standing == KeyStanding::InForce {
            return Ok(None);
        }
        let since = self.slow.key_lost.get_or_insert_with(Instant::now);
        match standing {
            _ if since.elapsed() < limits::FAREWELL => Ok(None),
            KeyStanding::Replaced(key) if site.has_next_key(&key) => {
                tracing::warn!(%key, "the record has replaced this host's key; it goes on with the new one");
                Ok(Some(End::Rekeyed(self.port.local_addr())))
            }
            _ => site.check_key().map(|()| None).map_err(Into::into),
        }
    }

    /// Takes what has gathered: all submissions among it become one commit.
    fn handle_events(&mut self, events: Vec<HostEvent>) -> anyhow::Result<()> {
        let mut submissions = Vec::new();
        for event in events {
            match event {
                HostEvent::Arrived { peer, key, hello } => {
                    let Hello { name, kind, entries_held, redemption, .. } = hello;
                    let redemption = redemption.map(Into::into);
                    self.sequencer.handle_arrival(peer, &Newcomer { key, name, kind, entries_held, redemption })?;
                }
                HostEvent::Left { peer, why } => {
                    tracing::info!(peer = peer.0, why, "a peer left");
                    self.sequencer.handle_leave(peer);
                    self.history.handle_leave(peer);
                }
                HostEvent::Submitted { peer, submission, entry } => {
                    submissions.push(Submission { peer, number: submission, entry });
                }
                HostEvent::BlobWanted { peer, hash, offset } => {
                    self.blobs.serve(peer, hash, offset);
                }
                HostEvent::EntriesTaken { peer } => self.sequencer.handle_entries_taken(peer),
                HostEvent::Recall { peer, recall } => self.history.handle_recall(peer, recall),
                HostEvent::Grabbing { peer, hold, thing } => self.sequencer.handle_grab(peer, hold, thing),
                HostEvent::Rested { thing, at } => self.rests.handle_rested(thing, at),
                HostEvent::StandsBy { peer, held, heard, leaves } => {
                    let Some(identity) = self.sequencer.identity_of(peer) else { continue };
                    let answer = self.bonding.handle((peer, identity), (held, heard, leaves), &self.sequencer)?;
                    self.bonding.apply(&mut self.sequencer);
                    // The queue to the network is bounded, and this must not wait for it: another word follows soon.
                    let _ = answer.map(|answer| self.port.commands.try_send(answer));
                }
            }
        }
        Ok(self.sequencer.handle_submissions(submissions)?)
    }
}

/// What is done at its time, in no hurry.
struct Slow {
    scrub: Scrub,
    scrub_at: Instant,
    mending: Mending,
    /// When our key was found to count no more.
    key_lost: Option<Instant>,
}

/// What is due of that.
enum Due {
    Scrub,
    Rests,
    Publishing,
    /// Mirrors have been asked for copies of what is damaged.
    Copies(Vec<Fetched>),
    Farewell,
}

impl Slow {
    fn begin() -> Self {
        let scrub_at = Instant::now() + limits::SCRUB_EVERY;
        Self { scrub: Scrub::default(), scrub_at, mending: Mending::default(), key_lost: None }
    }

    async fn due(&mut self, site: &SiteDir, rests: &mut Rests, publishing: &mut Publishing) -> Due {
        tokio::select! {
            () = tokio::time::sleep_until(self.scrub_at) => Due::Scrub,
            () = tokio::time::sleep(limits::FAREWELL), if self.key_lost.is_some() => Due::Farewell,
            copies = self.mending.next_copies(site) => Due::Copies(copies),
            () = rests.due() => Due::Rests,
            () = publishing.due() => Due::Publishing,
        }
    }
}

async fn taken_over(bonding: &mut Bonding, sequencer: &Sequencer, address: &Address) -> Address {
    let site = sequencer.site();
    bonding.taken_over(site.site(), &address.site, site.host_key()).await
}

fn keep(snapshot: PendingSnapshot) {
    if let Err(error) = snapshot.keep() {
        tracing::warn!("{error}; the site opens more slowly until a state of it can be kept");
    }
}

async fn next_of(gateway: &mut Option<RunningGateway>) -> Option<(&mut RunningGateway, Brought)> {
    let Some(gateway) = gateway else { return std::future::pending().await };
    let brought = tokio::select! {
        found = gateway.found.recv() => Brought::Tags(found?),
        carried = gateway.carried.1.recv() => Brought::Carried(carried?),
    };
    Some((gateway, brought))
}

impl RunningGateway {
    /// Sends commands on their way.
    fn carry_out(&mut self, sequencer: &mut Sequencer) {
        while self.under_way < limits::ORDERS
            && let Some(order) = sequencer.poll_order()
        {
            self.under_way += 1;
            tracing::info!(tag = %order.command.tag, value = %order.command.value, "a command for a device");
            tokio::spawn(device_commands::carry_out(order, self.writer.clone(), self.carried.0.clone()));
        }
    }

    /// Has the record tell what the gateway brings.
    fn take(&mut self, brought: Brought, sequencer: &mut Sequencer) -> anyhow::Result<()> {
        match brought {
            Brought::Tags(found) => {
                let numbers = sequencer.handle_tags(&self.author, &found.tags)?;
                // When the feed has gone, the next turn says so.
                let _ = found.numbers.send(numbers);
            }
            Brought::Carried(carried) => {
                self.under_way -= 1;
                sequencer.handle_carried(&self.author, carried)?;
            }
        }
        Ok(())
    }
}

fn start_gateway(
    endpoint: String,
    sequencer: &mut Sequencer,
    commands: mpsc::Sender<HostCommand>,
    history: &History,
) -> anyhow::Result<RunningGateway> {
    let site = sequencer.site();
    let author = Author::of(site.site(), site.gateway_key()?);
    sequencer.admit_gateway(author.key())?;
    let (sender, found) = mpsc::channel(1);
    let gateway = gateway::spawn(GatewayConfig::new(endpoint));
    let writer = gateway.writer();
    let outlets = Outlets { found: sender, commands, history: history.intake() };
    tokio::spawn(gateway_feed::feed(gateway, author.key(), outlets));
    Ok(RunningGateway { author, found, writer, carried: mpsc::channel(limits::ORDERS), under_way: 0 })
}

/// Says that a port is taken before a site is founded for nothing.
fn check_free(address: SocketAddr) -> anyhow::Result<()> {
    match UdpSocket::bind(address) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
            bail!("{address} is in use by another program; stop that one or give another port with --listen")
        }
        Err(e) => bail!("cannot listen on {address}: {e}; give an address of this machine with --listen"),
    }
}

/// The address others reach this machine by, when it listens on all of them. Connecting a UDP socket sends nothing; it
/// only asks the system which of its addresses it would send from.
pub(crate) fn reachable(local: SocketAddr) -> SocketAddr {
    if !local.ip().is_unspecified() {
        return local;
    }
    let (any, beyond): (&str, &str) =
        if local.is_ipv4() { ("0.0.0.0:0", "192.0.2.1:9") } else { ("[::]:0", "[2001:db8::1]:9") };
    let outward = UdpSocket::bind(any).and_then(|s| s.connect(beyond).and_then(|()| s.local_addr()));
    let loopback =
        if local.is_ipv4() { IpAddr::from([127, 0, 0, 1]) } else { IpAddr::from([0u16, 0, 0, 0, 0, 0, 0, 1]) };
    SocketAddr::new(outward.map_or(loopback, |a| a.ip()), local.port())
}

fn name_of(dir: &std::path::Path) -> String {
    let name = dir.canonicalize().ok().and_then(|d| d.file_name().map(|n| n.to_string_lossy().into_owned()));
    let name = name.or_else(|| dir.file_name().map(|n| n.to_string_lossy().into_owned())).unwrap_or_default();
    let plain: String = name.chars().filter(|c| !c.is_control()).take(limits::GUEST_NAME_CHARS).collect();
    if plain.trim().is_empty() { "site".to_owned() } else { plain.trim().to_owned() }
}

/// A site's name as it stands in its address: without what an address cannot hold.
pub(crate) fn address_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    name.chars().map(plain).collect()
}
