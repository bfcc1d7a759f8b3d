//! Any bytes as a packed frame of samples or windows: what is read can be written and read again.
#![no_main]

use gemba_net::telemetry::packed::{Frame, decode, encode, encode_windows};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(frame) = decode(bytes) {
        let write = |frame: &Frame| match frame {
            Frame::Samples(samples) => encode(samples),
            Frame::Windows(windows) => encode_windows(windows),
        };
        // Compared as bytes: a NaN is not equal to itself.
        let again = write(&frame);
        assert_eq!(write(&decode(&again).expect("what was written can be read")), again);
    }
});
