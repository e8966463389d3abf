use wugan_protocol::{
    engine::{Command, Input, Severity},
    envelope::Unverified,
    file::FileKey,
    hexes::Hex,
    message::Message,
    party::{Party, Role},
    reason::Reason,
    statement::{Announcement, Receipt, Statement},
};

use crate::{
    Job,
    round::node,
    testing::{Rig, entries},
};

fn disconnected(commands: &[Command<Job>]) -> Option<(Party, Reason)> {
    commands.iter().find_map(|command| match command {
        Command::Disconnect(party, reason) => Some((*party, *reason)),
        _ => None,
    })
}

#[test]
fn a_member_catches_up_and_then_gets_every_entry_once() {
    let mut rig = Rig::new();
    let tax = node(rig.member("tax"));
    rig.feed(Input::Up(tax));
    rig.open("2026-11");
    let commands = rig.feed(Input::Message(tax, Message::Follow { entries: 3 }));
    assert!(matches!(commands[0], Command::SendLog(party, 3) if party == tax));
    assert!(entries(&commands).is_empty());
    let known = rig.log.len() as u64;
    let channel = rig.ledger.open_round().unwrap().manifest().channels[0].clone();
    let commands = rig.pool(&channel);
    assert!(matches!(commands[0], Command::Commit(_)), "durable before it is told");
    let sent = entries(&commands);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, [tax]);
    assert_eq!(sent[0].1, rig.log.len() as u64 - 1);
    assert!(sent[0].1 > known);
    rig.feed(Input::Down(tax));
    let next = rig.ledger.open_round().unwrap().manifest().channels[1].clone();
    assert!(entries(&rig.pool(&next)).is_empty());
}

#[test]
fn a_follower_whose_arrival_lets_the_coordinator_go_on_is_told_in_order() {
    let mut rig = Rig::new();
    rig.open("2026-11");
    rig.pools_without(&[]);
    rig.restart();
    rig.now += 100;
    let tax = node(rig.member("tax"));
    rig.tick();
    assert!(rig.ledger.open_round().unwrap().pools_closed().is_none(), "nobody has confirmed the log yet");
    let held = rig.log.len() as u64;
    let commands = rig.feed(Input::Message(tax, Message::Follow { entries: 0 }));
    assert!(matches!(commands[0], Command::SendLog(party, 0) if party == tax));
    let commit = commands.iter().position(|command| matches!(command, Command::Commit(_))).unwrap();
    assert!(commit > 0);
    assert_eq!(entries(&commands)[0].1, held);
    assert!(rig.ledger.open_round().unwrap().pools_closed().is_some());
}

#[test]
fn a_log_that_was_set_back_stops_the_coordinator_but_not_at_the_word_of_one() {
    let mut rig = Rig::new();
    let tax = node(rig.member("tax"));
    let entries = rig.log.len() as u64 + 1;
    let commands = rig.feed(Input::Message(tax, Message::Follow { entries }));
    assert!(matches!(&commands[0], Command::Tell(Severity::Warn, text) if text.contains("tax/node")));
    assert!(matches!(&commands[1], Command::Disconnect(party, Reason::OutOfSequence) if *party == tax));
    let members = rig.policy().departments.len() as u16;
    let stops = |rig: &mut Rig, member| {
        let commands = rig.feed(Input::Message(node(member), Message::Follow { entries }));
        commands.iter().any(|command| matches!(command, Command::Stop(_)))
    };
    assert!((0..members).any(|member| stops(&mut rig, member)), "many are believed");
}

