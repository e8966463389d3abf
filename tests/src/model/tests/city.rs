//! A city by hand: small enough that each decision can be told by looking.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::model::{Decision, Model, person};

pub(super) const MONTH: &str = "2026-11";

/// A folder with a catalogue, and a file with nothing but its header for every channel and roster.
pub(super) struct City {
    dir: TempDir,
}

impl City {
    pub(super) fn new(catalogue: &str) -> Self {
        let city = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(city.path().join("catalogue.toml"), catalogue).unwrap();
        let catalogue = Model::load(city.path()).unwrap().catalogue;
        for channel in &catalogue.channels {
            city.channel(&channel.department, &channel.id, &[]);
        }
        for department in catalogue.departments.iter().filter(|d| d.roster_owner) {
            city.roster(&department.id, &[]);
        }
        city
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn file(&self, department: &str, file: &str) -> PathBuf {
        self.path().join("departments").join(department).join(file)
    }

    pub(super) fn write(&self, department: &str, file: &str, content: impl AsRef<[u8]>) {
        let path = self.file(department, file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(super) fn channel(&self, department: &str, channel: &str, rows: &[String]) {
        let content = format!("person,seen_on\n{}", lines(rows));
        self.write(department, &format!("channels/{channel}.csv"), content);
    }

    pub(super) fn roster(&self, department: &str, rows: &[String]) {
        let content = format!("person,matter,village,grid\n{}", lines(rows));
        self.write(department, "roster.csv", content);
    }

    /// Writes the signals of [`Self::decide`]'s one person: a record in each channel of `found`, written as
    /// `department/channel`.
    fn see(&self, found: &[&str]) {
        for signal in found {
            let (department, channel) = signal.split_once('/').unwrap();
            self.channel(department, channel, &[format!("{},2026-11-15", id(1))]);
        }
    }

    /// What is decided on a person with a record in each channel of `found` (written `department/channel`, replacing
    /// what is in these files) at a matter of the department `owner`, as `decision rule`.
    pub(super) fn decide(&self, matter: &str, found: &[&str], offline: &[&str]) -> String {
        self.see(found);
        self.roster("owner", &[format!("{},{matter},v,g", id(1))]);
        let expected = Model::load(self.path()).unwrap().expected(self.path(), MONTH, offline).unwrap();
        let line = &expected["owner"][&(id(1), matter.to_owned())];
        assert_eq!(line.rule.is_empty(), line.decision == Decision::Deferred);
        format!("{} {}", line.decision, line.rule).trim_end().to_owned()
    }
}

/// The ID number of the person with this sequence number, 0 to 999.
pub(super) fn id(sequence: u32) -> String {
    let digits = format!("34169919500101{sequence:03}");
    let check = person::check_character(&digits);
    format!("{digits}{check}")
}

fn lines(rows: &[String]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// A catalogue with the rules of the shipped one; the departments `owner`, `other` (roster owners), `a` to `d`.
/// Each of `channels` is `department/channel class`; the matters `all` and more of `owner`, and one of `other`.
pub(super) fn catalogue(channels: &[&str], exposed: &str, matters: &[(&str, &str)]) -> String {
    let mut text = format!("[policy]\nexposed = [{exposed}]\n{RULES}");
    for id in ["owner", "other", "a", "b", "c", "d"] {
        let owns = id.starts_with('o');
        text += &format!("[[department]]\nid = \"{id}\"\nroster_owner = {owns}\n");
    }
    for channel in channels {
        let (name, class) = channel.split_once(' ').unwrap();
        let (department, id) = name.split_once('/').unwrap();
        let (strength, polarity) = class.split_once(' ').unwrap();
        text += &format!(
            "[[channel]]\nid = \"{id}\"\ndepartment = \"{department}\"\npolarity = \"{polarity}\"\n\
             strength = \"{strength}\"\nwindow_days = 30\n"
        );
    }
    let common = [("owner", "all", "\"all\""), ("other", "others", "\"all\"")];
    let more = matters.iter().map(|(id, applying)| ("owner", *id, *applying));
    for (department, id, applying) in common.into_iter().chain(more) {
        text += &format!(
            "[[matter]]\nid = \"{id}\"\ndepartment = \"{department}\"\nchannels = {applying}\n\
             ruleset = \"standard\"\n"
        );
    }
    text
}

/// Enough channels of each class that one department may be missing; the weak negative one is exposed.
pub(super) const CHANNELS: &[&str] = &[
    "a/sp1 strong positive",
    "b/sp2 strong positive",
    "c/sp3 strong positive",
    "d/sp4 strong positive",
    "owner/own strong positive",
    "a/wp1 weak positive",
    "b/wp2 weak positive",
    "c/wp3 weak positive",
    "d/wp4 weak positive",
    "a/sn1 strong negative",
    "b/sn2 strong negative",
    "c/sn3 strong negative",
    "d/sn4 strong negative",
    "d/wn weak negative",
];

const RULES: &str = r#"
[[ruleset]]
id = "standard"
rules = [
  { id = "negative_strong", at_least = { strong_negative = 1 }, decide = "suspected" },
  { id = "negative_weak", at_least = { weak_negative = 1 }, at_most = { strong_positive = 0 }, decide = "suspected" },
  { id = "positive_strong", at_least = { strong_positive = 1 }, decide = "certified" },
  { id = "positive_weak", at_least = { weak_positive = 2 }, decide = "certified" },
  { id = "no_trace", decide = "unmatched" },
]
"#;
