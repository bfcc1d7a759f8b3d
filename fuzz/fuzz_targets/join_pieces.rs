//! Any bytes as what a newcomer is told of all bodies: pieces with their lengths before them, after an honest manifest or
//! none. What is read can be written and read again, and there are never more bodies than were announced.
#![no_main]

use gemba_net::join::{CellBlock, Manifest, Newcomer};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut newcomer = Newcomer::default();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first() {
        let (piece, after) = after.split_at(after.len().min(usize::from(*length)));
        rest = after;
        if let Some(manifest) = Manifest::decode(piece) {
            assert_eq!(Manifest::decode(&manifest.encode()), Some(manifest));
        }
        if let Some(block) = CellBlock::decode(piece) {
            assert_eq!(CellBlock::decode(&block.encode()), Some(block));
        }
        let _ = newcomer.handle_piece(piece);
        let (here, total) = newcomer.progress();
        assert!(here <= total);
    }
});
