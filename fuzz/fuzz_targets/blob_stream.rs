//! Any bytes as the stream of a blob, cut anywhere: what passes is the blob that was asked for, and nothing else is held.
//! The first byte says how the stream is cut, and whether the honest one stands before it.
#![no_main]

use gemba_net::blob_intake::BlobIntake;
use gemba_net::{BlobHash, BlobTree};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((how, bytes)) = bytes.split_first() else { return };
    // Asked for is what the bytes themselves would be as a blob, so that a stream can be right.
    let blob = bytes.get(8..).unwrap_or_default();
    let (hash, tree) = (BlobHash::of(blob), BlobTree::of(blob));
    assert_eq!(hash, tree.hash());
    let mut intake = BlobIntake::new(hash, 0);
    let mut came = Vec::new();
    for chunk in bytes.chunks(usize::from(*how) + 1) {
        match intake.handle_bytes(chunk) {
            Ok(parts) => parts.into_iter().for_each(|part| came.extend(part.bytes)),
            Err(_) => return assert!(blob.starts_with(&came)),
        }
    }
    assert!(blob.starts_with(&came));
    assert!(!intake.is_done() || came == blob);
});
