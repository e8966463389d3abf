//! A genuine log never alarms, and whatever is done to it is found: by a stranger, who has no key; by the coordinator, who
//! signs the changed tree anew; by a party that signs its own entry anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde_json::{Value, json};
use wugan_audit::{folder::LogFiles, verify::verify};
use wugan_demo::{
    city::{CityPlan, generate, install_roster},
    layout::Layout,
};
use wugan_keys::PartyKeys;
use wugan_protocol::{
    envelope::Signer,
    hexes::Hex,
    ledger::Ledger,
    log::{checkpoint::VerifiedCheckpoint, merkle::Growing, writer::LogWriter},
    manifest::Federation,
    party::Role,
    policy::Policy,
};
use wugan_tests::{
    audit::authority,
    city::catalogue,
    sim::{Chance, Faults, Sim},
};

#[test]
fn a_genuine_log_is_in_order_and_every_change_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let genuine = Genuine::make(folder.path());
    let mut tried = 0;
    let mut found = |what: &str, files: &LogFiles| {
        tried += 1;
        assert!(!verify(files, &genuine.authority).findings.is_empty(), "not found: {what}");
    };
    assert_eq!(verify(&genuine.files, &genuine.authority).findings, []);
    found("another authority", &LogFiles::default());
    for (what, files) in files_changed(&genuine.files) {
        found(&what, &files);
    }
    let mut chance = Chance::new(7);
    for (what, lines) in genuine.entries_changed(&mut chance) {
        // The stranger keeps the checkpoint, the coordinator signs a new one.
        let stranger = LogFiles { files: tiles(&lines), ..LogFiles::default() };
        let mut stranger_files = genuine.files.files.clone();
        stranger_files.retain(|path, _| !path.starts_with("tile/"));
        stranger_files.extend(stranger.files);
        found(&format!("{what}, by a stranger"), &LogFiles { files: stranger_files, ..LogFiles::default() });
        found(&format!("{what}, by the coordinator"), &genuine.signed(&lines));
    }
    println!("{tried} changed logs, all found");
}

/// A log of two rounds, and the keys of its parties.
struct Genuine {
    layout: Layout,
    authority: [u8; 32],
    catalogue: Vec<u8>,
    federation: Federation,
    lines: Vec<Vec<u8>>,
    files: LogFiles,
}

impl Genuine {
    fn make(dir: &Path) -> Genuine {
        let plan = CityPlan { seed: 6, ..CityPlan::for_people(40) };
        let catalogue = catalogue(6).0;
        generate(&plan, &catalogue, dir).unwrap();
        install_roster(dir, "2026-06", true).unwrap();
        let mut sim = Sim::start(dir, &[], &["roster.csv".to_owned(), "roster.csv".to_owned()], 6).unwrap();
        for month in ["2026-06", "2026-07"] {
            sim.round(month.parse().unwrap(), &[], Faults::default()).unwrap();
        }
        let authority: [u8; 32] = authority(dir).unwrap().try_into().unwrap();
        let (layout, lines) = (Layout::new(dir), sim.log());
        let policy = Arc::new(Policy::read(catalogue.as_bytes()).unwrap());
        let federation = Federation::verify(&lines[0], &authority, policy).unwrap();
        let catalogue = catalogue.into_bytes();
        let files = LogFiles::default();
        let genuine = Genuine { layout, authority, catalogue, federation, lines, files };
        Genuine { files: genuine.signed(&genuine.lines), ..genuine }
    }

    fn keys(&self, id: &str, role: Role) -> PartyKeys {
        PartyKeys::open(&self.layout.keys(id, role), role).unwrap()
    }

    /// The folder that the coordinator's log key makes of these entries.
    fn signed(&self, lines: &[Vec<u8>]) -> LogFiles {
        let id = self.federation.policy().member_id(self.federation.coordinator().member).to_owned();
        let key = self.keys(&id, Role::Coordinator).log;
        let (mut growing, mut ledger) = (Growing::default(), Ledger::new(self.federation.clone()));
        for line in lines {
            growing.push(line);
            if let Ok(admitted) = ledger.admit(line) {
                ledger.apply(admitted);
            }
        }
        let note = |tree| VerifiedCheckpoint::sign(tree, &self.federation.origin(), key.as_ref()).unwrap();
        let mut files = tiles(lines);
        files.insert("checkpoint".into(), note(growing.tree()).note().to_string().into_bytes());
        files.insert("catalogue.toml".into(), self.catalogue.clone());
        if let Some(closed) = ledger.closed().filter(|closed| !closed.cosigned.is_empty()) {
            let mut cosigned = note(closed.tree);
            for (party, (time, signature)) in &closed.cosigned {
                cosigned.add_cosignature(&self.federation.cosigner_key(*party).unwrap(), *time, &signature.0).unwrap();
            }
            files.insert("cosigned".into(), cosigned.note().to_string().into_bytes());
        }
        LogFiles { files, strange: Vec::new() }
    }

