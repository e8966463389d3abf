//! Whatever is read as an ID number has one canonical form, which is read as itself and is spotted in texts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wugan_protocol::person::{PersonId, looks_like_id};

fuzz_target!(|text: &str| {
    if let Ok((person, _)) = PersonId::parse(text) {
        let canonical = person.to_canonical_string();
        let (again, normalised) = PersonId::parse(&canonical).expect("the canonical form is valid");
        assert!(again == person && !normalised.any());
        assert_eq!(PersonId::from_u64(person.to_u64()), Some(person));
        assert!(looks_like_id(text) && looks_like_id(&canonical));
    }
});
