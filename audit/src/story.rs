//! What happened in each round, as the log tells it: who took part, how much, how long, what was decided. It holds no more
//! than the log does: counts are rounded, small ones are not told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Serialize;
use wugan_protocol::{
    file::FileKey,
    hexes::Digest,
    ledger::{Ledger, Logged, Round},
    month::Month,
    party::{MemberNumber, Party},
    policy::{self, Class, Policy},
    reason::Reason,
    statement::{Announcement, CanaryOutcome, DecisionCount, Kept, Receipt, Statement, Totals},
    texts,
};

use crate::disclosures::{self, DisclosureTotals};

/// One round.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// The policy under which the round was opened.
    #[serde(skip)]
    pub policy: Arc<Policy>,
    /// The federation's name.
    pub federation: String,
    /// The month that was certified.
    pub month: Month,
    /// Hash of the round manifest.
    pub round: Digest,
    /// Entries of the round, by their index in the log: the first and the last so far.
    pub entries: (u64, u64),
    /// How far it came.
    pub outcome: Outcome,
    /// When.
    pub times: Times,
    /// Departments with channels, by number.
    pub departments: Vec<Department>,
    /// Roster owners, by number.
    pub owners: Vec<Owner>,
    /// What somebody refused.
    pub refusals: Vec<Refusal>,
    /// Members outside the coordinator's bureau that cosigned the log at the round's end.
    pub cosigned: Vec<String>,
    /// How many of them must.
    pub quorum: u16,
    /// How often single suspicions of the round were looked into.
    pub disclosures: Vec<DisclosureTotals>,
    /// What was deleted since, its retention time being over.
    pub deletions: Vec<Deletion>,
}

texts! {
    /// How far a round came.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Outcome {
        /// It is open.
        Open "open" "进行中";
        /// It has ended and counts.
        Closed "closed, it counts" "已结束，有效";
        /// It is void.
        Abandoned "abandoned, it does not count" "已作废，无效";
    }
}

/// When each phase of a round ended, seconds since 1970 UTC, by the clock of whoever ended it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// The round was opened.
    pub opened: u64,
    /// Receipts of pools ended.
    pub pools_closed: Option<u64>,
    /// The matcher signed the list.
    pub listed: Option<u64>,
    /// Receipts of records and rows ended.
    pub rows_closed: Option<u64>,
    /// It was closed or abandoned.
    pub ended: Option<u64>,
}

/// A source in a round.
#[derive(Clone, Debug, Serialize)]
pub struct Department {
    /// Its member number.
    pub number: MemberNumber,
    /// Its id.
    pub id: String,
    /// Its channels, by number.
    pub channels: Vec<Channel>,
}

/// A channel in a round.
#[derive(Clone, Debug, Serialize)]
pub struct Channel {
    /// Its number.
    pub number: u16,
    /// Its id.
    pub id: String,
    /// Strength and polarity.
    pub class: Class,
    /// Tags that were announced, all pool groups together, each rounded up to a multiple of 256.
    pub tags: u64,
    /// Whether it is on the list; none before there is one.
    pub listed: Option<bool>,
    /// Why its department could not take part with it.
    pub failed: Option<Reason>,
}

/// A roster owner in a round.
#[derive(Clone, Debug, Serialize)]
pub struct Owner {
    /// Its member number.
    pub number: MemberNumber,
    /// Its id.
    pub id: String,
    /// Batches of new people that it sent to be enrolled.
    pub batches: u64,
    /// Their elements, padding included.
    pub elements: u64,
    /// Records that it announced, each file rounded up to a multiple of 256.
    pub records: u64,
    /// Words of its row lists, likewise.
    pub row_words: u64,
    /// Whether both servers had all of it in time.
    pub complete: bool,
    /// Whether it said that it has its decisions.
    pub delivered: bool,
    /// Why it could not take part.
    pub failed: Option<Reason>,
    /// What it told of its canaries, if it has any.
    pub canaries: Option<CanaryOutcome>,
    /// Its matters, once they are decided.
    pub matters: Vec<Matter>,
}

/// One matter's decisions.
#[derive(Clone, Debug, Serialize)]
pub struct Matter {
    /// Its number.
    pub number: u16,
    /// Its id.
    pub id: String,
    /// Channels that apply and counted as missing.
    pub missing: Vec<String>,
    /// Rounded to 5; below 8 not told.
    pub counts: Vec<DecisionCount>,
}

/// Somebody did not act on an entry or a file.
#[derive(Clone, Debug, Serialize)]
pub struct Refusal {
    /// The entry that says so, by its index.
    pub entry: u64,
    /// Who refused.
    pub by: String,
    /// Index of the entry refused, if it is in the log.
    pub refused: Option<u64>,
    /// Why.
    pub reason: Reason,
}

