//! A site on disk: `site.redb` (the record), `blobs/` (files by hash) and `host.key` (the host's secret key).
//!
//! `gembad` serves one; an import tool writes into one while `gembad` is not running:
//!
//! ```
//! use gemba_host::site_dir::SiteDir;
//! use gemba_record::body::Body;
//! # fn main() -> Result<(), gemba_host::problem::SiteDirError> {
//! # let temp = tempfile::tempdir().unwrap();
//! # let (dir, file, things) = (temp.path().join("plant"), b"glTF...", Vec::new());
//! let mut site = SiteDir::open_or_create(&dir, "Plant 1")?;
//! let blob = site.put_blob(file)?;
//! let mut bodies = vec![Body::ImportModel { blob, bytes: file.len() as u64, name: "plant.glb".into() }];
//! bodies.extend(Body::add_things(blob, things));
//! site.submit_all(bodies)?;
//! # Ok(())
//! # }
//! ```
//!
//! There is no shutdown: every method that returns has left the directory as a crash would find it.

use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::checkpoint::{self, Checkpoint};
use gemba_record::entry::{EntryId, SignedEntry, SiteId};
use gemba_record::log::{Damaged, Log};
use gemba_record::refusal::Refusal;
use gemba_record::site::{Placed, Site};

use crate::blobs::Blobs;
use crate::key_file::{self, peer_key};
use crate::limits;
use crate::problem::{SiteDirError, io};
use crate::store::Store;

/// An open site directory, locked against other processes.
pub struct SiteDir {
    dir: PathBuf,
    store: Store,
    blobs: Blobs,
    log: Log,
    host: SigningKey,
    /// Set while more is folded than stored: after a commit failed.
    ahead: bool,
}

/// What became of a batch of entries.
#[derive(Debug, Default)]
pub struct Appended {
    /// One for each entry handed in, in the same order.
    pub outcomes: Vec<Result<Placed, Refusal>>,
    /// Index of the first new entry, if there is any.
    pub first: u64,
    /// The bytes of the new entries, in the order of the log.
    pub entries: Vec<Vec<u8>>,
}

impl SiteDir {
    /// Founds a site in an empty or missing directory. Its host's key is made, and owns the site.
    pub fn create(dir: &Path, name: &str) -> Result<Self, SiteDirError> {
        Self::create_with(dir, name, None)
    }

    /// Founds a site that belongs to `owner`, whose key is not kept here. The host is then a viewer of the site until
    /// the owner admits it as more.
    pub fn create_for(dir: &Path, name: &str, owner: &SigningKey) -> Result<Self, SiteDirError> {
        Self::create_with(dir, name, Some(owner))
    }

    /// Opens a site: reads its whole record and verifies every entry.
    pub fn open(dir: &Path) -> Result<Self, SiteDirError> {
        match state(dir)? {
            State::Missing => return Err(SiteDirError::Missing(dir.to_owned())),
            State::Empty | State::Other => return Err(SiteDirError::NotASite(dir.to_owned())),
            State::Site => {}
        }
        let store = Store::open(&dir.join(STORE))?;
        let host = key_file::load(&dir.join(HOST_KEY))?;
        let log = replay(&store)?;
        let site = Self { dir: dir.to_owned(), store, blobs: Blobs::open(dir.join(BLOBS))?, log, host, ahead: false };
        if site.site().host() != peer_key(&site.host) {
            return Err(SiteDirError::OtherKey(dir.join(HOST_KEY)));
        }
        Ok(site)
    }

    /// Opens the site, or founds one with this name when the directory is empty or missing.
    pub fn open_or_create(dir: &Path, name: &str) -> Result<Self, SiteDirError> {
        match state(dir)? {
            State::Missing | State::Empty => Self::create(dir, name),
            State::Site | State::Other => Self::open(dir),
        }
    }

    fn create_with(dir: &Path, name: &str, owner: Option<&SigningKey>) -> Result<Self, SiteDirError> {
        match state(dir)? {
            State::Site => return Err(SiteDirError::AlreadyASite(dir.to_owned())),
            State::Other => return Err(SiteDirError::NotASite(dir.to_owned())),
            State::Missing | State::Empty => {}
        }
        let site = SiteId(key_file::random());
        fs::create_dir_all(dir).map_err(io("create", dir))?;
        let host = key_file::load_or_create(&dir.join(HOST_KEY))?;
        let author = Author::new(owner.unwrap_or(&host).clone(), site);
        let found = Body::Found { name: name.to_owned(), host: peer_key(&host) };
        let first = author.sign(found, EntryId(key_file::random()));
        let bytes = first.bytes().to_vec();
        let mut log = Log::new();
        log.append_signed(first)?;
        let blobs = Blobs::open(dir.join(BLOBS))?;
        let store = Store::create(&dir.join(STORE), site, &bytes)?;
        Ok(Self { dir: dir.to_owned(), store, blobs, log, host, ahead: false })
    }
}

impl SiteDir {
    /// The state folded from the record.
    pub fn site(&self) -> &Site {
        self.log.site().expect("a site directory is created with its founding entry and opened only with it")
    }

    /// The record's log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The host's key.
    pub fn host_key(&self) -> &SigningKey {
        &self.host
    }

