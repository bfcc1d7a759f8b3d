//! Which machines may host a site, and how one succeeds another.
//!
//! An owner names the hosts in the record, each with its key and where it listens; the first that is not the host is its
//! heir. Whoever succeeds says so as the next entry ([`crate::body::Body::Succeed`]), and names the host it succeeds and
//! the epoch that begins: of two who try only the first can stand in a log. From that entry on the site's host is another,
//! for everyone who folds it. So a host that was away, or only thought to be, finds in the record that it is host no more.
//!
//! When a host may take over is decided where there is a clock, in `gembad`.

use std::collections::BTreeSet;

use gemba_twin::peer::{PeerKey, PeerKind};
use minicbor::{Decode, Encode};

use crate::limits;
use crate::refusal::Refusal;
use crate::site::Peer;

/// A machine that may host the site.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SiteHost {
    /// Its identity: the first key it had.
    #[n(0)]
    pub key: PeerKey,
    /// Where peers reach it: `host:port`, an IPv6 address in brackets.
    #[n(1)]
    pub place: String,
}

/// What can be said of a list of hosts without knowing the site.
pub(crate) fn check_list(hosts: &[SiteHost]) -> Result<(), Refusal> {
    if hosts.len() > limits::HOSTS {
        return refuse(format!("a site has at most {} hosts", limits::HOSTS));
    }
    if hosts.iter().map(|host| host.key).collect::<BTreeSet<_>>().len() < hosts.len() {
        return refuse("a host stands in the list twice".to_owned());
    }
    match hosts.iter().find(|host| !is_place(&host.place)) {
        Some(host) => refuse(format!("'{}' is no place of a host; it looks like 10.0.0.5:7440", host.place)),
        None => Ok(()),
    }
}

fn is_place(text: &str) -> bool {
    let plain =
        |machine: &str| !machine.is_empty() && machine.chars().all(|c| c.is_ascii_graphic() && c != '/' && c != '#');
    let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    text.len() <= limits::NAME_BYTES && text.rsplit_once(':').is_some_and(|(machine, at)| plain(machine) && port(at))
}

/// Whether these can be the site's hosts: each is admitted as one, and the one that hosts now is among them. None at all
/// can be, too.
pub(crate) fn check_hosts<'a>(
    hosts: &[SiteHost],
    host: &PeerKey,
    peer: impl Fn(&PeerKey) -> Option<&'a Peer>,
) -> Result<(), Refusal> {
    let is_host = |named: &&SiteHost| peer(&named.key).is_some_and(|peer| peer.kind == PeerKind::Host);
    if let Some(stranger) = hosts.iter().find(|named| !is_host(named)) {
        return Err(Refusal::Unknown(format!("the host {}", stranger.key.short())));
    }
    if !hosts.is_empty() && !hosts.iter().any(|named| named.key == *host) {
        return refuse("the site's present host must be among its hosts".to_owned());
    }
    Ok(())
}

fn refuse<T>(why: String) -> Result<T, Refusal> {
    Err(Refusal::Content(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_machine_and_a_port() {
        for good in ["10.0.0.5:7440", "plant.example:1", "[::1]:65535"] {
            assert!(is_place(good), "{good}");
        }
        for bad in ["", ":1", "plant", "plant:0", "plant:65536", "a b:1", "a/b:1", "a#b:1"] {
            assert!(!is_place(bad), "{bad}");
        }
    }
}
