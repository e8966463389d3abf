//! What the demo prints: decisions of each matter, and the time and bytes of each phase.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Serialize;
use wugan_coordinator::log_folder;
use wugan_protocol::{
    party::Role,
    policy::{Decision, Policy},
    text::{Language, Say, padded, right},
};

use crate::{
    layout::Layout,
    processes::Usage,
    staff::Seen,
    text::{At, DemoError, Step, Text, Traffic},
};

/// One month's round.
#[derive(Debug, Serialize)]
pub struct RoundReport {
    /// The month.
    pub month: String,
    /// Decisions of each matter that was decided.
    pub matters: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// Seconds of each phase.
    pub seconds: Vec<(Step, f64)>,
    /// Bytes of each kind of traffic.
    pub bytes: Vec<(Traffic, u64)>,
    /// Rows that could not be used, of each department that has such.
    pub quarantined: BTreeMap<String, u64>,
}

/// Everything that the demo measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Each round.
    pub rounds: Vec<RoundReport>,
    /// CPU seconds and peak memory of each process, over all rounds.
    pub processes: BTreeMap<String, Usage>,
}

impl RoundReport {
    /// Reads a round's decisions and counts its bytes; what lies in the folders of `offline` departments is of earlier
    /// rounds.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn read(layout: &Layout, policy: &Policy, seen: &Seen, offline: &[String]) -> Result<RoundReport, DemoError> {
        let month = seen.month.to_string();
        Ok(RoundReport {
            matters: decisions(layout, policy, &month)?,
            seconds: seen.phases.clone(),
            bytes: bytes(layout, seen)?,
            quarantined: quarantined(layout, policy, offline)?,
            month,
        })
    }

    /// How many rows were quarantined and where to look; nothing if there are none.
    pub fn quarantine_text(&self, layout: &Layout, language: Language) -> Option<String> {
        let (rows, departments) = (self.quarantined.values().sum(), self.quarantined.len());
        let files = layout.quarantine("*");
        (departments > 0).then(|| Text::Quarantined { rows, departments, files }.said(language))
    }

    /// The table of matters, and what it took.
    pub fn text(&self, policy: &Policy, language: Language) -> String {
        let mut lines = vec![format!("\n{}", self.month)];
        let heads = Decision::ALL.map(|decision| decision.said(language));
        lines.push(row(&Text::Matter.said(language), &heads));
        let mut totals = [0; 4];
        for matter in &policy.matters {
            let Some(found) = self.matters.get(&matter.id) else { continue };
            let counts = Decision::ALL.map(|decision| found.get(decision.name()).copied().unwrap_or(0));
            (0..4).for_each(|place| totals[place] += counts[place]);
            let name =
                if language == Language::Chinese { format!("  {}", matter.name.said(language)) } else { String::new() };
            lines.push(row(&matter.id, &counts.map(|count| count.to_string())) + &name);
        }
        lines.push(row(&Text::All.said(language), &totals.map(|count| count.to_string())));
        let measured = |what: String, value: f64, unit| format!("  {}{value:>9.2} {unit}", padded(&what, NAME_COLUMNS));
        lines.extend(self.seconds.iter().map(|(step, seconds)| measured(step.said(language), *seconds, "s")));
        lines.extend(self.bytes.iter().map(|(kind, bytes)| measured(kind.said(language), *bytes as f64 / 1e6, "MB")));
        lines.join("\n") + "\n"
    }
}

impl Report {
    /// What the processes used, the nodes together.
    pub fn usage_text(&self, language: Language) -> String {
        let heads = [Text::Cpu, Text::Peak].map(|head| head.said(language));
        let mut lines = vec![row(&Text::Process.said(language), &heads)];
        let (nodes, servers): (Vec<_>, Vec<_>) =
            self.processes.iter().partition(|(name, _)| name.ends_with(Role::Node.name()));
        let cpu: f64 = nodes.iter().map(|(_, usage)| usage.cpu_s).sum();
        let peak = nodes.iter().map(|(_, usage)| usage.peak_mib).fold(0.0, f64::max);
        let all = Text::Nodes { nodes: nodes.len() }.said(language);
        let servers = servers.iter().map(|(name, usage)| (name.as_str(), usage.cpu_s, usage.peak_mib));
        let rows = [(all.as_str(), cpu, peak)].into_iter().chain(servers);
        lines.extend(rows.map(|(name, cpu, peak)| row(name, &[cpu, peak].map(|value| format!("{value:.1}")))));
        lines.join("\n") + "\n"
    }
}

/// A name and numbers under their heads.
fn row(name: &str, cells: &[String]) -> String {
    let cells: String = cells.iter().map(|cell| right(cell, CELL_COLUMNS)).collect();
    format!("  {}{cells}", padded(name, NAME_COLUMNS))
}

const NAME_COLUMNS: usize = 32;
const CELL_COLUMNS: usize = 14;

