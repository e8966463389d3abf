#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::{collections::BTreeSet, fs};

use wugan_protocol::{
    hexes::Hex,
    limits::round_up_count,
    policy::{Class, Counts, Matter, Policy, Rule},
};

use super::*;
use crate::testing;

const ROUND: Digest = Hex([4; 32]);
const OWNER: MemberNumber = 4;

/// The decision byte of a row with these counts, straight from the head of the catalogue: try every answer that the
/// missing channels could have given.
fn expected(rules: &[Rule], counts: Counts, missing: Counts) -> u8 {
    let fires = |counts: Counts| {
        let holds = |rule: &Rule| {
            (0..4).all(|c| counts[c] >= rule.at_least[c])
                && (0..4).all(|c| rule.at_most[c].is_none_or(|m| counts[c] <= m))
        };
        rules.iter().position(holds).unwrap()
    };
    let rule = fires(counts);
    for a in 0..=missing[0] {
        for b in 0..=missing[1] {
            for c in 0..=missing[2] {
                for d in 0..=missing[3] {
                    let possible = [counts[0] + a, counts[1] + b, counts[2] + c, counts[3] + d];
                    if rules[fires(possible)].decide != rules[rule].decide {
                        return 255;
                    }
                }
            }
        }
    }
    rule as u8
}

/// How many channels of each class are not missing at a matter, from section 4.2's words.
fn available(policy: &Policy, matter: &Matter, list: &BTreeSet<u16>) -> (Counts, Counts) {
    let (mut available, mut missing) = ([0; 4], [0; 4]);
    for (c, class) in Class::ALL.into_iter().enumerate() {
        let all: Vec<_> = matter.channels.iter().map(|i| &policy.channels[*i]).filter(|ch| ch.class == class).collect();
        let here: Vec<_> = all.iter().filter(|channel| list.contains(&channel.number)).collect();
        let others: Vec<u16> = here.iter().map(|channel| channel.source).filter(|s| *s != matter.owner).collect();
        let hidden = others.len() >= 3 && others.iter().any(|source| *source != others[0]);
        available[c] = if hidden || all.iter().all(|channel| channel.exposed) { here.len() as u32 } else { 0 };
        missing[c] = all.len() as u32 - available[c];
    }
    (available, missing)
}

fn lists(policy: &Policy) -> Vec<BTreeSet<u16>> {
    let without = |gone: &[&str]| {
        let here = policy.channels.iter().filter(|channel| !gone.contains(&policy.member_id(channel.source)));
        here.map(|channel| channel.number).collect()
    };
    let every_third = policy.channels.iter().filter(|channel| channel.number % 3 == 0).map(|channel| channel.number);
    vec![
        without(&[]),
        without(&["civil_affairs"]),
        without(&["public_security", "medical_insurance", "health"]),
        every_third.collect(),
        BTreeSet::new(),
    ]
}

fn task(matters: Vec<MatterTask>, count: u64, digest: Digest) -> DecideTask {
    let bits = Announcement { file: FileKey::Bits { owner: OWNER }, count: round_up_count(count), digest };
    DecideTask { round: ROUND, owner: OWNER, bits, matters, salt: [8; 32] }
}

fn put(rounds: &Rounds, bytes: &[u8]) {
    fs::create_dir_all(rounds.folder(ROUND)).unwrap();
    fs::write(rounds.path(ROUND, FileKey::Bits { owner: OWNER }), bytes).unwrap();
}

