//! The key that names a participant: a person, a device, a host.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use thiserror::Error;

/// An Ed25519 public key (RFC 8032), which is a peer's identity. Text form: 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct PeerKey(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a peer key is 64 hexadecimal digits")]
pub struct PeerKeyError;

impl PeerKey {
    /// The first eight digits: enough for a person to tell two peers apart, never enough to trust one.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerKey({})", self.short())
    }
}

impl FromStr for PeerKey {
    type Err = PeerKeyError;

    fn from_str(text: &str) -> Result<Self, PeerKeyError> {
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| PeerKeyError)?;
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |c: u8| (c as char).to_digit(16).ok_or(PeerKeyError);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Ok(Self(key))
    }
}

/// What kind of participant a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum PeerKind {
    /// A human being on a desktop or in a headset.
    #[n(0)]
    Person,
    /// A machine or the gateway that speaks for machines.
    #[n(1)]
    Device,
    /// A site host or relay.
    #[n(2)]
    Host,
    /// A company, department or authority.
    #[n(3)]
    Organisation,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text_form() {
        let key = PeerKey(std::array::from_fn(|i| i as u8 * 7));
        assert_eq!(key.to_string().parse::<PeerKey>(), Ok(key));
        assert!("zz".repeat(32).parse::<PeerKey>().is_err());
        assert!("ab".parse::<PeerKey>().is_err());
    }
}
