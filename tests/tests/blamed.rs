//! What the auditor says of a log that is not in order: whose fault it is, in which entry, and nothing of those who did
//! nothing wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wugan_audit::{
    finding::{Finding, Rule},
    folder::LogFiles,
    verify::{Options, Report, verify, verify_with},
};
use wugan_protocol::{party::MemberNumber, text::Language};
use wugan_tests::attack::{
    forger::{By, Forger, Item},
    genuine::Genuine,
};

#[test]
fn an_entry_from_the_future_is_found_by_later_ones_and_by_the_auditors_clock() {
    let genuine = Genuine::make();
    let place = genuine.places("receipt")[0];
    let mut later = genuine.entries[place].body.clone();
    later["time"] = json!(later["time"].as_u64().unwrap() + 400 * 86_400);
    let lines = Forger { genuine: &genuine }.history(Some((place, later)), &everybody(&genuine));
    let files = Forger { genuine: &genuine }.published(&lines);
    let found = |files: &LogFiles, now| {
        let options = Options { now, ..Options::default() };
        verify_with(files, &genuine.authority, &options, &mut |_, _| {}).0.findings
    };
    let findings = found(&files, None);
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!((finding.rule, finding.entry), (Rule::Clock, Some(place as u64)));
    let signer = genuine.entries[place].who.map(|party| genuine.federation.party_name(party));
    assert_eq!(finding.party, signer);
    let last = genuine.entries.last().unwrap().body["time"].as_u64().unwrap();
    assert_eq!(found(&genuine.files, Some(last - 900)), []);
    let found = found(&genuine.files, Some(last - 901));
    assert!(!found.is_empty() && found.iter().all(|finding| finding.rule == Rule::Clock && finding.party.is_some()));
}

#[test]
fn what_cannot_be_read_blames_nothing_else() {
    let genuine = Genuine::make();
    let rules = |change: &dyn Fn(&mut LogFiles)| {
        let mut files = genuine.files.clone();
        change(&mut files);
        let findings = verify(&files, &genuine.authority).findings;
        findings.into_iter().map(|finding| finding.rule).collect::<Vec<_>>()
    };
    let bundle = genuine.files.files.keys().find(|path| path.starts_with("tile/entries/")).unwrap();
    assert_eq!(rules(&|log| drop(log.files.remove(bundle))), [Rule::FileMissing]);
    assert_eq!(rules(&|log| log.files.get_mut(bundle).unwrap().truncate(9)), [Rule::FileAltered]);
    let last = genuine.files.files.keys().rfind(|path| path.starts_with("tile/entries/")).unwrap();
    assert_eq!(rules(&|log| log.files.get_mut(last).unwrap().truncate(9)), [Rule::FileAltered]);
    assert_eq!(rules(&|log| drop(log.files.remove("checkpoint"))), [Rule::Checkpoint]);
    assert_eq!(rules(&|log| log.files.get_mut("checkpoint").unwrap().truncate(40)), [Rule::Checkpoint]);
    assert_eq!(rules(&|log| log.files.get_mut("catalogue.toml").unwrap().push(b'\n')), [Rule::Policy]);
    let too_long = |log: &mut LogFiles| log.too_long.extend(log.files.remove(bundle).map(|_| bundle.clone()));
    assert_eq!(rules(&too_long), [Rule::FileTooLong]);
}

#[test]
fn an_entry_that_was_altered_after_the_tree_was_signed_is_named() {
    let genuine = Genuine::make();
    let place = genuine.places("receipt")[3];
    let mut lines = genuine.lines();
    let middle = lines[place].len() / 2;
    lines[place][middle] ^= 1;
    let mut files = Forger { genuine: &genuine }.left(&lines);
    // The hashes are left as they were.
    let hashes = genuine.files.files.iter().filter(|(path, _)| path.starts_with("tile/") && !path.contains("entries"));
    files.files.extend(hashes.map(|(path, bytes)| (path.clone(), bytes.clone())));
    let findings = verify(&files, &genuine.authority).findings;
    let found: Vec<_> = findings.iter().map(|finding| (finding.rule, finding.entry)).collect();
    let entry = Some(place as u64);
    assert_eq!(found, [(Rule::Root, entry), (Rule::EntryRefused, entry)]);
    let text = findings[1].text(Language::English);
    assert!(text.contains("it says that it is from ") && text.contains("What follows it was not judged"), "{text}");
}

