//! What a member refuses in the log, and what it does not.

use wugan_protocol::{
    engine::Command,
    file::FileKey,
    hexes::{Digest, Hex, sha256},
    ledger::SECONDS_PER_DAY,
    limits::CLOCKS_APART_SECONDS_MAX,
    log::cosignature::sign_tree,
    reason::Reason,
    statement::{Cosignature, Receipt, Statement},
};

use crate::{
    claims,
    common::{COORDINATOR, HOUSING, Key, Log, MATCHING, POLICE, START, digest, federation, node},
    refusals, remember_own, restored_at, submitted, whole_round,
};

/// A coordinator's close before its time, in the log.
fn with_early_close() -> (Log, Digest) {
    let mut log = Log::opened();
    assert_eq!(log.say(COORDINATOR, Statement::PoolsClosed {}), Err(Reason::CloseTooEarly));
    let entry = sha256(log.lines.last().unwrap());
    (log, entry)
}

#[test]
fn a_bad_statement_of_a_server_is_refused_once() {
    let (mut log, entry) = with_early_close();
    let before = Log { lines: log.lines[..log.lines.len() - 1].to_vec(), ..Log::opened() };
    let mut police = restored_at(&before, node(POLICE));
    let known = police.disk.log.len();
    let (_, commands) = police.entries(known, &log.lines[known..], START);
    assert_eq!(refusals(&commands), [(entry, Reason::CloseTooEarly)]);
    assert!(
        commands.iter().any(|command| matches!(command, Command::Tell(_, text) if text.contains("bureau/coordinator")))
    );
    assert!(police.member.round().is_some(), "the round itself goes on");

    // Entry and refusal are one commit: whatever happens, both are there or neither.
    let commits = commands.iter().filter(|command| matches!(command, Command::Commit(_))).count();
    assert_eq!(commits, 1);
    assert!(matches!(&commands[0], Command::Commit(facts) if facts.len() == 3));
    police.crash();
    assert_eq!(refusals(&police.member.up()), [(entry, Reason::CloseTooEarly)], "sent again, not made again");
    let (_, again) = police.entries(known, &log.lines[known..], START);
    assert!(again.is_empty());

    // Once the log shows it, it is neither sent nor made again.
    log.append(submitted(&police.member.up()).remove(0)).unwrap();
    let known = police.disk.log.len();
    let (_, commands) = police.entries(known, &log.lines[known..], START);
    assert!(submitted(&commands).is_empty());
    police.crash();
    assert!(submitted(&police.member.up()).is_empty());
}

#[test]
fn a_close_whose_time_has_not_come_by_the_members_own_clock_ends_its_part_in_the_round() {
    let mut log = Log::opened();
    (1..=8).for_each(|channel| log.pools(channel));
    let (round, known) = (log.ledger.round().unwrap().entry(), log.lines.len());
    log.now += 2 * CLOCKS_APART_SECONDS_MAX;
    log.say(COORDINATOR, Statement::PoolsClosed {}).unwrap();
    let close = sha256(&log.lines[known]);
    for (clock, refused) in
        [(log.now - CLOCKS_APART_SECONDS_MAX, false), (log.now - CLOCKS_APART_SECONDS_MAX - 1, true)]
    {
        let before = Log { lines: log.lines[..known].to_vec(), ..Log::opened() };
        let mut matcher = restored_at(&before, MATCHING);
        let (_, commands) = matcher.entries(known, &log.lines[known..], clock);
        assert_eq!(matcher.member.round().is_none(), refused);
        assert_eq!(submitted(&commands).len(), if refused { 2 } else { 0 });
        matcher.crash();
        assert_eq!(matcher.member.round().is_none(), refused, "for good");
        let mut police = restored_at(&before, node(POLICE));
        let (_, commands) = police.entries(known, &log.lines[known..], clock);
        let expected = [(close, Reason::ClockDiffers), (round, Reason::ClockDiffers)];
        assert_eq!(refusals(&commands), if refused { expected.to_vec() } else { Vec::new() });
    }
}

#[test]
fn late_statements_and_those_of_nodes_are_not_refused() {
    let mut log = Log::opened();
    (1..=7).for_each(|channel| log.pools(channel));
    log.now += 10;
    log.say(COORDINATOR, Statement::PoolsClosed {}).unwrap();
    let police = restored_at(&log, node(POLICE));
    let known = log.lines.len();
    assert_eq!(log.say(MATCHING, Statement::Receipt(Receipt::Pools { channel: 1 })), Err(Reason::TooLate));
    assert_eq!(log.say(node(HOUSING), log.key_epoch(HOUSING, 1, 77)), Err(Reason::OutOfSequence));
    let mut police = police;
    let (logged, commands) = police.entries(known, &log.lines[known..], log.now);
    assert!(logged.iter().all(|entry| entry.verdict.is_err()));
    assert!(submitted(&commands).is_empty());
}

