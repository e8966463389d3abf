//! A party's durable facts, in SQLite: its copy of the log, its own entries, and named values. It holds no ID number.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use rustix::fs::{FlockOperation, flock};
use wugan_protocol::{engine::Fact, limits};

/// The database of one party.
pub struct Journal {
    database: Connection,
    /// Locks the folder: two processes would sign two histories.
    _lock: File,
}

wugan_protocol::texts! {
    /// Why a journal cannot be used.
    #[derive(Debug, thiserror::Error)]
    pub enum JournalError {
        /// SQLite's error.
        Sqlite { path: String, error: rusqlite::Error }
            "the state database {path} cannot be used: {error}; check free space, owner and rights of its folder"
            "状态数据库 {path} 无法使用：{error}；请检查磁盘空间以及文件夹的属主和权限";
        /// Another process.
        InUse { folder: PathBuf }
            "another process uses the state folder {folder}: end it first; a member's role runs once"
            "状态文件夹 {folder} 正被另一进程使用：请先结束该进程；成员的每个角色只能运行一个";
        /// The folder.
        Folder { folder: PathBuf, error: io::Error } "state folder {folder}: {error}" "状态文件夹 {folder}：{error}";
        /// Written by another version.
        Schema { path: String, found: i64 }
            "the state database {path} has schema {found}, this program reads schema {SCHEMA}; start the version that \
             wrote it, or restore a copy made by this version"
            "状态数据库 {path} 的结构版本为 {found}，本程序只能读取版本 {SCHEMA}；请用写入它的版本启动，或恢复本版本的备份";
    }
}

/// Locks a folder until the file is closed, by the process's end at the latest.
fn lock(folder: &Path) -> Result<File, JournalError> {
    let failed = |error| JournalError::Folder { folder: folder.to_owned(), error };
    let file = File::open(folder).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::InUse { folder: folder.to_owned() }),
        Err(error) => Err(failed(error.into())),
    }
}

impl Journal {
    /// Opens the database, or makes it.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open(path: &Path) -> Result<Journal, JournalError> {
        let name = path.display().to_string();
        let failed = |error| JournalError::Sqlite { path: name.clone(), error };
        let lock = lock(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        let database = Connection::open(path).map_err(failed)?;
        database.execute_batch(PRAGMAS).map_err(failed)?;
        let found: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
        match found {
            0 => database.execute_batch(TABLES).map_err(failed)?,
            SCHEMA => {}
            found => return Err(JournalError::Schema { path: name, found }),
        }
        Ok(Journal { database, _lock: lock })
    }

