//! The ledger: whole rounds, and every entry that has no effect or is not admitted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{
    AGGREGATOR, BUREAU, CLINIC, COORDINATOR, DATA, HOUSING, Key, Log, MATCHER, MATCHING, POLICE, POLICE_FIRST, START,
    announcement, batch, digest, federation, node, times, totals,
};
use wugan_protocol::{
    file::FileKey,
    hexes::Hex,
    ledger::{Counted, SECONDS_PER_DAY},
    limits::CLOCKS_APART_SECONDS_MAX,
    log::{cosignature::sign_tree, merkle::Tree},
    policy::Class,
    reason::Reason,
    statement::{Announcement, CanaryOutcome, Cosignature, Kept, Receipt, RoundManifest, Statement, Totals},
};

/// A change of a statement that spoils it.
type Bend<T> = fn(&mut T);

fn receipt(receipt: Receipt) -> Statement {
    Statement::Receipt(receipt)
}

fn round_manifest(log: &Log, month: &str, change: impl FnOnce(&mut RoundManifest)) -> Statement {
    let Statement::RoundManifest(mut manifest) = log.manifest(month) else { unreachable!() };
    change(&mut manifest);
    Statement::RoundManifest(manifest)
}

#[test]
fn a_whole_round_counts_and_closes_and_the_next_follows() {
    let mut log = Log::listed();
    let round = log.ledger.round().unwrap();
    let month = "2026-11".parse().unwrap();
    assert_eq!(log.ledger.counted(), Some(Counted { month, opened: START }));
    assert_eq!(round.list().unwrap().len(), 8);
    assert_eq!(round.record_channels(BUREAU).len(), 8);
    assert_eq!(round.id(), round.hash().0[..16]);
    log.finish();
    let round = log.ledger.round().unwrap();
    assert!(round.ended() && !round.abandoned() && log.ledger.open_round().is_none());
    assert_eq!(round.present_owners(), [BUREAU, HOUSING]);

    // Deliveries are acknowledged after the end, nothing else is.
    log.say(node(BUREAU), receipt(Receipt::Decisions {})).unwrap();
    assert_eq!(log.say(node(BUREAU), receipt(Receipt::Decisions {})), Err(Reason::Repeated));
    assert_eq!(log.say(COORDINATOR, Statement::RoundClosed {}), Err(Reason::OtherRound));

    log.now = START + 25 * SECONDS_PER_DAY;
    log.open("2026-12").unwrap();
    log.reach_list();
    log.finish();
    assert_eq!(log.ledger.counted().unwrap().month, "2026-12".parse().unwrap());
}

#[test]
fn a_replayed_log_leads_to_the_same_state() {
    let mut log = Log::listed();
    log.finish();
    let mut replayed = Log::new();
    log.lines[1..].iter().for_each(|line| replayed.append(line.clone()).unwrap());
    assert_eq!(format!("{:?}", replayed.ledger), format!("{:?}", log.ledger));
}

#[test]
fn a_manifest_that_bends_the_round_has_no_effect() {
    let bends: [(&str, Reason, Bend<RoundManifest>); 12] = [
        ("policy", Reason::OtherPolicy, |m| m.policy = digest("other")),
        ("a channel left out", Reason::OtherPolicy, |m| m.channels.truncate(7)),
        ("a channel twice", Reason::OtherPolicy, |m| m.channels.push(m.channels[0].clone())),
        ("channels in another order", Reason::OtherPolicy, |m| m.channels.swap(0, 1)),
        ("a class", Reason::OtherPolicy, |m| m.channels[0].class = Class::WeakPositive),
        ("a source", Reason::OtherPolicy, |m| m.channels[0].source = POLICE),
        ("a key", Reason::OtherPolicy, |m| m.channels[0].key = digest("other")),
        ("a matter left out", Reason::OtherPolicy, |m| m.matters.truncate(1)),
        ("the matcher", Reason::OtherPolicy, |m| m.matcher = DATA),
        ("the aggregator", Reason::OtherPolicy, |m| m.aggregator = CLINIC),
        ("a close before the opening", Reason::ClockDiffers, |m| m.pools_close_from = START - 1),
        ("rows before enrolment", Reason::ClockDiffers, |m| m.rows_until = m.enrolment_until - 1),
    ];
    for (what, reason, bend) in bends {
        let mut log = Log::with_keys();
        let manifest = round_manifest(&log, "2026-11", bend);
        assert_eq!(log.say(COORDINATOR, manifest), Err(reason), "{what}");
        assert!(log.ledger.round().is_none());
        log.open("2026-11").unwrap();
    }
    // The document that defines a round names none.
    let mut log = Log::with_keys();
    let mut body = log.signed(COORDINATOR, log.manifest("2026-11"), false).body().clone();
    body.head.round = Some(digest("a round"));
    let line = body.sign(Key::of(COORDINATOR).as_ref()).unwrap().bytes().to_vec();
    assert_eq!(log.append(line), Err(Reason::OtherRound));
}

