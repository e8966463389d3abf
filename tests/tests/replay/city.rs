//! A simulated federation whose homes are looked at.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use wugan_audit::{
    finding::{Finding, Rule},
    folder::LogFiles,
    recompute::{CannotRecompute, recompute},
    replay::{At, CannotReplay, Replayed, replay},
};
use wugan_demo::{
    city::{CityPlan, generate, install_roster},
    layout::Layout,
};
use wugan_keys::{Custody, StorageKey, seal::SealedReader};
use wugan_protocol::{
    at_rest::{DATABASE, SEALED},
    engine::Fact,
    file::FileKey,
    hexes::{Digest, sha256},
    month::Month,
    party::Role,
    statement::Announcement,
};
use wugan_tests::{
    attack::{forger::Forger, genuine::Genuine},
    city::catalogue,
    sim::{Chance, Faults, Liar, Sim},
};
use wugan_transport::journal::Journal;

/// A city after its rounds.
pub(crate) struct City {
    folder: tempfile::TempDir,
    pub(crate) sim: Sim,
    pub(crate) genuine: Genuine,
    pub(crate) months: Vec<Month>,
    layout: Layout,
}

/// What a city's rounds are.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) people: u64,
    pub(crate) rounds: u32,
    /// How many departments have no node.
    pub(crate) away: usize,
    /// Days that pass after each round.
    pub(crate) days: u64,
}

impl City {
    pub(crate) fn new(plan: &Plan) -> City {
        City::lying(plan, Vec::new())
    }

    pub(crate) fn lying(plan: &Plan, liars: Vec<Liar>) -> City {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let (catalogue, may_be_away) = catalogue(plan.seed);
        let of_city = CityPlan { seed: plan.seed, rounds: plan.rounds, ..CityPlan::for_people(plan.people) };
        generate(&of_city, &catalogue, dir).unwrap();
        let months = of_city.months().unwrap();
        let away = &may_be_away[..plan.away];
        let rosters: Vec<String> = months.iter().map(|month| format!("roster.{month}.csv")).collect();
        // Whoever was not heard is asked again after a connection was cut.
        let faults = Faults { crashes: 0, cuts: if liars.is_empty() { 0 } else { 20 } };
        let mut sim = Sim::start_with(dir, away, &rosters, liars, plan.seed).unwrap();
        for month in &months {
            install_roster(dir, month, Some(month) == months.last()).unwrap();
            sim.round(month.parse().unwrap(), away, faults).unwrap();
            sim.pass(plan.days, faults).unwrap();
        }
        let genuine = Genuine::of(dir, sim.log());
        let layout = Layout::new(dir);
        let months = months.iter().map(|month| month.parse().unwrap()).collect();
        City { folder, sim, genuine, months, layout }
    }

    /// The last month, in whose round lies are told.
    pub(crate) fn month(&self) -> Month {
        *self.months.last().unwrap()
    }

    /// The log as it is.
    pub(crate) fn log(&self) -> LogFiles {
        self.genuine.files.clone()
    }

    /// The log as if its entries had said from the beginning what `change` makes of them; those for which it says no are
    /// dropped.
    pub(crate) fn changed(&self, change: impl FnMut(&mut Value) -> bool) -> LogFiles {
        let forger = Forger { genuine: &self.genuine };
        forger.published(&forger.changed(change))
    }

    pub(crate) fn replay(&self, log: &LogFiles, month: Month, at: At) -> Result<Replayed, CannotReplay> {
        replay(log, &self.genuine.authority, month, at, &self.server(at))
    }

    /// What is found in the last round.
    pub(crate) fn found_at(&self, log: &LogFiles, at: At) -> Vec<Finding> {
        self.replay(log, self.month(), at).unwrap().findings
    }

    pub(crate) fn recompute(&self, log: &LogFiles, month: Month, id: &str) -> Replayed {
        self.try_recompute(log, month, id).unwrap()
    }

    pub(crate) fn try_recompute(&self, log: &LogFiles, month: Month, id: &str) -> Result<Replayed, CannotRecompute> {
        self.recompute_with(log, month, id, id)
    }

    /// With the keys of another member.
    pub(crate) fn recompute_with(
        &self,
        log: &LogFiles,
        month: Month,
        id: &str,
        other: &str,
    ) -> Result<Replayed, CannotRecompute> {
        let (home, keys) = (self.home(id), self.layout.keys(other, Role::Node));
        recompute(log, &self.genuine.authority, month, &home, &keys, &Custody::key_files())
    }

    pub(crate) fn found_by_node(&self, log: &LogFiles, id: &str) -> Vec<Finding> {
        self.recompute(log, self.month(), id).findings
    }

    /// Members that have a node.
    pub(crate) fn nodes(&self) -> Vec<String> {
        let departments = self.genuine.federation.policy().departments.iter();
        departments.map(|department| department.id.clone()).filter(|id| self.home(id).join("sealed").exists()).collect()
    }

    /// Writes a node's facts where its program would have them; `change` may change their values.
    pub(crate) fn write_facts(&self, id: &str, mut change: impl FnMut(&str, &mut Vec<u8>)) {
        let facts = self.sim.facts(id, Role::Node).into_iter().map(|(name, mut value)| {
            change(&name, &mut value);
            Fact::Set(name, value)
        });
        let mut journal = Journal::open(&self.home(id).join(DATABASE)).unwrap();
        journal.commit(&facts.collect::<Vec<_>>()).unwrap();
    }

