//! What every party of a federation of real processes holds after its rounds: what section 6 of the protocol allows, and
//! nothing else, in files, databases and logs of all levels.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use wugan_demo::city::{CityPlan, generate, install_roster};
use wugan_keys::PartyKeys;
use wugan_protocol::{
    envelope::Signer,
    oprf::evaluate_direct,
    party::{Party, Role},
    person::PersonId,
};
use wugan_tests::{audit::audit_city, checks::agrees, city::catalogue, cluster::Cluster};

#[test]
fn each_party_holds_what_it_may_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let plan = CityPlan { seed: SEED, rounds: 2, records: 4_000, ..CityPlan::for_people(300) };
    generate(&plan, &catalogue(SEED).0, dir).unwrap();
    let months = plan.months().unwrap();
    let rosters: Vec<String> = months.iter().map(|month| format!("roster.{month}.csv")).collect();
    let people = people(dir);
    let mut cluster = Cluster::start(dir, &rosters, env!("CARGO_BIN_EXE_federation")).unwrap();
    for month in &months {
        install_roster(dir, month, Some(month) == months.last()).unwrap();
        cluster.round(month.parse().unwrap(), |_, _| Ok(())).unwrap();
    }
    cluster.await_all().unwrap();
    cluster.parties().into_iter().for_each(|party| memory_stays_inside(&cluster, party));
    cluster.parties().into_iter().for_each(|party| assert!(cluster.terminate(party).unwrap().success()));
    months.iter().for_each(|month| agrees(dir, month, &[]).unwrap());
    audit_city(dir).unwrap();

    let held = Held::read(&cluster, dir);
    held.kinds_of_files(&cluster);
    held.no_copies_of_files_elsewhere();
    held.no_tags_but_with_nodes_and_matcher();
    held.nobody_is_named(&people);
    held.no_matching_key_in_plain(&cluster, &people);
    held.what_is_there_is_found(&cluster);
}

