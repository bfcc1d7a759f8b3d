//! Segments of the historian in the record: proof of who measured what, when.

use gemba_twin::peer::PeerKey;
use gemba_twin::sample::Timestamp;
use minicbor::{Decode, Encode};

use crate::merkle::Hash;

/// One Parquet file of samples. Its bytes are a blob of the site.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Segment {
    /// BLAKE3 of the file.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub blob: [u8; 32],
    /// Size of the file.
    #[n(1)]
    pub bytes: u64,
    /// Samples in it.
    #[n(2)]
    pub samples: u64,
    /// The host's clock when it began. Between this and its end a tag keeps its last value; beyond it nothing is known.
    #[n(3)]
    pub from: Timestamp,
    /// The host's clock when it was closed.
    #[n(4)]
    pub to: Timestamp,
    /// For each device, in ascending order, the Merkle root over its samples.
    #[n(5)]
    pub devices: Vec<DeviceRoot>,
}

/// What one device measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct DeviceRoot {
    /// The device.
    #[n(0)]
    pub device: PeerKey,
    /// Root over its tags' samples, as the historian defines the leaves.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub root: Hash,
}
