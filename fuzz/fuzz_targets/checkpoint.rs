//! Whatever the log's key has signed is a checkpoint of this log, written as it was read, or refused.
#![no_main]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use libfuzzer_sys::fuzz_target;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use wugan_protocol::log::{
    checkpoint::VerifiedCheckpoint,
    note::{Algorithm, VerifierKey},
};

fuzz_target!(|text: &str| {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).expect("a seed");
    let public = pair.public_key().as_ref().try_into().expect("32 bytes");
    let key = VerifierKey::new("log", Algorithm::Ed25519, public).expect("a name");
    let signature = [key.id().0.as_slice(), pair.sign(text.as_bytes()).as_ref()].concat();
    let note = format!("{text}\n\u{2014} log {}\n", STANDARD.encode(signature));
    if let Ok(checkpoint) = VerifiedCheckpoint::open(note.as_bytes(), &key) {
        assert_eq!(checkpoint.note().text(), text);
        assert_eq!(text.lines().next(), Some("log"), "the origin is the log's");
        assert_eq!(text.lines().nth(1), Some(checkpoint.tree().size.to_string().as_str()), "one way to write a size");
    }
});
