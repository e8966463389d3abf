//! The plaintext model: a plain join of a city's CSV files that computes what every decision must be.
//!
//! It is the oracle against which the oblivious federation is tested. So it uses no other crate of this workspace:
//! its own ID numbers, its own reading of the catalogue, its own CSV records, its own rules; and it is written to be
//! seen to be right, not to be fast. It knows nothing of rounds: whether a month may be counted at all with these
//! members offline (`missing_max`, budgets, the interval between rounds) is not its business.
//!
//! ```text
//! DIR/catalogue.toml
//! DIR/departments/<node>/channels/<channel>.csv    person,seen_on
//! DIR/departments/<node>/roster.csv                person,matter,village,grid
//! DIR/departments/<node>/decisions/<month>.csv     person,matter,decision,rule
//! DIR/departments/<node>/quarantine.csv            file,line,reason,value
//! ```

mod catalogue;
mod compare;
mod decide;
mod month;
mod person;
mod quarantine;
mod records;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use catalogue::{Catalogue, Channel, Matter};
use month::Month;

pub use compare::{Comparison, Difference, DifferenceKind, compare, compare_with_roster};
pub use quarantine::{
    QuarantineDifference, QuarantineDifferenceKind, Quarantined, compare_quarantine, expected_quarantine,
};
pub use table::Reason;

/// A city's policy, read and resolved: what its decisions depend on.
#[derive(Debug)]
pub struct Model {
    catalogue: Catalogue,
}

/// What one line of a decisions file must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The decision.
    pub decision: Decision,
    /// The id of the rule that fired, with the missing channels counting 0; empty if deferred.
    pub rule: String,
    /// The physical line of the roster (from 1) that asks for it: names a row without naming a person.
    pub roster_line: u64,
}

/// The expected lines of one roster owner by (person as 18 characters, matter).
pub type Decisions = BTreeMap<(String, String), Expected>;

/// The decision on one row of a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Shown to be alive and entitled.
    Certified,
    /// No trace was found.
    Unmatched,
    /// A negative signal: verify first.
    Suspected,
    /// Missing channels could have changed the decision. No rule decides this.
    #[serde(skip_deserializing)]
    Deferred,
}

/// Why the model could not be computed. Never shows an ID number.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file that must be there could not be read, or its header is not the agreed one.
    #[error("{path} cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// What reading it answered.
        source: std::io::Error,
    },
    /// `catalogue.toml` is not a catalogue.
    #[error("catalogue: {0}")]
    Catalogue(String),
    /// The month is not of the form `2026-11`.
    #[error("a month is written like 2026-11")]
    Month,
    /// A department that is said to be offline is not in the catalogue.
    #[error("unknown department `{0}`")]
    UnknownDepartment(String),
}

impl Model {
    /// Reads `DIR/catalogue.toml`.
    pub fn load(dir: &Path) -> Result<Self, ModelError> {
        let path = dir.join("catalogue.toml");
        let text = std::fs::read_to_string(&path).map_err(|source| ModelError::File { path, source })?;
        let catalogue = Catalogue::parse(&text)?;
        Ok(Self { catalogue })
    }

    /// What must be decided in `month` (like `2026-11`) while the departments in `offline` take no part: for each
    /// roster owner that is not offline, one line for each distinct (person, matter) of its `roster.csv`.
    pub fn expected(
        &self,
        dir: &Path,
        month: &str,
        offline: &[&str],
    ) -> Result<BTreeMap<String, Decisions>, ModelError> {
        self.expected_with_roster(dir, month, offline, |department| default_roster(dir, department))
    }

    /// As [`Model::expected`], with the roster of each department at the path that `roster` names.
    pub fn expected_with_roster(
        &self,
        dir: &Path,
        month: &str,
        offline: &[&str],
        roster: impl Fn(&str) -> PathBuf,
    ) -> Result<BTreeMap<String, Decisions>, ModelError> {
        let month: Month = month.parse()?;
        self.refuse_unknown(offline)?;
        let sources = self.read_sources(dir, month, offline);
        let mut expected = BTreeMap::new();
        for department in &self.catalogue.departments {
            if !department.roster_owner || offline.contains(&department.id.as_str()) {
                continue;
            }
            let decisions = self.decisions(&department.id, &roster(&department.id), &sources)?;
            expected.insert(department.id.clone(), decisions);
        }
        Ok(expected)
    }

