//! Verifier keys, signed notes, checkpoints and cosignatures.

use std::{collections::BTreeSet, ops::RangeInclusive};

use base64::{Engine, prelude::BASE64_STANDARD};
use wugan_protocol::{
    envelope::Signer,
    limits::{KEY_NAME_BYTES_MAX, NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX},
    log::{
        checkpoint::{CheckpointError, VerifiedCheckpoint},
        cosignature::{CosignError, CosignatureError, Cosigned, Cosigners, CosignersError, cosign},
        merkle::{Tree, leaf_hash},
        note::{Algorithm, KeyError, Note, NoteError, SignatureError, SignatureLine, VerifierKey},
        seen::{ConsistencyError, SeenTree},
    },
};

use super::{Key, ORIGIN, checkpoint, digest};

const TIME: u64 = 1_790_000_000;
const TIMES: RangeInclusive<u64> = TIME - 60..=TIME + 60;

/// Made with Go's `sumdb/note` and `crypto/ed25519`: the log's key has the seed 01…01, the cosigner's 02…02.
const LOG_KEY: &str = "wugan.example/city+1bf43dce+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
const COSIGNER_KEY: &str = "wugan.example/clinic+95d98734+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU";
const TEXT: &str = "wugan.example/city\n5\nXXStItFv634MMKpnX7Clwa5/Ml6CpToPMyKow3nxiTg=\n";
const LOG_LINE: &str =
    "— wugan.example/city G/Q9ztQSygtDS/mtCFI1p2Kf+sQ6+TSTLtx4DvJeBx3pniA32UbWXow4xiY8hV5CSC2XWQx95IY+OjSp7rrnwkcTdgo=";
const COSIGNER_LINE: &str = "— wugan.example/clinic ldmHNAAAAABqsTuAHUU75WYDICPk6HMgV4PuinrKBXj8Zx3ATO6+2DRV60TX51/9t6xSEcZkNxhaqvJE2nA/21qGMdxEIZ3yUP4XBQ==";

fn log_key() -> VerifierKey {
    LOG_KEY.parse().unwrap()
}

fn note_of(text: &str, lines: &[&str]) -> String {
    format!("{text}\n{}\n", lines.join("\n"))
}

fn tree() -> Tree {
    Tree { size: 5, root: digest("5d74ad22d16feb7e0c30aa675fb0a5c1ae7f325e82a53a0f3322a8c379f18938") }
}

fn cosigners() -> Cosigners {
    Cosigners::new([
        (3, COSIGNER_KEY.parse().unwrap()),
        (4, cosigner_key(4)),
        (5, cosigner_key(5)),
        (5, cosigner_key(6)),
    ])
    .unwrap()
}

fn cosigner_key(seed: u8) -> VerifierKey {
    VerifierKey::new(&cosigner_name(seed), Algorithm::CosignatureV1, Key::new(seed).public_key()).unwrap()
}

fn cosigner_name(seed: u8) -> String {
    format!("wugan.example/{seed}")
}

fn cosignature(seed: u8, time: u64) -> SignatureLine {
    cosign(&SeenTree::restore(tree()), &checkpoint(tree()), &cosigner_name(seed), &Key::new(seed), time).unwrap()
}

/// The note and what a stranger's program made of it are the same bytes in both directions.
#[test]
fn fixed_vectors_of_checkpoint_and_cosignature() {
    assert_eq!(log_key().to_string(), LOG_KEY);
    assert_eq!(log_key(), VerifierKey::new(ORIGIN, Algorithm::Ed25519, Key::new(1).public_key()).unwrap());
    assert_eq!(COSIGNER_KEY.parse::<VerifierKey>().unwrap().to_string(), COSIGNER_KEY);
    let signed = checkpoint(tree());
    assert_eq!(signed.note().to_string(), note_of(TEXT, &[LOG_LINE]));
    let seen = SeenTree::nothing().extend(&signed, &[]).unwrap();
    let line = cosign(&seen, &signed, "wugan.example/clinic", &Key::new(2), TIME).unwrap();
    assert_eq!(line.to_string(), COSIGNER_LINE);
    let opened = VerifiedCheckpoint::open(note_of(TEXT, &[LOG_LINE, COSIGNER_LINE]).as_bytes(), &log_key()).unwrap();
    assert_eq!((opened.tree(), opened.note().text()), (tree(), TEXT));
    assert_eq!(opened.note().to_string(), note_of(TEXT, &[LOG_LINE, COSIGNER_LINE]));
    let cosigned = Cosigned::verify(opened, &cosigners(), &TIMES).unwrap();
    assert_eq!(cosigned.members().iter().collect::<Vec<_>>(), [(&3, &TIME)]);
    assert_eq!((cosigned.unknown(), cosigned.repeated()), (&[][..], &[][..]));
    let mut added = Cosigned::verify(signed, &cosigners(), &TIMES).unwrap();
    assert_eq!(added.add(line, &cosigners(), &TIMES), Ok((3, TIME)));
    assert_eq!(added.checkpoint().note(), cosigned.checkpoint().note());
}

