//! A bad network on purpose: delay, jitter, loss alone and in bursts, overtaking, duplicates, a bottleneck with a queue,
//! and partitions; each way on its own, all from one seed.
//!
//! - [`Conditions`]: what a line does to packets, also as text: `delay=25ms,loss=1%,bandwidth=4Mbit`
//! - [`Direction`]: one way of one line, without sockets or clocks: packets and instants in, deliveries out
//! - [`VirtualNetwork`]: many ends joined by such lines, for the cores in one deterministic test
//! - [`UdpProxy`]: the same in front of a real UDP port, for whole programs (`gembactl proxy`) and benchmarks
//!
//! Absent on purpose: routing, and anything that looks into packets.

mod conditions;
mod dice;
mod direction;
mod udp_proxy;
mod virtual_network;

pub use conditions::{BadConditions, Bursts, Conditions};
pub use direction::{Counts, Direction};
pub use udp_proxy::{ProxyConfig, ProxyCounts, UdpProxy};
pub use virtual_network::{Delivery, End, VirtualNetwork};
