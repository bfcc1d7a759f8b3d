//! A site on disk: `site.record` (the record), `checkpoint` (the last one the host signed), `blobs/` (files by hash),
//! `snapshots/` (states to go on from), `rests` (where carried things lie, [`crate::carrying`]), `host.key` (the host's secret key)
//! and those before it.
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
//!
//! A site whose record is damaged opens up to the first damage, for reading only; [`SiteDir::problems`] says what is
//! damaged, and [`SiteDir::repair`] takes copies from a mirror.

mod commit;
mod copy;
mod own_keys;
mod repair;
mod snapshots;
pub(crate) mod verification;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::checkpoint::{self, Checkpoint};
use gemba_record::entry::{EntryId, Seen, SignedEntry, SiteId};
use gemba_record::log::Log;
use gemba_record::site::Site;
use gemba_twin::sample::Timestamp;

use crate::blobs::{BLOBS, Blobs};
use crate::clock;
use crate::disk::{Disk, FileDisk, Readers, write_whole};
use crate::key_file::{self, peer_key};
use crate::limits;
use crate::problem::{Problem, SiteDirError, io};
pub use crate::site_dir::commit::{Appended, Taken};
use crate::site_dir::own_keys::OwnKeys;
pub use crate::site_dir::own_keys::{HOST_KEY, KeyStanding, NEXT_KEY, is_earlier};
pub use crate::site_dir::snapshots::PendingSnapshot;
pub(crate) use crate::site_dir::snapshots::SNAPSHOTS;
use crate::site_dir::snapshots::Snapshots;
pub use crate::site_dir::view::SiteView;
use crate::store::{self, Store};

/// An open site directory, locked against other processes.
pub struct SiteDir {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    store: Store,
    blobs: Blobs,
    snapshots: Snapshots,
    log: Log,
    host: OwnKeys,
    /// The last checkpoint that was signed, and is on the disk.
    signed: Option<String>,
    problems: Vec<Problem>,
    /// Set while more is folded than stored: after a commit failed.
    ahead: bool,
    defers_snapshots: bool,
    pending: Option<PendingSnapshot>,
}

/// What a site begins with.
#[derive(Debug)]
pub struct Founding<'a> {
    /// What people call it.
    pub name: &'a str,
    /// Its id, which no other site may have.
    pub site: SiteId,
    /// The host's key, which is kept in the directory.
    pub host: SigningKey,
    /// Whose site it is, where that is not the host.
    pub owner: Option<&'a SigningKey>,
    /// The id of its first entry.
    pub entry: EntryId,
}

/// A signed checkpoint that is withheld until it is on the disk.
#[derive(Debug)]
#[must_use = "nobody sees the checkpoint before it is kept"]
pub struct Stated {
    disk: Arc<dyn Disk>,
    note: String,
}

impl Stated {
    /// Makes it durable, and then gives it out.
    pub fn keep(self) -> Result<String, SiteDirError> {
        let path = self.disk.path(CHECKPOINT);
        write_whole(&*self.disk, CHECKPOINT, self.note.as_bytes(), Readers::Usual).map_err(io("write", &path))?;
        Ok(self.note)
    }
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

    /// Opens a site: goes on from its newest snapshot, or where none holds reads its whole record and verifies every
    /// entry.
    pub fn open(dir: &Path) -> Result<Self, SiteDirError> {
        Self::open_on(Arc::new(FileDisk::new(dir)))
    }

