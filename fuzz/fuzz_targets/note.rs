//! Whatever is read as a signed note is written as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wugan_protocol::log::note::Note;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(note) = Note::read(bytes) {
        assert_eq!(note.to_string().as_bytes(), bytes);
    }
});