/// Something of the round was deleted.
#[derive(Clone, Debug, Serialize)]
pub struct Deletion {
    /// Who had it.
    pub party: String,
    /// What.
    pub of: Kept,
    /// When, by its clock, seconds since 1970 UTC.
    pub time: u64,
}

impl Story {
    /// Channels on the list, and all of them.
    pub fn channels(&self) -> (usize, usize) {
        let all = self.departments.iter().flat_map(|department| &department.channels);
        (all.clone().filter(|channel| channel.listed == Some(true)).count(), all.count())
    }

    /// Departments of which a channel is not on the list.
    pub fn missing(&self) -> Vec<&Department> {
        let lacks = |department: &&Department| department.channels.iter().any(|channel| channel.listed == Some(false));
        self.departments.iter().filter(lacks).collect()
    }
}

/// Tells the rounds of a log, entry by entry. Entries without effect are told by [`crate::verify`], not here.
#[derive(Debug, Default)]
pub struct Teller {
    stories: Vec<Story>,
    indices: BTreeMap<Digest, u64>,
}

impl Teller {
    /// The rounds so far, in order.
    pub fn stories(self) -> Vec<Story> {
        self.stories
    }

    /// Takes an entry, and the ledger that it led to.
    pub fn take(&mut self, logged: &Logged, ledger: &Ledger) {
        self.indices.insert(logged.signed.hash(), logged.index);
        let body = logged.signed.body();
        match (&body.statement, logged.verdict, logged.party) {
            (_, Err(_), _) | (_, _, None) => {}
            (Statement::RoundManifest(_), ..) => {
                self.stories.extend(ledger.round().map(|round| begin(ledger, round, logged.index)));
            }
            // Enrolment, refusals and cosignatures belong to no round: they are told with the last one.
            (statement, Ok(()), Some(party)) => {
                let of_round = |story: &Story| body.head.round.is_none_or(|round| story.round == round);
                let Some(place) = self.stories.iter().rposition(of_round) else { return };
                let is_last = place + 1 == self.stories.len();
                let Teller { stories, indices } = self;
                let story = &mut stories[place];
                story.entries.1 = logged.index;
                if let Statement::Refusal { entry, reason } = statement {
                    let refused = indices.get(entry).copied();
                    let by = ledger.federation().party_name(party);
                    story.refusals.push(Refusal { entry: logged.index, by, refused, reason: *reason });
                }
                story.take(party, statement, body.head.time, ledger);
                if may_disclose(statement) {
                    stories.iter_mut().for_each(|story| {
                        story.disclosures = disclosures::totals(ledger, Some(story.round));
                    });
                    return;
                }
                if let Some(round) = ledger.round().filter(|_| is_last) {
                    story.times.pools_closed = round.pools_closed();
                    story.times.rows_closed = round.rows_closed();
                }
            }
        }
    }
}

impl Story {
    fn take(&mut self, party: Party, statement: &Statement, time: u64, ledger: &Ledger) {
        match statement {
            Statement::EnrolmentBatch(batch) => {
                if let Some(owner) = self.owner(party.member) {
                    owner.batches += 1;
                    owner.elements += batch.count;
                }
            }
            Statement::Announcement(announcement) => self.announce(announcement),
            Statement::Failure { channel: Some(number), reason } => {
                if let Some(channel) = self.channel(*number) {
                    channel.failed = Some(*reason);
                }
            }
            Statement::Failure { channel: None, reason } => {
                if let Some(owner) = self.owner(party.member) {
                    owner.failed = Some(*reason);
                }
            }
            Statement::List { channels } => self.list(&channels.iter().copied().collect(), time),
            Statement::Decisions(totals) => self.decide(totals, ledger),
            Statement::Receipt(receipt) => self.receipt(party, receipt, ledger),
            Statement::Canaries(outcome) => {
                if let Some(owner) = self.owner(party.member) {
                    owner.canaries = Some(*outcome);
                }
            }
            Statement::RoundClosed {} => self.end(Outcome::Closed, time),
            Statement::RoundAbandoned { .. } => self.end(Outcome::Abandoned, time),
            Statement::Cosignature(_) => self.cosign(party, ledger),
            Statement::Deletion { of } => {
                let party = ledger.federation().party_name(party);
                self.deletions.push(Deletion { party, of: *of, time });
            }
            _ => {}
        }
    }

