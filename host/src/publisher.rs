//! Publishes a site's log as static files, C2SP `tlog-tiles` (<https://c2sp.org/tlog-tiles>), in the folder `log/` of
//! the site's directory: `log/checkpoint`, `log/tile/…`, `log/tile/entries/…`. Any web server can serve them.
//!
//! [`Publisher::publish`] takes a checkpoint that the site has stated, makes it durable, writes the tiles under it, and
//! last the checkpoint. So whoever reads a checkpoint finds every tile of it; a crash anywhere leaves the checkpoint
//! before, and never two for one size. Each file is written whole under another name and renamed; a full tile is never
//! written again. What narrower tiles a full one replaces is deleted, as the specification allows.
//!
//! It reads the record by itself, beside the store, and so needs nothing of the thread that takes entries.
//!
//! Left out: serving the files, which any web server does.

use std::sync::{Arc, Mutex, PoisonError};

use gemba_record::checkpoint::{SignedCheckpoint, origin};
use gemba_record::entry::SiteId;
use gemba_record::merkle::{Hash, leaf_hash};
use gemba_record::note::{SignatureKind, VerifierKey};
use gemba_record::policy::SitePolicy;
use gemba_record::tile::{Bundle, Resource, Tile, TileEdge, WIDTH};
use gemba_twin::peer::PeerKey;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::disk::{Disk, FileDisk, Readers, folder_of, read_whole, write_whole};
use crate::key_file::peer_key;
use crate::limits;
use crate::notary::Seeking;
use crate::problem::{SiteDirError, io};
use crate::sequencer::Sequencer;
use crate::site_dir::{SiteDir, Stated};
use crate::store::Reader;

/// The folder of published files in a site's directory.
pub const LOG: &str = "log";

/// The file of the published checkpoint. It is replaced by a newer one, or by the same with more signatures. Clones are
/// the same file.
#[derive(Debug, Clone)]
pub struct CheckpointFile {
    disk: Arc<dyn Disk>,
    /// Entries of the one that is there.
    size: Arc<Mutex<u64>>,
}

impl CheckpointFile {
    /// Writes it, unless a newer one is there by now.
    pub fn put(&self, signed: &SignedCheckpoint) -> Result<(), SiteDirError> {
        // Held while the file is written, so that no older one comes after a newer.
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        if signed.checkpoint().size < *size {
            return Ok(());
        }
        self.disk.make_folder(LOG).map_err(io("create", &self.disk.path(LOG)))?;
        write_whole(&*self.disk, CHECKPOINT, signed.to_string().as_bytes(), Readers::Usual)
            .map_err(io("write", &self.disk.path(CHECKPOINT)))?;
        *size = signed.checkpoint().size;
        Ok(())
    }
}

/// Writes the published files of one site.
#[derive(Debug)]
pub struct Publisher {
    disk: Arc<dyn Disk>,
    file: CheckpointFile,
    site: SiteId,
    log: VerifierKey,
    reader: Reader,
    edge: TileEdge,
    /// The entries of the bundle that is not full.
    bundle: Vec<Vec<u8>>,
    /// The newest published checkpoint; none while nothing is published that holds.
    newest: Option<SignedCheckpoint>,
}

impl Publisher {
    /// A publisher of the site on this disk, whose host has this key. What is published already stays, if it holds: by this
    /// key, or by one of the `earlier` ones that it has replaced.
    pub fn open(disk: Arc<dyn Disk>, site: SiteId, host: PeerKey, earlier: &[PeerKey]) -> Result<Self, SiteDirError> {
        let verifier = |key: PeerKey| VerifierKey::new(&origin(site), SignatureKind::Log, key);
        let log = verifier(host).map_err(|_| SiteDirError::NoLogKey)?;
        let path = disk.path(CHECKPOINT);
        let note = read_whole(&*disk, CHECKPOINT).map_err(io("read", &path))?;
        let note = note.and_then(|note| String::from_utf8(note).ok());
        let mut logs = std::iter::once(log.clone()).chain(earlier.iter().filter_map(|key| verifier(*key).ok()));
        let newest = note.and_then(|note| logs.find_map(|log| SignedCheckpoint::open(&note, &log).ok()));
        let reader = Reader::new(disk.clone(), site);
        let size = newest.as_ref().map_or(0, |newest| newest.checkpoint().size);
        let file = CheckpointFile { disk: disk.clone(), size: Arc::new(Mutex::new(size)) };
        Ok(Self { disk, file, site, log, reader, edge: TileEdge::default(), bundle: Vec::new(), newest })
    }

