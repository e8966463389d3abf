//! Canaries: they come out as expected, deferred when a department is away, otherwise when a server lies; servers cannot
//! tell them from people.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use wugan_audit::{
    canaries::OfMonth,
    finding::{Finding, Rule},
    folder::{self, LogFiles},
    recompute::recompute,
    verify::{Options, Report, verify_with},
};
use wugan_demo::{
    canaries::write_plan,
    city::{CATALOGUE, CityPlan, generate, install_roster},
    layout::Layout,
};
use wugan_keys::{
    Custody, StorageKey,
    commands::{CANARY_LIST, canaries_issue, read_canaries},
};
use wugan_node::{canaries::RoundCanaries, check::check, vault::Vault};
use wugan_protocol::{
    canary::CanaryList,
    file::{FileKey, Header},
    hexes::sha256,
    party::{MemberNumber, Role},
    person::PersonId,
    policy::{Decision, Policy},
    text::{Language, Say},
};
use wugan_tests::{
    attack::{
        forger::Forger,
        genuine::{Entry, Genuine},
    },
    audit::{audit_city, authority},
    checks::agrees,
    sim::{Faults, Liar, Lie, Sim},
};
use wugan_transport::check::What;

#[test]
fn real_processes_decide_every_canary_as_expected_and_no_server_holds_one() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("city");
    let canaries = CANARIES.to_string();
    let arguments = ["--people", "300", "--seed", "16", "--rounds", "2", "--canaries", &canaries, "--out"];
    let output = Command::new(env!("CARGO_BIN_EXE_federation")).args(arguments).arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let city = City::of(&out);
    for month in MONTHS {
        agrees(&out, month, &[]).unwrap();
        city.table_is_of_canaries(month);
    }
    audit_city(&out).unwrap();
    let report = city.verify(&folder::read(&out.join("coordinator/log")).unwrap(), &[city.layout.canary_list()]);
    assert_eq!(report.findings, []);
    let all = |month: &str| OfMonth {
        month: month.parse().unwrap(),
        as_expected: u64::from(CANARIES),
        deferred: 0,
        other: 0,
    };
    assert_eq!(report.canaries, MONTHS.map(all));
    city.no_server_holds_one();
    city.what_has_canaries_can_be_computed_again("housing");
    city.what_has_canaries_can_be_computed_again("public_security");
}

#[test]
fn crashes_change_nothing_about_canaries() {
    let folder = tempfile::tempdir().unwrap();
    let city = City::make(folder.path(), 17);
    let mut sim = city.start(&[], Vec::new());
    for month in MONTHS {
        city.round(&mut sim, month, &[], Faults { crashes: 3, cuts: 3 });
        agrees(folder.path(), month, &[]).unwrap();
        city.table_is_of_canaries(month);
    }
    sim.audit().unwrap();
    let (files, list) = (sim.published().unwrap(), city.layout.canary_list());
    let report = city.verify(&files, std::slice::from_ref(&list));
    assert_eq!(report.findings, []);
    assert!(report.canaries.iter().all(|of| (of.as_expected, of.deferred, of.other) == (u64::from(CANARIES), 0, 0)));
    city.owners_must_tell_of_the_listed_ones(&files, list);
}

#[test]
fn canaries_that_a_missing_department_could_change_are_deferred_and_none_comes_out_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let city = City::make(folder.path(), 18);
    let away = ["power_supply", "culture_tourism"];
    let mut sim = city.start(&away, Vec::new());
    city.round(&mut sim, MONTHS[0], &away, Faults::default());
    agrees(folder.path(), MONTHS[0], &away).unwrap();
    let report = city.verify(&sim.published().unwrap(), &[city.layout.canary_list()]);
    assert_eq!(report.findings, []);
    let [of] = report.canaries[..] else { panic!("one month: {:?}", report.canaries) };
    assert!(of.as_expected > 0 && of.deferred > 0, "{of:?}");
    assert_eq!((of.other, of.as_expected + of.deferred), (0, u64::from(CANARIES)));
}