    /// Whether this program reads the database, where there is one; changes nothing, and waits for no lock.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn examine(path: &Path) -> Result<(), JournalError> {
        if !path.exists() {
            return Ok(());
        }
        let name = path.display().to_string();
        let failed = |error| JournalError::Sqlite { path: name.clone(), error };
        let uri = format!("file:{}?immutable=1", name.replace('%', "%25").replace('?', "%3f").replace('#', "%23"));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let database = Connection::open_with_flags(uri, flags).map_err(failed)?;
        match database.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)? {
            0 | SCHEMA => Ok(()),
            found => Err(JournalError::Schema { path: name, found }),
        }
    }

    /// Makes facts durable, all or none. A value that is unset is gone when this returns, also from the write-ahead log.
    ///
    /// # Errors
    /// SQLite's.
    pub fn commit(&mut self, facts: &[Fact]) -> rusqlite::Result<()> {
        let transaction = self.database.transaction()?;
        for fact in facts {
            let statement = match fact {
                Fact::Log(..) => "INSERT INTO log (number, line) VALUES (?1, ?2)",
                // One that a former identity key signed, and the log never took, gives way.
                Fact::Own(..) => "INSERT OR REPLACE INTO own (number, line) VALUES (?1, ?2)",
                Fact::Set(..) => "INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2",
                Fact::Unset(_) => "DELETE FROM facts WHERE name = ?1",
            };
            let mut statement = transaction.prepare_cached(statement)?;
            match fact {
                Fact::Log(number, line) | Fact::Own(number, line) => {
                    statement.execute(params![*number as i64, line])?
                }
                Fact::Set(name, value) => statement.execute(params![name, value])?,
                Fact::Unset(name) => statement.execute(params![name])?,
            };
        }
        transaction.commit()?;
        if facts.iter().any(|fact| matches!(fact, Fact::Unset(_))) {
            self.database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        Ok(())
    }

    /// Every entry of the log, in order.
    ///
    /// # Errors
    /// SQLite's.
    pub fn log(&self) -> rusqlite::Result<Vec<Vec<u8>>> {
        self.lines("SELECT line FROM log WHERE number >= ?1 ORDER BY number LIMIT ?2", 0, i64::MAX as usize)
    }

    /// Entries of the log from an index on, as many as one message takes.
    ///
    /// # Errors
    /// SQLite's.
    pub fn log_from(&self, first: u64) -> rusqlite::Result<Vec<Vec<u8>>> {
        let sql = "SELECT line FROM log WHERE number >= ?1 ORDER BY number LIMIT ?2";
        let mut lines = self.lines(sql, first, limits::ENTRIES_PER_MESSAGE_MAX)?;
        let mut bytes = 0;
        let fitting = lines.iter().take_while(|line| {
            bytes += line.len();
            bytes <= limits::ENTRIES_BYTES_PER_MESSAGE_MAX
        });
        let fitting = fitting.count();
        lines.truncate(fitting.max(1));
        Ok(lines)
    }

    /// Every entry of this party's own, in order.
    ///
    /// # Errors
    /// SQLite's.
    pub fn own(&self) -> rusqlite::Result<Vec<Vec<u8>>> {
        self.lines("SELECT line FROM own WHERE number >= ?1 ORDER BY number LIMIT ?2", 0, i64::MAX as usize)
    }

    /// Every named value, by name.
    ///
    /// # Errors
    /// SQLite's.
    pub fn facts(&self) -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
        let mut statement = self.database.prepare("SELECT name, value FROM facts ORDER BY name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }

    /// One named value.
    ///
    /// # Errors
    /// SQLite's.
    pub fn fact(&self, name: &str) -> rusqlite::Result<Option<Vec<u8>>> {
        let mut statement = self.database.prepare_cached("SELECT value FROM facts WHERE name = ?1")?;
        statement.query_row([name], |row| row.get(0)).optional()
    }

    fn lines(&self, sql: &str, first: u64, most: usize) -> rusqlite::Result<Vec<Vec<u8>>> {
        let mut statement = self.database.prepare_cached(sql)?;
        let rows = statement.query_map(params![first as i64, most as i64], |row| row.get(0))?;
        rows.collect()
    }
}

/// FULL: after a power cut NORMAL may roll a committed budget back. Deleted values are overwritten.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;";

const SCHEMA: i64 = 1;

const TABLES: &str = "BEGIN;
CREATE TABLE log (number INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT;
CREATE TABLE own (number INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT;
CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
COMMIT;";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn facts_survive_and_commits_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.sqlite");
        let mut journal = Journal::open(&path).unwrap();
        journal.commit(&[Fact::Log(0, b"a".to_vec()), Fact::Set("x".into(), vec![1])]).unwrap();
        // The second fact repeats an index, so the first must not be kept either.
        journal.commit(&[Fact::Set("y".into(), vec![2]), Fact::Log(0, b"b".to_vec())]).unwrap_err();
        drop(journal);
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.log().unwrap(), [b"a".to_vec()]);
        assert_eq!(journal.facts().unwrap(), [("x".to_owned(), vec![1])]);
        assert_eq!(journal.fact("y").unwrap(), None);
    }

    #[test]
    fn an_unset_value_is_in_no_file_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&folder.path().join("state.sqlite")).unwrap();
        let (secret, other) = (b"the seed of a round".to_vec(), Fact::Set("other".into(), vec![1; 9_000]));
        let files_with_it = || {
            let files =
                std::fs::read_dir(folder.path()).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
            files.filter(|bytes| bytes.windows(secret.len()).any(|window| window == secret)).count()
        };
        journal.commit(&[Fact::Set("seed".into(), secret.clone()), other]).unwrap();
        assert!(files_with_it() > 0);
        journal.commit(&[Fact::Unset("seed".into())]).unwrap();
        assert_eq!(files_with_it(), 0);
    }

    #[test]
    fn messages_of_entries_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&folder.path().join("state.sqlite")).unwrap();
        let facts: Vec<Fact> = (0..20).map(|number| Fact::Log(number, vec![7; 60_000])).collect();
        journal.commit(&facts).unwrap();
        let first = journal.log_from(0).unwrap().len();
        assert!(first * 60_000 <= limits::ENTRIES_BYTES_PER_MESSAGE_MAX && first > 0);
        assert_eq!(journal.log_from(19).unwrap().len(), 1);
    }

    #[test]
    fn another_schema_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.sqlite");
        Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 9").unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::Schema { found: 9, .. })));
        assert!(matches!(Journal::examine(&path), Err(JournalError::Schema { found: 9, .. })));
    }
}
