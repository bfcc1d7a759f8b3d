//! Directories whose key is not that of the site's host: the copies of hosts that stand by for another.

use std::path::Path;
use std::sync::Arc;

use gemba_record::log::Log;

use crate::blobs::{BLOBS, Blobs};
use crate::disk::{Disk, FileDisk};
use crate::key_file::{self, peer_key};
use crate::problem::SiteDirError;
use crate::site_dir::snapshots::{SNAPSHOTS, Snapshots};
use crate::site_dir::{HOST_KEY, SiteDir, State, open_parts, repair, state};
use crate::store::Store;

impl SiteDir {
    /// As [`SiteDir::open`], of a directory whose key need not be the host's: of a host that stands by for another.
    pub fn open_copy(dir: &Path) -> Result<Self, SiteDirError> {
        Self::open_copy_on(Arc::new(FileDisk::new(dir)), &mut repair::unseen)
    }

    pub(super) fn open_copy_on(disk: Arc<dyn Disk>, progress: repair::Folded<'_>) -> Result<Self, SiteDirError> {
        let (mut store, mut snapshots, host) = open_parts(&disk)?;
        let examined = repair::examine(&mut store, &mut snapshots, &peer_key(&host), progress)?;
        Self::with(disk, store, snapshots, host, examined)
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
        Self::with(disk, store, snapshots, host, examined)
    }

    /// Whether there is a record in this directory.
    pub fn is_site(dir: &Path) -> Result<bool, SiteDirError> {
        Ok(matches!(state(&FileDisk::new(dir))?, State::Site))
    }

    /// Whether the key in this directory is the host's. If not, this is a copy, to which only what the host has taken is
    /// added.
    pub fn is_host(&self) -> bool {
        self.site().host() == peer_key(&self.host)
    }

    /// Of a directory that is opened to be changed.
    pub(super) fn checked(self) -> Result<Self, SiteDirError> {
        let key = peer_key(&self.host);
        match () {
            () if self.is_host() => Ok(self),
            () if self.site().hosts().iter().any(|host| host.key == key) => Err(SiteDirError::StandsBy(self.dir)),
            () => Err(SiteDirError::OtherKey(self.disk.path(HOST_KEY))),
        }
    }
}