#[test]
fn entries_out_of_sequence_cut_the_connection_and_repetitions_do_not() {
    let mut rig = Rig::new();
    rig.open("2026-11");
    let (tax, other) = (node(rig.member("tax")), node(rig.member("water")));
    let channel = rig.policy().channels_of(tax.member).next().unwrap().number;
    let pool = |group| FileKey::Pool { channel, group };
    let statement =
        |group| Statement::Announcement(Announcement { file: pool(group), count: 256, digest: Hex([1; 32]) });
    let line = rig.line(tax, statement(0), true);
    let held = rig.log.len();
    let submit =
        |rig: &mut Rig, party, line: &[u8]| rig.feed(Input::Message(party, Message::Submit { line: line.to_vec() }));
    assert_eq!(disconnected(&submit(&mut rig, other, &line)), Some((other, Reason::NotMember)), "of another party");
    assert_eq!(rig.log.len(), held);
    assert_eq!(disconnected(&submit(&mut rig, tax, &line)), None);
    assert_eq!(rig.log.len(), held + 1);
    assert!(submit(&mut rig, tax, &line).is_empty(), "a repetition");
    assert_eq!(disconnected(&submit(&mut rig, other, &line)), Some((other, Reason::OutOfSequence)), "not its own");

    let second = rig.line(tax, statement(1), true);
    let mut ahead = rig.ledger.clone();
    ahead.apply(ahead.admit(&second).unwrap());
    std::mem::swap(&mut ahead, &mut rig.ledger);
    let third = rig.line(tax, Statement::Failure { channel: None, reason: Reason::Unreadable }, true);
    std::mem::swap(&mut ahead, &mut rig.ledger);
    let commands = submit(&mut rig, tax, &third);
    assert_eq!(disconnected(&commands), Some((tax, Reason::OutOfSequence)), "one is missing before it");
    assert!(commands.iter().any(|c| matches!(c, Command::Tell(Severity::Warn, text) if text.contains("tax/node"))));
    assert_eq!(disconnected(&submit(&mut rig, tax, b"{}")), Some((tax, Reason::Malformed)));
    let mut forged = second.clone();
    let digit = forged.len() - 5;
    forged[digit] = if forged[digit] == b'0' { b'1' } else { b'0' };
    assert!(Unverified::read(&forged).is_ok());
    assert_eq!(disconnected(&submit(&mut rig, tax, &forged)), Some((tax, Reason::BadSignature)));
    assert_eq!(rig.log.len(), held + 1);
}

#[test]
fn an_entry_against_the_rules_stands_without_effect_and_is_told() {
    let mut rig = Rig::new();
    rig.open("2026-11");
    let matcher = rig.servers().0;
    let line = rig.line(matcher, Statement::Receipt(Receipt::Pools { channel: 1 }), true);
    let commands = rig.feed(Input::Message(matcher, Message::Submit { line }));
    assert!(rig.ledger.open_round().unwrap().receipted_channels().is_empty());
    let told = |text: &str| text.contains("no effect") && text.contains("matcher");
    assert!(commands.iter().any(|c| matches!(c, Command::Tell(Severity::Warn, text) if told(text))));
}

#[test]
fn what_only_the_coordinator_says_cuts_the_connection() {
    let mut rig = Rig::new();
    let tax = node(rig.member("tax"));
    rig.connect(tax);
    for message in [Message::Online { time: 0, nodes: vec![1] }, Message::Entries { first: 0, lines: Vec::new() }] {
        assert_eq!(disconnected(&rig.feed(Input::Message(tax, message))), Some((tax, Reason::NotAllowed)));
    }
}

#[test]
fn owners_are_told_which_nodes_are_there() {
    let mut rig = Rig::new();
    let online = |commands: &[Command<Job>]| {
        let mut online = commands.iter().filter_map(|command| match command {
            Command::Send(parties, Message::Online { nodes, .. }) => Some((parties.clone(), nodes.clone())),
            _ => None,
        });
        online.next()
    };
    let (tax, water, housing) = (rig.member("tax"), rig.member("water"), rig.member("housing"));
    assert_eq!(online(&rig.connect(node(tax))), None, "no owner is there");
    let mut there = vec![tax, water];
    there.sort_unstable();
    assert_eq!(online(&rig.connect(node(water))), Some((vec![node(water)], there.clone())));
    there.push(housing);
    there.sort_unstable();
    let mut owners = vec![node(water), node(housing)];
    owners.sort_unstable();
    assert_eq!(online(&rig.connect(node(housing))), Some((owners, there.clone())));
    there.retain(|member| *member != water);
    assert_eq!(online(&rig.feed(Input::Down(node(water)))), Some((vec![node(housing)], there)));
    let status = rig.engine.status(rig.now);
    assert_eq!((status.connected.len(), status.parties), (2, 26));
    assert!(status.connected.contains(&format!("{}/{}", "tax", Role::Node.name())));
}
