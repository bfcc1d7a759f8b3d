//! What a witness or mirror states about a checkpoint: a C2SP `tlog-cosignature`, version 1
//! (<https://c2sp.org/tlog-cosignature>). "At this time, the largest consistent tree of this log that I have seen has
//! this root", signed with Ed25519; a mirror's says besides that it holds all the entries.
//!
//! Here is only the signature. When one may be given is decided by [`crate::witness`] and [`crate::mirror`], and what
//! several of them are worth by [`crate::quorum`]. Left out: ML-DSA-44 and cosignatures of subtrees.

use ed25519_dalek::{Signer, SigningKey};
use gemba_twin::peer::PeerKey;

use crate::checkpoint::SignedCheckpoint;
use crate::note::{NoteError, SignatureKind, SignatureLine, VerifierKey};

/// Largest time, as the specification has it.
const LARGEST_TIME: u64 = i64::MAX as u64;

/// A key that cosigns, with its name. One key is one cosigner: the signature does not cover the name, so that a key
/// used under two names could be passed off as two.
#[derive(Debug, Clone)]
pub struct Cosigner {
    verifier: VerifierKey,
    key: SigningKey,
}

impl Cosigner {
    /// A cosigner; the name should be a URL without its scheme, and is refused where a note cannot hold it.
    pub fn new(name: &str, key: SigningKey) -> Result<Self, NoteError> {
        let public = PeerKey(key.verifying_key().to_bytes());
        Ok(Self { verifier: VerifierKey::new(name, SignatureKind::Cosignature, public)?, key })
    }

    /// What others verify its cosignatures with.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The cosignature of a checkpoint at a time in seconds since 1970. It covers the checkpoint's whole text, with
    /// extension lines, and no signatures.
    pub fn cosign(&self, checkpoint: &SignedCheckpoint, now_secs: u64) -> SignatureLine {
        let now_secs = now_secs.min(LARGEST_TIME);
        let signature = self.key.sign(message(checkpoint.note().text(), now_secs).as_bytes());
        let signature = [&now_secs.to_be_bytes()[..], &signature.to_bytes()].concat();
        SignatureLine { name: self.verifier.name().to_owned(), id: self.verifier.id(), signature }
    }
}

/// Verifies one line as the cosignature of a checkpoint by this key, and says when it was given, in seconds since 1970.
pub fn verify(cosigner: &VerifierKey, checkpoint: &SignedCheckpoint, line: &SignatureLine) -> Result<u64, NoteError> {
    if cosigner.kind() != SignatureKind::Cosignature || !cosigner.claims(line) {
        return Err(NoteError::Signature);
    }
    let (time, signature) = line.signature.split_first_chunk::<8>().ok_or(NoteError::Signature)?;
    let time_secs = u64::from_be_bytes(*time);
    if time_secs > LARGEST_TIME {
        return Err(NoteError::Signature);
    }
    cosigner.verify(message(checkpoint.note().text(), time_secs).as_bytes(), signature)?;
    Ok(time_secs)
}

fn message(text: &str, time_secs: u64) -> String {
    format!("cosignature/v1\ntime {time_secs}\n{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;

    fn checkpoint(size: u64) -> SignedCheckpoint {
        let checkpoint = Checkpoint { origin: "gemba/site/1".into(), size, root: [3; 32] };
        SignedCheckpoint::read(&checkpoint.sign(&SigningKey::from_bytes(&[1; 32]))).unwrap()
    }

    #[test]
    fn a_cosignature_holds_for_its_checkpoint_time_and_key_only() {
        let witness = Cosigner::new("witness.example/w1", SigningKey::from_bytes(&[2; 32])).unwrap();
        let line = witness.cosign(&checkpoint(5), 1_679_315_147);
        assert_eq!(line.signature.len(), 72);
        assert_eq!(verify(witness.verifier(), &checkpoint(5), &line), Ok(1_679_315_147));
        assert!(verify(witness.verifier(), &checkpoint(6), &line).is_err());
        let other = Cosigner::new("witness.example/w1", SigningKey::from_bytes(&[4; 32])).unwrap();
        assert!(verify(other.verifier(), &checkpoint(5), &line).is_err());
        let mut later = line.clone();
        later.signature[7] += 1;
        assert!(verify(witness.verifier(), &checkpoint(5), &later).is_err());
        for at in 0..8 * line.signature.len() {
            let mut flipped = line.clone();
            flipped.signature[at / 8] ^= 1 << (at % 8);
            assert!(verify(witness.verifier(), &checkpoint(5), &flipped).is_err(), "bit {at}");
        }
    }

    #[test]
    fn a_logs_signature_is_no_cosignature_even_by_the_same_key() {
        let checkpoint = checkpoint(5);
        let line = &checkpoint.note().signatures()[0];
        let key = PeerKey(SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes());
        let log = VerifierKey::new("gemba/site/1", SignatureKind::Log, key).unwrap();
        assert!(verify(&log, &checkpoint, line).is_err());
        let cosigner = VerifierKey::new("gemba/site/1", SignatureKind::Cosignature, key).unwrap();
        assert!(verify(&cosigner, &checkpoint, line).is_err());
    }

    #[test]
    fn a_time_beyond_the_specification_is_never_written() {
        let witness = Cosigner::new("w", SigningKey::from_bytes(&[2; 32])).unwrap();
        assert_eq!(
            verify(witness.verifier(), &checkpoint(1), &witness.cosign(&checkpoint(1), u64::MAX)),
            Ok(LARGEST_TIME)
        );
    }
}
