//! Verifies a log: its files against its signed tree, its entries against the rules.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Serialize;
use wugan_protocol::{
    canary::CanaryList,
    file::FileKey,
    hexes::Digest,
    ledger::{Closed, Ledger, Logged},
    log::{
        checkpoint::VerifiedCheckpoint,
        merkle::Growing,
        note::Note,
        tile::{Kind, Tile, entries_from_bytes},
        writer::LogWriter,
    },
    manifest::Federation,
    month::Month,
    party::Party,
    policy::Policy,
    reason::Reason,
    statement::{Announcement, Cosignature, Receipt, Statement},
};

use crate::{
    canaries::{self, Canaries},
    counts::Counts,
    disclosures::{self, DisclosureTotals},
    finding::{Finding, Rule},
    folder::LogFiles,
};

/// What an audit of a log says.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The federation's name, once its manifest is verified.
    pub federation: Option<String>,
    /// Entries that were read.
    pub entries: u64,
    /// The months of counted rounds.
    pub months: Vec<Month>,
    /// How often single suspicions were looked into.
    pub disclosures: Vec<DisclosureTotals>,
    /// What became of the authority's canaries in each month in which an owner told.
    pub canaries: Vec<canaries::OfMonth>,
    /// Everything that is not as it should be; empty for a log in order.
    pub findings: Vec<Finding>,
}

/// Verifies a log's files under the authority's public key.
pub fn verify(files: &LogFiles, authority: &[u8; 32]) -> Report {
    verify_and_watch(files, authority, &mut |_, _| {}).0
}

/// The same; each entry is shown to `watch` with the ledger that it led to. Also what all of them led to, unless it
/// cannot be told whose log this is.
pub fn verify_and_watch(files: &LogFiles, authority: &[u8; 32], watch: Watch<'_>) -> (Report, Option<Ledger>) {
    verify_with_canaries(files, authority, &[], watch)
}

/// The same, where owners must tell of the canaries on `lists`.
pub fn verify_with_canaries(
    files: &LogFiles,
    authority: &[u8; 32],
    lists: &[CanaryList],
    watch: Watch<'_>,
) -> (Report, Option<Ledger>) {
    let canaries = Canaries::new(lists);
    let mut audit = Audit {
        files,
        findings: Vec::new(),
        months: Vec::new(),
        disclosures: Vec::new(),
        canaries,
        stated: BTreeSet::new(),
    };
    let entries = audit.entries();
    let federation = audit.federation(&entries, authority);
    let ledger = federation.map(|federation| {
        audit.tree(&entries, &federation);
        let ledger = audit.rules(&entries, federation, watch);
        audit.every_file(&entries, &ledger);
        ledger
    });
    let report = Report {
        federation: ledger.as_ref().map(|ledger| ledger.federation().manifest().name.clone()),
        entries: entries.len() as u64,
        months: audit.months,
        disclosures: audit.disclosures,
        canaries: audit.canaries.months(),
        findings: audit.findings,
    };
    (report, ledger)
}

/// Who is shown each entry as the ledger took it.
pub type Watch<'a> = &'a mut dyn FnMut(&Logged, &Ledger);

struct Audit<'a> {
    files: &'a LogFiles,
    findings: Vec<Finding>,
    months: Vec<Month>,
    disclosures: Vec<DisclosureTotals>,
    canaries: Canaries<'a>,
    stated: BTreeSet<Said>,
}

/// What nobody says twice: a party's announcement of a file, receipt or list in a round, or its cosignature of a tree.
type Said = (Party, Option<Digest>, Subject);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    File(FileKey),
    Receipt(Receipt),
    List,
    Tree(u64),
}

