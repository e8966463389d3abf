//! Random small cities through the programs' own engines in one thread, with crashes and cut connections, compared with
//! the plaintext model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use proptest::prelude::*;
use wugan_demo::city::{CATALOGUE, CityPlan, generate, install_roster};
use wugan_protocol::month::Month;
use wugan_tests::{
    checks::agrees,
    city::catalogue,
    sim::{Faults, Sim},
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn random_cities_of_random_policies_agree_with_the_model(
        seed in 0_u64..1_000_000,
        people in 1_u64..200,
        records_per_person in 1_u64..40,
        away in 0_usize..4,
    ) {
        let (catalogue, may_be_away) = catalogue(seed);
        let plan = CityPlan { seed, rounds: 2, ..CityPlan::for_people(people) };
        let plan = CityPlan { records: people * records_per_person, ..plan };
        let offline: Vec<&str> = may_be_away.iter().map(String::as_str).take(away).collect();
        run(&catalogue, &plan, &offline, Faults::default());
    }

    #[test]
    fn crashes_after_any_command_and_cut_connections_change_nothing(
        seed in 0_u64..1_000_000,
        people in 1_u64..200,
        crashes in 1_u64..40,
        cuts in 0_u64..20,
    ) {
        let plan = CityPlan { seed, rounds: 2, ..CityPlan::for_people(people) };
        run(&catalogue(seed).0, &plan, &[], Faults { crashes, cuts });
    }
}

#[test]
fn the_seed_city_agrees_with_the_model_through_crashes_with_departments_away() {
    let plan = CityPlan { seed: 3, rounds: 2, ..CityPlan::for_people(60) };
    run(CATALOGUE, &plan, &["public_security", "power_supply"], Faults { crashes: 5, cuts: 5 });
}

#[test]
fn a_second_round_does_no_curve_arithmetic_for_known_people() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let plan = CityPlan { seed: 5, ..CityPlan::for_people(40) };
    generate(&plan, CATALOGUE, dir).unwrap();
    install_roster(dir, "2026-06", true).unwrap();
    date_every_record(&dir.join("departments"), "2026-05-31");
    let rosters = ["roster.csv".to_owned(), "roster.csv".to_owned()];
    let mut sim = Sim::start(dir, &[], &rosters, 5).unwrap();
    let rounds = ["2026-06", "2026-07"].map(|month| {
        sim.round(month.parse().unwrap(), &[], Faults::default()).unwrap();
        agrees(dir, month, &[]).unwrap();
        sim.audit().unwrap();
        (sim.evaluated(), statements(&sim.log(), "enrolment_batch"))
    });
    assert!(rounds[0].0 > 0 && rounds[0].1 > 0, "the first round evaluates everybody");
    assert_eq!(rounds[1], rounds[0], "the second round evaluates and enrols nobody");
}

/// Runs a plan's rounds and compares each month's decisions.
fn run(catalogue: &str, plan: &CityPlan, offline: &[&str], faults: Faults) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    generate(plan, catalogue, dir).unwrap();
    let months = plan.months().unwrap();
    let rosters: Vec<String> = months.iter().map(|month| format!("roster.{month}.csv")).collect();
    let away: Vec<String> = offline.iter().map(|id| (*id).to_owned()).collect();
    let mut sim = Sim::start(dir, &away, &rosters, plan.seed).unwrap();
    for month in &months {
        install_roster(dir, month, Some(month) == months.last()).unwrap();
        sim.round(month.parse::<Month>().unwrap(), &away, faults).unwrap();
        agrees(dir, month, offline).unwrap();
    }
    assert_eq!(sim.audit().unwrap().months, months);
}

/// Puts one date on every row of every channel, so that a later month has nobody whom the earlier one had not.
fn date_every_record(departments: &Path, date: &str) {
    for department in std::fs::read_dir(departments).unwrap() {
        let channels = department.unwrap().path().join("channels");
        for channel in std::fs::read_dir(&channels).into_iter().flatten() {
            let path = channel.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let mut lines = text.lines();
            let mut dated = format!("{}\n", lines.next().unwrap());
            for (person, _) in lines.filter_map(|line| line.rsplit_once(',')) {
                dated.push_str(&format!("{person},{date}\n"));
            }
            std::fs::write(&path, dated).unwrap();
        }
    }
}

fn statements(log: &[Vec<u8>], kind: &str) -> usize {
    let of_kind = |line: &&Vec<u8>| serde_json::from_slice::<serde_json::Value>(line).unwrap()["body"]["type"] == kind;
    log.iter().filter(of_kind).count()
}