#[test]
fn a_round_needs_the_latest_key_of_every_source() {
    let mut log = Log::new();
    let Statement::RoundManifest(manifest) = Log::with_keys().manifest("2026-11") else { unreachable!() };
    assert_eq!(log.ledger.round_manifest(manifest.month, times(START)).unwrap_err(), BUREAU);
    assert_eq!(log.say(COORDINATOR, Statement::RoundManifest(manifest)), Err(Reason::UnknownEpoch));
    let mut log = Log::with_keys();
    let old = log.manifest("2026-11");
    log.say(node(POLICE), log.key_epoch(POLICE, 2, 100)).unwrap();
    assert_eq!(log.say(COORDINATOR, old), Err(Reason::OtherPolicy));
    log.open("2026-11").unwrap();
    assert_eq!(log.ledger.round().unwrap().manifest().channels[2].epoch, 2);
}

#[test]
fn a_month_has_one_counted_round_later_than_the_last() {
    let mut log = Log::opened();
    assert_eq!(log.say(COORDINATOR, log.manifest("2026-12")), Err(Reason::Repeated), "one is open");
    log.reach_list();
    log.finish();
    assert_eq!(log.open("2026-11"), Err(Reason::MonthNotLater));
    assert_eq!(log.open("2026-10"), Err(Reason::MonthNotLater));
    log.now = START + 25 * SECONDS_PER_DAY - 1;
    assert_eq!(log.open("2026-12"), Err(Reason::TooSoon));
    log.now += 1;
    assert_eq!(log.open("2026-11"), Err(Reason::MonthNotLater));
    // Missed months are no hindrance.
    log.open("2027-03").unwrap();
}

#[test]
fn a_round_abandoned_before_its_list_is_void_and_the_month_opens_anew() {
    let mut log = Log::opened();
    let first = log.ledger.round().unwrap().hash();
    (1..=8).for_each(|channel| log.pools(channel));
    log.say(COORDINATOR, Statement::RoundAbandoned { reason: Reason::Superseded }).unwrap();
    assert!(log.ledger.round().unwrap().abandoned() && log.ledger.counted().is_none());
    assert_eq!(log.say(node(BUREAU), receipt(Receipt::Decisions {})), Err(Reason::OtherRound));
    log.now += 60;
    log.open("2026-11").unwrap();
    assert_ne!(log.ledger.round().unwrap().hash(), first, "a round id is never used again");
    assert!(log.ledger.round().unwrap().receipted_channels().is_empty());

    let mut log = Log::listed();
    let late = Statement::RoundAbandoned { reason: Reason::Superseded };
    assert_eq!(log.say(COORDINATOR, late), Err(Reason::TooLate));
}

#[test]
fn an_entry_of_another_round_has_no_effect() {
    let mut log = Log::opened();
    let pool = announcement(FileKey::Pool { channel: 3, group: 0 });
    let outside = log.signed(node(POLICE), pool.clone(), false).bytes().to_vec();
    assert_eq!(log.append(outside), Err(Reason::OtherRound));
    let mut body = log.signed(node(POLICE), pool.clone(), true).body().clone();
    body.head.round = Some(digest("another round"));
    let replayed = body.sign(Key::of(node(POLICE)).as_ref()).unwrap().bytes().to_vec();
    assert_eq!(log.append(replayed), Err(Reason::OtherRound));
    let mut none = Log::with_keys();
    assert_eq!(none.say(node(POLICE), pool), Err(Reason::OtherRound));
}

