//! What became of the authority's canaries, as their owners told it in the log.

use serde::Serialize;
use wugan_protocol::{
    canary::CanaryList,
    ledger::{Ledger, Logged, Round},
    month::Month,
    party::Party,
    statement::{CanaryOutcome, Receipt, Statement},
    text::{Language, Say},
    texts,
};

use crate::finding::{Finding, Rule};

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
    Text::Line { months: months.collect::<Vec<_>>().join("; ") }.said(language)
}

texts! {
    enum Text {
        Line { months: String } "canaries: {months}" "哨兵：{months}";
        OfMonth { month: Month, as_expected: u64, deferred: u64, other: u64 }
            "{month}: {as_expected} as expected, {deferred} deferred, {other} otherwise"
            "{month}：符合预期 {as_expected}，暂缓 {deferred}，不符 {other}";
    }
}

/// Follows a log's canaries.
pub(crate) struct Canaries<'a> {
    lists: &'a [CanaryList],
    months: Vec<OfMonth>,
}

impl Canaries<'_> {
    /// With the authority's lists, or without any.
    pub(crate) fn new(lists: &[CanaryList]) -> Canaries<'_> {
        Canaries { lists, months: Vec::new() }
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
            (Statement::Receipt(Receipt::Decisions {}), Ok(())) => self.untold(party, round, ledger)?,
            _ => return None,
        };
        let party = Some(ledger.federation().party_name(party));
        Some(Finding { rule, entry: Some(logged.index), party, detail })
    }

    fn told(&mut self, month: Month, outcome: &CanaryOutcome) -> Option<(Rule, String)> {
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
        (other > 0).then(|| (Rule::CanaryOtherwise, format!("{month}: {other} / {all}")))
    }

    /// An owner tells before it says that it has its decisions, or never.
    fn untold(&self, party: Party, round: &Round, ledger: &Ledger) -> Option<(Rule, String)> {
        let month = round.manifest().month;
        // Of several lists the latest that has begun counts.
        let begun = |list: &&CanaryList| list.from() <= month && list.policy() == round.policy().hash;
        let list = self.lists.iter().filter(begun).max_by_key(|list| list.from())?;
        let listed = list.owner(ledger.federation().policy().member_id(party.member))?;
        let told = round.canaries(party.member).filter(|told| told.document == listed.document);
        let pairs = told.map_or(0, |told| told.as_expected.saturating_add(told.deferred).saturating_add(told.other));
        (pairs != listed.pairs).then(|| (Rule::CanaryUntold, format!("{month}: {pairs} / {}", listed.pairs)))
    }
}
