//! Whole federations of real processes, compared with the plaintext model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use wugan_audit::{
    folder,
    recompute::recompute,
    replay::{At, replay},
    verify::verify,
};
use wugan_keys::Custody;
use wugan_protocol::month::Month;
use wugan_tests::{
    audit::{self, audit_city},
    checks,
    model::compare_quarantine,
};

#[test]
fn two_rounds_of_a_generated_city_agree_with_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("city");
    demo(&["--people", "300", "--seed", "11", "--rounds", "2", "--out", text(&out)]);
    for month in ["2026-06", "2026-07"] {
        agrees(&out, month, &[]);
    }
    assert_eq!(compare_quarantine(&out, &[]).unwrap(), Vec::new());
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

/// The month's decisions are the model's, the log is in order, and whatever was announced in it follows from what each
/// party kept.
fn agrees(out: &Path, month: &str, offline: &[&str]) {
    checks::agrees(out, month, offline).unwrap();
    audit_city(out).unwrap();
    let key = audit::authority(out).unwrap().try_into().unwrap();
    let log = folder::read(&out.join("coordinator/log")).unwrap();
    assert_eq!(verify(&log, &key).findings, []);
    let month: Month = month.parse().unwrap();
    for at in At::ALL {
        let replayed = replay(&log, &key, month, at, &out.join(at.role().name())).unwrap();
        assert!(replayed.findings.is_empty() && replayed.outputs > 0, "{at:?}: {:?}", replayed.findings);
    }
    for department in fs::read_dir(out.join("departments")).unwrap() {
        let home = department.unwrap().path().join("state");
        if home.join("sealed").exists() {
            let recomputed = recompute(&log, &key, month, &home, &home.join("keys"), &Custody::key_files()).unwrap();
            assert!(recomputed.findings.is_empty() && recomputed.outputs > 0, "{:?}", recomputed.findings);
        }
    }
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
