//! Between two rounds the federation manifest gets its next version, with another policy: a federation of real processes
//! goes on under it, and an auditor follows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use wugan_audit::{
    folder::{self, LogFiles},
    verify::verify,
};
use wugan_coordinator::admin::{Client, Refusal, Request, Response};
use wugan_demo::{
    city::{CityPlan, generate, install_roster},
    layout::Layout,
    setup,
};
use wugan_keys::{
    Custody,
    commands::{self, CATALOGUE, Change, MANIFEST, federation_confirm, identity_new, read_versions},
};
use wugan_protocol::{
    manifest::Federation,
    party::{Party, Role},
    policy::Policy,
    text::Language,
};
use wugan_tests::{
    audit::audit_city,
    checks::agrees,
    cluster::Cluster,
    sim::{Faults, Sim},
    version::sign_next,
};

/// The first version has a department `forestry`, which leaves; `tourism` joins in the second, and so the matcher's number
/// is another one. `health` gets a new identity, and a weak trace is enough.
const SMALL: &str = include_str!("../../protocol/src/testing/catalogue.toml");

#[test]
fn a_federation_goes_on_under_another_version_of_its_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let plan = CityPlan { seed: 18, rounds: 2, records: 2_000, ..CityPlan::for_people(200) };
    let all = [SMALL, &department("forestry", false), &department("tourism", false), &channels(true, true)].concat();
    generate(&plan, &all, dir).unwrap();
    fs::write(dir.join("catalogue.toml"), first()).unwrap();
    let months = plan.months().unwrap();
    let rosters: Vec<String> = months.iter().map(|month| format!("roster.{month}.csv")).collect();
    let mut cluster = Cluster::start(dir, &rosters, env!("CARGO_BIN_EXE_federation")).unwrap();
    install_roster(dir, &months[0], false).unwrap();
    cluster.round(months[0].parse().unwrap(), |_, _| Ok(())).unwrap();
    agrees(dir, &months[0], &[]).unwrap();

    let next = Next::make(&cluster);
    assert!(matches!(ask(&cluster), Refusal::NoVersion { version: 1 }));
    next.confirm();
    let forestry = cluster.party("forestry", Role::Node).unwrap();
    cluster.terminate(forestry).unwrap();
    // Whoever knows the version may use its new identity already, and only follows the log.
    let (coordinator, health) = (cluster.federation().coordinator(), cluster.party("health", Role::Node).unwrap());
    for party in [coordinator, health] {
        cluster.terminate(party).unwrap();
        cluster.start_one(party).unwrap();
    }
    adopt(&cluster);
    cluster.renew(next.federation.clone()).unwrap();
    cluster.start_one(cluster.party("tourism", Role::Node).unwrap()).unwrap();
    cluster.await_all().unwrap();
    install_roster(dir, &months[1], true).unwrap();
    cluster.round(months[1].parse().unwrap(), |_, _| Ok(())).unwrap();
    for party in cluster.parties() {
        cluster.terminate(party).unwrap();
    }

    agrees(&next.as_city(dir), &months[1], &[]).unwrap();
    agrees(&next.as_city(dir), &months[0], &[]).expect_err("another policy decides otherwise");
    assert_eq!(audit_city(dir).unwrap().months, months);
    is_in_order(dir, &months);
}

/// The auditor's tool finds nothing, and something once a policy is missing, changed, or too many.
fn is_in_order(dir: &Path, months: &[String]) {
    let authority: [u8; 32] = wugan_tests::audit::authority(dir).unwrap().try_into().unwrap();
    let files = folder::read(&dir.join("coordinator/log")).unwrap();
    let report = verify(&files, &authority);
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    assert_eq!(report.months.iter().map(ToString::to_string).collect::<Vec<_>>(), months);
    let [version] = &report.versions[..] else { panic!("{:?}", report.versions) };
    let (told, chinese) = (version.lines(Language::English), version.lines(Language::Chinese));
    let (told, chinese) = (told.collect::<Vec<_>>().join("\n"), chinese.collect::<Vec<_>>().join("\n"));
    assert!(told.contains("version 2") && told.contains("tourism/node joins") && told.contains("forestry/node leaves"));
    assert!(chinese.contains("health/node：更换身份") && chinese.lines().count() == 1 + version.changes.len());
    let found = |change: fn(&mut LogFiles)| {
        let mut files = files.clone();
        change(&mut files);
        !verify(&files, &authority).findings.is_empty()
    };
    assert!(found(|log| drop(log.files.remove("catalogue.2.toml").unwrap())));
    assert!(found(|log| log.files.get_mut("catalogue.2.toml").unwrap().push(b'\n')));
    assert!(found(|log| drop(log.files.insert("catalogue.3.toml".into(), second().into()))));
}

