//! Answers to the staff's requests, in words.

use super::{Language, Text, clock, list, reason, say};
use crate::admin::{Channels, Done, Refusal, Response};

impl Response {
    /// The answer in words: what was done, or why not and what to do next.
    pub fn text(&self, language: Language) -> String {
        match self {
            Response::Done { done } => done.text(language),
            Response::Refused { refusal } => refusal.text(language),
            Response::Status { status } => status.text(language),
        }
    }
}

impl Done {
    fn text(&self, language: Language) -> String {
        let say = |text, parts: &[&dyn std::fmt::Display]| say(language, text, parts);
        match self {
            Done::Opened { month, pools_close_from, enrolment_until, rows_until } => {
                let [pools, enrolment, rows] = [pools_close_from, enrolment_until, rows_until].map(|time| clock(*time));
                say(Text::Opened, &[month, &pools, &enrolment, &rows])
            }
            Done::PoolsClosed { missing } if missing.is_empty() => say(Text::PoolsClosed, &[]),
            Done::PoolsClosed { missing } => say(Text::PoolsClosedMissing, &[&channels(language, missing)]),
            Done::RowsClosed { absent } if absent.is_empty() => say(Text::RowsClosed, &[]),
            Done::RowsClosed { absent } => say(Text::RowsClosedAbsent, &[&list(language, absent)]),
            Done::RoundClosed { undecided } if undecided.is_empty() => say(Text::RoundClosed, &[]),
            Done::RoundClosed { undecided } => say(Text::RoundClosedWithout, &[&list(language, undecided)]),
            Done::Abandoned { month } => say(Text::AbandonedDone, &[month]),
        }
    }
}

impl Refusal {
    fn text(&self, language: Language) -> String {
        let say = |text, parts: &[&dyn std::fmt::Display]| say(language, text, parts);
        match self {
            Refusal::Unreadable {} => say(Text::Unreadable, &[]),
            Refusal::NoWitness {} => say(Text::NoWitness, &[]),
            Refusal::RoundOpen { month } => say(Text::RoundOpen, &[month]),
            Refusal::NoRound {} => say(Text::NoRound, &[]),
            Refusal::MonthNotLater { counted } => say(Text::MonthNotLater, &[counted]),
            Refusal::TooSoon { from, days } => say(Text::TooSoon, &[&clock(*from), days]),
            Refusal::KeysMissing { departments } => say(Text::KeysMissing, &[&list(language, departments)]),
            Refusal::Times { seconds_max } => say(Text::Times, &[&(seconds_max / 86_400)]),
            Refusal::CloseTooEarly { from } => say(Text::CloseTooEarly, &[&clock(*from)]),
            Refusal::TooManyMissing { missing_max, needed, missing } => {
                let missing = channels(language, missing);
                match needed.as_slice() {
                    [] => say(Text::TooManyMissing, &[missing_max, &missing]),
                    needed => say(Text::Needed, &[&list(language, needed), &missing]),
                }
            }
            Refusal::AwaitsList {} => say(Text::AwaitsList, &[]),
            Refusal::OwnersIncomplete { owners, until } => {
                say(Text::OwnersIncomplete, &[&list(language, owners), &clock(*until)])
            }
            Refusal::OwnersUndecided { owners, until } => {
                say(Text::OwnersUndecided, &[&list(language, owners), &clock(*until)])
            }
            Refusal::ListLogged {} => say(Text::ListLogged, &[]),
            Refusal::Rule { reason: rule } => say(Text::Rule, &[&reason(language, *rule)]),
        }
    }
}

/// `tax (invoices, filings), water (metering)`.
fn channels(language: Language, missing: &[Channels]) -> String {
    let one = |missing: &Channels| format!("{} ({})", missing.department, list(language, &missing.channels));
    list(language, missing.iter().map(one))
}
