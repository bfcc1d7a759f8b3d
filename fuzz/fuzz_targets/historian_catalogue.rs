//! Any lines as a catalogue of history whose checksums fit: the one that is written in its place says the same.
//! Each line is a length (u16, little endian) and as many bytes; the last one takes what is left.
#![no_main]

use gemba_host::historian::hostile::read_catalogue;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Some((length, more)) = rest.split_first_chunk::<2>() {
        let (line, more) = more.split_at(usize::from(u16::from_le_bytes(*length)).min(more.len()));
        lines.push(line);
        rest = more;
    }
    read_catalogue(&lines);
});
