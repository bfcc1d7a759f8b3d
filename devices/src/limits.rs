//! The size of everything that comes from a device, with the reasoning beside the number.

/// Samples that wait for the gateway's reader before older ones of the same tag give way to newer: at 10,000 values a
/// second, half a minute of a stalled reader, some 4 MB.
pub const WAITING_SAMPLES: usize = 1 << 18;

/// Events that wait for the gateway's reader; beyond it samples gather in one batch ([`WAITING_SAMPLES`]).
pub const WAITING_EVENTS: usize = 16;

/// Commands that wait to be sent to a device: what a person or a script presses within one round trip.
pub const WAITING_COMMANDS: usize = 64;

/// Nodes asked for in one OPC UA request; small servers refuse more than a few hundred.
pub const NODES_PER_REQUEST: usize = 200;

/// Nodes a browse may visit, tags and folders and properties together: four for each of
/// [`gemba_twin::limits::TAGS`].
pub const BROWSED_NODES: usize = 4 * gemba_twin::limits::TAGS;

/// Samples of one tag that the server keeps between two publishes: one second at 50 Hz.
pub const QUEUED_PER_TAG: u32 = 50;

/// Largest OPC UA message a gateway takes, bytes: 1,000 tags' notifications are some 50 kB, a large browse some 1 MB.
pub const MESSAGE_BYTES: usize = 16 << 20;
