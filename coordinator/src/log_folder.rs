//! The log's folder: C2SP tlog-tiles as plain files, which any web server can serve and other tools can read.
//!
//! ```text
//! log/catalogue.toml      the policy that the first manifest names; catalogue.N.toml: that of its version N
//! log/checkpoint          the signed tree of all entries (signed note)
//! log/cosigned            the tree at the last round's end, with the cosignatures of the members
//! log/tile/entries/NNN    entries, 256 to a file
//! log/tile/L/NNN          hashes of level L, 256 to a file
//! ```
//!
//! Order of writes: an entry is durable in the database before anybody else hears of it, so that no tree is ever signed
//! whose entries can be lost. The files follow within a second: policies that a manifest among the entries names, tiles, then the checkpoint over them, then partial tiles
//! that wider ones replace are deleted. A crash between any two leaves files that the next start brings level with the
//! database, by the same code.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use wugan_keys::store;
use wugan_protocol::{
    engine::Fact,
    envelope::Signer,
    log::{
        checkpoint::VerifiedCheckpoint,
        merkle::Growing,
        note::{Note, VerifierKey},
        tile::{Kind, Tile, entries_from_bytes},
        writer::LogWriter,
    },
};
use wugan_transport::shell::LogSink;

/// The name of the fact that holds the cosigned checkpoint's note.
pub(crate) const COSIGNED: &str = "cosigned";

/// The log's files, and what is not in them yet.
pub(crate) struct LogFolder {
    folder: PathBuf,
    origin: String,
    signer: Arc<dyn Signer>,
    writer: LogWriter,
    cosigned: Option<Vec<u8>>,
    policies: Vec<PublishedPolicy>,
}

/// A policy that stands in the log's folder once the log shows the manifest that names it.
pub(crate) struct PublishedPolicy {
    /// The signed line of the manifest.
    pub(crate) manifest: Vec<u8>,
    /// The file's name.
    pub(crate) name: String,
    /// The policy's exact bytes.
    pub(crate) bytes: Vec<u8>,
}

impl LogFolder {
    /// Opens the folder, brings it level with `lines`, the log as the database has it, and `cosigned`.
    ///
    /// # Errors
    /// The file system's, or a checkpoint in the folder that `lines` do not grow into.
    pub(crate) fn open(
        folder: &Path,
        key: &VerifierKey,
        signer: Arc<dyn Signer>,
        lines: &[Vec<u8>],
        cosigned: Option<&Vec<u8>>,
        policies: Vec<PublishedPolicy>,
    ) -> io::Result<LogFolder> {
        fs::create_dir_all(folder)?;
        refuse_other(folder, key, lines)?;
        let mut log = LogFolder {
            folder: folder.to_owned(),
            origin: key.name().to_owned(),
            signer,
            writer: LogWriter::empty(),
            cosigned: cosigned.cloned(),
            policies,
        };
        for lines in lines.chunks(ENTRIES_AT_ONCE) {
            lines.iter().try_for_each(|line| log.append(line))?;
            log.write_tiles()?;
            log.writer.written();
        }
        log.publish()?;
        // Whatever a crash left of narrower tiles.
        Tile::changed(0, log.writer.tree().size).try_for_each(|tile| log.delete_replaced(tile))?;
        Ok(log)
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if let Some(policy) = self.policies.iter().find(|policy| policy.manifest == line) {
            write(&self.folder.join(&policy.name), &policy.bytes)?;
        }
        self.writer.append(line).map(drop).map_err(io::Error::other)
    }

    /// Writes the tiles that changed; those of the last tree that these replace may be deleted once the checkpoint is
    /// written.
    fn write_tiles(&self) -> io::Result<Vec<Tile>> {
        let mut tiles = Vec::new();
        for (tile, bytes) in self.writer.changed_files() {
            write(&self.folder.join(tile.to_string()), &bytes)?;
            tiles.push(tile);
        }
        Ok(tiles)
    }

    /// Deletes the partial files of a tile, but for the one that stands.
    fn delete_replaced(&self, tile: Tile) -> io::Result<()> {
        let partials = self.folder.join(format!("{}.p", tile.full()));
        let keep = (tile != tile.full()).then(|| self.folder.join(tile.to_string()));
        for entry in fs::read_dir(&partials).into_iter().flatten() {
            let path = entry?.path();
            if Some(&path) != keep.as_ref() {
                fs::remove_file(path)?;
            }
        }
        match keep {
            None if partials.exists() => fs::remove_dir(partials),
            _ => Ok(()),
        }
    }
}

impl LogSink for LogFolder {
    fn take(&mut self, facts: &[Fact]) -> io::Result<()> {
        for fact in facts {
            match fact {
                Fact::Log(_, line) => self.append(line)?,
                Fact::Set(name, note) if name == COSIGNED => self.cosigned = Some(note.clone()),
                _ => {}
            }
        }
        Ok(())
    }

    fn publish(&mut self) -> io::Result<()> {
        let tiles = self.write_tiles()?;
        let signed = VerifiedCheckpoint::sign(self.writer.tree(), &self.origin, self.signer.as_ref());
        let checkpoint = signed.map_err(io::Error::other)?.note().to_string();
        write(&self.folder.join(CHECKPOINT), checkpoint.as_bytes())?;
        if let Some(note) = &self.cosigned {
            write(&self.folder.join(COSIGNED), note)?;
        }
        self.writer.written();
        tiles.into_iter().try_for_each(|tile| self.delete_replaced(tile))
    }
}

