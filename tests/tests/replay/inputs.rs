//! Inputs that were changed where they are kept, and inputs that a server had to refuse.

use std::{collections::BTreeMap, fs};

use wugan_audit::{finding::Rule, replay::At};
use wugan_protocol::{
    file::{FileKey, Header},
    statement::Announcement,
};
use wugan_tests::sim::Chance;

use crate::city::{City, Plan, Tally, flipped, receives, with};

#[test]
fn an_input_that_was_changed_is_found() {
    let city = City::new(&Plan { seed: 36, people: 60, rounds: 1, away: 1, days: 0 });
    let (mut tally, mut chance, log) = (Tally::default(), Chance::new(2), city.log());
    for at in At::ALL {
        let mut before: BTreeMap<&str, FileKey> = BTreeMap::new();
        for file in inputs(&city, at) {
            let path = city.path(at, file);
            let genuine = fs::read(&path).unwrap();
            let (changed, _) = flipped(&genuine, 0, &mut chance);
            let longer = [&genuine[..], b"\0"].concat();
            let shorter = &genuine[..chance.below(genuine.len() as u64) as usize];
            for (kind, bytes) in [("a bit", &changed[..]), ("longer", &longer), ("cut short", shorter)] {
                let findings = with(&path, Some(bytes), || city.found_at(&log, at));
                tally.found(kind, &findings, &[(Rule::InputDiffers, file.name())]);
            }
            let findings = with(&path, None, || city.found_at(&log, at));
            tally.found("thrown away", &findings, &[(Rule::InputMissing, file.name())]);
            if let Some(other) = before.insert(kind(file), file) {
                let other_path = city.path(at, other);
                let others = fs::read(&other_path).unwrap();
                let swapped = || with(&other_path, Some(&genuine), || city.found_at(&log, at));
                let mut findings = with(&path, Some(&others), swapped);
                findings.sort_by_key(|found| (found.detail.to_string() != other.name(), found.entry));
                let both = [other, file].map(|file| (Rule::InputDiffers, file.name()));
                tally.found("swapped", &findings, &both);
            }
        }
    }
    tally.end(400);
}

/// Its sender announced it as it is, and the server gave its receipt.
#[test]
fn an_input_that_had_to_be_refused_is_found() {
    let city = City::new(&Plan { seed: 5, people: 60, rounds: 1, away: 0, days: 0 });
    let mut tally = Tally::default();
    for at in At::ALL {
        for announcement in announced(&city, at) {
            let file = announcement.file;
            let path = city.path(at, file);
            let genuine = fs::read(&path).unwrap();
            for (kind, changed) in refused(&city, file, &genuine) {
                let log = city.announcing(file, &changed);
                let findings = with(&path, Some(&changed), || city.found_at(&log, at));
                let findings: Vec<_> = findings.into_iter().filter(|found| found.rule == Rule::InputShape).collect();
                assert!(
                    findings.iter().all(|found| found.detail.to_string().starts_with(&format!("{} (", file.name())))
                );
                assert_eq!(findings.len(), 1, "{kind} of {}", file.name());
                let found = (Rule::InputShape, findings[0].detail.to_string());
                tally.found(kind, &findings, &[found]);
            }
        }
    }
    tally.end(150);
}

/// Bytes that are out of order, one way after another.
fn refused(city: &City, file: FileKey, genuine: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let (matters, width) = match file {
        FileKey::Pool { .. } => (0, 12),
        FileKey::Records { .. } => (0, 16),
        FileKey::Bitmap { .. } => (0, 1),
        FileKey::Rows { owner, .. } => (city.genuine.federation.policy().matters_of(owner).count(), 4),
        FileKey::Bits { owner } | FileKey::Decisions { owner } => {
            (city.genuine.federation.policy().matters_of(owner).count(), 1)
        }
    };
    let begin = Header::bytes(matters);
    let count = Header::decode(&genuine[..begin], matters).unwrap().count as usize;
    let with = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = genuine.to_vec();
        change(&mut bytes[begin..]);
        bytes
    };
    let mut changed = vec![("a byte too many", [genuine, b"\0"].concat())];
    if matches!(file, FileKey::Pool { .. } | FileKey::Records { .. }) && count > 1 {
        let swap = |items: &mut [u8]| (0..width).for_each(|byte| items.swap(byte, width + byte));
        changed.push(("unsorted", with(&swap)));
        changed.push(("a tag twice", with(&|items| items.copy_within(..12, width))));
    }
    if matches!(file, FileKey::Records { .. }) && count > 1 {
        changed.push(("a handle twice", with(&|items| items.copy_within(12..16, 28))));
        changed.push(("a handle out of range", with(&|items| items[12..16].copy_from_slice(&[0xff; 4]))));
    }
    if matches!(file, FileKey::Rows { .. }) && count > 1 {
        changed.push(("a row out of range", with(&|words| words[..4].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes()))));
        changed.push(("a further row of no record", with(&|words| words[3] |= 0x80)));
        changed.push(("a row too often", with(&|words| words.copy_within(4 * (count - 1)..4 * count, 0))));
    }
    if matches!(file, FileKey::Bitmap { .. }) && !count.is_multiple_of(8) {
        changed.push(("a spare bit", with(&|bits| *bits.last_mut().unwrap() |= 0x80)));
    }
    if matches!(file, FileKey::Bits { .. }) && genuine.len() > begin {
        changed.push(("bits that stand for no outcome", with(&|bits| bits[0] = 0xfe)));
    }
    // What changes nothing is no change.
    changed.retain(|(_, bytes)| bytes != genuine);
    changed
}

fn announced(city: &City, at: At) -> impl Iterator<Item = Announcement> {
    city.announcements().into_iter().filter(move |made| receives(at, made.file))
}

/// What a server acknowledged: pools of channels that are not on the list it need not have.
fn inputs(city: &City, at: At) -> Vec<FileKey> {
    announced(city, at).map(|made| made.file).filter(|file| city.path(at, *file).exists()).collect()
}

fn kind(file: FileKey) -> &'static str {
    match file {
        FileKey::Pool { .. } => "pool",
        FileKey::Records { .. } => "records",
        FileKey::Rows { .. } => "rows",
        FileKey::Bitmap { .. } => "bitmap",
        FileKey::Bits { .. } => "bits",
        FileKey::Decisions { .. } => "decisions",
    }
}
