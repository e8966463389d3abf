//! A genuine log never alarms, and whatever is done to it is found: by `verify`, by a replay of what was kept, or by a member
//! that has seen the log. What is not found if it was said from the start is listed, since it has to be taken on trust.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeSet;

use serde_json::json;
use wugan_audit::{finding::Rule, folder::LogFiles, verify::verify};
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
fn two_histories_are_refused_by_whoever_saw_the_other() {
    let split = Split::new();
    let genuine = &split.genuine;
    assert_eq!(split.history(None, &split.all()).1, genuine.lines(), "without a change it is the genuine log");
    let (from, end) = (genuine.places("round_closed")[0] + 1, genuine.last_close());
    let mut shown = 0;
    for of in from..=end {
        let (files, lines) = split.history(Some(of), &split.all());
        assert_eq!(verify(&files, &genuine.authority).findings, [], "{of}: each is in order for itself");
        for seen in BTreeSet::from([of + 1, end + 1, lines.len()]) {
            let genuine_lines = genuine.lines();
            assert!(Witness::of(genuine, &genuine_lines[..seen]).refuses(&files, &lines), "{of}, {seen} seen");
            assert!(Witness::of(genuine, &lines[..seen]).refuses(&genuine.files, &genuine_lines), "{of}, {seen} seen");
            shown += 2;
        }
    }
    println!("shown {shown} times to a member that had seen the other, and refused");
}

#[test]
fn two_histories_have_their_quorum_only_if_more_than_a_third_of_the_members_cosign_both() {
    let split = Split::new();
    // Each member cosigns the one that it is shown, or, as a liar, both.
    let in_order = |change: Option<usize>, cosigners: &BTreeSet<MemberNumber>| {
        let findings = verify(&split.history(change, cosigners).0, &split.genuine.authority).findings;
        assert!(findings.iter().all(|finding| finding.rule == Rule::NoQuorum), "{findings:?}");
        findings.is_empty()
    };
    let subsets: Vec<BTreeSet<MemberNumber>> = (0..1_u32 << split.members.len())
        .map(|bits| {
            (0..).zip(&split.members).filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, member)| *member).collect()
        })
        .collect();
    let end = split.genuine.last_close();
    let one: Vec<_> = subsets.iter().filter(|cosigners| in_order(None, cosigners)).collect();
    let other: Vec<_> = subsets.iter().filter(|cosigners| in_order(Some(end), cosigners)).collect();
    let both = one.iter().flat_map(|one| other.iter().map(|other| one.intersection(other).count()));
    let least = both.min().unwrap();
    assert!(least * 3 > split.members.len(), "{least} members that cosign both suffice");
    println!("two logs in order only if {least} of {} members cosign both", split.members.len());
}

/// A coordinator that shows two histories: the genuine one, and another from some entry on.
struct Split {
    genuine: Genuine,
    /// Members that count for the quorum.
    members: Vec<MemberNumber>,
}

impl Split {
    fn new() -> Split {
        let genuine = Genuine::make();
        let policy = genuine.federation.policy();
        let members = (0..=policy.matcher_number()).filter(|member| *member != policy.coordinator).collect();
        Split { genuine, members }
    }

    fn all(&self) -> BTreeSet<MemberNumber> {
        self.members.iter().copied().collect()
    }

    /// The log that came about when an entry had another time, which is anybody's own, and these members cosigned it.
    fn history(&self, change: Option<usize>, cosigners: &BTreeSet<MemberNumber>) -> (LogFiles, Vec<Vec<u8>>) {
        let forger = Forger { genuine: &self.genuine };
        let other = |of: usize| {
            let mut body = self.genuine.entries[of].body.clone();
            let time = if body["type"] == "round_manifest" { "rows_until" } else { "time" };
            body[time] = json!(body[time].as_u64().unwrap() + 1);
            (of, body)
        };
        let lines = forger.history(change.map(other), cosigners);
        (forger.published(&lines), lines)
    }
}
