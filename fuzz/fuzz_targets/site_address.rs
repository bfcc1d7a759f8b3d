//! Any text as the address of a site: what is read is written as an address of the same.
#![no_main]

use gemba_net::Address;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(address.to_string().parse::<Address>().as_ref(), Ok(&address));
    }
});
