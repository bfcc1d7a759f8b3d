//! Any bytes as control messages and pose datagrams.
#![no_main]

use gemba_net::wire::{PoseDown, PoseUp, decode_to_host, decode_to_peer};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = decode_to_host(bytes);
    let _ = decode_to_peer(bytes);
    let _ = PoseUp::decode(bytes);
    let _ = PoseDown::decode_all(bytes);
});
