//! Versions of the federation manifest: which may follow which, what they change in a log, and how a member goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{
    BUREAU, CATALOGUE, CLINIC, COORDINATOR, HOUSING, Key, Log, MATCHER, MATCHING, POLICE, START, authority_head, batch,
    digest, evaluation, federation, manifest, node, sign_manifest_with, totals,
};
use wugan_protocol::{
    engine::{Command, Fact, Input, Stop},
    envelope::{Body, Head, Signed, Signer, Signers, Unverified},
    hexes::Hex,
    ledger::Ledger,
    log::{checkpoint::VerifiedCheckpoint, cosignature::sign_tree, merkle::Growing},
    manifest::{Federation, FederationError, Versions},
    member::{CHECKPOINT, Member},
    message::Message,
    party::{Party, Role},
    policy::Policy,
    reason::Reason,
    statement::{Cosignature, FederationManifest, Kept, Receipt, Statement},
};

/// Another department comes last, so the matcher's number is another one.
const JOINED: &str = "\n[[department]]\nid = \"tourism\"\nname_zh = \"\"\nname_en = \"\"\nroster_owner = false\n";

fn policy(text: &str) -> Arc<Policy> {
    Arc::new(Policy::read(text.as_bytes()).unwrap())
}

fn joined() -> Arc<Policy> {
    policy(&[CATALOGUE, JOINED].concat())
}

fn police() -> Arc<Key> {
    Arc::new(Key::new([0xBB; 32]))
}

/// The manifest of the version after the first, in which the police has another identity.
fn next(policy: &Policy) -> (Head, FederationManifest) {
    let first = federation();
    let mut manifest = manifest(policy);
    manifest.version = 2;
    manifest.previous = first.hash().to_string();
    manifest.quorum = 5;
    // The matcher keeps its keys, whatever its number.
    let matcher = first.manifest().members.last().unwrap().clone();
    *manifest.members.last_mut().unwrap() = matcher;
    manifest.members[usize::from(POLICE)].roles[0].key = Hex(police().public_key());
    let head = Head { seq: 1, prev: Some(first.signed().hash()), time: START, ..authority_head() };
    (head, manifest)
}

fn second() -> (Signed, Arc<Policy>) {
    let policy = joined();
    let (head, manifest) = next(&policy);
    (sign_manifest_with(head, manifest), policy)
}

fn both() -> Versions {
    let (signed, policy) = second();
    let mut versions = Versions::from(federation());
    versions.push(signed.bytes(), policy).unwrap();
    versions
}

#[test]
fn only_the_next_version_follows_and_it_keeps_what_a_log_rests_on() {
    let first = federation();
    let follows = |policy: Arc<Policy>, change: &dyn Fn(&mut Head, &mut FederationManifest)| {
        let (mut head, mut manifest) = next(&policy);
        change(&mut head, &mut manifest);
        first.next(sign_manifest_with(head, manifest).bytes(), policy)
    };
    let good = follows(joined(), &|_, _| {}).unwrap();
    assert_eq!((good.version(), good.origin()), (2, first.origin()));
    assert_ne!(good.hash(), first.hash());
    let fails = |change: &dyn Fn(&mut Head, &mut FederationManifest)| follows(joined(), change).unwrap_err();
    let not_next = |version| FederationError::NotNext { version, follows: 1 };
    assert_eq!(fails(&|_, next| next.previous = digest("another").to_string()), not_next(2));
    assert_eq!(fails(&|head, _| head.prev = Some(digest("another"))), not_next(2));
    assert_eq!(fails(&|head, next| (head.seq, next.version) = (2, 3)), not_next(3));
    assert_eq!(first.next(first.signed().bytes(), first.policy().clone()).unwrap_err(), not_next(1));
    let log_key = Hex(Key::new([9; 32]).public_key());
    assert_eq!(fails(&|_, next| next.members[0].roles[1].log = log_key), FederationError::OtherServers);
    // Departments exchange their places in the catalogue.
    let exchanged =
        CATALOGUE.replace("\"clinic\"", "\"-\"").replace("\"police\"", "\"clinic\"").replace("\"-\"", "\"police\"");
    let exchanged = follows(policy(&exchanged), &|_, _| {}).unwrap_err();
    assert_eq!(exchanged, FederationError::Renumbered("police".into()));
}

