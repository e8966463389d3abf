//! What a node's database says of enrolment. It is read only, and left as it is.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, OpenFlags};
use wugan_protocol::{
    at_rest::{SETTLED, Settled},
    codec,
    party::MemberNumber,
};

/// When each source had settled each batch, by the node's clock, seconds since 1970 UTC.
pub(super) type SettledAt = BTreeMap<(u64, MemberNumber), u64>;

/// Reads when batches were settled.
///
/// # Errors
/// SQLite's.
pub(super) fn settled(database: &Path) -> rusqlite::Result<SettledAt> {
    // Without a write-ahead log nobody writes, and the file can be read where nothing else may be made beside it.
    let wal = database.with_extension("sqlite-wal").exists();
    let name = database.display().to_string().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let uri = format!("file:{name}{}", if wal { "" } else { "?immutable=1" });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let database = Connection::open_with_flags(uri, flags)?;
    let mut facts = database.prepare("SELECT value FROM facts WHERE name LIKE ?1 || '/%'")?;
    let values = facts.query_map([SETTLED], |row| row.get::<_, Vec<u8>>(0))?;
    let settled = values.map(|value| Ok(codec::decode::<Settled>(&value?).ok()));
    settled.filter_map(rusqlite::Result::transpose).collect()
}