#[test]
fn only_the_maker_announces_a_file() {
    let mut log = Log::listed();
    let pool = FileKey::Pool { channel: 3, group: 0 };
    let rows = FileKey::Rows { owner: BUREAU, class: Class::StrongPositive };
    let wrong = [
        (node(CLINIC), pool),
        (MATCHING, pool),
        (node(POLICE), FileKey::Pool { channel: 3, group: 2 }),
        (node(POLICE), FileKey::Pool { channel: 99, group: 0 }),
        (node(HOUSING), rows),
        (AGGREGATOR, rows),
        (node(HOUSING), FileKey::Records { owner: BUREAU, channel: 1 }),
        (node(POLICE), FileKey::Records { owner: POLICE, channel: 1 }),
        (node(POLICE), FileKey::Rows { owner: POLICE, class: Class::StrongPositive }),
        (AGGREGATOR, FileKey::Bitmap { owner: BUREAU, class: Class::StrongPositive }),
        (MATCHING, FileKey::Bitmap { owner: POLICE, class: Class::StrongPositive }),
        (MATCHING, FileKey::Bits { owner: BUREAU }),
        (AGGREGATOR, FileKey::Decisions { owner: BUREAU }),
        (COORDINATOR, FileKey::Decisions { owner: 77 }),
    ];
    for (party, file) in wrong {
        assert_eq!(log.announce(party, file), Err(Reason::NotAllowed), "{party:?} {file:?}");
    }
    assert_eq!(log.announce(node(POLICE), pool), Err(Reason::Repeated));
    let exact = Announcement { file: rows, count: 257, digest: digest("rows") };
    assert_eq!(log.say(node(BUREAU), Statement::Announcement(exact)), Err(Reason::CountDiffers));
}

#[test]
fn pools_close_when_time_and_departments_allow() {
    let mut log = Log::opened();
    assert_eq!(log.say(COORDINATOR, Statement::PoolsClosed {}), Err(Reason::CloseTooEarly));
    log.now += 9;
    (1..=8).for_each(|channel| log.pools(channel));
    assert_eq!(log.say(COORDINATOR, Statement::PoolsClosed {}), Err(Reason::CloseTooEarly));
    log.now += 1;
    log.say(COORDINATOR, Statement::PoolsClosed {}).unwrap();
    assert_eq!(log.ledger.round().unwrap().pools_closed(), Some(log.now));
    assert_eq!(log.say(COORDINATOR, Statement::PoolsClosed {}), Err(Reason::Repeated));

    // One department may be missing here (two of its channels), but never the servers' own.
    for (left_out, fine) in [(&[3, 5][..], true), (&[3, 4], false), (&[1], false), (&[2, 7], false), (&[8], true)] {
        let mut log = Log::opened();
        (1..=8).filter(|channel| !left_out.contains(channel)).for_each(|channel| log.pools(channel));
        log.now += 10;
        let expected = if fine { Ok(()) } else { Err(Reason::TooManyMissing) };
        assert_eq!(log.say(COORDINATOR, Statement::PoolsClosed {}), expected, "{left_out:?}");
    }
}

#[test]
fn receipts_need_every_file_and_end_with_the_close() {
    let mut log = Log::opened();
    let pools = receipt(Receipt::Pools { channel: 3 });
    log.announce(node(POLICE), FileKey::Pool { channel: 3, group: 1 }).unwrap();
    assert_eq!(log.say(MATCHING, pools.clone()), Err(Reason::BeforeItsTime), "a group is missing");
    assert_eq!(log.say(MATCHING, receipt(Receipt::Pools { channel: 99 })), Err(Reason::BeforeItsTime));
    assert_eq!(log.say(AGGREGATOR, pools.clone()), Err(Reason::NotAllowed));
    (1..=8).filter(|channel| *channel != 3).for_each(|channel| log.pools(channel));
    log.now += 10;
    log.say(COORDINATOR, Statement::PoolsClosed {}).unwrap();
    log.announce(node(POLICE), FileKey::Pool { channel: 3, group: 0 }).unwrap();
    assert_eq!(log.say(MATCHING, pools), Err(Reason::TooLate));
    assert_eq!(log.say(MATCHING, receipt(Receipt::Pools { channel: 1 })), Err(Reason::TooLate));
    assert!(!log.ledger.round().unwrap().receipted_channels().contains(&3));
}

