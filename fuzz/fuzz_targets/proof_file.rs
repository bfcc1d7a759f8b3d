//! Any bytes as a proof file about a log whose key is known (examples/seeds.rs signs with it): what is read is written
//! again the same, and proves nothing but what was proved.
#![no_main]

use ed25519_dalek::SigningKey;
use gemba_record::checkpoint::origin;
use gemba_record::entry::SiteId;
use gemba_record::note::{SignatureKind, VerifierKey};
use gemba_record::proof_file::ProofFile;
use gemba_twin::peer::PeerKey;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let key = PeerKey(SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes());
    let log = VerifierKey::new(&origin(SiteId([5; 16])), SignatureKind::Log, key).expect("a strong key");
    if let Ok(file) = ProofFile::parse(bytes) {
        assert_eq!(ProofFile::parse(file.to_string().as_bytes()), Ok(file.clone()));
        // The only entry that was ever proved with this key.
        assert!(file.verify(b"an entry that nobody wrote", &log).is_err());
    }
});
