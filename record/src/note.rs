//! Texts with signatures below them: C2SP `signed-note` (<https://c2sp.org/signed-note>), the form of checkpoints and
//! cosignatures. Reading a [`Note`] verifies nothing; [`VerifierKey::verify`] does, one line at a time.
//!
//! Left out: every kind of signature but the two of Ed25519 that Gemba makes. Lines of other kinds are passed over, as
//! the specification asks.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use gemba_twin::peer::PeerKey;
use sha2::{Digest, Sha256};

use crate::limits;

/// What a signature says, as the type byte of `signed-note` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureKind {
    /// Type 1: Ed25519 over the text. A log's own signature.
    Log,
    /// Type 4: Ed25519 over time and text (`tlog-cosignature`). A witness's or mirror's.
    Cosignature,
}

/// A key with the name it signs under, and for what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifierKey {
    name: String,
    kind: SignatureKind,
    key: PeerKey,
}

/// One signature below a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    /// Who signed, in its own words.
    pub name: String,
    /// First four bytes of a hash over name, kind and key: tells which of several keys of one name.
    pub id: [u8; 4],
    /// What the kind makes of it.
    pub signature: Vec<u8>,
}

/// A text with its signatures, none of them verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// With its last newline.
    text: String,
    signatures: Vec<SignatureLine>,
}

/// What is no note, no key, or no signature by that key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not of the form.
    #[error("not a signed note: {0}")]
    Form(&'static str),
    /// A name with spaces, `+` or nothing in it.
    #[error("a key's name may not be empty nor have spaces, '+' or control characters in it")]
    Name,
    /// Not of the form `name+id+key`, or of a kind not known here.
    #[error("not a verifier key: {0}")]
    Key(&'static str),
    /// Made by another key, or over another text.
    #[error("the signature is wrong")]
    Signature,
}

impl SignatureKind {
    fn byte(self) -> u8 {
        match self {
            Self::Log => 1,
            Self::Cosignature => 4,
        }
    }
}

impl VerifierKey {
    /// A key under a name; refused when the name cannot stand in a note, or the key proves nothing.
    pub fn new(name: &str, kind: SignatureKind, key: PeerKey) -> Result<Self, NoteError> {
        if !is_key_name(name) {
            return Err(NoteError::Name);
        }
        strong_key(&key)?;
        Ok(Self { name: name.to_owned(), kind, key })
    }

    /// The name it signs under; a log's origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its signatures say.
    pub fn kind(&self) -> SignatureKind {
        self.kind
    }

    /// The key itself.
    pub fn key(&self) -> PeerKey {
        self.key
    }

    /// What its lines carry beside the name.
    pub fn id(&self) -> [u8; 4] {
        key_id(&self.name, self.kind, &self.key)
    }

    /// Whether this line claims to be by this key. The claim is not verified.
    pub fn claims(&self, line: &SignatureLine) -> bool {
        line.name == self.name && line.id == self.id()
    }

    /// Whether these are 64 bytes that this key signed `message` with, strictly (no weak key, one form a signature).
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), NoteError> {
        let signature = Signature::from_slice(signature).map_err(|_| NoteError::Signature)?;
        strong_key(&self.key)?.verify_strict(message, &signature).map_err(|_| NoteError::Signature)
    }
}

/// `name+id+key`, as verifiers outside of Gemba read it.
impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(&self.name, self.kind, &self.key))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(typed)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("it has the form name+id+key"));
        };
        if typed.len() > 64 {
            return Err(NoteError::Key("it is too long"));
        }
        let typed = BASE64.decode(typed).map_err(|_| NoteError::Key("it is not base64"))?;
        let (kind, key) = typed.split_first().ok_or(NoteError::Key("it is empty"))?;
        let kind = match kind {
            1 => SignatureKind::Log,
            4 => SignatureKind::Cosignature,
            _ => return Err(NoteError::Key("only Ed25519 (types 1 and 4) is known here")),
        };
        let key = PeerKey(key.try_into().map_err(|_| NoteError::Key("it is not 32 bytes"))?);
        let key = Self::new(name, kind, key)?;
        if id != hexadecimal(key.id()) {
            return Err(NoteError::Key("its id belongs to another key"));
        }
        Ok(key)
    }
}

impl SignatureLine {
    /// Reads one line, without its newline.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        const BROKEN: NoteError = NoteError::Form("a broken signature line");
        let (name, encoded) = line.strip_prefix("\u{2014} ").and_then(|l| l.split_once(' ')).ok_or(BROKEN)?;
        if !is_key_name(name) {
            return Err(BROKEN);
        }
        let bytes = BASE64.decode(encoded).map_err(|_| NoteError::Form("a signature is not base64"))?;
        let Some((id, signature)) = bytes.split_first_chunk::<4>() else {
            return Err(NoteError::Form("a signature is too short"));
        };
        Ok(Self { name: name.to_owned(), id: *id, signature: signature.to_vec() })
    }

    /// Reads the lines of an answer of a witness or mirror (`tlog-witness`): one or more, each with its newline.
    pub fn parse_all(lines: &str) -> Result<Vec<Self>, NoteError> {
        if lines.len() > limits::CHECKPOINT_BYTES {
            return Err(NoteError::Form("too long"));
        }
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Form("no newline at the end"))?;
        let lines: Vec<&str> = lines.split('\n').collect();
        if lines.len() > limits::NOTE_SIGNATURES {
            return Err(NoteError::Form("too many signatures"));
        }
        lines.into_iter().map(Self::parse).collect()
    }
}