#[test]
fn the_list_is_exactly_the_receipted_channels() {
    let mut log = Log::opened();
    (1..=7).for_each(|channel| log.pools(channel));
    log.now += 10;
    let list = |channels: &[u16]| Statement::List { channels: channels.to_vec() };
    assert_eq!(log.say(MATCHING, list(&[1, 2, 3, 4, 5, 6, 7])), Err(Reason::BeforeItsTime));
    log.say(COORDINATOR, Statement::PoolsClosed {}).unwrap();
    let differ: [&[u16]; 5] =
        [&[1, 2, 3, 4, 5, 6], &[1, 2, 3, 4, 5, 6, 7, 8], &[2, 1, 3, 4, 5, 6, 7], &[1, 1, 2, 3, 4, 5, 6, 7], &[]];
    for channels in differ {
        assert_eq!(log.say(MATCHING, list(channels)), Err(Reason::ListDiffers), "{channels:?}");
        assert!(log.ledger.counted().is_none(), "a round counts only with its list");
    }
    log.say(MATCHING, list(&[1, 2, 3, 4, 5, 6, 7])).unwrap();
    assert_eq!(log.say(MATCHING, list(&[1, 2, 3, 4, 5, 6, 7])), Err(Reason::Repeated));
    let round = log.ledger.round().unwrap();
    assert!(!round.record_channels(BUREAU).contains(&8));
    assert_eq!(log.announce(node(BUREAU), FileKey::Records { owner: BUREAU, channel: 8 }), Err(Reason::BeforeItsTime));
}

#[test]
fn every_file_waits_for_what_it_depends_on() {
    let owner = BUREAU;
    let (records, rows) =
        (FileKey::Records { owner, channel: 1 }, FileKey::Rows { owner, class: Class::StrongNegative });
    let (bits, decisions) = (FileKey::Bits { owner }, FileKey::Decisions { owner });
    let bitmap = FileKey::Bitmap { owner, class: Class::WeakNegative };
    let waits = |log: &mut Log, party, file| assert_eq!(log.announce(party, file), Err(Reason::BeforeItsTime));
    let mut log = Log::opened();
    waits(&mut log, node(owner), records);
    waits(&mut log, node(owner), rows);
    log.reach_list();
    assert_eq!(log.say(MATCHING, receipt(Receipt::Records { owner })), Err(Reason::BeforeItsTime));
    assert_eq!(log.say(AGGREGATOR, receipt(Receipt::Rows { owner })), Err(Reason::BeforeItsTime));
    log.rows(owner);
    waits(&mut log, MATCHING, bitmap);
    assert_eq!(log.say(AGGREGATOR, receipt(Receipt::Records { owner })), Err(Reason::NotAllowed));
    assert_eq!(log.say(MATCHING, receipt(Receipt::Rows { owner })), Err(Reason::NotAllowed));
    log.say(MATCHING, receipt(Receipt::Records { owner })).unwrap();
    log.bitmaps(owner);
    waits(&mut log, AGGREGATOR, bits);
    log.say(AGGREGATOR, receipt(Receipt::Rows { owner })).unwrap();
    waits(&mut log, COORDINATOR, decisions);
    assert_eq!(log.say(COORDINATOR, totals(owner)), Err(Reason::BeforeItsTime));
    log.announce(AGGREGATOR, bits).unwrap();
    assert_eq!(log.say(node(owner), receipt(Receipt::Decisions {})), Err(Reason::BeforeItsTime));
    log.announce(COORDINATOR, decisions).unwrap();
    let Statement::Decisions(mut other) = totals(owner) else { unreachable!() };
    other.digest = digest("other decisions");
    assert_eq!(log.say(COORDINATOR, Statement::Decisions(other)), Err(Reason::DigestDiffers));
    log.say(COORDINATOR, totals(owner)).unwrap();
    assert_eq!(log.say(COORDINATOR, totals(owner)), Err(Reason::Repeated));
    log.say(node(owner), receipt(Receipt::Decisions {})).unwrap();
}

