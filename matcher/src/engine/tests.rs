#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::path::PathBuf;

use wugan_protocol::{
    file::Header,
    message::{FileReply, Message},
    run::{Bitmap, record},
    stage::Restored,
    statement::{Announcement, Kept, Statement},
    tag::Tag,
    testing::{Event, Harness, Journal, Program, World, file},
};
use wugan_transport::server::{Done, Job, Worker};

use super::*;

struct Matcher {
    rounds: Rounds,
    _folder: tempfile::TempDir,
}

impl Program for Matcher {
    type Engine = MatcherEngine;

    fn party(&self, world: &World) -> Party {
        world.federation.matcher()
    }

    fn restore(&self, world: &World, journal: &Journal) -> MatcherEngine {
        let restored = Restored { log: &journal.log, own: &journal.own, facts: journal.facts.clone() };
        let mut calls = journal.facts.len() as u8;
        let fresh = move || {
            calls += 1;
            [calls; 32]
        };
        let signers = world.signers(world.federation.matcher());
        MatcherEngine::restore(world.federation.clone(), signers, restored, Box::new(fresh)).unwrap()
    }

    fn run(&self, job: Job<Task>) -> Done<TaskKey> {
        Worker::new(self.rounds.clone()).run(job)
    }

    fn path(&self, round: Digest, file: FileKey) -> PathBuf {
        self.rounds.path(round, file)
    }
}

type Matching = Harness<Matcher>;

fn start() -> Matching {
    let mut world = World::new();
    world.open_round("2026-11");
    let folder = tempfile::tempdir().unwrap();
    let mut matching = Harness::start(world, Matcher { rounds: Rounds::new(folder.path()), _folder: folder });
    matching.settle();
    matching
}

fn tag(person: u8, channel: u16, group: u8) -> Tag {
    let mut tag = [person; 12];
    tag[1..].fill((channel * 2) as u8 + group);
    tag
}

/// People 10, 20, 30 and 40 have records in every channel; 30 not in channels 1 and 5.
fn pool(channel: u16, group: u8) -> (u64, Vec<u8>) {
    let people: Vec<u8> = [10, 20, 30, 40].into_iter().filter(|p| *p != 30 || ![1, 5].contains(&channel)).collect();
    let tags: Vec<Tag> = people.iter().map(|person| tag(*person, channel, group)).collect();
    (tags.len() as u64, file(tags.len() as u64, &[], tags.as_flattened()))
}

fn send_pools(matching: &mut Matching, channels: impl IntoIterator<Item = u16>) {
    for channel in channels {
        (0..2).for_each(|group| send_pool(matching, channel, group));
    }
}

fn send_pool(matching: &mut Matching, channel: u16, group: u8) {
    let source = Party { member: matching.world.policy().channel(channel).unwrap().source, role: Role::Node };
    let (count, bytes) = pool(channel, group);
    matching.announce_and_send(source, FileKey::Pool { channel, group }, count, bytes);
}

fn close_pools(matching: &mut Matching) {
    let coordinator = matching.world.federation.coordinator();
    matching.world.state(coordinator, Statement::PoolsClosed {});
}

fn round(matching: &Matching) -> &Round {
    matching.world.ledger.open_round().unwrap()
}

/// The records of an owner in a class: people 20, 30 and 50 in each of these channels, handles counting down.
fn records(channels: &[u16], group: u8) -> Vec<(u16, Vec<u8>)> {
    let mut handle = 3 * channels.len() as u32;
    let file = |channel: &u16| {
        let body = [20, 30, 50].map(|person| {
            handle -= 1;
            record(tag(person, *channel, group), handle)
        });
        (*channel, file(3, &[], body.as_flattened()))
    };
    channels.iter().map(file).collect()
}

/// The channels by class when all are on the list.
const CLASSES: [&[u16]; 4] = [&[1, 2, 3, 4], &[5, 6, 7], &[8, 9, 10], &[]];

fn send_records(matching: &mut Matching, owner: Party, group: u8) {
    for (channel, bytes) in CLASSES.iter().flat_map(|channels| records(channels, group)) {
        matching.announce_and_send(owner, FileKey::Records { owner: owner.member, channel }, 3, bytes);
    }
}

/// Goes on from the list: the bureau's records.
fn listed() -> (Matching, Party) {
    let mut matching = start();
    send_pools(&mut matching, 1..=10);
    matching.settle();
    close_pools(&mut matching);
    matching.settle();
    let owner = matching.world.node("bureau");
    (matching, owner)
}

