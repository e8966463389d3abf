//! What every test of a whole federation asks in the end.

use std::path::Path;

use crate::model::{Difference, DifferenceKind, compare_with_roster};

/// Compares a month's decisions in the city of `dir` with the model, where the departments of `offline` took no part.
///
/// # Errors
/// The first differences, or that there was nothing to compare.
pub fn agrees(dir: &Path, month: &str, offline: &[&str]) -> Result<(), String> {
    agrees_without(dir, month, offline, &[])
}

/// The same, where the owners of `absent` took part as sources, and must have no decisions.
///
/// # Errors
/// The first differences, or that there was nothing to compare.
pub fn agrees_without(dir: &Path, month: &str, offline: &[&str], absent: &[&str]) -> Result<(), String> {
    let roster = |department: &str| {
        let folder = dir.join("departments").join(department);
        let monthly = folder.join(format!("roster.{month}.csv"));
        if monthly.exists() { monthly } else { folder.join("roster.csv") }
    };
    let comparison = compare_with_roster(dir, month, offline, roster).map_err(|error| error.to_string())?;
    let absence = |difference: &Difference| {
        difference.kind == DifferenceKind::Unreadable && absent.contains(&difference.department.as_str())
    };
    let (absences, differences): (Vec<_>, Vec<_>) = comparison.differences.into_iter().partition(absence);
    if !differences.is_empty() {
        let first: Vec<String> = differences.iter().take(10).map(ToString::to_string).collect();
        return Err(format!("{month}: {} differences, first {first:#?}", differences.len()));
    }
    if absences.len() < absent.len() {
        return Err(format!("{month}: an owner that should be absent has decisions"));
    }
    let expected: usize = comparison.expected.values().sum();
    if expected > 0 { Ok(()) } else { Err(format!("{month}: the model expects nothing")) }
}
