#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::path::PathBuf;

use super::*;
use crate::work::AggregatorWorker;
use wugan_protocol::{
    file::Header,
    hexes::sha256,
    run::{Bitmap, FURTHER_ROW},
    stage::Restored,
    statement::Kept,
    testing::{Event, Harness, Journal, Program, ROWS_MAX, World, file},
};

struct Aggregator {
    rounds: Rounds,
    _folder: tempfile::TempDir,
}

impl Program for Aggregator {
    type Engine = AggregatorEngine;

    fn party(&self, world: &World) -> Party {
        world.federation.aggregator()
    }

    fn restore(&self, world: &World, journal: &Journal) -> AggregatorEngine {
        let restored = Restored { log: &journal.log, own: &journal.own, facts: journal.facts.clone() };
        let mut calls = journal.facts.len() as u8;
        let fresh = move || {
            calls += 1;
            [calls; 32]
        };
        let signers = world.signers(world.federation.aggregator());
        AggregatorEngine::restore(world.federation.clone(), signers, restored, Box::new(fresh)).unwrap()
    }

    fn run(&self, job: Job) -> Local {
        AggregatorWorker::new(self.rounds.clone()).run(job)
    }

    fn path(&self, round: Digest, file: FileKey) -> PathBuf {
        self.rounds.path(round, file)
    }
}

type Aggregating = Harness<Aggregator>;

/// After the list of a round in which every channel has its pools.
fn start() -> (Aggregating, Party) {
    let mut world = World::new();
    world.open_round("2026-11");
    world.list(&(1..=10).collect::<Vec<u16>>());
    let folder = tempfile::tempdir().unwrap();
    let mut aggregating = Harness::start(world, Aggregator { rounds: Rounds::new(folder.path()), _folder: folder });
    aggregating.settle();
    let owner = aggregating.world.node("bureau");
    (aggregating, owner)
}

fn round(aggregating: &Aggregating) -> &Round {
    aggregating.world.ledger.open_round().unwrap()
}

fn rows_file(owner: Party, class: Class) -> FileKey {
    FileKey::Rows { owner: owner.member, class }
}

fn bitmap_file(owner: Party, class: Class) -> FileKey {
    FileKey::Bitmap { owner: owner.member, class }
}

/// The bureau's people: one with row 0 (`pension`), one with rows 1 (`pension`) and 2 (`allowance`). `pension` has 4, 3,
/// 3 and 0 channels of the classes, `allowance` 4, 0, 3, 0.
const ROWS: [u32; 2] = [2, 1];

/// Words of each class: records in turn of the first and of the second person.
fn words() -> [Vec<u32>; 4] {
    let both = [0, 1, 2 | FURTHER_ROW];
    [both.repeat(4), [0, 1].repeat(3), both.repeat(3), Vec::new()]
}

/// Handles that were met: strong positive for the first person once; weak positive for the second once; one strong
/// negative for the second.
const MET: [(u64, &[u32]); 4] = [(8, &[2]), (6, &[5]), (6, &[3]), (0, &[])];

/// The first is certified by one strong positive channel; the second suspected, at both matters.
const BITS: [u8; 3] = [0b001, 0b1000, 0b1000];

fn list(rows: &[u32], words: &[u32]) -> Vec<u8> {
    let body: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    file(words.len() as u64, rows, &body)
}

fn send_rows(aggregating: &mut Aggregating, owner: Party) {
    send_lists(aggregating, owner, words().map(|words| (ROWS.to_vec(), words)));
}

fn send_lists(aggregating: &mut Aggregating, owner: Party, lists: [(Vec<u32>, Vec<u32>); 4]) {
    for (class, (rows, words)) in Class::ALL.into_iter().zip(lists) {
        let bytes = list(&rows, &words);
        aggregating.announce_and_send(owner, rows_file(owner, class), words.len() as u64, bytes);
    }
}

