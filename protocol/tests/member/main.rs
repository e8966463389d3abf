//! A member that follows the log: catching up, crashes at any commit, the outbox, checkpoints, cosigning.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod refusing;

use common::{
    BUREAU, CLINIC, COORDINATOR, HOUSING, Key, Log, MATCHING, POLICE, START, announcement, digest, federation, node,
};
use wugan_protocol::{
    engine::{Command, Fact, Offer},
    envelope::{Body, Unverified},
    file::FileKey,
    hexes::Digest,
    ledger::Logged,
    log::{checkpoint::VerifiedCheckpoint, merkle::Growing},
    member::{CHECKPOINT, CONTRADICTION, Member, RestoreError},
    message::Message,
    party::Party,
    reason::Reason,
    statement::{Receipt, Statement},
};

/// What a member persisted.
#[derive(Clone, Default)]
struct Disk {
    log: Vec<Vec<u8>>,
    own: Vec<Vec<u8>>,
    checkpoint: Option<Vec<u8>>,
}

impl Disk {
    fn commit(&mut self, commands: &[Command<()>]) {
        for command in commands {
            let Command::Commit(facts) = command else { continue };
            for fact in facts {
                if let Fact::Set(name, note) = fact {
                    match name.as_str() {
                        CHECKPOINT => self.checkpoint = Some(note.clone()),
                        name => assert_eq!(name, CONTRADICTION),
                    }
                    continue;
                }
                let (place, line, kept) = match fact {
                    Fact::Log(index, line) => (index, line, &mut self.log),
                    Fact::Own(seq, line) => (seq, line, &mut self.own),
                    other => panic!("{other:?}"),
                };
                assert_eq!(*place, kept.len() as u64, "facts are consecutive");
                kept.push(line.clone());
            }
        }
    }

    fn try_restore(&self, party: Party) -> Result<Member, RestoreError> {
        Member::restore(federation(), party, Key::signers(party), &self.log, &self.own, self.checkpoint.as_ref())
    }

    fn restore(&self, party: Party) -> Member {
        self.try_restore(party).unwrap()
    }
}

/// A member and its disk.
struct Node {
    member: Member,
    disk: Disk,
}

impl Node {
    fn new(party: Party) -> Node {
        let disk = Disk::default();
        Node { member: disk.restore(party), disk }
    }

    fn entries(&mut self, first: usize, lines: &[Vec<u8>], now: u64) -> (Vec<Logged>, Vec<Command<()>>) {
        let refused = self.member.entries(first as u64, lines.to_vec());
        if !refused.is_empty() {
            return (Vec::new(), refused);
        }
        let known = self.disk.log.len().saturating_sub(first).min(lines.len());
        let note = checkpoint(self.disk.log.iter().chain(&lines[known..]));
        let (logged, commands) = self.member.checkpoint(note, now);
        self.disk.commit(&commands);
        (logged, commands)
    }

    fn state(&mut self, statement: Statement, now: u64) -> Vec<u8> {
        let commands = self.member.state::<()>(statement, true, now);
        self.disk.commit(&commands);
        let mut lines = submitted(&commands);
        assert!(matches!(commands[0], Command::Commit(_)), "persisted before it is sent");
        lines.pop().unwrap()
    }

    fn crash(&mut self) {
        self.member = self.disk.restore(self.member.party());
    }
}

/// The log's signed tree of these entries.
fn checkpoint<'a>(lines: impl Iterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let mut tree = Growing::default();
    lines.for_each(|line| tree.push(line));
    let key = Key::log_of(COORDINATOR);
    let signed = VerifiedCheckpoint::sign(tree.tree(), &federation().origin(), key.as_ref()).unwrap();
    signed.note().to_string().into_bytes()
}

fn submitted(commands: &[Command<()>]) -> Vec<Vec<u8>> {
    let line = |command: &Command<()>| match command {
        Command::Send(to, Message::Submit { line }) => {
            assert_eq!(to, &[COORDINATOR]);
            Some(line.clone())
        }
        _ => None,
    };
    commands.iter().filter_map(line).collect()
}

fn statement(line: &[u8]) -> Statement {
    let party = node(POLICE);
    let key = wugan_protocol::envelope::Signer::public_key(Key::of(party).as_ref());
    Unverified::read(line).unwrap().verify(&key).unwrap().body().statement.clone()
}