#[test]
fn an_owner_tells_of_its_canaries_once_between_its_totals_and_its_receipt() {
    let told =
        |other| Statement::Canaries(CanaryOutcome { document: digest("canaries"), as_expected: 3, deferred: 1, other });
    let mut log = Log::listed();
    assert_eq!(log.say(node(BUREAU), told(0)), Err(Reason::BeforeItsTime), "nothing is decided");
    log.finish();
    assert_eq!(log.say(node(POLICE), told(0)), Err(Reason::NotAllowed), "it owns no roster");
    let outside = log.signed(node(BUREAU), told(0), false).bytes().to_vec();
    assert_eq!(log.append(outside), Err(Reason::OtherRound));
    assert_eq!(log.ledger.round().unwrap().canaries(BUREAU), None);
    log.say(node(BUREAU), told(0)).unwrap();
    assert_eq!(log.say(node(BUREAU), told(1)), Err(Reason::Repeated));
    assert_eq!(log.ledger.round().unwrap().canaries(BUREAU).map(|told| told.other), Some(0));
    log.say(node(BUREAU), receipt(Receipt::Decisions {})).unwrap();
    log.say(node(HOUSING), receipt(Receipt::Decisions {})).unwrap();
    assert_eq!(log.say(node(HOUSING), told(0)), Err(Reason::TooLate), "its receipt said that it had none");
    // Only a node states it.
    let server = log.signed(AGGREGATOR, told(0), true).bytes().to_vec();
    assert_eq!(log.ledger.admit(&server).err(), Some(Reason::NotAllowed));

    let mut log = Log::opened();
    log.say(COORDINATOR, Statement::RoundAbandoned { reason: Reason::Superseded }).unwrap();
    assert_eq!(log.say(node(BUREAU), told(0)), Err(Reason::OtherRound), "a void round decides nothing");
}

#[test]
fn bits_wait_for_the_bitmap_of_every_class() {
    let mut log = Log::listed();
    log.rows(BUREAU);
    log.row_receipts(BUREAU);
    for class in Class::ALL {
        assert_eq!(log.announce(AGGREGATOR, FileKey::Bits { owner: BUREAU }), Err(Reason::BeforeItsTime));
        log.announce(MATCHING, FileKey::Bitmap { owner: BUREAU, class }).unwrap();
    }
    log.announce(AGGREGATOR, FileKey::Bits { owner: BUREAU }).unwrap();
}

#[test]
fn servers_have_no_receipts_for_members_without_rosters() {
    let mut log = Log::listed();
    for owner in [POLICE, MATCHER, 999] {
        assert_eq!(log.say(MATCHING, receipt(Receipt::Records { owner })), Err(Reason::NotAllowed));
        assert_eq!(log.say(AGGREGATOR, receipt(Receipt::Rows { owner })), Err(Reason::NotAllowed));
    }
}

#[test]
fn rows_close_without_those_who_announced_only_at_the_latest_time() {
    let mut log = Log::opened();
    assert_eq!(log.say(COORDINATOR, Statement::RowsClosed {}), Err(Reason::BeforeItsTime));
    log.reach_list();
    log.rows(BUREAU);
    log.row_receipts(BUREAU);
    let mut early = log.clone();
    early.say(COORDINATOR, Statement::RowsClosed {}).expect("who has announced nothing may be left out");
    let undecided = early.say(COORDINATOR, Statement::RoundClosed {});
    assert_eq!(undecided, Err(Reason::CloseTooEarly), "decisions are waited for until the latest time");

    log.announce(node(HOUSING), FileKey::Rows { owner: HOUSING, class: Class::WeakPositive }).unwrap();
    assert_eq!(log.say(COORDINATOR, Statement::RowsClosed {}), Err(Reason::CloseTooEarly));
    log.now = log.ledger.round().unwrap().manifest().rows_until;
    log.say(COORDINATOR, Statement::RowsClosed {}).unwrap();
    assert_eq!(log.say(COORDINATOR, Statement::RowsClosed {}), Err(Reason::Repeated));
    assert_eq!(log.say(MATCHING, receipt(Receipt::Records { owner: HOUSING })), Err(Reason::TooLate));
    assert_eq!(log.ledger.round().unwrap().present_owners(), [BUREAU]);
    log.clone().say(COORDINATOR, Statement::RoundClosed {}).expect("then a round is closed without them");
    log.decide(BUREAU);
    log.say(COORDINATOR, Statement::RoundClosed {}).unwrap();
    assert!(log.ledger.round().unwrap().totals(HOUSING).is_none());
}

