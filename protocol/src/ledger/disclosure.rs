//! Disclosures as the log tells them: who asked about a row of which round, who approved it, what became of it.

use std::{collections::BTreeSet, sync::Arc};

use super::{Ledger, Round, SECONDS_PER_DAY};
use crate::{
    hexes::Digest,
    month::Month,
    party::{MemberNumber, Party},
    policy::Policy,
    reason::Reason,
    statement::{DisclosureRequest, Kept},
};

/// A round that counted and was closed.
#[derive(Clone, Debug)]
pub struct PastRound {
    /// Its month.
    pub month: Month,
    /// When it was opened, by the coordinator's clock, seconds since 1970 UTC.
    pub opened: u64,
    /// The policy under which it was decided.
    pub policy: Arc<Policy>,
    /// Numbers of the channels that took part.
    pub list: BTreeSet<u16>,
    /// Owners that have decisions in it.
    pub owners: BTreeSet<MemberNumber>,
}

/// A request that has an effect, and what followed.
#[derive(Clone, Debug)]
pub struct Requested {
    /// Who asks.
    pub owner: MemberNumber,
    /// About which round.
    pub round: Digest,
    /// When, by the owner's clock, seconds since 1970 UTC.
    pub time: u64,
    /// What was asked.
    pub statement: DisclosureRequest,
    /// Members that approved it.
    pub approvals: BTreeSet<MemberNumber>,
    /// What the aggregator made of it.
    pub outcome: Option<Disclosed>,
}

/// What the aggregator made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disclosed {
    /// It answered.
    Answered {
        /// Hash of the entry that says so.
        entry: Digest,
        /// Salted digest of the answer.
        answer: Digest,
    },
    /// It refused.
    Refused(Reason),
}

impl PastRound {
    pub(super) fn of(round: &Round) -> PastRound {
        let policy = round.policy().clone();
        let owners = policy.owners().filter(|owner| round.totals(*owner).is_some()).collect();
        PastRound {
            policy,
            owners,
            month: round.manifest().month,
            opened: round.opened(),
            list: round.list().cloned().unwrap_or_default(),
        }
    }
}

impl Requested {
    /// Whether as many members approved as must.
    pub fn approved(&self) -> bool {
        self.approvals.len() >= APPROVALS
    }

    /// The calendar month of which it is one of the owner's disclosures.
    pub fn month(&self) -> Option<Month> {
        Month::of_time(self.time)
    }
}

impl Ledger {
    /// A round that counted and was closed.
    pub fn past_round(&self, round: Digest) -> Option<&PastRound> {
        self.past.get(&round)
    }

    /// The closed round of a month that counted.
    pub fn round_of_month(&self, month: Month) -> Option<Digest> {
        self.past.iter().find(|(_, past)| past.month == month).map(|(round, _)| *round)
    }

    /// Whether the aggregator has deleted what it kept of a round.
    pub fn is_deleted(&self, round: Digest) -> bool {
        self.deletions.contains(&(self.federation.aggregator(), round, Kept::Files))
    }

    /// A request by the hash of its entry.
    pub fn request(&self, request: Digest) -> Option<&Requested> {
        self.requests.get(&request)
    }

    /// Every request, with the hash of its entry.
    pub fn requests(&self) -> impl Iterator<Item = (Digest, &Requested)> {
        self.requests.iter().map(|(request, requested)| (*request, requested))
    }

    /// Requests of an owner in a calendar month.
    pub fn requests_in(&self, owner: MemberNumber, month: Month) -> usize {
        self.requests_of(owner).filter(|requested| requested.month() == Some(month)).count()
    }

