//! The rows that every node must have put aside.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::table::{self, Reason};
use super::{Model, ModelError, channel_path, default_roster, department_dir};

/// One row that does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarantined {
    /// The file inside the department's folder: `roster.csv` or `channels/<channel>.csv`.
    pub file: String,
    /// The physical line on which the row begins, from 1 (the header's).
    pub line: u64,
    /// Why it does not count.
    pub reason: Reason,
}

/// One difference between a department's quarantine and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineDifference {
    /// Whose quarantine.
    pub department: String,
    /// What is wrong with it.
    pub kind: QuarantineDifferenceKind,
}

/// What is wrong with a quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuarantineDifferenceKind {
    /// The file cannot be read or has another header.
    Unreadable,
    /// A line of it (given by number) is not UTF-8 or has another number of fields.
    BadLine(u64),
    /// A row that must be there is not, or with another reason.
    Missing(Quarantined),
    /// A line of it (given by number) that must not be there, or is there for the second time.
    Extra(u64),
}

/// The rows that do not count, of each department of the city, in the order of files (the roster last) and lines.
/// Files that cannot be read have none.
pub fn expected_quarantine(dir: &Path) -> Result<BTreeMap<String, Vec<Quarantined>>, ModelError> {
    let catalogue = Model::load(dir)?.catalogue;
    let mut all = BTreeMap::new();
    for department in &catalogue.departments {
        let mut rows = Vec::new();
        for channel in catalogue.channels.iter().filter(|c| c.department == department.id) {
            if let Ok(table) = table::read_channel(&channel_path(dir, channel)) {
                rows.extend(quarantined(&format!("channels/{}.csv", channel.id), &table.bad));
            }
        }
        let roster = default_roster(dir, &department.id);
        if let Ok(table) = table::read_roster(&roster, &department.id, &catalogue.matters) {
            rows.extend(quarantined("roster.csv", &table.bad));
        }
        all.insert(department.id.clone(), rows);
    }
    Ok(all)
}

/// Compares `departments/<node>/quarantine.csv` of all departments that are not offline with what they must be, in
/// any order; `value` is not compared. A department without quarantined rows needs no file.
pub fn compare_quarantine(dir: &Path, offline: &[&str]) -> Result<Vec<QuarantineDifference>, ModelError> {
    Model::load(dir)?.refuse_unknown(offline)?;
    let mut differences = Vec::new();
    for (department, expected) in expected_quarantine(dir)? {
        if !offline.contains(&department.as_str()) {
            let path = department_dir(dir, &department).join("quarantine.csv");
            let kinds = compare_file(&path, expected).into_iter();
            differences.extend(kinds.map(|kind| QuarantineDifference { department: department.clone(), kind }));
        }
    }
    Ok(differences)
}

fn quarantined(file: &str, bad: &[(u64, Reason)]) -> Vec<Quarantined> {
    bad.iter().map(|(line, reason)| Quarantined { file: file.to_owned(), line: *line, reason: *reason }).collect()
}

fn compare_file(path: &Path, mut expected: Vec<Quarantined>) -> Vec<QuarantineDifferenceKind> {
    if expected.is_empty() && !path.exists() {
        return Vec::new();
    }
    let header = ["file", "line", "reason", "value"];
    let read =
        table::read(path, header, |[file, line, reason, _]| Ok((file.to_owned(), line.to_owned(), reason.to_owned())));
    let Ok(table) = read else {
        return vec![QuarantineDifferenceKind::Unreadable];
    };
    let mut differences: Vec<_> = table.bad.iter().map(|(line, _)| QuarantineDifferenceKind::BadLine(*line)).collect();
    for (own_line, (file, line, reason)) in table.rows {
        let found = expected
            .iter()
            .position(|row| row.file == file && row.line.to_string() == line && row.reason.as_str() == reason);
        match found {
            Some(i) => drop(expected.remove(i)),
            None => differences.push(QuarantineDifferenceKind::Extra(own_line)),
        }
    }
    differences.extend(expected.into_iter().map(QuarantineDifferenceKind::Missing));
    differences
}

impl fmt::Display for QuarantineDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.department)?;
        match &self.kind {
            QuarantineDifferenceKind::Unreadable => write!(f, "no readable quarantine.csv"),
            QuarantineDifferenceKind::BadLine(line) => {
                write!(f, "quarantine.csv line {line} cannot be read")
            }
            QuarantineDifferenceKind::Missing(row) => {
                write!(f, "{} line {} is not quarantined as {}", row.file, row.line, row.reason)
            }
            QuarantineDifferenceKind::Extra(line) => {
                write!(f, "quarantine.csv line {line} should not be there")
            }
        }
    }
}