/// What the bitmaps must be: everybody but 50, and 30 not in channels 1 and 5.
fn assert_bitmaps(matching: &Matching, owner: MemberNumber) {
    let sent = matching.sent();
    for (class, channels) in Class::ALL.into_iter().zip(CLASSES) {
        let bitmap = Bitmap::read(sent[&FileKey::Bitmap { owner, class }].as_slice()).unwrap();
        let people = channels.iter().flat_map(|channel| [(20, *channel), (30, *channel), (50, *channel)]);
        let met = |(person, channel)| person == 20 || person == 30 && channel != 1 && channel != 5;
        let expected: Vec<bool> = people.map(met).collect();
        let found: Vec<bool> = (0..bitmap.count()).rev().map(|bit| bitmap.get(bit)).collect();
        assert_eq!(found, expected, "{class:?}");
    }
}

fn refusals(matching: &Matching) -> Vec<Reason> {
    refused_entries(matching).into_iter().map(|(_, reason)| reason).collect()
}

fn refused_entries(matching: &Matching) -> Vec<(Digest, Reason)> {
    let stated = matching.world.statements();
    let refusals = stated.into_iter().filter_map(|statement| match statement {
        Statement::Refusal { entry, reason } => Some((entry, reason)),
        _ => None,
    });
    refusals.collect()
}

#[test]
fn a_receipt_needs_the_pools_of_all_groups() {
    let mut matching = start();
    send_pool(&mut matching, 1, 0);
    matching.settle();
    assert!(round(&matching).receipted_channels().is_empty());
    send_pool(&mut matching, 1, 1);
    matching.settle();
    assert!(round(&matching).receipted_channels().into_iter().eq([1]));
    assert!(refusals(&matching).is_empty());
}

#[test]
fn the_list_is_exactly_the_receipts() {
    let mut matching = start();
    send_pools(&mut matching, [1, 2, 3, 4, 6, 7, 10]);
    send_pool(&mut matching, 5, 0);
    matching.settle();
    assert!(round(&matching).list().is_none());
    close_pools(&mut matching);
    matching.settle();
    assert!(round(&matching).list().unwrap().iter().eq(&[1, 2, 3, 4, 6, 7, 10]));
    send_pool(&mut matching, 5, 1);
    matching.settle();
    let late = FileKey::Pool { channel: 5, group: 1 };
    assert!(matching.events.contains(&Event::Refused(late, Reason::TooLate)));
}

#[test]
fn records_become_bitmaps() {
    let (mut matching, owner) = listed();
    send_records(&mut matching, owner, 0);
    matching.settle();
    let receipt = Receipt::Records { owner: owner.member };
    assert!(round(&matching).has_receipt(matching.world.federation.matcher().member, &receipt));
    assert_bitmaps(&matching, owner.member);
    let to = matching.world.federation.aggregator();
    let sent = matching.events.iter().filter(|event| matches!(event, Event::Sent(party, ..) if *party == to));
    assert_eq!(sent.count(), 4);
}

#[test]
fn owners_meet_their_own_group_only() {
    let (mut matching, _) = listed();
    let owner = matching.world.node("civil");
    send_records(&mut matching, owner, 1);
    matching.settle();
    assert_bitmaps(&matching, owner.member);
    let (mut matching, _) = listed();
    send_records(&mut matching, owner, 0);
    matching.settle();
    let bitmap = FileKey::Bitmap { owner: owner.member, class: Class::StrongPositive };
    let bytes = matching.sent()[&bitmap].clone();
    assert!(bytes[Header::bytes(0)..].iter().all(|byte| *byte == 0));
}

#[test]
fn an_owner_without_record_channels_gets_its_receipt_once_it_announced() {
    let mut matching = start();
    // Without police and health no class hides its departments.
    send_pools(&mut matching, [3, 7, 10]);
    matching.settle();
    close_pools(&mut matching);
    matching.settle();
    let owner = matching.world.node("bureau");
    let receipt = Receipt::Records { owner: owner.member };
    assert!(round(&matching).list().is_some() && round(&matching).record_files(owner.member).is_empty());
    assert!(!round(&matching).has_receipt(matching.world.federation.matcher().member, &receipt));
    for class in Class::ALL {
        matching.world.announce(owner, FileKey::Rows { owner: owner.member, class }, 0, &[]);
    }
    matching.settle();
    assert!(round(&matching).has_receipt(matching.world.federation.matcher().member, &receipt));
    assert!(matching.sent().values().all(|bytes| bytes.len() == Header::bytes(0)));
    assert_eq!(matching.sent().len(), 4);
}