/// Notes of Go's checksum database and of the tests of its `note` package.
#[test]
fn published_notes_are_read() {
    let database: VerifierKey = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8".parse().unwrap();
    let text = "go.sum database tree\n31700353\nqINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=\n";
    let line =
        "— sum.golang.org Az3grnmrIUEDFqHzAElIQCPNoRFRAAdFo47fooyWKMHb89k11GJh5zHIfNCOBmwn/C3YI8oW9/C8DJ87F61QqspBYwM=";
    let bytes = note_of(text, &[line]);
    let note = Note::read(bytes.as_bytes()).unwrap();
    assert_eq!((note.text(), &*note.to_string()), (text, &*bytes));
    // Its signature verifies, its origin is not its key's name.
    assert_eq!(VerifiedCheckpoint::open(bytes.as_bytes(), &database), Err(CheckpointError::Origin));
    let peter = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(peter.parse::<VerifierKey>().unwrap().to_string(), peter);
    let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    let line =
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
    // The signature verifies, the text is no checkpoint.
    let bytes = note_of(text, &[line]);
    assert_eq!(VerifiedCheckpoint::open(bytes.as_bytes(), &peter.parse().unwrap()), Err(CheckpointError::Lines));
    let bytes = note_of(&text.replace("think", "hope"), &[line]);
    let bad = CheckpointError::Signature(SignatureError::Bad { name: "PeterNeumann".to_owned() });
    assert_eq!(VerifiedCheckpoint::open(bytes.as_bytes(), &peter.parse().unwrap()), Err(bad));
}

/// The checkpoints with which the litewitness project tests its witness, one growing into the other.
#[test]
fn published_checkpoints_of_another_log_are_verified() {
    let origin = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562";
    let key = digest("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f").0;
    let log = VerifierKey::new(origin, Algorithm::Ed25519, key).unwrap();
    let open = |size: u64, root: &str, signature: &str| {
        let note = format!("{origin}\n{size}\n{root}\n\n— {origin} {signature}\n");
        VerifiedCheckpoint::open(note.as_bytes(), &log)
    };
    let one = open(
        1,
        "KgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "UgIom7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=",
    )
    .unwrap();
    let root = "RcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=";
    let signature = "UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=";
    let three = open(3, root, signature).unwrap();
    let altered = open(3, root, &signature.replace("6go=", "6gx=")).unwrap_err();
    assert_eq!(altered, CheckpointError::Note(NoteError::Line(1)), "bits after the end");
    assert!(matches!(open(3, root, &signature.replace("6go=", "6ko=")), Err(CheckpointError::Signature(_))));
    let seen = SeenTree::nothing().extend(&one, &[]).unwrap();
    let proof = ["2a01", "2a02"].map(|start| digest(&format!("{start:0<64}")));
    seen.extend(&three, &proof).unwrap();
    let altered = [proof[0], digest(&format!("{:0<62}10", "2a02"))];
    assert_eq!(seen.extend(&three, &altered), Err(ConsistencyError::NotProven { seen: 1, offered: 3 }));
}

