//! The copy that a host which stands by has of its site: entry by entry what the host has, each verified and on the disk
//! before it is told of.
//!
//! A host that comes back and finds itself succeeded has a copy too, which may end in entries that its successor never
//! got. Then it holds the successor's log against its own: from the first difference on it puts its own aside, as it
//! was, and hands what stands there on to the successor as anyone hands in entries.

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use gemba_record::body::Body;
use gemba_record::entry::EntryId;
use gemba_record::site::{Placed, Site};
use gemba_twin::peer::PeerKey;

use crate::disk::{Disk, FileDisk};
use crate::key_file::{self, peer_key};
use crate::problem::{SiteDirError, io};
use crate::site_dir::{HOST_KEY, NEXT_KEY, SiteDir};
use crate::{bonding, clock};

/// What belongs to the log of a host that hosts no more.
const OF_ONE_HISTORY: [&str; 7] = ["snapshots", "site.index", "checkpoint", "final", "log", "site.record", "site.mark"];
/// What a host has published and signed; a follower has not.
const SIGNED: [&str; 3] = ["checkpoint", "final", "log"];

/// Why a copy cannot follow.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The directory.
    #[error(transparent)]
    Site(#[from] SiteDirError),
    /// The host is a liar or broken.
    #[error("entry {0} of the host's record does not hold: {1}; nothing of it is taken over from there on")]
    Refused(u64, String),
}

/// A copy of a site that grows by what its host tells.
pub struct Copy {
    dir: PathBuf,
    key: SigningKey,
    /// None before the first entry is here.
    site: Option<SiteDir>,
    /// How many entries of the host's log have been held against the copy's; none where it is known to be a part of it.
    compared: Option<u64>,
    /// What this host had taken in and its successor had not.
    tail: Vec<Vec<u8>>,
}

impl Copy {
    /// The copy in this directory, or the beginning of one.
    pub fn open(dir: &Path) -> Result<Self, SiteDirError> {
        let disk = FileDisk::new(dir);
        disk.make_folder("").map_err(io("create", dir))?;
        key_file::load_or_create(&disk, HOST_KEY)?;
        let site = if SiteDir::is_site(dir)? { Some(SiteDir::open_copy(dir)?) } else { None };
        // Opening may have put another in its place.
        let key = key_file::load(&disk, HOST_KEY)?;
        Ok(Self { dir: dir.to_owned(), key, site, compared: None, tail: Vec::new() })
    }

    /// Our key.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Whether the record has put another key in the place of ours, and that one is here.
    pub fn is_rekeyed(&self) -> bool {
        let own = peer_key(&self.key);
        let in_force = self.site().and_then(|site| site.key_of(&site.identity_of(&own)?));
        let is_here =
            |key| key_file::load(&FileDisk::new(&self.dir), NEXT_KEY).is_ok_and(|next| peer_key(&next) == key);
        in_force.is_some_and(|key| key != own && is_here(key))
    }

    /// Keys that ours has replaced.
    pub fn earlier_keys(&self) -> &[SigningKey] {
        self.site.as_ref().map_or(&[], SiteDir::earlier_keys)
    }

    /// The site, as soon as there is a first entry.
    pub fn site(&self) -> Option<&Site> {
        self.site.as_ref().map(SiteDir::site)
    }

    /// The directory with the site.
    pub fn dir(&self) -> Option<&SiteDir> {
        self.site.as_ref()
    }

    /// Entries on the disk.
    pub fn held(&self) -> u64 {
        self.site.as_ref().map_or(0, |site| site.log().entries())
    }

    /// From which entry on the host's log is wanted: from the first on where its host is another than the copy's.
    pub fn wants_from(&self) -> u64 {
        self.compared.unwrap_or(self.held())
    }

    /// The host with this key is followed now. True if its log is to be sent from the first entry on: it may differ.
    pub fn handle_host(&mut self, host: &PeerKey) -> bool {
        let is_other = self.site().is_some_and(|site| !site.is_or_was_host_key(host));
        if is_other && self.compared.is_none() {
            self.compared = Some(0);
            return true;
        }
        false
    }

    /// The host's next entries. True if its log is to be sent from the first entry on.
    pub fn take(&mut self, first: u64, mut entries: Vec<Vec<u8>>) -> Result<bool, FollowError> {
        if self.compared.is_some() {
            let (same, differs) = self.compare(first, &entries)?;
            if differs {
                self.put_aside(first + same)?;
                return Ok(true);
            }
            self.compared = Some(first + same);
            entries.drain(..usize::try_from(same).unwrap_or(usize::MAX));
        }
        if entries.is_empty() {
            return Ok(false);
        }
        self.append(entries)?;
        if self.compared.take().is_some() {
            self.retire()?;
        }
        Ok(false)
    }

