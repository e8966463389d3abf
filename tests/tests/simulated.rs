//! Random small cities through the programs' own engines in one thread, with crashes and cut connections, compared with
//! the plaintext model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use proptest::prelude::*;
use wugan_demo::city::{CATALOGUE, CityPlan, generate, install_roster};
use wugan_protocol::month::Month;
use wugan_tests::{
    model::compare_with_roster,
    sim::{Faults, Sim},
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn random_cities_agree_with_the_model(
        seed in 0_u64..1_000_000,
        people in 1_u64..60,
        records_per_person in 1_u64..40,
        offline in prop::sample::subsequence(MAY_BE_OFFLINE.to_vec(), 0..=3),
    ) {
        let plan = CityPlan { seed, rounds: 2, ..CityPlan::for_people(people) };
        let plan = CityPlan { records: people * records_per_person, ..plan };
        run(&plan, &offline, Faults::default());
    }

    #[test]
    fn crashes_and_cut_connections_change_nothing(seed in 0_u64..1_000_000, people in 1_u64..40) {
        let plan = CityPlan { seed, rounds: 2, ..CityPlan::for_people(people) };
        run(&plan, &[], Faults { crashes: 10, cuts: 10 });
    }
}

/// Runs a plan's rounds and compares each month's decisions.
fn run(plan: &CityPlan, offline: &[&str], faults: Faults) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    generate(plan, CATALOGUE, dir).unwrap();
    let months = plan.months().unwrap();
    let rosters: Vec<String> = months.iter().map(|month| format!("roster.{month}.csv")).collect();
    let away: Vec<String> = offline.iter().map(|id| (*id).to_owned()).collect();
    let mut sim = Sim::start(dir, &away, &rosters, plan.seed).unwrap();
    for month in &months {
        install_roster(dir, month, Some(month) == months.last()).unwrap();
        sim.round(month.parse::<Month>().unwrap(), &away, faults).unwrap();
        agrees(dir, month, offline);
    }
}

fn agrees(dir: &Path, month: &str, offline: &[&str]) {
    let roster = |department: &str| {
        let folder = dir.join("departments").join(department);
        let monthly = folder.join(format!("roster.{month}.csv"));
        if monthly.exists() { monthly } else { folder.join("roster.csv") }
    };
    let comparison = compare_with_roster(dir, month, offline, roster).unwrap();
    let differences: Vec<String> = comparison.differences.iter().take(10).map(ToString::to_string).collect();
    assert!(differences.is_empty(), "{month}: {differences:#?}");
}

/// Every department but those of the coordinator and the aggregator.
const MAY_BE_OFFLINE: [&str; 22] = [
    "public_security",
    "medical_insurance",
    "health",
    "civil_affairs",
    "transport",
    "agriculture",
    "rural_revitalisation",
    "tax",
    "veterans",
    "disabled_federation",
    "housing",
    "education",
    "justice",
    "market_regulation",
    "culture_tourism",
    "natural_resources",
    "forestry",
    "water",
    "finance",
    "financial_services",
    "power_supply",
    "grid_governance",
];
