//! Any bytes as a signed entry: what is taken is exactly what is kept.
#![no_main]

use gemba_record::entry::SignedEntry;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(entry) = SignedEntry::decode(bytes.to_vec()) {
        assert_eq!(entry.bytes(), bytes);
    }
});