    /// The key of the gateway that runs inside this host; made on first use.
    pub fn gateway_key(&self) -> Result<SigningKey, SiteDirError> {
        key_file::load_or_create(&self.dir.join(GATEWAY_KEY))
    }

    /// Size and root of the record, signed by the host.
    pub fn checkpoint(&self) -> String {
        let origin = checkpoint::origin(self.site().id());
        Checkpoint { origin, size: self.log.entries(), root: self.log.root() }.sign(&self.host)
    }

    /// Takes entries as they came from their authors, in order, in one commit. When this returns, what was taken is
    /// on the disk. An entry that is refused does not keep the others out.
    pub fn append(&mut self, batch: Vec<Vec<u8>>) -> Result<Appended, SiteDirError> {
        self.catch_up()?;
        let mut appended = Appended { first: self.log.entries(), ..Appended::default() };
        for bytes in batch {
            let outcome = self.log.append(bytes.clone());
            if let Ok(Placed::New(_)) = outcome {
                appended.entries.push(bytes);
            }
            appended.outcomes.push(outcome);
        }
        if appended.entries.is_empty() {
            return Ok(appended);
        }
        if let Err(error) = self.store.append(appended.first, &appended.entries) {
            self.ahead = true;
            // Where this fails too, the next call tries again; the first reason is the one to tell.
            let _ = self.catch_up();
            return Err(error);
        }
        Ok(appended)
    }

    /// After a commit failed, folds anew what is on the disk.
    fn catch_up(&mut self) -> Result<(), SiteDirError> {
        if self.ahead {
            self.log = replay(&self.store)?;
            self.ahead = false;
        }
        Ok(())
    }

    /// Says something in the host's name, which owns a local site. Returns the entry's index once it is on the disk.
    pub fn submit(&mut self, body: Body) -> Result<u64, SiteDirError> {
        Ok(self.submit_all(vec![body])?.start)
    }

    /// Says several things in the host's name, in order, at most [`limits::BATCH_ENTRIES`] a commit; returns their
    /// indexes. Stops at the first that is refused; those before it stay.
    pub fn submit_all(&mut self, bodies: Vec<Body>) -> Result<std::ops::Range<u64>, SiteDirError> {
        let author = Author::new(self.host.clone(), self.site().id());
        let first = self.log.entries();
        let mut bodies = bodies.into_iter().peekable();
        while bodies.peek().is_some() {
            let entries: Vec<SignedEntry> = bodies
                .by_ref()
                .take(limits::BATCH_ENTRIES)
                .map(|body| author.sign(body, EntryId(key_file::random())))
                .collect();
            let appended = self.append(entries.into_iter().map(|e| e.into_parts().0).collect())?;
            appended.outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
        }
        Ok(first..self.log.entries())
    }

    /// Entries from `first` on, in order, exactly as their authors signed them: about [`limits::READ_BYTES`], and
    /// none at the end of the log.
    pub fn read_entries(&self, first: u64) -> Result<Vec<Vec<u8>>, SiteDirError> {
        self.store.read(first)
    }

    /// The folder of blobs, to read from elsewhere.
    pub fn blobs(&self) -> Blobs {
        self.blobs.clone()
    }

    /// Keeps a file durably and returns its hash.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<[u8; 32], SiteDirError> {
        self.blobs.put(bytes)
    }

    /// The file with this BLAKE3 hash, verified; none when it is not here.
    pub fn blob(&self, hash: &[u8; 32]) -> Result<Option<Vec<u8>>, SiteDirError> {
        self.blobs.read(hash)
    }
}

const STORE: &str = "site.redb";
const STORE_NEW: &str = "site.redb.new";
const HOST_KEY: &str = "host.key";
const HOST_KEY_NEW: &str = "host.key.new";
const GATEWAY_KEY: &str = "gateway.key";
const BLOBS: &str = "blobs";

enum State {
    Missing,
    /// Empty, or holding only what an interrupted creation leaves.
    Empty,
    Site,
    Other,
}

fn state(dir: &Path) -> Result<State, SiteDirError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(State::Missing),
        Err(e) => return Err(io("open", dir)(e)),
    };
    let mut state = State::Empty;
    for entry in entries {
        let name = entry.map_err(io("read", dir))?.file_name();
        if name == STORE {
            return Ok(State::Site);
        }
        if ![STORE_NEW, HOST_KEY, HOST_KEY_NEW, BLOBS].iter().any(|ours| name == *ours) {
            state = State::Other;
        }
    }
    Ok(state)
}

fn replay(store: &Store) -> Result<Log, SiteDirError> {
    let damaged = |index, why| SiteDirError::Damaged { path: store.path().to_owned(), source: Damaged { index, why } };
    let mut log = Log::new();
    loop {
        let index = log.entries();
        let entries = store.read(index)?;
        if entries.is_empty() {
            break;
        }
        for (index, bytes) in (index..).zip(entries) {
            match log.append(bytes) {
                Ok(Placed::New(_)) => {}
                Ok(Placed::Held(_)) => return Err(damaged(index, Refusal::IdTaken)),
                Err(why) => return Err(damaged(index, why)),
            }
        }
    }
    match log.site() {
        Some(site) if site.id() == store.site() => Ok(log),
        Some(_) => Err(damaged(0, Refusal::OtherSite)),
        None => Err(damaged(0, Refusal::NotFounded)),
    }
}
