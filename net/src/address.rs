//! Where a site is and whose key it has: `gemba://host:port/site#key`.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use gemba_twin::peer::PeerKey;
use thiserror::Error;

use crate::limits;

/// The address of a site. The key is part of it: no key match, no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or IP address of the machine; an IPv6 address stands in brackets in the text form.
    pub host: String,
    /// UDP port.
    pub port: u16,
    /// Name of the site.
    pub site: String,
    /// Key of the site's host.
    pub key: PeerKey,
}

/// A text that is no address, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Another beginning.
    #[error("an address begins with gemba://")]
    Scheme,
    /// No `#key`, or one that is no key.
    #[error("an address ends with # and the host's key of 64 hexadecimal digits")]
    Key,
    /// No `/site`, or too long.
    #[error("an address names the site after the port: gemba://host:port/site#key")]
    Site,
    /// No `host:port`.
    #[error("an address names a machine and a port: gemba://host:port/site#key")]
    HostPort,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text.strip_prefix("gemba://").ok_or(AddressError::Scheme)?;
        let (rest, key) = rest.rsplit_once('#').ok_or(AddressError::Key)?;
        let key = key.parse().map_err(|_| AddressError::Key)?;
        let (place, site) = rest.split_once('/').ok_or(AddressError::Site)?;
        if site.is_empty() || site.len() > limits::NAME_BYTES || site.contains(['/', '#']) {
            return Err(AddressError::Site);
        }
        let (host, port) = place.rsplit_once(':').ok_or(AddressError::HostPort)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(AddressError::HostPort)?;
        let host = machine(host).ok_or(AddressError::HostPort)?;
        Ok(Self { host: host.to_owned(), port, site: site.to_owned(), key })
    }
}

/// The name or IPv4 address that a text is, or the IPv6 address in brackets, whose zone may follow (RFC 4007 §11.2).
fn machine(text: &str) -> Option<&str> {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(text) => {
            let (address, zone) = text.split_once('%').unwrap_or((text, ""));
            (address.parse::<Ipv6Addr>().is_ok() && is_name(zone)).then_some(text)
        }
        None => (!text.is_empty() && is_name(text)).then_some(text),
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= 255 && !text.contains(|c: char| c.is_control() || c.is_whitespace() || "[]:/#%".contains(c))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, site, key } = self;
        if host.contains(':') {
            write!(f, "gemba://[{host}]:{port}/{site}#{key}")
        } else {
            write!(f, "gemba://{host}:{port}/{site}#{key}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn an_address_survives_its_text_form() {
        for text in [format!("gemba://127.0.0.1:7440/demo#{KEY}"), format!("gemba://[fe80::1%eth0]:9/a b#{KEY}")] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_missing_from_an_address_is_said() {
        let check = |text: &str, expected| assert_eq!(text.parse::<Address>(), Err(expected), "{text}");
        check("http://x:1/s#k", AddressError::Scheme);
        check("gemba://x:1/s", AddressError::Key);
        check("gemba://x:1/s#12", AddressError::Key);
        check(&format!("gemba://x:1#{KEY}"), AddressError::Site);
        check(&format!("gemba://x/s#{KEY}"), AddressError::HostPort);
        check(&format!("gemba://x:0/s#{KEY}"), AddressError::HostPort);
        for no_machine in ["", "::1", "[]", "[[]]", "[x]", "[::1", "a b", "x]", "[::1%a%b]"] {
            check(&format!("gemba://{no_machine}:80/s#{KEY}"), AddressError::HostPort);
        }
    }
}
