//! Whatever is read as an entry of the log is canonical, and shows whom it claims to be from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wugan_protocol::{envelope::Unverified, person::looks_like_id};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(unverified) = Unverified::read(bytes) {
        let (sender, _) = unverified.claimed();
        assert!(!looks_like_id(sender));
        assert!(unverified.verify(&[7; 32]).is_err(), "nobody has the key");
    }
});
