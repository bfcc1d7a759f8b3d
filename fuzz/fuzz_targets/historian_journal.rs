//! Any payloads as a journal whose checksums fit: what is taken of them can be sealed and proves itself.
//! Each payload is a length (u16, little endian) and as many bytes; the last one takes what is left.
#![no_main]

use gemba_host::historian::hostile::replay;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut payloads = Vec::new();
    let mut rest = bytes;
    while let Some((length, more)) = rest.split_first_chunk::<2>() {
        let (payload, more) = more.split_at(usize::from(u16::from_le_bytes(*length)).min(more.len()));
        payloads.push(payload);
        rest = more;
    }
    replay(&payloads);
});