/// No core file, and no debugger of the same user.
fn memory_stays_inside(cluster: &Cluster, party: Party) {
    let process = PathBuf::from(format!("/proc/{}", cluster.pid(party).unwrap()));
    let limits = fs::read_to_string(process.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let core: Vec<&str> = core.split_whitespace().rev().skip(1).take(2).collect();
    assert_eq!(core, ["0", "0"], "{} may leave a core file", cluster.name(party));
    // proc(5): the files of a process that is not dumpable belong to root. Of root's own they do anyway.
    assert_eq!(fs::metadata(process.join("environ")).unwrap().uid(), 0, "{} is dumpable", cluster.name(party));
}

/// Everything that the federation holds, besides the departments' own tables.
struct Held {
    files: Vec<HeldFile>,
}

struct HeldFile {
    /// Who holds it; nobody, what set-up left.
    party: Option<Party>,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Held {
    fn read(cluster: &Cluster, dir: &Path) -> Held {
        let states: BTreeMap<PathBuf, Party> = cluster.parties().into_iter().map(|p| (cluster.state(p), p)).collect();
        let tables = |path: &PathBuf| path.starts_with(dir.join("departments")) && !path.iter().any(|n| n == "state");
        let files = files_below(dir).into_iter().filter(|path| !tables(path)).map(|path| {
            let party = path.ancestors().find_map(|folder| states.get(folder)).copied();
            HeldFile { party, bytes: fs::read(&path).unwrap(), path }
        });
        let files: Vec<HeldFile> = files.collect();
        let of_kind = |name: &str| files.iter().filter(|file| file.name().ends_with(name)).count();
        assert_eq!(of_kind("state.sqlite"), states.len(), "everybody has a database");
        assert_eq!(of_kind(".log"), states.len(), "everybody has a log");
        let said = files.iter().filter(|file| file.name().ends_with(".log")).map(|file| file.bytes.len()).min();
        assert!(said > Some(1_000), "logs say something");
        Held { files }
    }

    /// The files of rounds, by kind.
    fn of_rounds(&self) -> impl Iterator<Item = (&str, &HeldFile)> {
        let of_rounds = self.files.iter().filter(|file| file.path.iter().any(|part| part == "rounds"));
        of_rounds.map(|file| (file.name().split('-').next().unwrap(), file))
    }

    /// Section 6: each party has the files that it makes or receives, and these only of its own channels and rosters.
    fn kinds_of_files(&self, cluster: &Cluster) {
        let mut kinds: BTreeMap<Role, BTreeSet<&str>> = BTreeMap::new();
        for (kind, file) in self.of_rounds() {
            let party = file.party.unwrap();
            kinds.entry(party.role).or_default().insert(kind);
            let number: u16 = file.name().split('-').nth(1).unwrap().parse().unwrap();
            let whose = if kind == "pool" { cluster.policy().channel(number).unwrap().source } else { number };
            assert!(party.role != Role::Node || whose == party.member, "{} of somebody else", file.path.display());
        }
        let expected = [
            (Role::Node, BTreeSet::from(["pool", "records", "rows", "decisions"])),
            (Role::Matcher, BTreeSet::from(["pool", "records", "bitmap"])),
            (Role::Aggregator, BTreeSet::from(["rows", "bitmap", "bits"])),
            (Role::Coordinator, BTreeSet::from(["bits", "decisions"])),
        ];
        assert_eq!(kinds, BTreeMap::from(expected));
    }

    /// A file's salt stands in that file only, and its name nowhere but with its maker and its receiver.
    fn no_copies_of_files_elsewhere(&self) {
        let mut salts = Needles::default();
        for (_, file) in self.of_rounds() {
            salts.add(&file.bytes[..32], file.name());
        }
        for file in &self.files {
            let own = file.path.iter().any(|part| part == "rounds").then(|| file.name());
            let searched = if own.is_some() { &file.bytes[32..] } else { file.bytes.as_slice() };
            assert_eq!(salts.find(searched), None, "{} holds a copy of a file", file.path.display());
        }
    }

    /// Tags of pools and records: not with aggregator and coordinator, not in what any process logs or keeps in a
    /// database.
    fn no_tags_but_with_nodes_and_matcher(&self) {
        let mut tags = Needles::default();
        for (kind, file) in self.of_rounds() {
            let bytes = if kind == "pool" { 12 } else { 16 };
            if ["pool", "records"].contains(&kind) {
                file.bytes[40..].chunks_exact(bytes).for_each(|item| tags.add(&item[..12], file.name()));
            }
        }
        assert!(tags.count > 10_000, "{} tags", tags.count);
        let without = |file: &&HeldFile| {
            let server = file.party.is_some_and(|party| [Role::Aggregator, Role::Coordinator].contains(&party.role));
            server || file.name().ends_with(".log") || file.name().contains("sqlite")
        };
        for file in self.files.iter().filter(without) {
            assert_eq!(tags.find(&file.bytes), None, "{} holds a tag", file.path.display());
        }
    }

    /// ID numbers as text in both forms, and packed as the programs do.
    fn nobody_is_named(&self, people: &[PersonId]) {
        let mut numbers = Needles::default();
        for person in people {
            let canonical = person.canonical();
            numbers.add(&canonical[..17], "an ID number");
            if canonical[6..8] == *b"19" {
                numbers.add(&[&canonical[..6], &canonical[8..17]].concat(), "an ID number of the old form");
            }
            numbers.add(&person.to_u64().to_be_bytes(), "a packed ID number");
            numbers.add(&person.to_u64().to_le_bytes(), "a packed ID number");
        }
        assert!(people.len() > 300, "{} people", people.len());
        for file in &self.files {
            assert_eq!(numbers.find(&file.bytes), None, "{}", file.path.display());
        }
    }

    /// `m_j(x)`, with which tags of any round can be made.
    fn no_matching_key_in_plain(&self, cluster: &Cluster, people: &[PersonId]) {
        let mut keys = Needles::default();
        let inputs: Vec<_> = people.iter().map(PersonId::oprf_input).collect();
        let nodes = cluster.parties().into_iter().filter(|party| party.role == Role::Node);
        for node in nodes.take(SOURCES_TRIED) {
            let opened = PartyKeys::open(&cluster.state(node).join("keys"), Role::Node).unwrap();
            for epoch in opened.epochs.values() {
                evaluate_direct(epoch.key(), &inputs).iter().for_each(|key| keys.add(key.as_bytes(), "a matching key"));
            }
        }
        assert!(keys.count >= SOURCES_TRIED * people.len());
        for file in &self.files {
            assert_eq!(keys.find(&file.bytes), None, "{}", file.path.display());
        }
    }

    /// The control: public keys stand in every copy of the log, so a search that looks everywhere finds them there.
    fn what_is_there_is_found(&self, cluster: &Cluster) {
        let node = cluster.parties().into_iter().find(|party| party.role == Role::Node).unwrap();
        let opened = PartyKeys::open(&cluster.state(node).join("keys"), Role::Node).unwrap();
        let mut public = Needles::default();
        public.add(hex::encode(opened.identity.public_key()).as_bytes(), "a public key");
        let holders = self.files.iter().filter(|file| public.find(&file.bytes).is_some());
        let databases = holders.filter(|file| file.name().contains("sqlite")).count();
        assert!(databases >= cluster.parties().len(), "every copy of the log has the manifest");
    }
}

impl HeldFile {
    fn name(&self) -> &str {
        self.path.file_name().unwrap().to_str().unwrap()
    }
}

/// What is searched for, by its first eight bytes.
#[derive(Default)]
struct Needles {
    by_head: HashMap<[u8; 8], Vec<(Vec<u8>, String)>>,
    count: usize,
}

impl Needles {
    fn add(&mut self, needle: &[u8], name: &str) {
        let head = *needle.first_chunk().unwrap();
        self.by_head.entry(head).or_default().push((needle.to_vec(), name.to_owned()));
        self.count += 1;
    }

    /// The name of a needle that stands somewhere in these bytes.
    fn find(&self, bytes: &[u8]) -> Option<&str> {
        (0..bytes.len()).find_map(|from| {
            let rest = &bytes[from..];
            let needles = self.by_head.get(rest.first_chunk::<8>()?)?;
            needles.iter().find(|(needle, _)| rest.starts_with(needle)).map(|(_, name)| name.as_str())
        })
    }
}

/// Everybody of whom any table of the city tells, whatever form of the ID number it uses.
fn people(dir: &Path) -> Vec<PersonId> {
    let mut people = BTreeSet::new();
    let tables = files_below(&dir.join("departments"));
    for path in tables.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "csv")) {
        let mut table = csv::Reader::from_path(path).unwrap();
        let persons = table.records().filter_map(|row| PersonId::parse(row.ok()?.get(0)?).ok());
        people.extend(persons.map(|(person, _)| person));
    }
    people.into_iter().collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) =
        entries.filter(|path| path.is_dir() || path.is_file()).partition(|path| path.is_dir());
    files.into_iter().chain(folders.iter().flat_map(|folder| files_below(folder))).collect()
}

const SEED: u64 = 5;
const SOURCES_TRIED: usize = 3;
