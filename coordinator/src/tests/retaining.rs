//! What is kept of a round, and when it is deleted.

use std::{fs, io};

use wugan_protocol::{
    engine::{Command, Fact, Input},
    envelope::Unverified,
    hexes::Digest,
    ledger::SECONDS_PER_DAY,
    message::Message,
    reason::Reason,
    statement::{Kept, Statement},
};

use super::deciding::{City, refused, sent, zeros};
use crate::{DeleteDone, DeleteTask, Job, Local, admin::Response, log_folder::COSIGNED, round::node, testing::Rig};

fn tasks(commands: &[Command<Job>]) -> Vec<DeleteTask> {
    let tasks = commands.iter().filter_map(|command| match command {
        Command::Local(Job::Delete(task)) => Some(task.clone()),
        _ => None,
    });
    tasks.collect()
}

fn whats(commands: &[Command<Job>]) -> Vec<Kept> {
    tasks(commands).into_iter().map(|task| task.of).collect()
}

/// The deletions that the log shows, with their rounds.
fn logged(rig: &Rig) -> Vec<(Digest, Kept)> {
    let federation = rig.ledger.federation();
    let key = federation.key(federation.coordinator()).unwrap();
    let read = |line: &Vec<u8>| Unverified::read(line).unwrap().verify(&key).ok();
    let deletions = rig.log.iter().filter_map(read).filter_map(|entry| match entry.body().statement {
        Statement::Deletion { of } => Some((entry.body().head.round.unwrap(), of)),
        _ => None,
    });
    deletions.collect()
}

fn later(city: &mut City, days: u64) -> Vec<Command<Job>> {
    city.rig.now += days * SECONDS_PER_DAY;
    city.rig.tick()
}

fn back(city: &mut City) -> Vec<Command<Job>> {
    city.rig.restart();
    let aggregator = city.rig.servers().1;
    city.rig.connect(aggregator)
}

fn done(city: &mut City, task: &DeleteTask) -> Vec<Command<Job>> {
    let done = task.run(&city.rounds());
    city.rig.feed(Input::Local(Local::Deleted(done)))
}

#[test]
fn bits_go_first_and_decisions_years_later() {
    let mut city = City::new(zeros);
    city.decide();
    let (round, folder) = (city.round(), city.rounds().folder(city.round()));
    assert!(whats(&later(&mut city, 39)).is_empty());
    let commands = later(&mut city, 1);
    assert_eq!(whats(&commands), [Kept::Bits]);
    let seed = format!("seed/{round}");
    let unset =
        |command: &Command<Job>| matches!(command, Command::Commit(facts) if facts == &[Fact::Unset(seed.clone())]);
    assert!(commands.iter().any(unset) && !city.rig.facts.contains_key(&seed));
    assert!(whats(&city.rig.tick()).is_empty(), "it runs already");
    assert!(logged(&city.rig).is_empty(), "nothing is said before it is done");

    // Killed before the deletion was said: it is done again.
    let first = tasks(&commands).remove(0);
    first.run(&city.rounds()).result.unwrap();
    let again = tasks(&back(&mut city)).remove(0);
    done(&mut city, &again);
    assert_eq!(logged(&city.rig), [(round, Kept::Bits)]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "the decisions");
    assert!(whats(&later(&mut city, 1)).is_empty() && whats(&back(&mut city)).is_empty());
    let offer = city.offer(3);
    assert_eq!(refused(&city.rig.feed(Input::File(offer))), [(3, Reason::Deleted)]);

    let commands = later(&mut city, 1_095 - 41);
    assert_eq!(whats(&commands), [Kept::Decisions]);
    done(&mut city, &tasks(&commands)[0]);
    assert_eq!(logged(&city.rig), [(round, Kept::Bits), (round, Kept::Decisions)]);
    assert!(!folder.exists() && city.rig.facts.keys().all(|name| name == COSIGNED));
    assert!(sent(&city.rig.connect(node(city.owner))).is_empty(), "nobody is sent what is gone");
}

#[test]
fn an_open_round_keeps_everything_and_an_abandoned_one_has_nothing() {
    let mut city = City::new(zeros);
    assert!(city.rig.ledger.open_round().is_some());
    assert!(whats(&later(&mut city, 2_000)).is_empty());
    city.decide();
    assert_eq!(whats(&city.rig.tick()), [Kept::Bits, Kept::Decisions], "as soon as it has ended");

    let mut rig = Rig::new();
    let matcher = rig.servers().0;
    rig.connect(matcher);
    assert!(matches!(rig.open("2026-11"), Response::Done { .. }));
    assert!(matches!(rig.ask(crate::admin::Request::Abandon {}), Response::Done { .. }));
    rig.now += 2_000 * SECONDS_PER_DAY;
    assert!(whats(&rig.tick()).is_empty());
}

#[test]
fn a_deletion_that_fails_is_told_and_tried_again() {
    let mut city = City::new(zeros);
    city.decide();
    let task = tasks(&later(&mut city, 40)).remove(0);
    let result = Err(io::Error::other("no disk"));
    let failed = DeleteDone { round: task.round, of: task.of, result };
    let commands = city.rig.feed(Input::Local(Local::Deleted(failed)));
    assert!(commands.iter().any(|command| matches!(command, Command::Tell(_, text) if text.contains("no disk"))));
    assert!(whats(&city.rig.tick()).is_empty() && logged(&city.rig).is_empty());
    city.rig.now += 3_600;
    assert_eq!(whats(&city.rig.tick()), [Kept::Bits]);
}

#[test]
fn nothing_is_deleted_before_the_log_is_witnessed() {
    let mut city = City::new(zeros);
    city.decide();
    city.rig.now += 40 * SECONDS_PER_DAY;
    city.rig.restart();
    assert!(whats(&city.rig.tick()).is_empty());
    let matcher = city.rig.servers().0;
    assert_eq!(whats(&city.rig.connect(matcher)), [Kept::Bits]);
}

#[test]
fn an_owner_whose_round_is_deleted_is_sent_no_decisions() {
    let mut city = City::new(zeros);
    let owner = node(city.owner);
    city.decide();
    assert_eq!(sent(&city.rig.connect(owner)), [city.owner]);
    city.rig.feed(Input::Down(owner));
    city.rig.now += 40 * SECONDS_PER_DAY;
    let line = city.rig.line(owner, Statement::Deletion { of: Kept::Files }, true);
    city.rig.feed(Input::Message(owner, Message::Submit { line }));
    assert!(sent(&city.rig.connect(owner)).is_empty());
    assert!(city.folder.path().exists());
}
