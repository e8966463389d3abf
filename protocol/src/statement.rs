//! What the parties state in signed documents: the kinds of log entries.

use serde::{Deserialize, Serialize};

use crate::{
    disclosure::DisclosureReason,
    file::FileKey,
    hexes::{Digest, Hex},
    month::Month,
    party::{MemberNumber, Role},
    policy::{Class, Decision},
    reason::Reason,
};

/// A statement, by its `type`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Statement {
    /// Authority: who the members are.
    FederationManifest(FederationManifest),
    /// Source: a new OPRF key epoch.
    KeyEpoch(KeyEpoch),
    /// Coordinator: a round begins.
    RoundManifest(RoundManifest),
    /// Roster owner: a batch of blinded elements.
    EnrolmentBatch(EnrolmentBatch),
    /// Source: a batch was evaluated.
    Evaluation(Evaluation),
    /// Any member: a file was made and will be sent.
    Announcement(Announcement),
    /// Matcher, aggregator or owner: files lie complete and in order.
    Receipt(Receipt),
    /// Coordinator: receipts of pools end here.
    PoolsClosed {},
    /// Matcher: exactly the channels with a receipt.
    List {
        /// Channel numbers, ascending.
        channels: Vec<u16>,
    },
    /// Coordinator: owners without all receipts are absent.
    RowsClosed {},
    /// Coordinator: one owner's totals.
    Decisions(Totals),
    /// Coordinator: every decision of the round is logged.
    RoundClosed {},
    /// Coordinator: the round is void.
    RoundAbandoned {
        /// Why.
        reason: Reason,
    },
    /// Node: it cannot take part with this channel or roster.
    Failure {
        /// The channel's number; none for the roster.
        channel: Option<u16>,
        /// Why.
        reason: Reason,
    },
    /// Roster owner, before the receipt of its decisions: what was decided about its canaries.
    Canaries(CanaryOutcome),
    /// Any member but the coordinator: the log's tree at a round's end is the one that it has seen grow.
    Cosignature(Cosignature),
    /// Any member: it does not act on an entry or a file.
    Refusal {
        /// Hash of the entry refused (for a file, its announcement).
        entry: Digest,
        /// Why.
        reason: Reason,
    },
    /// Any member: what it kept of a round is deleted for good, its retention time being over.
    Deletion {
        /// What.
        of: Kept,
    },
    /// Roster owner: it asks which records raised one suspicion.
    DisclosureRequest(DisclosureRequest),
    /// Node: its member agrees that a request be answered.
    Approval {
        /// Hash of the requesting entry.
        request: Digest,
    },
    /// Aggregator: it answers a request.
    Disclosure {
        /// Hash of the requesting entry.
        request: Digest,
        /// Salted digest of the answer ([`crate::disclosure::Answer::digest`]).
        answer: Digest,
    },
}

impl Statement {
    /// The `type` of the body, which the signature binds.
    pub fn type_name(&self) -> &'static str {
        match self {
            Statement::FederationManifest(_) => "federation_manifest",
            Statement::KeyEpoch(_) => "key_epoch",
            Statement::RoundManifest(_) => "round_manifest",
            Statement::EnrolmentBatch(_) => "enrolment_batch",
            Statement::Evaluation(_) => "evaluation",
            Statement::Announcement(_) => "announcement",
            Statement::Receipt(_) => "receipt",
            Statement::PoolsClosed {} => "pools_closed",
            Statement::List { .. } => "list",
            Statement::RowsClosed {} => "rows_closed",
            Statement::Decisions(_) => "decisions",
            Statement::RoundClosed {} => "round_closed",
            Statement::RoundAbandoned { .. } => "round_abandoned",
            Statement::Failure { .. } => "failure",
            Statement::Canaries(_) => "canaries",
            Statement::Cosignature(_) => "cosignature",
            Statement::Refusal { .. } => "refusal",
            Statement::Deletion { .. } => "deletion",
            Statement::DisclosureRequest(_) => "disclosure_request",
            Statement::Approval { .. } => "approval",
            Statement::Disclosure { .. } => "disclosure",
        }
    }

    /// The role that may make such a statement; `None` for those that several may.
    pub fn speaker(&self) -> Option<Role> {
        match self {
            Statement::FederationManifest(_) => Some(Role::Authority),
            Statement::KeyEpoch(_)
            | Statement::EnrolmentBatch(_)
            | Statement::Evaluation(_)
            | Statement::Failure { .. }
            | Statement::DisclosureRequest(_)
            | Statement::Approval { .. }
            | Statement::Canaries(_) => Some(Role::Node),
            Statement::List { .. } => Some(Role::Matcher),
            Statement::Disclosure { .. } => Some(Role::Aggregator),
            Statement::RoundManifest(_)
            | Statement::PoolsClosed {}
            | Statement::RowsClosed {}
            | Statement::Decisions(_)
            | Statement::RoundClosed {}
            | Statement::RoundAbandoned { .. } => Some(Role::Coordinator),
            Statement::Announcement(_)
            | Statement::Receipt(_)
            | Statement::Cosignature(_)
            | Statement::Refusal { .. }
            | Statement::Deletion { .. } => None,
        }
    }
}