#[test]
fn verifier_keys_of_another_form_are_refused() {
    let encoded = LOG_KEY.rsplit_once('+').unwrap().1;
    let with = |algorithm: u8, key: &[u8]| BASE64_STANDARD.encode([&[algorithm], key].concat());
    for (key, error) in [
        (String::new(), KeyError::Form),
        ("wugan.example/city".to_owned(), KeyError::Form),
        ("wugan.example/city+1bf43dce".to_owned(), KeyError::Form),
        (format!("wugan.example/city+1BF43DCE+{encoded}"), KeyError::Form),
        (format!("wugan.example/city+1bf43dc+{encoded}"), KeyError::Form),
        (format!("wugan.example/city++1bf43dc+{encoded}"), KeyError::Form),
        (format!("wugan.example/city+1bf43dce+{encoded}="), KeyError::Form),
        (format!("wugan.example/city+1bf43dce+{encoded} "), KeyError::Form),
        (format!("wugan.example/city+1bf43dce+{encoded}\n"), KeyError::Form),
        ("wugan.example/city+1bf43dce+".to_owned(), KeyError::Form),
        (format!("wugan.example/city+1bf43dce+{}", with(1, &[7; 31])), KeyError::Form),
        (format!("wugan.example/city+1bf43dce+{}", with(1, &[7; 33])), KeyError::Form),
        (format!("wugan.example/city+1bf43dce+{}", with(2, &[7; 32])), KeyError::Algorithm),
        (format!("wugan.example/city+1bf43dce+{}", with(1, &[7; 32])), KeyError::Id),
        (format!("wugan.example/city+1bf43dce+{}", with(4, log_key().public_key())), KeyError::Id),
        (format!("wugan.example/town+1bf43dce+{encoded}"), KeyError::Id),
        (format!("+1bf43dce+{encoded}"), KeyError::Name),
        (format!("a city+1bf43dce+{encoded}"), KeyError::Name),
        (format!("a\u{3000}city+1bf43dce+{encoded}"), KeyError::Name),
        (format!("a\ncity+1bf43dce+{encoded}"), KeyError::Name),
    ] {
        assert_eq!(key.parse::<VerifierKey>(), Err(error), "{key}");
    }
    for name in ["", "a b", "a+b", "a\tb", "a\u{a0}b", "a\u{7f}", &"x".repeat(KEY_NAME_BYTES_MAX + 1)] {
        assert_eq!(VerifierKey::new(name, Algorithm::Ed25519, [0; 32]), Err(KeyError::Name));
        assert_eq!(VerifiedCheckpoint::sign(tree(), name, &Key::new(1)), Err(KeyError::Name));
    }
    VerifierKey::new("城市.例", Algorithm::Ed25519, [0; 32]).unwrap();
}

#[test]
fn bytes_that_are_no_note_are_refused() {
    let short = format!("— a {}", BASE64_STANDARD.encode([0; 4]));
    let unpadded = LOG_LINE.trim_end_matches('=');
    let spaced = LOG_LINE.replace("/mtC", "/mt C");
    let urlsafe = LOG_LINE.replace('/', "_");
    for line in [
        "",
        "—",
        "— ",
        "— a",
        "— a ",
        "— a AAAA",
        "—  AAAAAAAA",
        "- wugan.example/city AAAAAAAA",
        "—\u{a0}a AAAAAAAA",
        "— a+b AAAAAAAA",
        "— a\u{2003}b AAAAAAAA",
        "— a AAAAAAAA ",
        " — a AAAAAAAA",
        "— a AAAAAAAB=",
        "— a AAAAAAB=",
        "— a AAAAAAA",
        &short,
        unpadded,
        &spaced,
        &urlsafe,
    ] {
        let note = note_of(TEXT, &[LOG_LINE, line]);
        let expected = if line.is_empty() { NoteError::Unsigned } else { NoteError::Line(2) };
        assert_eq!(Note::read(note.as_bytes()), Err(expected), "{line:?}");
    }
    let whole = note_of(TEXT, &[LOG_LINE]);
    for (bytes, error) in [
        (Vec::new(), NoteError::Unsigned),
        (TEXT.into(), NoteError::Unsigned),
        (format!("{TEXT}\n").into(), NoteError::Unsigned),
        (format!("{TEXT}\n{LOG_LINE}").into(), NoteError::Unsigned),
        (format!("{TEXT}{LOG_LINE}\n").into(), NoteError::Unsigned),
        (format!("{whole}\n").into(), NoteError::Unsigned),
        (format!("{whole}trailing").into(), NoteError::Unsigned),
        (format!("{whole}trailing\n").into(), NoteError::Line(2)),
        (whole.replace('\n', "\r\n").into(), NoteError::Characters),
        (whole.replace("city\n", "city\0\n").into(), NoteError::Characters),
        (whole.replace("city\n", "city\t\n").into(), NoteError::Characters),
        ([whole.as_bytes(), b"\xff\n"].concat(), NoteError::Characters),
        ([&b"\xe2\x80"[..], whole.as_bytes()].concat(), NoteError::Characters),
        (note_of(TEXT, &vec![LOG_LINE; NOTE_SIGNATURES_MAX + 1]).into(), NoteError::TooLong),
        (note_of(&"x".repeat(NOTE_BYTES_MAX), &[LOG_LINE]).into(), NoteError::TooLong),
    ] {
        assert_eq!(Note::read(&bytes), Err(error), "{}", String::from_utf8_lossy(&bytes[..bytes.len().min(300)]));
    }
    assert_eq!(
        Note::read(note_of(TEXT, &vec![LOG_LINE; NOTE_SIGNATURES_MAX]).as_bytes()).unwrap().lines().len(),
        2_049
    );
    // Only the last empty line ends the text.
    assert_eq!(Note::read(format!("a\n\nb\n\n\n{LOG_LINE}\n").as_bytes()).unwrap().text(), "a\n\nb\n\n");
}

