//! One round as the log tells it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::is_node_of;
use crate::{
    file::FileKey,
    hexes::Digest,
    limits::{COUNT_STEP, about},
    party::{MemberNumber, Party, Role},
    policy::{Class, Decision, MatterRound, Policy},
    reason::Reason,
    statement::{Announcement, CanaryOutcome, DecisionCount, MatterTotals, Receipt, RoundManifest, Statement, Totals},
};

/// A round from its manifest to its end.
#[derive(Clone, Debug)]
pub struct Round {
    policy: Arc<Policy>,
    entry: Digest,
    hash: Digest,
    manifest: RoundManifest,
    opened: u64,
    announcements: BTreeMap<FileKey, Announcement>,
    receipts: BTreeSet<(MemberNumber, Receipt)>,
    failures: BTreeMap<(MemberNumber, Option<u16>), Reason>,
    pools_closed: Option<u64>,
    list: Option<BTreeSet<u16>>,
    matters: BTreeMap<MemberNumber, Vec<MatterRound>>,
    rows_closed: Option<u64>,
    totals: BTreeMap<MemberNumber, Totals>,
    canaries: BTreeMap<MemberNumber, CanaryOutcome>,
    end: Option<End>,
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Abandoned,
}

impl Round {
    pub(super) fn new(policy: Arc<Policy>, entry: Digest, hash: Digest, manifest: RoundManifest, opened: u64) -> Round {
        Round {
            policy,
            entry,
            hash,
            manifest,
            opened,
            announcements: BTreeMap::new(),
            receipts: BTreeSet::new(),
            failures: BTreeMap::new(),
            pools_closed: None,
            list: None,
            matters: BTreeMap::new(),
            rows_closed: None,
            totals: BTreeMap::new(),
            canaries: BTreeMap::new(),
            end: None,
        }
    }

    /// The policy under which it was opened.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Hash of the signed entry that opened it, by which a member refuses it.
    pub fn entry(&self) -> Digest {
        self.entry
    }

    /// Hash of the manifest's canonical body.
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// The round id: the first 16 bytes of the hash.
    pub fn id(&self) -> [u8; 16] {
        let mut id = [0; 16];
        id.copy_from_slice(&self.hash.0[..16]);
        id
    }

    /// The manifest.
    pub fn manifest(&self) -> &RoundManifest {
        &self.manifest
    }

    /// When it was opened, by the coordinator's clock, seconds since 1970 UTC.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// Neither open nor waiting any more.
    pub fn ended(&self) -> bool {
        self.end.is_some()
    }

    /// Ended without being counted.
    pub fn abandoned(&self) -> bool {
        self.end == Some(End::Abandoned)
    }

    /// What was announced as this file.
    pub fn announcement(&self, file: FileKey) -> Option<&Announcement> {
        self.announcements.get(&file)
    }

    /// Whether this receipt of this member is logged.
    pub fn has_receipt(&self, member: MemberNumber, receipt: &Receipt) -> bool {
        self.receipts.contains(&(member, receipt.clone()))
    }

    /// Channels whose pools lie complete with the matcher.
    pub fn receipted_channels(&self) -> BTreeSet<u16> {
        let pools = self.receipts.iter().filter_map(|(_, receipt)| match receipt {
            Receipt::Pools { channel } => Some(*channel),
            _ => None,
        });
        pools.collect()
    }

    /// What a node said it cannot do, and why: a channel, or `None` for its roster.
    pub fn failures(&self) -> &BTreeMap<(MemberNumber, Option<u16>), Reason> {
        &self.failures
    }

    /// When receipts of pools ended.
    pub fn pools_closed(&self) -> Option<u64> {
        self.pools_closed
    }

    /// The list, once it is logged: numbers of the channels that take part.
    pub fn list(&self) -> Option<&BTreeSet<u16>> {
        self.list.as_ref()
    }

    /// When receipts of records and rows ended.
    pub fn rows_closed(&self) -> Option<u64> {
        self.rows_closed
    }

    /// Each of an owner's matters in this round; empty before the list.
    pub fn matters(&self, owner: MemberNumber) -> &[MatterRound] {
        self.matters.get(&owner).map_or(&[], Vec::as_slice)
    }

    /// Channels for which an owner makes records: those present at one of its matters.
    pub fn record_channels(&self, owner: MemberNumber) -> BTreeSet<u16> {
        self.matters(owner).iter().flat_map(|matter| matter.present()).copied().collect()
    }

    /// Whether both servers gave their receipts for an owner.
    pub fn complete(&self, owner: MemberNumber) -> bool {
        self.has_receipt(self.manifest.matcher, &Receipt::Records { owner })
            && self.has_receipt(self.manifest.aggregator, &Receipt::Rows { owner })
    }

    /// Whether an owner has announced a file for this round.
    pub fn has_announced(&self, owner: MemberNumber) -> bool {
        let of_owner = |file: &FileKey| file.owner() == Some(owner) && file.maker() == Role::Node;
        self.announcements.keys().any(of_owner)
    }

