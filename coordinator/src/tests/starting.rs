use std::collections::BTreeMap;

use wugan_protocol::{
    engine::{Command, Fact, Input},
    envelope::Signers,
    message::Message,
};

use crate::{
    CoordinatorEngine,
    admin::{Refusal, Request, Response},
    round::node,
    status::Phase,
    testing::{self, CATALOGUE, Rig},
};

#[test]
fn the_first_tick_begins_the_log() {
    let federation = testing::federation(testing::policy(CATALOGUE));
    let sources = federation.policy().matcher_number();
    let mut setup: Vec<Vec<u8>> = (0..sources).map(|source| testing::key_epoch(&federation, source)).collect();
    setup.push(b"not an entry".to_vec());
    let mut rig = Rig::with(federation.clone(), setup);
    let commands = rig.tick();
    let [Command::Commit(facts)] = &commands[..] else { panic!("one commit, nobody to tell: {commands:?}") };
    assert_eq!(facts.len(), usize::from(sources) + 1);
    assert_eq!(facts[0], Fact::Log(0, federation.signed().bytes().to_vec()));
    assert!((0..sources).all(|source| rig.ledger.epoch(source).is_some()));
    assert!(rig.tick().is_empty());
    rig.restart();
    assert!(rig.tick().is_empty(), "what is in the log is not appended again");
}

#[test]
fn a_member_that_comes_before_the_first_tick_gets_all() {
    let federation = testing::federation(testing::policy(CATALOGUE));
    let mut rig = Rig::with(federation, Vec::new());
    let commands = rig.feed(Input::Message(node(1), Message::Follow { entries: 0 }));
    let [Command::Commit(_), Command::SendLog(_, 0), Command::Send(_, Message::Checkpoint { .. })] = commands[..]
    else {
        panic!("{commands:?}");
    };
}

#[test]
fn nothing_is_signed_after_a_restart_before_a_member_has_confirmed_the_log() {
    let mut rig = Rig::new();
    rig.restart();
    let no_witness = Response::Refused { refusal: Refusal::NoWitness {} };
    assert_eq!(rig.open("2026-11"), no_witness);
    let own = node(rig.policy().coordinator);
    rig.connect(own);
    assert_eq!(rig.open("2026-11"), no_witness, "its own bureau's state may be as old as its own");
    rig.connect(node(rig.member("tax")));
    assert!(matches!(rig.open("2026-11"), Response::Done { .. }));
    rig.restart();
    assert!(matches!(rig.ask(Request::Status {}), Response::Status { .. }));
}

#[test]
fn a_restart_in_every_phase_goes_on() {
    let mut rig = Rig::new();
    let tax = node(rig.member("tax"));
    let back = |rig: &mut Rig| {
        rig.restart();
        rig.connect(tax);
        rig.engine.status(rig.now).phase
    };
    assert_eq!(back(&mut rig), Phase::Idle);
    rig.open("2026-11");
    assert_eq!(back(&mut rig), Phase::Pools);
    rig.now += 100;
    rig.pools_without(&[]);
    assert_eq!(back(&mut rig), Phase::List);
    rig.list();
    assert_eq!(back(&mut rig), Phase::Rows);
    let owner = rig.member("water");
    rig.rows(owner);
    rig.now += 200;
    assert_eq!(back(&mut rig), Phase::Deciding, "the latest time passed while it was down");
    let times = rig.engine.status(rig.now).round.unwrap().times;
    assert_eq!((times.listed, times.rows_closed, times.ended), (Some(rig.now - 200), Some(rig.now), None));
    rig.restart();
    let status = rig.engine.status(rig.now).round.unwrap();
    assert_eq!(status.times, times);
    assert!(status.owners.iter().find(|owner| owner.id == "water").unwrap().records);
}

#[test]
fn a_log_of_another_federation_is_not_restored() {
    let mut rig = Rig::new();
    rig.open("2026-11");
    let other = testing::federation(testing::policy(&CATALOGUE.replace("seed-city", "other-city")));
    let signer = std::sync::Arc::new(NoSigner);
    let signers = Signers { identity: signer.clone(), log: signer };
    let fresh = Box::new(|| [0; 32]);
    let restored = CoordinatorEngine::restore(other, signers, &rig.log, &BTreeMap::new(), Vec::new(), fresh);
    let error = restored.err().unwrap().to_string();
    assert!(error.contains("entry 0"), "{error}");
}

struct NoSigner;

impl wugan_protocol::envelope::Signer for NoSigner {
    fn public_key(&self) -> [u8; 32] {
        [0; 32]
    }

    fn sign(&self, _: &[u8]) -> [u8; 64] {
        [0; 64]
    }
}