/// The line with its newline.
impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id[..], &self.signature].concat();
        writeln!(f, "\u{2014} {} {}", self.name, BASE64.encode(bytes))
    }
}

impl Note {
    /// A text that has no signature yet; refused when it cannot stand in a note.
    pub fn new(text: &str) -> Result<Self, NoteError> {
        check_characters(text)?;
        if !text.ends_with('\n') || text.len() > limits::CHECKPOINT_BYTES {
            return Err(NoteError::Form("the text has no newline at its end, or is too long"));
        }
        Ok(Self { text: text.to_owned(), signatures: Vec::new() })
    }

    /// Reads a note of at most [`limits::CHECKPOINT_BYTES`] with at most [`limits::NOTE_SIGNATURES`] signatures.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > limits::CHECKPOINT_BYTES {
            return Err(NoteError::Form("too long"));
        }
        check_characters(note)?;
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Form("no signatures"))?;
        Ok(Self { text: format!("{text}\n"), signatures: SignatureLine::parse_all(signatures)? })
    }

    /// What is signed, with its last newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines below it.
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// Adds a line, in place of an earlier one by the same key.
    pub fn add(&mut self, line: SignatureLine) {
        self.signatures.retain(|l| l.name != line.name || l.id != line.id);
        self.signatures.push(line);
    }

    /// The same text with only the lines that claim to be by one of these keys.
    pub fn only(&self, keys: &[&VerifierKey]) -> Self {
        let of_keys = |line: &&SignatureLine| keys.iter().any(|key| key.claims(line));
        Self { text: self.text.clone(), signatures: self.signatures.iter().filter(of_keys).cloned().collect() }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| write!(f, "{line}"))
    }
}

/// A key that is a point of the curve and not of small order, so that its signatures prove something.
fn strong_key(key: &PeerKey) -> Result<VerifyingKey, NoteError> {
    let key = VerifyingKey::from_bytes(&key.0).map_err(|_| NoteError::Key("it is no point of the curve"))?;
    if key.is_weak() { Err(NoteError::Key("it is weak")) } else { Ok(key) }
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

fn check_characters(text: &str) -> Result<(), NoteError> {
    match text.bytes().any(|b| b < b' ' && b != b'\n') {
        true => Err(NoteError::Form("a control character in it")),
        false => Ok(()),
    }
}

pub(crate) fn key_id(name: &str, kind: SignatureKind, key: &PeerKey) -> [u8; 4] {
    let hash = Sha256::new().chain_update(name).chain_update([b'\n', kind.byte()]).chain_update(key.0).finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

pub(crate) fn key_text(name: &str, kind: SignatureKind, key: &PeerKey) -> String {
    let mut typed = vec![kind.byte()];
    typed.extend_from_slice(&key.0);
    format!("{name}+{}+{}", hexadecimal(key_id(name, kind, key)), BASE64.encode(typed))
}

fn hexadecimal(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in the documentation of Go's `golang.org/x/mod/sumdb/note`, which `signed-note` specifies.
    const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn names_and_signatures_are_those_of_the_go_implementation() {
        let key: VerifierKey = GO_KEY.parse().unwrap();
        assert_eq!(key.to_string(), GO_KEY);
        let note = Note::parse(GO_NOTE).unwrap();
        assert_eq!(note.to_string(), GO_NOTE);
        let line = &note.signatures()[0];
        assert!(key.claims(line));
        assert_eq!(key.verify(note.text().as_bytes(), &line.signature), Ok(()));
        assert_eq!(key.verify(b"else\n", &line.signature), Err(NoteError::Signature));
    }

    #[test]
    fn what_the_specification_forbids_is_no_note() {
        for broken in [
            GO_NOTE.trim_end().to_owned(),
            GO_NOTE.replace("\n\n", "\n"),
            GO_NOTE.replace("then", "\tthen"),
            GO_NOTE.replace("\u{2014} ", "- "),
            GO_NOTE.replace("PeterNeumann", "Peter Neumann"),
            GO_NOTE.replace("PeterNeumann", "Peter+Neumann"),
            GO_NOTE.replace("PeterNeumann ", " "),
            GO_NOTE.replace("nAM=", "nAN="),
        ] {
            assert!(Note::parse(&broken).is_err(), "{broken}");
        }
        let twice = GO_NOTE.to_owned() + &"\u{2014} x AAAAAAA=\n".repeat(limits::NOTE_SIGNATURES);
        assert!(Note::parse(&twice).is_err());
    }

    #[test]
    fn a_key_text_with_another_id_or_kind_is_refused() {
        for broken in [
            GO_KEY.replace("c74f", "c74e"),
            GO_KEY.replace("c74f", "C74F"),
            GO_KEY.replace("ARpc", "Ahpc"),
            GO_KEY.replace("PeterNeumann", ""),
            "x+00000000+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==".to_owned(),
        ] {
            assert!(broken.parse::<VerifierKey>().is_err(), "{broken}");
        }
    }
}
