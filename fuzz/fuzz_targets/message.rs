//! Whatever is read as a message is exactly what would be sent for it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wugan_protocol::{codec, message::Message};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = codec::decode::<Message>(bytes) {
        assert_eq!(codec::encode(&message).expect("it was read"), bytes);
    }
});
