//! Verifier keys, signed notes, checkpoints and cosignatures.

use base64::{Engine, prelude::BASE64_STANDARD};
use wugan_protocol::{
    envelope::Signer,
    limits::{KEY_NAME_BYTES_MAX, NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX},
    log::{
        checkpoint::{CheckpointError, VerifiedCheckpoint},
        cosignature::{sign_tree, verify_tree},
        merkle::Tree,
        note::{Algorithm, KeyError, Note, NoteError, SignatureError, VerifierKey},
    },
};

use super::{Key, ORIGIN, checkpoint, digest};

const TIME: u64 = 1_790_000_000;

/// Made with Go's `sumdb/note` and `crypto/ed25519`: the log's key has the seed 01…01, the cosigner's 02…02.
const LOG_KEY: &str = "wugan.example/city+1bf43dce+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
const COSIGNER_KEY: &str = "wugan.example/clinic+95d98734+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU";
const TEXT: &str = "wugan.example/city\n5\nXXStItFv634MMKpnX7Clwa5/Ml6CpToPMyKow3nxiTg=\n";
const LOG_LINE: &str =
    "— wugan.example/city G/Q9ztQSygtDS/mtCFI1p2Kf+sQ6+TSTLtx4DvJeBx3pniA32UbWXow4xiY8hV5CSC2XWQx95IY+OjSp7rrnwkcTdgo=";
const COSIGNER_LINE: &str = "— wugan.example/clinic ldmHNAAAAABqsTuAHUU75WYDICPk6HMgV4PuinrKBXj8Zx3ATO6+2DRV60TX51/9t6xSEcZkNxhaqvJE2nA/21qGMdxEIZ3yUP4XBQ==";

fn log_key() -> VerifierKey {
    VerifierKey::new(ORIGIN, Algorithm::Ed25519, Key::new(1).public_key()).unwrap()
}

fn cosigner_key() -> VerifierKey {
    VerifierKey::new("wugan.example/clinic", Algorithm::CosignatureV1, Key::new(2).public_key()).unwrap()
}

/// A verifier key that somebody published.
fn published(text: &str) -> VerifierKey {
    let (name, encoded) = (text.split('+').next().unwrap(), text.splitn(3, '+').last().unwrap());
    let key = BASE64_STANDARD.decode(encoded).unwrap()[1..].try_into().unwrap();
    let key = VerifierKey::new(name, Algorithm::Ed25519, key).unwrap();
    assert_eq!(key.to_string(), text);
    key
}

fn note_of(text: &str, lines: &[&str]) -> String {
    format!("{text}\n{}\n", lines.join("\n"))
}

fn tree() -> Tree {
    Tree { size: 5, root: digest("5d74ad22d16feb7e0c30aa675fb0a5c1ae7f325e82a53a0f3322a8c379f18938") }
}

/// The note and what a stranger's program made of it are the same bytes in both directions.
#[test]
fn fixed_vectors_of_checkpoint_and_cosignature() {
    assert_eq!((log_key().to_string(), cosigner_key().to_string()), (LOG_KEY.into(), COSIGNER_KEY.into()));
    let mut signed = checkpoint(tree());
    assert_eq!(signed.note().to_string(), note_of(TEXT, &[LOG_LINE]));
    let signature = sign_tree(tree(), ORIGIN, &Key::new(2), TIME);
    verify_tree(tree(), ORIGIN, &cosigner_key(), TIME, &signature).unwrap();
    let line = cosigner_key().cosignature_line(TIME, &signature);
    assert_eq!(line.to_string(), COSIGNER_LINE);
    let cosigned = note_of(TEXT, &[LOG_LINE, COSIGNER_LINE]);
    let opened = VerifiedCheckpoint::open(cosigned.as_bytes(), &log_key()).unwrap();
    assert_eq!((opened.tree(), opened.note().text()), (tree(), TEXT));
    assert_eq!(opened.note().to_string(), cosigned);
    signed.add_cosignature(line);
    assert_eq!(signed, opened);
}

