//! Disclosure: which records raised one suspicion (protocol, section 4.5). The log shows who asked why and who approved, and
//! of row, note and answer salted digests only; here is what these are over.

use serde::{Deserialize, Serialize};

use crate::hexes::{Digest, sha256};

crate::texts! {
    /// Why an owner asks: the closed list of which the log names one.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum DisclosureReason {
        /// The person objects to the suspicion.
        Objection "the person objects to the suspicion" "当事人对疑似认定提出异议";
        /// Nobody could find out in person.
        NotVerified "the suspicion could not be verified in person" "疑似情形无法当面核实";
        /// A source's record is probably another person's, or out of date.
        Correction "a source's record seems wrong and is to be corrected" "来源部门的记录疑似有误，需要更正";
        /// A court, a prosecutor, or a supervising body.
        Proceedings "a court or a supervising body asks for it" "法院或监督机关依法要求提供";
    }
}

impl DisclosureReason {
    /// All reasons.
    pub const ALL: [DisclosureReason; 4] = [
        DisclosureReason::Objection,
        DisclosureReason::NotVerified,
        DisclosureReason::Correction,
        DisclosureReason::Proceedings,
    ];

    /// The code used in the log and on command lines.
    pub fn code(self) -> &'static str {
        match self {
            DisclosureReason::Objection => "objection",
            DisclosureReason::NotVerified => "not_verified",
            DisclosureReason::Correction => "correction",
            DisclosureReason::Proceedings => "proceedings",
        }
    }
}

impl std::str::FromStr for DisclosureReason {
    type Err = NotAReason;
    fn from_str(text: &str) -> Result<Self, NotAReason> {
        DisclosureReason::ALL.into_iter().find(|reason| reason.code() == text).ok_or(NotAReason)
    }
}

/// Not a code of the closed list.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not one of objection, not_verified, correction, proceedings")]
pub struct NotAReason;

/// Which row a request is about: only its owner and, after the approvals, the aggregator see it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// 32 fresh random bytes.
    pub salt: [u8; 32],
    /// The row.
    pub row: u32,
}

impl Opening {
    /// What the request shows of the row of a round.
    pub fn digest(&self, round: Digest) -> Digest {
        sha256(&[&self.salt[..], &round.0, &self.row.to_le_bytes()].concat())
    }
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opening(redacted)")
    }
}

/// What the aggregator tells: the records of one class, by their handles, that were met for one row.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Derived from the aggregator's seed of the round, so that the answer to a request is always the same.
    pub salt: [u8; 32],
    /// Handles, ascending.
    pub handles: Vec<u32>,
}

impl Answer {
    /// What the log shows of the answer to a request.
    pub fn digest(&self, request: Digest) -> Digest {
        let handles = self.handles.iter().flat_map(|handle| handle.to_le_bytes());
        sha256(&self.salt.into_iter().chain(request.0).chain(handles).collect::<Vec<u8>>())
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer(redacted)")
    }
}

/// What a request shows of the free text that stays with its author; `salt` is 32 fresh random bytes.
pub fn note_digest(salt: &[u8; 32], text: &str) -> Digest {
    sha256(&[&salt[..], text.as_bytes()].concat())
}
