//! Invitations: a token that lets one person in once, until a time.
//!
//! The token is a secret key made for this purpose. The record holds its public half; who has the token signs their own
//! identity with it. So the record never holds what lets somebody in, a host cannot redeem it for somebody else, and a
//! token that was seen on its way is worth nothing once it has been used.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey};
use gemba_twin::path::ThingId;
use gemba_twin::peer::{PeerKey, PeerKind};
use gemba_twin::sample::Timestamp;
use minicbor::{Decode, Encode};

use crate::entry::{SiteId, encode};
use crate::role::Role;

/// What every redemption covers first.
pub const DOMAIN: &[u8] = b"gemba 2026 invitation redeemed\n";

/// What an owner offers to who holds a token.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Invitation {
    /// The public half of the token.
    #[n(0)]
    pub token: PeerKey,
    /// What the newcomer may do.
    #[n(1)]
    pub role: Role,
    /// In which part of the plant; none for all of it.
    #[n(2)]
    pub scope: Option<ThingId>,
    /// What kind of participant may come.
    #[n(3)]
    pub kind: PeerKind,
    /// When it ends.
    #[n(4)]
    pub expires: Timestamp,
}

/// The secret that is handed to a newcomer, as 64 hexadecimal digits.
pub struct Token(SigningKey);

impl Token {
    /// From 32 random bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&secret))
    }

    /// What the record holds of it.
    pub fn public(&self) -> PeerKey {
        PeerKey(self.0.verifying_key().to_bytes())
    }

    /// Redeems it for `newcomer`.
    pub fn redeem(&self, site: SiteId, newcomer: &PeerKey) -> Vec<u8> {
        self.0.sign(&redemption_message(site, newcomer)).to_bytes().to_vec()
    }
}

/// What the token signs: [`DOMAIN`] and the CBOR array of site and newcomer.
pub fn redemption_message(site: SiteId, newcomer: &PeerKey) -> Vec<u8> {
    let mut message = DOMAIN.to_vec();
    message.extend(encode(&(site, *newcomer)));
    message
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_bytes().iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// Never the secret: this lands in logs.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.public())
    }
}

impl FromStr for Token {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A secret and a public key are both 64 digits; the parser of the latter serves.
        let bytes: PeerKey = text.parse().map_err(|_| "an invitation is 64 hexadecimal digits")?;
        Ok(Self::new(bytes.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text_and_never_shows_its_secret_in_a_log() {
        let token = Token::new([0xab; 32]);
        assert_eq!(token.to_string().parse::<Token>().unwrap().public(), token.public());
        assert!(!format!("{token:?}").contains("abab"));
        assert!("ab".parse::<Token>().is_err());
    }
}