#[test]
fn a_department_that_left_has_its_number_and_nothing_else() {
    let left = |text: &str| {
        Policy::read(text.replacen("roster_owner = false", "roster_owner = false\nleft = true", 1).as_bytes())
    };
    let refused = left(CATALOGUE).unwrap_err().to_string();
    assert!(refused.contains("has left"), "it has channels: {refused}");
    let gone = left(&[JOINED, CATALOGUE].concat()).unwrap();
    let manifest = manifest(&gone);
    assert!(manifest.members[0].roles.is_empty() && manifest.members[1].roles.len() == 2);
    let signed = sign_manifest_with(authority_head(), manifest.clone());
    let verify = |line: &[u8]| Federation::verify(line, &Key::authority().public_key(), Arc::new(gone.clone()));
    assert!(verify(signed.bytes()).unwrap().party("tourism", Role::Node).is_none());
    // Who has left does not cosign.
    let signed = sign_manifest_with(authority_head(), FederationManifest { quorum: 6, ..manifest });
    assert_eq!(verify(signed.bytes()).unwrap_err(), FederationError::Quorum(6));
}

/// The log after a round, whose reader knows both versions.
fn after_a_round() -> Log {
    let mut log = Log::listed();
    log.finish();
    read_with(both(), &log)
}

fn read_with(versions: Versions, log: &Log) -> Log {
    let mut read = Log { ledger: Ledger::new(versions), lines: Vec::new(), now: log.now };
    for line in &log.lines {
        read.append(line.clone()).unwrap();
    }
    read
}

#[test]
fn a_version_comes_between_rounds_once_and_only_where_it_is_confirmed() {
    let line = second().0.bytes().to_vec();
    let mut log = after_a_round();
    let first = federation();
    let unread = read_with(Versions::from(first.clone()), &log);
    assert_eq!(unread.ledger.admit(&line).err(), Some(Reason::Unconfirmed));
    let forged = Body { head: second().0.body().head.clone(), statement: second().0.body().statement.clone() };
    let forged = forged.sign(Key::of(COORDINATOR).as_ref()).unwrap();
    assert_eq!(log.ledger.admit(forged.bytes()).err(), Some(Reason::BadSignature));
    let mut open = read_with(both(), &log);
    open.now += 30 * 86_400;
    open.open("2026-12").unwrap();
    assert_eq!(open.ledger.admit(&line).err(), Some(Reason::BeforeItsTime), "a round is open");
    log.append(line.clone()).unwrap();
    assert_eq!(log.ledger.federation().version(), 2);
    assert_eq!(log.ledger.admit(&line).err(), Some(Reason::OtherFederation), "once");
    assert_eq!(log.ledger.admit(first.signed().bytes()).err(), Some(Reason::OtherFederation), "nobody goes back");
    let round = log.ledger.round().unwrap().hash();
    assert_eq!(log.ledger.federation_of(round).unwrap().version(), 1);
    assert_eq!(log.ledger.past_round(round).unwrap().policy.hash, first.policy().hash);
}

#[test]
fn what_was_under_way_counts_if_its_signer_has_the_same_key() {
    let mut log = after_a_round();
    let receipt = Statement::Receipt(Receipt::Decisions {});
    let [housing, police_, round] = [
        log.signed(node(HOUSING), receipt, true),
        log.signed(node(POLICE), batch(0, 256, &[]), false),
        log.signed(COORDINATOR, log.manifest("2026-12"), false),
    ];
    log.append(second().0.bytes().to_vec()).unwrap();
    assert_eq!(log.append(housing.bytes().to_vec()), Ok(()), "a receipt of the round before");
    assert_eq!(log.ledger.admit(police_.bytes()).err(), Some(Reason::BadSignature), "by a former key");
    assert_eq!(log.append(round.bytes().to_vec()), Err(Reason::OtherFederation), "a round is of the version in force");
    let refusal = Statement::Refusal { entry: digest("e"), reason: Reason::Malformed };
    let now_named = log.signed(node(CLINIC), refusal.clone(), false);
    log.append(now_named.bytes().to_vec()).unwrap();
    let Body { mut head, statement } = log.signed(node(CLINIC), refusal, false).body().clone();
    head.federation = Some(federation().hash());
    let back = Body { head, statement }.sign(Key::of(node(CLINIC)).as_ref()).unwrap();
    assert_eq!(log.ledger.admit(back.bytes()).err(), Some(Reason::OtherFederation), "nobody goes back");
    let Body { mut head, statement } = police_.body().clone();
    let old = Body { head: head.clone(), statement: statement.clone() }.sign(police().as_ref()).unwrap();
    assert_eq!(log.ledger.admit(old.bytes()).err(), Some(Reason::OtherFederation), "a new key under the old version");
    head.federation = Some(log.ledger.federation().hash());
    let new = Body { head, statement }.sign(police().as_ref()).unwrap();
    assert!(log.ledger.admit(new.bytes()).is_ok(), "it goes on in the same sequence");
}

