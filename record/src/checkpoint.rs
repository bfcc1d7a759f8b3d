//! A signed statement of a log's size and root: a C2SP `tlog-checkpoint`, which is a `signed-note`
//! (<https://c2sp.org/tlog-checkpoint>, [`crate::note`]). Verifiers made for those read it unchanged.
//!
//! [`Signer`] makes them for a host, so that it never signs two roots for one size; cosignatures by others are in
//! [`crate::cosignature`].

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use gemba_twin::peer::PeerKey;

use crate::entry::SiteId;
use crate::limits;
use crate::merkle::Hash;
use crate::note::{self, Note, NoteError, SignatureKind, SignatureLine, VerifierKey};

/// Size and root of a log at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log, and the name of the key that signs for it.
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// Root of their Merkle tree.
    pub root: Hash,
}

/// A note that has the form of a checkpoint, with all its lines: what is passed on, cosigned and kept as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

/// A text that is no checkpoint signed by the expected key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not of the form.
    #[error("not a checkpoint: {0}")]
    Form(&'static str),
    /// For another log.
    #[error("the checkpoint is of another log")]
    Origin,
    /// No signature by the expected key.
    #[error("the checkpoint is not signed by the expected key")]
    Unsigned,
    /// A signature that claims the expected key and is wrong.
    #[error("the checkpoint's signature is wrong")]
    Signature,
}

impl From<NoteError> for CheckpointError {
    fn from(error: NoteError) -> Self {
        match error {
            NoteError::Form(why) => Self::Form(why),
            NoteError::Name | NoteError::Key(_) | NoteError::Signature => Self::Signature,
        }
    }
}

/// The origin of a site's log.
pub fn origin(site: SiteId) -> String {
    format!("gemba/site/{site}")
}

/// The key in `signed-note`'s text form `name+id+key`, for verifiers outside of Gemba.
pub fn verifier_key(origin: &str, key: &PeerKey) -> String {
    note::key_text(origin, SignatureKind::Log, key)
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }

    /// Reads the text of a checkpoint. Extension lines may follow and are passed over; no signature is looked at.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        if text.len() > limits::CHECKPOINT_BYTES {
            return Err(CheckpointError::Form("too long"));
        }
        let text = text.strip_suffix('\n').ok_or(CheckpointError::Form("no newline at the end"))?;
        let mut lines = text.split('\n');
        let mut next = |what| lines.next().filter(|l| !l.is_empty()).ok_or(CheckpointError::Form(what));
        let (origin, size, root) = (next("no origin")?, next("no size")?, next("no root")?);
        let size = plain_number(size).ok_or(CheckpointError::Form("the size is no plain number"))?;
        let root = hash_from_base64(root).ok_or(CheckpointError::Form("the root is not 32 bytes in base64"))?;
        if lines.any(str::is_empty) {
            return Err(CheckpointError::Form("an empty line in the text"));
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// The signed note. The origin must be one that [`origin`] makes, or as fit for a key's name.
    pub fn sign(&self, key: &SigningKey) -> String {
        let text = self.text();
        let line = SignatureLine {
            name: self.origin.clone(),
            id: note::key_id(&self.origin, SignatureKind::Log, &PeerKey(key.verifying_key().to_bytes())),
            signature: key.sign(text.as_bytes()).to_bytes().to_vec(),
        };
        format!("{text}\n{line}")
    }

    /// Reads a signed note and verifies that `key` signed it for `origin`. Lines by other signers and extension
    /// lines are passed over, as the specifications ask.
    pub fn verify(note: &str, origin: &str, key: &PeerKey) -> Result<Self, CheckpointError> {
        let log = VerifierKey::new(origin, SignatureKind::Log, *key)?;
        SignedCheckpoint::open(note, &log).map(|signed| signed.checkpoint)
    }
}

impl SignedCheckpoint {
    /// Reads a note that has the form of a checkpoint, and verifies nothing.
    pub fn read(note: &str) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        Ok(Self { checkpoint: Checkpoint::parse(note.text())?, note })
    }

    /// Reads a note and verifies that the log's key signed it for its origin, which is the key's name.
    pub fn open(note: &str, log: &VerifierKey) -> Result<Self, CheckpointError> {
        let signed = Self::read(note)?;
        signed.verify(log)?;
        Ok(signed)
    }

    /// Verifies that the log's key signed it for its origin, which is the key's name.
    pub fn verify(&self, log: &VerifierKey) -> Result<(), CheckpointError> {
        if self.checkpoint.origin != log.name() {
            return Err(CheckpointError::Origin);
        }
        // A cosigner's key has another id, so that its lines are never taken for the log's.
        let line = self.note.signatures().iter().find(|l| log.kind() == SignatureKind::Log && log.claims(l));
        let line = line.ok_or(CheckpointError::Unsigned)?;
        Ok(log.verify(self.note.text().as_bytes(), &line.signature)?)
    }

    /// What it states.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The text that is signed, with extension lines where there are any, and all signatures.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Adds a line, in place of an earlier one by the same key.
    pub fn add(&mut self, line: SignatureLine) {
        self.note.add(line);
    }

    /// The same checkpoint with only the lines that claim to be by one of these keys.
    pub fn only(&self, keys: &[&VerifierKey]) -> Self {
        Self { checkpoint: self.checkpoint.clone(), note: self.note.only(keys) }
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

/// A host's hand on the pen: signs one root for each size and sizes that only grow, not even otherwise across a crash.
///
/// [`Signer::state`] gives what is to be signed and withholds the signature; the caller makes the record durable and
/// then takes the note out with [`Statement::signed`]. A host that restarts hands the newest record to
/// [`Signer::restore`]. Before the first statement after a restart it should also ask its tree whether the root at
/// [`Signer::last`]'s size is still that one: a store that lost or changed entries is repaired from a mirror, not
/// signed.
///
/// The record has to be written as a whole or not at all (a transaction, or a file renamed into place). A statement
/// whose record could not be written is dropped; the signer then still refuses another root for that size, which errs
/// on the safe side.
#[derive(Debug)]
pub struct Signer {
    origin: String,
    key: SigningKey,
    last: Option<Checkpoint>,
}

/// What is about to be signed: the record to make durable, and the note withheld until then.
#[derive(Debug)]
#[must_use = "the record is to be made durable before the note is taken out"]
pub struct Statement {
    record: String,
    note: String,
}

/// Why nothing is signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// Smaller than before.
    #[error("the log has {size} entries but {stated} were signed for: restore it from a mirror")]
    Shrunk {
        /// Entries the log has now.
        size: u64,
        /// Entries of the newest checkpoint.
        stated: u64,
    },
    /// Another root for the same size.
    #[error("another root was signed for {0} entries: the log was changed, restore it from a mirror")]
    Forked(u64),
    /// Not what a signer recorded for this log.
    #[error("the signer's record is damaged or of another log ({0}): restore it, or the log could be signed twice")]
    Record(CheckpointError),
    /// An origin that cannot be a key's name, or a weak key.
    #[error("the log cannot be signed for: {0}")]
    Key(NoteError),
}