    /// The file of the published checkpoint, for who has more signatures for it.
    pub fn checkpoint_file(&self) -> CheckpointFile {
        self.file.clone()
    }

    /// The newest published checkpoint.
    pub fn newest(&self) -> Option<&SignedCheckpoint> {
        self.newest.as_ref()
    }

    /// Publishes the log up to this checkpoint. After an error the files are as they were, but for some tiles that the
    /// next call writes again.
    pub fn publish(&mut self, stated: Stated) -> Result<&SignedCheckpoint, SiteDirError> {
        let note = stated.keep()?;
        let signed = SignedCheckpoint::open(&note, &self.log)?;
        let (size, root) = (signed.checkpoint().size, signed.checkpoint().root);
        if let Some(newest) = &self.newest {
            let (held, held_root) = (newest.checkpoint().size, newest.checkpoint().root);
            if size < held || size == held && root != held_root {
                return Err(SiteDirError::Published { published: held, size });
            }
        }
        if self.write_tiles(size, root).is_err() {
            // The record may have been mended since, and lie otherwise in its file: all is made anew from it.
            self.begin_anew();
            if let Err(error) = self.write_tiles(size, root) {
                self.begin_anew();
                return Err(error);
            }
        }
        self.file.put(&signed)?;
        Ok(self.newest.insert(signed))
    }

    fn begin_anew(&mut self) {
        (self.edge, self.bundle) = (TileEdge::default(), Vec::new());
        self.reader = Reader::new(self.disk.clone(), self.site);
    }

    fn write_tiles(&mut self, size: u64, root: Hash) -> Result<(), SiteDirError> {
        let published = self.newest.as_ref().map_or(0, |newest| newest.checkpoint().size);
        self.take_entries(size, published)?;
        if self.edge.root() != root {
            return Err(SiteDirError::Published { published, size });
        }
        for (tile, bytes) in self.edge.partial() {
            self.write(Resource::Hashes(tile), &bytes)?;
        }
        match Bundle::of(size.saturating_sub(1), size).filter(|bundle| bundle.width() < WIDTH) {
            Some(bundle) => self.write_bundle(bundle),
            None => Ok(()),
        }
    }

    /// Reads entries up to `size` and writes the tiles and bundles that they fill. Those that a published checkpoint
    /// covers are there already; they are read again after a restart, 1,000,000 in a second or two.
    fn take_entries(&mut self, size: u64, published: u64) -> Result<(), SiteDirError> {
        while self.reader.next() < size {
            for entry in self.reader.read(size)? {
                let mut filled = Vec::new();
                self.edge.push(leaf_hash(&entry), |tile, bytes| filled.push((tile, bytes)));
                self.bundle.push(entry);
                let end = self.edge.size();
                if self.bundle.len() == usize::from(WIDTH) {
                    let bundle = Bundle::of(end - 1, end).expect("a log has its own last entry");
                    if end > published || !self.is_there(Resource::Entries(bundle)) {
                        self.write_bundle(bundle)?;
                        self.drop_narrower(Resource::Entries(bundle))?;
                    }
                    self.bundle.clear();
                }
                for (tile, bytes) in filled {
                    self.write_full(tile, &bytes, end > published)?;
                }
            }
        }
        Ok(())
    }

    fn write_full(&self, tile: Tile, bytes: &[u8], is_new: bool) -> Result<(), SiteDirError> {
        let resource = Resource::Hashes(tile);
        if is_new || !self.is_there(resource) {
            self.write(resource, bytes)?;
            self.drop_narrower(resource)?;
        }
        Ok(())
    }

