//! What quinn is told: where it listens, and of connections how long silence may last, how much may wait, how fast to send.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use quinn::{AckFrequencyConfig, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig, VarInt};
use socket2::{Domain, Protocol, Socket, Type};
use tracing::debug;

use crate::careful_resume::SavedWindows;
use crate::limits;
use crate::rt_controller::RtConfig;

/// An endpoint at `address`, for both families where that is IPv6's any. It has room for what arrives while this program
/// is busy: a packet that the kernel drops looks like a line that is full, and real-time connections would back off.
pub fn endpoint(address: SocketAddr, server: Option<ServerConfig>) -> std::io::Result<Endpoint> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6()
        && let Err(error) = socket.set_only_v6(false)
    {
        debug!("IPv4 cannot be reached by this socket: {error}");
    }
    socket.bind(&address.into())?;
    widen(&socket);
    Endpoint::new(EndpointConfig::default(), server, socket.into(), Arc::new(TokioRuntime))
}

/// A system that gives less (`net.core.rmem_max`) is served all the same.
fn widen(socket: &Socket) {
    let given = socket.set_recv_buffer_size(limits::SOCKET_BYTES).and_then(|()| socket.recv_buffer_size());
    match given {
        Ok(given) if given >= limits::SOCKET_BYTES => {}
        Ok(given) => debug!("the system gives a socket room for {given} bytes only; see net.core.rmem_max"),
        Err(error) => debug!("a socket has the room that the system gives by itself: {error}"),
    }
}

/// Settings of the real-time connection, at both ends.
pub fn real_time() -> TransportConfig {
    with(RtConfig::default())
}

/// A host's settings before it knows what a connection is for: real-time until `is_bulk` says otherwise.
pub(crate) fn undecided(is_bulk: Arc<AtomicBool>, saved: Arc<SavedWindows>, to: IpAddr) -> TransportConfig {
    with(RtConfig { is_bulk, saved: Some((saved, to)), ..RtConfig::default() })
}

/// A peer's settings of the connection for blobs: quinn's own congestion control, Cubic.
pub(crate) fn bulk() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(limits::IDLE.try_into().expect("seconds fit a QUIC integer")));
    // Where all bodies are.
    transport.max_concurrent_uni_streams(VarInt::from_u32(1));
    transport.stream_receive_window(VarInt::from_u32(8 << 20));
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
    // Answers go along with what is told the other way, many times a second; packets of answers alone were as many again.
    let mut answers = AckFrequencyConfig::default();
    answers.ack_eliciting_threshold(VarInt::from_u32(limits::PACKETS_PER_ACK));
    transport.ack_frequency_config(Some(answers));
    transport
}
