//! Months pass: what was kept of a round is gone from every party, the log says so, and later rounds are as right as ever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use wugan_demo::city::{CATALOGUE, CityPlan, generate, install_roster};
use wugan_tests::{
    checks::agrees,
    sim::{Faults, Sim},
};

#[test]
fn after_its_time_nothing_of_a_round_is_left_but_the_log_and_the_owners_tables() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let plan = CityPlan { seed: 11, rounds: 2, ..CityPlan::for_people(40) };
    generate(&plan, CATALOGUE, dir).unwrap();
    let months = plan.months().unwrap();
    let rosters: Vec<String> = months.iter().map(|month| format!("roster.{month}.csv")).collect();
    let mut sim = Sim::start(dir, &[], &rosters, plan.seed).unwrap();
    for month in &months {
        install_roster(dir, month, Some(month) == months.last()).unwrap();
        sim.round(month.parse().unwrap(), &[], Faults::default()).unwrap();
        agrees(dir, month, &[]).unwrap();
        assert!(sim.kept().unwrap().len() > 100);
        sim.pass(39, Faults::default()).unwrap();
        assert!(sim.kept().unwrap().len() > 100, "39 days are not 40");
        sim.pass(2, Faults { crashes: 20, cuts: 20 }).unwrap();
        let decisions = |name: &String| name.contains("/coordinator: rounds/") && name.contains("/decisions-");
        let (left, others): (Vec<_>, Vec<_>) = sim.kept().unwrap().into_iter().partition(decisions);
        assert!(others.is_empty() && !left.is_empty(), "{others:#?}");
    }
    sim.pass(1_100, Faults::default()).unwrap();
    assert_eq!(sim.kept().unwrap(), Vec::<String>::new());

    let audited = sim.audit().unwrap();
    assert_eq!(audited.months, months);
    let of = |kind: &str| audited.deletions.iter().filter(|(_, _, of)| of == kind).count();
    // 24 nodes, matcher and aggregator; the coordinator; 10 owners, and sources whom they asked, in the first month.
    assert_eq!([of("files"), of("bits"), of("decisions")], [26 * 2, 2, 2]);
    assert!(of("batches") >= 10 && of("answers") >= 20);
}