    /// Entries altered, dropped, repeated and exchanged, and signed anew by whoever made them.
    fn entries_changed(&self, chance: &mut Chance) -> Vec<(String, Vec<Vec<u8>>)> {
        let closed = self.lines.iter().rposition(|line| read(line)["body"]["type"] == "round_closed").unwrap();
        let mut changed = Vec::new();
        for place in (0..=closed).step_by(STEP) {
            let mut flipped = self.lines.clone();
            let at = chance.below(flipped[place].len() as u64) as usize;
            flipped[place][at] ^= 1 << chance.below(7);
            let mut dropped = self.lines.clone();
            dropped.remove(place);
            let mut repeated = self.lines.clone();
            repeated.insert(chance.below(self.lines.len() as u64) as usize, self.lines[place].clone());
            let mut exchanged = self.lines.clone();
            let other = chance.below(closed as u64) as usize;
            exchanged.swap(place, other + usize::from(other >= place));
            changed.push((format!("entry {place} flipped"), flipped));
            changed.push((format!("entry {place} dropped"), dropped));
            changed.push((format!("entry {place} repeated"), repeated));
            changed.push((format!("entry {place} exchanged"), exchanged));
            if place > 0 {
                let mut anew = self.lines.clone();
                let (field, line) = self.signed_anew(&anew[place], chance);
                anew[place] = line;
                changed.push((format!("entry {place} signed anew with another {field}"), anew));
            }
        }
        changed
    }

    /// An entry with one field altered, signed by the party that made it.
    fn signed_anew(&self, line: &[u8], chance: &mut Chance) -> (String, Vec<u8>) {
        let mut body = read(line)["body"].clone();
        let fields: Vec<String> =
            body.as_object().unwrap().keys().filter(|name| !KEPT.contains(&name.as_str())).cloned().collect();
        let field = fields[chance.below(fields.len() as u64) as usize].clone();
        alter(&mut body[&field]);
        let roles = [Role::Node, Role::Matcher, Role::Aggregator, Role::Coordinator];
        let role = roles.into_iter().find(|role| body["role"] == role.name()).unwrap();
        let identity = self.keys(body["sender"].as_str().unwrap(), role).identity;
        let mut message = format!("wugan/1/{}\n", body["type"].as_str().unwrap()).into_bytes();
        message.extend(serde_json::to_vec(&body).unwrap());
        let sig = Hex(identity.sign(&message)).to_string();
        (field, serde_json::to_vec(&json!({ "body": body, "sig": sig })).unwrap())
    }
}

/// Every so many-th entry is changed.
const STEP: usize = 5;
/// What says who signs, which the party that signs anew leaves as it is.
const KEPT: [&str; 3] = ["sender", "role", "type"];

fn alter(value: &mut Value) {
    match value {
        Value::Number(number) => *value = json!(number.as_u64().unwrap() + 1),
        Value::String(text) if text.is_empty() => *text = "00".repeat(32),
        Value::String(text) => {
            let flipped = if text.ends_with('0') { '1' } else { '0' };
            text.pop();
            text.push(flipped);
        }
        Value::Array(items) if items.is_empty() => items.push(json!(1)),
        Value::Array(items) => {
            items.pop();
        }
        Value::Object(fields) => {
            let first = fields.keys().next_back().unwrap().clone();
            alter(&mut fields[&first]);
        }
        Value::Null => *value = json!(1),
        Value::Bool(truth) => *truth = !*truth,
    }
}

/// Every file cut, altered, lengthened and gone; files that are too many.
fn files_changed(genuine: &LogFiles) -> Vec<(String, LogFiles)> {
    let mut changed = Vec::new();
    for (path, bytes) in &genuine.files {
        let mut with = |what: &str, bytes: Option<Vec<u8>>| {
            let mut files = genuine.files.clone();
            files.remove(path);
            files.extend(bytes.map(|bytes| (path.clone(), bytes)));
            changed.push((format!("{path} {what}"), LogFiles { files, strange: Vec::new() }));
        };
        with("gone", None);
        with("empty", Some(Vec::new()));
        with("cut", Some(bytes[..bytes.len() - 1].to_vec()));
        with("lengthened", Some([&bytes[..], b"\n"].concat()));
        for part in 0..16 {
            let mut altered = bytes.clone();
            altered[part * (bytes.len() - 1) / 15] ^= 1;
            with("altered", Some(altered));
        }
    }
    for path in ["tile/0/009", "tile/entries/000.p/1", "tile/8/0/000", "notes.txt", "checkpoint.old"] {
        let mut files = genuine.files.clone();
        files.insert(path.into(), vec![0; 32]);
        changed.push((format!("{path} besides"), LogFiles { files, strange: Vec::new() }));
    }
    changed.push(("a link".into(), LogFiles { strange: vec!["link".into()], ..genuine.clone() }));
    changed
}

fn tiles(lines: &[Vec<u8>]) -> BTreeMap<String, Vec<u8>> {
    let mut writer = LogWriter::empty();
    for line in lines {
        writer.append(line).unwrap();
    }
    writer.changed_files().into_iter().map(|(tile, bytes)| (tile.to_string(), bytes)).collect()
}

fn read(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap()
}
