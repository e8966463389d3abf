//! The audit with which other tests end finds what it should: a log that was changed, and entries that come when they must
//! not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use serde_json::{Value, json};
use wugan_demo::{
    city::{CityPlan, generate, install_roster},
    layout::Layout,
};
use wugan_keys::PartyKeys;
use wugan_protocol::{
    envelope::Signer,
    hexes::{Hex, sha256},
    party::Role,
};
use wugan_tests::{
    audit::{audit, authority},
    city::catalogue,
    sim::{Faults, Sim},
};

#[test]
fn a_changed_log_is_found_and_so_is_an_entry_out_of_order() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let plan = CityPlan { seed: 5, ..CityPlan::for_people(40) };
    generate(&plan, &catalogue(5).0, dir).unwrap();
    install_roster(dir, "2026-06", true).unwrap();
    let mut sim = Sim::start(dir, &[], &["roster.csv".to_owned()], 5).unwrap();
    sim.round("2026-06".parse().unwrap(), &[], Faults::default()).unwrap();
    let (log, key) = (sim.log(), authority(dir).unwrap());
    audit(&log, &key).unwrap();
    every_change_is_found(&log, &key);
    what_comes_too_early_is_found(dir, &log, &key);
}

fn every_change_is_found(log: &[Vec<u8>], key: &[u8]) {
    let senders: Vec<Value> = log.iter().map(|line| sender(&read(line))).collect();
    for place in (0..log.len()).step_by(5) {
        let mut changed = log.to_vec();
        let middle = changed[place].len() / 2;
        changed[place][middle] ^= 1;
        audit(&changed, key).expect_err("a changed byte");
        let mut changed = log.to_vec();
        changed.insert(place, changed[place].clone());
        audit(&changed, key).expect_err("an entry twice");
        // That somebody's last entries were dropped is found by whoever has seen them.
        let Some(later) = senders[place + 1..].iter().position(|later| *later == senders[place]) else { continue };
        let mut changed = log.to_vec();
        changed.remove(place);
        audit(&changed, key).expect_err("an entry dropped");
        let mut changed = log.to_vec();
        changed.swap(place, place + 1 + later);
        audit(&changed, key).expect_err("two entries exchanged");
    }
    audit(log, &[7; 32]).expect_err("another authority");
    let open = log.iter().position(|line| read(line)["body"]["type"] == "round_closed").unwrap();
    audit(&log[..open], key).expect_err("a round without an end");
}

/// A later entry, signed anew by its signer, is put before an earlier one.
fn what_comes_too_early_is_found(dir: &Path, log: &[Vec<u8>], key: &[u8]) {
    let kind = |kind: &'static str| move |body: &Value| body["type"] == kind;
    let file = |kind: &'static str| move |body: &Value| body["file"]["kind"] == kind;
    let receipt = |of: &'static str| move |body: &Value| body["of"] == of;
    let at = |is: &dyn Fn(&Value) -> bool| log.iter().position(|line| is(&read(line)["body"])).unwrap();
    let end = log.len();
    let cases = [
        (at(&file("rows")), at(&kind("list")), "before what it rests on"),
        (at(&file("records")), at(&kind("list")), "before what it rests on"),
        (at(&file("bitmap")), at(&receipt("records")), "before what it rests on"),
        (at(&file("bits")), at(&file("bitmap")), "before what it rests on"),
        (at(&file("decisions")), at(&file("bits")), "before what it rests on"),
        (at(&kind("decisions")), at(&file("decisions")), "other decisions than were announced"),
        (at(&kind("list")), at(&kind("pools_closed")), "before the pools are closed"),
        (at(&kind("rows_closed")), at(&kind("list")), "before its time"),
        (at(&kind("round_closed")), at(&kind("rows_closed")), "before its time"),
        (at(&receipt("rows")), at(&kind("list")), "before the list"),
        (at(&receipt("pools")), at(&file("pool")), "not announced"),
        (at(&file("pool")), at(&kind("round_manifest")), "before any round"),
        (at(&kind("evaluation")), at(&kind("enrolment_batch")), "than was asked for"),
        (at(&kind("evaluation")), end, "charged twice"),
        (at(&kind("round_manifest")), end, "has had its round"),
        (at(&file("pool")), at(&kind("pools_closed")), "announced twice"),
        (at(&receipt("pools")), at(&kind("pools_closed")), "given twice"),
    ];
    for (entry, before, words) in cases {
        let mut changed = log[..before].to_vec();
        changed.push(signed_anew(dir, &changed, &log[entry]));
        let found = audit(&changed, key).expect_err(words).to_string();
        assert!(found.contains(words), "{words}: {found}");
    }
}

/// The statement of an entry as its signer's next one after `log`.
fn signed_anew(dir: &Path, log: &[Vec<u8>], entry: &[u8]) -> Vec<u8> {
    let mut body = read(entry)["body"].clone();
    let before = log.iter().rev().find(|line| sender(&read(line)) == sender(&read(entry)));
    body["seq"] = before.map_or(json!(0), |line| json!(read(line)["body"]["seq"].as_u64().unwrap() + 1));
    body["prev"] = json!(before.map_or(String::new(), |line| sha256(line).to_string()));
    let role = [Role::Node, Role::Matcher, Role::Aggregator, Role::Coordinator];
    let role = role.into_iter().find(|role| body["role"] == role.name()).unwrap();
    let keys = Layout::new(dir).keys(body["sender"].as_str().unwrap(), role);
    let mut message = format!("wugan/1/{}\n", body["type"].as_str().unwrap()).into_bytes();
    message.extend(serde_json::to_vec(&body).unwrap());
    let sig = Hex(PartyKeys::open(&keys, role).unwrap().identity.sign(&message)).to_string();
    serde_json::to_vec(&json!({ "body": body, "sig": sig })).unwrap()
}

fn sender(entry: &Value) -> Value {
    json!([entry["body"]["sender"], entry["body"]["role"]])
}

fn read(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap()
}
