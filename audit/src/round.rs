//! One round of a log, and where the log says what of it.

use std::collections::{BTreeMap, BTreeSet};

use wugan_protocol::{
    file::FileKey,
    hexes::Digest,
    ledger::{Ledger, Logged, Round},
    manifest::Federation,
    month::Month,
    party::{MemberNumber, Party},
    statement::{EnrolmentBatch, Kept, SourceEpoch, Statement},
};

use crate::{
    folder::LogFiles,
    verify::{Options, Report, verify_with},
};

/// A round as the log leaves it.
#[derive(Clone, Debug)]
pub struct LoggedRound {
    /// The federation.
    pub federation: Federation,
    /// The round.
    pub round: Round,
    announced: BTreeMap<FileKey, (u64, Digest)>,
    totals: BTreeMap<MemberNumber, u64>,
    canaries: BTreeMap<MemberNumber, u64>,
    refused: BTreeSet<(Party, Digest)>,
    batches: BTreeMap<(MemberNumber, u64), LoggedBatch>,
    deletions: BTreeMap<(Party, Kept), u64>,
}

/// An owner asked sources about people.
#[derive(Clone, Debug)]
pub struct LoggedBatch {
    /// The owner's number of it.
    pub number: u64,
    /// The entry's index.
    pub index: u64,
    /// The sources that it addresses.
    pub sources: Vec<SourceEpoch>,
    /// Whether somebody refused it, or an answer to it.
    pub refused: bool,
    entry: Digest,
}

/// What was found of a log, and the round in it.
pub type Found = (Report, Option<LoggedRound>);

/// Verifies a log, and finds the round of a month in it: the last one, if others of that month were abandoned.
pub fn find(files: &LogFiles, authority: &[u8; 32], month: Month) -> Found {
    find_with(files, authority, &Options::default(), month)
}

/// The same, by what else the auditor knows.
pub fn find_with(files: &LogFiles, authority: &[u8; 32], options: &Options<'_>, month: Month) -> Found {
    let mut finder = Finder { month, found: None, batches: BTreeMap::new(), refused: BTreeSet::new() };
    let (report, ledger) = verify_with(files, authority, options, &mut |logged, ledger| finder.watch(logged, ledger));
    if let Some(ledger) = ledger {
        finder.see(&ledger);
    }
    let Finder { found, batches, refused, .. } = finder;
    (report, found.map(|found| LoggedRound { batches, refused, ..found }))
}

impl LoggedRound {
    /// The entry that announces a file.
    pub fn announced(&self, file: FileKey) -> Option<u64> {
        self.announced.get(&file).map(|(index, _)| *index)
    }

    /// Whether a party refused a file that was announced.
    pub fn refused(&self, party: Party, file: FileKey) -> bool {
        self.announced.get(&file).is_some_and(|(_, entry)| self.refused.contains(&(party, *entry)))
    }

    /// The entry that tells an owner's totals.
    pub fn totals(&self, owner: MemberNumber) -> Option<u64> {
        self.totals.get(&owner).copied()
    }

    /// The entry that tells what became of an owner's canaries.
    pub fn canaries(&self, owner: MemberNumber) -> Option<u64> {
        self.canaries.get(&owner).copied()
    }

    /// When a party deleted what it kept of the round, by its own clock, seconds since 1970 UTC.
    pub fn deletion(&self, party: Party, of: Kept) -> Option<u64> {
        self.deletions.get(&(party, of)).copied()
    }

    /// An owner's enrolment batches, in order.
    pub fn batches(&self, owner: MemberNumber) -> impl Iterator<Item = &LoggedBatch> {
        self.batches.range((owner, 0)..=(owner, u64::MAX)).map(|(_, batch)| batch)
    }

    /// Ended with decisions, not abandoned.
    pub fn closed(&self) -> bool {
        self.round.ended() && !self.round.abandoned()
    }
}

/// Looks for a round while a log is verified.
struct Finder {
    month: Month,
    found: Option<LoggedRound>,
    /// Of every owner, by number.
    batches: BTreeMap<(MemberNumber, u64), LoggedBatch>,
    /// Entries that somebody refused, some of them without naming a round.
    refused: BTreeSet<(Party, Digest)>,
}

impl Finder {
    fn watch(&mut self, logged: &Logged, ledger: &Ledger) {
        let (Some(party), Ok(())) = (logged.party, logged.verdict) else { return };
        let body = logged.signed.body();
        match &body.statement {
            Statement::RoundManifest(manifest) if manifest.month == self.month => self.begin(ledger),
            Statement::EnrolmentBatch(EnrolmentBatch { batch: number, sources, .. }) => {
                let (number, sources, entry) = (*number, sources.clone(), logged.signed.hash());
                let batch = LoggedBatch { number, index: logged.index, sources, refused: false, entry };
                self.batches.insert((party.member, number), batch);
            }
            Statement::Refusal { entry, .. } => {
                let refused = self.batches.values_mut().filter(|batch| batch.entry == *entry);
                refused.for_each(|batch| batch.refused = true);
                self.refused.insert((party, *entry));
            }
            _ => {}
        }
        let found = self.found.as_mut().filter(|found| body.head.round == Some(found.round.hash()));
        let Some(found) = found else { return };
        match &body.statement {
            Statement::Announcement(announcement) => {
                found.announced.insert(announcement.file, (logged.index, logged.signed.hash()));
            }
            Statement::Decisions(totals) => {
                found.totals.insert(totals.owner, logged.index);
            }
            Statement::Deletion { of } => {
                // By the numbers of the round's version.
                let party = found.federation.party(&body.head.sender, body.head.role).unwrap_or(party);
                found.deletions.insert((party, *of), body.head.time);
            }
            Statement::Canaries(_) => {
                found.canaries.insert(party.member, logged.index);
                self.see(ledger);
            }
            Statement::RoundClosed {} | Statement::RoundAbandoned { .. } => self.see(ledger),
            _ => {}
        }
    }

    fn begin(&mut self, ledger: &Ledger) {
        self.found = ledger.round().map(|round| LoggedRound {
            federation: ledger.federation().clone(),
            round: round.clone(),
            announced: BTreeMap::new(),
            totals: BTreeMap::new(),
            canaries: BTreeMap::new(),
            refused: BTreeSet::new(),
            batches: BTreeMap::new(),
            deletions: BTreeMap::new(),
        });
    }

    /// Takes the round as the ledger has it now.
    fn see(&mut self, ledger: &Ledger) {
        if let (Some(found), Some(round)) = (&mut self.found, ledger.round())
            && found.round.hash() == round.hash()
        {
            found.round = round.clone();
        }
    }
}
