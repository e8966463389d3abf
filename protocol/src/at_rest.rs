//! What a node keeps, by name and layout: for the node itself, and for the auditor who reads it on the spot. None of it
//! is ever sent.
//!
//! Each of these files is sealed under the key of its folder's name:
//!
//! | folder | file | content |
//! |---|---|---|
//! | `sealed` | [`seed`] | the 32 bytes of the round's seed |
//! | | [`people`] | the people of a channel: ascending, each once |
//! | | [`snapshot`] | person, place of the matter among the owner's (u16): ascending, each pair once |
//! | | [`canaries`] | 32 bytes, the digest of the authority's file, then for each canary on the rosters a row as in the snapshot and the expected decision (u8) |
//! | | [`row_map`] | person, place of the matter (u16), row (u32): ascending |
//! | `cache` | [`cache_prefix`] and a number of 12 digits | person, matching key (32 bytes): ascending; several files hold a source's epoch |
//! | `batches` | [`batch`] | a seed of 32 bytes, then the people of an enrolment batch |
//!
//! A person takes 8 bytes (see [`PersonId::to_u64`](crate::person::PersonId::to_u64)). Integers are big-endian here, so
//! that items sort as their bytes do.
//!
//! Beside them, `state.sqlite` has a table `facts` of names and values, of which an auditor reads [`settled`].

use crate::{hexes::Digest, party::MemberNumber, statement::SourceEpoch};

/// Folder of what belongs to one round.
pub const SEALED: &str = "sealed";

/// Folder of matching keys.
pub const CACHE: &str = "cache";

/// Folder of enrolment batches.
pub const BATCHES: &str = "batches";

/// Bytes of a person.
pub const PERSON_BYTES: usize = 8;

/// Bytes of a row of a roster snapshot.
pub const SNAPSHOT_ROW_BYTES: usize = PERSON_BYTES + 2;

/// Bytes of a row of a row map.
pub const ROW_MAP_ROW_BYTES: usize = PERSON_BYTES + 6;

/// Bytes of a person and its matching key.
pub const CACHE_ENTRY_BYTES: usize = PERSON_BYTES + 32;

/// The file of a round's seed.
pub fn seed(round: Digest) -> String {
    format!("seed-{round}")
}

/// The file of the people behind a channel's pools.
pub fn people(round: Digest, channel: u16) -> String {
    format!("people-{round}-{channel}")
}

/// The file of a roster snapshot.
pub fn snapshot(round: Digest) -> String {
    format!("snapshot-{round}")
}

/// The file of the canaries on the rosters, where there are any.
pub fn canaries(round: Digest) -> String {
    format!("canaries-{round}")
}

/// The file of a row map.
pub fn row_map(round: Digest) -> String {
    format!("rows-{round}")
}

/// With what the names of the files begin that hold a source's matching keys of an epoch.
pub fn cache_prefix(source: SourceEpoch) -> String {
    format!("{}-{}-", source.source, source.epoch)
}

/// The file of an enrolment batch.
pub fn batch(number: u64) -> String {
    format!("{number:010}")
}

/// The database of facts.
pub const DATABASE: &str = "state.sqlite";

/// The fact that a source need not be awaited any more for an enrolment batch: its answer was stored, or it refused. The
/// value is a [`Settled`] as [`codec`](crate::codec) writes it.
pub fn settled(batch: u64, source: MemberNumber) -> String {
    format!("{SETTLED}/{batch}/{source}")
}

/// With what the names of [`settled`] begin, before a `/`.
pub const SETTLED: &str = "settled";

/// Batch and source, and when, by the node's clock, seconds since 1970 UTC.
pub type Settled = ((u64, MemberNumber), u64);
