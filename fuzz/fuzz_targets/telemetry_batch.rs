//! Any bytes as a batch of samples: what is read can be written and read again.
#![no_main]

use gemba_net::telemetry::{decode, encode};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(samples) = decode(bytes) {
        // Compared as bytes: a NaN is not equal to itself.
        let again = encode(&samples);
        assert_eq!(encode(&decode(&again).expect("what was written can be read")), again);
    }
});