    /// As [`SiteDir::open`], and tells `progress` how many entries of how many have been folded.
    pub fn open_watched(dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, SiteDirError> {
        Self::open_with(Arc::new(FileDisk::new(dir)), progress)
    }

    /// As [`SiteDir::open`], on any disk.
    pub fn open_on(disk: Arc<dyn Disk>) -> Result<Self, SiteDirError> {
        Self::open_with(disk, &mut repair::unseen)
    }

    fn open_with(disk: Arc<dyn Disk>, progress: repair::Folded<'_>) -> Result<Self, SiteDirError> {
        Self::open_copy_on(disk, progress)?.checked()
    }

    /// Opens the site, or founds one with this name when the directory is empty or missing.
    pub fn open_or_create(dir: &Path, name: &str) -> Result<Self, SiteDirError> {
        match state(&FileDisk::new(dir))? {
            State::Missing | State::Empty => Self::create(dir, name),
            State::Site | State::Other => Self::open(dir),
        }
    }

    fn create_with(dir: &Path, name: &str, owner: Option<&SigningKey>) -> Result<Self, SiteDirError> {
        let disk = FileDisk::new(dir);
        check_empty(&disk)?;
        disk.make_folder("").map_err(io("create", dir))?;
        let host = key_file::load_or_create(&disk, HOST_KEY)?;
        let (site, entry) = (SiteId(key_file::random()), EntryId(key_file::random()));
        Self::found(Arc::new(disk), Founding { name, site, host, owner, entry }, Some(clock::now()))
    }

    /// Founds a site on any disk, which is empty; at no time, which a simulation has none of.
    pub fn create_on(disk: Arc<dyn Disk>, founding: Founding<'_>) -> Result<Self, SiteDirError> {
        Self::found(disk, founding, None)
    }

    fn found(disk: Arc<dyn Disk>, founding: Founding<'_>, at: Option<Timestamp>) -> Result<Self, SiteDirError> {
        let Founding { name, site, host, owner, entry } = founding;
        check_empty(&*disk)?;
        if key_file::load(&*disk, HOST_KEY).ok().as_ref() != Some(&host) {
            key_file::keep(&*disk, HOST_KEY, &host)?;
        }
        let author = Author { clock: at, ..Author::new(owner.unwrap_or(&host).clone(), site) };
        let found = Body::Found { name: name.to_owned(), host: peer_key(&host) };
        let first = author.sign(found, entry);
        let bytes = first.bytes().to_vec();
        let mut log = Log::new();
        log.append_signed(first)?;
        Blobs::open_on(disk.clone(), BLOBS)?;
        let snapshots = Snapshots::new(Blobs::open_on(disk.clone(), SNAPSHOTS)?);
        let store = Store::create(disk.clone(), site, &bytes)?;
        let examined = repair::Examined { log, signed: None, problems: Vec::new() };
        Self::with(disk, store, snapshots, OwnKeys::first(host), examined)?.checked()
    }

    fn with(
        disk: Arc<dyn Disk>,
        store: Store,
        snapshots: Snapshots,
        host: OwnKeys,
        examined: repair::Examined,
    ) -> Result<Self, SiteDirError> {
        let repair::Examined { log, signed, problems } = examined;
        if log.site().is_none() {
            let problem = problems.into_iter().next();
            return Err(problem.map_or(SiteDirError::NoRecord(store.path().to_owned()), SiteDirError::Unreadable));
        }
        let (dir, blobs) = (disk.path(""), Blobs::open_on(disk.clone(), BLOBS)?);
        let (ahead, defers_snapshots, pending) = (false, false, None);
        Ok(Self { disk, dir, store, blobs, snapshots, log, host, signed, problems, ahead, defers_snapshots, pending })
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
        &self.host.in_use
    }

    /// Keys that the host has had before, as far as they are kept.
    pub fn earlier_keys(&self) -> &[SigningKey] {
        &self.host.earlier
    }

    /// What the record says of the host's key that is in use here.
    pub fn key_standing(&self) -> KeyStanding {
        self.host.standing(self.site())
    }

    /// The host, to say something by the key that is in use here.
    pub fn author(&self) -> Author {
        Author::of(self.site(), self.host.in_use.clone())
    }

    /// The key of the gateway that runs inside this host; made on first use.
    pub fn gateway_key(&self) -> Result<SigningKey, SiteDirError> {
        key_file::load_or_create(&*self.disk, GATEWAY_KEY)
    }

    /// What is damaged. While there is anything, nothing is added to the record, and the site is that of the entries
    /// before the first damage.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many entries can be read from the first one on: all, or those before the first that is damaged.
    pub fn readable(&self) -> u64 {
        let damaged = self.problems.iter().filter_map(|problem| match problem {
            Problem::Damaged { entries, .. } => Some(entries.start),
            _ => None,
        });
        // After a commit failed, more may be folded than is stored.
        damaged.fold(self.log.entries().min(self.store.entries()), u64::min)
    }

    /// Whether the state is that of all entries there are, also of those that cannot be read any more: what was damaged has
    /// been damaged since the site was opened.
    pub fn is_known_whole(&self) -> bool {
        self.log.entries() >= self.store.entries()
    }

    /// Something was found to be damaged since the site was opened. All of the record is looked at then, since where one
    /// thing is damaged there may be more, and from now on nothing is added to it.
    pub fn add_problem(&mut self, found: Problem) {
        let all = self.store.check().map(<[Problem]>::to_vec).unwrap_or_default();
        for problem in if all.is_empty() { vec![found] } else { all } {
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
    }

    /// How many entries the newest snapshot folds, from which the site opens; 0 while there is none.
    pub fn snapshot_entries(&self) -> u64 {
        self.snapshots.newest()
    }

    /// Commits to the state once in so many entries, in place of [`gemba_record::limits::ENTRIES_PER_STATE`]: for a
    /// simulation, whose records are short.
    pub fn set_entries_per_state(&mut self, entries: u64) {
        self.snapshots.interval = entries.max(1);
    }

    /// What a crash tore off the end of the record when the site was last in use: never acknowledged, and gone.
    pub fn dropped(&self) -> Option<&store::Dropped> {
        self.store.dropped()
    }

    /// Size and root of the record as it is here, signed by the host: for looking at. What others are shown comes from
    /// [`SiteDir::sign_checkpoint`].
    pub fn checkpoint(&self) -> String {
        let origin = checkpoint::origin(self.site().id());
        Checkpoint { origin, size: self.log.entries(), root: self.log.root() }.sign(&self.host.in_use)
    }

    /// Signs size and root of the record, for others to see. It is on the disk when this returns, so that even a crash
    /// does not make the host sign another root for the same size.
    pub fn sign_checkpoint(&mut self) -> Result<String, SiteDirError> {
        let stated = self.state_checkpoint()?;
        if self.signed.as_ref() == Some(&stated.note) {
            return Ok(stated.note);
        }
        let signed = stated.keep()?;
        self.signed = Some(signed.clone());
        Ok(signed)
    }

    /// As [`SiteDir::sign_checkpoint`], where another thread waits for the disk: nobody sees it before. What is stated
    /// later must be kept later.
    pub fn state_checkpoint(&mut self) -> Result<Stated, SiteDirError> {
        if let Some(problem) = self.problems.first() {
            return Err(SiteDirError::ReadOnly(problem.clone()));
        }
        self.catch_up()?;
        self.check_key()?;
        Ok(Stated { disk: self.disk.clone(), note: self.checkpoint() })
    }

    /// The last checkpoint that was signed for others to see.
    pub fn signed_checkpoint(&self) -> Option<&str> {
        self.signed.as_deref()
    }

    /// From now on no commit waits for a snapshot: whoever calls this asks [`SiteDir::take_snapshot`] after each.
    pub fn defer_snapshots(&mut self) {
        self.defers_snapshots = true;
    }

    /// A snapshot that is to be kept, by whatever thread has the time. A later one takes the place of one left here.
    pub fn take_snapshot(&mut self) -> Option<PendingSnapshot> {
        self.pending.take()
    }

    /// After a commit failed, folds anew what is on the disk. Until that has succeeded, [`SiteDir::site`] may know of
    /// entries that are not stored.
    pub fn catch_up(&mut self) -> Result<(), SiteDirError> {
        if self.ahead {
            let repair::Examined { log, problems, .. } =
                repair::examine(&mut self.store, &mut self.snapshots, &self.host.public(), &mut repair::unseen)?;
            (self.log, self.problems, self.ahead) = (log, problems, false);
        }
        Ok(())
    }

    /// What whoever speaks here knows of the log: all of it. None while more is folded than stored, of which nobody knows
    /// whether it will be there.
    pub fn seen(&self) -> Option<Seen> {
        (!self.ahead).then(|| Seen { size: self.log.entries(), root: self.log.root() })
    }

    /// Says something in the host's name, which owns a local site. Returns the entry's index once it is on the disk.
    pub fn submit(&mut self, body: Body) -> Result<u64, SiteDirError> {
        Ok(self.submit_all(vec![body])?.start)
    }

    /// Says several things in the host's name, in order, at most [`limits::BATCH_ENTRIES`] a commit; returns their
    /// indexes. Stops at the first that is refused; those before it stay.
    pub fn submit_all(&mut self, bodies: Vec<Body>) -> Result<std::ops::Range<u64>, SiteDirError> {
        let mut author = self.author().at(clock::now());
        let first = self.log.entries();
        let mut bodies = bodies.into_iter().peekable();
        while bodies.peek().is_some() {
            author.seen = self.seen();
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

/// File with the address the site was last served at.
pub const ADDRESS: &str = "address";
const HOST_KEY_NEW: &str = "host.key.new";
const GATEWAY_KEY: &str = "gateway.key";
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// The store of format 1.
const OLD_STORE: &str = "site.redb";

enum State {
    Missing,
    /// Empty, or holding only what an interrupted creation leaves.
    Empty,
    Site,
    Other,
}

fn state(disk: &dyn Disk) -> Result<State, SiteDirError> {
    let names = match disk.list("") {
        Ok(names) => names,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(State::Missing),
        Err(e) => return Err(io("open", &disk.path(""))(e)),
    };
    let has = |name: &str| names.iter().any(|held| held == name);
    let ours = |name: &String| {
        [HOST_KEY, HOST_KEY_NEW, BLOBS, SNAPSHOTS].iter().chain(&store::LEFTOVERS).any(|our| name == our)
    };
    match () {
        () if has(store::RECORD) => Ok(State::Site),
        () if has(OLD_STORE) => Err(SiteDirError::OldFormat(disk.path(""))),
        () if names.iter().all(ours) => Ok(State::Empty),
        () => Ok(State::Other),
    }
}

fn check_empty(disk: &dyn Disk) -> Result<(), SiteDirError> {
    match state(disk)? {
        State::Site => Err(SiteDirError::AlreadyASite(disk.path(""))),
        State::Other => Err(SiteDirError::NotASite(disk.path(""))),
        State::Missing | State::Empty => Ok(()),
    }
}

fn open_parts(disk: &Arc<dyn Disk>) -> Result<(Store, Snapshots, OwnKeys), SiteDirError> {
    match state(&**disk)? {
        State::Missing => return Err(SiteDirError::Missing(disk.path(""))),
        State::Empty | State::Other => return Err(SiteDirError::NotASite(disk.path(""))),
        State::Site => {}
    }
    let store = Store::open(disk.clone())?;
    let snapshots = Snapshots::new(Blobs::open_on(disk.clone(), SNAPSHOTS)?);
    Ok((store, snapshots, OwnKeys::load(&**disk)?))
}