    fn write_bundle(&self, bundle: Bundle) -> Result<(), SiteDirError> {
        let entries = self.bundle.iter().map(Vec::as_slice);
        let bytes = Bundle::encode(entries).expect("the record takes no entry that does not fit into a bundle");
        self.write(Resource::Entries(bundle), &bytes)
    }

    fn write(&self, resource: Resource, bytes: &[u8]) -> Result<(), SiteDirError> {
        let name = name(resource);
        self.folder(folder_of(&name))?;
        write_whole(&*self.disk, &name, bytes, Readers::Usual).map_err(io("write", &self.disk.path(&name)))
    }

    fn folder(&self, folder: &str) -> Result<(), SiteDirError> {
        self.disk.make_folder(folder).map_err(io("create", &self.disk.path(folder)))
    }

    fn is_there(&self, resource: Resource) -> bool {
        self.disk.size(&name(resource)).is_ok()
    }

    /// Deletes what was published of a tile or bundle before it was full.
    fn drop_narrower(&self, full: Resource) -> Result<(), SiteDirError> {
        let folder = format!("{}.p", name(full));
        // Where there is no such folder, nothing narrower was published.
        for narrower in self.disk.list(&folder).unwrap_or_default() {
            let name = format!("{folder}/{narrower}");
            self.disk.remove(&name).map_err(io("remove", &self.disk.path(&name)))?;
        }
        Ok(())
    }
}

fn name(resource: Resource) -> String {
    format!("{LOG}/{resource}")
}

/// The published checkpoint.
pub(crate) const CHECKPOINT: &str = "log/checkpoint";

/// The thread that publishes for a running host, and when it is due.
pub(crate) struct Publishing {
    stated: mpsc::Sender<(Stated, Option<SitePolicy>)>,
    tick: tokio::time::Interval,
    /// Entries of the newest checkpoint that was handed over.
    handed: u64,
}

impl Publishing {
    /// Starts to publish this site.
    pub(crate) fn start(site: &SiteDir) -> Result<Self, SiteDirError> {
        // Files of its own: those of the store stay open as the store needs them.
        let disk = Arc::new(FileDisk::new(site.dir()));
        let (host, earlier): (_, Vec<_>) =
            (peer_key(site.host_key()), site.earlier_keys().iter().map(peer_key).collect());
        let mut publisher = Publisher::open(disk, site.site().id(), host, &earlier)?;
        let (stated, mut waiting) = mpsc::channel::<(Stated, Option<SitePolicy>)>(1);
        let seeking = Seeking::start(site, publisher.checkpoint_file())?;
        std::thread::Builder::new()
            .name("publisher".to_owned())
            .spawn(move || {
                while let Some((stated, policy)) = waiting.blocking_recv() {
                    match publisher.publish(stated) {
                        Ok(published) => seeking.seek(published.clone(), policy),
                        Err(error) => tracing::error!(%error, "the newest checkpoint is not published"),
                    }
                }
                seeking.stop();
            })
            .map_err(io("start a thread for", site.dir()))?;
        let mut tick = tokio::time::interval(limits::PUBLISH_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { stated, tick, handed: 0 })
    }

    /// Ready once in [`limits::PUBLISH_EVERY`].
    pub(crate) async fn due(&mut self) {
        self.tick.tick().await;
    }

    /// Hands over a checkpoint of what is new, if there is anything and the one before has been published.
    pub(crate) fn offer(&mut self, sequencer: &mut Sequencer) {
        let entries = sequencer.site().log().entries();
        let is_whole = sequencer.site().problems().is_empty();
        // What an heir does not have yet it may replace.
        if entries == self.handed || !is_whole || !sequencer.shows_all() {
            return;
        }
        let Ok(permit) = self.stated.try_reserve() else { return };
        match sequencer.state_checkpoint() {
            Ok(stated) => {
                permit.send((stated, sequencer.site().site().policy().cloned()));
                self.handed = entries;
            }
            Err(error) => tracing::error!(%error, "no checkpoint can be stated"),
        }
    }
}
