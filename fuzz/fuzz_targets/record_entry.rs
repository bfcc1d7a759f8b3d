//! Any bytes as an entry: what is read is exactly what is kept, and a site that takes it is the same after a snapshot.
//! Signatures are passed over, so that the fold is reached, which must hold whatever peers sign.
#![no_main]

use std::sync::LazyLock;

use gemba_record::entry::UnverifiedEntry;
use gemba_record::log::Log;
use gemba_record::site::{Placed, Site};

/// The site of the golden entries.
static SITE: LazyLock<Site> = LazyLock::new(|| {
    let golden = include_str!("../../record/tests/golden.txt");
    let entries = golden.lines().filter(|line| line.len() > 64).map(|line| {
        let digit = |byte: u8| char::from(byte).to_digit(16).expect("golden entries are hexadecimal") as u8;
        line.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
    });
    let log = Log::replay(entries).expect("the golden entries hold");
    log.site().expect("the golden entries found a site").clone()
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(entry) = UnverifiedEntry::read(bytes.to_vec()) else { return };
    assert_eq!(entry.bytes(), bytes);
    let Ok(signer) = SITE.signer_of(&entry) else { return };
    let mut site = SITE.clone();
    if let Ok(Placed::New(_)) = site.apply(entry.already_verified(&signer)) {
        let snapshot = site.snapshot();
        assert_eq!(Site::from_snapshot(&snapshot).map(|site| site.snapshot()), Ok(snapshot));
    }
});
