//! Whole federations of real processes, compared with the plaintext model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use wugan_tests::model::{compare_quarantine, compare_with_roster};

#[test]
fn two_rounds_of_a_generated_city_agree_with_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("city");
    demo(&["--people", "300", "--seed", "11", "--rounds", "2", "--out", text(&out)]);
    for month in ["2026-06", "2026-07"] {
        agrees(&out, month, &[]);
    }
    assert_eq!(compare_quarantine(&out, &[]).unwrap(), Vec::new());
    no_person_shows_outside_their_departments(&out);
}

/// Searches everything that servers hold, every program's log and every database for the ID numbers of the city: as text
/// (17 digits, so in any form), and packed as the programs do.
fn no_person_shows_outside_their_departments(out: &Path) {
    let mut people = BTreeSet::new();
    let mut searched = Vec::new();
    for path in files_below(out) {
        let name = path.strip_prefix(out).unwrap().to_str().unwrap().to_owned();
        let inside = name.starts_with("departments/") && !name.contains("/state/");
        if name.contains("/decisions/") {
            let table = fs::read_to_string(&path).unwrap();
            people.extend(table.lines().skip(1).map(|line| line[..17].to_owned()));
        } else if !inside {
            searched.push((name, fs::read(&path).unwrap()));
        }
    }
    assert!(people.len() > 100 && searched.len() > 100);
    let text = people.iter().map(|person| person.clone().into_bytes());
    let packed = people.iter().flat_map(|person| {
        let number: u64 = person.parse().unwrap();
        [number.to_be_bytes().to_vec(), number.to_le_bytes().to_vec()]
    });
    let needles: BTreeSet<Vec<u8>> = text.chain(packed).collect();
    for (name, bytes) in searched {
        for length in [17, 8] {
            let found = bytes.windows(length).any(|window| needles.contains(window));
            assert!(!found, "{name} holds an ID number");
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) =
        entries.filter(|path| path.is_dir() || path.is_file()).partition(|p| p.is_dir());
    files.into_iter().chain(folders.iter().flat_map(|folder| files_below(folder))).collect()
}

#[test]
fn departments_offline_defer_exactly_what_they_could_have_changed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("city");
    // One has strong negative records, one is a roster owner, one the weak negative channel.
    let offline = ["justice", "civil_affairs", "grid_governance"];
    let mut arguments = vec!["--people", "200", "--seed", "12", "--rounds", "1", "--out", text(&out)];
    offline.iter().for_each(|node| arguments.extend(["--offline", node]));
    demo(&arguments);
    agrees(&out, "2026-06", &offline);
    assert!(!out.join("departments/civil_affairs/decisions").exists());
}

#[test]
fn a_prepared_city_runs_in_another_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    demo(&["--people", "120", "--seed", "13", "--rounds", "1", "--out", text(&first)]);
    demo(&["--input", text(&first), "--out", text(&second), "--month", "2026-06"]);
    agrees(&second, "2026-06", &[]);
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let cases: [(&[&str], &str); 4] = [
        (&["--offline", "human_resources"], "coordinator's own department"),
        (&["--offline", "data_resources"], "aggregator's own department"),
        (&["--offline", "nobody"], "no such department"),
        (&["--offline", "tax", "--offline", "justice", "--offline", "water", "--offline", "forestry"], "more than 3"),
    ];
    for (arguments, reason) in cases {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
}

fn agrees(out: &Path, month: &str, offline: &[&str]) {
    let roster = |department: &str| {
        let folder = out.join("departments").join(department);
        let monthly = folder.join(format!("roster.{month}.csv"));
        if monthly.exists() { monthly } else { folder.join("roster.csv") }
    };
    let comparison = compare_with_roster(out, month, offline, roster).unwrap();
    let differences: Vec<String> = comparison.differences.iter().take(10).map(ToString::to_string).collect();
    assert!(differences.is_empty(), "{month}: {differences:#?}");
    assert!(comparison.expected.values().sum::<usize>() > 0, "the model expects something");
}

fn demo(arguments: &[&str]) {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_federation")).args(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