    /// One owner's logged totals.
    pub fn totals(&self, owner: MemberNumber) -> Option<&Totals> {
        self.totals.get(&owner)
    }

    /// What became of an owner's canaries, once it said so.
    pub fn canaries(&self, owner: MemberNumber) -> Option<&CanaryOutcome> {
        self.canaries.get(&owner)
    }

    /// Owners that are decided once all is logged: those complete when the rows were closed.
    pub fn present_owners(&self) -> Vec<MemberNumber> {
        self.policy.owners().filter(|owner| self.complete(*owner)).collect()
    }

    /// The statements that have an effect after the end: that an owner has its decisions, and what they are for canaries.
    pub(super) fn delivers(&self, statement: &Statement) -> bool {
        matches!(statement, Statement::Receipt(Receipt::Decisions {}) | Statement::Canaries(_)) && !self.abandoned()
    }

    pub(super) fn state(&mut self, party: Party, statement: &Statement, time: u64) -> Result<(), Reason> {
        match statement {
            Statement::Announcement(announcement) => self.announce(party, announcement),
            Statement::Receipt(receipt) => self.receipt(party, receipt),
            Statement::Failure { channel, reason } => self.fail(party, *channel, *reason),
            Statement::PoolsClosed {} => self.close_pools(time),
            Statement::List { channels } => self.close_list(channels),
            Statement::RowsClosed {} => self.close_rows(time),
            Statement::Decisions(totals) => self.decide(totals),
            Statement::Canaries(outcome) => self.tell_canaries(party, *outcome),
            Statement::RoundClosed {} => self.close(time),
            Statement::RoundAbandoned { .. } => self.abandon(),
            _ => Err(Reason::NotAllowed),
        }
    }

    fn announce(&mut self, party: Party, announcement: &Announcement) -> Result<(), Reason> {
        let file = announcement.file;
        if !self.may_announce(party, file) {
            return Err(Reason::NotAllowed);
        }
        if !announcement.count.is_multiple_of(COUNT_STEP) {
            return Err(Reason::CountDiffers);
        }
        let ready = match file {
            FileKey::Pool { .. } => true,
            FileKey::Records { owner, channel } => self.record_channels(owner).contains(&channel),
            FileKey::Rows { .. } => self.list.is_some(),
            FileKey::Bitmap { owner, .. } => self.has_receipt(self.manifest.matcher, &Receipt::Records { owner }),
            FileKey::Bits { owner } => {
                let bitmap = |class| self.announcements.contains_key(&FileKey::Bitmap { owner, class });
                self.complete(owner) && Class::ALL.into_iter().all(bitmap)
            }
            FileKey::Decisions { owner } => self.announcements.contains_key(&FileKey::Bits { owner }),
        };
        if !ready {
            return Err(Reason::BeforeItsTime);
        }
        if self.announcements.contains_key(&file) {
            return Err(Reason::Repeated);
        }
        self.announcements.insert(file, announcement.clone());
        Ok(())
    }

    fn may_announce(&self, party: Party, file: FileKey) -> bool {
        if party.role != file.maker() {
            return false;
        }
        match file {
            FileKey::Pool { channel, group } => {
                let source = self.policy.channel(channel).map(|channel| channel.source);
                source == Some(party.member) && group < self.policy.group_count
            }
            FileKey::Records { owner, .. } | FileKey::Rows { owner, .. } => {
                is_node_of(party, owner) && self.is_owner(owner)
            }
            FileKey::Bitmap { owner, .. } | FileKey::Bits { owner } | FileKey::Decisions { owner } => {
                self.is_owner(owner)
            }
        }
    }

    fn receipt(&mut self, party: Party, receipt: &Receipt) -> Result<(), Reason> {
        let (role, closed, files) = match receipt {
            Receipt::Pools { channel } => (Role::Matcher, self.pools_closed, self.pool_files(*channel)),
            Receipt::Records { owner } => (Role::Matcher, self.rows_closed, self.record_files(*owner)),
            Receipt::Rows { owner } => (Role::Aggregator, self.rows_closed, row_files(*owner)),
            Receipt::Decisions {} => (Role::Node, None, vec![FileKey::Decisions { owner: party.member }]),
        };
        let of_owner = match receipt {
            Receipt::Records { owner } | Receipt::Rows { owner } => self.is_owner(*owner),
            Receipt::Pools { .. } | Receipt::Decisions {} => true,
        };
        if party.role != role || !of_owner {
            return Err(Reason::NotAllowed);
        }
        if closed.is_some() {
            return Err(Reason::TooLate);
        }
        let needs_list = matches!(receipt, Receipt::Records { .. } | Receipt::Rows { .. });
        if needs_list && self.list.is_none() || !files.iter().all(|file| self.announcements.contains_key(file)) {
            return Err(Reason::BeforeItsTime);
        }
        let new = self.receipts.insert((party.member, receipt.clone()));
        new.then_some(()).ok_or(Reason::Repeated)
    }

    /// The pools of a channel, one for each group.
    pub fn pool_files(&self, channel: u16) -> Vec<FileKey> {
        (0..self.policy.group_count).map(|group| FileKey::Pool { channel, group }).collect()
    }