    /// Checks that an owner may make a request about a round at a time.
    ///
    /// # Errors
    /// Why not.
    pub fn may_request(
        &self,
        owner: MemberNumber,
        round: Digest,
        request: &DisclosureRequest,
        time: u64,
    ) -> Result<(), Reason> {
        let past = self.past.get(&round).ok_or(Reason::OtherRound)?;
        let policy = &past.policy;
        let matter = policy.matters_of(owner).find(|matter| matter.number == request.matter);
        let suspects = matter.is_some_and(|m| policy.rules(m).iter().any(|rule| rule.suspects_for(request.class)));
        if !suspects || !past.owners.contains(&owner) {
            return Err(Reason::NotAllowed);
        }
        // An owner whose clock could go back would get a second share of a month.
        let before = self.requests_of(owner).map(|requested| requested.time).max();
        if time < before.unwrap_or(0).max(past.opened) {
            return Err(Reason::ClockDiffers);
        }
        let kept = self.federation.policy().retention_days.saturating_mul(SECONDS_PER_DAY);
        if self.is_deleted(round) || time >= past.opened.saturating_add(kept) {
            return Err(Reason::Deleted);
        }
        if self.requests.values().any(|requested| requested.statement.row == request.row) {
            return Err(Reason::Repeated);
        }
        let month = Month::of_time(time).ok_or(Reason::ClockDiffers)?;
        let within = self.requests_in(owner, month) < usize::from(self.federation.manifest().disclosures_per_month);
        within.then_some(()).ok_or(Reason::OverLimit)
    }

    /// Checks that a member may approve a request.
    ///
    /// # Errors
    /// Why not.
    pub fn may_approve(&self, member: MemberNumber, request: Digest) -> Result<(), Reason> {
        let requested = self.requests.get(&request).ok_or(Reason::BeforeItsTime)?;
        if member == requested.owner || member == self.federation.policy().coordinator {
            return Err(Reason::NotAllowed);
        }
        if requested.outcome.is_some() {
            return Err(Reason::TooLate);
        }
        if self.is_deleted(requested.round) {
            return Err(Reason::Deleted);
        }
        if requested.approvals.contains(&member) {
            return Err(Reason::Repeated);
        }
        Ok(())
    }

    pub(super) fn state_request(
        &mut self,
        party: Party,
        round: Option<Digest>,
        request: &DisclosureRequest,
        entry: (Digest, u64),
    ) -> Result<(), Reason> {
        let round = round.ok_or(Reason::OtherRound)?;
        let (hash, time) = entry;
        self.may_request(party.member, round, request, time)?;
        let (statement, approvals) = (request.clone(), BTreeSet::new());
        let requested = Requested { owner: party.member, round, time, statement, approvals, outcome: None };
        self.requests.insert(hash, requested);
        Ok(())
    }

    pub(super) fn state_approval(
        &mut self,
        party: Party,
        round: Option<Digest>,
        request: Digest,
    ) -> Result<(), Reason> {
        self.may_approve(party.member, request)?;
        let requested = self.requested(request, round)?;
        requested.approvals.insert(party.member);
        Ok(())
    }

    pub(super) fn state_disclosure(
        &mut self,
        round: Option<Digest>,
        request: Digest,
        answer: Digest,
        entry: Digest,
    ) -> Result<(), Reason> {
        let requested = self.requested(request, round)?;
        if requested.outcome.is_some() {
            return Err(Reason::Repeated);
        }
        if !requested.approved() {
            return Err(Reason::BeforeItsTime);
        }
        requested.outcome = Some(Disclosed::Answered { entry, answer });
        Ok(())
    }

    /// A request that the aggregator refuses is not open any more.
    pub(super) fn state_refusal(&mut self, party: Party, entry: Digest, reason: Reason) {
        let of_aggregator = party == self.federation.aggregator();
        if let Some(requested) = self.requests.get_mut(&entry).filter(|_| of_aggregator) {
            requested.outcome.get_or_insert(Disclosed::Refused(reason));
        }
    }

    /// A request, by an entry that must be bound to its round.
    fn requested(&mut self, request: Digest, round: Option<Digest>) -> Result<&mut Requested, Reason> {
        let requested = self.requests.get_mut(&request).ok_or(Reason::BeforeItsTime)?;
        if Some(requested.round) == round { Ok(requested) } else { Err(Reason::OtherRound) }
    }

    fn requests_of(&self, owner: MemberNumber) -> impl Iterator<Item = &Requested> {
        self.requests.values().filter(move |requested| requested.owner == owner)
    }
}

/// Members that must approve a request, neither its owner nor the coordinator's bureau among them.
pub const APPROVALS: usize = 2;
