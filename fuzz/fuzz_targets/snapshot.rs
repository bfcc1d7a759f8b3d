//! Any bytes as a snapshot: refused, or a site that can be asked and written again.
#![no_main]

use gemba_record::site::Site;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(site) = Site::from_snapshot(bytes) {
        let again = Site::from_snapshot(&site.snapshot()).map(|site| site.digest());
        assert_eq!(again, Ok(site.digest()));
    }
});
