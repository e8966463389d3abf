//! The admin interface: requests and responses, one JSON object a line. A response holds no text: whoever shows it says
//! it in the reader's language (see the crate's catalogue of texts).

use serde::{Deserialize, Serialize};
use wugan_protocol::{month::Month, reason::Reason};

use crate::status::Status;

/// Asks a running coordinator.
pub type Client = wugan_transport::client::Client<Request, Response>;

/// What the coordinator's staff asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Opens a month's round. Times count from now, in seconds.
    Open {
        /// The month that is certified.
        month: Month,
        /// Until pools may be closed.
        close_after_s: u64,
        /// Until people not enrolled are deferred.
        enrolment_s: u64,
        /// Until the latest time for records and rows.
        rows_s: u64,
    },
    /// How things stand.
    Status {},
    /// Closes what is open: the pools, then the rows.
    Close {},
    /// Makes the open round void, so that the month can be opened anew.
    Abandon {},
    /// Puts the next version of the federation manifest into the log, from when on it is in force.
    Adopt {},
}

impl Request {
    /// Reads one line.
    ///
    /// # Errors
    /// Why it is no request; the text holds nothing of the line.
    pub fn read(line: &[u8]) -> Result<Request, Response> {
        serde_json::from_slice(line).map_err(|_| Response::Refused { refusal: Refusal::Unreadable {} })
    }
}

/// What the coordinator answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Response {
    /// It was done, and is in the log.
    Done {
        /// What was done.
        done: Done,
    },
    /// It was not done; nothing changed.
    Refused {
        /// Why, with what the staff needs to know to go on.
        refusal: Refusal,
    },
    /// How things stand.
    Status {
        /// In full.
        status: Box<Status>,
    },
}

impl Response {
    /// The line, without its line feed.
    pub fn line(&self) -> String {
        // Every type here is a struct, an enum with a tag, text or a number, which always can be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What was done. Times are seconds since 1970 UTC, names are ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Done {
    /// A round is open.
    Opened {
        /// Its month.
        month: Month,
        /// Earliest time at which pools may be closed.
        pools_close_from: u64,
        /// People not enrolled by then are deferred.
        enrolment_until: u64,
        /// The latest time for records and rows.
        rows_until: u64,
    },
    /// Pools are closed.
    PoolsClosed {
        /// What misses the month.
        missing: Vec<Channels>,
    },
    /// Rows are closed.
    RowsClosed {
        /// Owners whose people wait for the next month.
        absent: Vec<String>,
    },
    /// The round is closed.
    RoundClosed {
        /// Owners for which there are no decisions this month.
        undecided: Vec<String>,
    },
    /// The round is void.
    Abandoned {
        /// Its month.
        month: Month,
    },
    /// A version of the federation manifest is in force.
    Adopted {
        /// Its number.
        version: u32,
    },
}

/// Why a request was not done. Times are seconds since 1970 UTC, names are ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Refusal {
    /// The line is no request.
    Unreadable {},
    /// The program has just started and no member has shown yet that this log is the latest.
    NoWitness {},
    /// Another round is open.
    RoundOpen {
        /// Its month.
        month: Month,
    },
    /// No round is open.
    NoRound {},
    /// The month is not later than the last one that counted.
    MonthNotLater {
        /// That month.
        counted: Month,
    },
    /// Too soon after the last counted round.
    TooSoon {
        /// From when on it may be opened.
        from: u64,
        /// Days that the policy asks for.
        days: u64,
    },
    /// Sources that have announced no key.
    KeysMissing {
        /// Which.
        departments: Vec<String>,
    },
    /// The times are not in order, or too far away.
    Times {
        /// Seconds that a round may take.
        seconds_max: u64,
    },
    /// Pools may not be closed yet.
    CloseTooEarly {
        /// From when on.
        from: u64,
    },
    /// Too many departments are missing.
    TooManyMissing {
        /// How many may be.
        missing_max: u64,
        /// Departments that may not be missing at all, and are.
        needed: Vec<String>,
        /// Which channels have no receipt.
        missing: Vec<Channels>,
    },
    /// The matcher has not signed the list.
    AwaitsList {},
    /// Owners have announced files that are not all received, and there is still time.
    OwnersIncomplete {
        /// Which.
        owners: Vec<String>,
        /// The latest time for records and rows.
        until: u64,
    },
    /// Rows are closed; the round ends by itself when these owners are decided, and without them only after the latest
    /// time.
    OwnersUndecided {
        /// Which.
        owners: Vec<String>,
        /// The latest time for records and rows.
        until: u64,
    },
    /// The list is logged: the month counts.
    ListLogged {},
    /// Owners whose roster ends with the next version, and who have not received their last decisions.
    Undelivered {
        /// Which.
        owners: Vec<String>,
    },
    /// Too few members have cosigned the last round's end.
    AwaitsCosigners {
        /// How many have.
        cosigned: u64,
        /// How many must.
        quorum: u64,
        /// From when on they are not waited for.
        until: u64,
    },
    /// No version of the federation manifest after the one in force is known here.
    NoVersion {
        /// The one in force.
        version: u32,
    },
    /// Another rule of the log.
    Rule {
        /// Which.
        reason: Reason,
    },
}

/// Channels of a department.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channels {
    /// The department's id.
    pub department: String,
    /// The channels' ids.
    pub channels: Vec<String>,
}
