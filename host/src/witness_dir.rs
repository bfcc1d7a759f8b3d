//! A witness as a process: its key and what it cosigned in a directory, and its answers to HTTP requests (C2SP
//! `tlog-witness`). What an answer says is on the disk before it leaves. Where a log is caught with two roots for one
//! size, both checkpoints are kept as evidence.
//!
//! Left out: the decisions, which are [`gemba_record::witness`]'s.

use std::sync::{Arc, Mutex, PoisonError};

use gemba_record::cosignature::Cosigner;
use gemba_record::mirror::origin_hash;
use gemba_record::note::VerifierKey;
use gemba_record::witness::{Evidence, Step, Witness};

use crate::clock;
use crate::disk::{Disk, Lock, Readers, read_whole, write_whole};
use crate::http::{Answer, Request};
use crate::key_file;
use crate::problem::{SiteDirError, io};

/// A witness with its directory.
#[derive(Debug)]
pub struct WitnessDir {
    disk: Arc<dyn Disk>,
    witness: Mutex<Witness>,
    _lock: Lock,
}

const KEY: &str = "witness.key";
const LOCK: &str = "witness.lock";

impl WitnessDir {
    /// Opens the directory of a witness that signs under this name and watches the logs with these keys; makes it if
    /// missing. Of several keys of one log each has replaced the one before.
    pub fn open(disk: Arc<dyn Disk>, name: &str, logs: &[VerifierKey]) -> Result<Self, SiteDirError> {
        disk.make_folder("").map_err(io("create", &disk.path("")))?;
        let lock = disk.lock(LOCK).map_err(|_| SiteDirError::InUse(disk.path("")))?;
        let key = key_file::load_or_create(&*disk, KEY)?;
        let mut witness = Witness::new(Cosigner::new(name, key).map_err(SiteDirError::Cosigner)?);
        for (log, earlier) in by_log(logs) {
            let file = record_of(log.name());
            let record = read_whole(&*disk, &file).map_err(io("read", &disk.path(&file)))?;
            let record = record.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            witness.watch(log, &earlier, record.as_deref()).map_err(SiteDirError::Witness)?;
        }
        Ok(Self { disk, witness: Mutex::new(witness), _lock: lock })
    }

    /// What others verify its cosignatures with.
    pub fn verifier(&self) -> VerifierKey {
        self.witness().verifier().clone()
    }

    /// Answers one request.
    pub fn answer(&self, request: &Request) -> Answer {
        if !request.is_post || request.path != "add-checkpoint" {
            return Answer::text(404, "a witness answers POST add-checkpoint");
        }
        // Held until the record is durable, so that records are written in the order they were given.
        let mut witness = self.witness();
        let now_secs = u64::try_from(clock::now().0 / 1_000_000).unwrap_or(0);
        match witness.handle_add_checkpoint(&request.body, now_secs) {
            Step::Answer(answer, evidence) => {
                if let Some(evidence) = evidence {
                    self.keep(&evidence);
                }
                answer.into()
            }
            Step::Persist(persist) => {
                let file = record_of(persist.origin());
                match write_whole(&*self.disk, &file, persist.record().as_bytes(), Readers::Usual) {
                    Ok(()) => persist.done().into(),
                    Err(error) => {
                        tracing::error!(%error, "what is cosigned cannot be kept, and so is not cosigned");
                        Answer::text(500, "the witness cannot keep what it would sign")
                    }
                }
            }
        }
    }

    fn keep(&self, evidence: &Evidence) {
        let stated = evidence.offered.checkpoint();
        tracing::error!(origin = stated.origin, size = stated.size, "a log signed two roots for one size");
        let stem = format!("fork-{}-{}", origin_hash(&stated.origin), stated.size);
        for (which, signed) in [("held", &evidence.held), ("offered", &evidence.offered)] {
            let (name, note) = (format!("{stem}-{which}"), signed.to_string());
            if let Err(error) = write_whole(&*self.disk, &name, note.as_bytes(), Readers::Usual) {
                tracing::error!(%error, name, note, "the evidence cannot be kept");
            }
        }
    }

    fn witness(&self) -> std::sync::MutexGuard<'_, Witness> {
        // A witness changes only what it is about to sign for, which errs on the safe side after a panic too.
        self.witness.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last key that each log has, with those before it.
pub(crate) fn by_log(keys: &[VerifierKey]) -> Vec<(VerifierKey, Vec<VerifierKey>)> {
    let mut logs: Vec<(VerifierKey, Vec<VerifierKey>)> = Vec::new();
    for key in keys {
        match logs.iter_mut().find(|(log, _)| log.name() == key.name()) {
            Some((log, earlier)) => earlier.push(std::mem::replace(log, key.clone())),
            None => logs.push((key.clone(), Vec::new())),
        }
    }
    logs
}

fn record_of(origin: &str) -> String {
    format!("{}.checkpoint", origin_hash(origin))
}
