//! What quinn is told about connections: how long silence may last, how much may wait, how fast to send.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use quinn::{TransportConfig, VarInt};

use crate::limits;
use crate::rt_controller::RtConfig;

/// Settings of the real-time connection, at both ends.
pub fn real_time() -> TransportConfig {
    with(RtConfig::default())
}

/// A host's settings before it knows what a connection is for: real-time until `is_bulk` says otherwise.
pub(crate) fn undecided(is_bulk: Arc<AtomicBool>) -> TransportConfig {
    with(RtConfig { is_bulk, ..RtConfig::default() })
}

/// A peer's settings of the connection for blobs: quinn's own congestion control, Cubic.
pub(crate) fn bulk() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(limits::IDLE.try_into().expect("seconds fit a QUIC integer")));
    // Where all bodies are.
    transport.max_concurrent_uni_streams(VarInt::from_u32(1));
    transport.max_concurrent_bidi_streams(VarInt::from_u32(0));
    transport
}

fn with(controller: RtConfig) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(limits::IDLE.try_into().expect("seconds fit a QUIC integer")));
    // What is measured now, and answers from the past.
    transport.max_concurrent_uni_streams((1 + limits::RECALL_STREAMS).into());
    transport.max_concurrent_bidi_streams(VarInt::from_u32(1 + limits::BLOBS_PER_PEER as u32));
    // Late poses are worthless: a few datagrams, then the oldest goes.
    transport.datagram_send_buffer_size(16 << 10);
    transport.congestion_controller_factory(Arc::new(controller));
    transport
}
