//! What a node's database says of enrolment.

use std::{collections::BTreeMap, path::Path};

use wugan_protocol::{
    at_rest::{SETTLED, Settled},
    codec,
    party::MemberNumber,
};

use crate::database;

/// When each source had settled each batch, by the node's clock, seconds since 1970 UTC.
pub(super) type SettledAt = BTreeMap<(u64, MemberNumber), u64>;

/// Reads when batches were settled.
///
/// # Errors
/// SQLite's.
pub(super) fn settled(home: &Path) -> rusqlite::Result<SettledAt> {
    let database = database::open(home)?;
    let mut facts = database.prepare("SELECT value FROM facts WHERE name LIKE ?1 || '/%'")?;
    let values = facts.query_map([SETTLED], |row| row.get::<_, Vec<u8>>(0))?;
    let settled = values.map(|value| Ok(codec::decode::<Settled>(&value?).ok()));
    settled.filter_map(rusqlite::Result::transpose).collect()
}