    /// The records files of an owner.
    pub fn record_files(&self, owner: MemberNumber) -> Vec<FileKey> {
        self.record_channels(owner).into_iter().map(|channel| FileKey::Records { owner, channel }).collect()
    }

    fn fail(&mut self, party: Party, channel: Option<u16>, reason: Reason) -> Result<(), Reason> {
        let own = channel.is_none_or(|number| self.policy.channels_of(party.member).any(|c| c.number == number));
        if !own {
            return Err(Reason::NotAllowed);
        }
        self.failures.insert((party.member, channel), reason);
        Ok(())
    }

    fn close_pools(&mut self, time: u64) -> Result<(), Reason> {
        if self.pools_closed.is_some() {
            return Err(Reason::Repeated);
        }
        if time < self.manifest.pools_close_from {
            return Err(Reason::CloseTooEarly);
        }
        if !self.policy.enough_for_a_list(&self.receipted_channels()) {
            return Err(Reason::TooManyMissing);
        }
        self.pools_closed = Some(time);
        Ok(())
    }

    fn close_list(&mut self, channels: &[u16]) -> Result<(), Reason> {
        if self.pools_closed.is_none() {
            return Err(Reason::BeforeItsTime);
        }
        if self.list.is_some() {
            return Err(Reason::Repeated);
        }
        let list = self.receipted_channels();
        if !channels.iter().eq(list.iter()) {
            return Err(Reason::ListDiffers);
        }
        self.matters = self.policy.owners().map(|owner| (owner, self.policy.matter_rounds(owner, &list))).collect();
        self.list = Some(list);
        Ok(())
    }

    fn close_rows(&mut self, time: u64) -> Result<(), Reason> {
        if self.list.is_none() {
            return Err(Reason::BeforeItsTime);
        }
        if self.rows_closed.is_some() {
            return Err(Reason::Repeated);
        }
        let waiting = self.policy.owners().any(|owner| self.has_announced(owner) && !self.complete(owner));
        if waiting && time < self.manifest.rows_until {
            return Err(Reason::CloseTooEarly);
        }
        self.rows_closed = Some(time);
        Ok(())
    }

    fn decide(&mut self, totals: &Totals) -> Result<(), Reason> {
        let file = FileKey::Decisions { owner: totals.owner };
        let announced = self.announcements.get(&file).ok_or(Reason::BeforeItsTime)?;
        if announced.digest != totals.digest {
            return Err(Reason::DigestDiffers);
        }
        let matters = self.policy.matters_of(totals.owner).map(|matter| matter.number);
        let told = totals.matters.iter().map(|of_matter| of_matter.matter);
        if !matters.eq(told) || !totals.matters.iter().all(is_told_whole) {
            return Err(Reason::CountDiffers);
        }
        if self.totals.contains_key(&totals.owner) {
            return Err(Reason::Repeated);
        }
        self.totals.insert(totals.owner, totals.clone());
        Ok(())
    }

    /// Before the receipt: whoever sees that an owner has its decisions knows whether it told of its canaries.
    fn tell_canaries(&mut self, party: Party, outcome: CanaryOutcome) -> Result<(), Reason> {
        if !self.is_owner(party.member) {
            return Err(Reason::NotAllowed);
        }
        if !self.totals.contains_key(&party.member) {
            return Err(Reason::BeforeItsTime);
        }
        if self.canaries.contains_key(&party.member) {
            return Err(Reason::Repeated);
        }
        if self.has_receipt(party.member, &Receipt::Decisions {}) {
            return Err(Reason::TooLate);
        }
        self.canaries.insert(party.member, outcome);
        Ok(())
    }

    /// Without decisions for an owner a round is closed only after the latest time: then a server could not work with
    /// the owner's files, and its people keep what they have.
    fn close(&mut self, time: u64) -> Result<(), Reason> {
        let decided = self.present_owners().iter().all(|owner| self.totals.contains_key(owner));
        if self.rows_closed.is_none() {
            return Err(Reason::BeforeItsTime);
        }
        if !decided && time < self.manifest.rows_until {
            return Err(Reason::CloseTooEarly);
        }
        self.end = Some(End::Closed);
        Ok(())
    }

    fn abandon(&mut self) -> Result<(), Reason> {
        if self.list.is_some() {
            return Err(Reason::TooLate);
        }
        self.end = Some(End::Abandoned);
        Ok(())
    }

    fn is_owner(&self, member: MemberNumber) -> bool {
        self.policy.owners().any(|owner| owner == member)
    }
}

/// Whether the counts of a matter are of each decision, in their order, and such as may be told.
fn is_told_whole(totals: &MatterTotals) -> bool {
    let rounded = |count: &DecisionCount| count.about.is_none_or(|told| about(told) == Some(told));
    totals.counts.iter().map(|count| count.decision).eq(Decision::ALL) && totals.counts.iter().all(rounded)
}

/// The row lists of an owner, one for each class.
pub fn row_files(owner: MemberNumber) -> Vec<FileKey> {
    Class::ALL.into_iter().map(|class| FileKey::Rows { owner, class }).collect()
}
