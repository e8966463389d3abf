//! The files of a round: any bytes are read to an end or refused, in bounded memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wugan_protocol::run::{Bitmap, Items, Pool, Records};

fuzz_target!(|input: (u8, &[u8])| {
    let (matters, bytes) = input;
    if let Ok(mut words) = Items::<_, 4>::open(bytes, usize::from(matters)) {
        while let Ok(Some(_)) = words.next() {}
    }
    if let Ok(mut pool) = Pool::open(bytes) {
        let mut last = None;
        while let Ok(Some(tag)) = pool.next() {
            assert!(last.replace(tag) < Some(tag), "tags ascend");
        }
    }
    if let Ok(mut records) = Records::open(bytes) {
        while let Ok(Some(_)) = records.next() {}
    }
    // A bitmap is held whole: its header may claim more than there is.
    if bytes.get(32..40).is_some_and(|count| u64::from_le_bytes(count.try_into().unwrap_or_default()) < 1 << 24) {
        drop(Bitmap::read(bytes));
    }
});
