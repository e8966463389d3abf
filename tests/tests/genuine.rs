//! Genuine logs never alarm: those of random cities of random policies, with nodes away, crashes, cut connections and rounds
//! that were made void.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use wugan_audit::verify::verify;
use wugan_demo::city::{CityPlan, generate, install_roster};
use wugan_tests::{
    audit::authority,
    city::catalogue,
    sim::{Chance, Faults, Sim},
};

#[test]
fn the_logs_of_fifty_random_cities_verify_without_a_finding() {
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed < CITIES
                {
                    city(seed);
                }
            });
        }
    });
}

/// A city of three months, of which each may have had a round that was made void before, and departments away.
fn city(seed: u64) {
    let mut chance = Chance::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (catalogue, may_be_away) = catalogue(seed);
    let people = 1 + chance.below(40);
    let plan = CityPlan { seed, rounds: 3, records: people * 5, ..CityPlan::for_people(people) };
    generate(&plan, &catalogue, dir).unwrap();
    let months = plan.months().unwrap();
    let rosters: Vec<String> = months.iter().map(|month| format!("roster.{month}.csv")).collect();
    let faults = Faults { crashes: chance.below(20), cuts: chance.below(20) };
    let mut sim = Sim::start(dir, &[], &rosters, seed).unwrap();
    for month in &months {
        install_roster(dir, month, Some(month) == months.last()).unwrap();
        let away =
            may_be_away.iter().skip(chance.below(4) as usize).take(chance.below(may_be_away.len() as u64 / 2) as usize);
        let away: Vec<String> = away.cloned().collect();
        sim.stay_away(&away).unwrap();
        if chance.below(2) == 0 {
            sim.void_round(month.parse().unwrap(), chance.below(200), faults).unwrap();
        }
        sim.round(month.parse().unwrap(), &away, faults).unwrap_or_else(|error| panic!("city {seed}: {error}"));
        sim.pass(chance.below(50), faults).unwrap();
    }
    let report = verify(&sim.published().unwrap(), &authority(dir).unwrap().try_into().unwrap());
    assert!(report.findings.is_empty(), "city {seed}: {:#?}", report.findings);
    let counted: Vec<String> = report.months.iter().map(ToString::to_string).collect();
    assert_eq!(counted, months, "city {seed}");
}

const CITIES: u64 = 50;