/// Texts that the log's key signed all the same.
#[test]
fn signed_texts_that_are_no_checkpoint_are_refused() {
    let root = "XXStItFv634MMKpnX7Clwa5/Ml6CpToPMyKow3nxiTg=";
    for (text, error) in [
        ("\n".to_owned(), CheckpointError::Lines),
        (format!("{ORIGIN}\n"), CheckpointError::Lines),
        (format!("{ORIGIN}\n5\n"), CheckpointError::Lines),
        (format!("{ORIGIN}\n5\n{root}\nextension\n"), CheckpointError::Lines),
        (format!("{ORIGIN}\n5\n{root}\n\n"), CheckpointError::Lines),
        (format!("\n{ORIGIN}\n5\n{root}\n"), CheckpointError::Lines),
        (format!("\n5\n{root}\n"), CheckpointError::Origin),
        (format!("wugan.example/town\n5\n{root}\n"), CheckpointError::Origin),
        (format!("{ORIGIN} \n5\n{root}\n"), CheckpointError::Origin),
        (format!("{ORIGIN}\n\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n05\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n00\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n+5\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n-5\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n 5\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n5 \n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n0x5\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n５\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n1099511627777\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n18446744073709551616\n{root}\n"), CheckpointError::Size),
        (format!("{ORIGIN}\n0\n{root}\n"), CheckpointError::Root),
        (format!("{ORIGIN}\n5\n\n"), CheckpointError::Root),
        (format!("{ORIGIN}\n5\n{}\n", &root[1..]), CheckpointError::Root),
        (format!("{ORIGIN}\n5\n{}\n", root.trim_end_matches('=')), CheckpointError::Root),
        (format!("{ORIGIN}\n5\n{}\n", root.replace("Tg=", "Th=")), CheckpointError::Root),
        (format!("{ORIGIN}\n5\n{}\n", root.replace('/', "_")), CheckpointError::Root),
        (format!("{ORIGIN}\n5\n{root} \n"), CheckpointError::Root),
        (format!("{ORIGIN}\n5\n{}\n", BASE64_STANDARD.encode([1; 31])), CheckpointError::Root),
        (format!("{ORIGIN}\n5\n{}\n", BASE64_STANDARD.encode([1; 33])), CheckpointError::Root),
    ] {
        let found = VerifiedCheckpoint::open(signed(&text).as_bytes(), &log_key()).unwrap_err();
        assert_eq!(found, error, "{text:?}");
    }
    let empty = checkpoint(Tree::empty());
    assert_eq!(VerifiedCheckpoint::open(empty.note().to_string().as_bytes(), &log_key()).unwrap(), empty);
    let largest = checkpoint(Tree { size: 1 << 40, ..tree() });
    VerifiedCheckpoint::open(largest.note().to_string().as_bytes(), &log_key()).unwrap();
}

