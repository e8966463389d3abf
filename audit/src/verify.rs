//! Verifies a log: its files against its signed tree, its entries against the rules.

mod clock;
mod files;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use wugan_protocol::{
    canary::CanaryList,
    envelope::Unverified,
    file::FileKey,
    hexes::Digest,
    ledger::{Admitted, Ledger, Logged},
    manifest::{Federation, FederationError},
    month::Month,
    party::Party,
    policy::Policy,
    reason::Reason,
    statement::{Announcement, Cosignature, Receipt, Statement},
};

use crate::{
    canaries::{self, Canaries},
    counts::Counts,
    detail::{Detail, Words},
    disclosures::{self, DisclosureTotals},
    finding::{Finding, Rule, verdict},
    folder::{CATALOGUE, LogFiles, catalogue},
    versions::VersionTold,
};
use clock::Times;
pub use files::is_empty;
pub(crate) use files::{Entries, entries, size_of};

/// What an auditor knows besides the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The authority's lists of canaries, of which owners must tell.
    pub canaries: &'a [CanaryList],
    /// The auditor's clock, seconds since 1970 UTC; without it nothing is too late, and nothing of the future.
    pub now: Option<u64>,
}

/// What an audit of a log says.
#[derive(Clone, Debug)]
pub struct Report {
    /// The federation's name, once its manifest is verified.
    pub federation: Option<String>,
    /// Entries that were read.
    pub entries: u64,
    /// The months of counted rounds.
    pub months: Vec<Month>,
    /// Versions of the federation manifest after the first.
    pub versions: Vec<VersionTold>,
    /// How often single suspicions were looked into.
    pub disclosures: Vec<DisclosureTotals>,
    /// What became of the authority's canaries in each month in which an owner told.
    pub canaries: Vec<canaries::OfMonth>,
    /// Everything that is not as it should be; empty for a log in order.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing was found of the log's files: what was found then is what somebody stated.
    pub fn whole(&self) -> bool {
        !self.findings.iter().any(|finding| finding.rule.of_files())
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("Report", 8)?;
        report.serialize_field("verdict", verdict(&self.findings))?;
        report.serialize_field("federation", &self.federation)?;
        report.serialize_field("entries", &self.entries)?;
        report.serialize_field("months", &self.months)?;
        report.serialize_field("versions", &self.versions)?;
        report.serialize_field("disclosures", &self.disclosures)?;
        report.serialize_field("canaries", &self.canaries)?;
        report.serialize_field("findings", &self.findings)?;
        report.end()
    }
}

/// Verifies a log's files under the authority's public key.
pub fn verify(files: &LogFiles, authority: &[u8; 32]) -> Report {
    verify_and_watch(files, authority, &mut |_, _| {}).0
}

/// The same; each entry is shown to `watch` with the ledger that it led to. Also what all of them led to, unless it
/// cannot be told whose log this is.
pub fn verify_and_watch(files: &LogFiles, authority: &[u8; 32], watch: Watch<'_>) -> (Report, Option<Ledger>) {
    verify_with(files, authority, &Options::default(), watch)
}

