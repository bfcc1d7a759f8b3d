//! What is signed, and the only bytes it may have.
//!
//! A signed entry is the CBOR map `{0: payload, 1: algorithm, 2: signature}`; the payload is a byte string holding the
//! CBOR map of [`Entry`]. The author signs [`DOMAIN`], the algorithm's number and the payload, so that a signature
//! made for anything else is worth nothing here, nor one of ours elsewhere.
//!
//! The encoding is deterministic (RFC 8949 §4.2: shortest integers, definite lengths, keys ascending), and what does
//! not encode to itself again is refused: one content has one form, so that a hash names a content. A field added
//! later is optional and absent when unused, which leaves old bytes what they were.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use gemba_twin::peer::PeerKey;
use minicbor::{Decode, Encode};

use crate::body::Body;
use crate::limits;
use crate::refusal::Refusal;

/// The format of entries that this program writes and reads.
pub const VERSION: u32 = 1;

/// What every signature of an entry covers first.
pub const DOMAIN: &[u8] = b"gemba 2026 record entry\n";

/// Ed25519 (RFC 8032), verified strictly: the only algorithm so far.
pub const ED25519: u32 = 1;

/// Identity of a site: 128 random bits, drawn when it was founded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct SiteId(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

/// Identity of an entry: 128 random bits, drawn by its author. Sending the same entry twice is sending it once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct EntryId(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

macro_rules! hexadecimal {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}
hexadecimal!(SiteId);
hexadecimal!(EntryId);

/// One statement of one author to one site.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Entry {
    /// Format of this entry, [`VERSION`].
    #[n(0)]
    pub version: u32,
    /// The site it is for.
    #[n(1)]
    pub site: SiteId,
    /// Who says it.
    #[n(2)]
    pub author: PeerKey,
    /// Its identity.
    #[n(3)]
    pub id: EntryId,
    /// What it says.
    #[n(4)]
    pub body: Body,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Envelope<'a> {
    #[cbor(b(0), with = "minicbor::bytes")]
    payload: &'a [u8],
    #[n(1)]
    algorithm: u32,
    #[cbor(b(2), with = "minicbor::bytes")]
    signature: &'a [u8],
}

/// Only enough of an entry to tell its version, whatever else a newer one holds.
#[derive(Decode)]
#[cbor(map)]
struct VersionOnly {
    #[n(0)]
    version: u32,
}

impl Entry {
    /// Signs the entry. `key` must be the author's.
    ///
    /// # Panics
    /// If `key` is not the author's: the entry would be refused everywhere.
    pub fn sign(self, key: &SigningKey) -> SignedEntry {
        assert_eq!(key.verifying_key().to_bytes(), self.author.0, "an entry is signed with its author's key");
        let payload = encode(&self);
        let signature = key.sign(&signed_bytes(ED25519, &payload)).to_bytes();
        let bytes = encode(&Envelope { payload: &payload, algorithm: ED25519, signature: &signature });
        SignedEntry { bytes, entry: self }
    }
}

/// An entry whose form and signature have been verified, with its exact bytes. Whether its author may say it is
/// decided by the [`crate::site::Site`].
#[derive(Debug, Clone, PartialEq)]
pub struct SignedEntry {
    bytes: Vec<u8>,
    entry: Entry,
}

impl SignedEntry {
    /// Reads and verifies.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, Refusal> {
        if bytes.len() > limits::ENTRY_BYTES {
            return Err(Refusal::TooLarge(bytes.len()));
        }
        let envelope: Envelope<'_> = read(&bytes)?;
        if envelope.algorithm != ED25519 {
            return Err(Refusal::Algorithm(envelope.algorithm));
        }
        if encode(&envelope) != bytes {
            return Err(Refusal::NotCanonical);
        }
        let version = read::<VersionOnly>(envelope.payload)?.version;
        if version != VERSION {
            return Err(Refusal::Newer(version));
        }
        let entry: Entry = read(envelope.payload)?;
        if encode(&entry) != envelope.payload {
            return Err(Refusal::NotCanonical);
        }
        let signature = Signature::from_slice(envelope.signature).map_err(|_| Refusal::Signature)?;
        verifying_key(&entry.author)?
            .verify_strict(&signed_bytes(ED25519, envelope.payload), &signature)
            .map_err(|_| Refusal::Signature)?;
        Ok(Self { bytes, entry })
    }

    /// The exact bytes: what is stored, sent and hashed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was signed.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Both parts.
    pub fn into_parts(self) -> (Vec<u8>, Entry) {
        (self.bytes, self.entry)
    }
}

/// A key whose signatures prove something.
pub(crate) fn verifying_key(key: &PeerKey) -> Result<VerifyingKey, Refusal> {
    let key = VerifyingKey::from_bytes(&key.0).map_err(|_| Refusal::WeakKey)?;
    if key.is_weak() { Err(Refusal::WeakKey) } else { Ok(key) }
}

fn signed_bytes(algorithm: u32, payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(DOMAIN.len() + 4 + payload.len());
    message.extend_from_slice(DOMAIN);
    message.extend_from_slice(&algorithm.to_be_bytes());
    message.extend_from_slice(payload);
    message
}

fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to memory cannot fail, and no encoder of this crate refuses a value")
}

/// Reads one value that fills `bytes`.
fn read<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, Refusal> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().map_err(|e| Refusal::Unreadable(e.to_string()))?;
    if decoder.position() != bytes.len() {
        return Err(Refusal::Unreadable("bytes after its end".to_owned()));
    }
    Ok(value)
}