fn decisions(
    layout: &Layout,
    policy: &Policy,
    month: &str,
) -> Result<BTreeMap<String, BTreeMap<&'static str, u64>>, DemoError> {
    let mut matters = BTreeMap::new();
    for owner in policy.owners() {
        let path = layout.decisions(policy.member_id(owner), month);
        if !path.exists() {
            continue;
        }
        let table_failed = |error| DemoError::Table { path: path.clone(), error };
        for matter in policy.matters_of(owner) {
            matters.insert(matter.id.clone(), BTreeMap::new());
        }
        let mut table = csv::Reader::from_path(&path).map_err(table_failed)?;
        for row in table.records() {
            let row = row.map_err(table_failed)?;
            let name = Decision::ALL.map(Decision::name).into_iter().find(|name| row.get(2) == Some(name));
            if let (Some(counts), Some(name)) = (row.get(1).and_then(|matter| matters.get_mut(matter)), name) {
                *counts.entry(name).or_default() += 1;
            }
        }
    }
    Ok(matters)
}

fn quarantined(layout: &Layout, policy: &Policy, offline: &[String]) -> Result<BTreeMap<String, u64>, DemoError> {
    let mut quarantined = BTreeMap::new();
    for department in policy.departments.iter().filter(|department| !offline.contains(&department.id)) {
        let path = layout.quarantine(&department.id);
        if !path.exists() {
            continue;
        }
        let table_failed = |error| DemoError::Table { path: path.clone(), error };
        let mut rows = 0;
        for row in csv::Reader::from_path(&path).map_err(table_failed)?.byte_records() {
            row.map_err(table_failed)?;
            rows += 1;
        }
        if rows > 0 {
            quarantined.insert(department.id.clone(), rows);
        }
    }
    Ok(quarantined)
}

fn bytes(layout: &Layout, seen: &Seen) -> Result<Vec<(Traffic, u64)>, DemoError> {
    let folder = |server: Role| layout.state("", server).join("rounds").join(&seen.round);
    let (matcher, aggregator, coordinator) =
        (folder(Role::Matcher), folder(Role::Aggregator), folder(Role::Coordinator));
    Ok(vec![
        (Traffic::Enrolment, enrolment_bytes(layout, seen)?),
        (Traffic::Pools, size(&matcher, "pool-")?),
        (Traffic::Records, size(&matcher, "records-")?),
        (Traffic::RowLists, size(&aggregator, "rows-")?),
        (Traffic::Bitmaps, size(&matcher, "bitmap-")?),
        (Traffic::SignalBits, size(&aggregator, "bits-")?),
        (Traffic::Decisions, size(&coordinator, "decisions-")?),
    ])
}

fn size(folder: &Path, prefix: &str) -> Result<u64, DemoError> {
    let mut bytes = 0;
    // A server that received nothing has no folder for the round.
    if !folder.exists() {
        return Ok(0);
    }
    let entries = fs::read_dir(folder).at(folder)?;
    for entry in entries {
        let entry = entry.at(folder)?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            bytes += entry.metadata().at(folder)?.len();
        }
    }
    Ok(bytes)
}

/// Blinded and evaluated elements, 32 bytes each, of the batches that were answered in this month's part of the log.
fn enrolment_bytes(layout: &Layout, seen: &Seen) -> Result<u64, DemoError> {
    let log = layout.state("", Role::Coordinator).join("log");
    let (month, mut in_round, mut bytes) = (seen.month.to_string(), false, 0);
    for line in log_folder::entries(&log).at(&log)? {
        let entry: serde_json::Value =
            serde_json::from_slice(&line).map_err(|error| DemoError::Log { path: log.clone(), error })?;
        let body = &entry["body"];
        match body["type"].as_str() {
            Some("round_manifest") => in_round = body["month"].as_str() == Some(&month),
            Some("evaluation") if in_round => bytes += 64 * body["count"].as_u64().unwrap_or(0),
            _ => {}
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::city::CATALOGUE;

    #[test]
    fn rows_in_quarantine_are_counted_where_a_round_put_them() {
        let (folder, policy) = (tempfile::tempdir().unwrap(), Policy::read(CATALOGUE.as_bytes()).unwrap());
        let layout = Layout::new(folder.path());
        let ids: Vec<&str> = policy.departments.iter().map(|department| &*department.id).collect();
        let file = "file,line,reason,value\n";
        let row = "channels/a.csv,2,length,\"12\n3\"\n";
        for (id, rows) in ids.iter().zip(["", row, &row.repeat(3), &row.repeat(9)]) {
            fs::create_dir_all(layout.department(id)).unwrap();
            fs::write(layout.quarantine(id), format!("{file}{rows}")).unwrap();
        }
        let counted = |offline: &[&str]| {
            let offline: Vec<String> = offline.iter().map(ToString::to_string).collect();
            quarantined(&layout, &policy, &offline).unwrap()
        };
        let expected = |counts: &[(&str, u64)]| counts.iter().map(|(id, rows)| (id.to_string(), *rows)).collect();
        assert_eq!(counted(&[]), expected(&[(ids[1], 1), (ids[2], 3), (ids[3], 9)]));
        let report = |quarantined| RoundReport {
            month: "2026-06".into(),
            matters: BTreeMap::new(),
            seconds: Vec::new(),
            bytes: Vec::new(),
            quarantined,
        };
        let some = report(counted(&[ids[3]]));
        assert_eq!(some.quarantined, expected(&[(ids[1], 1), (ids[2], 3)]));
        for language in [Language::English, Language::Chinese] {
            let said = some.quarantine_text(&layout, language).unwrap();
            assert!(said.contains('4') && said.contains('2') && said.contains("*/quarantine.csv"), "{said}");
            assert_eq!(report(counted(&[ids[1], ids[2], ids[3]])).quarantine_text(&layout, language), None);
        }
    }
}
