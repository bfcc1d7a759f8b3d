//! Proof that an entry is in a log, in one file that is verified offline: C2SP `tlog-proof`
//! (<https://c2sp.org/tlog-proof>), usually named `NAME.tlog-proof`. It holds the entry's index, an inclusion proof and
//! a signed checkpoint with its cosignatures; the entry itself goes with it.
//!
//! From an entry to a verified file:
//!
//! ```
//! use ed25519_dalek::SigningKey;
//! use gemba_record::checkpoint::{Checkpoint, SignedCheckpoint};
//! use gemba_record::cosignature::Cosigner;
//! use gemba_record::merkle::{Tree, leaf_hash};
//! use gemba_record::note::{SignatureKind, VerifierKey};
//! use gemba_record::proof_file::ProofFile;
//! use gemba_record::quorum::{Members, Policy};
//! use gemba_twin::peer::PeerKey;
//!
//! // The host has a log of three entries, states it, and has a witness cosign.
//! let mut tree = Tree::default();
//! for entry in ["found", "add tank", "add pump"] {
//!     tree.push(leaf_hash(entry.as_bytes()));
//! }
//! let host_key = SigningKey::from_bytes(&[1; 32]);
//! let stated = Checkpoint { origin: "gemba/site/1".into(), size: 3, root: tree.root() };
//! let mut signed = SignedCheckpoint::read(&stated.sign(&host_key))?;
//! let witness = Cosigner::new("witness.example/w1", SigningKey::from_bytes(&[2; 32]))?;
//! signed.add(witness.cosign(&signed, 1_700_000_000));
//!
//! // A file for entry 1.
//! let proof = tree.inclusion(1, 3).ok_or("no such entry")?;
//! let file = ProofFile { extra: None, index: 1, proof, checkpoint: signed }.to_string();
//!
//! // Whoever knows the host's and the witness's key verifies it, with no network.
//! let host = VerifierKey::new("gemba/site/1", SignatureKind::Log, PeerKey(host_key.verifying_key().to_bytes()))?;
//! let witnesses = Members { keys: vec![witness.verifier().clone()], needed: 1 };
//! let policy = Policy::new(host, witnesses, Members::default())?;
//! let file = ProofFile::parse(file.as_bytes())?;
//! assert!(file.verify_final(b"add tank", &policy).is_ok());
//! assert!(file.verify_final(b"add bomb", &policy).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::checkpoint::{CheckpointError, SignedCheckpoint, plain_number};
use crate::limits;
use crate::merkle::{Hash, leaf_hash, verify_inclusion};
use crate::note::VerifierKey;
use crate::quorum::{Policy, QuorumError, Standing};
use crate::witness::hashes_from_lines;

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Index, inclusion proof and checkpoint. Its text form is the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    /// Opaque to everyone who does not know what it is for. Nothing proves it.
    pub extra: Option<Vec<u8>>,
    /// Which entry.
    pub index: u64,
    /// From the leaf's sibling up to the root's child.
    pub proof: Vec<Hash>,
    /// The log's signed statement, with cosignatures.
    pub checkpoint: SignedCheckpoint,
}

/// Why a file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFileError {
    /// Not of the form.
    #[error("not a proof file: {0}")]
    Form(&'static str),
    /// Its checkpoint is not by the log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The hashes do not lead from the entry to the root.
    #[error("the proof is of another entry, or was altered")]
    Inclusion,
    /// A cosignature that is wrong.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// Cosigned by too few.
    #[error("not final: cosigned by {} witnesses and {} mirrors, which the policy finds too few", .0.witnesses.len(), .0.mirrors.len())]
    NotFinal(Box<Standing>),
}

impl ProofFile {
    /// Reads a file of at most [`limits::PROOF_FILE_BYTES`]. Nothing is verified.
    pub fn parse(file: &[u8]) -> Result<Self, ProofFileError> {
        const FORM: fn(&'static str) -> ProofFileError = ProofFileError::Form;
        if file.len() > limits::PROOF_FILE_BYTES {
            return Err(FORM("too long"));
        }
        let file = str::from_utf8(file).map_err(|_| FORM("not UTF-8"))?;
        let (head, checkpoint) = file.split_once("\n\n").ok_or(FORM("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(FORM("it does not begin with c2sp.org/tlog-proof@v1"));
        }
        let extra = match lines.next_if(|line| line.starts_with("extra ")) {
            Some(line) => Some(BASE64.decode(&line["extra ".len()..]).map_err(|_| FORM("the extra is not base64"))?),
            None => None,
        };
        let index = lines.next().and_then(|line| plain_number(line.strip_prefix("index ")?));
        let index = index.ok_or(FORM("no line with the index"))?;
        let proof = hashes_from_lines(lines)?;
        Ok(Self { extra, index, proof, checkpoint: SignedCheckpoint::read(checkpoint)? })
    }

    /// Verifies that the log with this key stated that the entry is in it.
    pub fn verify(&self, entry: &[u8], log: &VerifierKey) -> Result<(), ProofFileError> {
        self.checkpoint.verify(log)?;
        let stated = self.checkpoint.checkpoint();
        match verify_inclusion(&leaf_hash(entry), self.index, stated.size, &self.proof, &stated.root) {
            true => Ok(()),
            false => Err(ProofFileError::Inclusion),
        }
    }

    /// As [`ProofFile::verify`], and that enough witnesses and mirrors cosigned it. Says who did.
    pub fn verify_final(&self, entry: &[u8], policy: &Policy) -> Result<Standing, ProofFileError> {
        self.verify(entry, policy.log())?;
        let standing = policy.judge(&self.checkpoint)?;
        match standing.covers(self.index) {
            true => Ok(standing),
            false => Err(ProofFileError::NotFinal(Box::new(standing))),
        }
    }
}

impl fmt::Display for ProofFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", BASE64.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", BASE64.encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}
