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

use ed25519_dalek::{Signer, SigningKey};
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::Timestamp;
use minicbor::{Decode, Encode};

use crate::body::Body;
use crate::limits;
use crate::refusal::Refusal;
use crate::signature::{Claim, Verifier};

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

/// Which of its keys an author signs with: 0 is the key that is its identity, each rotation or recovery adds one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct KeyNumber(#[n(0)] pub u32);

impl KeyNumber {
    /// The author's identity itself, which is left out of an entry's bytes.
    pub fn is_first(&self) -> bool {
        self.0 == 0
    }
}

/// The newest checkpoint an author has verified: what it knew of the log when it spoke. A log that does not have this
/// root at this size has shown its author another past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Seen {
    /// Entries of the log then.
    #[n(0)]
    pub size: u64,
    /// Root of its Merkle tree then.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub root: crate::merkle::Hash,
}

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
    /// Who says it: the first key of its identity.
    #[n(2)]
    pub author: PeerKey,
    /// Its identity.
    #[n(3)]
    pub id: EntryId,
    /// What it says.
    #[n(4)]
    pub body: Body,
    /// Which of the author's keys signs it.
    #[cbor(n(5), default, skip_if = "KeyNumber::is_first")]
    pub key: KeyNumber,
    /// When it was said, on the author's clock.
    #[n(6)]
    pub at: Option<Timestamp>,
    /// The newest checkpoint its author has verified.
    #[n(7)]
    pub seen: Option<Seen>,
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
    /// Signs the entry with the key of the number it names.
    ///
    /// # Panics
    /// If that is the first key and `key` is not it: the entry would be refused everywhere.
    pub fn sign(self, key: &SigningKey) -> SignedEntry {
        let signer = PeerKey(key.verifying_key().to_bytes());
        assert!(!self.key.is_first() || signer == self.author, "an entry is signed with its author's key");
        let payload = encode(&self);
        let signature = key.sign(&signed_bytes(ED25519, &payload)).to_bytes();
        let bytes = encode(&Envelope { payload: &payload, algorithm: ED25519, signature: &signature });
        SignedEntry { bytes, entry: self, signer }
    }
}

/// An entry of the right form. Who signed it is not known yet: which key must have is for the
/// [`crate::site::Site`] to say.
#[derive(Debug, Clone, PartialEq)]
pub struct UnverifiedEntry {
    bytes: Vec<u8>,
    entry: Entry,
}

impl UnverifiedEntry {
    /// Reads; refuses any bytes but the one encoding of what they say.
    pub fn read(bytes: Vec<u8>) -> Result<Self, Refusal> {
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
        Ok(Self { bytes, entry })
    }

    /// What it says, if it is true.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The exact bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Verifies that the holder of `key` signed it.
    pub fn verify(self, key: &PeerKey, verifier: &Verifier) -> Result<SignedEntry, Refusal> {
        Self::verify_all(vec![(self, *key)], verifier).remove(0)
    }

    /// Verifies of each that the holder of the key beside it signed it; in their order. Quicker than one by one.
    pub fn verify_all(entries: Vec<(Self, PeerKey)>, verifier: &Verifier) -> Vec<Result<SignedEntry, Refusal>> {
        let claims: Vec<Claim<'_>> = entries.iter().map(|(entry, key)| entry.claim(key)).collect();
        let outcomes = verifier.verify_all(&claims);
        let pairs = entries.into_iter().zip(outcomes);
        pairs.map(|((entry, key), outcome)| outcome.map(|()| entry.already_verified(&key))).collect()
    }

    fn claim<'a>(&'a self, key: &'a PeerKey) -> Claim<'a> {
        let envelope: Envelope<'_> = read(&self.bytes).expect("these bytes were read when this was made of them");
        Claim { key, message: signed_bytes(ED25519, envelope.payload), signature: envelope.signature }
    }

    /// Takes it for signed by `key`: for bytes under a Merkle root that was signed after they had been verified.
    pub fn already_verified(self, key: &PeerKey) -> SignedEntry {
        SignedEntry { bytes: self.bytes, entry: self.entry, signer: *key }
    }
}

/// An entry whose form and signature have been verified, with its exact bytes. Whether its author may say it is
/// decided by the [`crate::site::Site`].
#[derive(Debug, Clone, PartialEq)]
pub struct SignedEntry {
    bytes: Vec<u8>,
    entry: Entry,
    signer: PeerKey,
}

impl SignedEntry {
    /// The exact bytes: what is stored, sent and hashed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was signed.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The key that signed it.
    pub fn signer(&self) -> PeerKey {
        self.signer
    }

    /// Both parts.
    pub fn into_parts(self) -> (Vec<u8>, Entry) {
        (self.bytes, self.entry)
    }
}

fn signed_bytes(algorithm: u32, payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(DOMAIN.len() + 4 + payload.len());
    message.extend_from_slice(DOMAIN);
    message.extend_from_slice(&algorithm.to_be_bytes());
    message.extend_from_slice(payload);
    message
}

pub(crate) fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to memory cannot fail, and no encoder of this crate refuses a value")
}

/// Reads one value that fills `bytes`.
pub(crate) fn read<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, Refusal> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().map_err(|e| Refusal::Unreadable(e.to_string()))?;
    if decoder.position() != bytes.len() {
        return Err(Refusal::Unreadable("bytes after its end".to_owned()));
    }
    Ok(value)
}