#[test]
fn a_round_does_not_close_before_its_rows() {
    let mut log = Log::listed();
    assert_eq!(log.say(COORDINATOR, Statement::RoundClosed {}), Err(Reason::BeforeItsTime));
}

#[test]
fn deletions_are_of_ended_rounds_and_each_is_said_once_by_who_kept_it() {
    let deletion = |of| Statement::Deletion { of };
    let mut log = Log::listed();
    let opened = log.now;
    log.now = opened + 500 * SECONDS_PER_DAY;
    assert_eq!(log.say(MATCHING, deletion(Kept::Files)), Err(Reason::BeforeItsTime), "an open round keeps its files");
    log.finish();
    let speakers = [node(POLICE), MATCHING, AGGREGATOR, COORDINATOR];
    let rights = [
        (Kept::Files, [true, true, true, false]),
        (Kept::Bits, [false, false, false, true]),
        (Kept::Decisions, [false, false, false, true]),
        (Kept::Batches, [true, false, false, false]),
        (Kept::Answers, [true, false, false, false]),
    ];
    for (of, may) in rights {
        for (party, may) in speakers.into_iter().zip(may) {
            let expected = if may { Ok(()) } else { Err(Reason::NotAllowed) };
            assert_eq!(log.say(party, deletion(of)), expected, "{of:?} of {party:?}");
            let again = if may { Reason::Repeated } else { Reason::NotAllowed };
            assert_eq!(log.say(party, deletion(of)), Err(again), "{of:?} of {party:?}");
        }
    }
    // Each member for itself, and also of a round before the last; but of none that was never opened.
    let round = log.ledger.round().unwrap().hash();
    log.open("2026-12").unwrap();
    let of_round = |log: &Log, party, round| {
        let mut body = log.signed(party, deletion(Kept::Files), true).body().clone();
        body.head.round = round;
        body.sign(Key::of(party).as_ref()).unwrap().bytes().to_vec()
    };
    let line = of_round(&log, node(CLINIC), Some(round));
    log.append(line).unwrap();
    for unknown in [None, Some(digest("a round"))] {
        let line = of_round(&log, node(CLINIC), unknown);
        assert_eq!(log.append(line), Err(Reason::OtherRound));
    }
}

#[test]
fn nothing_is_deleted_before_its_retention_time_is_over() {
    let mut log = Log::listed();
    let (opened, policy) = (log.ledger.round().unwrap().opened(), log.ledger.federation().policy().clone());
    log.finish();
    let kept = [
        (node(POLICE), Kept::Files, policy.retention_days),
        (COORDINATOR, Kept::Bits, policy.retention_days),
        (COORDINATOR, Kept::Decisions, policy.decision_retention_days),
    ];
    assert_ne!(kept[1].2, kept[2].2);
    for (party, of, days) in kept {
        // Clocks may be somewhat apart.
        log.now = opened + days * SECONDS_PER_DAY - CLOCKS_APART_SECONDS_MAX - 1;
        assert_eq!(log.say(party, Statement::Deletion { of }), Err(Reason::BeforeItsTime), "{of:?}");
        log.now += 1;
        log.say(party, Statement::Deletion { of }).unwrap();
    }
}