/// The matcher's receipt for the owner, whose records are said to be there.
fn give_records_receipt(aggregating: &mut Aggregating, owner: Party) {
    for file in round(aggregating).record_files(owner.member) {
        aggregating.world.announce(owner, file, 0, &[]);
    }
    let matcher = aggregating.world.federation.matcher();
    aggregating.world.state(matcher, Statement::Receipt(Receipt::Records { owner: owner.member }));
}

fn send_bitmaps(aggregating: &mut Aggregating, owner: Party, met: [(u64, &[u32]); 4]) {
    let matcher = aggregating.world.federation.matcher();
    for (class, (count, handles)) in Class::ALL.into_iter().zip(met) {
        let mut bitmap = Bitmap::new(count);
        handles.iter().for_each(|handle| assert!(bitmap.set(*handle, true).unwrap()));
        let bytes = file(count, &[], bitmap.bytes());
        aggregating.announce_and_send(matcher, bitmap_file(owner, class), count, bytes);
    }
}

fn has_receipt(aggregating: &Aggregating, owner: Party) -> bool {
    let aggregator = aggregating.world.federation.aggregator().member;
    round(aggregating).has_receipt(aggregator, &Receipt::Rows { owner: owner.member })
}

fn refusals(aggregating: &Aggregating) -> Vec<(Digest, Reason)> {
    let stated = aggregating.world.statements();
    let refusals = stated.into_iter().filter_map(|statement| match statement {
        Statement::Refusal { entry, reason } => Some((entry, reason)),
        _ => None,
    });
    refusals.collect()
}

#[test]
fn a_receipt_needs_the_lists_of_all_classes() {
    let (mut aggregating, owner) = start();
    for (class, words) in Class::ALL.into_iter().zip(words()) {
        assert!(!has_receipt(&aggregating, owner));
        aggregating.announce_and_send(owner, rows_file(owner, class), words.len() as u64, list(&ROWS, &words));
        aggregating.settle();
    }
    assert!(has_receipt(&aggregating, owner) && refusals(&aggregating).is_empty());
}

#[test]
fn rows_and_bitmaps_become_signal_bits() {
    let (mut aggregating, owner) = start();
    send_rows(&mut aggregating, owner);
    aggregating.settle();
    give_records_receipt(&mut aggregating, owner);
    aggregating.settle();
    assert!(aggregating.sent().is_empty());
    send_bitmaps(&mut aggregating, owner, MET);
    aggregating.settle();
    let bits = FileKey::Bits { owner: owner.member };
    let to = aggregating.world.federation.coordinator();
    let sent = aggregating.events.iter().filter(|event| matches!(event, Event::Sent(..)));
    let bytes = aggregating.sent()[&bits].clone();
    assert!(sent.eq([&Event::Sent(to, bits, bytes.clone())]));
    let header = Header::decode(&bytes[..Header::bytes(2)], 2).unwrap();
    assert_eq!((header.count, header.rows), (3, ROWS.to_vec()));
    assert_eq!(bytes[Header::bytes(2)..], BITS);
    assert_eq!(round(&aggregating).announcement(bits).unwrap().count, 256);
}

#[test]
fn bitmaps_may_come_before_the_rows() {
    let (mut aggregating, owner) = start();
    give_records_receipt(&mut aggregating, owner);
    send_bitmaps(&mut aggregating, owner, MET);
    aggregating.settle();
    assert!(aggregating.sent().is_empty());
    send_rows(&mut aggregating, owner);
    aggregating.settle();
    assert_eq!(aggregating.sent()[&FileKey::Bits { owner: owner.member }][Header::bytes(2)..], BITS);
}

/// One list is refused in the log, with its announcement's hash.
#[track_caller]
fn assert_refused(change: impl FnOnce(&mut [(Vec<u32>, Vec<u32>); 4]), class: Class, reason: Reason) {
    let (mut aggregating, owner) = start();
    let mut lists = words().map(|words| (ROWS.to_vec(), words));
    change(&mut lists);
    send_lists(&mut aggregating, owner, lists);
    aggregating.settle();
    let [(_, found)] = refusals(&aggregating)[..] else { panic!("{:?}", refusals(&aggregating)) };
    assert_eq!(found, reason);
    assert!(aggregating.events.contains(&Event::Discarded(rows_file(owner, class))));
    assert!(!has_receipt(&aggregating, owner));
}

