//! A whole small round through the programs' own engines: cold (everybody is new) and in the second month.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use wugan_demo::city::{CATALOGUE, CityPlan, generate, install_roster};
use wugan_protocol::month::Month;
use wugan_tests::sim::{Faults, Sim};

/// A city in a folder of its own, its federation, and its months.
struct City {
    sim: Sim,
    months: Vec<Month>,
    folder: tempfile::TempDir,
}

fn city() -> City {
    let folder = tempfile::tempdir().unwrap();
    let plan = CityPlan { rounds: 2, ..CityPlan::for_people(300) };
    generate(&plan, CATALOGUE, folder.path()).unwrap();
    let months = plan.months().unwrap();
    let rosters: Vec<String> = months.iter().map(|month| format!("roster.{month}.csv")).collect();
    let sim = Sim::start(folder.path(), &[], &rosters, 1).unwrap();
    City { sim, months: months.iter().map(|month| month.parse().unwrap()).collect(), folder }
}

fn round(city: &mut City, month: usize) {
    let last = month + 1 == city.months.len();
    install_roster(city.folder.path(), &city.months[month].to_string(), last).unwrap();
    city.sim.round(city.months[month], &[], Faults::default()).unwrap();
}

fn rounds(c: &mut Criterion) {
    let mut group = c.benchmark_group("round of 300 people, 24 departments");
    group.sample_size(10);
    group.bench_function("cold", |b| b.iter_batched(city, |mut city| round(&mut city, 0), BatchSize::PerIteration));
    let second = || {
        let mut city = city();
        round(&mut city, 0);
        city
    };
    group.bench_function("second month", |b| {
        b.iter_batched(second, |mut city| round(&mut city, 1), BatchSize::PerIteration)
    });
    group.finish();
}

criterion_group!(benches, rounds);
criterion_main!(benches);
