//! A federation of real processes whose members are killed at many moments of a round, and started again: everybody goes
//! on where they were.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use ring::digest::{SHA256, digest};
use wugan_demo::city::{CityPlan, generate, install_roster};
use wugan_protocol::party::{Party, Role};
use wugan_tests::{
    audit::{Audited, audit_city},
    checks::agrees,
    city::catalogue,
    cluster::Cluster,
    sim::Chance,
};
use wugan_transport::journal::Journal;

/// What the log must show before somebody is killed, and whose life is at stake. `owner` and `source` are drawn.
const MOMENTS: [(&str, &str); 12] = [
    ("\"type\":\"round_manifest\"", "source"),
    ("\"kind\":\"pool\"", "matcher"),
    ("\"type\":\"enrolment_batch\"", "owner"),
    ("\"type\":\"evaluation\"", "coordinator"),
    ("\"type\":\"evaluation\"", "source"),
    ("\"type\":\"list\"", "aggregator"),
    ("\"type\":\"list\"", "owner"),
    ("\"kind\":\"records\"", "matcher"),
    ("\"kind\":\"bitmap\"", "aggregator"),
    ("\"kind\":\"bits\"", "coordinator"),
    ("\"type\":\"decisions\"", "owner"),
    ("\"type\":\"round_closed\"", "coordinator"),
];

#[test]
fn whoever_is_killed_whenever_goes_on_where_it_was() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 % 1_000_000;
    let seed = std::env::var("CRASH_SEED").map_or(seed, |seed| seed.parse().unwrap());
    println!("CRASH_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let plan = CityPlan { seed, rounds: 2, records: 4_000, ..CityPlan::for_people(300) };
    generate(&plan, &catalogue(seed).0, dir).unwrap();
    let months = plan.months().unwrap();
    let rosters: Vec<String> = months.iter().map(|month| format!("roster.{month}.csv")).collect();
    let mut cluster = Cluster::start(dir, &rosters, env!("CARGO_BIN_EXE_federation")).unwrap();
    let mut reaper = Reaper { chance: Chance::new(seed), doomed: Vec::new(), dead: Vec::new(), asked: BTreeSet::new() };
    for (month, politely) in months.iter().zip([false, true]) {
        install_roster(dir, month, Some(month) == months.last()).unwrap();
        let (mut waiting, seen) = (MOMENTS.to_vec(), cluster.log().len());
        let round = cluster.round(month.parse().unwrap(), |cluster, log| {
            let log = log.get(seen..).unwrap_or_default();
            for (_, victim) in waiting.extract_if(.., |(moment, _)| log.contains(*moment)) {
                reaper.doom(cluster, victim);
            }
            reaper.reap(cluster, politely);
            Ok(())
        });
        round.unwrap();
        reaper.revive_all(&mut cluster);
        cluster.await_all().unwrap();
        println!("{month} ended");
    }
    stop(&mut cluster);
    months.iter().for_each(|month| agrees(dir, month, &[]).unwrap());
    let audited = audit_city(dir).unwrap();
    assert_eq!(audited.months, months);
    nobody_was_charged_twice(&audited, months.len());
    all_have_one_history(&cluster);
    every_file_is_the_one_announced(dir, &audited);
}

/// Kills and revives, at times that it draws.
struct Reaper {
    chance: Chance,
    doomed: Vec<(Instant, Party)>,
    dead: Vec<(Instant, Party)>,
    /// Who was asked to end.
    asked: BTreeSet<Party>,
}

impl Reaper {
    fn doom(&mut self, cluster: &Cluster, victim: &str) {
        let role = match victim {
            "matcher" => Role::Matcher,
            "aggregator" => Role::Aggregator,
            "coordinator" => Role::Coordinator,
            _ => Role::Node,
        };
        let mut parties = cluster.parties();
        parties.retain(|party| party.role == role);
        if victim == "owner" {
            parties.retain(|party| cluster.state(*party).join("../roster.csv").exists());
        }
        let party = parties[self.chance.below(parties.len() as u64) as usize];
        let time = self.soon(300);
        self.doomed.push((time, party));
    }

    fn reap(&mut self, cluster: &mut Cluster, politely: bool) {
        let now = Instant::now();
        for (_, party) in self.doomed.extract_if(.., |(time, _)| *time <= now).collect::<Vec<_>>() {
            // Whoever has only begun knows no signals yet.
            if cluster.pid(party).is_none() || politely && !self.asked.insert(party) {
                continue;
            }
            if politely {
                let status = cluster.terminate(party).unwrap();
                assert_eq!(status.code(), Some(0), "{} when asked to end", cluster.name(party));
            } else {
                cluster.kill(party).unwrap();
            }
            let time = self.soon(500);
            self.dead.push((time, party));
        }
        for (_, party) in self.dead.extract_if(.., |(time, _)| *time <= now) {
            cluster.start_one(party).unwrap();
        }
    }

    fn revive_all(&mut self, cluster: &mut Cluster) {
        self.doomed.clear();
        self.dead.drain(..).for_each(|(_, party)| cluster.start_one(party).unwrap());
    }

    fn soon(&mut self, most_ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(self.chance.below(most_ms))
    }
}

fn stop(cluster: &mut Cluster) {
    for party in cluster.parties() {
        let status = cluster.terminate(party).unwrap();
        assert_eq!(status.code(), Some(0), "{} when asked to end", cluster.name(party));
    }
}

/// The audit has found no batch evaluated twice. No batch was asked for twice either: an owner's newcomers of a month fit
/// into one.
fn nobody_was_charged_twice(audited: &Audited, months: usize) {
    let mut batches: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for charge in &audited.charges {
        *batches.entry((&charge.source, &charge.owner)).or_default() += 1;
    }
    assert!(!batches.is_empty());
    assert!(batches.values().all(|batches| *batches <= months), "{batches:?}");
}

/// Every member's copy of the log is a beginning of the coordinator's, and its plain file is the whole.
fn all_have_one_history(cluster: &Cluster) {
    let log = cluster.log();
    let log: Vec<&[u8]> = log.lines().map(str::as_bytes).collect();
    for party in cluster.parties() {
        let copy = Journal::open(&cluster.state(party).join("state.sqlite")).unwrap().log().unwrap();
        let whole = party.role != Role::Coordinator || copy.len() == log.len();
        let same = log.iter().zip(&copy).all(|(line, copy)| line == copy) && copy.len() <= log.len();
        assert!(same && whole && !copy.is_empty(), "{} has another history", cluster.name(party));
    }
}

/// A file that has its final name, wherever it is kept, is whole, and the one that the log announces.
fn every_file_is_the_one_announced(dir: &Path, audited: &Audited) {
    let mut files = 0;
    let departments = fs::read_dir(dir.join("departments")).unwrap().map(|entry| entry.unwrap().path().join("state"));
    let servers = ["matcher", "aggregator", "coordinator"].map(|server| dir.join(server));
    for round in departments.chain(servers).flat_map(|state| folders(&state.join("rounds"))) {
        let hash = round.file_name().unwrap().to_str().unwrap().to_owned();
        for path in folders(&round).into_iter().filter(|path| path.extension().is_none()) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let found = hex::encode(digest(&SHA256, &fs::read(&path).unwrap()));
            assert_eq!(audited.files.get(&(hash.clone(), name)), Some(&found), "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 100, "{files} files");
}

/// What lies in a folder, if there is one.
fn folders(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}
