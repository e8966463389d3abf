//! Times of entries: nobody's entry may come from the future, by the coordinator's later entries or by the auditor's clock.

use wugan_protocol::{
    ledger::{Ledger, Logged},
    limits::CLOCKS_APART_SECONDS_MAX,
    party::Role,
    statement::Statement,
    text::clock,
    texts,
};

use crate::{
    detail::Detail,
    finding::{Finding, Rule},
};

/// Follows the times of a log. Manifests and announcements of keys are signed by a command, wherever and whenever a person
/// runs it: no node's clock stands in them, and nothing waits for their time.
#[derive(Debug, Default)]
pub(super) struct Times(Vec<Time>);

#[derive(Debug)]
struct Time {
    entry: u64,
    party: String,
    coordinator: bool,
    time: u64,
}

impl Times {
    pub(super) fn take(&mut self, logged: &Logged, ledger: &Ledger) {
        let by_command = matches!(logged.signed.body().statement, Statement::KeyEpoch(_));
        let Some(party) = logged.party.filter(|_| !by_command) else { return };
        let (coordinator, time) = (party.role == Role::Coordinator, logged.signed.body().head.time);
        self.0.push(Time { entry: logged.index, party: ledger.federation().party_name(party), coordinator, time });
    }

    /// The entries that come from the future, in order.
    pub(super) fn findings(&self, now: Option<u64>) -> Vec<Finding> {
        let mut earliest: Option<&Time> = None;
        let mut findings = Vec::new();
        for of in self.0.iter().rev() {
            let after = |time: u64| of.time > time.saturating_add(CLOCKS_APART_SECONDS_MAX);
            let why = match (earliest.filter(|later| after(later.time)), now.filter(|now| after(*now))) {
                (Some(later), _) => {
                    let words = Late::Later { time: clock(of.time), entry: later.entry, then: clock(later.time) };
                    Some((words, Some(later.entry)))
                }
                (None, Some(now)) => Some((Late::Now { time: clock(of.time), now: clock(now) }, None)),
                (None, None) => None,
            };
            findings.extend(why.map(|(words, shown_by)| {
                let (entry, party) = (Some(of.entry), Some(of.party.clone()));
                Finding { shown_by, ..Finding::new(Rule::Clock, entry, party, Detail::of(&words)) }
            }));
            if of.coordinator && earliest.is_none_or(|earliest| of.time < earliest.time) {
                earliest = Some(of);
            }
        }
        findings.reverse();
        findings
    }
}

texts! {
    /// Why a time cannot be.
    enum Late {
        Later { time: String, entry: u64, then: String }
            "its time is {time}; the coordinator's later entry {entry} is of {then}"
            "其时间为 {time}，而协调方在后的条目 {entry} 为 {then}";
        Now { time: String, now: String }
            "its time is {time}; now it is {now}"
            "其时间为 {time}，而现在是 {now}";
    }
}

#[cfg(test)]
mod tests {
    use wugan_protocol::text::{Language, Say as _};

    use super::*;

    fn found(times: &[(bool, u64)], now: Option<u64>) -> Vec<u64> {
        let times = (0..).zip(times).map(|(entry, (coordinator, time))| {
            let (coordinator, time) = (*coordinator, *time);
            Time { entry, party: "tax/node".into(), coordinator, time }
        });
        Times(times.collect()).findings(now).iter().filter_map(|finding| finding.entry).collect()
    }

    #[test]
    fn entries_of_the_future_are_found_and_clocks_may_be_a_quarter_of_an_hour_apart() {
        let log = [(true, 10_000), (false, 10_901), (false, 10_900), (true, 10_000), (false, 20_000)];
        assert_eq!(found(&log, None), [1], "nothing of the coordinator follows the last one");
        assert_eq!(found(&log, Some(19_100)), [1]);
        assert_eq!(found(&log, Some(19_099)), [1, 4]);
        assert_eq!(found(&[(true, 50_000), (true, 10_000)], None), [0], "the coordinator's own too");
    }

    #[test]
    fn a_time_is_told_beside_the_one_that_shows_it() {
        let times = Times(vec![Time { entry: 7, party: "tax/node".into(), coordinator: false, time: 1_793_462_400 }]);
        let text = times.findings(Some(0))[0].text(Language::English);
        assert!(text.starts_with("entry 7, tax/node, its time is 2026-11-01 00:00; now it is 1970"), "{text}");
        assert!(!Late::Now { time: String::new(), now: String::new() }.said(Language::Chinese).is_empty());
    }
}
