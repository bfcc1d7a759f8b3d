//! `gembad` while it stands by for a site's host: follows it as a peer, has on its disk what it has, and takes over when
//! the host counts on it and has been silent for long enough.
//!
//! It listens from the start at the place where it will serve, and sends everyone away at once: so who has lost the host
//! and tries here finds it open within a moment of its taking over.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use gemba_net::{
    Address, BlobHash, HostPort, Link, LinkCommand, LinkConfig, LinkEvent, LinkState, ListenConfig, connect,
};
use gemba_record::site::Site;
use gemba_twin::peer::PeerKind;
use gemba_twin::sample::Timestamp;

use crate::following::Copy;
use crate::key_file::peer_key;
use crate::limits;
use crate::site_dir::SiteDir;
use crate::succession::Watch;
use crate::{bonding, daemon::DaemonConfig};

/// How often the link is listened to: a part of what a taking over costs.
const LISTEN_EVERY: Duration = Duration::from_millis(10);

/// A host that stands by.
pub struct StandBy {
    copy: Copy,
    port: HostPort,
    address: Address,
    /// Whom to follow, the likeliest first.
    hosts: Vec<Address>,
    link: Link,
    watch: Watch,
    heard: Option<Timestamp>,
    /// When the host was last told what is here, and what.
    told: Option<(Instant, u64)>,
    /// When to follow anew after a refusal.
    again: Option<Instant>,
    /// Entries of the host's log when it welcomed us: before they are here, what the record says of hosts may be long past.
    expected: u64,
    /// With how many entries all files were here that the record names.
    complete: u64,
    looked: Instant,
    fetching: Option<BlobHash>,
    unavailable: BTreeSet<[u8; 32]>,
    handing: Handing,
}

/// Entries on their way to the successor.
#[derive(Debug, Default)]
struct Handing {
    /// The next one last.
    waiting: Vec<Vec<u8>>,
    sent: usize,
    taken: usize,
    refused: Vec<String>,
}

/// How standing by ends.
pub enum End {
    /// It was asked to stop.
    Stopped,
    /// It hosts the site from now on.
    TakesOver(Box<SiteDir>, HostPort),
    /// The record has replaced its key: it begins anew with the other one, at this address.
    Rekeyed(SocketAddr),
}

impl StandBy {
    /// Follows one of these hosts, and listens.
    pub async fn start(
        config: &DaemonConfig,
        copy: Copy,
        hosts: Vec<Address>,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let first = hosts.first().context("the record names no other host to follow; give one with --stand-by")?;
        let (signing_key, site) = (copy.key().clone(), first.site.clone());
        let own = peer_key(&signing_key);
        let earlier_keys = copy.earlier_keys().to_vec();
        let listening = ListenConfig { address: config.listen, signing_key, earlier_keys, site: site.clone() };
        let port = gemba_net::stand_by(listening).await?;
        let address: Address =
            format!("gemba://{}/{site}#{own}", crate::daemon::reachable(port.local_addr())).parse()?;
        tracing::info!(host = %first, key = %own, "stands by; an owner names this host with gembactl record hosts");
        let (link, now) = (follow(&copy, &hosts), Instant::now());
        Ok(Self {
            copy,
            port,
            address,
            hosts,
            link,
            watch: Watch::new(patience),
            heard: None,
            told: None,
            again: None,
            expected: 0,
            complete: 0,
            looked: now,
            fetching: None,
            unavailable: BTreeSet::new(),
            handing: Handing::default(),
        })
    }

