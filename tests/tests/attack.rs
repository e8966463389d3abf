//! A genuine log never alarms, and whatever is done to it is found: by `verify`, by a replay of what was kept, or by a member
//! that has seen the log. What is not found if it was said from the start is listed, since it has to be taken on trust.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeSet;

use serde_json::json;
use wugan_audit::{finding::Rule, verify::verify};
use wugan_protocol::party::MemberNumber;
use wugan_tests::attack::{
    edits::{from_the_start, of_entries},
    files::of_files,
    forger::Forger,
    genuine::Genuine,
    judges::{Found, Witness},
    table::{Table, judge},
};

#[test]
fn whatever_is_done_to_a_genuine_log_is_found() {
    let genuine = Genuine::make();
    assert_eq!(verify(&genuine.files, &genuine.authority).findings, []);
    let mut mutants = of_entries(&genuine, 7);
    mutants.extend(of_files(&genuine));
    let mut table = Table::default();
    table.count(&mutants, &judge(&genuine, &mutants));
    println!("{} entries\n{table}", genuine.entries.len());
    assert!(table.missed.is_empty(), "{} not found: {:#?}", table.missed.len(), table.missed);
    assert!(table.total() >= 10_000);
}

/// Fields of which neither log nor kept files show whether they are right, besides everybody's own times, and why.
const TAKEN_ON_TRUST: [(&str, &str); 9] = [
    ("announcement/file/channel", "made for a round that was void by then: nobody received the file"),
    ("announcement/file/group", "the same"),
    ("deletion/of", "what is deleted is not there to be looked at"),
    ("deletion/round", "the same"),
    ("receipt/channel", "given in a round that was void by then: no list is compared with it"),
    ("receipt/round", "the same"),
    ("round_manifest/enrolment_until", "the coordinator sets it"),
    ("round_manifest/pools_close_from", "the coordinator sets it"),
    ("round_manifest/rows_until", "the coordinator sets it"),
];

#[test]
fn a_lie_from_the_start_is_found_but_where_nothing_shows_it() {
    let genuine = Genuine::make();
    let (fields, mutants): (Vec<String>, Vec<_>) = from_the_start(&genuine).into_iter().unzip();
    let found = judge(&genuine, &mutants);
    let mut table = Table::default();
    table.count(&mutants, &found);
    println!("{table}");
    let missed = fields.iter().zip(&found).filter(|(field, by)| **by == Found::Nobody && !field.ends_with("/time"));
    let missed: BTreeSet<&str> = missed.map(|(field, _)| field.as_str()).collect();
    let expected: BTreeSet<&str> = TAKEN_ON_TRUST.into_iter().map(|(field, _)| field).collect();
    // Which of them a log has depends on what crossed a close.
    let others: Vec<&&str> = missed.difference(&expected).collect();
    assert!(others.is_empty(), "not found, nor listed: {others:?}");
}

#[test]
fn two_histories_are_refused_by_whoever_saw_the_other_and_never_both_have_their_quorum() {
    let genuine = Genuine::make();
    let forger = Forger { genuine: &genuine };
    let bureau = genuine.federation.policy().coordinator;
    let members: Vec<MemberNumber> =
        (0..=genuine.federation.policy().matcher_number()).filter(|m| *m != bureau).collect();
    let all: BTreeSet<MemberNumber> = members.iter().copied().collect();
    let (from, end, count) = (genuine.places("round_closed")[0] + 1, genuine.last_close(), genuine.entries.len());
    assert_eq!(forger.history(None, &all), genuine.lines(), "without a change it is the genuine log");

    // A time is anybody's own: both histories are in order, each for itself.
    let other = |of: usize| {
        let mut body = genuine.entries[of].body.clone();
        let time = if body["type"] == "round_manifest" { "rows_until" } else { "time" };
        body[time] = json!(body[time].as_u64().unwrap() + 1);
        (of, body)
    };
    let mut shown = 0;
    for of in from..=end {
        let lines = forger.history(Some(other(of)), &all);
        let files = forger.published(&lines);
        assert_eq!(verify(&files, &genuine.authority).findings, [], "{of}");
        for seen in BTreeSet::from([of + 1, end + 1, count]) {
            assert!(Witness::of(&genuine, &genuine.lines()[..seen]).refuses(&files, &lines), "{of}: {seen} seen");
            assert!(
                Witness::of(&genuine, &lines[..seen]).refuses(&genuine.files, &genuine.lines()),
                "{of}: {seen} seen"
            );
            shown += 2;
        }
    }
    println!("shown {shown} times to a member that had seen the other, and refused");

    // Each member cosigns the one that it is shown, or, as a liar, both.
    let quorum_of = |change: Option<usize>, cosigners: &BTreeSet<MemberNumber>| {
        let files = forger.published(&forger.history(change.map(other), cosigners));
        let findings = verify(&files, &genuine.authority).findings;
        assert!(findings.iter().all(|finding| finding.rule == Rule::NoQuorum), "{findings:?}");
        findings.is_empty()
    };
    let subset = |bits: usize| (0..members.len()).filter(|bit| bits >> bit & 1 == 1).map(|bit| members[bit]).collect();
    let subsets = 1 << members.len();
    let one: Vec<bool> = (0..subsets).map(|bits| quorum_of(None, &subset(bits))).collect();
    let two: Vec<bool> = (0..subsets).map(|bits| quorum_of(Some(end), &subset(bits))).collect();
    let liars = |a: usize, b: usize| (a & b).count_ones();
    let fooled = (0..subsets).flat_map(|a| (0..subsets).map(move |b| (a, b))).filter(|(a, b)| one[*a] && two[*b]);
    let least = fooled.map(|(a, b)| liars(a, b)).min().unwrap();
    let quorum = u32::from(genuine.federation.manifest().quorum);
    assert!(least >= 2 * quorum - members.len() as u32, "{least} members that cosign both suffice");
    println!("both have their quorum only if {least} of {} members cosign both", members.len());
}