    /// How many of these are the same here, and whether the next one differs.
    fn compare(&self, first: u64, entries: &[Vec<u8>]) -> Result<(u64, bool), SiteDirError> {
        let Some(site) = &self.site else { return Ok((0, false)) };
        let mut same = 0;
        while first + same < site.log().entries() && (same as usize) < entries.len() {
            for own in site.read_entries(first + same)? {
                match entries.get(same as usize) {
                    None => return Ok((same, false)),
                    Some(theirs) if *theirs != own => return Ok((same, true)),
                    Some(_) => same += 1,
                }
            }
        }
        Ok((same, false))
    }

    fn append(&mut self, entries: Vec<Vec<u8>>) -> Result<(), FollowError> {
        let refused = |at: u64, why: &dyn std::fmt::Display| FollowError::Refused(at, why.to_string());
        let mut entries = entries;
        let site = match &mut self.site {
            Some(site) => site,
            None => {
                let first = SiteDir::create_copy(&self.dir, &entries.remove(0)).map_err(|why| refused(0, &why))?;
                self.site.insert(first)
            }
        };
        let next = site.log().entries();
        let appended = site.append(entries)?;
        for (at, outcome) in (next..).zip(appended.outcomes) {
            match outcome {
                Ok(Placed::New(_)) => {}
                Ok(Placed::Held(_)) => return Err(refused(at, &"it stands in the log already")),
                Err(why) => return Err(refused(at, &why)),
            }
        }
        Ok(())
    }

    /// The log here is the beginning of the successor's. What was signed in this host's own name is not published on.
    fn retire(&mut self) -> Result<(), SiteDirError> {
        bonding::forget(&self.dir)?;
        self.set_aside(&SIGNED, &self.dir.join(format!("hosted-until-{}", self.held())))
    }

    /// The log here is another from this entry on.
    fn put_aside(&mut self, from: u64) -> Result<(), SiteDirError> {
        let Some(site) = self.site.take() else { return Ok(()) };
        let end = site.log().entries();
        let mut at = from;
        while at < end {
            let own = site.read_entries(at)?;
            at += own.len() as u64;
            self.tail.extend(own);
        }
        // The lock goes with it.
        drop(site);
        let aside = self.dir.join(format!("forked-at-{from}"));
        tracing::warn!(
            entries = end - from,
            from,
            aside = %aside.display(),
            "this host had taken entries that its successor never got; they are put aside and handed on"
        );
        bonding::forget(&self.dir)?;
        self.set_aside(&OF_ONE_HISTORY, &aside)?;
        self.compared = None;
        Ok(())
    }

    fn set_aside(&self, names: &[&str], aside: &Path) -> Result<(), SiteDirError> {
        let there: Vec<&str> = names.iter().copied().filter(|name| self.dir.join(name).exists()).collect();
        if there.is_empty() {
            return Ok(());
        }
        std::fs::create_dir_all(aside).map_err(io("create", aside))?;
        for name in there {
            let (from, to) = (self.dir.join(name), aside.join(name));
            std::fs::rename(&from, &to).map_err(io("put aside", &from))?;
        }
        key_file::sync_parent(&aside.join("any"))?;
        key_file::sync_parent(aside)
    }

    /// Entries to hand on, once.
    pub fn take_tail(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.tail)
    }

    /// Blobs that the record names and that are not here: models, then segments of history, the newest first.
    pub fn missing_blobs(&self) -> Vec<[u8; 32]> {
        let Some(dir) = &self.site else { return Vec::new() };
        let (site, blobs) = (dir.site(), dir.blobs());
        let named = site.models().iter().map(|m| m.blob).chain(site.segments().iter().rev().map(|s| s.blob));
        named.filter(|hash| !blobs.path(hash).exists()).collect()
    }

    /// This host takes over: the log's next entry says so. The site, which is its own from now on.
    pub fn succeed(self) -> Result<SiteDir, FollowError> {
        let mut site = self.site.ok_or_else(|| FollowError::Refused(0, "there is no site here yet".to_owned()))?;
        if !site.is_host() {
            let (of, epoch) = (site.site().host(), site.site().epoch() + 1);
            let author = site.author().at(clock::now());
            let entry = author.sign(Body::Succeed { of, epoch }, EntryId(key_file::random()));
            let appended = site.append(vec![entry.into_parts().0])?;
            appended.outcomes.into_iter().collect::<Result<Vec<_>, _>>().map_err(SiteDirError::from)?;
        }
        Ok(site)
    }
}
