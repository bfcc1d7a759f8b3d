//! The lanes over QUIC: sessions between a host and its peers, and what flows in them.
//!
//! - [`address`]: where a site is and whose key it has
//! - [`peers`]: who takes part, and what others see of them
//! - [`wire`]: every message, on one page
//! - [`recall`]: questions for the past, and their answers
//! - [`telemetry`]: what each subscriber is told of tags, how often, and in how few bytes
//! - [`pose_codec`]: a person's pose in some forty bytes
//! - [`body`]: bodies that move, told exactly and in few bytes over a line that loses packets; their leases
//! - [`relay`]: what a host tells everyone of everyone; [`interest`]: who is told what, how often and how exactly
//! - [`nearby`]: frames of speech and bent [`fingers`], to who is near enough
//! - [`join`]: how a newcomer learns where all bodies are, those around it first
//! - [`blob_intake`]: a blob as it comes, verified group by group
//! - [`clock`]: how far the host's clock is from ours
//! - [`host_core`], [`client_core`]: what is decided, without sockets or clocks
//! - [`listener`], [`link`]: the edge, on quinn; [`tls`]: who is at the other end; [`transport`]: what quinn is told
//! - [`rt_controller`]: how much the real-time connection sends
//! - [`test_network`]: a bad network on purpose, by a seed
//!
//! Absent on purpose: what an entry says (`record` knows), where samples come from (`devices` knows), and Bevy.

pub mod address;
mod allowance;
mod beat;
pub mod blob_hash;
pub mod blob_intake;
mod blob_parts;
mod blob_tree;
pub mod body;
mod body_table;
mod bulk_control;
mod bulk_line;
mod careful_resume;
pub mod client_core;
pub mod clock;
mod dial;
mod fetches;
pub mod fingers;
mod frames;
mod handover;
mod holding;
pub mod host_core;
mod host_stats;
mod hub;
pub mod interest;
pub mod invitation_link;
pub mod join;
mod leb128;
pub mod limits;
mod lines;
pub mod link;
pub mod listener;
pub mod nearby;
pub mod peers;
pub mod pose_codec;
mod pose_lane;
mod readers;
pub mod recall;
pub mod relay;
pub mod rt_controller;
pub mod telemetry;
pub mod test_network;
pub mod tls;
pub mod transport;
mod uplink;
pub mod wire;
mod worker;

pub use address::{Address, AddressError};
pub use blob_hash::BlobHash;
pub use blob_parts::BlobParts;
pub use blob_tree::{BlobTree, BlobTreeBuilder};
pub use dial::{address_of, serves};
pub use host_stats::HostStats;
pub use link::{
    BodyTold, LineStats, Link, LinkCommand, LinkConfig, LinkEvent, LinkState, LinkStats, QueueFull, connect, redeem,
};
pub use listener::{HostCommand, HostEvent, HostPort, ListenConfig, ListenError, listen, stand_by};
pub use peers::{Hello, PeerInfo, PeerNumber, Pose, TrackedPoint};
pub use recall::RecallAnswer;
pub use telemetry::{TagSample, TagWindow, Want};
pub use wire::{Recall, UnreadableSpan};
