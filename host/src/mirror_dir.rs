//! A mirror as a process: its key and its copies in a directory, and its answers to HTTP requests (C2SP `tlog-mirror`).
//! Each log's copy lies in a folder named by the hash of its origin, as `tlog-tiles` has it, and is served from there.
//!
//! Left out: the decisions, which are [`gemba_record::mirror`]'s.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ed25519_dalek::SigningKey;
use gemba_record::checkpoint::SignedCheckpoint;
use gemba_record::cosignature::Cosigner;
use gemba_record::mirror::{Mirror, Step, Upload, origin_hash};
use gemba_record::note::VerifierKey;
use gemba_record::tile::{Bundle, Resource};
use gemba_record::witness::Submission;

use crate::clock;
use crate::disk::{Disk, Lock, Readers, folder_of, read_whole, write_whole};
use crate::http::{Answer, Request};
use crate::key_file;
use crate::log_files::LogFiles;
use crate::problem::{SiteDirError, io};
use crate::witness_dir::by_log;

/// A mirror with its directory.
#[derive(Debug)]
pub struct MirrorDir {
    disk: Arc<dyn Disk>,
    name: String,
    key: SigningKey,
    /// By origin.
    copies: BTreeMap<String, Copy>,
    _lock: Lock,
}

#[derive(Debug)]
struct Copy {
    log: VerifierKey,
    /// Keys of the log that this one has replaced.
    earlier: Vec<VerifierKey>,
    /// None after something could not be written, until it is restored.
    mirror: Mutex<Option<Mirror>>,
}

const KEY: &str = "mirror.key";
const LOCK: &str = "mirror.lock";

impl MirrorDir {
    /// Opens the directory of a mirror that signs under this name and holds the logs with these keys; makes it if missing.
    /// Of several keys of one log each has replaced the one before. Every entry it has is folded again.
    pub fn open(disk: Arc<dyn Disk>, name: &str, logs: &[VerifierKey]) -> Result<Self, SiteDirError> {
        disk.make_folder("").map_err(io("create", &disk.path("")))?;
        let lock = disk.lock(LOCK).map_err(|_| SiteDirError::InUse(disk.path("")))?;
        let key = key_file::load_or_create(&*disk, KEY)?;
        let mut dir = Self { disk, name: name.to_owned(), key, copies: BTreeMap::new(), _lock: lock };
        for (log, earlier) in by_log(logs) {
            let mirror = Mutex::new(Some(dir.restore(&log, &earlier)?));
            dir.copies.insert(log.name().to_owned(), Copy { log, earlier, mirror });
        }
        Ok(dir)
    }

    /// What others verify its cosignatures with.
    pub fn verifier(&self) -> Result<VerifierKey, SiteDirError> {
        Ok(self.cosigner()?.verifier().clone())
    }

    /// Entries of this log that it holds and has cosigned.
    pub fn held(&self, origin: &str) -> Option<u64> {
        let mirror = lock(&self.copies.get(origin)?.mirror);
        Some(mirror.as_ref()?.held().map_or(0, |held| held.checkpoint().size))
    }

    /// Answers one request.
    pub fn answer(&self, request: &Request) -> Answer {
        match (request.is_post, request.path.as_str()) {
            (true, "add-checkpoint") => match Submission::parse(&request.body) {
                Ok(submission) => {
                    let origin = &submission.checkpoint.checkpoint().origin;
                    self.change(origin, |mirror| mirror.handle_add_checkpoint(&request.body))
                }
                Err(error) => Answer::text(400, &error.to_string()),
            },
            (true, "add-entries") => match Upload::parse(&request.body) {
                Ok(upload) => {
                    let now_secs = u64::try_from(clock::now().0 / 1_000_000).unwrap_or(0);
                    self.change(&upload.origin, |mirror| mirror.handle_add_entries(&request.body, now_secs))
                }
                Err(error) => Answer::text(400, &error.to_string()),
            },
            (true, _) => Answer::text(404, "a mirror answers POST add-checkpoint and add-entries"),
            (false, path) => self.read(path),
        }
    }

    fn read(&self, path: &str) -> Answer {
        let here = |origin: &String| path.strip_prefix(origin_hash(origin).as_str())?.strip_prefix('/');
        match self.copies.keys().find_map(|origin| Some((origin, here(origin)?))) {
            Some((origin, path)) => LogFiles::Folder(self.disk.path(&origin_hash(origin))).answer(path),
            None => Answer::text(404, "no log that is mirrored here"),
        }
    }