/// The second version, signed.
struct Next {
    layout: Layout,
    manifest: PathBuf,
    catalogue: PathBuf,
    federation: Federation,
}

impl Next {
    fn make(cluster: &Cluster) -> Next {
        let (layout, custody) = (cluster.layout().clone(), Custody::key_files());
        let [manifest, catalogue] = [MANIFEST, CATALOGUE].map(|name| layout.root().join("second").join(name));
        let policy = Policy::read(second().as_bytes()).unwrap();
        fs::remove_file(layout.cards().join("forestry-node.card.json")).unwrap();
        fs::remove_file(layout.cards().join("health-node.card.json")).unwrap();
        // A new identity goes with the storage key and the epochs that are there.
        let (old, new) = (layout.keys("health", Role::Node), layout.state("health", Role::Node).join("keys-2"));
        fs::create_dir(&new).unwrap();
        for file in fs::read_dir(&old).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            if name.starts_with("storage") || name.starts_with("epoch") || name.starts_with("announcement") {
                fs::copy(&file, new.join(name)).unwrap();
            }
        }
        let config = layout.config("health", Role::Node);
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, text.replace("/keys\"", "/keys-2\"")).unwrap();
        for (id, keys) in [("health", new), ("tourism", layout.keys("tourism", Role::Node))] {
            let card = identity_new(&keys, id, Role::Node, "", &custody).unwrap();
            fs::copy(card.path(&keys), card.path(&layout.cards())).unwrap();
        }
        let federation =
            sign_next(layout.root(), &layout.manifest(), &second(), &layout.root().join("second")).unwrap();
        let tourism = Party { member: policy.member_number("tourism").unwrap(), role: Role::Node };
        setup::configure(&layout, &policy, tourism).unwrap();
        let (keys, key) = (layout.keys("tourism", Role::Node), layout.authority_key());
        commands::epoch_new(&keys, "tourism", &manifest, &catalogue, &key, &custody, 1).unwrap();
        Next { layout, manifest, catalogue, federation }
    }

    /// One folder serves all members here.
    fn confirm(&self) {
        let (first, policy, key) = (self.layout.manifest(), self.layout.catalogue(), self.layout.authority_key());
        let versions = self.layout.root().join("versions");
        let confirmed = || read_versions(&first, &policy, &key, &versions).unwrap();
        let mut told = Vec::new();
        let refused = federation_confirm(confirmed(), &versions, &self.manifest, &self.catalogue, |_, changes| {
            told = changes.to_vec();
            Ok(false)
        });
        assert_eq!((refused.unwrap(), versions.exists()), (None, false));
        let has = |what: &dyn Fn(&Change) -> bool| assert!(told.iter().any(what), "{told:#?}");
        has(&|change| matches!(change, Change::Policy { .. }));
        has(&|change| matches!(change, Change::Joins { party, .. } if party == "tourism/node"));
        has(&|change| matches!(change, Change::Leaves { party } if party == "forestry/node"));
        has(&|change| matches!(change, Change::Keys { party, .. } if party == "health/node"));
        has(&|change| *change == Change::Disclosures { before: 10, now: 3 });
        assert_eq!(told.len(), 5, "{told:#?}");
        let done = federation_confirm(confirmed(), &versions, &self.manifest, &self.catalogue, |_, _| Ok(true));
        assert_eq!(done.unwrap(), Some(versions.join("2")));
        assert_eq!(confirmed().last().hash(), self.federation.hash());
    }

    /// The city as the second version's policy sees it.
    fn as_city(&self, dir: &Path) -> PathBuf {
        let city = dir.join("as-city-2");
        if !city.exists() {
            fs::create_dir(&city).unwrap();
            fs::copy(&self.catalogue, city.join("catalogue.toml")).unwrap();
            symlink(dir.join("departments"), city.join("departments")).unwrap();
        }
        city
    }
}

