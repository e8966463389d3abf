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
//! whose entries can be lost. The files follow within a second: policies that a manifest among the entries names, tiles,
//! the checkpoint over them, `cosigned`; then partial tiles that wider ones replace are deleted, and their folder once the
//! tile is whole. Each file is written under a temporary name (`.NAME.RANDOM.tmp`) beside its place and renamed. A crash
//! between any two of these leaves files that the next start brings level with the database, by the same code; what is
//! left under temporary names it deletes first.

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
    disk: Box<dyn Disk>,
}

/// What is done to the folder; tests stop between any two operations.
trait Disk: Send {
    /// Makes a folder and those above it.
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    /// Writes a file as a whole.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        store::write_public(path, bytes).map_err(io::Error::other)
    }

    fn delete(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn delete_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }
}

/// The real one.
struct Machine;

impl Disk for Machine {}

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
        let log = LogFolder {
            folder: folder.to_owned(),
            origin: key.name().to_owned(),
            signer,
            writer: LogWriter::empty(),
            cosigned: cosigned.cloned(),
            policies,
            disk: Box::new(Machine),
        };
        log.brought_level(key, lines)
    }

    fn brought_level(mut self, key: &VerifierKey, lines: &[Vec<u8>]) -> io::Result<LogFolder> {
        self.disk.make_folder(&self.folder)?;
        refuse_other(&self.folder, key, lines)?;
        self.delete_temporary(&self.folder)?;
        for lines in lines.chunks(ENTRIES_AT_ONCE) {
            lines.iter().try_for_each(|line| self.append(line))?;
            self.write_tiles()?;
            self.writer.written();
        }
        self.publish()?;
        // Whatever a crash left of narrower tiles.
        Tile::changed(0, self.writer.tree().size).try_for_each(|tile| self.delete_replaced(tile))?;
        Ok(self)
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if let Some(policy) = self.policies.iter().find(|policy| policy.manifest == line) {
            self.write(&policy.name, &policy.bytes)?;
        }
        self.writer.append(line).map(drop).map_err(io::Error::other)
    }

    /// Writes the tiles that changed; those of the last tree that these replace may be deleted once the checkpoint is
    /// written.
    fn write_tiles(&self) -> io::Result<Vec<Tile>> {
        let mut tiles = Vec::new();
        for (tile, bytes) in self.writer.changed_files() {
            self.write(&tile.to_string(), &bytes)?;
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
                self.disk.delete(&path)?;
            }
        }
        match keep {
            None if partials.exists() => self.disk.delete_folder(&partials),
            _ => Ok(()),
        }
    }

    /// Deletes what a crash left of files that were not finished.
    fn delete_temporary(&self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.delete_temporary(&entry.path())?;
            } else if kind.is_file() && entry.file_name().to_str().is_some_and(store::is_temporary) {
                self.disk.delete(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Writes a file, unless it has these bytes.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.folder.join(name);
        if fs::read(&path).is_ok_and(|found| found == bytes) {
            return Ok(());
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            self.disk.make_folder(folder)?;
        }
        self.disk.write(&path, bytes)
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
        self.write(CHECKPOINT, checkpoint.as_bytes())?;
        if let Some(note) = &self.cosigned {
            self.write(COSIGNED, note)?;
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

const CHECKPOINT: &str = "checkpoint";
/// Entries that are laid out together at start: 16 files.
const ENTRIES_AT_ONCE: usize = 4_096;

#[cfg(test)]
mod tests;
