//! Any text as a checkpoint of a log whose key is known (examples/seeds.rs signs with it): nothing but what was signed
//! is taken.
#![no_main]

use ed25519_dalek::SigningKey;
use gemba_record::checkpoint::{self, Checkpoint};
use gemba_record::entry::SiteId;
use gemba_twin::peer::PeerKey;

libfuzzer_sys::fuzz_target!(|note: &str| {
    let origin = checkpoint::origin(SiteId([5; 16]));
    let key = PeerKey(SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes());
    if let Ok(checkpoint) = Checkpoint::verify(note, &origin, &key) {
        assert_eq!(checkpoint.origin, origin);
        assert!(note.starts_with(&checkpoint.text()));
    }
});