#[test]
fn a_server_that_makes_decisions_wrong_is_found() {
    let bits = Lie::Bytes(
        |file| matches!(file, FileKey::Bits { .. }),
        |bytes| {
            let matters = matters_of(bytes);
            bytes[Header::bytes(matters)..].fill(0);
        },
    );
    let bitmaps = Lie::Bytes(|file| matches!(file, FileKey::Bitmap { .. }), |bytes| bytes[Header::bytes(0)..].fill(0));
    let liars = [("data_resources", Role::Aggregator, bits), ("cyberspace_administration", Role::Matcher, bitmaps)];
    for (id, role, lie) in liars {
        let folder = tempfile::tempdir().unwrap();
        let city = City::make(folder.path(), 19);
        let mut sim = city.start(&[], vec![Liar { id: id.to_owned(), role, lie }]);
        city.round(&mut sim, MONTHS[0], &[], Faults::default());
        agrees(folder.path(), MONTHS[0], &[]).expect_err("decisions about people are wrong too");
        let report = city.verify(&sim.published().unwrap(), &[]);
        let owners: Vec<String> =
            city.policy.owners().map(|owner| format!("{}/node", city.policy.member_id(owner))).collect();
        assert_eq!(
            parties(&report.findings, Rule::CanaryOtherwise),
            owners.iter().map(String::as_str).collect(),
            "{id}"
        );
        assert!(report.canaries[0].other > 0, "{id}");
    }
}

#[test]
fn check_tells_canaries_that_are_somebody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let city = City::make(folder.path(), 20);
    install_roster(folder.path(), MONTHS[0], false).unwrap();
    city.start(&[], Vec::new());
    let path = fs::canonicalize(city.layout.canaries("health")).unwrap();
    let problem = || {
        let (findings, files) = check(&city.layout.config("health", Role::Node), MONTHS[0].parse().unwrap()).unwrap();
        assert!(files.iter().all(|file| file.error.is_none()));
        let what = What::File { path: path.clone() };
        let finding = findings.into_iter().find(|finding| finding.what == what).expect("canaries are tried");
        finding.problem.map(|problem| problem.said(Language::English))
    };
    assert_eq!(problem(), None);
    fs::copy(city.layout.canaries("water"), &path).unwrap();
    let wrong = problem().expect("somebody else's canaries");
    assert!(wrong.contains("it was issued for water, not for health"), "{wrong}");
}

#[test]
fn what_was_sealed_with_a_roster_stands_whatever_the_configuration_says_later() {
    let folder = tempfile::tempdir().unwrap();
    let city = City::make(folder.path(), 20);
    city.start(&[], Vec::new());
    let owner = city.policy.member_number("housing").unwrap();
    let canaries =
        read_canaries(&city.layout.canaries("housing"), &city.layout.authority_key(), &city.policy, owner).unwrap();
    let (vault, round) = (Vault::new(folder.path(), "sealed", &StorageKey::generate()), sha256(b"round"));
    assert!(RoundCanaries::load(&vault, round).unwrap().is_none());
    RoundCanaries::save(Some(&canaries), &vault, round).unwrap();
    let sealed = RoundCanaries::load(&vault, round).unwrap().unwrap();
    assert_eq!((sealed.document, &sealed.expected), (canaries.document(), canaries.expected()));
    // Read again after a crash, before there was a snapshot: now without canaries.
    RoundCanaries::save(None, &vault, round).unwrap();
    assert!(RoundCanaries::load(&vault, round).unwrap().is_none());
}

/// An owner never says that it has its decisions, and so need not tell what they are for its canaries.
#[test]
fn an_owner_that_keeps_silent_about_its_canaries_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let city = City::make(folder.path(), 17);
    let mut sim = city.start(&[], Vec::new());
    for month in MONTHS {
        city.round(&mut sim, month, &[], Faults::default());
    }
    let genuine = Genuine::of(folder.path(), sim.log());
    let forger = Forger { genuine: &genuine };
    let lines = forger.changed(|body| {
        let tells = body["type"] == "canaries" || body["of"] == "decisions";
        !(tells && body["sender"] == "housing")
    });
    let bodies: Vec<Value> =
        lines.iter().map(|line| serde_json::from_slice::<Value>(line).unwrap()["body"].take()).collect();
    let at = |kind: &str| bodies.iter().rposition(|body| body["type"] == kind).unwrap();
    let (next, closed) = (at("round_manifest"), bodies[at("round_closed")]["time"].as_u64().unwrap());
    let (files, list) = (forger.published(&lines), [city.layout.canary_list()]);
    let found = |now: Option<u64>| {
        let findings = city.verify_at(&files, &list, now).findings;
        assert_eq!(parties(&findings, Rule::CanaryUntold), BTreeSet::from(["housing/node"]), "{findings:?}");
        findings.into_iter().map(|finding| (finding.rule, finding.entry)).collect::<Vec<_>>()
    };
    let silent = |entry| (Rule::CanaryUntold, entry);
    assert_eq!(found(None), [silent(Some(next as u64))], "the last round's decisions may be under way");
    assert_eq!(found(Some(closed + 86_400)), [silent(Some(next as u64))]);
    assert_eq!(found(Some(closed + 86_401)), [silent(Some(next as u64)), silent(None)]);
}