/// All entries of a log's folder, in order; nothing is verified.
///
/// # Errors
/// The file system's, or a file that holds no entries.
pub fn entries(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let note = Note::read(&fs::read(folder.join(CHECKPOINT))?).map_err(io::Error::other)?;
    let size = note.text().lines().nth(1).and_then(|size| size.parse().ok());
    let size: u64 = size.ok_or_else(|| io::Error::other("the checkpoint tells no size"))?;
    let mut entries = Vec::new();
    while let Some(bundle) = Tile::holding(Kind::Entries, entries.len() as u64, size) {
        let bytes = fs::read(folder.join(bundle.to_string()))?;
        entries.extend(entries_from_bytes(bundle, &bytes).map_err(io::Error::other)?.into_iter().map(<[u8]>::to_vec));
    }
    Ok(entries)
}

/// Refuses a folder whose checkpoint shows another log: then the database was set back, and going on would sign two
/// histories.
fn refuse_other(folder: &Path, key: &VerifierKey, lines: &[Vec<u8>]) -> io::Result<()> {
    let note = match fs::read(folder.join(CHECKPOINT)) {
        Ok(note) => note,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let shown = VerifiedCheckpoint::open(&note, key).map_err(io::Error::other)?.tree();
    let mut growing = Growing::default();
    lines.iter().take(shown.size as usize).for_each(|line| growing.push(line));
    if growing.tree() == shown {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "the checkpoint shows {} entries that are not those of the state database, which has {}: the database was set \
         back or belongs to another log; put the latest copy of the state folder back",
        shown.size,
        lines.len()
    )))
}

/// Writes a file as a whole, unless it has these bytes.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    store::write_public(path, bytes).map_err(io::Error::other)
}

const CHECKPOINT: &str = "checkpoint";
/// Entries that are laid out together at start: 16 files.
const ENTRIES_AT_ONCE: usize = 4_096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use wugan_protocol::log::{
        note::Algorithm,
        reader::{Files, LogReader},
    };

    struct Key(Ed25519KeyPair);

    impl Signer for Key {
        fn public_key(&self) -> [u8; 32] {
            self.0.public_key().as_ref().try_into().unwrap()
        }

        fn sign(&self, message: &[u8]) -> [u8; 64] {
            self.0.sign(message).as_ref().try_into().unwrap()
        }
    }

    struct Folder<'a>(&'a Path);

    impl Files for Folder<'_> {
        fn read(&self, tile: Tile) -> io::Result<Vec<u8>> {
            fs::read(self.0.join(tile.to_string()))
        }
    }

    fn signer() -> Arc<Key> {
        Arc::new(Key(Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap()))
    }

    fn vkey() -> VerifierKey {
        VerifierKey::new("wugan/test", Algorithm::Ed25519, signer().public_key()).unwrap()
    }

    fn lines(count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|i| format!("entry {i}").into_bytes()).collect()
    }

    fn open(folder: &Path, lines: &[Vec<u8>]) -> io::Result<LogFolder> {
        LogFolder::open(folder, &vkey(), signer(), lines, None, Vec::new())
    }

    fn files(folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if entry.path().is_dir() {
                found.extend(files(&entry.path()).into_iter().map(|below| format!("{name}/{below}")));
            } else {
                found.push(name);
            }
        }
        found.sort();
        found
    }

    /// Exactly the files of the checkpoint's tree, and these entries in them.
    fn check(folder: &Path, lines: &[Vec<u8>]) {
        let note = fs::read(folder.join(CHECKPOINT)).unwrap();
        let tree = VerifiedCheckpoint::open(&note, &vkey()).unwrap().tree();
        assert_eq!(tree.size, lines.len() as u64);
        let mut expected: Vec<String> = Tile::changed(0, tree.size).map(|tile| tile.to_string()).collect();
        expected.push(CHECKPOINT.into());
        expected.sort();
        assert_eq!(files(folder), expected);
        assert_eq!(entries(folder).unwrap(), lines);
        let reader = Folder(folder);
        let reader = LogReader::new(tree, &reader);
        (0..tree.size).for_each(|index| assert_eq!(reader.entry(index).unwrap(), lines[index as usize]));
    }

    #[test]
    fn a_log_grows_and_only_its_own_files_stand() {
        let folder = tempfile::tempdir().unwrap();
        let all = lines(600);
        let mut log = open(folder.path(), &[]).unwrap();
        let mut held = 0;
        for more in [1, 2, 250, 3, 1, 255, 88] {
            let facts: Vec<Fact> = (held..held + more).map(|i| Fact::Log(i as u64, all[i].clone())).collect();
            held += more;
            log.take(&facts).unwrap();
            log.publish().unwrap();
            check(folder.path(), &all[..held]);
        }
        drop(log);
        open(folder.path(), &all).unwrap();
        check(folder.path(), &all);
    }

    #[test]
    fn whatever_a_crash_left_is_brought_level() {
        let (before, after) = (lines(250), lines(520));
        let whole = tempfile::tempdir().unwrap();
        open(whole.path(), &after).unwrap();
        let written: Vec<String> = Tile::changed(250, 520).map(|tile| tile.to_string()).collect();
        // Files are written one after another, the checkpoint last: a crash after each of them.
        for done in 0..=written.len() {
            let folder = tempfile::tempdir().unwrap();
            open(folder.path(), &before).unwrap();
            for file in &written[..done] {
                let path = folder.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::copy(whole.path().join(file), path).unwrap();
            }
            open(folder.path(), &after).unwrap();
            check(folder.path(), &after);
        }
    }

    #[test]
    fn a_database_that_was_set_back_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), &lines(300)).unwrap();
        let error = open(folder.path(), &lines(299)).err().unwrap().to_string();
        assert!(error.contains("set back"), "{error}");
        let mut other = lines(300);
        other[7] = b"another".to_vec();
        assert!(open(folder.path(), &other).is_err());
        check(folder.path(), &lines(300));
    }
}