#[test]
fn bad_row_lists() {
    let [strong, weak, negative, none] = Class::ALL;
    assert_refused(|lists| lists[0].1[2] = FURTHER_ROW, strong, Reason::BadRows);
    assert_refused(|lists| lists[0].1[0] = 3, strong, Reason::BadRows);
    assert_refused(|lists| lists[1].1[0] = 1, weak, Reason::BadRows);
    assert_refused(|lists| lists[1].1.truncate(5), weak, Reason::BadRows);
    assert_refused(|lists| lists[2].1.extend([0, 1]), negative, Reason::BadRows);
    assert_refused(|lists| lists[3].1.push(0), none, Reason::BadRows);
    // Other rows for the matters than in the classes before.
    assert_refused(|lists| lists[2].0 = vec![1, 2], negative, Reason::BadRows);
    assert_refused(|lists| lists[0].0[1] = ROWS_MAX as u32 + 1, strong, Reason::TooManyRows);
}

#[test]
fn a_list_counted_otherwise_or_cut_short() {
    for (announced, bytes, reason) in [
        (300, list(&ROWS, &words()[0]), Reason::CountDiffers),
        (12, list(&ROWS, &words()[0])[..80].to_vec(), Reason::Malformed),
        (12, list(&[3], &words()[0]), Reason::Malformed),
    ] {
        let (mut aggregating, owner) = start();
        let lists = Class::ALL.into_iter().zip(words()).skip(1);
        for (class, words) in lists {
            aggregating.announce_and_send(owner, rows_file(owner, class), words.len() as u64, list(&ROWS, &words));
        }
        let bad = rows_file(owner, Class::StrongPositive);
        let entry = aggregating.announce_and_send(owner, bad, announced, bytes);
        aggregating.settle();
        assert_eq!(refusals(&aggregating), [(entry.hash(), reason)]);
        // The same bytes once more, and then no more.
        aggregating.send_again(bad);
        aggregating.settle();
        aggregating.send_again(bad);
        aggregating.settle();
        assert_eq!(refusals(&aggregating).len(), 2);
        assert_eq!(aggregating.events.last(), Some(&Event::Refused(bad, reason)));
    }
}

#[test]
fn bitmaps_of_another_size() {
    let (mut aggregating, owner) = start();
    send_rows(&mut aggregating, owner);
    aggregating.settle();
    give_records_receipt(&mut aggregating, owner);
    send_bitmaps(&mut aggregating, owner, [(8, &[2]), (7, &[5]), (6, &[3]), (0, &[])]);
    aggregating.settle();
    assert!(matches!(refusals(&aggregating)[..], [(_, Reason::CountDiffers)]));
    assert!(aggregating.events.contains(&Event::Discarded(bitmap_file(owner, Class::WeakPositive))));
    assert!(aggregating.sent().is_empty());
}

#[test]
fn bitmaps_that_are_no_bitmaps() {
    for bytes in [file(8, &[], &[0, 0]), file(8, &[], &[]), file(6, &[], &[0xff]), vec![1; 20]] {
        let (mut aggregating, owner) = start();
        send_rows(&mut aggregating, owner);
        aggregating.settle();
        give_records_receipt(&mut aggregating, owner);
        let matcher = aggregating.world.federation.matcher();
        aggregating.announce_and_send(matcher, bitmap_file(owner, Class::StrongPositive), 8, bytes);
        for (class, (count, _)) in Class::ALL.into_iter().zip(MET).skip(1) {
            let bytes = file(count, &[], Bitmap::new(count).bytes());
            aggregating.announce_and_send(matcher, bitmap_file(owner, class), count, bytes);
        }
        aggregating.settle();
        assert!(matches!(refusals(&aggregating)[..], [(_, Reason::Malformed | Reason::BadBits)]));
    }
}

