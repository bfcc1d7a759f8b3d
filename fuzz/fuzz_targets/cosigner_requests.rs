//! Any bytes as requests to a witness and to a mirror: never a panic, and never a cosignature without the log's own
//! signature.
#![no_main]

use ed25519_dalek::SigningKey;
use gemba_record::checkpoint::origin;
use gemba_record::cosignature::Cosigner;
use gemba_record::entry::SiteId;
use gemba_record::mirror::{Mirror, Upload, read_info};
use gemba_record::note::{SignatureKind, SignatureLine, VerifierKey};
use gemba_record::witness::{Step, Submission, Witness};
use gemba_twin::peer::PeerKey;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let key = PeerKey(SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes());
    let log = VerifierKey::new(&origin(SiteId([5; 16])), SignatureKind::Log, key).expect("a strong key");
    let cosigner = Cosigner::new("w", SigningKey::from_bytes(&[2; 32])).expect("a strong key");
    if let Ok(upload) = Upload::parse(bytes) {
        // A prefix of whole packages: what was passed over behind them is not written again.
        assert_eq!(Upload::parse(&upload.encode()), Ok(upload));
    }
    let mut witness = Witness::new(cosigner.clone());
    witness.watch(log.clone(), &[], None).expect("there is no record yet");
    if let Step::Persist(_) = witness.handle_add_checkpoint(bytes, 1) {
        let submission = Submission::parse(bytes).expect("it was taken");
        assert_eq!(submission.checkpoint.verify(&log), Ok(()));
    }
    let mut mirror = Mirror::restore(cosigner, log, &[], None, None).expect("there is no record yet");
    let _ = mirror.handle_add_checkpoint(bytes);
    let _ = mirror.handle_add_entries(bytes, 1);
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = (read_info(text), SignatureLine::parse_all(text), text.parse::<VerifierKey>());
    }
});