impl Signer {
    /// A signer for a log that was never signed for. With a record, use [`Signer::restore`].
    pub fn new(origin: &str, key: SigningKey) -> Result<Self, SignerError> {
        let public = PeerKey(key.verifying_key().to_bytes());
        VerifierKey::new(origin, SignatureKind::Log, public).map_err(SignerError::Key)?;
        Ok(Self { origin: origin.to_owned(), key, last: None })
    }

    /// The signer as it was when this record was written.
    pub fn restore(origin: &str, key: SigningKey, record: &str) -> Result<Self, SignerError> {
        let last = Checkpoint::parse(record).map_err(SignerError::Record)?;
        if last.origin != origin {
            return Err(SignerError::Record(CheckpointError::Origin));
        }
        if last.text() != record {
            return Err(SignerError::Record(CheckpointError::Form("more than was written")));
        }
        Ok(Self { last: Some(last), ..Self::new(origin, key)? })
    }

    /// The newest statement, signed or about to be.
    pub fn last(&self) -> Option<&Checkpoint> {
        self.last.as_ref()
    }

    /// Prepares the checkpoint of a log with this size and root. The same one again is prepared again.
    pub fn state(&mut self, size: u64, root: Hash) -> Result<Statement, SignerError> {
        match &self.last {
            Some(last) if size < last.size => return Err(SignerError::Shrunk { size, stated: last.size }),
            Some(last) if size == last.size && root != last.root => return Err(SignerError::Forked(size)),
            _ => {}
        }
        let checkpoint = Checkpoint { origin: self.origin.clone(), size, root };
        let statement = Statement { record: checkpoint.text(), note: checkpoint.sign(&self.key) };
        self.last = Some(checkpoint);
        Ok(statement)
    }
}

impl Statement {
    /// What is to be durable first, in place of the record before it.
    pub fn record(&self) -> &str {
        &self.record
    }

    /// The signed note: the record is durable.
    pub fn signed(self) -> String {
        self.note
    }
}

/// A number as the specifications write it: digits only, no leading zero but in `0`.
pub(crate) fn plain_number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// 32 bytes in base64.
pub(crate) fn hash_from_base64(text: &str) -> Option<Hash> {
    // 44 characters is what 32 bytes take; longer ones are not even decoded.
    (text.len() == 44).then(|| BASE64.decode(text).ok())??.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::new("gemba/site/1", SigningKey::from_bytes(&[7; 32])).unwrap()
    }

    #[test]
    fn a_signer_never_states_another_root_nor_a_smaller_size() {
        let mut signer = signer();
        let first = signer.state(3, [1; 32]).unwrap();
        assert_eq!(signer.state(3, [2; 32]).unwrap_err(), SignerError::Forked(3));
        assert_eq!(signer.state(2, [2; 32]).unwrap_err(), SignerError::Shrunk { size: 2, stated: 3 });
        let record = first.record().to_owned();
        let note = first.signed();
        assert_eq!(signer.state(3, [1; 32]).unwrap().signed(), note, "the same again is the same note");
        // A crash after the record was written, whether or not the note went out.
        let key = SigningKey::from_bytes(&[7; 32]);
        let mut signer = Signer::restore("gemba/site/1", key, &record).unwrap();
        assert_eq!(signer.state(3, [2; 32]).unwrap_err(), SignerError::Forked(3));
        assert_eq!(signer.state(3, [1; 32]).unwrap().signed(), note);
        assert_eq!(signer.state(4, [2; 32]).unwrap().record(), signer.last().unwrap().text());
    }

    #[test]
    fn a_torn_or_foreign_record_is_no_permission_to_sign() {
        let record = signer().state(30, [1; 32]).unwrap().record().to_owned();
        for broken in [&record[..record.len() - 1], "", &record.replace("site/1", "site/2"), &format!("{record}x\n")] {
            assert!(Signer::restore("gemba/site/1", SigningKey::from_bytes(&[7; 32]), broken).is_err(), "{broken}");
        }
    }
}