#[test]
fn rounds_batches_and_cosignatures_go_on_under_the_next_version() {
    let mut log = after_a_round();
    let sources = [common::POLICE_FIRST];
    log.say(node(HOUSING), batch(0, 256, &sources)).unwrap();
    let proofs = log.ledger.batch(HOUSING, 0).unwrap().federation;
    log.append(second().0.bytes().to_vec()).unwrap();
    assert_eq!((proofs, log.ledger.batch(HOUSING, 0).unwrap().federation), (federation().hash(), proofs));
    let answer = Statement::Evaluation(evaluation(&log, HOUSING, 0, 1));
    let head = log.ledger.head(node(POLICE), log.ledger.place(node(POLICE)), false, log.now);
    log.append(Body { head, statement: answer }.sign(police().as_ref()).unwrap().bytes().to_vec()).unwrap();
    let matcher = Party { member: MATCHER + 1, role: Role::Matcher };
    assert_eq!(log.ledger.federation().matcher(), matcher);
    assert_eq!(log.ledger.place(matcher).seq, log.ledger.place(matcher).seq.max(1), "its sequence goes on");
    assert_eq!(log.ledger.closed().unwrap().quorum, 4, "of the version under which the round was closed");
    let deletion = log.ledger.head(matcher, log.ledger.place(matcher), true, START + 50 * 86_400);
    let deletion = Body { head: deletion, statement: Statement::Deletion { of: Kept::Files } };
    log.append(deletion.sign(Key::of(MATCHING).as_ref()).unwrap().bytes().to_vec()).unwrap();
    log.now = START + 60 * 86_400;
    log.open("2026-12").unwrap();
    assert_eq!(log.ledger.round().unwrap().manifest().matcher, matcher.member);
    assert!(matches!(totals(BUREAU), Statement::Decisions(_)));
}

/// A member that holds this log and these entries of its own.
fn member(versions: Versions, party: Party, signers: Signers, log: &Log, own: &[Vec<u8>]) -> Member {
    Member::restore(versions, party, signers, &log.lines, own, None).unwrap()
}

/// The signed tree of a log with one more line, shown to a member.
fn show(member: &mut Member, log: &Log, line: &[u8]) -> Vec<Command<()>> {
    let mut tree = Growing::default();
    log.lines.iter().map(Vec::as_slice).chain([line]).for_each(|line| tree.push(line));
    let key = Key::log_of(COORDINATOR);
    let note = VerifiedCheckpoint::sign(tree.tree(), &federation().origin(), key.as_ref()).unwrap().note().to_string();
    member.entries::<()>(log.lines.len() as u64, vec![line.to_vec()]);
    member.checkpoint(note.into_bytes(), log.now).1
}

#[test]
fn a_member_begins_again_with_a_confirmed_version_and_stops_before_another() {
    let (log, line) = (after_a_round(), second().0.bytes().to_vec());
    let own = log.lines.iter().filter(|line| String::from_utf8_lossy(line).contains("\"sender\":\"clinic\""));
    let own: Vec<Vec<u8>> = own.cloned().collect();
    let signers = || Key::signers(node(CLINIC));
    let mut unready = member(Versions::from(federation()), node(CLINIC), signers(), &log, &own);
    let commands = show(&mut unready, &log, &line);
    assert!(matches!(commands[..], [Command::Stop(Stop::Unconfirmed { version: 2 })]), "{commands:?}");
    let mut ready = member(both(), node(CLINIC), signers(), &log, &own);
    let commands = show(&mut ready, &log, &line);
    let [Command::Commit(facts), Command::Restart] = &commands[..] else { panic!("{commands:?}") };
    let [Fact::Log(index, logged), Fact::Set(name, _)] = &facts[..] else { panic!("{facts:?}") };
    assert_eq!((*index, logged, name.as_str()), (log.lines.len() as u64, &line, CHECKPOINT));
    let mut lines = log.clone();
    lines.lines.push(line);
    let again = member(both(), node(CLINIC), signers(), &lines, &own);
    assert!(again.is_listed() && again.federation().version() == 2);
}

/// What a member stated with the police's new key.
fn stated(commands: &[Command<()>]) -> Vec<Statement> {
    let submitted = commands.iter().filter_map(|command| match command {
        Command::Send(_, Message::Submit { line }) => Some(line),
        _ => None,
    });
    let read = |line: &Vec<u8>| Unverified::read(line).unwrap().verify(&police().public_key()).unwrap();
    submitted.map(|line| read(line).body().statement.clone()).collect()
}

