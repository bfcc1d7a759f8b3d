//! A witness with a disk of its own, which loses power like any other.

use std::sync::Arc;

use gemba_host::disk::{Disk, Readers, SimulatedDisk};
use gemba_record::checkpoint::{SignedCheckpoint, origin};
use gemba_record::cosignature::Cosigner;
use gemba_record::note::{SignatureKind, VerifierKey};
use gemba_record::witness::{Step, Witness};
use gemba_twin::peer::PeerKey;

use crate::model::{Violation, ensure};
use crate::speech::{SITE, secret};

const RECORD: &str = "record";

/// A witness of the one site.
pub(crate) struct WitnessNode {
    number: usize,
    pub(crate) disk: SimulatedDisk,
    host: PeerKey,
    witness: Witness,
    /// Whether it forgets to make durable what it cosigns.
    pub(crate) forgets: bool,
    /// What it has cosigned and let others see.
    cosigned: Vec<SignedCheckpoint>,
}

impl WitnessNode {
    pub(crate) fn new(number: usize, seed: u64, host: PeerKey) -> Self {
        let disk = SimulatedDisk::new(seed);
        let witness = watching(number, host, None);
        Self { number, disk, host, witness, forgets: false, cosigned: Vec::new() }
    }

    pub(crate) fn verifier(&self) -> VerifierKey {
        self.witness.verifier().clone()
    }

    /// The answer to a request: a line, or the size from which it would go on. None when the witness says nothing.
    pub(crate) fn handle(&mut self, body: &str, now_secs: u64) -> Result<Option<Result<String, u64>>, Violation> {
        match self.witness.handle_add_checkpoint(body.as_bytes(), now_secs) {
            Step::Answer(answer, evidence) => {
                ensure(evidence.is_none(), || "a witness holds evidence against the host".to_owned())?;
                let size = (answer.status == 409).then(|| answer.body.trim().parse().ok()).flatten();
                Ok(size.map(Err))
            }
            Step::Persist(persist) => {
                if !self.forgets && keep(&self.disk, persist.record()).is_err() {
                    // The power went. Nothing was said.
                    self.restart();
                    return Ok(None);
                }
                let record = SignedCheckpoint::read(persist.record()).expect("a witness keeps checkpoints");
                let other = |held: &SignedCheckpoint| {
                    let (a, b) = (held.checkpoint(), record.checkpoint());
                    a.size == b.size && a.root != b.root
                };
                ensure(!self.cosigned.iter().any(other), || "a witness cosigned two roots for one size".to_owned())?;
                self.cosigned.push(record);
                Ok(Some(Ok(persist.done().body)))
            }
        }
    }

    /// The power goes and comes back.
    pub(crate) fn restart(&mut self) {
        self.disk.crash();
        let record = self.disk.read(RECORD, 0, usize::MAX).ok();
        let record = record.map(|bytes| String::from_utf8(bytes).expect("a record is replaced whole or not at all"));
        self.witness = watching(self.number, self.host, record.as_deref());
    }
}

fn watching(number: usize, host: PeerKey, record: Option<&str>) -> Witness {
    let cosigner = Cosigner::new(&format!("witness.example/{number}"), secret(100 + number as u8, 0));
    let mut witness = Witness::new(cosigner.expect("a name that a note can hold"));
    let log = VerifierKey::new(&origin(SITE), SignatureKind::Log, host).expect("a log's key");
    witness.watch(log, &[], record).expect("its own record");
    witness
}

/// Replaces the record, durably.
fn keep(disk: &SimulatedDisk, record: &str) -> std::io::Result<()> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    disk.create("record.new", Readers::Usual)?;
    disk.write("record.new", 0, record.as_bytes())?;
    disk.sync("record.new")?;
    disk.rename("record.new", RECORD)?;
    disk.sync_folder("")
}