/// A pool is refused in the log, may come once more, and is not accepted a third time.
#[track_caller]
fn assert_pool_refused(announced: u64, bytes: Vec<u8>, reason: Reason) {
    let mut matching = start();
    let source = matching.world.node("police");
    let file = FileKey::Pool { channel: 1, group: 0 };
    let signed = matching.announce_and_send(source, file, announced, bytes);
    matching.settle();
    assert_eq!(refused_entries(&matching), [(signed.hash(), reason)]);
    assert_eq!(matching.events, [Event::Kept(file), Event::Discarded(file)]);
    matching.send_again(file);
    matching.settle();
    matching.send_again(file);
    matching.settle();
    assert_eq!(refusals(&matching), [reason; 2]);
    assert_eq!(matching.events.last(), Some(&Event::Refused(file, reason)));
    // A restart does not forget it.
    matching.restart();
    matching.send_again(file);
    matching.settle();
    assert_eq!(refusals(&matching), [reason; 2]);
}

#[test]
fn bad_pools() {
    let body = |tags: &[Tag]| file(tags.len() as u64, &[], tags.as_flattened());
    assert_pool_refused(2, body(&[[2; 12], [1; 12]]), Reason::NotSorted);
    assert_pool_refused(2, body(&[[1; 12], [1; 12]]), Reason::NotSorted);
    assert_pool_refused(300, body(&[[1; 12], [2; 12]]), Reason::CountDiffers);
    assert_pool_refused(2, file(2, &[], &[1; 23]), Reason::Malformed);
    assert_pool_refused(2, file(1, &[], &[1; 24]), Reason::Malformed);
    assert_pool_refused(2, vec![0; 10], Reason::Malformed);
}

#[test]
fn bad_records() {
    let cases = [
        (vec![record(tag(20, 1, 0), 0), record(tag(10, 1, 0), 1), record(tag(40, 1, 0), 2)], 3, Reason::NotSorted),
        (vec![record(tag(10, 1, 0), 0), record(tag(20, 1, 0), 0), record(tag(40, 1, 0), 1)], 3, Reason::BadHandles),
        (vec![record(tag(10, 1, 0), 0), record(tag(20, 1, 0), 1), record(tag(40, 1, 0), 12)], 3, Reason::BadHandles),
        (vec![record(tag(10, 1, 0), 0)], 300, Reason::CountDiffers),
    ];
    for (body, announced, reason) in cases {
        let (mut matching, owner) = listed();
        let bad = FileKey::Records { owner: owner.member, channel: 1 };
        matching.announce_and_send(owner, bad, announced, file(body.len() as u64, &[], body.as_flattened()));
        for (channel, bytes) in CLASSES.iter().flat_map(|channels| records(channels, 0)).skip(1) {
            matching.announce_and_send(owner, FileKey::Records { owner: owner.member, channel }, 3, bytes);
        }
        matching.settle();
        assert_eq!(refusals(&matching), [reason]);
        assert!(matching.sent().is_empty());
    }
}

#[test]
fn a_header_that_promises_more_than_the_file_holds() {
    let (mut matching, owner) = listed();
    let huge = [vec![0; 32], (1_u64 << 30).to_le_bytes().to_vec(), vec![0; 16]].concat();
    matching.announce_and_send(owner, FileKey::Records { owner: owner.member, channel: 1 }, 1 << 30, huge);
    for (channel, bytes) in CLASSES.iter().flat_map(|channels| records(channels, 0)).skip(1) {
        matching.announce_and_send(owner, FileKey::Records { owner: owner.member, channel }, 3, bytes);
    }
    matching.settle();
    assert_eq!(refusals(&matching), [Reason::Malformed]);
}

#[test]
fn files_of_the_wrong_sender_round_or_kind() {
    let mut matching = start();
    let (police, health) = (matching.world.node("police"), matching.world.node("health"));
    let (count, bytes) = pool(1, 0);
    let pool = FileKey::Pool { channel: 1, group: 0 };
    let (line, verdict) = announce(&mut matching, health, pool, count, &bytes);
    assert_eq!(verdict, Err(Reason::NotAllowed));
    matching.send(health, pool, line, bytes.clone());
    matching.settle();
    assert_eq!(matching.events, [Event::Refused(pool, Reason::NotAllowed)]);

    let rows = FileKey::Rows { owner: police.member, class: Class::StrongPositive };
    let (line, _) = announce(&mut matching, police, rows, 0, &bytes);
    matching.send(police, rows, line.clone(), bytes.clone());
    // Another's announcement, and other bytes than announced.
    matching.send(health, rows, line.clone(), bytes.clone());
    matching.send(police, rows, line, vec![1]);
    matching.send(police, rows, b"{}".to_vec(), bytes);
    matching.settle();
    let reasons = [Reason::DigestDiffers, Reason::Malformed, Reason::NotAllowed, Reason::NotAnnounced];
    reasons.iter().for_each(|reason| assert!(matching.events.contains(&Event::Refused(rows, *reason)), "{reason}"));
    assert!(!matching.events.iter().any(|event| matches!(event, Event::Kept(_))));
}

