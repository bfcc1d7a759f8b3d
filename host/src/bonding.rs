//! A host's bond with its heir, at work: hears the heir, writes down what must outlive this process, and asks a silent
//! heir whether it has taken over. What it all means is decided by [`crate::succession`].

use std::path::{Path, PathBuf};
use std::time::Instant;

use gemba_net::{Address, HostCommand, PeerNumber, address_of, serves};
use gemba_record::site::Site;
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::Timestamp;
use tokio::task::JoinHandle;

use crate::limits;
use crate::problem::SiteDirError;
use crate::sequencer::Sequencer;
use crate::succession::{Bond, Consent, Told};
use crate::{clock, key_file};

/// The file in which the bond stands while there is one: the heir's key and how many entries it held.
const BOND: &str = "site.bond";

/// A host's bond with its heir.
#[derive(Debug)]
pub(crate) struct Bonding {
    consent: Consent,
    path: PathBuf,
    kept: Instant,
    may_take: bool,
    asking: Option<JoinHandle<Option<bool>>>,
    asked: Option<Instant>,
}

impl Bonding {
    /// That of the site in this directory; none when an operator vouches that no other host serves.
    pub(crate) fn open(dir: &Path, is_alone: bool) -> Result<Self, SiteDirError> {
        let path = dir.join(BOND);
        if is_alone {
            forget(dir)?;
        }
        let bond = std::fs::read_to_string(&path).ok().and_then(|text| parse(&text));
        let (consent, now) = (Consent::new(bond), Instant::now());
        Ok(Self { consent, path, kept: now, may_take: true, asking: None, asked: None })
    }

    /// Tells the sequencer what it may do now.
    pub(crate) fn apply(&mut self, sequencer: &mut Sequencer) {
        let may_take = self.consent.may_take(Instant::now());
        if may_take != self.may_take {
            self.may_take = may_take;
            if may_take {
                tracing::info!("the host that stands by is heard again: entries are taken");
            } else {
                tracing::warn!(
                    "the host that stands by is silent and may have taken over: entries wait until it is heard; if it \
                     is off for good, start gembad with --alone"
                );
            }
        }
        sequencer.handle_consent(may_take, self.consent.shown());
    }

    /// A host that stands by has spoken. The answer, if it is to take over one day.
    pub(crate) fn handle(
        &mut self,
        (peer, identity): (PeerNumber, PeerKey),
        (held, heard, leaves): (u64, Option<Timestamp>, bool),
        sequencer: &Sequencer,
    ) -> Result<Option<HostCommand>, SiteDirError> {
        let (now, at) = (Instant::now(), clock::now());
        // A time that has not come yet was never said by us: our clock was set back, and nothing is known.
        let ago = |heard: Timestamp| u64::try_from(at.micros_since(heard)).ok().map(std::time::Duration::from_micros);
        let told = Told { peer: identity, held, heard: heard.and_then(ago), leaves };
        let site = sequencer.site();
        let heir = site.site().heir().map(|heir| heir.key);
        let reply = self.consent.handle(now, told, heir, site.log().entries());
        if reply.is_news {
            match self.consent.bond() {
                Some(bond) => tracing::info!(heir = %bond.heir.short(), "another host stands by"),
                None => tracing::info!(heir = %identity.short(), "the host that stood by has left"),
            }
        }
        if reply.is_news || now.saturating_duration_since(self.kept) >= limits::BOND_KEPT {
            self.keep()?;
            self.kept = now;
        }
        Ok(reply.counts.then_some(HostCommand::StandsBy { peer, at }))
    }

    fn keep(&self) -> Result<(), SiteDirError> {
        match self.consent.bond() {
            Some(Bond { heir, held, .. }) => {
                key_file::write_whole(&self.path, format!("{heir} {held}\n").as_bytes(), false)
            }
            None => forget(self.path.parent().unwrap_or(Path::new(""))),
        }
    }

    /// Ready with the host that has taken over, if one has: asked now and then while the heir is silent.
    pub(crate) async fn taken_over(&mut self, site: &Site, name: &str, key: &ed25519_dalek::SigningKey) -> Address {
        loop {
            if let Some(asking) = &mut self.asking {
                let heir = self.consent.bond().map(|bond| bond.heir);
                let answer = asking.await.ok().flatten();
                self.asking = None;
                if answer == Some(true)
                    && let Some(at) = heir.and_then(|heir| place_of(site, name, &heir))
                {
                    return at;
                }
            }
            let Some(bond) = self.consent.bond() else { return std::future::pending().await };
            let due = self.asked.map_or(Instant::now(), |asked| asked + limits::SUCCESSOR_ASKED);
            tokio::time::sleep_until(due.into()).await;
            if self.consent.may_take(Instant::now()) {
                tokio::time::sleep(limits::SUCCESSOR_ASKED).await;
                continue;
            }
            self.asked = Some(Instant::now());
            let Some(at) = place_of(site, name, &bond.heir) else { return std::future::pending().await };
            let key = key.clone();
            self.asking = Some(tokio::spawn(async move { serves(&at, &key, limits::SUCCESSOR_ASKED).await }));
        }
    }
}

/// From now on nobody is bound: this host has been succeeded, or an operator vouches that nobody else serves.
pub(crate) fn forget(dir: &Path) -> Result<(), SiteDirError> {
    let path = dir.join(BOND);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(crate::problem::io("delete", &path)(e)),
        Err(_) => Ok(()),
        Ok(()) => key_file::sync_parent(&path),
    }
}

fn parse(text: &str) -> Option<Bond> {
    let (heir, held) = text.trim_end().split_once(' ')?;
    Some(Bond::of(heir.parse().ok()?, held.parse().ok()?))
}

/// Where a named host is reached.
fn place_of(site: &Site, name: &str, identity: &PeerKey) -> Option<Address> {
    let named = site.hosts().iter().find(|host| host.key == *identity)?;
    address_of(&named.place, name, site.key_of(identity)?)
}

/// Where the site's hosts are reached but the one whose key this is: the one that hosts now first.
pub(crate) fn others(site: &Site, name: &str, own: &PeerKey) -> Vec<Address> {
    let own = site.identity_of(own);
    let others = site.reachable_hosts().into_iter().filter(|(_, named)| Some(named.key) != own);
    others.filter_map(|(key, named)| address_of(&named.place, name, key)).collect()
}
