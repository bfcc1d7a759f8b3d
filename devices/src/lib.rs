//! Where Gemba meets equipment: the gateway that reads and writes real devices, and the simulated plant that stands in
//! for them.
//!
//! - [`gateway`]: an OPC UA client that finds every tag of a server, subscribes to it and passes commands on. It knows
//!   nothing of a plant but the server's endpoint.
//! - [`simulator`]: a production line as physics and discrete events. No sockets and no clock: the caller steps it.
//! - [`opcua_server`]: serves a simulator as an OPC UA address space over TCP, in step with the wall clock.
//! - [`limits`]: the size of everything that comes from a device.
//!
//! Absent on purpose: QUIC, the record, glTF and Bevy. A gateway hands out tags and samples; what a host does with them
//! is the host's affair.

pub mod gateway;
pub mod limits;
pub mod opcua_server;
pub mod simulator;

/// Directives for a log filter (`tracing_subscriber::EnvFilter`) that keep the OPC UA library to itself: it calls it an
/// error that there are no certificates, which here is as it should be, and repeats as its own errors what a gateway
/// tells as [`gateway::GatewayEvent::Lost`].
pub const QUIET_LIBRARY: &str = "opcua_crypto=off,opcua_core=off,opcua_client=off,opcua_server=off";
