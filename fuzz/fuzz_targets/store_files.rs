//! Any bytes as a site's record, its index or its mark, with checksums that fit or not: what opens can be read, what is
//! whole can be written, and what is damaged is said.
#![no_main]

use gemba_host::store::hostile::open;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| open(bytes));