/// Members, roles, keys and allowances, signed by the authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederationManifest {
    /// From 1, each version one more than that before.
    pub version: u32,
    /// Hash of the canonical body of the version before; empty in the first.
    pub previous: String,
    /// The federation's name.
    pub name: String,
    /// SHA-256 of the exact bytes of `catalogue.toml`.
    pub policy: Digest,
    /// In the order of their numbers: the policy's departments, then the matcher.
    pub members: Vec<Member>,
    /// What each roster owner declares, in the order of their numbers.
    pub owners: Vec<OwnerLimits>,
    /// Members that must cosign a checkpoint.
    pub quorum: u16,
    /// Disclosures that one owner may ask for in a month.
    pub disclosures_per_month: u16,
}

/// A member and its roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id in the policy.
    pub id: String,
    /// Its roles, each with a key of its own.
    pub roles: Vec<RoleKey>,
}

/// One role of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleKey {
    /// The role.
    pub role: Role,
    /// Ed25519 identity key.
    pub key: Hex<32>,
    /// Ed25519 key that signs trees of the log: the coordinator's as the log, all others as cosigners.
    pub log: Hex<32>,
    /// `host:port` where it listens; empty for nodes.
    pub address: String,
}

/// What a roster owner may ask for and deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerLimits {
    /// The owner.
    pub member: MemberNumber,
    /// Distinct people on its rosters.
    pub people: u64,
    /// People who join in a month.
    pub newcomers: u64,
    /// Months that the allowance of a key epoch covers.
    pub months: u64,
    /// Rows allowed for each of its matters, in the policy's order.
    pub rows: Vec<u64>,
}

/// A source's OPRF key for an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEpoch {
    /// From 1, each one more than that before.
    pub epoch: u32,
    /// `K_j`, an encoded ristretto255 element.
    pub key: Hex<32>,
    /// Proof of knowledge of `k_j`.
    pub proof: Hex<64>,
}

/// What opens a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundManifest {
    /// The month that is certified.
    pub month: Month,
    /// The policy's hash.
    pub policy: Digest,
    /// Matter ids, in the policy's order.
    pub matters: Vec<String>,
    /// Every channel, in the policy's order.
    pub channels: Vec<RoundChannel>,
    /// The matcher's member number.
    pub matcher: MemberNumber,
    /// The aggregator's member number.
    pub aggregator: MemberNumber,
    /// Earliest time at which pools may be closed, seconds since 1970 UTC.
    pub pools_close_from: u64,
    /// People not enrolled by then are deferred.
    pub enrolment_until: u64,
    /// The latest time for records and rows.
    pub rows_until: u64,
}

/// A channel as a round uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundChannel {
    /// Its number in the policy.
    pub number: u16,
    /// Its class.
    pub class: Class,
    /// The source's member number.
    pub source: MemberNumber,
    /// The source's key epoch.
    pub epoch: u32,
    /// SHA-256 of the encoded `K_j`.
    pub key: Digest,
}

