//! Any bytes as a segment whose hash fits: refused, or read; never the end of the host.
//!
//! The parquet crate asserts what a forged file need not keep. The historian turns that into an error, which the
//! fuzzer's own hook would not let it: so that hook goes. A panic that gets further still ends the run.
#![no_main]

use std::sync::Once;

use gemba_host::historian::hostile::read_segment;

static QUIET: Once = Once::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    read_segment(bytes);
});
