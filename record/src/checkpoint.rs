//! A signed statement of a log's size and root: a C2SP `tlog-checkpoint`, which is a `signed-note`
//! (<https://c2sp.org/tlog-checkpoint>, <https://c2sp.org/signed-note>). Verifiers made for those read it unchanged.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer, SigningKey};
use gemba_twin::peer::PeerKey;
use sha2::{Digest, Sha256};

use crate::entry::SiteId;
use crate::limits;
use crate::merkle::Hash;

/// Signature type 1 of `signed-note`: Ed25519.
const NOTE_ED25519: u8 = 1;

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

/// The origin of a site's log.
pub fn origin(site: SiteId) -> String {
    format!("gemba/site/{site}")
}

/// The key in `signed-note`'s text form `name+id+key`, for verifiers outside of Gemba.
pub fn verifier_key(origin: &str, key: &PeerKey) -> String {
    let id = key_id(origin, key);
    let id: String = id.iter().map(|b| format!("{b:02x}")).collect();
    let mut typed = vec![NOTE_ED25519];
    typed.extend_from_slice(&key.0);
    format!("{origin}+{id}+{}", BASE64.encode(typed))
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }

    /// The signed note.
    pub fn sign(&self, key: &SigningKey) -> String {
        let text = self.text();
        let mut line = key_id(&self.origin, &PeerKey(key.verifying_key().to_bytes())).to_vec();
        line.extend_from_slice(&key.sign(text.as_bytes()).to_bytes());
        format!("{text}\n\u{2014} {} {}\n", self.origin, BASE64.encode(line))
    }

    /// Reads a signed note and verifies that `key` signed it for `origin`. Lines by other signers and extension
    /// lines are passed over, as the specifications ask.
    pub fn verify(note: &str, origin: &str, key: &PeerKey) -> Result<Self, CheckpointError> {
        if note.len() > limits::CHECKPOINT_BYTES {
            return Err(CheckpointError::Form("too long"));
        }
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(CheckpointError::Form("no signatures"))?;
        let checkpoint = parse_text(text)?;
        if checkpoint.origin != origin {
            return Err(CheckpointError::Origin);
        }
        let signed = format!("{text}\n");
        verify_signature(signed.as_bytes(), signatures, origin, key)?;
        Ok(checkpoint)
    }
}

fn parse_text(text: &str) -> Result<Checkpoint, CheckpointError> {
    let mut lines = text.split('\n');
    let mut next = |what| lines.next().filter(|l| !l.is_empty()).ok_or(CheckpointError::Form(what));
    let (origin, size, root) = (next("no origin")?, next("no size")?, next("no root")?);
    let number = size.parse().map_err(|_| CheckpointError::Form("the size is no number"))?;
    if size != u64::to_string(&number) {
        return Err(CheckpointError::Form("the size is not written plainly"));
    }
    let root = BASE64.decode(root).map_err(|_| CheckpointError::Form("the root is not base64"))?;
    let root = root.try_into().map_err(|_| CheckpointError::Form("the root is not 32 bytes"))?;
    if lines.any(str::is_empty) {
        return Err(CheckpointError::Form("an empty line in the text"));
    }
    Ok(Checkpoint { origin: origin.to_owned(), size: number, root })
}

fn verify_signature(text: &[u8], lines: &str, origin: &str, key: &PeerKey) -> Result<(), CheckpointError> {
    let lines = lines.strip_suffix('\n').ok_or(CheckpointError::Form("no newline at the end"))?;
    for line in lines.split('\n') {
        let line = line.strip_prefix("\u{2014} ").ok_or(CheckpointError::Form("a broken signature line"))?;
        let (name, encoded) = line.rsplit_once(' ').ok_or(CheckpointError::Form("a broken signature line"))?;
        let bytes = BASE64.decode(encoded).map_err(|_| CheckpointError::Form("a signature is not base64"))?;
        let Some((id, signature)) = bytes.split_first_chunk::<4>() else {
            return Err(CheckpointError::Form("a signature is too short"));
        };
        if name != origin || *id != key_id(origin, key) {
            continue;
        }
        let key = crate::signature::verifying_key(key).map_err(|_| CheckpointError::Signature)?;
        let signature = Signature::from_slice(signature).map_err(|_| CheckpointError::Signature)?;
        return key.verify_strict(text, &signature).map_err(|_| CheckpointError::Signature);
    }
    Err(CheckpointError::Unsigned)
}

fn key_id(name: &str, key: &PeerKey) -> [u8; 4] {
    let hash = Sha256::new().chain_update(name).chain_update([b'\n', NOTE_ED25519]).chain_update(key.0).finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in the documentation of Go's `golang.org/x/mod/sumdb/note`, which `signed-note` specifies.
    #[test]
    fn names_and_signatures_are_those_of_the_go_implementation() {
        let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let (_, typed) = text.rsplit_once('+').unwrap();
        let key: [u8; 33] = BASE64.decode(typed).unwrap().try_into().unwrap();
        let key = PeerKey(key[1..].try_into().unwrap());
        assert_eq!(verifier_key("PeterNeumann", &key), text);
        let note = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
        let line = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        assert_eq!(verify_signature(note.as_bytes(), line, "PeterNeumann", &key), Ok(()));
        assert_eq!(verify_signature(b"else\n", line, "PeterNeumann", &key), Err(CheckpointError::Signature));
    }
}
