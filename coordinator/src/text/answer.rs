//! Answers to the staff's requests, in words.

use wugan_protocol::text::{Language, Say, clock};

use super::{Text, list};
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
        let list = |names: &[String]| list(language, names);
        let text = match self {
            Done::Opened { month, pools_close_from, enrolment_until, rows_until } => {
                let [pools, enrolment, rows] = [pools_close_from, enrolment_until, rows_until].map(|time| clock(*time));
                Text::Opened { month: *month, pools, enrolment, rows }
            }
            Done::PoolsClosed { missing } if missing.is_empty() => Text::PoolsClosed,
            Done::PoolsClosed { missing } => Text::PoolsClosedMissing { missing: channels(language, missing) },
            Done::RowsClosed { absent } if absent.is_empty() => Text::RowsClosed,
            Done::RowsClosed { absent } => Text::RowsClosedAbsent { absent: list(absent) },
            Done::RoundClosed { undecided } if undecided.is_empty() => Text::RoundClosed,
            Done::RoundClosed { undecided } => Text::RoundClosedWithout { undecided: list(undecided) },
            Done::Adopted { version } => Text::Adopted { version: *version },
            Done::Abandoned { month } => Text::AbandonedDone { month: *month },
        };
        text.said(language)
    }
}

impl Refusal {
    fn text(&self, language: Language) -> String {
        let list = |names: &[String]| list(language, names);
        let text = match self {
            Refusal::Unreadable {} => Text::Unreadable,
            Refusal::NoWitness {} => Text::NoWitness,
            Refusal::RoundOpen { month } => Text::RoundOpen { month: *month },
            Refusal::NoRound {} => Text::NoRound,
            Refusal::MonthNotLater { counted } => Text::MonthNotLater { month: *counted },
            Refusal::TooSoon { from, days } => Text::TooSoon { from: clock(*from), days: *days },
            Refusal::KeysMissing { departments } => Text::KeysMissing { departments: list(departments) },
            Refusal::Times { seconds_max } => Text::Times { days: seconds_max / 86_400 },
            Refusal::CloseTooEarly { from } => Text::CloseTooEarly { from: clock(*from) },
            Refusal::TooManyMissing { missing_max, needed, missing } => {
                let missing = channels(language, missing);
                match needed.as_slice() {
                    [] => Text::TooManyMissing { most: *missing_max, missing },
                    needed => Text::Needed { needed: list(needed), missing },
                }
            }
            Refusal::AwaitsList {} => Text::AwaitsList,
            Refusal::OwnersIncomplete { owners, until } => {
                Text::OwnersIncomplete { owners: list(owners), until: clock(*until) }
            }
            Refusal::OwnersUndecided { owners, until } => {
                Text::OwnersUndecided { owners: list(owners), until: clock(*until) }
            }
            Refusal::ListLogged {} => Text::ListLogged,
            Refusal::Undelivered { owners } => Text::Undelivered { owners: list(owners) },
            Refusal::AwaitsCosigners { cosigned, quorum, until } => {
                Text::AwaitsCosigners { cosigned: *cosigned, quorum: *quorum, until: clock(*until) }
            }
            Refusal::NoVersion { version } => Text::NoVersion { version: *version },
            Refusal::Rule { reason } => Text::Rule { reason: *reason },
        };
        text.said(language)
    }
}

/// `tax (invoices, filings), water (metering)`.
fn channels(language: Language, missing: &[Channels]) -> String {
    let one = |missing: &Channels| format!("{} ({})", missing.department, list(language, &missing.channels));
    list(language, missing.iter().map(one))
}
