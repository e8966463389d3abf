//! What tests of disclosures have in common: whose suspicion may be asked about, and what the answer must be.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::Context;
use wugan_demo::city::{CityPlan, generate};
use wugan_protocol::policy::Policy;

use crate::model::Model;

/// A policy of five departments, two of them roster owners, with both negative classes.
pub const CATALOGUE: &str = include_str!("disclosure/catalogue.toml");

/// Makes a city of one month under [`CATALOGUE`] in which many people on rosters have negative records: in one strong
/// channel or several, or in the weak one only.
///
/// # Errors
/// Those of the file system.
pub fn city(dir: &Path, seed: u64, month: &str) -> anyhow::Result<Policy> {
    let policy = Policy::read(CATALOGUE.as_bytes())?;
    let plan = CityPlan { seed, records: 3_000, ..CityPlan::for_people(200) };
    anyhow::ensure!(plan.months()? == [month], "a city is of another month");
    generate(&plan, CATALOGUE, dir)?;
    for owner in policy.owners().map(|owner| policy.member_id(owner)) {
        let roster = dir.join("departments").join(owner).join(format!("roster.{month}.csv"));
        for (number, row) in csv::Reader::from_path(roster)?.byte_records().enumerate() {
            let row = row?;
            if !number.is_multiple_of(REPORTED_ONE_IN) {
                continue;
            }
            // One of the fifteen sets of channels that are not empty.
            let set = number / REPORTED_ONE_IN % 15 + 1;
            for (bit, (department, channel)) in NEGATIVE.iter().enumerate() {
                if set >> bit & 1 == 1 {
                    report(dir, department, channel, &row[0], month)?;
                }
            }
        }
    }
    Ok(policy)
}

/// Adds a record to a channel.
fn report(dir: &Path, department: &str, channel: &str, person: &[u8], month: &str) -> anyhow::Result<()> {
    let path = dir.join("departments").join(department).join(format!("channels/{channel}.csv"));
    let mut table = csv::Writer::from_writer(fs::OpenOptions::new().append(true).open(path)?);
    table.write_record([person, format!("{month}-10").as_bytes()])?;
    Ok(table.flush()?)
}

/// A row of a decisions table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The roster owner.
    pub owner: String,
    /// The person, 18 characters.
    pub person: String,
    /// The matter's id.
    pub matter: String,
    /// The decision.
    pub decision: String,
}

/// Every row of a month's decisions in the city of `dir`.
///
/// # Errors
/// A table that cannot be read.
pub fn decided(dir: &Path, policy: &Policy, month: &str) -> anyhow::Result<Vec<Decided>> {
    let mut decided = Vec::new();
    for owner in policy.owners().map(|owner| policy.member_id(owner)) {
        let path = dir.join("departments").join(owner).join(format!("decisions/{month}.csv"));
        // An owner whose roster is empty has none.
        if !path.exists() {
            continue;
        }
        for row in csv::Reader::from_path(path)?.records() {
            let row = row?;
            let [person, matter, decision] = [0, 1, 2].map(|field| row[field].to_owned());
            decided.push(Decided { owner: owner.to_owned(), person, matter, decision });
        }
    }
    Ok(decided)
}

/// The channels that an owner's table names for a request; none if the request is not in it. Whatever the table says of it
/// must be about this row.
///
/// # Errors
/// A table that cannot be read, or that names another person or matter.
pub fn told(dir: &Path, month: &str, row: &Decided, request: &str) -> anyhow::Result<Option<BTreeSet<String>>> {
    let path = dir.join("departments").join(&row.owner).join(format!("disclosures/{month}.csv"));
    if !path.exists() {
        return Ok(None);
    }
    let mut channels = BTreeSet::new();
    for line in csv::Reader::from_path(path)?.records() {
        let line = line?;
        if &line[3] == request {
            anyhow::ensure!(line[0] == row.person && line[1] == row.matter, "the table names another row");
            anyhow::ensure!(channels.insert(line[2].to_owned()), "a channel is named twice");
        }
    }
    Ok(Some(channels).filter(|channels| !channels.is_empty()))
}

/// The channels that the answer about a row must name, by the plaintext model.
///
/// # Errors
/// A city that cannot be read, or a row that is not suspected.
pub fn expected(dir: &Path, month: &str, row: &Decided) -> anyhow::Result<BTreeSet<String>> {
    let raised = Model::load(dir)?.raised_by(dir, month, &[], &row.person, &row.matter)?;
    raised.context("the model says nothing of such a suspicion")
}

/// The names of all files below a folder that hold one of some texts.
///
/// # Errors
/// Those of the file system.
pub fn files_with(folder: &Path, texts: &[&[u8]]) -> anyhow::Result<Vec<String>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                let bytes = fs::read(&path)?;
                let holds = |text: &&[u8]| bytes.windows(text.len()).any(|part| part == *text);
                found.extend(texts.iter().any(holds).then(|| path.display().to_string()));
            }
        }
    }
    Ok(found)
}

/// Negative channels and their departments.
const NEGATIVE: [(&str, &str); 4] =
    [("police", "deaths"), ("health", "burials"), ("data", "notices"), ("data", "report")];
/// Of so many rows of a roster, one has negative records.
const REPORTED_ONE_IN: usize = 4;