    /// Where it will be reached.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Follows until `stop` is ready or it takes over.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<End> {
        tokio::pin!(stop);
        let mut tick = tokio::time::interval(LISTEN_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                _ = tick.tick() => {}
            }
            if tokio::task::block_in_place(|| self.step(Instant::now()))? {
                return self.succeed();
            }
            if self.has_new_key() {
                let listen = self.port.local_addr();
                tokio::task::block_in_place(|| drop(self.link));
                let _ = tokio::time::timeout(limits::FAREWELL, self.port.close()).await;
                return Ok(End::Rekeyed(listen));
            }
        }
        // A full queue is one of a host that is gone.
        let _ = self.link.send(LinkCommand::StandBy { held: self.copy.held(), heard: self.heard, leaves: true });
        tokio::task::block_in_place(|| drop(self.link));
        let _ = tokio::time::timeout(limits::FAREWELL, self.port.close()).await;
        Ok(End::Stopped)
    }

    /// Whether the record has replaced our key, and the other one is here.
    fn has_new_key(&self) -> bool {
        self.copy.held() >= self.expected && self.copy.is_rekeyed()
    }

    /// Takes over, whoever hosts now.
    pub fn succeed(self) -> anyhow::Result<End> {
        let Self { copy, port, link, .. } = self;
        // No good-bye that takes its time: others wait.
        std::thread::spawn(move || drop(link));
        let site = tokio::task::block_in_place(|| copy.succeed())?;
        tracing::warn!(epoch = site.site().epoch(), entries = site.log().entries(), "this host takes over");
        port.open();
        Ok(End::TakesOver(Box::new(site), port))
    }

    /// Hears the host and speaks to it; true when it is time to take over.
    fn step(&mut self, now: Instant) -> anyhow::Result<bool> {
        while let Some(event) = self.link.poll() {
            self.handle(event, now)?;
        }
        if self.again.is_some_and(|at| now >= at) {
            self.follow_anew();
        }
        if now.saturating_duration_since(self.looked) >= limits::SUCCESSOR_ASKED {
            self.looked = now;
            self.fetch_next();
        }
        self.tell(now);
        self.hand_on();
        let own = peer_key(self.copy.key());
        let is_own = |site: &Site| site.heir().is_some_and(|heir| site.identity_of(&own) == Some(heir.key));
        let is_heir = self.copy.site().is_some_and(is_own);
        Ok(is_heir && self.watch.deadline().is_some_and(|deadline| now >= deadline))
    }

    fn handle(&mut self, event: LinkEvent, now: Instant) -> anyhow::Result<()> {
        match event {
            LinkEvent::State(LinkState::Refused { why }) => {
                tracing::warn!(why, "the host refuses to be followed; tried again");
                self.again = Some(now + limits::FOLLOW_RETRY);
            }
            LinkEvent::State(LinkState::Lost { why, .. }) => tracing::debug!(why, "the host is lost"),
            LinkEvent::Welcome { entries, .. } => {
                self.expected = entries;
                self.told = None;
                let Some(host) = self.link.host() else { return Ok(()) };
                if self.copy.site().is_some_and(|site| !site.is_or_was_host_key(&host.key)) {
                    self.watch.handle_other_host();
                }
                if self.copy.handle_host(&host.key) {
                    tracing::info!(%host, "another host has taken over; its log is held against ours");
                    self.follow_anew();
                }
            }
            LinkEvent::Entries { first, entries } => {
                if self.copy.take(first, entries)? {
                    self.handing.waiting.extend(self.copy.take_tail().into_iter().rev());
                    self.follow_anew();
                } else {
                    self.note_hosts();
                }
            }
            LinkEvent::StandsBy { at } => {
                if self.watch.deadline().is_none() {
                    tracing::info!("the host counts on this one");
                    self.told = None;
                }
                self.heard = Some(at);
                self.watch.handle_counted(now);
            }
            LinkEvent::Answer { outcome, .. } => self.handing.handle_answer(outcome),
            LinkEvent::BlobDone { hash, bytes } => {
                self.fetching = None;
                if let Some(dir) = self.copy.dir() {
                    dir.put_blob(&bytes).with_context(|| format!("the file {hash} cannot be kept"))?;
                }
                self.fetch_next();
            }
            LinkEvent::BlobFailed { hash, why } => {
                tracing::debug!(why, "a file of the site is not to be had");
                self.fetching = None;
                self.unavailable.insert(hash.0);
            }
            _ => {}
        }
        Ok(())
    }

    fn follow_anew(&mut self) {
        self.link = follow(&self.copy, &self.hosts);
        (self.again, self.fetching, self.told) = (None, None, None);
    }

    /// Whom to follow, as the record says.
    fn note_hosts(&mut self) {
        let Some(site) = self.copy.site().filter(|_| self.copy.held() >= self.expected) else { return };
        let hosts = bonding::others(site, &self.address.site, &peer_key(self.copy.key()));
        if !hosts.is_empty() && hosts != self.hosts {
            self.hosts = hosts;
            // A full queue has room the next time: the record is told of again after a reconnect.
            let _ = self.link.send(LinkCommand::Hosts(self.hosts.clone()));
        }
    }

    /// Says what is here, now and then and whenever it is more.
    fn tell(&mut self, now: Instant) {
        let held = self.copy.held();
        let is_due = self
            .told
            .is_none_or(|(at, told)| told != held || now.saturating_duration_since(at) >= limits::STAND_BY_WORDS);
        if is_due && self.link.send(LinkCommand::StandBy { held, heard: self.heard, leaves: false }).is_ok() {
            self.told = Some((now, held));
        }
    }

    fn fetch_next(&mut self) {
        let held = self.copy.held();
        if self.fetching.is_some() || self.complete == held {
            return;
        }
        let next = self.copy.missing_blobs().into_iter().find(|hash| !self.unavailable.contains(hash));
        let Some(hash) = next.map(BlobHash) else {
            self.complete = held;
            return;
        };
        if self.link.send(LinkCommand::Fetch { hash, metres: 0.0, kept: Vec::new() }).is_ok() {
            self.fetching = Some(hash);
        }
    }

    /// Hands on what the successor never got, as soon as all of its log is here: some of it may have come to it meanwhile.
    fn hand_on(&mut self) {
        let handing = &mut self.handing;
        while let Some(entry) = handing.waiting.pop() {
            let submission = handing.sent as u64;
            if self.link.send(LinkCommand::Submit { submission, entry: entry.clone() }).is_err() {
                return handing.waiting.push(entry);
            }
            handing.sent += 1;
        }
    }
}

impl Handing {
    fn handle_answer(&mut self, outcome: Result<u64, String>) {
        match outcome {
            Ok(_) => self.taken += 1,
            Err(why) => self.refused.push(why),
        }
        if self.taken + self.refused.len() < self.sent || !self.waiting.is_empty() {
            return;
        }
        let Self { taken, refused, .. } = std::mem::take(self);
        tracing::warn!(taken, refused = refused.len(), "the successor has answered what was handed on");
        for why in refused {
            tracing::warn!(why, "an entry that was handed on is not in the record; it lies with what was put aside");
        }
    }
}

fn follow(copy: &Copy, hosts: &[Address]) -> Link {
    let mut link = connect(LinkConfig {
        address: hosts[0].clone(),
        signing_key: copy.key().clone(),
        name: "a host that stands by".to_owned(),
        kind: PeerKind::Host,
        entries_held: copy.wants_from(),
    });
    // The queue is new and empty.
    let _ = link.send(LinkCommand::Hosts(hosts.to_vec()));
    link
}