#[test]
fn what_a_server_said_when_its_round_was_being_made_void_is_not_refused() {
    let mut log = Log::opened();
    (1..=7).for_each(|channel| log.pools(channel));
    let source = node(federation().policy().channel(8).unwrap().source);
    for group in 0..2 {
        log.announce(source, FileKey::Pool { channel: 8, group }).unwrap();
    }
    let receipt = Statement::Receipt(Receipt::Pools { channel: 8 });
    let under_way = log.signed(MATCHING, receipt.clone(), true).bytes().to_vec();
    let mut elsewhere = log.signed(MATCHING, receipt, true).body().clone();
    elsewhere.head.round = Some(digest("a round that never was"));
    let elsewhere = elsewhere.sign(Key::of(MATCHING).as_ref()).unwrap();
    log.say(COORDINATOR, Statement::RoundAbandoned { reason: Reason::Superseded }).unwrap();
    for (line, refused) in [(under_way, false), (elsewhere.bytes().to_vec(), true)] {
        let (mut log, mut police) = (log.clone(), restored_at(&log, node(POLICE)));
        let known = log.lines.len();
        assert_eq!(log.append(line), Err(Reason::OtherRound));
        let (_, commands) = police.entries(known, &log.lines[known..], log.now);
        let expected = if refused { vec![(elsewhere.hash(), Reason::OtherRound)] } else { Vec::new() };
        assert_eq!(refusals(&commands), expected);
    }
}

#[test]
fn a_servers_cosignature_that_crossed_the_next_close_is_not_refused() {
    let mut log = whole_round();
    let tree = log.ledger.closed().unwrap().tree;
    log.now = START + 25 * SECONDS_PER_DAY;
    log.open("2026-12").unwrap();
    log.reach_list();
    log.finish();
    let time = log.now;
    let cosigned = |key: &Key| {
        let signature = Hex(sign_tree(tree, &federation().origin(), key, time));
        Statement::Cosignature(Cosignature { size: tree.size, signature })
    };
    for (key, refused) in [(Key::log_of(MATCHING), false), (Key::of(MATCHING), true)] {
        let (mut log, mut police) = (log.clone(), restored_at(&log, node(POLICE)));
        let known = log.lines.len();
        assert_eq!(log.say(MATCHING, cosigned(key.as_ref())), Err(Reason::OtherRound));
        let (_, commands) = police.entries(known, &log.lines[known..], log.now);
        assert_eq!(refusals(&commands).len(), usize::from(refused));
    }
}

/// A log with a counted round and the next one, opened 25 days later.
fn two_rounds() -> Log {
    let mut log = whole_round();
    log.now = START + 25 * SECONDS_PER_DAY;
    log.open("2026-12").unwrap();
    log
}

#[test]
fn a_round_too_soon_by_the_members_own_clock_is_refused_for_good() {
    let log = two_rounds();
    let before = Log { lines: log.lines[..log.lines.len() - 1].to_vec(), ..log.clone() };
    let mut police = restored_at(&before, node(POLICE));
    let known = police.disk.log.len();
    let early = log.now - CLOCKS_APART_SECONDS_MAX - 1;
    let (_, commands) = police.entries(known, &log.lines[known..], early);
    let entry = log.ledger.round().unwrap().entry();
    assert_eq!(refusals(&commands), [(entry, Reason::TooSoon)]);
    assert!(police.member.round().is_none() && police.member.ledger().open_round().is_some());
    police.crash();
    assert!(police.member.round().is_none(), "the refusal outlives a restart");
    let (_, commands) = police.entries(known, &log.lines[known..], log.now + 1_000);
    assert!(commands.is_empty() && police.member.round().is_none());

    let mut punctual = restored_at(&before, node(POLICE));
    let (_, commands) = punctual.entries(known, &log.lines[known..], log.now);
    assert!(refusals(&commands).is_empty() && punctual.member.round().is_some());
}

#[test]
fn rounds_are_judged_by_what_the_log_said_before_them() {
    // One portion holds a manifest and the list that counts its round: it is not too soon after itself.
    let log = whole_round();
    let opened = Log::with_keys();
    let mut police = restored_at(&opened, node(POLICE));
    let known = police.disk.log.len();
    for line in &log.lines[known..] {
        if claims(line, node(POLICE)) {
            remember_own(&mut police, line);
        }
    }
    let (logged, commands) = police.entries(known, &log.lines[known..], log.now);
    assert_eq!(logged.len(), log.lines.len() - known);
    assert_eq!(refusals(&commands), []);
}