    /// Writes what a party itself stated where its program would have it.
    pub(crate) fn write_own(&self, home: &Path, id: &str, role: Role) {
        let entries = self.genuine.entries.iter();
        let own = entries.filter(|entry| entry.body["sender"] == json!(id) && entry.body["role"] == json!(role));
        let facts: Vec<Fact> = (0..).zip(own).map(|(number, entry)| Fact::Own(number, entry.line.clone())).collect();
        Journal::open(&home.join(DATABASE)).unwrap().commit(&facts).unwrap();
    }

    /// The state folder of a server.
    pub(crate) fn server(&self, at: At) -> PathBuf {
        self.folder.path().join(at.role().name())
    }

    /// A sealed file of a node's last round, opened.
    pub(crate) fn unsealed(&self, id: &str, name: &str) -> Vec<u8> {
        let sealed = fs::read(self.home(id).join(SEALED).join(name)).unwrap();
        let mut plain = Vec::new();
        let mut reader = SealedReader::new(&*sealed, &self.storage(id).bulk_key(SEALED)).unwrap();
        io::copy(&mut reader, &mut plain).unwrap();
        plain
    }

    /// The storage key of a node.
    pub(crate) fn storage(&self, id: &str) -> StorageKey {
        StorageKey::open(&self.layout.keys(id, Role::Node), &Custody::key_files()).unwrap()
    }

    /// A node's state folder.
    pub(crate) fn home(&self, id: &str) -> PathBuf {
        self.layout.state(id, Role::Node)
    }

    /// The hash of the last round.
    pub(crate) fn round(&self) -> Digest {
        self.round_of(self.month())
    }

    /// The hash of a month's round.
    pub(crate) fn round_of(&self, month: Month) -> Digest {
        let mut bodies = self.genuine.entries.iter().map(|entry| &entry.body);
        let manifest = bodies.find(|body| body["type"] == "round_manifest" && body["month"] == json!(month)).unwrap();
        sha256(&serde_json::to_vec(manifest).unwrap())
    }

    /// Every file that the last round announces.
    pub(crate) fn announcements(&self) -> Vec<Announcement> {
        let round = json!(self.round());
        let bodies = self.genuine.entries.iter().map(|entry| &entry.body);
        let announced = bodies.filter(|body| body["type"] == "announcement" && body["round"] == round);
        let read = |body: &Value| Announcement {
            file: serde_json::from_value(body["file"].clone()).unwrap(),
            count: body["count"].as_u64().unwrap(),
            digest: serde_json::from_value(body["digest"].clone()).unwrap(),
        };
        announced.map(read).collect()
    }

    /// Where a server keeps a file of the last round.
    pub(crate) fn path(&self, at: At, file: FileKey) -> PathBuf {
        let rounds = self.folder.path().join(at.role().name()).join("rounds");
        rounds.join(self.round().to_string()).join(file.name())
    }

    /// The log as if a file of the last round had had these bytes from the beginning.
    pub(crate) fn announcing(&self, file: FileKey, bytes: &[u8]) -> LogFiles {
        let digest = json!(sha256(bytes));
        self.restated(file, |body| body["digest"] = digest.clone())
    }

    /// The log with another announcement of a file of the last round; of decisions, also with other totals.
    pub(crate) fn restated(&self, file: FileKey, mut change: impl FnMut(&mut Value)) -> LogFiles {
        let (round, file, owner) = (json!(self.round()), json!(file), file.owner());
        let decisions = file["kind"] == "decisions";
        self.changed(|body| {
            let states = match body["type"].as_str().unwrap() {
                "announcement" => body["file"] == file,
                "decisions" => decisions && body["owner"] == json!(owner),
                _ => false,
            };
            if states && body["round"] == round {
                change(body);
            }
            true
        })
    }
}

/// Whether a server makes a file of what it keeps.
pub(crate) fn makes(at: At, file: FileKey) -> bool {
    file.maker() == at.role()
}

/// Whether a server is sent a file.
pub(crate) fn receives(at: At, file: FileKey) -> bool {
    match file {
        FileKey::Pool { .. } | FileKey::Records { .. } => at == At::Matcher,
        FileKey::Rows { .. } | FileKey::Bitmap { .. } => at == At::Aggregator,
        FileKey::Bits { .. } => at == At::Coordinator,
        FileKey::Decisions { .. } => false,
    }
}

/// Changes a file while something is done.
pub(crate) fn with<T>(path: &Path, changed: Option<&[u8]>, then: impl FnOnce() -> T) -> T {
    let genuine = fs::read(path).unwrap();
    match changed {
        Some(bytes) => fs::write(path, bytes).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
    let done = then();
    fs::write(path, genuine).unwrap();
    done
}

/// A bit of some bytes changed, at random from one place on; also where it is.
pub(crate) fn flipped(bytes: &[u8], from: usize, chance: &mut Chance) -> (Vec<u8>, usize) {
    let place = from + chance.below((bytes.len() - from) as u64) as usize;
    let mut changed = bytes.to_vec();
    changed[place] ^= 1 << chance.below(8);
    (changed, place)
}

/// How many were tried, by kind.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    /// Something that was tried must have been found as exactly this.
    pub(crate) fn found(&mut self, kind: &'static str, findings: &[Finding], expected: &[(Rule, String)]) {
        let found: Vec<(Rule, String)> = findings.iter().map(|found| (found.rule, found.detail.to_string())).collect();
        assert_eq!(found, expected, "{kind}");
        *self.0.entry(kind).or_default() += 1;
    }

    /// Prints what was tried, which must be so much at least.
    pub(crate) fn end(self, least: u64) {
        let total = self.0.values().sum::<u64>();
        self.0.iter().for_each(|(kind, count)| println!("{count:5}  {kind}"));
        println!("{total:5}  in all, every one found");
        assert!(total >= least && self.0.values().all(|count| *count > 0), "{total} tried");
    }
}