fn refusals(commands: &[Command<()>]) -> Vec<(Digest, Reason)> {
    let refusal = |line: Vec<u8>| match statement(&line) {
        Statement::Refusal { entry, reason } => Some((entry, reason)),
        _ => None,
    };
    submitted(commands).into_iter().filter_map(refusal).collect()
}

fn stops(commands: &[Command<()>]) -> bool {
    commands.iter().any(|command| matches!(command, Command::Stop(_)))
}

fn whole_round() -> Log {
    let mut log = Log::listed();
    log.finish();
    log
}

#[test]
fn a_member_catches_up_from_any_index_in_any_portions() {
    let log = whole_round();
    let clinic = node(CLINIC);
    let housekeeping = |node: &Node| (node.disk.log.clone(), format!("{:?}", node.member.ledger()));
    let own: Vec<Vec<u8>> = log.lines.iter().filter(|line| claims(line, clinic)).cloned().collect();
    for portion in [1, 2, 7, log.lines.len()] {
        let mut node = Node::new(clinic);
        own.iter().for_each(|line| remember_own(&mut node, line));
        for (i, lines) in log.lines.chunks(portion).enumerate() {
            let (logged, commands) = node.entries(i * portion, lines, log.now);
            assert_eq!(logged.len(), lines.len());
            assert!(!stops(&commands) && refusals_of(&commands) == 0);
        }
        assert_eq!(housekeeping(&node), (log.lines.clone(), format!("{:?}", log.ledger)));
    }
}

