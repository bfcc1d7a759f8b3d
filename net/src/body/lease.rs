//! Who may move a body now. A body has a home (most often the host, which simulates it) and a holder. Grabbing takes the
//! lease from home, releasing returns it, and each change raises the epoch: what a former holder still sends names an old
//! epoch and is fenced. The book is kept by the host; what it says travels as control messages, epochs in every packet.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::limits;
use crate::peers::PeerNumber;

/// Number of a body at one running host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct BodyNumber(#[n(0)] pub u32);

/// How often the lease of a body has changed hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Epoch(#[n(0)] pub u32);

/// Who may move a body, and since which change of hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Lease {
    /// Who.
    #[n(0)]
    pub holder: PeerNumber,
    /// Since when.
    #[n(1)]
    pub epoch: Epoch,
}

/// Why a lease stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// There is no such body.
    #[error("there is no body {}; it may have been taken away", .0.0)]
    Unknown(BodyNumber),
    /// Someone else holds it.
    #[error("peer {} holds that body; wait until it is released", .0.holder.0)]
    Held(Lease),
    /// The lease named has ended.
    #[error("that lease has ended; the body is at epoch {}, held by peer {}", .0.epoch.0, .0.holder.0)]
    Fenced(Lease),
    /// The book is full.
    #[error("there are {} bodies already; take some away first", limits::BODIES)]
    Full,
}

#[derive(Debug, Clone, Copy)]
struct Page {
    home: PeerNumber,
    lease: Lease,
}

/// All leases of a site.
#[derive(Debug, Default)]
pub struct LeaseBook {
    pages: BTreeMap<BodyNumber, Page>,
}

impl LeaseBook {
    /// Adds a body whose home is `home`, which holds it. A body that is known stays as it is.
    pub fn add(&mut self, body: BodyNumber, home: PeerNumber) -> Result<Lease, LeaseError> {
        if self.pages.len() >= limits::BODIES && !self.pages.contains_key(&body) {
            return Err(LeaseError::Full);
        }
        let page = Page { home, lease: Lease { holder: home, epoch: Epoch(0) } };
        Ok(self.pages.entry(body).or_insert(page).lease)
    }

    /// Takes a body away.
    pub fn remove(&mut self, body: BodyNumber) {
        self.pages.remove(&body);
    }

    /// Who holds a body.
    pub fn lease(&self, body: BodyNumber) -> Result<Lease, LeaseError> {
        self.pages.get(&body).map(|page| page.lease).ok_or(LeaseError::Unknown(body))
    }

    /// `peer` takes the body from its home. Whoever holds it already keeps the lease they have.
    pub fn grab(&mut self, body: BodyNumber, peer: PeerNumber) -> Result<Lease, LeaseError> {
        let page = self.pages.get_mut(&body).ok_or(LeaseError::Unknown(body))?;
        if page.lease.holder == peer {
            return Ok(page.lease);
        }
        if page.lease.holder != page.home {
            return Err(LeaseError::Held(page.lease));
        }
        page.lease = Lease { holder: peer, epoch: next(page.lease.epoch) };
        Ok(page.lease)
    }

    /// The holder gives the body back to its home.
    pub fn release(&mut self, body: BodyNumber, lease: Lease) -> Result<Lease, LeaseError> {
        let page = self.pages.get_mut(&body).ok_or(LeaseError::Unknown(body))?;
        if page.lease != lease {
            return Err(LeaseError::Fenced(page.lease));
        }
        if page.lease.holder != page.home {
            page.lease = Lease { holder: page.home, epoch: next(page.lease.epoch) };
        }
        Ok(page.lease)
    }

    /// A peer has left or fallen silent: all it held goes home. Returns what changed.
    pub fn handle_left(&mut self, peer: PeerNumber) -> Vec<(BodyNumber, Lease)> {
        let held = self.pages.iter_mut().filter(|(_, page)| page.lease.holder == peer && page.home != peer);
        held.map(|(body, page)| {
            page.lease = Lease { holder: page.home, epoch: next(page.lease.epoch) };
            (*body, page.lease)
        })
        .collect()
    }

    /// Whether what `peer` says of a body under this epoch counts.
    pub fn admits(&self, body: BodyNumber, peer: PeerNumber, epoch: Epoch) -> Result<(), LeaseError> {
        let lease = self.lease(body)?;
        if lease == (Lease { holder: peer, epoch }) { Ok(()) } else { Err(LeaseError::Fenced(lease)) }
    }
}

fn next(epoch: Epoch) -> Epoch {
    Epoch(epoch.0.wrapping_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: PeerNumber = PeerNumber(0);
    const ADA: PeerNumber = PeerNumber(1);
    const BOB: PeerNumber = PeerNumber(2);
    const CRATE: BodyNumber = BodyNumber(7);

    #[test]
    fn a_former_holder_is_fenced_and_the_lease_goes_home() {
        let mut book = LeaseBook::default();
        let home = book.add(CRATE, HOST).unwrap();
        let ada = book.grab(CRATE, ADA).unwrap();
        assert_eq!(book.grab(CRATE, ADA), Ok(ada), "asking twice changes nothing");
        assert_eq!(book.grab(CRATE, BOB), Err(LeaseError::Held(ada)));
        assert!(book.admits(CRATE, ADA, ada.epoch).is_ok());
        assert_eq!(book.admits(CRATE, HOST, home.epoch), Err(LeaseError::Fenced(ada)));
        assert_eq!(
            book.release(CRATE, Lease { holder: BOB, ..ada }),
            Err(LeaseError::Fenced(ada)),
            "not Bob's to give"
        );
        let back = book.release(CRATE, ada).unwrap();
        assert_eq!(back.holder, HOST);
        assert_eq!(book.admits(CRATE, ADA, ada.epoch), Err(LeaseError::Fenced(back)));
        assert_eq!(book.admits(CRATE, ADA, back.epoch), Err(LeaseError::Fenced(back)), "the epoch alone is no lease");
        assert_eq!(book.release(CRATE, ada), Err(LeaseError::Fenced(back)), "a release that comes twice");
    }

    #[test]
    fn a_lease_moves_when_its_holder_falls_silent() {
        let mut book = LeaseBook::default();
        book.add(CRATE, HOST).unwrap();
        book.add(BodyNumber(8), ADA).unwrap();
        let ada = book.grab(CRATE, ADA).unwrap();
        let moved = book.handle_left(ADA);
        assert_eq!(moved.len(), 1, "her own body stays hers: {moved:?}");
        assert_eq!(moved[0].1.holder, HOST);
        assert!(book.admits(CRATE, ADA, ada.epoch).is_err());
        assert!(book.grab(CRATE, BOB).unwrap().epoch > ada.epoch);
        assert_eq!(book.grab(BodyNumber(9), BOB), Err(LeaseError::Unknown(BodyNumber(9))));
    }
}
