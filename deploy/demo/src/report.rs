//! What the demo prints: decisions of each matter, and the time and bytes of each phase.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::Context;
use serde::Serialize;
use wugan_protocol::{
    party::Role,
    policy::{Decision, Policy},
};

use crate::{layout::Layout, processes::Usage, staff::Seen};

/// One month's round.
#[derive(Debug, Serialize)]
pub struct RoundReport {
    /// The month.
    pub month: String,
    /// Decisions of each matter that was decided.
    pub matters: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// Seconds of each phase.
    pub seconds: Vec<(&'static str, f64)>,
    /// Bytes of each kind of traffic.
    pub bytes: Vec<(&'static str, u64)>,
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
    /// Reads a round's decisions and counts its bytes.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn read(layout: &Layout, policy: &Policy, seen: &Seen) -> anyhow::Result<RoundReport> {
        let month = seen.month.to_string();
        Ok(RoundReport {
            matters: decisions(layout, policy, &month)?,
            seconds: seen.phases.clone(),
            bytes: bytes(layout, seen)?,
            month,
        })
    }

    /// The table of matters, and what it took.
    pub fn text(&self, policy: &Policy) -> String {
        let mut text = format!("\n{}\n", self.month);
        let mut line = |cells: [&str; 5]| {
            let [matter, rest @ ..] = cells;
            let numbers: String = rest.iter().map(|cell| format!("{cell:>11}")).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {matter:<28}{numbers}");
        };
        let names = Decision::ALL.map(Decision::name);
        line(["matter", names[0], names[1], names[2], names[3]]);
        let mut totals = [0; 4];
        for matter in policy.matters.iter().filter(|matter| self.matters.contains_key(&matter.id)) {
            let counts = names.map(|name| self.matters[&matter.id].get(name).copied().unwrap_or(0));
            (0..4).for_each(|place| totals[place] += counts[place]);
            let cells = counts.map(|count| count.to_string());
            line([&matter.id, &cells[0], &cells[1], &cells[2], &cells[3]]);
        }
        let cells = totals.map(|count| count.to_string());
        line(["all", &cells[0], &cells[1], &cells[2], &cells[3]]);
        for (phase, seconds) in &self.seconds {
            let _ = writeln!(text, "  {phase:<28}{seconds:>9.2} s");
        }
        for (kind, bytes) in &self.bytes {
            let _ = writeln!(text, "  {kind:<28}{:>9.2} MB", *bytes as f64 / 1e6);
        }
        text
    }
}

impl Report {
    /// What the processes used, the nodes together.
    pub fn usage_text(&self) -> String {
        let mut text = String::from("\n  process                         CPU s   peak MiB\n");
        let (nodes, servers): (Vec<_>, Vec<_>) =
            self.processes.iter().partition(|(name, _)| name.ends_with(Role::Node.name()));
        let cpu: f64 = nodes.iter().map(|(_, usage)| usage.cpu_s).sum();
        let peak = nodes.iter().map(|(_, usage)| usage.peak_mib).fold(0.0, f64::max);
        let all = format!("{} nodes (peak: largest)", nodes.len());
        let rows = servers.iter().map(|(name, usage)| (name.as_str(), usage.cpu_s, usage.peak_mib));
        for (name, cpu, peak) in [(all.as_str(), cpu, peak)].into_iter().chain(rows) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<28}{cpu:>9.1}{peak:>11.1}");
        }
        text
    }
}

fn decisions(
    layout: &Layout,
    policy: &Policy,
    month: &str,
) -> anyhow::Result<BTreeMap<String, BTreeMap<&'static str, u64>>> {
    let mut matters = BTreeMap::new();
    for owner in policy.owners() {
        let path = layout.decisions(policy.member_id(owner), month);
        if !path.exists() {
            continue;
        }
        for matter in policy.matters_of(owner) {
            matters.insert(matter.id.clone(), BTreeMap::new());
        }
        let mut table = csv::Reader::from_path(&path).with_context(|| path.display().to_string())?;
        for row in table.records() {
            let row = row?;
            let name = Decision::ALL.map(Decision::name).into_iter().find(|name| row.get(2) == Some(name));
            if let (Some(counts), Some(name)) = (row.get(1).and_then(|matter| matters.get_mut(matter)), name) {
                *counts.entry(name).or_default() += 1;
            }
        }
    }
    Ok(matters)
}

fn bytes(layout: &Layout, seen: &Seen) -> anyhow::Result<Vec<(&'static str, u64)>> {
    let folder = |server: Role| layout.state("", server).join("rounds").join(&seen.round);
    let (matcher, aggregator, coordinator) =
        (folder(Role::Matcher), folder(Role::Aggregator), folder(Role::Coordinator));
    Ok(vec![
        ("enrolment", enrolment_bytes(layout, seen)?),
        ("pools", size(&matcher, "pool-")?),
        ("records", size(&matcher, "records-")?),
        ("row lists", size(&aggregator, "rows-")?),
        ("bitmaps", size(&matcher, "bitmap-")?),
        ("signal bits", size(&aggregator, "bits-")?),
        ("decisions", size(&coordinator, "decisions-")?),
    ])
}

fn size(folder: &Path, prefix: &str) -> anyhow::Result<u64> {
    let mut bytes = 0;
    // A server that received nothing has no folder for the round.
    if !folder.exists() {
        return Ok(0);
    }
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// Blinded and evaluated elements, 32 bytes each, of the batches that were answered in this month's part of the log.
fn enrolment_bytes(layout: &Layout, seen: &Seen) -> anyhow::Result<u64> {
    let log = layout.state("", Role::Coordinator).join("entries.jsonl");
    let (month, mut in_round, mut bytes) = (seen.month.to_string(), false, 0);
    for line in fs::read_to_string(&log).with_context(|| log.display().to_string())?.lines() {
        let entry: serde_json::Value = serde_json::from_str(line)?;
        let body = &entry["body"];
        match body["type"].as_str() {
            Some("round_manifest") => in_round = body["month"].as_str() == Some(&month),
            Some("evaluation") if in_round => bytes += 64 * body["count"].as_u64().unwrap_or(0),
            _ => {}
        }
    }
    Ok(bytes)
}
