//! Who takes part in a site, and what the others see of them.

use gemba_twin::peer::{PeerKey, PeerKind};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// Number of a peer at one running host. Not an identity: the key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct PeerNumber(#[n(0)] pub u16);

impl PeerNumber {
    /// The host itself, with which every body is at home. No peer has this number.
    pub const HOST: Self = Self(u16::MAX);
}

/// A participant, as the others know them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PeerInfo {
    /// Number at this host.
    #[n(0)]
    pub number: PeerNumber,
    /// Identity.
    #[n(1)]
    pub key: PeerKey,
    /// What they call themselves.
    #[n(2)]
    pub name: String,
    /// What they are.
    #[n(3)]
    pub kind: PeerKind,
}

/// How a peer introduces itself; its key is known from the handshake.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// Oldest minor version of the protocol it can speak.
    #[n(0)]
    pub oldest_minor: u16,
    /// Newest one.
    #[n(1)]
    pub newest_minor: u16,
    /// What it calls itself.
    #[n(2)]
    pub name: String,
    /// What it is.
    #[n(3)]
    pub kind: PeerKind,
    /// Entries of the site's log it holds already.
    #[n(4)]
    pub entries_held: u64,
    /// The signed entry by which a newcomer redeems an invitation (minor 2). A host that knows the peer passes it over.
    #[n(5)]
    pub redemption: Option<ByteVec>,
    /// Where it is, millimetres (minor 6): of very many bodies it is told at once, those around it first.
    #[n(6)]
    pub here: Option<[i32; 3]>,
}

/// A point in the world that has a direction: a head, a hand or a body. World frame, metres.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
pub struct TrackedPoint {
    /// Place.
    #[n(0)]
    pub place: [f32; 3],
    /// Unit quaternion, x y z w; −Z is forward, +Y up.
    #[n(1)]
    pub rotation: [f32; 4],
}

impl TrackedPoint {
    /// Whether it can be shown: finite numbers, and a rotation that is one.
    pub fn is_sound(&self) -> bool {
        let length: f32 = self.rotation.iter().map(|c| c * c).sum();
        self.place.iter().all(|c| c.is_finite()) && (0.25..4.0).contains(&length)
    }
}

/// What others see of a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Pose {
    /// Eyes.
    pub head: TrackedPoint,
    /// Left and right hand, where they are tracked.
    pub hands: [Option<TrackedPoint>; 2],
    /// Where the laser pointer ends, if it is on.
    pub pointer: Option<[f32; 3]>,
}