#[test]
fn an_owners_word_about_its_canaries_is_computed_again() {
    let folder = tempfile::tempdir().unwrap();
    let city = City::make(folder.path(), 19);
    let mut sim = city.start(&["power_supply"], Vec::new());
    city.round(&mut sim, MONTHS[0], &["power_supply"], Faults::default());
    let (genuine, owner) = (Genuine::of(folder.path(), sim.log()), "housing");
    let forger = Forger { genuine: &genuine };
    let (home, keys) = (city.layout.state(owner, Role::Node), city.layout.keys(owner, Role::Node));
    let found = |lines: &[Vec<u8>]| {
        let (log, month) = (forger.published(lines), MONTHS[0].parse().unwrap());
        let again = recompute(&log, &genuine.authority, month, &home, &keys, &Custody::key_files()).unwrap();
        again.findings.into_iter().map(|finding| (finding.rule, finding.entry)).collect::<Vec<_>>()
    };
    assert_eq!(found(&genuine.lines()), []);
    let told = |entry: &Entry| entry.body["type"] == "canaries" && entry.body["sender"] == owner;
    let entry = genuine.entries.iter().position(told).map(|place| place as u64);
    let lied = forger.changed(|body| {
        if body["type"] == "canaries" && body["sender"] == owner {
            body["as_expected"] = (body["as_expected"].as_u64().unwrap() - 1).into();
            body["deferred"] = (body["deferred"].as_u64().unwrap() + 1).into();
        }
        true
    });
    assert_eq!(found(&lied), [(Rule::CanariesFalse, entry)]);
    let mut sealed = fs::read_dir(home.join("sealed")).unwrap().map(|file| file.unwrap().path());
    let sealed = sealed.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("canaries-")).unwrap();
    let mut changed = fs::read(&sealed).unwrap();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&sealed, changed).unwrap();
    assert_eq!(found(&genuine.lines()), [(Rule::SealedDamaged, None)]);
    fs::remove_file(&sealed).unwrap();
    assert_eq!(found(&genuine.lines()), [(Rule::SealedMissing, None)]);
}

/// A city with canaries at every matter.
struct City {
    layout: Layout,
    policy: Policy,
}

impl City {
    fn of(dir: &Path) -> City {
        City { layout: Layout::new(dir), policy: Policy::read(CATALOGUE.as_bytes()).unwrap() }
    }

    fn make(dir: &Path, seed: u64) -> City {
        let city = City::of(dir);
        generate(&CityPlan { seed, rounds: 2, ..CityPlan::for_people(60) }, CATALOGUE, dir).unwrap();
        write_plan(&city.layout, &city.policy, CANARIES).unwrap();
        city
    }

    fn start(&self, offline: &[&str], liars: Vec<Liar>) -> Sim {
        let rosters = MONTHS.map(|month| format!("roster.{month}.csv"));
        Sim::start_with(self.layout.root(), &owned(offline), &rosters, liars, 5).unwrap()
    }

    /// A round, until everybody has cosigned it.
    fn round(&self, sim: &mut Sim, month: &str, offline: &[&str], faults: Faults) {
        install_roster(self.layout.root(), month, month == MONTHS[1]).unwrap();
        sim.round(month.parse().unwrap(), &owned(offline), faults).unwrap();
        sim.pass(0, Faults::default()).unwrap();
    }

    fn verify(&self, files: &LogFiles, lists: &[PathBuf]) -> Report {
        self.verify_at(files, lists, None)
    }

    fn verify_at(&self, files: &LogFiles, lists: &[PathBuf], now: Option<u64>) -> Report {
        let key = authority(self.layout.root()).unwrap().try_into().unwrap();
        let read = |path: &PathBuf| CanaryList::read(&fs::read(path).unwrap(), &key).unwrap();
        let lists: Vec<CanaryList> = lists.iter().map(read).collect();
        let options = Options { canaries: &lists, now };
        verify_with(files, &key, &options, &mut |_, _| {}).0
    }

    /// A list of other canaries, issued later, is one that nobody tells of, from its month on.
    fn owners_must_tell_of_the_listed_ones(&self, files: &LogFiles, list: PathBuf) {
        let (authority, plan) = (self.layout.authority(), self.layout.canary_plan());
        let (out, from) = (self.layout.root().join("later"), MONTHS[1].parse().unwrap());
        canaries_issue(&authority, &self.layout.catalogue(), &plan, from, &out, &Custody::key_files()).unwrap();
        let lists = [out.join(CANARY_LIST), list];
        let report = self.verify(files, &lists);
        assert_eq!(parties(&report.findings, Rule::CanaryUntold).len(), self.policy.owners().count());
        assert!(
            report.findings.iter().all(|finding| finding.detail.to_string().starts_with(MONTHS[1])),
            "{:?}",
            report.findings
        );
    }