/// Every vector of counts that a row of each matter can have, some of them several times.
fn rows(policy: &Policy, list: &BTreeSet<u16>) -> (Vec<MatterTask>, Vec<u32>, Vec<u8>, Vec<Vec<u8>>) {
    let (mut tasks, mut counts, mut bits, mut decisions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for matter in policy.matters_of(OWNER) {
        let round = policy.matter_round(matter, list);
        let (most, missing) = available(policy, matter, list);
        let mut wanted = Vec::new();
        for n in 0..3_000_u32 {
            let counts = [n % 7, n / 7 % 4, n / 28 % 3, n / 84 % 2];
            let counts = std::array::from_fn(|c| counts[c].min(most[c]));
            let mut row = vec![0; round.row_bytes()];
            round.encode(round.lowest(counts), &mut row);
            bits.extend(row);
            wanted.push(expected(policy.rules(matter), counts, missing));
        }
        counts.push(3_000);
        decisions.push(wanted);
        tasks.push(MatterTask { number: matter.number, matter: round, rows_max: 3_000 });
    }
    (tasks, counts, bits, decisions)
}

#[test]
fn decides_as_every_possible_answer_says() {
    let policy = testing::policy(testing::CATALOGUE);
    assert!(policy.owners().any(|owner| owner == OWNER) && policy.matters_of(OWNER).count() > 2);
    let mut all_deferred = 0;
    for list in lists(&policy) {
        let folder = tempfile::tempdir().unwrap();
        let rounds = Rounds::new(folder.path());
        let (tasks, rows, bits, wanted) = rows(&policy, &list);
        let count = rows.iter().map(|rows| u64::from(*rows)).sum();
        let (bytes, digest) = testing::file(count, rows.clone(), &bits);
        put(&rounds, &bytes);
        let task = task(tasks, count, digest);
        let decided = task.run(&rounds).result.unwrap();

        let written = fs::read(rounds.path(ROUND, FileKey::Decisions { owner: OWNER })).unwrap();
        let header = Header { salt: [8; 32], count, rows }.encode();
        assert_eq!(written, [header, wanted.concat()].concat());
        assert_eq!(decided.made.digest, wugan_protocol::hexes::sha256(&written));
        assert_eq!(decided.made.count, round_up_count(count));
        check_totals(&policy, &wanted, &decided.matters);
        all_deferred += wanted.concat().iter().filter(|byte| **byte == 255).count();
        assert_eq!(task.run(&rounds).result.unwrap(), decided, "the same file again");
    }
    assert!(all_deferred > 0);
}

fn check_totals(policy: &Policy, wanted: &[Vec<u8>], totals: &[MatterTotals]) {
    for ((matter, wanted), totals) in policy.matters_of(OWNER).zip(wanted).zip(totals) {
        assert_eq!(totals.matter, matter.number);
        let decisions: Vec<Decision> = totals.counts.iter().map(|count| count.decision).collect();
        assert_eq!(decisions, Decision::ALL);
        for count in &totals.counts {
            let of = |byte: &&u8| {
                let decided =
                    policy.rules(matter).get(usize::from(**byte)).map_or(Decision::Deferred, |rule| rule.decide);
                decided == count.decision
            };
            let exact = wanted.iter().filter(of).count() as u64;
            match count.about {
                None => assert!(exact < 8),
                Some(about) => assert!(exact >= 8 && about % 5 == 0 && about.abs_diff(exact) <= 2),
            }
        }
    }
}

#[test]
fn totals_are_rounded_and_small_ones_not_told() {
    let told: Vec<Option<u64>> = [0, 7, 8, 12, 13, 17, 18, 1_001].into_iter().map(about).collect();
    assert_eq!(told, [None, None, Some(10), Some(10), Some(15), Some(15), Some(20), Some(1_000)]);
}

#[test]
fn bits_that_cannot_be_are_refused_and_leave_no_decisions() {
    let policy = testing::policy(testing::CATALOGUE);
    let list = lists(&policy).remove(0);
    let matters = || -> Vec<MatterTask> {
        let task = |matter: &Matter| MatterTask {
            number: matter.number,
            matter: policy.matter_round(matter, &list),
            rows_max: 4,
        };
        policy.matters_of(OWNER).map(task).collect()
    };
    let n = matters().len();
    assert!(matters().iter().all(|task| task.matter.row_bytes() == 1 && task.matter.decode(&[0]).is_some()));
    let rows = |first: u32| [vec![first], vec![0; n - 1]].concat();
    let refusal = |bytes: Vec<u8>, announced: u64| {
        let folder = tempfile::tempdir().unwrap();
        let rounds = Rounds::new(folder.path());
        put(&rounds, &bytes);
        let result = task(matters(), announced, Hex([0; 32])).run(&rounds).result;
        assert!(!rounds.path(ROUND, FileKey::Decisions { owner: OWNER }).exists());
        match result {
            Err(DecideError::Refused(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    let file = |count, rows, body: &[u8]| testing::file(count, rows, body).0;
    assert_eq!(refusal(file(2, rows(2), &[0, 0xff]), 2), Reason::BadBits);
    assert_eq!(refusal(file(2, rows(2), &[0]), 2), Reason::Malformed);
    assert_eq!(refusal(file(2, rows(2), &[0, 0, 0]), 2), Reason::Malformed);
    assert_eq!(refusal(file(3, rows(2), &[0, 0]), 2), Reason::CountDiffers);
    assert_eq!(refusal(file(2, rows(2), &[0, 0]), 257), Reason::CountDiffers);
    assert_eq!(refusal(file(5, rows(5), &[0; 5]), 5), Reason::TooManyRows);
    assert_eq!(refusal(b"short".to_vec(), 2), Reason::Malformed);
    let mut huge = file(2, rows(2), &[0, 0]);
    huge[32..40].fill(0xff);
    assert_eq!(refusal(huge, 2), Reason::Malformed);
}

#[test]
fn without_the_file_there_is_nothing_to_decide() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(Vec::new(), 0, Hex([0; 32]));
    assert!(matches!(task.run(&Rounds::new(folder.path())).result, Err(DecideError::NoBits)));
    assert!(!format!("{task:?}").contains("salt"));
}