    /// The channels whose records raised the suspicion of a person (18 characters) at a matter: those with a record, of the
    /// first negative class that the rule asks for. None if the person is not suspected there.
    pub fn raised_by(
        &self,
        dir: &Path,
        month: &str,
        offline: &[&str],
        person: &str,
        matter: &str,
    ) -> Result<Option<BTreeSet<String>>, ModelError> {
        let sources = self.read_sources(dir, month.parse()?, offline);
        let matter = self.catalogue.matters.iter().find(|known| known.id == matter);
        Ok(matter.and_then(|matter| {
            let missing = decide::missing_at(matter, &sources.missing);
            decide::raised_by(matter, person, &sources.seen, &missing)
        }))
    }

    fn refuse_unknown(&self, departments: &[&str]) -> Result<(), ModelError> {
        for id in departments {
            if !self.catalogue.departments.iter().any(|d| d.id == *id) {
                return Err(ModelError::UnknownDepartment((*id).to_owned()));
            }
        }
        Ok(())
    }

    fn read_sources(&self, dir: &Path, month: Month, offline: &[&str]) -> Sources {
        let mut sources = Sources::default();
        for channel in &self.catalogue.channels {
            let is_offline = offline.contains(&channel.department.as_str());
            let people = if is_offline { None } else { people_seen(dir, channel, month) };
            match people {
                Some(people) => drop(sources.seen.insert(channel.id.clone(), people)),
                None => drop(sources.missing.insert(channel.id.clone())),
            }
        }
        sources
    }

    fn decisions(&self, owner: &str, roster: &Path, sources: &Sources) -> Result<Decisions, ModelError> {
        let matters: Vec<&Matter> = self.catalogue.matters_of(owner).collect();
        let missing: BTreeMap<&str, BTreeSet<String>> =
            matters.iter().map(|m| (m.id.as_str(), decide::missing_at(m, &sources.missing))).collect();
        let table = table::read_roster(roster, owner, &self.catalogue.matters)
            .map_err(|source| ModelError::File { path: roster.to_owned(), source })?;
        let mut decisions = Decisions::new();
        for (line, row) in table.rows {
            let matter = row.matter;
            let missing = &missing[matter.id.as_str()];
            let (decision, rule) = decide::decide(matter, &row.person, &sources.seen, missing);
            decisions.entry((row.person, matter.id.clone())).or_insert(Expected { decision, rule, roster_line: line });
        }
        Ok(decisions)
    }
}

impl Decision {
    /// The word for it in a decisions file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certified => "certified",
            Self::Unmatched => "unmatched",
            Self::Suspected => "suspected",
            Self::Deferred => "deferred",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What all channels answer.
#[derive(Default)]
struct Sources {
    /// For each channel that takes part, the people with a record that counts.
    seen: BTreeMap<String, BTreeSet<String>>,
    /// The channels that failed or whose department is offline.
    missing: BTreeSet<String>,
}

/// The people with a record of this channel that counts in `month`; `None` if the channel fails.
fn people_seen(dir: &Path, channel: &Channel, month: Month) -> Option<BTreeSet<String>> {
    let table = table::read_channel(&channel_path(dir, channel)).ok()?;
    if table.has_too_many_bad_rows() {
        return None;
    }
    let people = table
        .rows
        .into_iter()
        .filter(|(_, record)| month.counts(record.seen_on, channel.window_days))
        .map(|(_, record)| record.person)
        .collect();
    Some(people)
}

fn department_dir(dir: &Path, department: &str) -> PathBuf {
    dir.join("departments").join(department)
}

fn default_roster(dir: &Path, department: &str) -> PathBuf {
    department_dir(dir, department).join("roster.csv")
}

fn channel_path(dir: &Path, channel: &Channel) -> PathBuf {
    department_dir(dir, &channel.department).join("channels").join(format!("{}.csv", channel.id))
}
