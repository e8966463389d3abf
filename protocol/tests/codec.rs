//! Wire bytes of each message and reply, and every other input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use wugan_protocol::{
    codec::{CodecError, decode, encode},
    disclosure::{Answer, Opening},
    file::{Header, HeaderError},
    limits::{FILE_ITEMS_MAX, MESSAGE_BYTES_MAX},
    message::{DisclosureReply, FileReply, Message},
    reason::Reason,
};

/// Each message with its bytes, fields apart.
fn messages() -> Vec<(Message, String)> {
    let (a, b) = ("a1".repeat(32), "b2".repeat(32));
    vec![
        (Message::Follow { entries: 0x0102_0304_0506_0708 }, "00000000 0807060504030201".into()),
        (
            Message::Entries { first: 258, lines: vec![b"{}".to_vec(), vec![]] },
            "01000000 0201000000000000 0200000000000000 0200000000000000 7b7d 0000000000000000".into(),
        ),
        (Message::Submit { line: b"{1}".to_vec() }, "02000000 0300000000000000 7b317d".into()),
        (
            Message::Online { time: 0x0807, nodes: vec![1, 0x0203] },
            "03000000 0708000000000000 0200000000000000 0100 0302".into(),
        ),
        (
            Message::Batch { owner: 4, batch: 5, sources: vec![6], blinded: vec![[0xa1; 32], [0xb2; 32]] },
            format!("04000000 0400 0500000000000000 0100000000000000 0600 0200000000000000 {a} {b}"),
        ),
        (
            Message::Answer {
                owner: 4,
                batch: 5,
                source: 6,
                evaluated: vec![[0xb2; 32]],
                proof: [[0xa1; 32], [0xb2; 32]],
            },
            format!("05000000 0400 0500000000000000 0600 0100000000000000 {b} {a} {b}"),
        ),
        (Message::Checkpoint { note: b"a\n".to_vec() }, "06000000 0200000000000000 610a".into()),
        (
            Message::Question { request: [0xa1; 32], opening: Opening { salt: [0xb2; 32], row: 0x0102 } },
            format!("07000000 {a} {b} 02010000"),
        ),
        (
            Message::Disclosed {
                request: [0xa1; 32],
                reply: DisclosureReply::Told(Answer { salt: [0xb2; 32], handles: vec![7, 0x0102] }),
            },
            format!("08000000 {a} 00000000 {b} 0200000000000000 07000000 02010000"),
        ),
        (
            Message::Disclosed { request: [0xa1; 32], reply: DisclosureReply::Refused(0x0102) },
            format!("08000000 {a} 01000000 0201"),
        ),
    ]
}

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).unwrap()
}

#[test]
fn every_message_has_its_fixed_bytes() {
    for (message, hex) in messages() {
        assert_eq!(encode(&message).unwrap(), bytes(&hex), "{message:?}");
        assert_eq!(decode::<Message>(&bytes(&hex)), Ok(message));
    }
    for (reply, hex) in [(FileReply::Kept, "00000000"), (FileReply::Refused(0x0102), "01000000 0201")] {
        assert_eq!(encode(&reply).unwrap(), bytes(hex));
        assert_eq!(decode::<FileReply>(&bytes(hex)), Ok(reply));
    }
}

#[test]
fn truncated_and_trailing_bytes_are_refused() {
    for (message, hex) in messages() {
        let good = bytes(&hex);
        for length in 0..good.len() {
            assert_eq!(decode::<Message>(&good[..length]), Err(CodecError::Malformed), "{length} bytes of {message:?}");
        }
        let more = [&good[..], &[0; 3]].concat();
        assert_eq!(decode::<Message>(&more), Err(CodecError::Trailing { bytes: 3 }));
    }
    assert_eq!(decode::<FileReply>(&bytes("01000000 02")), Err(CodecError::Malformed));
    assert_eq!(decode::<FileReply>(&bytes("00000000 00")), Err(CodecError::Trailing { bytes: 1 }));
}

#[test]
fn unknown_variants_are_refused() {
    for variant in [9_u32, 255, u32::MAX] {
        let bytes = [&variant.to_le_bytes()[..], &[0; 64]].concat();
        assert_eq!(decode::<Message>(&bytes), Err(CodecError::Malformed));
        assert_eq!(decode::<FileReply>(&bytes), Err(CodecError::Malformed));
    }
}

