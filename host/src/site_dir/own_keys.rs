//! The secret keys of a site's host, as they lie in its directory:
//!
//! - `host.key`: the one in use,
//! - `host.key.next`: the one that was promised, or is about to be brought: best kept elsewhere until it is needed,
//! - `host.key.0`, `host.key.1`, …: those before, by their numbers. They sign nothing any more, and are shown to who comes
//!   with an address from their time. They can be deleted; then such addresses lead nowhere.
//!
//! Which of them counts the record says. Where it has replaced the key in use by the one in `host.key.next`, that one takes
//! its place ([`OwnKeys::follow`]), whenever the directory is opened: so a replacement that a crash broke off is finished.

use ed25519_dalek::SigningKey;
use gemba_record::site::Site;
use gemba_twin::peer::PeerKey;

use crate::disk::Disk;
use crate::key_file::{self, peer_key};
use crate::problem::{SiteDirError, io};

/// File with the host's secret key.
pub const HOST_KEY: &str = "host.key";
/// File with the key that comes next.
pub const NEXT_KEY: &str = "host.key.next";
/// File with the one after that, which the record has a promise of.
const AFTER_NEXT: &str = "host.key.next.next";

/// What the record says of the key in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStanding {
    /// It is the host's key.
    InForce,
    /// This one has replaced it.
    Replaced(PeerKey),
    /// It was revoked, and no other has come.
    Revoked,
    /// It never was the host's.
    Another,
}

/// A host's keys.
#[derive(Debug, Clone)]
pub(super) struct OwnKeys {
    pub(super) in_use: SigningKey,
    pub(super) earlier: Vec<SigningKey>,
}

impl OwnKeys {
    /// Those of a host that has had no other.
    pub(super) fn first(in_use: SigningKey) -> Self {
        Self { in_use, earlier: Vec::new() }
    }

    /// Those in this directory.
    pub(super) fn load(disk: &dyn Disk) -> Result<Self, SiteDirError> {
        let in_use = key_file::load(disk, HOST_KEY)?;
        let names = disk.list("").map_err(io("read", &disk.path("")))?;
        let earlier = names.iter().filter(|name| is_earlier(name));
        // One that cannot be read any more is one that nobody is shown.
        let earlier = earlier.filter_map(|name| key_file::load(disk, name).ok()).collect();
        Ok(Self { in_use, earlier })
    }

    /// The public halves, the one in use first.
    pub(super) fn public(&self) -> Vec<PeerKey> {
        std::iter::once(&self.in_use).chain(self.earlier.iter().rev()).map(peer_key).collect()
    }

    /// What the site's record says of the key in use.
    pub(super) fn standing(&self, site: &Site) -> KeyStanding {
        let own = peer_key(&self.in_use);
        match site.host_key() {
            Some(key) if key == own => KeyStanding::InForce,
            _ if !site.is_or_was_host_key(&own) => KeyStanding::Another,
            Some(key) => KeyStanding::Replaced(key),
            None => KeyStanding::Revoked,
        }
    }

    /// Goes on with the key that has replaced the one in use, of this site's host or of one that stands by for it, if that
    /// is here. True if it has.
    pub(super) fn follow(&mut self, disk: &dyn Disk, site: &Site) -> Result<bool, SiteDirError> {
        let own = peer_key(&self.in_use);
        let Some(identity) = site.identity_of(&own) else { return Ok(false) };
        let keys = site.peer(&identity).map(|peer| &peer.keys);
        let (Some(number), Some(in_force)) =
            (keys.and_then(|keys| keys.all().iter().position(|key| *key == own)), site.key_of(&identity))
        else {
            return Ok(false);
        };
        let next = key_file::load(disk, NEXT_KEY).ok().filter(|next| peer_key(next) == in_force);
        let Some(next) = next else { return Ok(false) };
        if in_force != own {
            key_file::keep(disk, &format!("{HOST_KEY}.{number}"), &self.in_use)?;
            key_file::keep(disk, HOST_KEY, &next)?;
            let before = std::mem::replace(&mut self.in_use, next);
            // A replacement that was broken off may have kept it already.
            if !self.earlier.contains(&before) {
                self.earlier.push(before);
            }
        }
        // It is in use: what lies there from now on is the one after it.
        let moved = match disk.size(AFTER_NEXT) {
            Ok(_) => disk.rename(AFTER_NEXT, NEXT_KEY),
            Err(_) => disk.remove(NEXT_KEY),
        };
        moved.and_then(|()| disk.sync_folder("")).map_err(io("move", &disk.path(NEXT_KEY)))?;
        Ok(in_force != own)
    }
}

/// Whether a file of this name holds a key that the host had before.
pub fn is_earlier(name: &str) -> bool {
    let number = name.strip_prefix(HOST_KEY).and_then(|rest| rest.strip_prefix('.'));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}
