//! Directories whose key is not that of the site's host: the copies of hosts that stand by for another.

use std::path::Path;
use std::sync::Arc;

use gemba_record::log::Log;
use gemba_twin::peer::PeerKey;

use crate::blobs::{BLOBS, Blobs};
use crate::disk::{Disk, FileDisk};
use crate::key_file::{self, peer_key};
use crate::problem::SiteDirError;
use crate::site_dir::own_keys::OwnKeys;
use crate::site_dir::snapshots::{SNAPSHOTS, Snapshots};
use crate::site_dir::{HOST_KEY, KeyStanding, NEXT_KEY, SiteDir, State, open_parts, repair, state};
use crate::store::Store;

impl SiteDir {
    /// As [`SiteDir::open`], of a directory whose key need not be the host's: of a host that stands by for another.
    pub fn open_copy(dir: &Path) -> Result<Self, SiteDirError> {
        Self::open_copy_on(Arc::new(FileDisk::new(dir)), &mut repair::unseen)
    }

    pub(super) fn open_copy_on(disk: Arc<dyn Disk>, progress: repair::Folded<'_>) -> Result<Self, SiteDirError> {
        let (mut store, mut snapshots, host) = open_parts(&disk)?;
        let examined = repair::examine(&mut store, &mut snapshots, &host.public(), progress)?;
        Self::with(disk, store, snapshots, host, examined)?.with_key_in_force()
    }

    /// Goes on with the host's newest key, if that is here, and lets it vouch for the record as it is.
    pub(super) fn with_key_in_force(mut self) -> Result<Self, SiteDirError> {
        let site = self.log.site().expect("a site directory is opened only with its founding entry");
        if self.host.follow(&*self.disk, site)? {
            let key = peer_key(&self.host.in_use);
            tracing::warn!(%key, "the record has replaced the host's key; this directory goes on with the new one");
            if self.is_host() && self.problems.is_empty() {
                self.sign_checkpoint()?;
            }
        }
        Ok(self)
    }

    /// Begins a copy of a site in a directory that holds a host's key and no record, with the site's first entry.
    pub fn create_copy(dir: &Path, first: &[u8]) -> Result<Self, SiteDirError> {
        let disk: Arc<dyn Disk> = Arc::new(FileDisk::new(dir));
        let host = key_file::load_or_create(&*disk, HOST_KEY)?;
        let mut log = Log::new();
        log.append(first.to_vec())?;
        let site = log.site().expect("what a log takes first founds its site").id();
        Blobs::open_on(disk.clone(), BLOBS)?;
        let snapshots = Snapshots::new(Blobs::open_on(disk.clone(), SNAPSHOTS)?);
        let store = Store::create(disk.clone(), site, first)?;
        let examined = repair::Examined { log, signed: None, problems: Vec::new() };
        Self::with(disk, store, snapshots, OwnKeys::first(host), examined)
    }

    /// Whether there is a record in this directory.
    pub fn is_site(dir: &Path) -> Result<bool, SiteDirError> {
        Ok(matches!(state(&FileDisk::new(dir))?, State::Site))
    }

    /// Whether the key in this directory is the host's. If not, this is a copy, to which only what the host has taken is
    /// added; or the host's key has been replaced or revoked ([`SiteDir::key_standing`]).
    pub fn is_host(&self) -> bool {
        self.key_standing() == KeyStanding::InForce
    }

    /// Whether this key, which the record has put in the place of ours, is here.
    pub fn has_next_key(&self, key: &PeerKey) -> bool {
        key_file::load(&*self.disk, NEXT_KEY).is_ok_and(|next| peer_key(&next) == *key)
    }

    /// Refuses to speak as the host by a key that counts no more.
    pub fn check_key(&self) -> Result<(), SiteDirError> {
        match self.key_standing() {
            KeyStanding::InForce => Ok(()),
            KeyStanding::Replaced(key) => Err(SiteDirError::KeyReplaced { dir: self.dir.clone(), key }),
            KeyStanding::Revoked => Err(SiteDirError::KeyRevoked(self.dir.clone())),
            KeyStanding::Another => Err(SiteDirError::OtherKey(self.disk.path(HOST_KEY))),
        }
    }

    /// Of a directory that is opened to be changed.
    pub(super) fn checked(self) -> Result<Self, SiteDirError> {
        let key = peer_key(&self.host.in_use);
        match self.key_standing() {
            // Also by one that counts no more: another can be brought.
            KeyStanding::InForce | KeyStanding::Replaced(_) | KeyStanding::Revoked => return Ok(self),
            KeyStanding::Another => {}
        }
        let identity = self.site().identity_of(&key).unwrap_or(key);
        match () {
            () if self.site().hosts().iter().any(|host| host.key == identity) => Err(SiteDirError::StandsBy(self.dir)),
            () => Err(SiteDirError::OtherKey(self.disk.path(HOST_KEY))),
        }
    }
}