/// The largest size of this process so far, KiB.
#[cfg(target_os = "linux")]
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn a_length_that_promises_too_much_costs_no_memory() {
    let before = peak_kib();
    let disclosed = format!("08000000 {0} 00000000 {0}", "a1".repeat(32));
    let heads = [
        "01000000 0000000000000000",
        "02000000",
        "03000000",
        "04000000 0400 0500000000000000",
        "05000000 0400 0500000000000000 0600",
        disclosed.as_str(),
    ];
    for head in heads {
        for length in [0x0010_0000, 0x0400_0000, 0x1_0000_0000, u64::MAX >> 8, u64::MAX] {
            let promise = [&bytes(head)[..], &length.to_le_bytes(), &[1; 100]].concat();
            assert_eq!(decode::<Message>(&promise), Err(CodecError::Malformed), "{head} {length}");
        }
    }
    // Other tests of this binary run meanwhile; a promise kept would be at least 1 GiB.
    assert!(peak_kib() - before < 256 << 10, "{} KiB", peak_kib() - before);
}

#[test]
fn a_message_has_a_bound() {
    let line = vec![7; MESSAGE_BYTES_MAX - 12];
    let largest = encode(&Message::Submit { line: line.clone() }).unwrap();
    assert_eq!(largest.len(), MESSAGE_BYTES_MAX);
    assert_eq!(decode(&largest), Ok(Message::Submit { line }));
    let bytes = MESSAGE_BYTES_MAX + 1;
    let larger = Message::Submit { line: vec![7; bytes - 12] };
    assert_eq!(encode(&larger), Err(CodecError::TooLarge { bytes }));
    assert_eq!(decode::<Message>(&vec![0; bytes]), Err(CodecError::TooLarge { bytes }));
    let blinded = vec![[9; 32]; 8_192];
    let batch = Message::Batch { owner: 1, batch: 2, sources: (0..1_023).collect(), blinded };
    assert_eq!(decode(&encode(&batch).unwrap()), Ok(batch), "a full batch for everyone");
}

#[test]
fn every_reason_has_its_number_for_ever() {
    let known: Vec<Reason> = (0..=u16::MAX).filter_map(Reason::from_code).collect();
    assert!(known.iter().zip(1..).all(|(reason, code)| reason.code() == code));
    let fixed = [
        (Reason::NotMember, 1, "not_member"),
        (Reason::TooSoon, 9, "too_soon"),
        (Reason::ListDiffers, 16, "list_differs"),
        (Reason::OverBudget, 19, "over_budget"),
        (Reason::BadHandles, 26, "bad_handles"),
        (Reason::Malformed, 33, "malformed"),
        (Reason::TooLate, 37, "too_late"),
    ];
    for (reason, code, name) in fixed {
        assert_eq!((reason.code(), serde_json::to_value(reason).unwrap()), (code, name.into()));
    }
    assert!(serde_json::from_str::<Reason>("\"because\"").is_err());
}

#[test]
fn a_file_begins_with_salt_count_and_rows() {
    let salt = std::array::from_fn(|i| i as u8);
    let header = Header { salt, count: 0x0102_0304, rows: vec![5, 0x0607] };
    let fixed = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 0403020100000000 05000000 07060000";
    assert_eq!(header.encode(), bytes(fixed));
    assert!(Header::decode(&bytes(fixed), 2) == Ok(header));
    for matters in [0, 1, 3, usize::MAX / 8] {
        assert!(Header::decode(&bytes(fixed), matters) == Err(HeaderError::Length));
    }
    let most = |count| Header::decode(&Header { salt, count, rows: vec![] }.encode(), 0).map(|header| header.count);
    assert_eq!(most(FILE_ITEMS_MAX), Ok(FILE_ITEMS_MAX));
    assert_eq!(most(FILE_ITEMS_MAX + 1), Err(HeaderError::Count));
    assert_eq!(most(u64::MAX), Err(HeaderError::Count));
}

proptest! {
    #[test]
    fn bytes_are_a_message_only_if_it_encodes_to_them(variant in 0_u32..9, tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [&variant.to_le_bytes()[..], &tail].concat();
        if let Ok(message) = decode::<Message>(&bytes) {
            prop_assert_eq!(encode(&message).unwrap(), bytes);
        }
    }

    #[test]
    fn changed_messages_are_others_or_refused(which in 0_usize..10, at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let (message, hex) = messages().swap_remove(which);
        let mut bytes = bytes(&hex);
        let at = at.index(bytes.len());
        let same = bytes[at] == to;
        bytes[at] = to;
        if let Ok(other) = decode::<Message>(&bytes) {
            prop_assert_eq!(other == message, same);
            prop_assert_eq!(encode(&other).unwrap(), bytes);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode::<Message>(&bytes);
        let _ = decode::<FileReply>(&bytes);
        for matters in 0..4 {
            let _ = Header::decode(&bytes, matters);
        }
    }
}