impl Audit<'_> {
    fn find(&mut self, rule: Rule, detail: impl Into<String>) {
        self.findings.push(Finding { rule, entry: None, party: None, detail: detail.into() });
    }

    fn find_entry(&mut self, rule: Rule, entry: u64, party: Option<String>, detail: impl Into<String>) {
        self.findings.push(Finding { rule, entry: Some(entry), party, detail: detail.into() });
    }

    /// The entries, as far as they can be read. The size is believed only once the tree is verified.
    fn entries(&mut self) -> Vec<Vec<u8>> {
        let mut entries: Vec<Vec<u8>> = Vec::new();
        let size = self.files.files.get(CHECKPOINT).and_then(|bytes| Note::read(bytes).ok()).and_then(|note| {
            let size: u64 = note.text().lines().nth(1)?.parse().ok()?;
            Some(size)
        });
        let Some(size) = size else {
            self.find(Rule::Checkpoint, CHECKPOINT);
            return entries;
        };
        while let Some(bundle) = Tile::holding(Kind::Entries, entries.len() as u64, size) {
            let read =
                self.files.files.get(&bundle.to_string()).and_then(|bytes| entries_from_bytes(bundle, bytes).ok());
            let Some(read) = read else {
                let known = self.files.files.contains_key(&bundle.to_string());
                self.find(if known { Rule::FileAltered } else { Rule::FileMissing }, bundle.to_string());
                return entries;
            };
            entries.extend(read.into_iter().map(<[u8]>::to_vec));
        }
        entries
    }

    /// The federation of the first entry, under the policy in the folder.
    fn federation(&mut self, entries: &[Vec<u8>], authority: &[u8; 32]) -> Option<Federation> {
        let policy = self.policy(CATALOGUE)?;
        let Some(first) = entries.first() else {
            self.find(Rule::Manifest, "");
            return None;
        };
        match Federation::verify(first, authority, policy) {
            Ok(federation) => Some(federation),
            Err(error) => {
                self.find_entry(Rule::Manifest, 0, None, error.to_string());
                None
            }
        }
    }

    fn policy(&mut self, name: &str) -> Option<Arc<Policy>> {
        match self.files.files.get(name).map(|bytes| Policy::read(bytes)) {
            Some(Ok(policy)) => return Some(Arc::new(policy)),
            Some(Err(error)) => self.find(Rule::Policy, format!("{name}: {error}")),
            None => self.find(Rule::Policy, name),
        }
        None
    }

    /// The next version of the manifest, under its policy in the folder; whether there is one.
    fn version(&mut self, index: u64, line: &[u8], ledger: &mut Ledger) -> bool {
        let Some(policy) = self.policy(&catalogue(ledger.federation().version() + 1)) else { return false };
        let confirmed = ledger.confirm(line, policy);
        if let Err(error) = &confirmed {
            self.find_entry(Rule::Manifest, index, None, error.to_string());
        }
        confirmed.is_ok()
    }

    /// The checkpoint, and the tree that it signs.
    fn tree(&mut self, entries: &[Vec<u8>], federation: &Federation) {
        let mut growing = Growing::default();
        entries.iter().for_each(|entry| growing.push(entry));
        let tree = growing.tree();
        match self.checkpoint(CHECKPOINT, federation) {
            None => self.find(Rule::Checkpoint, CHECKPOINT),
            Some(checkpoint) => {
                if checkpoint.note().lines().len() != 1 {
                    self.find(Rule::SignatureLines, CHECKPOINT);
                }
                if checkpoint.tree() != tree {
                    self.find(Rule::Root, format!("{} / {}", tree.size, checkpoint.tree().size));
                }
            }
        }
    }

    /// A note whose bytes are exactly those that the log's key signed.
    fn checkpoint(&self, name: &str, federation: &Federation) -> Option<VerifiedCheckpoint> {
        let (bytes, key) = (self.files.files.get(name)?, federation.log_key().ok()?);
        let checkpoint = VerifiedCheckpoint::open(bytes, &key).ok()?;
        (checkpoint.note().to_string().as_bytes() == bytes).then_some(checkpoint)
    }

    /// No file but those that the entries give, and these with exactly the bytes that they give.
    fn every_file(&mut self, entries: &[Vec<u8>], ledger: &Ledger) {
        let mut expected = expected_files(entries);
        let policies: BTreeSet<_> = ledger.in_force().skip(1).map(|later| catalogue(later.version())).collect();
        for (path, bytes) in &self.files.files {
            let apart = [CHECKPOINT, CATALOGUE, COSIGNED].contains(&path.as_str()) || policies.contains(path);
            match expected.remove(path) {
                Some(right) if right == *bytes => {}
                Some(_) => self.find(Rule::FileAltered, path.as_str()),
                None if apart => {}
                None => self.find(Rule::FileUnknown, path.as_str()),
            }
        }
        for path in expected.into_keys() {
            self.find(Rule::FileMissing, path);
        }
        for path in &self.files.strange {
            self.find(Rule::FileUnknown, path.as_str());
        }
    }

    /// What each entry states, in order.
    fn rules(&mut self, entries: &[Vec<u8>], federation: Federation, watch: Watch<'_>) -> Ledger {
        let mut ledger = Ledger::new(federation);
        let mut cosigned_before_next = true;
        for (index, line) in (0..).zip(entries) {
            let mut admitted = ledger.admit(line);
            if matches!(admitted, Err(Reason::Unconfirmed)) && self.version(index, line, &mut ledger) {
                admitted = ledger.admit(line);
            }
            let admitted = match admitted {
                Ok(admitted) => admitted,
                Err(reason) => {
                    self.find_entry(Rule::EntryRefused, index, None, reason.to_string());
                    return ledger;
                }
            };
            let opens = matches!(admitted.signed().body().statement, Statement::RoundManifest(_));
            if opens && !cosigned_before_next {
                self.quorum(&ledger, Some(index));
                cosigned_before_next = true;
            }
            let logged = ledger.apply(admitted);
            watch(&logged, &ledger);
            self.findings.extend(self.canaries.take(&logged, &ledger));
            self.entry(&logged, &ledger);
            if logged.verdict.is_ok() && matches!(logged.signed.body().statement, Statement::RoundClosed {}) {
                cosigned_before_next = false;
            }
        }
        if !cosigned_before_next {
            self.quorum(&ledger, None);
        }
        self.disclosures = disclosures::totals(&ledger);
        self.cosigned_file(&ledger);
        ledger
    }

    /// One entry, as the ledger took it.
    fn entry(&mut self, logged: &Logged, ledger: &Ledger) {
        let federation = ledger.federation();
        let party = logged.party.map(|party| federation.party_name(party));
        let first = said(logged).is_none_or(|said| self.stated.insert(said));
        // What was under way at a close, and not said before, proves nothing against its signer.
        if let Err(reason) = logged.verdict
            && !(first && ledger.is_late(logged))
        {
            self.find_entry(Rule::EntryWithoutEffect, logged.index, party, reason.to_string());
            return;
        }
        if logged.verdict.is_ok() && ledger.round().is_some_and(|round| !Counts { round, federation }.agree(logged)) {
            self.find_entry(Rule::Counts, logged.index, party.clone(), "");
        }
        match &logged.signed.body().statement {
            Statement::Refusal { reason, .. } => {
                self.find_entry(Rule::MemberRefused, logged.index, party, reason.to_string());
            }
            Statement::List { .. } if logged.verdict.is_ok() => self.counted(logged.index, ledger),
            _ => {}
        }
    }

    /// A month that counts.
    fn counted(&mut self, index: u64, ledger: &Ledger) {
        let Some(counted) = ledger.counted() else { return };
        let expected = self.months.last().and_then(|last| last.next());
        if expected.is_some_and(|expected| expected != counted.month) {
            self.find_entry(Rule::MonthSkipped, index, None, counted.month.to_string());
        }
        self.months.push(counted.month);
    }

    /// Whether enough members outside the coordinator's bureau cosigned the tree at the last round's end. `next`: the
    /// entry that opened another round after it.
    fn quorum(&mut self, ledger: &Ledger, next: Option<u64>) {
        let (Some(closed), federation) = (ledger.closed(), ledger.federation()) else { return };
        let bureau = federation.policy().coordinator;
        let members: BTreeSet<_> = closed.cosigned.keys().map(|party| party.member).filter(|m| *m != bureau).collect();
        let (counted, needed) = (members.len(), usize::from(closed.quorum));
        if counted < needed {
            let month = ledger.counted().map(|counted| counted.month.to_string()).unwrap_or_default();
            let detail = format!("{month}: {counted} / {needed}");
            self.findings.push(Finding { rule: Rule::NoQuorum, entry: next, party: None, detail });
        }
    }

    /// The note with cosignatures holds exactly those of the entries.
    fn cosigned_file(&mut self, ledger: &Ledger) {
        let expected = ledger.closed().filter(|closed| !closed.cosigned.is_empty());
        let good = match (expected, self.files.files.contains_key(COSIGNED)) {
            (None, exists) => !exists,
            (Some(closed), _) => self.cosigned_agrees(closed, ledger.federation()).unwrap_or(false),
        };
        if !good {
            self.find(Rule::Cosigned, COSIGNED);
        }
    }

    /// The lines of the log's key and, in the order of the manifest's members, of everybody who cosigned: nothing else.
    fn cosigned_agrees(&self, closed: &Closed, federation: &Federation) -> Option<bool> {
        let checkpoint = self.checkpoint(COSIGNED, federation)?;
        let (_log, lines) = checkpoint.note().lines().split_first()?;
        Some(checkpoint.tree() == closed.tree && lines.iter().eq(closed.cosigned.values()))
    }
}