    fn announce(&mut self, announcement: &Announcement) {
        match announcement.file {
            FileKey::Pool { channel, .. } => {
                if let Some(channel) = self.channel(channel) {
                    channel.tags += announcement.count;
                }
            }
            FileKey::Records { owner, .. } => {
                if let Some(owner) = self.owner(owner) {
                    owner.records += announcement.count;
                }
            }
            FileKey::Rows { owner, .. } => {
                if let Some(owner) = self.owner(owner) {
                    owner.row_words += announcement.count;
                }
            }
            FileKey::Bitmap { .. } | FileKey::Bits { .. } | FileKey::Decisions { .. } => {}
        }
    }

    fn list(&mut self, list: &BTreeSet<u16>, time: u64) {
        self.times.listed = Some(time);
        for channel in self.departments.iter_mut().flat_map(|department| &mut department.channels) {
            channel.listed = Some(list.contains(&channel.number));
        }
    }

    fn decide(&mut self, totals: &Totals, ledger: &Ledger) {
        let (policy, round) = (self.policy.clone(), ledger.round());
        let rounds = round.map(|round| round.matters(totals.owner)).unwrap_or_default();
        let Some(owner) = self.owner(totals.owner) else { return };
        for ((matter, round), counts) in policy.matters_of(totals.owner).zip(rounds).zip(&totals.matters) {
            let applying = matter.channels.iter().filter_map(|place| policy.channels.get(*place));
            let missing = applying.filter(|channel| !round.present().contains(&channel.number));
            let missing = missing.map(|channel| channel.id.clone()).collect();
            let (number, id) = (matter.number, matter.id.clone());
            owner.matters.push(Matter { number, id, missing, counts: counts.counts.clone() });
        }
    }

    fn receipt(&mut self, party: Party, receipt: &Receipt, ledger: &Ledger) {
        let (Receipt::Records { owner } | Receipt::Rows { owner }) = receipt else {
            if let (Receipt::Decisions {}, Some(owner)) = (receipt, self.owner(party.member)) {
                owner.delivered = true;
            }
            return;
        };
        let complete = ledger.round().is_some_and(|round| round.complete(*owner));
        if let Some(owner) = self.owner(*owner) {
            owner.complete = complete;
        }
    }

    fn end(&mut self, outcome: Outcome, time: u64) {
        self.outcome = outcome;
        self.times.ended = Some(time);
    }

    fn cosign(&mut self, party: Party, ledger: &Ledger) {
        let policy = ledger.federation().policy();
        let id = policy.member_id(party.member);
        if party.member != policy.coordinator && !self.cosigned.iter().any(|other| other == id) {
            self.cosigned.push(id.to_owned());
        }
    }

    fn channel(&mut self, number: u16) -> Option<&mut Channel> {
        let mut channels = self.departments.iter_mut().flat_map(|department| &mut department.channels);
        channels.find(|channel| channel.number == number)
    }

    fn owner(&mut self, number: MemberNumber) -> Option<&mut Owner> {
        self.owners.iter_mut().find(|owner| owner.number == number)
    }
}

/// Whether a statement is part of a disclosure: a refusal may be, of whatever round.
fn may_disclose(statement: &Statement) -> bool {
    use Statement::{Approval, Disclosure, DisclosureRequest, Refusal};
    matches!(statement, DisclosureRequest(_) | Approval { .. } | Disclosure { .. } | Refusal { .. })
}

/// A round that has just been opened.
fn begin(ledger: &Ledger, round: &Round, entry: u64) -> Story {
    let (federation, policy) = (ledger.federation(), round.policy());
    let channels = |source| {
        let channel = |channel: &policy::Channel| Channel {
            number: channel.number,
            id: channel.id.clone(),
            class: channel.class,
            tags: 0,
            listed: None,
            failed: None,
        };
        policy.channels_of(source).map(channel).collect::<Vec<_>>()
    };
    let departments = (0..).zip(&policy.departments).map(|(number, department)| Department {
        number,
        id: department.id.clone(),
        channels: channels(number),
    });
    let owner = |number| Owner {
        number,
        id: policy.member_id(number).to_owned(),
        batches: 0,
        elements: 0,
        records: 0,
        row_words: 0,
        complete: false,
        delivered: false,
        failed: None,
        canaries: None,
        matters: Vec::new(),
    };
    Story {
        policy: policy.clone(),
        federation: federation.manifest().name.clone(),
        month: round.manifest().month,
        round: round.hash(),
        entries: (entry, entry),
        outcome: Outcome::Open,
        times: Times { opened: round.opened(), ..Times::default() },
        departments: departments.filter(|department| !department.channels.is_empty()).collect(),
        owners: policy.owners().map(owner).collect(),
        refusals: Vec::new(),
        cosigned: Vec::new(),
        quorum: federation.manifest().quorum,
        disclosures: Vec::new(),
        deletions: Vec::new(),
    }
}