/// A batch of blinded elements (protocol, section 3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolmentBatch {
    /// The owner's count of batches, from 0.
    pub batch: u64,
    /// Whom it addresses.
    pub sources: Vec<SourceEpoch>,
    /// Elements, padding included: a multiple of 256.
    pub count: u64,
    /// SHA-256 of all blinded elements, 32 bytes each.
    pub elements: Digest,
}

/// A source in one of its key epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceEpoch {
    /// The source's member number.
    pub source: MemberNumber,
    /// Its epoch.
    pub epoch: u32,
}

/// A batch was evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The roster owner.
    pub owner: MemberNumber,
    /// The owner's number of the batch.
    pub batch: u64,
    /// Hash of the owner's signed entry.
    pub entry: Digest,
    /// The source's key epoch.
    pub epoch: u32,
    /// Elements evaluated.
    pub count: u64,
    /// SHA-256 of all evaluated elements and the proof.
    pub answer: Digest,
}

/// A file was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Which file.
    pub file: FileKey,
    /// Its items, rounded up to a multiple of 256.
    pub count: u64,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// Files lie complete with the signer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Receipt {
    /// Matcher: the channel's pools of all groups.
    Pools {
        /// Channel number.
        channel: u16,
    },
    /// Matcher: the owner's records of all channels.
    Records {
        /// The owner's member number.
        owner: MemberNumber,
    },
    /// Aggregator: the owner's row lists of all classes.
    Rows {
        /// The owner's member number.
        owner: MemberNumber,
    },
    /// Roster owner: its decisions.
    Decisions {},
}

/// What was decided about an owner's canaries: pairs of a canary and a matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryOutcome {
    /// SHA-256 of the file in which the authority issued them.
    pub document: Digest,
    /// Decided as the authority says.
    pub as_expected: u64,
    /// Deferred, because something was missing or the canary was not enrolled in time: not judged.
    pub deferred: u64,
    /// Decided otherwise.
    pub other: u64,
}

/// A member's signature over the log's tree right after a round was closed (C2SP tlog-cosignature v1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cosignature {
    /// Entries of the tree.
    pub size: u64,
    /// By the member's log key, over `cosignature/v1`, the entry's time and the checkpoint's text.
    pub signature: Hex<64>,
}

/// One owner's totals, told so that no single person shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// The owner.
    pub owner: MemberNumber,
    /// Digest of the decisions file, which begins with 32 random bytes.
    pub digest: Digest,
    /// For each of its matters, in the policy's order.
    pub matters: Vec<MatterTotals>,
}

/// Counts of one matter: rounded to 5; below 8 not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatterTotals {
    /// The matter's number.
    pub matter: u16,
    /// The counts that are told.
    pub counts: Vec<DecisionCount>,
}

/// A count of one decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionCount {
    /// Which.
    pub decision: Decision,
    /// About how many; `None` when fewer than 8.
    pub about: Option<u64>,
}

/// A request for disclosure: of one `suspected` row of a round that counted, for one negative class of the rule that fired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisclosureRequest {
    /// The matter's number.
    pub matter: u16,
    /// The negative class whose records are asked for.
    pub class: Class,
    /// Salted digest of the row ([`crate::disclosure::Opening::digest`]).
    pub row: Digest,
    /// Why.
    pub reason: DisclosureReason,
    /// Salted digest of a free text that stays with its author ([`crate::disclosure::note_digest`]).
    pub note: Digest,
}

/// What a member keeps of a round until its retention time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Node, matcher, aggregator: every file of the round, the seed, and the people behind them.
    Files,
    /// Coordinator: the signal bits, and the seed of the decisions files' first bytes.
    Bits,
    /// Coordinator: the decisions.
    Decisions,
    /// Roster owner: the enrolment batches that were made for the round, and the answers to them.
    Batches,
    /// Source: the answers that it gave to enrolment batches while the round was the last.
    Answers,
}

impl Kept {
    /// Whether members in this role keep it.
    pub fn is_kept_by(self, role: Role) -> bool {
        match self {
            Kept::Files => matches!(role, Role::Node | Role::Matcher | Role::Aggregator),
            Kept::Bits | Kept::Decisions => role == Role::Coordinator,
            Kept::Batches | Kept::Answers => role == Role::Node,
        }
    }
}