#[test]
fn a_checkpoint_without_a_good_line_of_the_log_is_refused() {
    let open = |lines: &[&str]| VerifiedCheckpoint::open(note_of(TEXT, lines).as_bytes(), &log_key());
    let name = || ORIGIN.to_owned();
    let missing = CheckpointError::Signature(SignatureError::Missing { name: name() });
    assert_eq!(open(&[COSIGNER_LINE]), Err(missing));
    let bad = || Err(CheckpointError::Signature(SignatureError::Bad { name: name() }));
    let altered = LOG_LINE.replace("ztQS", "ztQT");
    assert_eq!(open(&[&altered]), bad());
    assert_eq!(open(&[LOG_LINE, &altered]), bad(), "one bad line of a known key refuses the note");
    let short = line(ORIGIN, &log_key().id().0, &[1; 63]);
    assert_eq!(open(&[LOG_LINE, &short]), bad());
    let renamed = LOG_LINE.replace("city", "town");
    let other_name = CheckpointError::Signature(SignatureError::Name { name: name() });
    assert_eq!(open(&[LOG_LINE, &renamed]), Err(other_name));
    let cosigner = COSIGNER_KEY.parse().unwrap();
    let note = note_of(TEXT, &[LOG_LINE]);
    assert_eq!(VerifiedCheckpoint::open(note.as_bytes(), &cosigner), Err(CheckpointError::Key));
    // Lines of strangers, also of the log's name with another key, are kept and prove nothing.
    let stranger = line(ORIGIN, &[1, 2, 3, 4], &[9; 64]);
    let opened = open(&[&stranger, LOG_LINE, LOG_LINE]).unwrap();
    assert_eq!(opened.note().lines().len(), 3);
    let cosigned = Cosigned::verify(opened, &cosigners(), &TIMES).unwrap();
    assert_eq!(cosigned.unknown(), [stranger.parse::<SignatureLine>().unwrap()]);
    assert_eq!(cosigned.repeated(), [LOG_LINE.parse::<SignatureLine>().unwrap()]);
}

/// Every byte of a checkpoint that bears on the tree counts.
#[test]
fn no_altered_checkpoint_is_accepted() {
    let note = note_of(TEXT, &[LOG_LINE, COSIGNER_LINE]);
    let open = |bytes: &[u8]| {
        let opened = VerifiedCheckpoint::open(bytes, &log_key()).ok()?;
        Cosigned::verify(opened, &cosigners(), &TIMES).ok()
    };
    open(note.as_bytes()).unwrap();
    for place in 0..note.len() {
        for bit in 0..8 {
            let mut altered = note.clone().into_bytes();
            altered[place] ^= 1 << bit;
            if let Some(found) = open(&altered) {
                // What is left are lines that became a stranger's: reported, not counted.
                assert_eq!(found.checkpoint().tree(), tree());
                assert_eq!((found.members().len(), found.unknown().len()), (0, 1), "byte {place} bit {bit}");
            }
        }
        if let Some(found) = open(&note.as_bytes()[..place]) {
            assert_eq!((place, found.members().len()), (TEXT.len() + LOG_LINE.len() + 2, 0));
        }
    }
}

#[test]
fn members_are_counted_once_and_the_excluded_not_at_all() {
    let mut cosigned = Cosigned::verify(checkpoint(tree()), &cosigners(), &TIMES).unwrap();
    for (seed, member) in [(4, 4), (5, 5), (6, 5), (5, 5)] {
        assert_eq!(cosigned.add(cosignature(seed, TIME), &cosigners(), &TIMES), Ok((member, TIME)));
    }
    assert_eq!(cosigned.checkpoint().note().lines().len(), 4, "the log's line and one of each key");
    let none = BTreeSet::new();
    let bureau = BTreeSet::from([4]);
    assert_eq!(cosigned.clone().quorum(2, &none).unwrap().cosigned().members().len(), 2);
    let too_few = cosigned.clone().quorum(3, &none).unwrap_err();
    assert_eq!((too_few.counted, too_few.needed), (2, 3));
    cosigned.clone().quorum(1, &bureau).unwrap();
    assert_eq!(cosigned.quorum(2, &bureau).unwrap_err().counted, 1);
}

#[test]
fn a_second_line_of_one_key_is_reported_and_its_later_time_kept() {
    let lines = [cosignature(4, TIME), cosignature(4, TIME + 1), cosignature(4, TIME)].map(|line| line.to_string());
    let lines: Vec<&str> = [LOG_LINE].into_iter().chain(lines.iter().map(String::as_str)).collect();
    let opened = VerifiedCheckpoint::open(note_of(TEXT, &lines).as_bytes(), &log_key()).unwrap();
    let cosigned = Cosigned::verify(opened, &cosigners(), &TIMES).unwrap();
    assert_eq!(cosigned.members().iter().collect::<Vec<_>>(), [(&4, &(TIME + 1))]);
    assert_eq!(cosigned.repeated(), [cosignature(4, TIME + 1), cosignature(4, TIME)]);
}

