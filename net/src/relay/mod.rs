//! What a host tells each of its peers of all avatars and bodies: the same samples for all, each told as its difference
//! to what that peer has acknowledged.
//!
//! A [`crate::body::BodySender`] learns how each body moves, which makes it exact and small, and takes some 20 kB a body:
//! right from a holder to its host, which is how a peer tells of itself and of what it holds. A host that tells a
//! thousand peers of each other cannot keep a million of those. Here what was told is a number of a packet and a shared
//! [`Sample`] in whole steps; a difference is some integer arithmetic; and a packet needs nothing but what it builds on.
//!
//! ```text
//! 2 bytes  number of the packet, its low 16 bits
//! 6 bytes  the host's clock, milliseconds
//! then in bits, for each sample: 1, the name's distance from the one before, whether it builds on another and how many
//! packets ago that was told, how exactly it is told, how old it is, its shape or epoch, its points (`record.rs`); 0 ends
//! ```
//!
//! Nothing here has a socket, a clock or randomness. Left out: who is told what and when ([`crate::interest`]).

pub(crate) mod bits;
mod receiver;
mod record;
mod sample;
mod sender;

pub use receiver::{RelayReceiver, RelayUnread};
pub use sample::{Detail, Sample};
pub use sender::RelaySender;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::body::BodyNumber;
use crate::peers::PeerNumber;

/// Of whom a sample tells: avatars first, by the number of their peer, then bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(u32);

const BODIES_FROM: u32 = 1 << 16;

/// Something of each of many names. A host looks up some 400,000 a second.
pub(crate) type ByName<V> = HashMap<Name, V, BuildHasherDefault<NameHasher>>;

/// Spreads names by Fibonacci hashing (Knuth, The Art of Computer Programming, 6.4). Names are given by the host, one after
/// the other, so that nobody can choose such as collide.
#[derive(Debug, Default)]
pub(crate) struct NameHasher(u64);

impl Hasher for NameHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        let mixed = (self.0 ^ u64::from(number)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        // The map takes its places from low bits and its marks from high ones.
        self.0 = mixed ^ (mixed >> 32);
    }
}

impl Name {
    /// A peer's avatar.
    pub fn of_avatar(peer: PeerNumber) -> Self {
        Self(peer.0.into())
    }

    /// A body; numbers beyond [`crate::limits::BODIES`] do not occur.
    pub fn of_body(body: BodyNumber) -> Self {
        Self(BODIES_FROM.saturating_add(body.0))
    }

    /// Whose avatar it is.
    pub fn avatar(self) -> Option<PeerNumber> {
        u16::try_from(self.0).ok().map(PeerNumber)
    }

    /// Which body it is.
    pub fn body(self) -> Option<BodyNumber> {
        self.0.checked_sub(BODIES_FROM).map(BodyNumber)
    }

    pub(crate) fn is_avatar(self) -> bool {
        self.0 < BODIES_FROM
    }

    /// A number that spreads names over turns.
    pub(crate) fn turn(self) -> u32 {
        self.0
    }
}
