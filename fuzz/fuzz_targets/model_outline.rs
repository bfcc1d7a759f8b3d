//! Any bytes as a glTF file: refused or read, never a panic, never more memory than the bytes justify.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = gemba_twin::model::outline(bytes);
});
