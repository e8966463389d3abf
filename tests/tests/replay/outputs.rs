//! Every server lies about every owner in turn: one bit of an output, its size, its absence, the totals.

use std::fs;

use serde_json::{Value, json};
use wugan_audit::{
    finding::{Finding, Rule},
    replay::At,
};
use wugan_protocol::file::FileKey;
use wugan_tests::sim::Chance;

use crate::city::{City, Plan, Tally, flipped, makes, with};

#[test]
fn an_output_that_does_not_follow_is_found_though_everybody_signed_it() {
    let (mut tally, mut chance) = (Tally::default(), Chance::new(1));
    for (seed, away) in [(5, 0), (36, 1)] {
        let city = City::new(&Plan { seed, people: 60, rounds: 1, away, days: 0 });
        let log = city.log();
        for at in At::ALL {
            for announcement in city.announcements().into_iter().filter(|made| makes(at, made.file)) {
                let file = announcement.file;
                a_bit_is_changed(&city, at, file, &mut chance, &mut tally);
                let counted = city.restated(file, |body| {
                    if body["type"] == "announcement" {
                        body["count"] = json!(announcement.count + 256);
                    }
                });
                // Verification of the log may doubt such a size too.
                let findings = of_rule(city.found_at(&counted, at), Rule::OutputCount);
                tally.found("size", &findings, &[(Rule::OutputCount, file.name())]);
                let path = city.path(at, file);
                let genuine = fs::read(&path).unwrap();
                let (changed, _) = flipped(&genuine, 0, &mut chance);
                for bytes in [&changed, &genuine[..genuine.len() - 1], &genuine[..20], b""] {
                    let findings = with(&path, Some(bytes), || city.found_at(&log, at));
                    tally.found("changed afterwards", &findings, &[(Rule::OutputDiffers, file.name())]);
                }
                let findings = with(&path, None, || city.found_at(&log, at));
                tally.found("thrown away", &findings, &[(Rule::OutputMissing, file.name())]);
            }
        }
    }
    tally.end(400);
}

/// A bit behind the salt, which is the server's to choose, and the announcement with it.
fn a_bit_is_changed(city: &City, at: At, file: FileKey, chance: &mut Chance, tally: &mut Tally) {
    let kind = match at {
        At::Matcher => "bit of a bitmap",
        At::Aggregator => "bit of signal bits",
        At::Coordinator => "bit of decisions",
    };
    let path = city.path(at, file);
    let genuine = fs::read(&path).unwrap();
    for _ in 0..if at == At::Matcher { 5 } else { 15 } {
        let (changed, place) = flipped(&genuine, 32, chance);
        let log = city.announcing(file, &changed);
        let findings = with(&path, Some(&changed), || city.found_at(&log, at));
        tally.found(kind, &findings, &[(Rule::OutputFalse, format!("{}:{place}", file.name()))]);
    }
}

#[test]
fn totals_that_are_not_those_of_the_decisions_are_found() {
    let city = City::new(&Plan { seed: 12, people: 120, rounds: 1, away: 0, days: 0 });
    let (mut tally, policy) = (Tally::default(), city.genuine.federation.policy());
    for owner in policy.owners() {
        let matters = policy.matters_of(owner).count();
        for (matter, decision) in (0..matters).flat_map(|matter| (0..4).map(move |decision| (matter, decision))) {
            let log = city.restated(FileKey::Decisions { owner }, |body| {
                if body["type"] == "decisions" {
                    let about = &mut body["matters"][matter]["counts"][decision]["about"];
                    *about = about.as_u64().map_or(json!(10), |told| json!(told + 5));
                }
            });
            let expected = (Rule::TotalsFalse, policy.member_id(owner).to_owned());
            let findings = of_rule(city.found_at(&log, At::Coordinator), Rule::TotalsFalse);
            tally.found("total", &findings, &[expected]);
        }
    }
    tally.end(16);
}

#[test]
fn an_owner_that_a_server_passes_over_is_found() {
    let city = City::new(&Plan { seed: 36, people: 60, rounds: 1, away: 0, days: 0 });
    let mut tally = Tally::default();
    for owner in city.genuine.federation.policy().owners() {
        for (at, kinds) in [
            (At::Matcher, &["bitmap", "bits", "decisions"][..]),
            (At::Aggregator, &["bits", "decisions"]),
            (At::Coordinator, &["decisions"]),
        ] {
            let log = city.changed(|body| {
                // By then a round may be closed without an owner's decisions.
                if body["type"] == "round_closed" {
                    body["time"] = json!(body["time"].as_u64().unwrap() + 2 * 86_400);
                }
                !rests_on(body, owner, kinds)
            });
            let findings = city.found_at(&log, at);
            let rules: Vec<Rule> = findings.iter().map(|finding| finding.rule).collect();
            let lacking = if at == At::Matcher { 4 } else { 1 };
            assert_eq!(rules, vec![Rule::OutputLacking; lacking], "{at:?}");
            let details = findings.iter().map(|finding| (finding.rule, finding.detail.to_string()));
            tally.found("passed over", &findings, &details.collect::<Vec<_>>());
        }
    }
    tally.end(9);
}

fn of_rule(findings: Vec<Finding>, rule: Rule) -> Vec<Finding> {
    findings.into_iter().filter(|found| found.rule == rule).collect()
}

/// Whether an entry is about an owner's files of these kinds, its totals, or its receipt for decisions.
fn rests_on(body: &Value, owner: u16, kinds: &[&str]) -> bool {
    match body["type"].as_str().unwrap() {
        "announcement" => {
            body["file"]["owner"] == json!(owner) && kinds.iter().any(|kind| body["file"]["kind"] == *kind)
        }
        "decisions" => body["owner"] == json!(owner),
        "receipt" => body["of"] == "decisions",
        _ => false,
    }
}