#[test]
fn state_that_was_lost_with_the_former_key_is_no_reason_to_stop() {
    let mut log = after_a_round();
    let signers = || Signers { identity: police(), log: Key::log_of(node(POLICE)) };
    let restore = |log: &Log, signers| Member::restore(both(), node(POLICE), signers, &log.lines, &[], None);
    assert!(restore(&log, Key::signers(node(POLICE))).is_err(), "the same key may have signed more");
    log.append(second().0.bytes().to_vec()).unwrap();
    let mut fresh = Member::restore(both(), node(POLICE), signers(), &[], &[], None).unwrap();
    let (first, rest) = (Log { lines: Vec::new(), ..log.clone() }, &log.lines);
    fresh.entries::<()>(0, rest[..rest.len() - 2].to_vec());
    let before = Log { lines: rest[..rest.len() - 2].to_vec(), ..first };
    let commands = show(&mut fresh, &before, &rest[rest.len() - 2]);
    assert!(!commands.iter().any(|command| matches!(command, Command::Stop(_))), "{commands:?}");
    let mut again = restore(&log, signers()).unwrap();
    let refusal = Statement::Refusal { entry: digest("e"), reason: Reason::Malformed };
    let commands = again.state::<()>(refusal, false, log.now);
    let Some(Command::Commit(facts)) = commands.first() else { panic!("{commands:?}") };
    let Some(Fact::Own(_, line)) = facts.first() else { panic!("{facts:?}") };
    assert!(log.ledger.admit(line).is_ok(), "it goes on in its sequence");
}

#[test]
fn a_rounds_end_is_cosigned_by_those_who_were_members_then_and_once() {
    let mut log = after_a_round();
    let (end, origin) = (log.ledger.closed().unwrap().tree, federation().origin());
    log.append(second().0.bytes().to_vec()).unwrap();
    let joined = log.ledger.federation().party("tourism", Role::Node).unwrap();
    let matcher = log.ledger.federation().matcher();
    assert!(log.ledger.cosigner("tourism", Role::Node).is_none());
    let mut cosign = |party: Party, identity: &Key, tree_key: &Key| {
        let head = log.ledger.head(party, log.ledger.place(party), false, log.now);
        let signature = Hex(sign_tree(end, &origin, tree_key, log.now));
        let body = Body { head, statement: Statement::Cosignature(Cosignature { size: end.size, signature }) };
        log.append(body.sign(identity).unwrap().bytes().to_vec())
    };
    assert_eq!(cosign(joined, &Key::of(joined), &Key::log_of(joined)), Err(Reason::NotAllowed));
    assert_eq!(cosign(matcher, &Key::of(MATCHING), &Key::log_of(MATCHING)), Ok(()));
    assert_eq!(cosign(matcher, &Key::of(MATCHING), &Key::log_of(MATCHING)), Err(Reason::Repeated));
    assert_eq!(log.ledger.closed().unwrap().cosigned.keys().collect::<Vec<_>>(), [&MATCHING], "by the numbers of then");
}

#[test]
fn a_member_with_a_new_identity_only_follows_until_it_is_listed() {
    let (mut log, line) = (after_a_round(), second().0.bytes().to_vec());
    let logged = log.lines.iter().filter(|line| String::from_utf8_lossy(line).contains("\"sender\":\"police\""));
    let mut own: Vec<Vec<u8>> = logged.cloned().collect();
    // The old key signed one more entry, which never reached the log.
    own.push(log.signed(node(POLICE), Statement::Receipt(Receipt::Decisions {}), true).bytes().to_vec());
    let signers = || Signers { identity: police(), log: Key::log_of(node(POLICE)) };
    let mut early = member(both(), node(POLICE), signers(), &log, &own);
    assert!(!early.is_listed());
    let commands = early.follow::<(), ()>(Input::Up(COORDINATOR), log.now);
    assert!(matches!(&commands[..], [Command::Send(_, Message::Follow { .. })]), "it submits nothing: {commands:?}");
    assert!(early.follow::<(), ()>(Input::Tick, log.now).is_empty());
    log.append(line).unwrap();
    let mut listed = member(both(), node(POLICE), signers(), &log, &own);
    assert!(listed.is_listed());
    let commands = listed.up::<()>();
    assert_eq!(commands.len(), 1, "nobody may append what only the former key signed: {commands:?}");
    assert!(listed.is_under_way(&Statement::Receipt(Receipt::Decisions {})), "so it is stated again");
    let next = log.signed(node(HOUSING), Statement::Receipt(Receipt::Decisions {}), true);
    let restated: Vec<Statement> = stated(&show(&mut listed, &log, next.bytes()));
    assert_eq!(restated, [Statement::Receipt(Receipt::Decisions {})]);
    let mut listed = member(both(), node(POLICE), signers(), &log, &own);
    let commands =
        listed.state::<()>(Statement::Refusal { entry: digest("e"), reason: Reason::Malformed }, false, log.now);
    let Some(Command::Commit(facts)) = commands.first() else { panic!("{commands:?}") };
    let Some(Fact::Own(_, line)) = facts.first() else { panic!("{facts:?}") };
    assert!(log.ledger.admit(line).is_ok());
}
