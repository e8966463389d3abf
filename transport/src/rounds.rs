//! Where a party keeps the files of its rounds: `<root>/<round hash>/<file name>`. A file is written under a temporary
//! name, synced and renamed, so that a half-written one is never read as whole.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use wugan_protocol::{
    file::{FileKey, Header},
    hexes::Digest,
    run::FileWriter,
};

/// The folder of a party's rounds.
#[derive(Clone, Debug)]
pub struct Rounds {
    root: PathBuf,
}

/// What a file that was made is announced with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Which file.
    pub file: FileKey,
    /// Its items, rounded up to a multiple of 256.
    pub count: u64,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

impl Rounds {
    /// Rounds under this folder.
    pub fn new(root: impl Into<PathBuf>) -> Rounds {
        Rounds { root: root.into() }
    }

    /// Where a file of a round lies.
    pub fn path(&self, round: Digest, file: FileKey) -> PathBuf {
        self.folder(round).join(file.name())
    }

    /// The folder of a round.
    pub fn folder(&self, round: Digest) -> PathBuf {
        self.root.join(round.to_string())
    }

    /// Opens a file that is kept.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(&self, round: Digest, file: FileKey) -> io::Result<BufReader<File>> {
        Ok(BufReader::with_capacity(BUFFER_BYTES, File::open(self.path(round, file))?))
    }

    /// Makes a file: `fill` writes what follows the header.
    ///
    /// # Errors
    /// Those of the file system and of `fill`; nothing is left under the file's name then.
    pub fn make(
        &self,
        round: Digest,
        file: FileKey,
        header: &Header,
        fill: impl FnOnce(&mut FileWriter<BufWriter<File>>) -> io::Result<()>,
    ) -> io::Result<Made> {
        let path = self.path(round, file);
        let temporary = path.with_extension("making");
        self.make_folder(round)?;
        let out = BufWriter::with_capacity(BUFFER_BYTES, create_private(&temporary)?);
        let mut writer = FileWriter::begin(out, header)?;
        fill(&mut writer)?;
        let (out, count, digest) = writer.finish()?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        settle(&temporary, &path)?;
        Ok(Made { file, count, digest })
    }

    /// Gives a file that lies elsewhere on the same file system its place.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn keep(&self, spooled: &Path, round: Digest, file: FileKey) -> io::Result<()> {
        self.make_folder(round)?;
        settle(spooled, &self.path(round, file))
    }

    /// Makes the folder of a round, whose name survives a crash too.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn make_folder(&self, round: Digest) -> io::Result<()> {
        let folder = self.folder(round);
        if folder.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(&folder)?;
        File::open(&self.root)?.sync_all()
    }

    /// Deletes a file, if it is there.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn discard(&self, round: Digest, file: FileKey) -> io::Result<()> {
        if_there(fs::remove_file(self.path(round, file))).map(drop)
    }

    /// Deletes everything of a round, if anything is there, durably.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn forget(&self, round: Digest) -> io::Result<()> {
        if_there(fs::remove_dir_all(self.folder(round)))?;
        sync_folder(&self.root)
    }
}

/// A new file that only its owner may read.
fn create_private(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Writes a small file as a whole or not at all.
///
/// # Errors
/// Those of the file system.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(WRITING);
    let mut out = create_private(&temporary)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    settle(&temporary, path)
}

/// Deletes a file that [`write_whole`] wrote, if it is there, and what it left of it half-written. [`sync_folder`]
/// makes it last.
///
/// # Errors
/// Those of the file system.
pub fn delete_whole(path: &Path) -> io::Result<()> {
    if_there(fs::remove_file(path.with_extension(WRITING)))?;
    if_there(fs::remove_file(path)).map(drop)
}

/// Makes what was done to the names in a folder survive a crash; one that is not there needs nothing.
///
/// # Errors
/// Those of the file system.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if_there(File::open(folder))?.map_or(Ok(()), |folder| folder.sync_all())
}

/// The outcome of an operation on something that need not exist.
///
/// # Errors
/// Those of the operation, but for [`io::ErrorKind::NotFound`].
pub fn if_there<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Renames a synced file and syncs the folder, so that the name survives a crash too.
///
/// # Errors
/// Those of the file system.
pub fn settle(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    match to.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

const BUFFER_BYTES: usize = 256 << 10;
const WRITING: &str = "writing";