/// The same, by what else the auditor knows.
pub fn verify_with(
    files: &LogFiles,
    authority: &[u8; 32],
    options: &Options<'_>,
    watch: Watch<'_>,
) -> (Report, Option<Ledger>) {
    let mut audit = Audit {
        files,
        now: options.now,
        findings: Vec::new(),
        months: Vec::new(),
        versions: Vec::new(),
        disclosures: Vec::new(),
        canaries: Canaries::new(options.canaries),
        stated: BTreeSet::new(),
        made: BTreeMap::new(),
        times: Times::default(),
        judged: true,
    };
    files.too_long.iter().for_each(|path| audit.find(Rule::FileTooLong, path.as_str()));
    let mut entries = audit.entries();
    let federation = audit.federation(&entries, authority);
    let ledger = federation.map(|federation| {
        audit.tree(&mut entries, &federation);
        let ledger = audit.rules(&entries, federation, watch);
        audit.findings.extend(audit.times.findings(audit.now));
        audit.every_file(&entries, &ledger);
        ledger
    });
    let report = Report {
        federation: ledger.as_ref().map(|ledger| ledger.federation().manifest().name.clone()),
        entries: entries.lines.len() as u64,
        months: audit.months,
        versions: audit.versions,
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
    now: Option<u64>,
    findings: Vec<Finding>,
    months: Vec<Month>,
    versions: Vec<VersionTold>,
    disclosures: Vec<DisclosureTotals>,
    canaries: Canaries<'a>,
    stated: BTreeSet<Said>,
    /// Every entry's index and maker, by its hash.
    made: BTreeMap<Digest, (u64, String)>,
    times: Times,
    /// Whether every entry that could be read was judged.
    judged: bool,
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
    fn find(&mut self, rule: Rule, detail: impl Into<Detail>) {
        self.findings.push(Finding::new(rule, None, None, detail));
    }

    fn find_entry(&mut self, rule: Rule, entry: u64, party: Option<String>, detail: impl Into<Detail>) {
        self.findings.push(Finding::new(rule, Some(entry), party, detail));
    }

    /// The federation of the first entry, under the policy in the folder.
    fn federation(&mut self, entries: &Entries, authority: &[u8; 32]) -> Option<Federation> {
        let policy = self.policy(CATALOGUE, None)?;
        let Some(first) = entries.lines.first() else {
            // Otherwise it was said why none could be read.
            if entries.whole() {
                self.find(Rule::Manifest, Words::NoEntries);
            }
            return None;
        };
        let verified = Federation::verify(first, authority, policy);
        verified.map_err(|error| self.no_manifest(0, CATALOGUE, &error)).ok()
    }

    fn policy(&mut self, name: &str, entry: Option<u64>) -> Option<Arc<Policy>> {
        let detail = match self.files.files.get(name).map(|bytes| Policy::read(bytes)) {
            Some(Ok(policy)) => return Some(Arc::new(policy)),
            Some(Err(error)) => Detail::named(name, &error),
            None => Detail::named(name, &Words::NoFile),
        };
        self.findings.push(Finding::new(Rule::Policy, entry, None, detail));
        None
    }

    /// A manifest that cannot be used, or, the manifest being the authority's, another policy than it names.
    fn no_manifest(&mut self, entry: u64, policy: &str, error: &FederationError) {
        match error {
            FederationError::OtherPolicy { .. } => {
                self.find_entry(Rule::Policy, entry, None, Detail::named(policy, error));
            }
            _ => self.find_entry(Rule::Manifest, entry, None, Detail::of(error)),
        }
    }

    /// An entry that may be appended; otherwise it was found why not.
    fn admitted(&mut self, index: u64, line: &[u8], ledger: &mut Ledger) -> Option<Admitted> {
        let mut admitted = ledger.admit(line);
        if matches!(admitted, Err(Reason::Unconfirmed)) {
            // The next version of the manifest, under its policy in the folder.
            let name = catalogue(ledger.federation().version() + 1);
            let policy = self.policy(&name, Some(index))?;
            ledger.confirm(line, policy).map_err(|error| self.no_manifest(index, &name, &error)).ok()?;
            admitted = ledger.admit(line);
        }
        let refused = |reason| {
            let unverified = Unverified::read(line).ok();
            let claimed = unverified.map(|of| format!("{}/{}", of.claimed().0, of.claimed().1.name()));
            let detail = claimed.map(|party| Words::Claimed { party, reason }.into());
            self.find_entry(Rule::EntryRefused, index, None, detail.unwrap_or_else(|| Detail::of(&reason)));
        };
        admitted.map_err(refused).ok()
    }

    /// What each entry states, in order.
    fn rules(&mut self, entries: &Entries, federation: Federation, watch: Watch<'_>) -> Ledger {
        let mut ledger = Ledger::new(federation);
        let mut cosigned_before_next = true;
        for (index, line) in (0..).zip(&entries.lines) {
            let Some(admitted) = self.admitted(index, line, &mut ledger) else {
                self.judged = false;
                return ledger;
            };
            let opens = matches!(admitted.signed().body().statement, Statement::RoundManifest(_));
            if opens && !cosigned_before_next {
                self.quorum(&ledger, Some(index));
                cosigned_before_next = true;
            }
            let untold = if opens { self.canaries.at_next(&ledger, Some(index)) } else { Vec::new() };
            let logged = ledger.apply(admitted);
            watch(&logged, &ledger);
            self.findings.extend(untold.into_iter().filter(|_| logged.verdict.is_ok()));
            self.findings.extend(self.canaries.take(&logged, &ledger));
            self.times.take(&logged, &ledger);
            self.entry(&logged, &ledger);
            if logged.verdict.is_ok() && matches!(logged.signed.body().statement, Statement::RoundClosed {}) {
                cosigned_before_next = false;
            }
        }
        // What is missing at the end may stand in what could not be read.
        if entries.whole() {
            if !cosigned_before_next {
                self.quorum(&ledger, None);
            }
            self.findings.extend(self.canaries.at_last(&ledger, self.now));
            self.cosigned_file(&ledger);
        }
        self.disclosures = disclosures::totals(&ledger, None);
        ledger
    }

    /// One entry, as the ledger took it.
    fn entry(&mut self, logged: &Logged, ledger: &Ledger) {
        let federation = ledger.federation();
        let party = logged.party.map(|party| federation.party_name(party));
        self.made.insert(logged.signed.hash(), (logged.index, party.clone().unwrap_or_default()));
        if party.is_none() && logged.index > 0 {
            self.versions.push(VersionTold::last(ledger, logged.index));
        }
        let first = said(logged).is_none_or(|said| self.stated.insert(said));
        // What was under way at a close, and not said before, proves nothing against its signer.
        if let Err(reason) = logged.verdict
            && !(first && ledger.is_late(logged))
        {
            self.find_entry(Rule::EntryWithoutEffect, logged.index, party, Detail::of(&reason));
            return;
        }
        let counts = ledger.round().filter(|_| logged.verdict.is_ok()).map(|round| Counts { round, federation });
        if let Some(wrong) = counts.and_then(|counts| counts.wrong(logged)) {
            self.find_entry(Rule::Counts, logged.index, party.clone(), wrong);
        }
        match &logged.signed.body().statement {
            Statement::Refusal { entry, reason } => {
                let refused = self.made.get(entry).cloned();
                let words = match refused {
                    Some((entry, by)) => Words::RefusedEntry { entry, by, reason: *reason },
                    None => Words::RefusedUnlogged { reason: *reason },
                };
                self.find_entry(Rule::MemberRefused, logged.index, party, words);
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
        let Some(closed) = ledger.closed() else { return };
        let of_round = ledger.round().and_then(|round| ledger.federation_of(round.hash()));
        let federation = of_round.unwrap_or(ledger.federation());
        let policy = federation.policy();
        let outside = |party: Party| Some(party.member).filter(|member| *member != policy.coordinator);
        let members: BTreeSet<_> = closed.cosigned.keys().copied().filter_map(outside).collect();
        let (counted, needed) = (members.len(), usize::from(closed.quorum));
        if counted < needed {
            let month = ledger.counted().map(|counted| counted.month.to_string()).unwrap_or_default();
            let all: BTreeSet<_> = federation.parties().filter_map(outside).collect();
            let absent = all.difference(&members).map(|member| policy.member_id(*member).to_owned()).collect();
            let words = Words::Quorum { month, counted, needed, absent };
            self.findings.push(Finding::new(Rule::NoQuorum, next, None, words));
        }
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
