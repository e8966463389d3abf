//! The admin interface of a node: requests and answers, one JSON object a line. An answer holds no text: whoever shows it
//! says it in the reader's language (`text.rs` has the words). No answer holds an ID number.

use serde::{Deserialize, Serialize};
use wugan_protocol::{
    disclosure::DisclosureReason,
    hexes::Digest,
    month::Month,
    policy::{Class, Decision},
    reason::Reason,
};

/// Asks a running node.
pub type Client = wugan_transport::client::Client<Request, Response>;

/// What the department's staff asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Asks the members which records raised a suspicion.
    Disclose {
        /// The month of the round.
        month: Month,
        /// The person's ID number, in any form that a table may have.
        person: Private,
        /// The matter's id.
        matter: String,
        /// Why.
        reason: DisclosureReason,
        /// Why, in words that stay with this department.
        note: Private,
    },
    /// Lists requests: those that are open, and this department's own.
    Requests {},
    /// Approves a request of another department.
    Approve {
        /// Hash of the requesting entry.
        request: Digest,
    },
}

impl Request {
    /// Reads one line.
    ///
    /// # Errors
    /// Why it is no request; the refusal holds nothing of the line.
    pub fn read(line: &[u8]) -> Result<Request, Response> {
        serde_json::from_slice(line).map_err(|_| Response::Refused { refusal: Refusal::Unreadable {} })
    }
}

/// What nobody but this department's staff may read: it is in no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Private(pub String);

impl std::fmt::Debug for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Private(redacted)")
    }
}

/// What the node answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Response {
    /// The request is on its way to the log.
    Asked {
        /// Hash of the requesting entry.
        request: Digest,
        /// The month of the round.
        month: Month,
        /// How many requests this department may still make in this calendar month.
        left: u64,
    },
    /// The approval is on its way to the log.
    Approved {
        /// Hash of the requesting entry.
        request: Digest,
    },
    /// Requests, the earliest first.
    Requests {
        /// In full.
        requests: Vec<Listed>,
    },
    /// It was not done; nothing changed.
    Refused {
        /// Why.
        refusal: Refusal,
    },
}

impl Response {
    /// The line, without its line feed.
    pub fn line(&self) -> String {
        // Every type here is a struct, an enum with a tag, text or a number, which always can be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A request as the log shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Hash of the requesting entry.
    pub request: Digest,
    /// Who asks.
    pub owner: Name,
    /// Whether that is this department.
    pub own: bool,
    /// The matter.
    pub matter: Name,
    /// The month of the round.
    pub month: Month,
    /// The class of records that raised the suspicion.
    pub class: Class,
    /// Why it was asked.
    pub reason: DisclosureReason,
    /// When, seconds since 1970 UTC.
    pub time: u64,
    /// Who approved it.
    pub approvals: Vec<Name>,
    /// How far it is.
    pub state: State,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// It lacks approvals.
    Open {
        /// How many.
        lacking: u64,
    },
    /// The aggregator has not answered yet.
    Approved {},
    /// The aggregator answered; this department has not written it down, or is not the one that asked.
    Answered {},
    /// The answer is in the department's folder.
    Written {},
    /// The aggregator refused.
    Refused {
        /// Why.
        reason: Reason,
    },
    /// What it is about is deleted.
    Deleted {},
}

/// A department or a matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// Its id in the policy.
    pub id: String,
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Refusal {
    /// The line is no request.
    Unreadable {},
    /// This department pays no benefit.
    NotAnOwner {},
    /// The matter is none of this department's.
    OtherMatter {
        /// Those that are.
        own: Vec<String>,
    },
    /// The log has no round of the month that counts.
    NoRound {},
    /// The round of the month is not closed yet.
    RoundOpen {},
    /// The retention time is over: nobody has the files any more.
    RetentionOver {},
    /// This department has no decisions of the month, or not yet.
    NoDecisions {},
    /// Not an ID number.
    NotAPerson {},
    /// The person had no row at the matter in the month.
    UnknownPerson {},
    /// The decision is another one.
    NotSuspected {
        /// Which.
        decision: Decision,
    },
    /// The rule that fired does not look at negative records.
    NoNegativeClass {},
    /// The month's requests are used up.
    Limit {
        /// How many there are.
        most: u64,
        /// The calendar month.
        month: Month,
    },
    /// This department has asked about this person, matter and month: the answer would be the same.
    AskedBefore {},
    /// Another request is being looked up.
    Busy {},
    /// The note is empty, or too long.
    Note {
        /// The bytes that it may have.
        bytes_max: u64,
    },
    /// The files of the round cannot be read.
    Files {
        /// Why, in English.
        error: String,
    },
    /// The log shows no such request.
    UnknownRequest {},
    /// A department does not approve its own request.
    OwnRequest {},
    /// The coordinator's bureau does not approve.
    Bureau {},
    /// This department has approved it.
    ApprovedBefore {},
    /// It was answered or refused.
    Ended {},
    /// Another rule of the log.
    Rule {
        /// Which.
        reason: Reason,
    },
}