#[test]
fn files_of_the_wrong_sender() {
    let (mut aggregating, owner) = start();
    let other = aggregating.world.node("civil");
    let rows = rows_file(owner, Class::StrongPositive);
    let bytes = list(&ROWS, &words()[0]);
    let announcement = Announcement { file: rows, count: 256, digest: sha256(&bytes) };
    let (signed, verdict) = aggregating.world.try_state(other, Statement::Announcement(announcement));
    assert_eq!(verdict, Err(Reason::NotAllowed));
    aggregating.send(other, rows, signed.bytes().to_vec(), bytes);
    aggregating.settle();
    assert_eq!(aggregating.events, [Event::Refused(rows, Reason::NotAllowed)]);
}

#[test]
fn an_owner_that_is_late_is_absent() {
    let (mut aggregating, owner) = start();
    let coordinator = aggregating.world.federation.coordinator();
    aggregating.world.now += 86_400;
    aggregating.world.state(coordinator, Statement::RowsClosed {});
    aggregating.settle();
    send_rows(&mut aggregating, owner);
    aggregating.settle();
    let late = Event::Refused(rows_file(owner, Class::StrongPositive), Reason::TooLate);
    assert!(aggregating.events.contains(&late) && !has_receipt(&aggregating, owner));
}

/// The aggregator's part of a round; with a power cut after some command.
fn whole_round(cut: Option<usize>) -> Aggregating {
    let (mut aggregating, owner) = start();
    if let Some(commands) = cut {
        aggregating.cut_power_after(commands);
    }
    send_rows(&mut aggregating, owner);
    aggregating.settle();
    give_records_receipt(&mut aggregating, owner);
    send_bitmaps(&mut aggregating, owner, MET);
    aggregating.settle();
    aggregating
}

#[test]
fn a_power_cut_after_any_command_changes_nothing() {
    let plain = whole_round(None);
    assert_eq!(plain.sent().len(), 1);
    let mut cuts = 0;
    loop {
        let aggregating = whole_round(Some(cuts));
        if aggregating.powered() {
            break;
        }
        assert_eq!(aggregating.sent(), plain.sent(), "cut after {cuts} commands");
        assert!(refusals(&aggregating).is_empty());
        assert!(!aggregating.events.iter().any(|event| matches!(event, Event::Stopped(_))));
        cuts += 1;
    }
    assert!(cuts > 20, "{cuts}");
}

#[test]
fn lists_that_are_gone_after_their_receipt_stop_the_program() {
    let (mut aggregating, owner) = start();
    send_rows(&mut aggregating, owner);
    aggregating.settle();
    let hash = round(&aggregating).hash();
    std::fs::remove_file(aggregating.program().path(hash, rows_file(owner, Class::WeakPositive))).unwrap();
    give_records_receipt(&mut aggregating, owner);
    send_bitmaps(&mut aggregating, owner, MET);
    aggregating.settle();
    let Some(Event::Stopped(text)) = aggregating.events.last() else { panic!("{:?}", aggregating.events) };
    assert!(text.contains("weak_positive") && text.contains("put it back"), "{text}");
}

#[test]
fn a_round_is_forgotten_after_its_retention_time() {
    let (mut aggregating, owner) = start();
    send_rows(&mut aggregating, owner);
    aggregating.settle();
    let hash = round(&aggregating).hash();
    let folder = aggregating.program().rounds.folder(hash);
    aggregating.world.now += 41 * 86_400;
    aggregating.settle();
    assert!(folder.exists(), "an open round is never forgotten");
    let coordinator = aggregating.world.federation.coordinator();
    aggregating.world.state(coordinator, Statement::RowsClosed {});
    aggregating.world.state(coordinator, Statement::RoundClosed {});
    aggregating.settle();
    assert!(!folder.exists());
    assert!(aggregating.journal.facts.keys().eq(["checkpoint"]), "of the log, not of a round");
    let deletion = Statement::Deletion { of: Kept::Files };
    assert_eq!(aggregating.world.statements().last(), Some(&deletion));
}

mod disclosing;