#[test]
fn what_belongs_to_no_round_names_none() {
    let mut log = Log::with_keys();
    let statements = [
        (COORDINATOR, log.manifest("2026-11")),
        (node(POLICE), log.key_epoch(POLICE, 2, 100)),
        (node(BUREAU), batch(0, 256, &[POLICE_FIRST])),
    ];
    for (party, statement) in statements {
        let mut body = log.signed(party, statement.clone(), false).body().clone();
        body.head.round = Some(digest("a round"));
        let line = body.sign(Key::of(party).as_ref()).unwrap().bytes().to_vec();
        assert_eq!(log.append(line), Err(Reason::OtherRound));
        log.say(party, statement).unwrap();
    }
}

#[test]
fn totals_are_of_the_owners_matters_and_tell_no_small_count() {
    let mut log = Log::listed();
    log.rows(HOUSING);
    log.row_receipts(HOUSING);
    log.bitmaps(HOUSING);
    log.announce(AGGREGATOR, FileKey::Bits { owner: HOUSING }).unwrap();
    log.announce(COORDINATOR, FileKey::Decisions { owner: HOUSING }).unwrap();
    let Statement::Decisions(good) = totals(HOUSING) else { unreachable!() };
    assert!(good.matters[0].counts[0].about.is_some());
    let bends: [Bend<Totals>; 9] = [
        |t| t.matters.clear(),
        |t| t.matters.push(t.matters[0].clone()),
        |t| t.matters[0].matter += 1,
        |t| t.matters[0].counts.truncate(3),
        |t| t.matters[0].counts.swap(0, 1),
        |t| t.matters[0].counts[1] = t.matters[0].counts[0],
        |t| t.matters[0].counts[2].about = Some(16),
        |t| t.matters[0].counts[2].about = Some(5),
        |t| t.matters[0].counts[2].about = Some(0),
    ];
    for bend in bends {
        let mut bent = good.clone();
        bend(&mut bent);
        assert_eq!(log.say(COORDINATOR, Statement::Decisions(bent)), Err(Reason::CountDiffers));
    }
    log.say(COORDINATOR, Statement::Decisions(good)).unwrap();
}

#[test]
fn failures_are_about_ones_own_channels() {
    let mut log = Log::opened();
    let failure = |channel| Statement::Failure { channel, reason: Reason::Unreadable };
    assert_eq!(log.say(node(POLICE), failure(Some(1))), Err(Reason::NotAllowed));
    log.say(node(POLICE), failure(Some(3))).unwrap();
    log.say(node(BUREAU), failure(None)).unwrap();
    assert_eq!(log.ledger.round().unwrap().failures().len(), 2);
}

#[test]
fn cosignatures_are_of_the_last_round_end_by_the_members_log_keys() {
    let cosign = |tree: Tree, key: &Key, time| Cosignature {
        size: tree.size,
        signature: Hex(sign_tree(tree, &federation().origin(), key, time)),
    };
    let mut log = Log::listed();
    let of = |party| Key::log_of(party);
    let early = cosign(log.ledger.tree().tree(), &of(node(POLICE)), log.now);
    assert_eq!(log.say(node(POLICE), Statement::Cosignature(early)), Err(Reason::BeforeItsTime));
    log.finish();
    let tree = log.ledger.closed().unwrap().tree;
    let good = cosign(tree, &of(node(POLICE)), log.now);
    let identity = cosign(tree, &Key::of(node(POLICE)), log.now);
    let another = cosign(tree, &of(node(HOUSING)), log.now);
    let other_time = cosign(tree, &of(node(POLICE)), log.now + 1);
    let later = cosign(log.ledger.tree().tree(), &of(node(POLICE)), log.now);
    for bad in [identity, another, other_time] {
        assert_eq!(log.say(node(POLICE), Statement::Cosignature(bad)), Err(Reason::BadSignature));
    }
    log.say(node(POLICE), Statement::Cosignature(good.clone())).unwrap();
    assert_eq!(log.say(node(POLICE), Statement::Cosignature(good)), Err(Reason::Repeated));
    let later = Cosignature { size: later.size + 1, ..later };
    assert_eq!(log.say(node(HOUSING), Statement::Cosignature(later)), Err(Reason::OtherRound));
    let own = cosign(tree, &of(COORDINATOR), log.now);
    assert_eq!(log.say(COORDINATOR, Statement::Cosignature(own)), Err(Reason::NotAllowed));
}
