//! The ledger: key epochs, enrolment batches and their evaluations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{BUREAU, CLINIC, HOUSING, Log, POLICE, POLICE_FIRST, batch, digest, evaluation, key_epoch, node, secret};
use wugan_protocol::{
    hexes::Hex,
    reason::Reason,
    statement::{Evaluation, KeyEpoch, SourceEpoch, Statement},
};

/// A change of a statement that spoils it.
type Bend<T> = fn(&mut T);

#[test]
fn key_epochs_follow_each_other_and_no_key_serves_twice() {
    let mut log = Log::new();
    let epoch = |log: &Log, source, epoch, key| log.key_epoch(source, epoch, key);
    assert_eq!(log.say(node(POLICE), epoch(&log, POLICE, 2, 1)), Err(Reason::OutOfSequence));
    assert_eq!(log.say(node(POLICE), epoch(&log, POLICE, 0, 1)), Err(Reason::OutOfSequence));
    log.say(node(POLICE), epoch(&log, POLICE, 1, 1)).unwrap();
    assert_eq!(log.say(node(POLICE), epoch(&log, POLICE, 1, 2)), Err(Reason::OutOfSequence));
    assert_eq!(log.say(node(POLICE), epoch(&log, POLICE, 3, 2)), Err(Reason::OutOfSequence));
    assert_eq!(log.say(node(POLICE), epoch(&log, POLICE, 2, 1)), Err(Reason::KeyReused));
    assert_eq!(log.say(node(CLINIC), epoch(&log, CLINIC, 1, 1)), Err(Reason::KeyReused));
    log.say(node(POLICE), epoch(&log, POLICE, 2, 2)).unwrap();
    assert_eq!(log.ledger.epoch(POLICE), Some(SourceEpoch { source: POLICE, epoch: 2 }));
}

#[test]
fn a_key_needs_a_proof_for_its_source_epoch_and_federation() {
    let mut log = Log::new();
    let federation = log.ledger.federation().clone();
    let good = key_epoch(&federation, POLICE, 1, &secret(1));
    let mut bad = Vec::new();
    bad.push((Reason::KeyProof, key_epoch(&federation, CLINIC, 1, &secret(1))));
    let other_epoch = key_epoch(&federation, POLICE, 2, &secret(1));
    bad.push((Reason::KeyProof, KeyEpoch { epoch: 1, ..other_epoch }));
    let other_key = key_epoch(&federation, POLICE, 1, &secret(2)).proof;
    bad.push((Reason::KeyProof, KeyEpoch { proof: other_key, ..good.clone() }));
    let not_canonical = KeyEpoch { proof: Hex([0xff; 64]), ..good.clone() };
    bad.push((Reason::KeyProof, not_canonical));
    for key in [[0; 32], [0xff; 32]] {
        bad.push((Reason::BadElement, KeyEpoch { key: Hex(key), ..good.clone() }));
    }
    for (reason, epoch) in bad {
        assert_eq!(log.say(node(POLICE), Statement::KeyEpoch(epoch)), Err(reason));
        assert!(log.ledger.epoch(POLICE).is_none());
    }
    log.say(node(POLICE), Statement::KeyEpoch(good)).unwrap();
}

#[test]
fn batches_are_padded_numbered_and_name_announced_epochs() {
    let mut log = Log::with_keys();
    for count in [0, 1, 255, 257, 8_192 + 256] {
        assert_eq!(log.say(node(BUREAU), batch(0, count, &[POLICE_FIRST])), Err(Reason::CountDiffers), "{count}");
    }
    let later = SourceEpoch { source: POLICE, epoch: 2 };
    assert_eq!(log.say(node(BUREAU), batch(0, 256, &[POLICE_FIRST, later])), Err(Reason::UnknownEpoch));
    assert_eq!(log.say(node(BUREAU), batch(1, 256, &[POLICE_FIRST])), Err(Reason::OutOfSequence));
    assert_eq!(log.say(node(POLICE), batch(0, 256, &[POLICE_FIRST])), Err(Reason::NotAllowed), "owns no rosters");
    let (clinic, own) = (SourceEpoch { source: CLINIC, epoch: 1 }, SourceEpoch { source: BUREAU, epoch: 1 });
    for sources in [&[][..], &[POLICE_FIRST, POLICE_FIRST], &[clinic, POLICE_FIRST], &[own]] {
        assert_eq!(log.say(node(BUREAU), batch(0, 256, sources)), Err(Reason::Malformed), "{sources:?}");
    }
    log.say(node(BUREAU), batch(0, 8_192, &[POLICE_FIRST])).unwrap();
    assert_eq!(log.say(node(BUREAU), batch(0, 256, &[POLICE_FIRST])), Err(Reason::OutOfSequence));
    log.say(node(HOUSING), batch(0, 256, &[POLICE_FIRST])).unwrap();
    assert_eq!([BUREAU, POLICE].map(|owner| log.ledger.next_batch(owner)), [1, 0]);
}