    /// Lets the mirror of this log decide, makes durable what has to be, and answers.
    fn change(&self, origin: &str, decide: impl FnOnce(&mut Mirror) -> Step) -> Answer {
        let Some(copy) = self.copies.get(origin) else { return Answer::text(404, "this log is not mirrored here") };
        let mut held = lock(&copy.mirror);
        if held.is_none() {
            match self.restore(&copy.log, &copy.earlier) {
                Ok(mirror) => *held = Some(mirror),
                Err(error) => {
                    tracing::error!(%error, "the copy cannot be read again");
                    return Answer::text(500, "the mirror's copy is damaged");
                }
            }
        }
        let mirror = held.as_mut().expect("it has just been restored");
        let step = decide(mirror);
        match self.keep(origin, &step) {
            Ok(()) => step.answer.into(),
            Err(error) => {
                tracing::error!(%error, "what is mirrored cannot be kept, and so is not cosigned");
                *held = None;
                Answer::text(500, "the mirror cannot keep what it would sign")
            }
        }
    }

    fn keep(&self, origin: &str, step: &Step) -> Result<(), SiteDirError> {
        if let Some(pending) = &step.pending {
            self.write(&pending_of(origin), pending.as_bytes())?;
        }
        for file in &step.files {
            self.write(&format!("{}/{}", origin_hash(origin), file.resource), &file.bytes)?;
        }
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), SiteDirError> {
        let folder = folder_of(name);
        self.disk.make_folder(folder).map_err(io("create", &self.disk.path(folder)))?;
        write_whole(&*self.disk, name, bytes, Readers::Usual).map_err(io("write", &self.disk.path(name)))
    }

    fn restore(&self, log: &VerifierKey, earlier: &[VerifierKey]) -> Result<Mirror, SiteDirError> {
        let origin = log.name();
        let folder = origin_hash(origin);
        let text = |name: &str| -> Result<Option<String>, SiteDirError> {
            let bytes = read_whole(&*self.disk, name).map_err(io("read", &self.disk.path(name)))?;
            Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        };
        let held = text(&format!("{folder}/{}", Resource::Checkpoint))?;
        let pending = text(&pending_of(origin))?;
        let mut mirror = Mirror::restore(self.cosigner()?, log.clone(), earlier, pending.as_deref(), held.as_deref())
            .map_err(SiteDirError::Witness)?;
        let damaged = || SiteDirError::BadCopy(self.disk.path(&folder));
        let size = held.and_then(|held| SignedCheckpoint::read(&held).ok()).map_or(0, |held| held.checkpoint().size);
        let mut at = 0;
        while at < size {
            let bundle = Bundle::of(at, size).ok_or_else(damaged)?;
            let name = |bundle| format!("{folder}/{}", Resource::Entries(bundle));
            let read =
                |bundle| read_whole(&*self.disk, &name(bundle)).map_err(io("read", &self.disk.path(&name(bundle))));
            // The full one may have been written already when the machine went down.
            let (bytes, held) = match read(bundle)? {
                Some(bytes) => (bytes, bundle),
                None => (read(bundle.full())?.ok_or_else(damaged)?, bundle.full()),
            };
            let entries = held.decode(&bytes).map_err(|_| damaged())?;
            let own = entries.into_iter().take(usize::from(bundle.width())).map(<[u8]>::to_vec);
            mirror.refill(own).map_err(|_| damaged())?;
            at = bundle.end();
        }
        if mirror.is_whole() { Ok(mirror) } else { Err(damaged()) }
    }

    fn cosigner(&self) -> Result<Cosigner, SiteDirError> {
        Cosigner::new(&self.name, self.key.clone()).map_err(SiteDirError::Cosigner)
    }
}

/// Longest request a mirror takes.
pub const REQUEST_BYTES: usize = gemba_record::limits::UPLOAD_BYTES;

fn pending_of(origin: &str) -> String {
    format!("{}.pending", origin_hash(origin))
}

fn lock(mirror: &Mutex<Option<Mirror>>) -> MutexGuard<'_, Option<Mirror>> {
    mirror.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
        // What a panic left half done is read again from the disk.
        let mut held = poisoned.into_inner();
        *held = None;
        held
    })
}
