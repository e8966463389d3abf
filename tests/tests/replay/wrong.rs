//! Folders and keys of another party than the one that is named: nobody is blamed for what is not there.

use std::fs;

use wugan_audit::{
    finding::Rule,
    recompute::CannotRecompute,
    replay::{At, CannotReplay, replay},
};
use wugan_protocol::party::Role;

use crate::city::{City, Plan};

#[test]
fn another_partys_folder_is_told_apart_from_files_that_are_missing() {
    let city = City::new(&Plan { seed: 36, people: 60, rounds: 1, away: 0, days: 0 });
    let (log, policy) = (city.log(), city.genuine.federation.policy());
    let at = |at: At, home: &std::path::Path| replay(&log, &city.genuine.authority, city.month(), at, home);
    let coordinator = city.server(At::Coordinator);
    let refused = at(At::Matcher, &coordinator).unwrap_err();
    assert!(matches!(refused, CannotReplay::NothingOfRound { .. }), "{refused}");

    let aggregator = city.server(At::Aggregator);
    city.write_own(&aggregator, policy.member_id(policy.aggregator), Role::Aggregator);
    for server in [At::Matcher, At::Coordinator] {
        let refused = at(server, &aggregator).unwrap_err();
        assert!(matches!(refused, CannotReplay::Another { .. }), "{refused}");
    }
    assert_eq!(at(At::Aggregator, &aggregator).unwrap().findings, []);
    // The party's own folder, emptied, is a matter of the party.
    fs::remove_dir_all(aggregator.join("rounds").join(city.round().to_string())).unwrap();
    let findings = at(At::Aggregator, &aggregator).unwrap().findings;
    assert!(!findings.is_empty() && findings.iter().all(|found| found.rule == Rule::InputMissing), "{findings:?}");
}

#[test]
fn keys_that_open_nothing_are_another_nodes() {
    let city = City::new(&Plan { seed: 2, people: 60, rounds: 1, away: 0, days: 0 });
    let (log, month, nodes) = (city.log(), city.month(), city.nodes());
    for pair in nodes.windows(2) {
        let refused = city.recompute_with(&log, month, &pair[0], &pair[1]).unwrap_err();
        assert!(matches!(refused, CannotRecompute::OpensNothing { .. }), "{refused}");
        city.write_own(&city.home(&pair[0]), &pair[0], Role::Node);
        let refused = city.recompute_with(&log, month, &pair[0], &pair[1]).unwrap_err();
        assert!(matches!(refused, CannotRecompute::Replay(CannotReplay::Another { .. })), "{refused}");
        assert_eq!(city.recompute(&log, month, &pair[0]).findings, []);
    }
}