fn announce(
    matching: &mut Matching,
    party: Party,
    file: FileKey,
    count: u64,
    bytes: &[u8],
) -> (Vec<u8>, Result<(), Reason>) {
    let count = wugan_protocol::limits::round_up_count(count);
    let digest = wugan_protocol::hexes::sha256(bytes);
    let statement = Statement::Announcement(Announcement { file, count, digest });
    let (signed, verdict) = matching.world.try_state(party, statement);
    (signed.bytes().to_vec(), verdict)
}

#[test]
fn a_file_waits_for_the_log_to_show_its_announcement() {
    let mut matching = start();
    matching.follow(false);
    send_pools(&mut matching, [1]);
    matching.settle();
    assert!(matching.events.is_empty());
    matching.follow(true);
    matching.settle();
    assert!(round(&matching).receipted_channels().into_iter().eq([1]));
}

#[test]
fn a_file_of_a_round_that_ended_is_refused_at_once() {
    let mut matching = start();
    let police = matching.world.node("police");
    let (count, bytes) = pool(1, 0);
    let file = FileKey::Pool { channel: 1, group: 0 };
    let (line, _) = announce(&mut matching, police, file, count, &bytes);
    let coordinator = matching.world.federation.coordinator();
    matching.world.state(coordinator, Statement::RoundAbandoned { reason: Reason::Superseded });
    matching.world.open_round("2026-11");
    matching.settle();
    matching.send(police, file, line, bytes);
    matching.settle();
    assert_eq!(matching.events, [Event::Refused(file, Reason::OtherRound)]);
}

#[test]
fn a_file_that_the_log_never_shows_is_refused_in_time() {
    let mut matching = start();
    matching.follow(false);
    send_pool(&mut matching, 1, 0);
    matching.settle();
    matching.world.now += 60;
    matching.settle();
    let early = Event::Refused(FileKey::Pool { channel: 1, group: 0 }, Reason::BeforeItsTime);
    assert!(matching.events.contains(&early));
}

#[test]
fn messages_from_others_cut_the_connection() {
    let mut matching = start();
    let (police, coordinator) = (matching.world.node("police"), matching.world.federation.coordinator());
    matching.message(police, Message::Entries { first: 0, lines: Vec::new() });
    matching.message(coordinator, Message::Online { time: 0, nodes: Vec::new() });
    let cut = |party| Event::Cut(party, Reason::NotAllowed);
    assert_eq!(matching.events, [cut(police), cut(coordinator)]);
}

/// How often it sent one of the bitmaps.
fn times_sent(matching: &Matching, class: Class) -> usize {
    let sent = |event: &&Event| matches!(event, Event::Sent(_, FileKey::Bitmap { class: of, .. }, _) if *of == class);
    matching.events.iter().filter(sent).count()
}

#[test]
fn bitmaps_are_sent_until_they_are_kept() {
    let (mut matching, owner) = listed();
    matching.reply_with(None);
    send_records(&mut matching, owner, 0);
    matching.settle();
    let lost = times_sent(&matching, Class::WeakPositive);
    assert!(lost > 1);
    matching.reply_with(Some(FileReply::Refused(Reason::BeforeItsTime.code())));
    matching.settle();
    matching.reply_with(Some(FileReply::Kept));
    matching.settle();
    matching.world.now += 10;
    matching.settle();
    assert_eq!(times_sent(&matching, Class::WeakPositive), lost + 2);
    matching.world.now += 1_000;
    matching.settle();
    assert_eq!(times_sent(&matching, Class::WeakPositive), lost + 2);
}

#[test]
fn a_bitmap_that_was_refused_for_good_is_not_sent_again() {
    let (mut matching, owner) = listed();
    matching.reply_with(Some(FileReply::Refused(Reason::TooLate.code())));
    send_records(&mut matching, owner, 0);
    matching.settle();
    matching.world.now += 1_000;
    matching.settle();
    assert_eq!(times_sent(&matching, Class::WeakPositive), 1);
}

