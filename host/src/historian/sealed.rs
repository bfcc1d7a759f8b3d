//! What the record is to say of a segment, and the number it has here.

use gemba_net::BlobHash;
use gemba_record::segment::DeviceRoot;
use gemba_twin::sample::Timestamp;
use minicbor::{Decode, Encode};

/// A segment that is on the disk for good: what the record is to say of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Sealed {
    /// Its number, which no other segment of the site gets.
    #[n(0)]
    pub number: u64,
    /// Its Parquet file.
    #[n(1)]
    pub blob: BlobHash,
    /// That file's length.
    #[n(2)]
    pub bytes: u64,
    /// How many samples it holds; none for a span in which nothing was said.
    #[n(3)]
    pub samples: u64,
    /// The host's clock when it began.
    #[n(4)]
    pub from: Timestamp,
    /// The host's clock when it was closed.
    #[n(5)]
    pub to: Timestamp,
    /// Who measured what is in it, by key.
    #[n(6)]
    pub devices: Vec<DeviceRoot>,
}
