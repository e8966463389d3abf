//! Genuine rounds: nothing is found, whoever was away; what was deleted in time cannot be looked at.

use std::collections::BTreeSet;

use serde_json::json;
use wugan_audit::{
    finding::{Finding, Rule},
    recompute::CannotRecompute,
    replay::{At, CannotReplay},
    verify::verify,
};
use wugan_protocol::{
    at_rest::{SETTLED, Settled},
    codec,
    file::FileKey,
    ledger::SECONDS_PER_DAY,
    party::Role,
};
use wugan_tests::sim::{Change, Liar, Lie, START, Which};

use crate::city::{City, Plan};

#[test]
fn nothing_is_found_in_genuine_rounds() {
    for (seed, away) in [(1, 0), (5, 1), (8, 2), (36, 0)] {
        let city = City::new(&Plan { seed, people: 120, rounds: 2, away, days: 0 });
        let log = city.log();
        // With two of eight members away too few cosigned; that is all.
        let of_log = verify(&log, &city.genuine.authority).findings;
        assert!(of_log.iter().all(|found| found.rule == Rule::NoQuorum && away == 2), "{of_log:?}");
        let (mut servers, mut nodes) = (0, 0);
        for month in &city.months {
            for at in At::ALL {
                let replayed = city.replay(&log, *month, at).unwrap();
                assert_eq!(replayed.findings, of_log, "city {seed}, {month}, {at:?}");
                assert!(replayed.inputs > 0 && replayed.outputs > 0, "city {seed}, {month}, {at:?}");
                servers += replayed.outputs;
            }
            for id in city.nodes() {
                let recomputed = city.recompute(&log, *month, &id);
                assert_eq!(recomputed.findings, of_log, "city {seed}, {month}, {id}");
                nodes += recomputed.outputs;
            }
        }
        let made = city.announcements().len() as u64;
        assert!(servers + nodes > made, "{servers} and {nodes} files, the last round alone has {made}");
    }
}

/// A source hears nobody in the second month: who is new then has no rows, and gets keys only afterwards.
#[test]
fn who_was_enrolled_late_was_deferred_rightly() {
    let deaf = START + SECONDS_PER_DAY..START + 5 * SECONDS_PER_DAY;
    let liar = Liar { id: "d2".to_owned(), role: Role::Node, lie: Lie::Deaf(deaf) };
    let city = City::lying(&Plan { seed: 2, people: 200, rounds: 3, away: 0, days: 3 }, vec![liar]);
    let (log, policy, month) = (city.log(), city.genuine.federation.policy(), city.months[1]);
    let (mut late, mut found, round) = (0, 0, city.round_of(month));
    for id in city.nodes() {
        city.write_facts(&id, |_, _| {});
        for month in &city.months {
            let recomputed = city.recompute(&log, *month, &id);
            assert_eq!(recomputed.findings, [], "{month}, {id}");
        }
        if policy.owners().any(|owner| policy.member_id(owner) == id) {
            late += people(&city.unsealed(&id, &format!("snapshot-{round}")), 10)
                - people(&city.unsealed(&id, &format!("rows-{round}")), 14);
            // Had their keys been there before, their rows would have had to be made.
            city.write_facts(&id, |name, value| {
                if name.starts_with(SETTLED) {
                    let (settled, _): Settled = codec::decode(value).unwrap();
                    *value = codec::encode(&(settled, START)).unwrap();
                }
            });
            let findings = city.recompute(&log, month, &id).findings;
            assert!(findings.iter().all(|found| found.rule == Rule::DeferredEnrolled), "{findings:?}");
            found += findings.iter().map(|found| found.detail.to_string().parse::<usize>().unwrap()).sum::<usize>();
        }
    }
    assert!(late > 0 && found == late, "{late} were deferred, {found} of them found when they had keys");
}

/// Different people with which items of a width begin.
fn people(items: &[u8], width: usize) -> usize {
    items.chunks(width).map(|item| &item[..8]).collect::<BTreeSet<_>>().len()
}

#[test]
fn what_was_deleted_in_time_cannot_be_looked_at_and_what_was_deleted_early_is_missing() {
    let city = City::new(&Plan { seed: 3, people: 60, rounds: 1, away: 0, days: 41 });
    let log = city.log();
    let early = city.changed(|body| {
        if body["type"] == "deletion" {
            body["time"] = json!(body["time"].as_u64().unwrap() - 5 * SECONDS_PER_DAY);
        }
        true
    });
    let only = |findings: Vec<Finding>, missing: Rule| {
        assert!(findings.iter().any(|found| found.rule == missing), "{findings:?}");
        assert!(findings.iter().all(|found| [missing, Rule::EntryWithoutEffect].contains(&found.rule)), "{findings:?}");
    };
    for at in At::ALL {
        let refused = city.replay(&log, city.month(), at).unwrap_err();
        assert!(matches!(refused, CannotReplay::Deleted { .. }), "{at:?}: {refused}");
        // Nothing of the round is here, but this is the party's folder.
        let policy = city.genuine.federation.policy();
        let member = match at {
            At::Matcher => policy.matcher_number(),
            At::Aggregator => policy.aggregator,
            At::Coordinator => policy.coordinator,
        };
        city.write_own(&city.server(at), policy.member_id(member), at.role());
        only(city.found_at(&early, at), Rule::InputMissing);
    }
    for id in city.nodes() {
        let refused = city.try_recompute(&log, city.month(), &id).unwrap_err();
        assert!(matches!(refused, CannotRecompute::Replay(CannotReplay::Deleted { .. })), "{id}: {refused}");
        only(city.found_by_node(&early, &id), Rule::SealedMissing);
    }
    let other = city.month().next().unwrap();
    assert!(matches!(city.replay(&log, other, At::Matcher), Err(CannotReplay::NoRound { .. })));
}

/// Owner 0 has no decisions then; that is nobody's fault but the liar's.
#[test]
fn whoever_refused_a_lie_is_not_blamed_for_what_is_lacking() {
    let longer: Change = |bytes| bytes.push(0);
    let spare: Change = |bytes| *bytes.last_mut().unwrap() = 0xff;
    let cases: [(At, Which, Change, usize); 2] = [
        (At::Matcher, |file| matches!(file, FileKey::Bitmap { owner: 0, .. }), longer, 4),
        (At::Aggregator, |file| matches!(file, FileKey::Bits { owner: 0 }), spare, 1),
    ];
    for (at, which, change, lies) in cases {
        let id = if at == At::Matcher { "matcher" } else { "d1" }.to_owned();
        let liar = Liar { id, role: at.role(), lie: Lie::Bytes(which, change) };
        let city = City::lying(&Plan { seed: 36, people: 60, rounds: 1, away: 0, days: 0 }, vec![liar]);
        let log = city.log();
        let of_log = verify(&log, &city.genuine.authority).findings;
        assert!(!of_log.is_empty() && of_log.iter().all(|found| found.rule == Rule::MemberRefused), "{of_log:?}");
        for server in At::ALL {
            let findings = city.found_at(&log, server).split_off(of_log.len());
            let expected = if server == at { lies } else { 0 };
            assert_eq!(findings.len(), expected, "{at:?} lies, {server:?}: {findings:?}");
            assert!(findings.iter().all(|found| found.rule == Rule::OutputFalse), "{findings:?}");
        }
    }
}
