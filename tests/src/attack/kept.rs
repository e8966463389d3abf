//! What the parties kept of the rounds, with which a replay compares what the log says of it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use wugan_protocol::{
    file::{FileKey, Header},
    hexes::sha256,
    limits::{about, round_up_count},
    policy::{DEFERRED, Decision, Outcome, Policy},
};

use super::genuine::Entry;

/// Digests and counts of kept files.
#[derive(Default)]
pub(super) struct Kept {
    /// SHA-256 by `round/file`, `elements/owner/batch` and `answers/source/owner-batch`.
    digests: BTreeMap<String, String>,
    /// Bytes of the files of rounds.
    files: BTreeMap<String, Vec<u8>>,
    /// What a count of kept decisions gives, by `round/file`.
    totals: BTreeMap<String, Value>,
}

impl Kept {
    /// Takes what lies in a city's folder now.
    pub(super) fn look(&mut self, dir: &Path) {
        let mut folders = vec![dir.to_owned()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if let Some(name) = name(&path) {
                    let bytes = fs::read(&path).unwrap();
                    self.digests.insert(name.clone(), sha256(&bytes).to_string());
                    self.files.insert(name, bytes);
                }
            }
        }
    }

    /// Counts the kept decisions, as the lists of `entries` have the rounds' channels.
    pub(super) fn count(&mut self, entries: &[Entry], policy: &Policy) {
        for entry in entries.iter().filter(|entry| entry.body["type"] == "list") {
            let list = serde_json::from_value(entry.body["channels"].clone()).unwrap();
            for owner in policy.owners() {
                let name = file_name(&entry.body, FileKey::Decisions { owner });
                let rounds = policy.matter_rounds(owner, &list);
                let Some(bytes) = self.files.get(&name) else { continue };
                let (header, mut rows) = bytes.split_at(Header::bytes(rounds.len()));
                let header = Header::decode(header, rounds.len()).unwrap();
                let mut totals = Vec::new();
                for ((matter, round), count) in policy.matters_of(owner).zip(rounds).zip(header.rows) {
                    let (of_matter, rest) = rows.split_at(count as usize);
                    rows = rest;
                    let decided = |byte: &u8| {
                        round.decision(if *byte == DEFERRED { Outcome::Deferred } else { Outcome::Rule(*byte) })
                    };
                    let with = |decision| of_matter.iter().filter(|byte| decided(byte) == decision).count() as u64;
                    let told = |decision: Decision| json!({ "decision": decision, "about": about(with(decision)) });
                    totals.push(json!({ "matter": matter.number, "counts": Decision::ALL.map(told) }));
                }
                self.totals.insert(name, Value::Array(totals));
            }
        }
    }

    /// Whether a body says of what was kept what it is. Nobody can say anything of what was not kept.
    pub(super) fn agrees(&self, body: &Value) -> bool {
        let same = |name: String, digest: &Value| self.digests.get(&name).is_none_or(|kept| digest == kept);
        let padded = |field: &str| body[field].as_u64().map(|number| format!("{number:010}")).unwrap_or_default();
        match body["type"].as_str() {
            Some("announcement") => serde_json::from_value(body["file"].clone()).is_ok_and(|file| {
                let name = file_name(body, file);
                same(name.clone(), &body["digest"]) && self.counted(&name).is_none_or(|count| body["count"] == count)
            }),
            Some("enrolment_batch") => {
                let name = format!("elements/{}/{}", text(&body["sender"]), padded("batch"));
                same(name, &body["elements"])
            }
            Some("evaluation") => {
                let name = format!("answers/{}/{}-{}", text(&body["sender"]), body["owner"], padded("batch"));
                same(name, &body["answer"])
            }
            Some("decisions") => body["owner"].as_u64().is_some_and(|owner| {
                let name = file_name(body, FileKey::Decisions { owner: owner as u16 });
                self.totals.get(&name).is_none_or(|totals| body["matters"] == *totals)
            }),
            _ => true,
        }
    }

    /// The count in a kept file's header, as it is announced.
    fn counted(&self, name: &str) -> Option<u64> {
        let count = self.files.get(name)?.get(32..40)?;
        Some(round_up_count(u64::from_le_bytes(count.try_into().ok()?)))
    }
}

/// The name of a file, if it is one of a round or of enrolment.
fn name(path: &Path) -> Option<String> {
    let part = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let folder = path.parent()?;
    if part(folder.parent()?)? == "rounds" {
        return Some(format!("{}/{}", part(folder)?, part(path)?));
    }
    // departments/<id>/state/<folder>/<file>
    let id = part(folder.parent()?.parent()?)?;
    let stem = PathBuf::from(part(path)?).file_stem()?.to_string_lossy().into_owned();
    let kind = part(folder).filter(|kind| ["elements", "answers"].contains(&kind.as_str()))?;
    Some(format!("{kind}/{id}/{stem}"))
}

fn file_name(body: &Value, file: FileKey) -> String {
    format!("{}/{}", text(&body["round"]), file.name())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