fn said(logged: &Logged) -> Option<Said> {
    let body = logged.signed.body();
    let subject = match &body.statement {
        Statement::Announcement(Announcement { file, .. }) => Subject::File(*file),
        Statement::Receipt(receipt) => Subject::Receipt(receipt.clone()),
        Statement::List { .. } => Subject::List,
        Statement::Cosignature(Cosignature { size, .. }) => Subject::Tree(*size),
        _ => return None,
    };
    Some((logged.party?, body.head.round, subject))
}

/// The tiles of a tree of these entries, by path.
fn expected_files(entries: &[Vec<u8>]) -> BTreeMap<String, Vec<u8>> {
    let mut writer = LogWriter::empty();
    let all = entries.iter().all(|entry| writer.append(entry).is_ok());
    debug_assert!(all, "entries came out of bundles, so they are not too long");
    writer.changed_files().into_iter().map(|(tile, bytes)| (tile.to_string(), bytes)).collect()
}

/// The file of the log's signed tree.
pub const CHECKPOINT: &str = "checkpoint";
const COSIGNED: &str = "cosigned";
/// The policy that the log's first manifest names.
pub const CATALOGUE: &str = "catalogue.toml";

/// The file of the policy that a later version of the manifest names.
pub fn catalogue(version: u32) -> String {
    format!("catalogue.{version}.toml")
}
