//! What a party's database says. It is read only, and left as it is.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use wugan_protocol::{
    at_rest::DATABASE,
    envelope::Unverified,
    member::{CHECKPOINT, CONTRADICTION},
};

/// A party's copy of the log.
#[derive(Debug)]
pub(crate) struct Copy {
    /// Its entries, in order.
    pub(crate) lines: Vec<Vec<u8>>,
    /// The checkpoint up to which it believes them.
    pub(crate) checkpoint: Option<Vec<u8>>,
    /// A note of the coordinator's that contradicted what the member was shown.
    pub(crate) contradiction: Option<Vec<u8>>,
}

/// Where the database of a state folder is.
pub(crate) fn path(home: &Path) -> PathBuf {
    home.join(DATABASE)
}

/// Opens the database of a state folder.
///
/// # Errors
/// SQLite's.
pub(crate) fn open(home: &Path) -> rusqlite::Result<Connection> {
    let database = path(home);
    // Without a write-ahead log nobody writes, and the file can be read where nothing else may be made beside it.
    let wal = database.with_extension("sqlite-wal").exists();
    let name = database.display().to_string().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let uri = format!("file:{name}{}", if wal { "" } else { "?immutable=1" });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags)
}

/// Whose state folder it is, `tax/node`, if its database can tell: it holds what the party itself stated.
pub(crate) fn whose(home: &Path) -> Option<String> {
    let database = open(home).ok()?;
    let sql = "SELECT line FROM own ORDER BY number DESC LIMIT 1";
    let line: Vec<u8> = database.query_row(sql, [], |row| row.get(0)).ok()?;
    let entry = Unverified::read(&line).ok()?;
    let (id, role) = entry.claimed();
    Some(format!("{id}/{}", role.name()))
}

/// The party's copy of the log.
///
/// # Errors
/// SQLite's.
pub(crate) fn copy(home: &Path) -> rusqlite::Result<Copy> {
    let mut database = open(home)?;
    // Both as they were at one moment, while the party's program may go on.
    let moment = database.transaction()?;
    let mut log = moment.prepare("SELECT line FROM log ORDER BY number")?;
    let lines = log.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let sql = "SELECT value FROM facts WHERE name = ?1";
    let fact = |name| moment.query_row(sql, [name], |row| row.get(0)).optional();
    Ok(Copy { lines, checkpoint: fact(CHECKPOINT)?, contradiction: fact(CONTRADICTION)? })
}
