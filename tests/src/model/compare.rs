//! Decisions files against the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use super::{Decision, Decisions, Expected, Model, ModelError, default_roster, department_dir, table};

/// What a comparison of all decisions files of one month found.
#[derive(Debug)]
pub struct Comparison {
    /// The number of lines that there must be, by decision.
    pub expected: BTreeMap<Decision, usize>,
    /// Every difference; empty if the month is right.
    pub differences: Vec<Difference>,
}

/// One difference between a decisions file and the model. Rows are named by line number, never by person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Whose decisions file.
    pub department: String,
    /// What is wrong with it.
    pub kind: DifferenceKind,
}

/// What is wrong with a decisions file. `line` is the physical line in it, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DifferenceKind {
    /// There is a file, but the department is offline, or owns no roster.
    NotAnOwner,
    /// There is no file, or it cannot be read, or it has another header.
    Unreadable,
    /// The line is not UTF-8 or has another number of fields.
    BadLine {
        /// In the decisions file.
        line: u64,
    },
    /// The roster's line has no decision.
    Missing {
        /// In the roster.
        roster_line: u64,
    },
    /// No line of the roster asks for this decision.
    Extra {
        /// In the decisions file.
        line: u64,
    },
    /// The (person, matter) of this line stood there before.
    Duplicate {
        /// In the decisions file.
        line: u64,
    },
    /// The decision is another one.
    Decision {
        /// In the decisions file.
        line: u64,
        /// What it must be.
        expected: Expected,
        /// What it is; `None` if it is no decision.
        found: Option<Decision>,
    },
    /// The decision is right, the rule is another one.
    Rule {
        /// In the decisions file.
        line: u64,
        /// What it must be.
        expected: Expected,
    },
}

/// Compares `departments/<node>/decisions/<month>.csv` of all departments with the model.
pub fn compare(dir: &Path, month: &str, offline: &[&str]) -> Result<Comparison, ModelError> {
    compare_with_roster(dir, month, offline, |department| default_roster(dir, department))
}

/// As [`compare`], with the roster of each department at the path that `roster` names.
pub fn compare_with_roster(
    dir: &Path,
    month: &str,
    offline: &[&str],
    roster: impl Fn(&str) -> PathBuf,
) -> Result<Comparison, ModelError> {
    let model = Model::load(dir)?;
    let expected = model.expected_with_roster(dir, month, offline, roster)?;
    let mut comparison = Comparison { expected: count(&expected), differences: Vec::new() };
    for department in &model.catalogue.departments {
        let path = decisions_path(dir, &department.id, month);
        let kinds = match expected.get(&department.id) {
            Some(decisions) => compare_file(&path, decisions),
            None if path.exists() => vec![DifferenceKind::NotAnOwner],
            None => Vec::new(),
        };
        let name = |kind| Difference { department: department.id.clone(), kind };
        comparison.differences.extend(kinds.into_iter().map(name));
    }
    Ok(comparison)
}

fn count(expected: &BTreeMap<String, Decisions>) -> BTreeMap<Decision, usize> {
    let mut counts = BTreeMap::new();
    for line in expected.values().flat_map(BTreeMap::values) {
        *counts.entry(line.decision).or_default() += 1;
    }
    counts
}

fn decisions_path(dir: &Path, department: &str, month: &str) -> PathBuf {
    department_dir(dir, department).join("decisions").join(format!("{month}.csv"))
}

fn compare_file(path: &Path, expected: &Decisions) -> Vec<DifferenceKind> {
    if expected.is_empty() && !path.exists() {
        return Vec::new();
    }
    let header = ["person", "matter", "decision", "rule"];
    let Ok(table) = table::read(path, header, |line| Ok(line.map(str::to_owned))) else {
        return vec![DifferenceKind::Unreadable];
    };
    let bad_line = |(line, _): &(u64, _)| DifferenceKind::BadLine { line: *line };
    let mut differences: Vec<DifferenceKind> = table.bad.iter().map(bad_line).collect();
    let mut seen = BTreeSet::new();
    for (line, [person, matter, decision, rule]) in table.rows {
        let key = (person, matter);
        match expected.get(&key) {
            None => differences.push(DifferenceKind::Extra { line }),
            Some(_) if seen.contains(&key) => differences.push(DifferenceKind::Duplicate { line }),
            Some(expected) => differences.extend(compare_line(line, expected, &decision, &rule)),
        }
        seen.insert(key);
    }
    let missing = expected.iter().filter(|(key, _)| !seen.contains(*key));
    differences.extend(missing.map(|(_, line)| DifferenceKind::Missing { roster_line: line.roster_line }));
    differences
}

fn compare_line(line: u64, expected: &Expected, decision: &str, rule: &str) -> Option<DifferenceKind> {
    let expected = expected.clone();
    if decision != expected.decision.as_str() {
        let found = DECISIONS.into_iter().find(|d| d.as_str() == decision);
        return Some(DifferenceKind::Decision { line, expected, found });
    }
    (rule != expected.rule).then_some(DifferenceKind::Rule { line, expected })
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.department, self.kind)
    }
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnOwner => write!(f, "decisions of a department that should have none"),
            Self::Unreadable => write!(f, "no readable decisions file"),
            Self::BadLine { line } => write!(f, "line {line} cannot be read"),
            Self::Missing { roster_line } => write!(f, "no decision on roster line {roster_line}"),
            Self::Extra { line } => write!(f, "line {line} should not be there"),
            Self::Duplicate { line } => write!(f, "line {line} decides a row for the second time"),
            Self::Decision { line, expected, found } => {
                let found = found.map_or("no decision", Decision::as_str);
                write!(f, "line {line} is {found}, must be {}", expected.decision)
            }
            Self::Rule { line, expected } => {
                write!(f, "line {line} has another rule, must be `{}`", expected.rule)
            }
        }
    }
}

const DECISIONS: [Decision; 4] = [Decision::Certified, Decision::Unmatched, Decision::Suspected, Decision::Deferred];