    fn canaries(&self) -> BTreeSet<PersonId> {
        let read = |member: MemberNumber| {
            let path = self.layout.canaries(self.policy.member_id(member));
            let read = path.exists().then(|| read_canaries(&path, &self.layout.authority_key(), &self.policy, member));
            read.map(Result::unwrap)
        };
        let all = (0..self.policy.matcher_number()).filter_map(read);
        all.flat_map(|canaries| canaries.expected().keys().map(|(person, _)| *person).collect::<Vec<_>>()).collect()
    }

    /// Every owner's table of canaries has each of them, and its table of people has none.
    fn table_is_of_canaries(&self, month: &str) {
        let canaries = self.canaries();
        assert_eq!(canaries.len(), usize::from(CANARIES));
        let (mut lines, mut decisions) = (0_u64, BTreeSet::new());
        for owner in self.policy.owners() {
            let id = self.policy.member_id(owner);
            let people = fs::read_to_string(self.layout.decisions(id, month)).unwrap();
            assert!(canaries.iter().all(|canary| !people.contains(&canary.to_canonical_string())), "{id}");
            let mut table = csv::Reader::from_path(self.layout.canary_decisions(id, month)).unwrap();
            assert_eq!(table.headers().unwrap(), vec!["person", "matter", "expected", "decision"]);
            for line in table.records().map(Result::unwrap) {
                assert!(canaries.contains(&PersonId::parse(&line[0]).unwrap().0));
                assert_eq!(line[2], line[3], "{id}");
                decisions.insert(line[3].to_owned());
                lines += 1;
            }
        }
        assert_eq!(lines, u64::from(CANARIES));
        let all =
            [Decision::Certified, Decision::Unmatched, Decision::Suspected].map(|decision| decision.name().to_owned());
        assert_eq!(decisions, BTreeSet::from(all), "the plan has something of each");
    }

    fn what_has_canaries_can_be_computed_again(&self, id: &str) {
        let key = authority(self.layout.root()).unwrap().try_into().unwrap();
        let log = folder::read(&self.layout.state("", Role::Coordinator).join("log")).unwrap();
        let (home, keys) = (self.layout.state(id, Role::Node), self.layout.keys(id, Role::Node));
        let again = recompute(&log, &key, MONTHS[1].parse().unwrap(), &home, &keys, &Custody::key_files()).unwrap();
        assert!(again.findings.is_empty() && again.outputs > 0, "{id}: {:?}", again.findings);
    }

    /// ID numbers as text and packed: nowhere with the servers, but found where they are.
    fn no_server_holds_one(&self) {
        let canaries = self.canaries();
        let holds = |path: &PathBuf| {
            let bytes = fs::read(path).unwrap();
            let found = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
            canaries.iter().any(|canary| {
                let (packed, text) = (canary.to_u64(), canary.canonical());
                found(&text[..17]) || found(&packed.to_be_bytes()) || found(&packed.to_le_bytes())
            })
        };
        for server in [Role::Matcher, Role::Aggregator, Role::Coordinator] {
            let files = files_below(&self.layout.state("", server));
            assert!(files.len() > 10, "{} has files", server.name());
            assert_eq!(files.iter().find(|path| holds(path)), None);
        }
        let departments = files_below(&self.layout.root().join("departments"));
        let holders = departments.iter().filter(|path| path.iter().any(|part| part == "canaries") && holds(path));
        assert_eq!(holders.count(), MONTHS.len() * self.policy.owners().count());
    }
}

/// Whose entries broke a rule.
fn parties(findings: &[Finding], rule: Rule) -> BTreeSet<&str> {
    findings.iter().filter(|finding| finding.rule == rule).filter_map(|finding| finding.party.as_deref()).collect()
}

/// As many numbers of rows after the count as add up to it. Further ones are zero.
fn matters_of(bytes: &[u8]) -> usize {
    let count = u64::from_le_bytes(bytes[32..40].try_into().unwrap());
    let mut sum = 0;
    let numbers = bytes[40..].as_chunks::<4>().0.iter();
    let more = numbers.take_while(|rows| {
        let before = sum;
        sum += u64::from(u32::from_le_bytes(**rows));
        before < count
    });
    more.count()
}

fn owned(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) =
        entries.filter(|path| path.is_dir() || path.is_file()).partition(|path| path.is_dir());
    files.into_iter().chain(folders.iter().flat_map(|folder| files_below(folder))).collect()
}

const MONTHS: [&str; 2] = ["2026-06", "2026-07"];
/// Each at one matter: two at each of the seed city's.
const CANARIES: u16 = 48;