fn refusals_of(commands: &[Command<()>]) -> usize {
    let refusal = |line: &Vec<u8>| String::from_utf8_lossy(line).contains(r#""type":"refusal""#);
    submitted(commands).iter().filter(|line| refusal(line)).count()
}

fn claims(line: &[u8], party: Party) -> bool {
    Unverified::read(line).unwrap().claimed() == (federation().policy().member_id(party.member), party.role)
}

/// The member made this entry itself, at some time before.
fn remember_own(node: &mut Node, line: &[u8]) {
    node.disk.own.push(line.to_vec());
    node.crash();
}

#[test]
fn repeated_and_overlapping_entries_change_nothing() {
    let log = Log::new();
    let (mut node, all) = (Node::new(node(POLICE)), Log::with_keys());
    let mut lines = log.lines.clone();
    lines.extend(all.lines.iter().filter(|line| claims(line, common::node(BUREAU))).cloned());
    node.entries(0, &lines, START);
    let before = format!("{:?}", node.member.ledger());
    for first in 0..2 {
        let (logged, commands) = node.entries(first, &lines[first..], START);
        assert!(logged.is_empty() && commands.is_empty());
    }
    let (logged, commands) = node.entries(0, &[], START);
    assert!(logged.is_empty() && commands.is_empty());
    assert_eq!(format!("{:?}", node.member.ledger()), before);
    // Half of it is new.
    let mut next = Log { ledger: node.member.ledger().clone(), lines, now: START };
    next.say(common::node(HOUSING), next.key_epoch(HOUSING, 1, HOUSING)).unwrap();
    let (logged, _) = node.entries(1, &next.lines[1..], START);
    assert_eq!(logged.len(), 1);
    assert_eq!(node.disk.log, next.lines);
}

#[test]
fn a_gap_or_an_entry_that_cannot_follow_cuts_the_connection() {
    let log = Log::with_keys();
    let mut node = Node::new(node(MATCHING.member - 1));
    let blamed = |commands: &[Command<()>], reason| matches!(commands.last(), Some(Command::Disconnect(COORDINATOR, why)) if *why == reason);
    let (logged, commands) = node.entries(1, &log.lines[1..], START);
    assert!(logged.is_empty() && commands.len() == 1 && blamed(&commands, Reason::OutOfSequence));
    let (_, commands) = node.entries(0, &log.lines[1..], START);
    assert!(blamed(&commands, Reason::OtherFederation));
    // What came before the bad entry is kept.
    let mut lines = log.lines[..3].to_vec();
    lines.push(b"{}".to_vec());
    let (logged, commands) = node.entries(0, &lines, START);
    assert!(logged.len() == 3 && matches!(commands[0], Command::Commit(_)) && blamed(&commands, Reason::Malformed));
    assert_eq!(node.disk.log, log.lines[..3]);
    node.crash();
    assert_eq!(node.member.ledger().entries(), 3);
}

#[test]
fn the_outbox_is_sent_again_until_the_log_shows_it() {
    let mut log = Log::opened();
    let party = node(POLICE);
    let mut node = restored_at(&log, party);
    let pools = [0, 1].map(|group| announcement(FileKey::Pool { channel: 3, group }));
    let lines = pools.map(|pool| node.state(pool, START + 1));
    let expected = |node: &mut Node, left: &[Vec<u8>]| {
        let commands = node.member.up::<()>();
        assert!(
            matches!(&commands[0], Command::Send(_, Message::Follow { entries }) if *entries == node.disk.log.len() as u64)
        );
        assert_eq!(submitted(&commands), left);
        assert!(node.member.connected());
        node.member.down();
        assert!(!node.member.connected());
    };
    expected(&mut node, &lines);
    node.crash();
    expected(&mut node, &lines);
    log.append(lines[0].clone()).unwrap();
    let known = node.disk.log.len();
    node.entries(known, &log.lines[known..], START + 2);
    expected(&mut node, &lines[1..]);
    node.crash();
    expected(&mut node, &lines[1..]);
    let file = FileKey::Pool { channel: 3, group: 1 };
    let round = log.ledger.round().unwrap().hash();
    assert_eq!(node.member.announced(round, file), Some(&lines[1]));
    assert!(node.member.own_announcement(wugan_protocol::hexes::sha256(&lines[1])).is_some());
    assert!(node.member.own_announcement(digest("other")).is_none());
    assert_eq!(node.member.announced(digest("other"), file), None);
    log.append(lines[1].clone()).unwrap();
    node.entries(known + 1, &log.lines[known + 1..], START + 2);
    expected(&mut node, &[]);
}

/// A member that holds all of a log and its own entries in it.
fn restored_at(log: &Log, party: Party) -> Node {
    let own = log.lines[1..].iter().filter(|line| claims(line, party)).cloned().collect();
    let disk = Disk { checkpoint: Some(checkpoint(log.lines.iter())), log: log.lines.clone(), own };
    Node { member: disk.restore(party), disk }
}

#[test]
fn a_crash_at_any_commit_loses_nothing_and_repeats_nothing() {
    // The police state their key and pools; the log is delivered entry by entry; after each commit the power fails.
    let party = node(POLICE);
    let mut log = Log::new();
    let mut police = Node::new(party);
    let mut made: Vec<Vec<u8>> = Vec::new();
    let deliver = |log: &Log, police: &mut Node| {
        while police.disk.log.len() < log.lines.len() {
            let next = police.disk.log.len();
            let (_, commands) = police.entries(next, &log.lines[next..=next], log.now);
            assert!(!stops(&commands));
            police.crash();
            assert_eq!(police.member.ledger().entries(), next as u64 + 1);
        }
    };
    deliver(&log, &mut police);
    made.push(police.state(log.key_epoch(POLICE, 1, POLICE), START));
    police.crash();
    // The key is resubmitted after the restart, in the same bytes.
    assert_eq!(submitted(&police.member.up()), made);
    log.append(made[0].clone()).unwrap();
    for source in (BUREAU..common::MATCHER).filter(|source| *source != POLICE) {
        log.say(node(source), log.key_epoch(source, 1, source)).unwrap();
    }
    log.open("2026-11").unwrap();
    deliver(&log, &mut police);
    for group in 0..2 {
        made.push(police.state(announcement(FileKey::Pool { channel: 3, group }), START + 1));
        police.crash();
    }
    assert_eq!(submitted(&police.member.up()), made[1..]);
    for line in &made[1..] {
        log.append(line.clone()).unwrap();
    }
    log.say(MATCHING, Statement::Receipt(Receipt::Pools { channel: 3 })).unwrap();
    deliver(&log, &mut police);
    assert!(submitted(&police.member.up()).is_empty());
    assert_eq!(police.disk.own, made);
    assert_eq!(format!("{:?}", police.member.ledger()), format!("{:?}", log.ledger));
}

#[test]
fn a_member_set_back_to_an_older_copy_stops_and_stays_stopped() {
    let mut log = Log::opened();
    let party = node(POLICE);
    let mut police = restored_at(&log, party);
    let older = police.disk.clone();
    let made = police.state(announcement(FileKey::Pool { channel: 3, group: 0 }), START);
    log.append(made).unwrap();
    log.say(MATCHING, Statement::Receipt(Receipt::Pools { channel: 9 })).unwrap_err();

    let mut set_back = Node { member: older.restore(party), disk: older };
    let known = set_back.disk.log.len();
    let (logged, commands) = set_back.entries(known, &log.lines[known..], START);
    assert!(stops(&commands) && logged.is_empty());
    assert!(submitted(&commands).is_empty(), "nothing is signed any more");
    let Err(error) = set_back.disk.try_restore(party) else { panic!("it would sign a second history") };
    assert!(matches!(error, RestoreError::SetBack));
    assert!(error.to_string().contains("put the latest state back"));
    // With its latest entries it goes on.
    set_back.disk.own = police.disk.own.clone();
    set_back.disk.restore(party);
}

#[test]
fn a_member_that_made_another_entry_in_the_same_place_stops() {
    let mut log = Log::opened();
    let party = node(POLICE);
    let mut police = restored_at(&log, party);
    let known = police.disk.log.len();
    police.state(announcement(FileKey::Pool { channel: 3, group: 0 }), START);
    log.announce(party, FileKey::Pool { channel: 3, group: 1 }).unwrap();
    let (_, commands) = police.entries(known, &log.lines[known..], START);
    assert!(stops(&commands));
    assert!(matches!(police.disk.try_restore(party), Err(RestoreError::SetBack)));
}

#[test]
fn stored_state_of_somebody_else_or_out_of_order_is_refused() {
    let log = Log::opened();
    let police = restored_at(&log, node(POLICE));
    let mut disk = police.disk.clone();
    assert!(matches!(disk.try_restore(node(HOUSING)), Err(RestoreError::Own)));
    disk.own.push(disk.own[0].clone());
    assert!(matches!(disk.try_restore(node(POLICE)), Err(RestoreError::Own)));
    disk.own = vec![b"{}".to_vec()];
    assert!(matches!(disk.try_restore(node(POLICE)), Err(RestoreError::Own)));
    let mut disk = police.disk.clone();
    disk.log.remove(3);
    disk.checkpoint = None;
    let error = disk.try_restore(node(BUREAU)).err().unwrap();
    assert!(matches!(error, RestoreError::Log { .. } | RestoreError::Own), "{error}");
    let mut disk = police.disk;
    disk.log[0] = b"{}".to_vec();
    let error = disk.try_restore(node(POLICE)).err().unwrap();
    assert!(matches!(error, RestoreError::Log { index: 0, reason: Reason::OtherFederation }));
}

#[test]
fn an_offer_needs_the_senders_own_announcement_of_these_bytes() {
    let log = Log::opened();
    let member = restored_at(&log, MATCHING).member;
    let file = FileKey::Pool { channel: 3, group: 0 };
    let signed = log.signed(node(POLICE), announcement(file), true);
    let good = Offer { ticket: 1, from: node(POLICE), line: signed.bytes().to_vec(), digest: digest(&file.name()) };
    let (round, announced) = member.announced_file(&good).unwrap();
    assert_eq!((round, announced.file, announced.count), (log.ledger.round().unwrap().hash(), file, 256));
    let refused = |offer: Offer| member.announced_file(&offer).unwrap_err();
    assert_eq!(refused(Offer { digest: digest("other"), ..good.clone() }), Reason::DigestDiffers);
    assert_eq!(refused(Offer { from: node(HOUSING), ..good.clone() }), Reason::NotAnnounced);
    assert_eq!(refused(Offer { from: node(99), ..good.clone() }), Reason::NotMember);
    assert_eq!(refused(Offer { line: b"{}".to_vec(), ..good.clone() }), Reason::Malformed);
    let receipt = log.signed(node(POLICE), Statement::Receipt(Receipt::Decisions {}), true);
    assert_eq!(refused(Offer { line: receipt.bytes().to_vec(), ..good.clone() }), Reason::NotAnnounced);
    let outside = log.signed(node(POLICE), announcement(file), false);
    assert_eq!(refused(Offer { line: outside.bytes().to_vec(), ..good.clone() }), Reason::OtherRound);
    let by_another = signed.body().clone().sign(Key::of(node(HOUSING)).as_ref()).unwrap();
    assert_eq!(refused(Offer { line: by_another.bytes().to_vec(), ..good.clone() }), Reason::BadSignature);
    let Body { mut head, statement } = signed.body().clone();
    head.federation = Some(digest("other"));
    let elsewhere = Body { head, statement }.sign(Key::of(node(POLICE)).as_ref()).unwrap();
    assert_eq!(refused(Offer { line: elsewhere.bytes().to_vec(), ..good }), Reason::OtherFederation);
}

#[test]
fn entries_count_only_under_a_checkpoint_of_exactly_these() {
    let log = Log::with_keys();
    let mut node = Node::new(MATCHING);
    let good = checkpoint(log.lines.iter());
    let mut other = log.lines.clone();
    other.swap(1, 2);
    let unsigned = String::from_utf8(good.clone()).unwrap().replace("wugan/", "other/").into_bytes();
    let wrong = [
        (checkpoint(other.iter()), Reason::TreeDiffers),
        (unsigned, Reason::BadSignature),
        (checkpoint(other.iter().chain([&other[0]])), Reason::OutOfSequence),
    ];
    for (note, reason) in wrong {
        assert!(node.member.entries::<()>(0, log.lines.clone()).is_empty());
        assert_eq!(node.member.ledger().entries(), 0, "nothing counts before a checkpoint");
        let (logged, commands) = node.member.checkpoint::<()>(note, START);
        assert!(logged.is_empty());
        assert!(matches!(commands.last(), Some(Command::Disconnect(COORDINATOR, why)) if *why == reason), "{reason}");
        // A signed tree of other entries is evidence.
        let kept = |fact: &Fact| matches!(fact, Fact::Set(name, _) if name == CONTRADICTION);
        let evidence = matches!(commands.first(), Some(Command::Commit(facts)) if facts.iter().all(kept));
        assert_eq!(evidence, reason == Reason::TreeDiffers);
        node.member.up::<()>();
    }
    assert!(node.member.entries::<()>(0, log.lines.clone()).is_empty());
    let (logged, commands) = node.member.checkpoint::<()>(good.clone(), START);
    assert_eq!(logged.len(), log.lines.len());
    node.disk.commit(&commands);
    assert_eq!(node.disk.checkpoint, Some(good));
    // An older tree, though once signed, is not gone back to.
    let (_, commands) = node.member.checkpoint::<()>(checkpoint(log.lines[..2].iter()), START);
    assert!(matches!(commands[..], [Command::Disconnect(COORDINATOR, Reason::OutOfSequence)]));
    node.crash();
    node.disk.log.pop();
    assert!(matches!(node.disk.try_restore(MATCHING), Err(RestoreError::Checkpoint)));
}

#[test]
fn a_round_end_is_cosigned_once_all_own_entries_are_in_the_log() {
    let mut log = Log::listed();
    let mut police = restored_at(&log, node(POLICE));
    let own = police.state(Statement::Failure { channel: None, reason: Reason::Unreadable }, log.now);
    log.finish();
    let closed = log.ledger.closed().unwrap().tree;
    assert_eq!(closed.size, log.lines.len() as u64);
    let known = police.disk.log.len();
    let (_, commands) = police.entries(known, &log.lines[known..], log.now);
    let cosignatures = |commands: &[Command<()>]| {
        let lines = submitted(commands).into_iter();
        lines.filter(|line| matches!(statement(line), Statement::Cosignature(_))).collect::<Vec<_>>()
    };
    assert!(cosignatures(&commands).is_empty(), "an entry of its own is not in the log");
    assert!(log.append(own).is_err(), "it came too late to have an effect, and is in the log");
    let (_, commands) = police.entries(log.lines.len() - 1, &log.lines[log.lines.len() - 1..], log.now);
    let [line] = &cosignatures(&commands)[..] else { panic!("no cosignature") };
    let Statement::Cosignature(signed) = statement(line) else { unreachable!() };
    assert_eq!(signed.size, closed.size, "the tree at the round's end, not the present one");
    log.append(line.clone()).unwrap();
    assert!(log.ledger.closed().unwrap().cosigned.contains_key(&node(POLICE)));
    let (_, commands) = police.entries(log.lines.len() - 1, &log.lines[log.lines.len() - 1..], log.now);
    assert!(submitted(&commands).is_empty(), "once");
    police.crash();
    let (_, commands) = police.entries(log.lines.len(), &[], log.now);
    assert!(submitted(&commands).is_empty(), "also after a restart");
}

#[test]
fn entries_without_a_checkpoint_are_not_taken_for_ever() {
    let mut node = Node::new(MATCHING);
    let line = vec![0; 65_000];
    let (mut taken, mut first) = (0, 0);
    loop {
        let commands = node.member.entries::<()>(first, vec![line.clone(); 16]);
        first += 16;
        if !commands.is_empty() {
            assert!(matches!(commands[..], [Command::Disconnect(COORDINATOR, Reason::OutOfSequence)]));
            break;
        }
        taken += 16 * line.len();
        assert!(taken <= 256 << 20);
    }
    node.member.up::<()>();
    assert!(node.member.entries::<()>(0, vec![line]).is_empty(), "a new connection begins anew");
}