#[test]
fn bad_cosignatures_are_refused() {
    let key = cosigner_key(4);
    let name = || cosigner_name(4);
    let good = cosignature(4, TIME);
    let line = |name: &str, signature: &[u8]| line(name, &key.id().0, signature).parse::<SignatureLine>().unwrap();
    let mut other_time = good.signature().to_vec();
    other_time[7] ^= 1;
    let over_another_text = {
        let other = Tree { root: leaf_hash(b"other"), ..tree() };
        cosign(&SeenTree::restore(other), &checkpoint(other), &name(), &Key::new(4), TIME).unwrap()
    };
    let bad = || CosignatureError::Signature(SignatureError::Bad { name: name() });
    for (line, error) in [
        (line(&name(), &other_time), bad()),
        (over_another_text, bad()),
        (line(&name(), &good.signature()[..71]), CosignatureError::Length { name: name() }),
        (line(&name(), &[good.signature(), b"\0"].concat()), CosignatureError::Length { name: name() }),
        (line(&name(), &good.signature()[8..]), CosignatureError::Length { name: name() }),
        (cosignature(4, TIME - 61), CosignatureError::Time { name: name() }),
        (cosignature(4, TIME + 61), CosignatureError::Time { name: name() }),
        (line("another", good.signature()), CosignatureError::Signature(SignatureError::Name { name: name() })),
    ] {
        let mut cosigned = Cosigned::verify(checkpoint(tree()), &cosigners(), &TIMES).unwrap();
        assert_eq!(cosigned.add(line.clone(), &cosigners(), &TIMES).as_ref(), Err(&error));
        assert_eq!(cosigned.checkpoint(), &checkpoint(tree()));
        let note = note_of(TEXT, &[LOG_LINE, &line.to_string()]);
        let opened = VerifiedCheckpoint::open(note.as_bytes(), &log_key()).unwrap();
        assert_eq!(Cosigned::verify(opened, &cosigners(), &TIMES).unwrap_err(), error);
    }
    let mut cosigned = Cosigned::verify(checkpoint(tree()), &cosigners(), &TIMES).unwrap();
    assert_eq!(cosigned.add(cosignature(7, TIME), &cosigners(), &TIMES), Err(CosignatureError::Unknown));
}

#[test]
fn a_member_cosigns_only_what_it_has_seen() {
    let seen = SeenTree::nothing();
    let cosign = |seen: &SeenTree, name: &str, time| cosign(seen, &checkpoint(tree()), name, &Key::new(4), time);
    assert_eq!(cosign(&seen, "a", TIME), Err(CosignError::NotSeen));
    let seen = seen.extend(&checkpoint(tree()), &[]).unwrap();
    assert_eq!(cosign(&seen, "a", 0), Err(CosignError::Time));
    assert_eq!(cosign(&seen, "a", 1 << 63), Err(CosignError::Time));
    assert_eq!(cosign(&seen, "a b", TIME), Err(CosignError::Name(KeyError::Name)));
    cosign(&seen, "a", (1 << 63) - 1).unwrap();
}

#[test]
fn cosigners_that_cannot_be_told_apart_are_refused() {
    let shared = VerifierKey::new("another", Algorithm::CosignatureV1, Key::new(4).public_key()).unwrap();
    let twice = CosignersError::Twice { member: 9 };
    assert_eq!(Cosigners::new([(4, cosigner_key(4)), (9, shared)]).unwrap_err(), twice);
    assert_eq!(Cosigners::new([(4, cosigner_key(4)), (9, cosigner_key(4))]).unwrap_err(), twice);
    assert_eq!(Cosigners::new([(9, log_key())]).unwrap_err(), CosignersError::Algorithm { member: 9 });
}

/// A note of this text that the log's key signed.
fn signed(text: &str) -> String {
    note_of(text, &[&line(ORIGIN, &log_key().id().0, &Key::new(1).sign(text.as_bytes()))])
}

fn line(name: &str, id: &[u8; 4], signature: &[u8]) -> String {
    format!("— {name} {}", BASE64_STANDARD.encode([&id[..], signature].concat()))
}