#[test]
fn findings_name_members_entries_and_counts() {
    let genuine = Genuine::make();
    let forger = Forger { genuine: &genuine };
    let policy = genuine.federation.policy();
    let member = (0..).find(|member| *member != policy.coordinator).unwrap();
    let absent = policy.member_id(member);
    let none = BTreeSet::new();
    let found = findings(&genuine, &forger.published(&forger.history(None, &none)));
    let quorum = found.iter().find(|finding| finding.rule == Rule::NoQuorum).unwrap().detail.to_string();
    assert!(quorum.contains("0 members cosigned") && quorum.contains(absent), "{quorum}");

    let place = genuine.places("decisions")[0];
    let mut more = genuine.entries[place].body.clone();
    more["matters"][0]["counts"][0]["about"] = json!(100_000);
    let owner = policy.member_id(more["owner"].as_u64().unwrap() as u16).to_owned();
    let found = findings(&genuine, &forger.published(&forger.history(Some((place, more)), &everybody(&genuine))));
    let counts = found.iter().find(|finding| finding.rule == Rule::Counts).unwrap().detail.to_string();
    assert!(counts.starts_with(&format!("the totals of {owner} at ")), "{counts}");
}

/// A member refuses an entry: the finding names which, and whose.
#[test]
fn a_refusal_names_the_entry_that_was_refused() {
    let genuine = Genuine::make();
    let (forger, refused) = (Forger { genuine: &genuine }, genuine.places("announcement")[0]);
    let by = genuine.places("receipt")[0];
    let mut body = genuine.entries[by].body.clone();
    let object = body.as_object_mut().unwrap();
    object.retain(|name, _| ["federation", "prev", "role", "round", "sender", "seq", "time"].contains(&name.as_str()));
    let hash = wugan_protocol::hexes::sha256(&genuine.entries[refused].line).to_string();
    body["type"] = json!("refusal");
    body["entry"] = json!(hash);
    body["reason"] = json!("bad_bits");
    let mut items: Vec<Item> = (0..genuine.entries.len()).map(Item::Genuine).collect();
    items.insert(by + 1, Item::Again(by, body));
    let lines = forger.lines(items, By::Everybody, None);
    let found = findings(&genuine, &forger.published(&lines));
    let refusals: Vec<String> =
        of_rule(&found, Rule::MemberRefused).map(|finding| finding.detail.to_string()).collect();
    assert_eq!(refusals.len(), 1, "{found:?}");
    assert!(refusals[0].starts_with(&format!("it refused entry {refused}, made by ")), "{refusals:?}");
}

#[test]
fn programs_read_what_a_finding_means_and_chinese_readers_get_no_english_reasons() {
    let genuine = Genuine::make();
    let report = serde_json::to_value(verify(&genuine.files, &genuine.authority)).unwrap();
    assert_eq!((&report["verdict"], &report["findings"]), (&json!("in_order"), &json!([])));
    let mut files = genuine.files.clone();
    files.files.get_mut("checkpoint").unwrap().truncate(40);
    files.files.get_mut("catalogue.toml").unwrap().extend(b"\n[[department]]\n");
    let report: Report = verify(&files, &genuine.authority);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["verdict"], "findings");
    let texts: Vec<Value> = json["findings"].as_array().unwrap().clone();
    assert!(texts.len() == 2 && texts.iter().all(|text| text["meaning"].is_string() && text["next"].is_string()));
    let fault = "checkpoint: it does not end in an empty line and signature lines";
    assert_eq!(json["findings"][0]["detail"], fault);
    for finding in &report.findings {
        let line = finding.text(Language::Chinese);
        let first = line.lines().next().unwrap();
        assert!(!first.contains("signature lines") && !first.contains("missing field"), "{first}");
    }
    let other = verify(&genuine.files, &[7; 32]).findings[0].text(Language::Chinese);
    assert!(other.contains("授权方") && !other.contains("signed"), "{other}");
}

fn findings(genuine: &Genuine, files: &LogFiles) -> Vec<Finding> {
    verify(files, &genuine.authority).findings
}

fn of_rule(findings: &[Finding], rule: Rule) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(move |finding| finding.rule == rule)
}

fn everybody(genuine: &Genuine) -> BTreeSet<MemberNumber> {
    (0..=genuine.federation.policy().matcher_number()).collect()
}
