//! What crosses the wire between connected parties, besides files.

use serde::{Deserialize, Serialize};

/// A message on the control stream. Signed entries travel as their canonical bytes (see `envelope`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Member to coordinator, after connecting: "I hold this many entries of the log, go on from there."
    Follow {
        /// Entries held, so also the index of the next one wanted.
        entries: u64,
    },
    /// Coordinator to member: consecutive entries of the log.
    Entries {
        /// Index of the first, from 0.
        first: u64,
        /// Canonical bytes of each entry.
        lines: Vec<Vec<u8>>,
    },
    /// Member to coordinator: an entry of its own to append.
    Submit {
        /// Canonical bytes of the signed entry.
        line: Vec<u8>,
    },
    /// Roster owner to sources, relayed by the coordinator.
    Batch {
        /// The owner's signed `enrolment_batch` entry.
        line: Vec<u8>,
        /// Blinded elements, padding last.
        blinded: Vec<[u8; 32]>,
    },
    /// Source to roster owner, relayed by the coordinator.
    Answer {
        /// The source's signed `evaluation` entry.
        line: Vec<u8>,
        /// Evaluated elements, in the order of the batch.
        evaluated: Vec<[u8; 32]>,
        /// The batch's proof, two scalars.
        proof: [[u8; 32]; 2],
    },
}

/// What the receiver of a file answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileReply {
    /// The bytes are on disk under their final name.
    Kept,
    /// Not wanted or not as announced; a code of the closed list of reasons.
    Refused(u16),
}
