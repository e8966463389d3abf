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
    let total = thread::scope(|scope| {
        let cities = || {
            let mut total = Total::default();
            while let seed = next.fetch_add(1, Ordering::Relaxed)
                && seed < CITIES
            {
                city(seed, &mut total);
            }
            total
        };
        let threads = 0..thread::available_parallelism().map_or(1, usize::from);
        let running: Vec<_> = threads.map(|_| scope.spawn(cities)).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).fold(Total::default(), Total::and)
    });
    println!("{total:?}");
    assert!(total.rounds > 100 && total.versions > 20 && total.void > 50 && total.away > 30 && total.entries > 5_000);
}

/// What the cities had.
#[derive(Debug, Default)]
struct Total {
    entries: u64,
    rounds: usize,
    void: usize,
    /// Departments that missed a round.
    away: usize,
    /// Later versions of the federation manifest, each with another policy.
    versions: usize,
}

impl Total {
    fn and(self, other: Total) -> Total {
        Total {
            entries: self.entries + other.entries,
            rounds: self.rounds + other.rounds,
            void: self.void + other.void,
            away: self.away + other.away,
            versions: self.versions + other.versions,
        }
    }
}

/// A city of three months, of which each may have had a round that was made void before, and departments away.
fn city(seed: u64, total: &mut Total) {
    let mut chance = Chance::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (mut policy, others) = catalogue(seed);
    let people = 1 + chance.below(40);
    let plan = CityPlan { seed, rounds: 3, records: people * 5, ..CityPlan::for_people(people) };
    generate(&plan, &policy, dir).unwrap();
    let months = plan.months().unwrap();
    let rosters: Vec<String> = months.iter().map(|month| format!("roster.{month}.csv")).collect();
    let faults = Faults { crashes: chance.below(20), cuts: chance.below(20) };
    let mut sim = Sim::start(dir, &[], &rosters, seed).unwrap();
    for month in &months {
        install_roster(dir, month, Some(month) == months.last()).unwrap();
        let away = some(&others, chance.below(may_be_missed(others.len()) as u64 + 1), &mut chance);
        sim.stay_away(&away).unwrap();
        if chance.below(2) == 0 {
            sim.void_round(month.parse().unwrap(), chance.below(200), faults).unwrap();
            total.void += 1;
        }
        sim.round(month.parse().unwrap(), &away, faults).unwrap_or_else(|error| panic!("city {seed}: {error}"));
        sim.pass(chance.below(50), faults).unwrap();
        if chance.below(3) == 0 {
            sim.stay_away(&[]).unwrap();
            policy += "\n# another policy\n";
            sim.adopt(&policy, faults).unwrap_or_else(|error| panic!("city {seed}: {error}"));
            total.versions += 1;
        }
        total.rounds += 1;
        total.away += away.len();
    }
    let report = verify(&sim.published().unwrap(), &authority(dir).unwrap().try_into().unwrap());
    assert!(report.findings.is_empty(), "city {seed}: {:#?}", report.findings);
    let counted: Vec<String> = report.months.iter().map(ToString::to_string).collect();
    assert_eq!(counted, months, "city {seed}");
    total.entries += report.entries;
}

/// Departments without which the rest still is a quorum; `others` are those besides the two of coordinator and aggregator.
fn may_be_missed(others: usize) -> usize {
    // With the matcher and without the coordinator's bureau there are as many members as departments.
    let members = others + 2;
    members - (members * 2 / 3 + 1)
}

/// So many of the departments.
fn some(departments: &[String], count: u64, chance: &mut Chance) -> Vec<String> {
    let mut left = departments.to_vec();
    (0..count).map(|_| left.swap_remove(chance.below(left.len() as u64) as usize)).collect()
}

const CITIES: u64 = 50;