#[test]
fn a_bitmap_that_its_receiver_refuses_in_the_log_is_sent_again() {
    let mut matching = whole_round(None);
    let file = FileKey::Bitmap { owner: matching.world.node("bureau").member, class: Class::StrongNegative };
    let announces = |line: &&Vec<u8>| String::from_utf8_lossy(line).contains(&file.name().replace("bitmap-0-", ""));
    let line = matching.journal.own.iter().find(announces).unwrap();
    let entry = wugan_protocol::hexes::sha256(line);
    let (police, aggregator) = (matching.world.node("police"), matching.world.federation.aggregator());
    matching.world.state(police, Statement::Refusal { entry, reason: Reason::BadBits });
    matching.settle();
    assert_eq!(times_sent(&matching, Class::StrongNegative), 1);
    matching.world.state(aggregator, Statement::Refusal { entry, reason: Reason::BadBits });
    matching.settle();
    assert_eq!(times_sent(&matching, Class::StrongNegative), 2);
    assert_eq!(times_sent(&matching, Class::WeakPositive), 1);
}

/// A whole round of the matcher's; with a power cut after some command.
fn whole_round(cut: Option<usize>) -> Matching {
    let mut matching = start();
    if let Some(commands) = cut {
        matching.cut_power_after(commands);
    }
    send_pools(&mut matching, 1..=10);
    matching.settle();
    close_pools(&mut matching);
    matching.settle();
    let owner = matching.world.node("bureau");
    send_records(&mut matching, owner, 0);
    matching.settle();
    matching
}

#[test]
fn a_power_cut_after_any_command_changes_nothing() {
    let plain = whole_round(None);
    let owner = plain.world.node("bureau").member;
    assert_bitmaps(&plain, owner);
    let mut cuts = 0;
    loop {
        let matching = whole_round(Some(cuts));
        if matching.powered() {
            break;
        }
        assert_eq!(matching.sent(), plain.sent(), "cut after {cuts} commands");
        assert!(refusals(&matching).is_empty());
        assert!(!matching.events.iter().any(|event| matches!(event, Event::Stopped(_))));
        // Each third: the commands of different runs do not fall together.
        cuts += 3;
    }
    assert!(cuts > 100);
}

#[test]
fn a_round_is_forgotten_after_its_retention_time() {
    let (mut matching, owner) = listed();
    send_records(&mut matching, owner, 0);
    matching.settle();
    let hash = round(&matching).hash();
    let folder = matching.program().rounds.folder(hash);
    let coordinator = matching.world.federation.coordinator();
    matching.world.now += 86_400;
    matching.world.state(coordinator, Statement::RowsClosed {});
    matching.world.state(coordinator, Statement::RoundClosed {});
    matching.settle();
    assert!(folder.exists());
    matching.world.now += 39 * 86_400;
    matching.settle();
    assert!(!folder.exists());
    assert!(!matching.journal.facts.keys().any(|name| name.contains(&hash.to_string())));
    assert_eq!(deletions(&matching), 1);
}

fn deletions(matching: &Matching) -> usize {
    let deletion = Statement::Deletion { of: Kept::Files };
    matching.world.statements().into_iter().filter(|statement| *statement == deletion).count()
}

/// A round that was abandoned with a pool in it, after its retention time; with a power cut after some command.
fn abandoned_round(cut: usize) -> (Matching, PathBuf) {
    let mut matching = start();
    send_pool(&mut matching, 1, 0);
    matching.settle();
    let folder = matching.program().rounds.folder(round(&matching).hash());
    let coordinator = matching.world.federation.coordinator();
    matching.world.state(coordinator, Statement::RoundAbandoned { reason: Reason::Superseded });
    matching.settle();
    matching.world.now += 41 * 86_400;
    matching.cut_power_after(cut);
    matching.settle();
    (matching, folder)
}

#[test]
fn a_power_cut_in_a_deletion_neither_leaves_anything_nor_says_it_twice() {
    let mut cuts = 0;
    loop {
        let (matching, folder) = abandoned_round(cuts);
        assert!(!folder.exists(), "cut after {cuts} commands");
        assert!(matching.journal.facts.keys().eq(["checkpoint"]), "of the log, not of a round");
        assert_eq!(deletions(&matching), 1, "cut after {cuts} commands");
        if matching.powered() {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 2);
}

#[test]
fn a_pool_that_is_gone_after_its_receipt_stops_the_program() {
    let (mut matching, owner) = listed();
    let hash = round(&matching).hash();
    std::fs::remove_file(matching.program().path(hash, FileKey::Pool { channel: 2, group: 0 })).unwrap();
    send_records(&mut matching, owner, 0);
    matching.settle();
    let Some(Event::Stopped(text)) = matching.events.last() else { panic!("{:?}", matching.events) };
    assert!(text.contains("pool-2-0") && text.contains("put it back"), "{text}");
}
