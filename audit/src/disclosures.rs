//! How often departments looked into single suspicions: totals of each owner and matter.

use std::collections::BTreeMap;

use serde::Serialize;
use wugan_protocol::{
    hexes::Digest,
    ledger::{Disclosed, Ledger},
    text::{Language, Say},
    texts,
};

/// Disclosures of one owner at one matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DisclosureTotals {
    /// The owner's id.
    pub owner: String,
    /// The matter's id.
    pub matter: String,
    /// Requests.
    pub requests: u64,
    /// Approvals of these.
    pub approvals: u64,
    /// Requests that were answered.
    pub disclosures: u64,
    /// Requests that the aggregator refused: the row was not suspected, or not the one that was asked about.
    pub refused: u64,
}

impl DisclosureTotals {
    /// The totals in words.
    pub fn text(&self, language: Language) -> String {
        let DisclosureTotals { owner, matter, requests, approvals, disclosures, refused } = self.clone();
        Line::Totals { owner, matter, requests, approvals, disclosures, refused }.said(language)
    }
}

/// The totals of all requests that have an effect, by owner and matter in the policy's order; of one round only, if it is
/// given.
pub fn totals(ledger: &Ledger, round: Option<Digest>) -> Vec<DisclosureTotals> {
    let mut totals = BTreeMap::new();
    for (_, asked) in ledger.requests().filter(|(_, asked)| round.is_none_or(|round| round == asked.round)) {
        let Some(past) = ledger.past_round(asked.round) else { continue };
        let named = past.policy.matters_of(asked.owner).find(|matter| matter.number == asked.statement.matter);
        let matter = named.map(|matter| matter.id.clone()).unwrap_or_default();
        let place = (asked.owner, asked.statement.matter, matter);
        let of: &mut DisclosureTotals = totals.entry(place).or_default();
        of.requests += 1;
        of.approvals += asked.approvals.len() as u64;
        of.disclosures += u64::from(matches!(asked.outcome, Some(Disclosed::Answered { .. })));
        of.refused += u64::from(matches!(asked.outcome, Some(Disclosed::Refused(_))));
    }
    let member = |owner| ledger.federation().policy().member_id(owner).to_owned();
    let named = |((owner, _, matter), totals)| DisclosureTotals { owner: member(owner), matter, ..totals };
    totals.into_iter().map(named).collect()
}

texts! {
    enum Line {
        Totals { owner: String, matter: String, requests: u64, approvals: u64, disclosures: u64, refused: u64 }
            "disclosures of {owner} at {matter}: {requests} requested, {approvals} approvals, {disclosures} answered, {refused} refused"
            "{owner} 在 {matter} 的披露：请求 {requests} 次，批准 {approvals} 次，答复 {disclosures} 次，拒绝 {refused} 次";
    }
}