/// Notes of Go's checksum database and of the tests of its `note` package.
#[test]
fn published_notes_are_read() {
    let database = published("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8");
    let text = "go.sum database tree\n31700353\nqINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=\n";
    let line =
        "— sum.golang.org Az3grnmrIUEDFqHzAElIQCPNoRFRAAdFo47fooyWKMHb89k11GJh5zHIfNCOBmwn/C3YI8oW9/C8DJ87F61QqspBYwM=";
    let bytes = note_of(text, &[line]);
    let note = Note::read(bytes.as_bytes()).unwrap();
    assert_eq!((note.text(), &*note.to_string()), (text, &*bytes));
    // Its signature verifies, its origin is not its key's name.
    assert_eq!(VerifiedCheckpoint::open(bytes.as_bytes(), &database), Err(CheckpointError::Origin));
    let peter = published("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
    let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    let line =
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
    // The signature verifies, the text is no checkpoint.
    let bytes = note_of(text, &[line]);
    assert_eq!(VerifiedCheckpoint::open(bytes.as_bytes(), &peter), Err(CheckpointError::Lines));
    let bytes = note_of(&text.replace("think", "hope"), &[line]);
    let bad = CheckpointError::Signature(SignatureError::Bad { name: "PeterNeumann".to_owned() });
    assert_eq!(VerifiedCheckpoint::open(bytes.as_bytes(), &peter), Err(bad));
}

/// The checkpoints with which the litewitness project tests its witness.
#[test]
fn published_checkpoints_of_another_log_are_verified() {
    let origin = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562";
    let key = digest("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f").0;
    let log = VerifierKey::new(origin, Algorithm::Ed25519, key).unwrap();
    let open = |size: u64, root: &str, signature: &str| {
        let note = format!("{origin}\n{size}\n{root}\n\n— {origin} {signature}\n");
        VerifiedCheckpoint::open(note.as_bytes(), &log)
    };
    open(
        1,
        "KgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "UgIom7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=",
    )
    .unwrap();
    let root = "RcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=";
    let signature = "UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=";
    open(3, root, signature).unwrap();
    let altered = open(3, root, &signature.replace("6go=", "6gx=")).unwrap_err();
    assert_eq!(altered, CheckpointError::Note(NoteError::Line(1)), "bits after the end");
    assert!(matches!(open(3, root, &signature.replace("6go=", "6ko=")), Err(CheckpointError::Signature(_))));
}

#[test]
fn names_that_a_line_cannot_carry_are_refused() {
    for name in ["", "a b", "a+b", "a\tb", "a\u{a0}b", "a\u{7f}", &"x".repeat(KEY_NAME_BYTES_MAX + 1)] {
        assert_eq!(VerifierKey::new(name, Algorithm::Ed25519, [0; 32]), Err(KeyError));
        assert_eq!(VerifiedCheckpoint::sign(tree(), name, &Key::new(1)), Err(KeyError));
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
    let note = note_of(TEXT, &[LOG_LINE]);
    assert_eq!(VerifiedCheckpoint::open(note.as_bytes(), &cosigner_key()), Err(CheckpointError::Key));
    // Lines of strangers, also of the log's name with another key, are kept and prove nothing.
    let stranger = line(ORIGIN, &[1, 2, 3, 4], &[9; 64]);
    let opened = open(&[&stranger, LOG_LINE, LOG_LINE]).unwrap();
    assert_eq!(opened.note().lines().len(), 3);
}

/// Every byte of a checkpoint that bears on the tree counts.
#[test]
fn no_altered_checkpoint_is_accepted() {
    let note = note_of(TEXT, &[LOG_LINE, COSIGNER_LINE]);
    let open = |bytes: &[u8]| VerifiedCheckpoint::open(bytes, &log_key()).ok();
    let (log_line, end) = (note_of(TEXT, &[LOG_LINE]), note.len());
    open(note.as_bytes()).unwrap();
    for place in 0..end {
        for bit in 0..8 {
            let mut altered = note.clone().into_bytes();
            altered[place] ^= 1 << bit;
            if let Some(found) = open(&altered) {
                // What is left are lines of cosigners, which the log's key does not judge.
                assert_eq!(found.tree(), tree());
                assert!(place >= log_line.len(), "byte {place} bit {bit}");
            }
        }
        assert!(place == log_line.len() || open(&note.as_bytes()[..place]).is_none(), "cut at {place}");
    }
}

#[test]
fn a_cosignature_is_of_one_tree_of_one_log_by_one_key_at_one_time() {
    let good = sign_tree(tree(), ORIGIN, &Key::new(2), TIME);
    verify_tree(tree(), ORIGIN, &cosigner_key(), TIME, &good).unwrap();
    let (larger, other) = (Tree { size: 6, ..tree() }, Tree { root: Tree::empty().root, ..tree() });
    let stranger = VerifierKey::new(cosigner_key().name(), Algorithm::CosignatureV1, [7; 32]).unwrap();
    let bad = Err(SignatureError::Bad { name: cosigner_key().name().to_owned() });
    assert_eq!(verify_tree(larger, ORIGIN, &cosigner_key(), TIME, &good), bad);
    assert_eq!(verify_tree(other, ORIGIN, &cosigner_key(), TIME, &good), bad);
    assert_eq!(verify_tree(tree(), "wugan.example/town", &cosigner_key(), TIME, &good), bad);
    assert_eq!(verify_tree(tree(), ORIGIN, &stranger, TIME, &good), bad);
    assert_eq!(verify_tree(tree(), ORIGIN, &cosigner_key(), TIME + 1, &good), bad);
    for place in 0..64 {
        let mut altered = good;
        altered[place] ^= 1;
        assert_eq!(verify_tree(tree(), ORIGIN, &cosigner_key(), TIME, &altered), bad);
    }
    // A log's signature over the same tree is no cosignature.
    assert_eq!(verify_tree(tree(), ORIGIN, &cosigner_key(), TIME, &Key::new(2).sign(TEXT.as_bytes())), bad);
}

/// A note of this text that the log's key signed.
fn signed(text: &str) -> String {
    note_of(text, &[&line(ORIGIN, &log_key().id().0, &Key::new(1).sign(text.as_bytes()))])
}

fn line(name: &str, id: &[u8; 4], signature: &[u8]) -> String {
    format!("— {name} {}", BASE64_STANDARD.encode([&id[..], signature].concat()))
}
