//! Who finds a change: the auditor with the folder alone, with what the parties kept, or a member that has seen the log.

use std::collections::BTreeMap;

use serde_json::Value;
use wugan_audit::{
    finding::{Finding, Rule},
    folder::LogFiles,
    verify::verify,
};
use wugan_protocol::{
    engine::Command,
    member::Member,
    party::{Party, Role},
};

use super::{
    edits::Mutant,
    forger::{By, Forger, text, tree},
    genuine::{Genuine, who},
};

/// By what a change is found. Of several, the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    /// `verify`: files that are not those of the signed tree.
    Files,
    /// `verify`: entries that are not signed, or not in their signers' sequence.
    Signatures,
    /// `verify`: statements that their signers may not make.
    Rules,
    /// `verify`: nothing but that the members cosigned another tree, too few cosigned this one, or their file is not right.
    Cosignatures,
    /// Replay: what was kept is not what was announced.
    Replay,
    /// A member's own check: it has seen another log.
    Member,
    /// Nobody.
    Nobody,
}

/// The judges of one thread.
pub struct Judges<'a> {
    genuine: &'a Genuine,
    /// A member for each size of the genuine log that it has seen.
    witnesses: BTreeMap<usize, Witness>,
}

/// A member that has seen a log.
pub struct Witness {
    member: Member,
    seen: usize,
}

impl Judges<'_> {
    /// Judges that know a genuine log.
    pub fn of(genuine: &Genuine) -> Judges<'_> {
        Judges { genuine, witnesses: BTreeMap::new() }
    }

    /// Who finds a changed log. `seen` is how many entries the members have seen of the genuine one.
    pub fn found(&mut self, mutant: &Mutant, seen: usize) -> Found {
        let lines = mutant.lines(self.genuine);
        let files = mutant.files(self.genuine, lines.as_deref());
        let report = verify(&files, &self.genuine.authority);
        let lines = lines.unwrap_or_default();
        let first = report.findings.iter().map(|finding| place(finding, &lines)).min();
        first.unwrap_or_else(|| self.beyond_verify(&files, &lines, mutant.by, seen))
    }

    fn beyond_verify(&mut self, files: &LogFiles, lines: &[Vec<u8>], by: By, seen: usize) -> Found {
        let bodies = lines.iter().filter_map(|line| Some(serde_json::from_slice::<Value>(line).ok()?["body"].take()));
        if !bodies.into_iter().all(|body| self.genuine.kept.agrees(&body)) {
            Found::Replay
        } else if by != By::Everybody && self.refused_by_a_member(files, lines, seen) {
            Found::Member
        } else {
            Found::Nobody
        }
    }

    /// Whether a member that has seen so many entries of the genuine log refuses this one.
    fn refused_by_a_member(&mut self, files: &LogFiles, lines: &[Vec<u8>], seen: usize) -> bool {
        let fresh = || Witness::of(self.genuine, &self.genuine.lines()[..seen]);
        let refused = self.witnesses.entry(seen).or_insert_with(fresh).refuses(files, lines);
        if !refused {
            // It has gone on with the other log.
            self.witnesses.remove(&seen);
        }
        refused
    }
}

impl Witness {
    /// A member that has seen these entries, with a checkpoint, and made its own among them.
    pub fn of(genuine: &Genuine, lines: &[Vec<u8>]) -> Witness {
        let party = genuine.party("police", Role::Node);
        let own: Vec<Vec<u8>> = lines.iter().filter(|line| names(line, genuine, party)).cloned().collect();
        let note = text(&Forger { genuine }.checkpoint(tree(lines)));
        let signers = genuine.signers[&party].clone();
        let member = Member::restore(genuine.federation.clone(), party, signers, lines, &own, Some(&note)).unwrap();
        Witness { member, seen: lines.len() }
    }

    /// Whether it refuses a log, as its coordinator would show it.
    pub fn refuses(&mut self, files: &LogFiles, lines: &[Vec<u8>]) -> bool {
        self.member.up::<()>();
        let mut said = Vec::new();
        if let Some(further) = lines.get(self.seen..) {
            said.extend(self.member.entries::<()>(self.seen as u64, further.to_vec()));
        }
        let note = files.files.get("checkpoint").cloned().unwrap_or_default();
        said.extend(self.member.checkpoint(note, NOW).1);
        said.iter().any(|command| matches!(command, Command::Disconnect(..)))
    }
}

/// Whether an entry is a party's.
fn names(line: &[u8], genuine: &Genuine, party: Party) -> bool {
    let body = serde_json::from_slice::<Value>(line).map(|mut entry| entry["body"].take());
    body.is_ok_and(|body| who(&body, &genuine.federation) == Some(party))
}

fn place(finding: &Finding, lines: &[Vec<u8>]) -> Found {
    let of_cosignature = || {
        let line = finding.entry.and_then(|entry| lines.get(entry as usize));
        line.is_some_and(|line| String::from_utf8_lossy(line).contains(r#""type":"cosignature""#))
    };
    match finding.rule {
        Rule::Policy
        | Rule::Checkpoint
        | Rule::SignatureLines
        | Rule::Root
        | Rule::FileMissing
        | Rule::FileAltered
        | Rule::FileUnknown => Found::Files,
        Rule::Manifest | Rule::EntryRefused => Found::Signatures,
        Rule::EntryWithoutEffect if of_cosignature() => Found::Cosignatures,
        Rule::NoQuorum | Rule::Cosigned => Found::Cosignatures,
        _ => Found::Rules,
    }
}

/// The members' clock.
const NOW: u64 = 1_900_000_000;
