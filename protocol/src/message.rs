//! What crosses the wire between connected parties, besides files.
//!
//! Whatever is not an entry itself is bound by one: blinded and evaluated elements by the digests in the signed,
//! logged `enrolment_batch` and `evaluation`, which the log shows to their receiver before they arrive.

use serde::{Deserialize, Serialize};

use crate::{
    disclosure::{Answer, Opening},
    party::MemberNumber,
};

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
    /// Coordinator to roster owners: the nodes that are connected, ascending, and what its clock shows: the times in a
    /// round manifest are by that clock.
    Online {
        /// Seconds since 1970 UTC.
        time: u64,
        /// Their member numbers.
        nodes: Vec<MemberNumber>,
    },
    /// Roster owner to coordinator, which relays it to the sources named that are connected.
    Batch {
        /// The owner.
        owner: MemberNumber,
        /// The owner's number of the batch.
        batch: u64,
        /// Sources whose answer the owner lacks.
        sources: Vec<MemberNumber>,
        /// Blinded elements, padding last.
        blinded: Vec<[u8; 32]>,
    },
    /// Source to coordinator, which relays it to the owner.
    Answer {
        /// The owner.
        owner: MemberNumber,
        /// The owner's number of the batch.
        batch: u64,
        /// The source.
        source: MemberNumber,
        /// Evaluated elements, in the order of the batch.
        evaluated: Vec<[u8; 32]>,
        /// The batch's proof, two scalars.
        proof: [[u8; 32]; 2],
    },
    /// Coordinator to member: the signed tree of all entries sent before; they count only now.
    Checkpoint {
        /// The checkpoint's signed note.
        note: Vec<u8>,
    },
    /// Roster owner to aggregator, once its request for disclosure is approved: the row that it is about.
    Question {
        /// Hash of the requesting entry.
        request: [u8; 32],
        /// The row.
        opening: Opening,
    },
    /// Aggregator to roster owner.
    Disclosed {
        /// Hash of the requesting entry.
        request: [u8; 32],
        /// What is disclosed.
        reply: DisclosureReply,
    },
}

/// What the aggregator replies to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DisclosureReply {
    /// What the log announces as its disclosure.
    Told(Answer),
    /// Not now, or not at all; a code of the closed list of reasons.
    Refused(u16),
}

/// What the receiver of a file answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileReply {
    /// The bytes are on disk under their final name.
    Kept,
    /// Not wanted or not as announced; a code of the closed list of reasons.
    Refused(u16),
}
