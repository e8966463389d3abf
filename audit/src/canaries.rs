//! What became of the authority's canaries, as their owners told it in the log.

use serde::Serialize;
use wugan_protocol::{
    canary::CanaryList,
    ledger::{Ledger, Logged, Round, SECONDS_PER_DAY},
    month::Month,
    party::{MemberNumber, Role},
    statement::{CanaryOutcome, Receipt, Statement},
    text::{Language, Say},
    texts,
};

use crate::{
    detail::Detail,
    finding::{Finding, Rule},
};

/// The canaries of all owners that told of theirs in one month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OfMonth {
    /// The month.
    pub month: Month,
    /// Decided as the authority says.
    pub as_expected: u64,
    /// Deferred: not judged.
    pub deferred: u64,
    /// Decided otherwise.
    pub other: u64,
}

/// Months of canaries in one line.
pub fn line(months: &[OfMonth], language: Language) -> String {
    let months = months.iter().map(|of| {
        let OfMonth { month, as_expected, deferred, other } = *of;
        Text::OfMonth { month, as_expected, deferred, other }.said(language)
    });
    let between = if language == Language::Chinese { "；" } else { "; " };
    Text::Line { months: months.collect::<Vec<_>>().join(between) }.said(language)
}

texts! {
    enum Text {
        Line { months: String } "canaries: {months}" "哨兵：{months}";
        OfMonth { month: Month, as_expected: u64, deferred: u64, other: u64 }
            "{month}: {as_expected} as expected, {deferred} deferred, {other} otherwise"
            "{month}：符合预期 {as_expected}，暂缓 {deferred}，不符 {other}";
        Otherwise { month: Month, other: u64, all: u64 } "{month}: {other} of {all}" "{month}：{all} 个中有 {other} 个";
        Untold { month: Month, told: u64, listed: u64 }
            "{month}: listed {listed}, told of {told} of them"
            "{month}：清单 {listed} 个，已报告其中 {told} 个";
    }
}

/// Follows a log's canaries.
pub(crate) struct Canaries<'a> {
    lists: &'a [CanaryList],
    months: Vec<OfMonth>,
    /// When the last round that counts was closed, by the coordinator's clock.
    closed: Option<u64>,
}

impl Canaries<'_> {
    /// With the authority's lists, or without any.
    pub(crate) fn new(lists: &[CanaryList]) -> Canaries<'_> {
        Canaries { lists, months: Vec::new(), closed: None }
    }

    /// What owners told, month by month.
    pub(crate) fn months(self) -> Vec<OfMonth> {
        self.months
    }

    /// Takes an entry and the ledger that it led to.
    pub(crate) fn take(&mut self, logged: &Logged, ledger: &Ledger) -> Option<Finding> {
        let (party, round) = (logged.party?, ledger.round()?);
        let (rule, detail) = match (&logged.signed.body().statement, logged.verdict) {
            (Statement::Canaries(outcome), Ok(())) => self.told(round.manifest().month, outcome)?,
            (Statement::Receipt(Receipt::Decisions {}), Ok(())) => self.untold(party.member, round)?,
            (Statement::RoundClosed {}, Ok(())) => {
                self.closed = Some(logged.signed.body().head.time);
                return None;
            }
            _ => return None,
        };
        let party = Some(ledger.federation().party_name(party));
        Some(Finding::new(rule, Some(logged.index), party, detail))
    }

    /// Owners that never said that they have the decisions of the round that was the last until `next` came: what they
    /// could have told of their canaries by then.
    pub(crate) fn at_next(&self, ledger: &Ledger, next: Option<u64>) -> Vec<Finding> {
        let Some(round) = ledger.round().filter(|round| round.ended()) else { return Vec::new() };
        let silent =
            |owner: &MemberNumber| round.totals(*owner).is_some() && !round.has_receipt(*owner, &Receipt::Decisions {});
        let found = |owner| {
            let (rule, detail) = self.untold(owner, round)?;
            let party = format!("{}/{}", round.policy().member_id(owner), Role::Node.name());
            Some(Finding::new(rule, next, Some(party), detail))
        };
        round.policy().owners().filter(silent).filter_map(found).collect()
    }

    /// The same of the log's last round, once the auditor's clock is more than a day after its end.
    pub(crate) fn at_last(&self, ledger: &Ledger, now: Option<u64>) -> Vec<Finding> {
        let over = self.closed.zip(now).is_some_and(|(closed, now)| now > closed.saturating_add(SECONDS_PER_DAY));
        if over { self.at_next(ledger, None) } else { Vec::new() }
    }

    fn told(&mut self, month: Month, outcome: &CanaryOutcome) -> Option<(Rule, Detail)> {
        let CanaryOutcome { as_expected, deferred, other, .. } = *outcome;
        match self.months.last_mut().filter(|last| last.month == month) {
            Some(last) => {
                last.as_expected = last.as_expected.saturating_add(as_expected);
                last.deferred = last.deferred.saturating_add(deferred);
                last.other = last.other.saturating_add(other);
            }
            None => self.months.push(OfMonth { month, as_expected, deferred, other }),
        }
        let all = as_expected.saturating_add(deferred).saturating_add(other);
        (other > 0).then(|| (Rule::CanaryOtherwise, Detail::of(&Text::Otherwise { month, other, all })))
    }

    /// An owner tells before it says that it has its decisions, or never.
    fn untold(&self, owner: MemberNumber, round: &Round) -> Option<(Rule, Detail)> {
        let month = round.manifest().month;
        // Of several lists the latest that has begun counts.
        let begun = |list: &&CanaryList| list.from() <= month && list.policy() == round.policy().hash;
        let list = self.lists.iter().filter(begun).max_by_key(|list| list.from())?;
        let listed = list.owner(round.policy().member_id(owner))?;
        let told = round.canaries(owner).filter(|told| told.document == listed.document);
        let pairs = told.map_or(0, |told| told.as_expected.saturating_add(told.deferred).saturating_add(told.other));
        let words = Text::Untold { month, told: pairs, listed: listed.pairs };
        (pairs != listed.pairs).then(|| (Rule::CanaryUntold, Detail::of(&words)))
    }
}