#[test]
fn evaluations_answer_a_logged_batch_once() {
    let mut log = Log::with_keys();
    log.say(node(BUREAU), batch(0, 256, &[POLICE_FIRST])).unwrap();
    let good = evaluation(&log, BUREAU, 0, 1);
    let bends: [(Reason, Bend<Evaluation>); 6] = [
        (Reason::BeforeItsTime, |e| e.batch = 1),
        (Reason::BeforeItsTime, |e| e.owner = HOUSING),
        (Reason::BatchDiffers, |e| e.entry = digest("other")),
        (Reason::BatchDiffers, |e| e.count = 512),
        (Reason::UnknownEpoch, |e| e.epoch = 2),
        (Reason::UnknownEpoch, |e| e.epoch = 0),
    ];
    for (reason, bend) in bends {
        let mut bent = good.clone();
        bend(&mut bent);
        assert_eq!(log.say(node(POLICE), Statement::Evaluation(bent)), Err(reason));
    }
    let not_asked = Statement::Evaluation(good.clone());
    assert_eq!(log.say(node(CLINIC), not_asked), Err(Reason::UnknownEpoch));
    log.say(node(POLICE), Statement::Evaluation(good.clone())).unwrap();
    assert_eq!(log.say(node(POLICE), Statement::Evaluation(good)), Err(Reason::Repeated));
    assert_eq!(log.ledger.batch(BUREAU, 0).unwrap().answers[&POLICE], digest("answer"));
}

#[test]
fn nobody_evaluates_beyond_the_allowance_of_owner_and_epoch() {
    let mut log = Log::with_keys();
    // 300 people, 2 months of 10 newcomers, each rounded up to 256, and 1,024: 2,048.
    let allowance = log.ledger.federation().allowance(BUREAU);
    assert_eq!(allowance, 512 + 2 * 256 + 1_024);
    assert_eq!(log.ledger.federation().allowance(POLICE), 0);
    log.say(node(BUREAU), batch(0, allowance + 256, &[POLICE_FIRST])).unwrap();
    let whole = Statement::Evaluation(evaluation(&log, BUREAU, 0, 1));
    assert_eq!(log.say(node(POLICE), whole), Err(Reason::OverBudget));
    log.say(node(BUREAU), batch(1, allowance - 256, &[POLICE_FIRST])).unwrap();
    log.say(node(BUREAU), batch(2, 512, &[POLICE_FIRST])).unwrap();
    log.say(node(BUREAU), batch(3, 256, &[POLICE_FIRST])).unwrap();
    log.say(node(POLICE), Statement::Evaluation(evaluation(&log, BUREAU, 1, 1))).unwrap();
    let over = Statement::Evaluation(evaluation(&log, BUREAU, 2, 1));
    assert_eq!(log.say(node(POLICE), over.clone()), Err(Reason::OverBudget));
    log.say(node(POLICE), Statement::Evaluation(evaluation(&log, BUREAU, 3, 1))).expect("exactly the allowance");
    assert_eq!(log.say(node(POLICE), over), Err(Reason::OverBudget));

    // Another owner and another epoch have allowances of their own.
    log.say(node(HOUSING), batch(0, 256, &[POLICE_FIRST])).unwrap();
    log.say(node(POLICE), Statement::Evaluation(evaluation(&log, HOUSING, 0, 1))).unwrap();
    log.say(node(POLICE), log.key_epoch(POLICE, 2, 100)).unwrap();
    let second = SourceEpoch { source: POLICE, epoch: 2 };
    log.say(node(BUREAU), batch(4, allowance, &[second])).unwrap();
    log.say(node(POLICE), Statement::Evaluation(evaluation(&log, BUREAU, 4, 2))).unwrap();
}