/// The staff asks until the coordinator has heard from somebody and can do it.
fn adopt(cluster: &Cluster) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = Client::new(cluster.layout().admin()).ask(&Request::Adopt {});
        match answer {
            Ok(Response::Done { .. }) => return,
            answer => assert!(Instant::now() < until, "{answer:?}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn ask(cluster: &Cluster) -> Refusal {
    match Client::new(cluster.layout().admin()).ask(&Request::Adopt {}).unwrap() {
        Response::Refused { refusal } => refusal,
        answer => panic!("{answer:?}"),
    }
}

fn first() -> String {
    [SMALL, &department("forestry", false), &channels(true, false)].concat()
}

fn second() -> String {
    let text = [SMALL, &department("forestry", true), &department("tourism", false), &channels(false, true)].concat();
    text.replace("at_least = { weak_positive = 2 }", "at_least = { weak_positive = 1 }")
}

fn department(id: &str, left: bool) -> String {
    let left = if left { "left = true\n" } else { "" };
    format!("\n[[department]]\nid = \"{id}\"\nname_zh = \"\"\nname_en = \"\"\nroster_owner = false\n{left}")
}

fn channels(permits: bool, visits: bool) -> String {
    let channel = |number: u16, id: &str, department: &str, strength: &str| {
        format!(
            "\n[[channel]]\nnumber = {number}\nid = \"{id}\"\ndepartment = \"{department}\"\nname_zh = \"\"\nname_en = \"\"\n\
             polarity = \"positive\"\nstrength = \"{strength}\"\nwindow_days = 365\nrecords = 10\n"
        )
    };
    let permits = permits.then(|| channel(11, "permits", "forestry", "strong"));
    let visits = visits.then(|| channel(12, "visits", "tourism", "strong"));
    permits.into_iter().chain(visits).collect()
}

#[test]
fn policies_of_both_versions_are_accepted() {
    let policy = |text: String| Arc::new(Policy::read(text.as_bytes()).unwrap());
    let (one, two) = (policy(first()), policy(second()));
    assert_eq!(one.member_number("forestry"), two.member_number("forestry"));
    assert_ne!(one.matcher_number(), two.matcher_number());
}

#[test]
fn a_version_that_was_changed_dropped_repeated_or_moved_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let plan = CityPlan { seed: 7, rounds: 2, records: 100, ..CityPlan::for_people(20) };
    generate(&plan, SMALL, dir).unwrap();
    let months = plan.months().unwrap();
    let rosters: Vec<String> = months.iter().map(|month| format!("roster.{month}.csv")).collect();
    let mut sim = Sim::start(dir, &[], &rosters, 7).unwrap();
    for month in &months {
        install_roster(dir, month, Some(month) == months.last()).unwrap();
        sim.round(month.parse().unwrap(), &[], Faults::default()).unwrap();
        if month == &months[0] {
            sim.pass(1, Faults::default()).unwrap();
            sim.adopt(&[SMALL, "# another\n"].concat(), Faults::default()).unwrap();
        }
    }
    let (lines, authority) = (sim.log(), wugan_tests::audit::authority(dir).unwrap().try_into().unwrap());
    let found = |lines: &[Vec<u8>]| !verify(&sim.published_as(lines).unwrap(), &authority).findings.is_empty();
    assert!(!found(&lines));
    let is_version = |line: &Vec<u8>| String::from_utf8_lossy(line).contains("federation_manifest");
    let place = lines.iter().rposition(is_version).unwrap();
    let mut mutants = 0;
    let mut must_be_found = |lines: Vec<Vec<u8>>, what: &str| {
        mutants += 1;
        assert!(found(&lines), "{what}");
    };
    let without = [&lines[..place], &lines[place + 1..]].concat();
    must_be_found(without.clone(), "dropped");
    for to in (0..=without.len()).filter(|to| *to != place) {
        let mut moved = without.clone();
        moved.insert(to, lines[place].clone());
        // Between the end of a round and the next one, whoever had stated something in between had named a version.
        let between = without[to.min(place)..to.max(place)].iter().all(|line| !rests_on_a_version(line));
        if !between {
            must_be_found(moved, &format!("moved from {place} to {to}"));
        }
        let mut repeated = lines.clone();
        repeated.insert(to, lines[place].clone());
        must_be_found(repeated, &format!("repeated at {to}"));
    }
    for byte in 0..lines[place].len() {
        let mut changed = lines.clone();
        changed[place][byte] ^= 1;
        must_be_found(changed, &format!("byte {byte}"));
    }
    println!("{mutants} mutants of a version");
}

/// Whether what a line states is judged by the version in force before it.
fn rests_on_a_version(line: &[u8]) -> bool {
    let entry: serde_json::Value = serde_json::from_slice(line).unwrap();
    !["cosignature", "receipt", "deletion"].contains(&entry["body"]["type"].as_str().unwrap())
}
