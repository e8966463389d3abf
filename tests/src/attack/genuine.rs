//! A genuine log of three rounds: a month with everybody, a round that was made void, and the month after with a department
//! away, when the first round's files are deleted. With all keys, so that anybody can lie. Or the log of any city.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use serde_json::Value;
use tempfile::TempDir;
use wugan_audit::folder::LogFiles;
use wugan_demo::{
    city::{CityPlan, generate, install_roster},
    layout::Layout,
};
use wugan_keys::{
    PartyKeys,
    identity::Identity,
    store::{Custody, StorageKey},
};
use wugan_protocol::{
    envelope::{Signer, Signers},
    manifest::Federation,
    party::{Party, Role},
    policy::Policy,
};

use super::{forger::Forger, kept::Kept};
use crate::{
    audit::authority,
    sim::{Faults, Sim},
};

/// The log, and what its makers hold.
pub struct Genuine {
    /// The federation.
    pub federation: Federation,
    /// The authority's public key.
    pub authority: [u8; 32],
    /// The entries.
    pub entries: Vec<Entry>,
    /// The files as the coordinator publishes them.
    pub files: LogFiles,
    pub(super) catalogue: Vec<u8>,
    pub(super) signers: BTreeMap<Party, Signers>,
    pub(super) authority_key: Arc<dyn Signer>,
    pub(super) kept: Kept,
}

/// An entry.
pub struct Entry {
    /// Its bytes.
    pub line: Vec<u8>,
    /// What it says.
    pub body: Value,
    /// Who signed it; `None` for the authority.
    pub who: Option<Party>,
}

impl Genuine {
    /// Makes the log with the programs' own engines.
    pub fn make() -> Genuine {
        let folder = TempDir::new().unwrap();
        let (lines, kept) = run(folder.path());
        let mut genuine = Genuine { kept, ..Genuine::of(folder.path(), lines) };
        genuine.kept.count(&genuine.entries, genuine.federation.policy());
        genuine
    }

    /// The log of a city that lies in a folder, with the keys there; nothing of what its parties keep.
    pub fn of(dir: &Path, lines: Vec<Vec<u8>>) -> Genuine {
        let layout = Layout::new(dir);
        let authority = authority(dir).unwrap().try_into().unwrap();
        let catalogue = fs::read(layout.catalogue()).unwrap();
        let policy = Arc::new(Policy::read(&catalogue).unwrap());
        let federation = Federation::verify(&lines[0], &authority, policy).unwrap();
        let open = |party: Party| {
            let id = federation.policy().member_id(party.member);
            (party, PartyKeys::open(&layout.keys(id, party.role), party.role).unwrap().signers())
        };
        let storage = StorageKey::open(&layout.authority(), &Custody::from_env()).unwrap();
        let authority_key = Arc::new(Identity::read(&layout.authority(), Role::Authority, &storage).unwrap());
        let signers = federation.parties().map(open).collect();
        let entries: Vec<Entry> = lines.into_iter().map(|line| Entry::read(line, &federation)).collect();
        let (files, kept) = (LogFiles::default(), Kept::default());
        let mut genuine = Genuine { federation, authority, entries, files, catalogue, signers, authority_key, kept };
        genuine.files = Forger { genuine: &genuine }.published(&genuine.lines());
        genuine
    }

    /// The entries' bytes.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        self.entries.iter().map(|entry| entry.line.clone()).collect()
    }

    /// Where entries of this type stand.
    pub fn places(&self, kind: &str) -> Vec<usize> {
        (0..self.entries.len()).filter(|place| self.entries[*place].body["type"] == kind).collect()
    }

    /// Where the last round was closed.
    pub fn last_close(&self) -> usize {
        self.places("round_closed").pop().unwrap()
    }

    /// A party by its id and role.
    pub fn party(&self, id: &str, role: Role) -> Party {
        self.federation.party(id, role).unwrap()
    }
}

impl Entry {
    fn read(line: Vec<u8>, federation: &Federation) -> Entry {
        let body = serde_json::from_slice::<Value>(&line).unwrap()["body"].take();
        let who = who(&body, federation);
        Entry { line, body, who }
    }
}

/// The party that a body names.
pub(super) fn who(body: &Value, federation: &Federation) -> Option<Party> {
    let role = serde_json::from_value(body["role"].clone()).ok()?;
    federation.party(body["sender"].as_str()?, role)
}

fn run(dir: &Path) -> (Vec<Vec<u8>>, Kept) {
    let plan = CityPlan { seed: 6, rounds: 2, ..CityPlan::for_people(60) };
    generate(&plan, CATALOGUE, dir).unwrap();
    let months = plan.months().unwrap();
    let rosters: Vec<String> = months.iter().map(|month| format!("roster.{month}.csv")).collect();
    let (first, second) = (months[0].parse().unwrap(), months[1].parse().unwrap());
    let (away, mut kept) = (["health".to_owned()], Kept::default());
    let mut sim = Sim::start(dir, &[], &rosters, plan.seed).unwrap();

    install_roster(dir, &months[0], false).unwrap();
    sim.round(first, &[], Faults::default()).unwrap();
    kept.look(dir);
    sim.pass(1, Faults::default()).unwrap();

    install_roster(dir, &months[1], true).unwrap();
    sim.void_round(second, STEPS_OF_THE_VOID_ROUND, Faults::default()).unwrap();
    kept.look(dir);
    sim.pass(40, Faults::default()).unwrap();
    sim.stay_away(&away).unwrap();
    sim.round(second, &away, Faults::default()).unwrap();
    kept.look(dir);
    sim.pass(1, Faults::default()).unwrap();
    (sim.log(), kept)
}

/// Enough for pools and receipts, and not for all.
const STEPS_OF_THE_VOID_ROUND: u64 = 120;

/// The policy.
const CATALOGUE: &str = include_str!("catalogue.toml");
