//! What is handed to somebody who is invited: the site's address, the site's identity and the token that lets them in,
//! as one word: `gemba://host:port/site#KEY?invitation=SITE-TOKEN&name=NAME`. What a token is worth the record says.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::address::{Address, AddressError};
use crate::limits;

const MARK: &str = "?invitation=";

/// An invitation on its way to somebody.
#[derive(Clone, PartialEq, Eq)]
pub struct InvitationLink {
    /// Where the site is.
    pub address: Address,
    /// The site's identity.
    pub site: [u8; 16],
    /// The secret half of the token.
    pub token: [u8; 32],
    /// What the newcomer is called, where whoever invites them has said so.
    pub name: Option<String>,
}

/// A text that is no invitation, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LinkError {
    /// What stands before the mark.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// What stands after it.
    #[error("the invitation in this link is cut off or mistyped; copy the whole link again")]
    Token,
}

impl InvitationLink {
    /// Whether the text means to be one.
    pub fn is_meant(text: &str) -> bool {
        text.contains(MARK)
    }
}

impl FromStr for InvitationLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (address, rest) = text.split_once(MARK).ok_or(LinkError::Token)?;
        let (secret, name) = match rest.split_once("&name=") {
            Some((secret, name)) => (secret, Some(plain(name).ok_or(LinkError::Token)?)),
            None => (rest, None),
        };
        let (site, token) = secret.split_once('-').ok_or(LinkError::Token)?;
        let (site, token) = (bytes(site).ok_or(LinkError::Token)?, bytes(token).ok_or(LinkError::Token)?);
        Ok(Self { address: address.parse()?, site, token, name })
    }
}

impl fmt::Display for InvitationLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{MARK}", self.address)?;
        self.site.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.token.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        let Some(name) = &self.name else { return Ok(()) };
        f.write_str("&name=")?;
        name.bytes().try_for_each(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => write!(f, "{}", char::from(byte)),
            byte => write!(f, "%{byte:02X}"),
        })
    }
}

/// Never the secret: this lands in logs.
impl fmt::Debug for InvitationLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvitationLink({})", self.address)
    }
}

/// Exactly `N` bytes of two hexadecimal digits each.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |c: u8| char::from(c).to_digit(16);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(bytes)
}

/// A name out of its percent-encoding.
fn plain(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let pair = [rest.next()?, rest.next()?];
                bytes::<1>(str::from_utf8(&pair).ok()?)?[0]
            }
            byte => byte,
        };
        out.push(byte);
    }
    String::from_utf8(out).ok().filter(|name| !name.is_empty() && name.len() <= limits::NAME_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn link(name: Option<&str>) -> InvitationLink {
        let key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        let address = format!("gemba://127.0.0.1:7440/demo#{key}").parse().unwrap();
        InvitationLink { address, site: [0xab; 16], token: [0x5e; 32], name: name.map(str::to_owned) }
    }

    #[test]
    fn an_invitation_survives_its_text_and_shows_no_secret_in_a_log() {
        for name in [None, Some("Grace"), Some("Ana María & 山田")] {
            let link = link(name);
            assert_eq!(link.to_string().parse(), Ok(link.clone()));
            assert!(!link.to_string().contains(' ') && !format!("{link:?}").contains("5e5e"));
        }
    }

    #[test]
    fn a_link_that_was_cut_off_is_said_to_be() {
        let whole = link(None).to_string();
        assert!(InvitationLink::is_meant(&whole));
        for cut in [1, 30, 70] {
            assert_eq!(whole[..whole.len() - cut].parse::<InvitationLink>(), Err(LinkError::Token));
        }
        assert_eq!(format!("{whole}&name=%zz").parse::<InvitationLink>(), Err(LinkError::Token));
        assert!(whole.replace("gemba:", "http:").parse::<InvitationLink>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(rest in ".{0,120}") {
            let _ = format!("gemba://a:1/b#{rest}").parse::<InvitationLink>();
            let _ = format!("{}{rest}", link(None)).parse::<InvitationLink>();
        }
    }
}
