//! Where a node keeps what holds ID numbers or secrets, sealed under its storage key: matching keys, seeds, rosters'
//! snapshots, batches, row maps, spills.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use wugan_keys::{
    StorageKey,
    seal::{BulkKey, SealedReader, SealedWriter},
    store::NewFile,
};
use wugan_protocol::{at_rest::PERSON_BYTES, person::PersonId};
use wugan_transport::rounds::{if_there, sync_folder};

/// A folder of sealed files of one kind.
#[derive(Clone, Debug)]
pub struct Vault {
    folder: PathBuf,
    key: BulkKey,
}

/// A sealed file that is read from its beginning.
pub type Sealed = SealedReader<BufReader<File>>;

impl Vault {
    /// The sealed files of a kind, under the node's state folder.
    pub fn new(state: &Path, kind: &str, storage: &StorageKey) -> Vault {
        Vault { folder: state.join(kind), key: storage.bulk_key(kind) }
    }

    /// Writes a file as a whole or not at all; an older one of the name is replaced.
    ///
    /// # Errors
    /// Those of the file system and of `fill`.
    pub fn write(
        &self,
        name: &str,
        fill: impl FnOnce(&mut SealedWriter<BufWriter<NewFile>>) -> io::Result<()>,
    ) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let file = NewFile::create(&self.folder.join(name)).map_err(io::Error::other)?;
        let mut out = SealedWriter::new(BufWriter::new(file), &self.key)?;
        fill(&mut out)?;
        let file = out.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.commit().map_err(io::Error::other)
    }

    /// Opens a file.
    ///
    /// # Errors
    /// Those of the file system, or a file that is not sealed under this node's key.
    pub fn open(&self, name: &str) -> io::Result<Sealed> {
        SealedReader::new(BufReader::new(File::open(self.folder.join(name))?), &self.key)
    }

    /// The items of `N` bytes of a file, read one after another.
    ///
    /// # Errors
    /// As [`Vault::open`]; each item, those of the file system, or a file cut short.
    pub fn items<const N: usize>(&self, name: &str) -> io::Result<impl Iterator<Item = io::Result<[u8; N]>> + use<N>> {
        let mut file = self.open(name)?;
        Ok(std::iter::from_fn(move || read_item(&mut file).transpose()))
    }

    /// Opens a file if there is one.
    ///
    /// # Errors
    /// As [`Vault::open`], but for a file that does not exist.
    pub fn open_existing(&self, name: &str) -> io::Result<Option<Sealed>> {
        if_there(self.open(name))
    }

    /// Names of the files that are whole, in order.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = self.all_names()?;
        names.retain(|name| !name.starts_with(TEMPORARY));
        names.sort_unstable();
        Ok(names)
    }

    /// Deletes a file, if it is there.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        if_there(fs::remove_file(self.folder.join(name))).map(drop)
    }

    /// Deletes, durably, the files of these names, and what a power cut left of them half-written: the latter's names
    /// go on after the file's.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn delete(&self, of: impl Fn(&str) -> bool) -> io::Result<()> {
        let names = self.all_names()?;
        let named = names.iter().filter(|name| of(name.trim_start_matches(TEMPORARY)));
        named.into_iter().try_for_each(|name| self.remove(name))?;
        sync_folder(&self.folder)
    }

    fn all_names(&self) -> io::Result<Vec<String>> {
        let Some(entries) = if_there(fs::read_dir(&self.folder))? else { return Ok(Vec::new()) };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// A writer for a file without a name: sealed, unsynced, gone with its handle.
    pub(crate) fn spill(&self) -> io::Result<SealedWriter<BufWriter<File>>> {
        fs::create_dir_all(&self.folder)?;
        let path =
            self.folder.join(format!(".spill-{}", NEXT_SPILL.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        // Unlinked at once: it disappears with the process, however that ends.
        fs::remove_file(&path)?;
        SealedWriter::new(BufWriter::with_capacity(SPILL_BUFFER_BYTES, file), &self.key)
    }

    pub(crate) fn read_spill(&self, mut file: File) -> io::Result<Sealed> {
        io::Seek::rewind(&mut file)?;
        SealedReader::new(BufReader::with_capacity(SPILL_BUFFER_BYTES, file), &self.key)
    }
}

/// Reads the next item of `N` bytes; none at the end. An item cut short is an error.
pub(crate) fn read_item<const N: usize>(input: &mut impl Read) -> io::Result<Option<[u8; N]>> {
    let mut item = [0; N];
    let mut filled = 0;
    while filled < N {
        match input.read(&mut item[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(item))
}

/// Writes items one after another.
pub(crate) fn write_items<const N: usize>(
    out: &mut impl Write,
    mut items: impl Iterator<Item = io::Result<[u8; N]>>,
) -> io::Result<()> {
    items.try_for_each(|item| out.write_all(&item?))
}

/// A person as sealed files hold it: eight bytes in which people sort as numbers do.
pub(crate) fn person_bytes(person: PersonId) -> [u8; PERSON_BYTES] {
    person.to_u64().to_be_bytes()
}

/// The person with which an item begins.
pub(crate) fn person_of(item: &[u8]) -> io::Result<PersonId> {
    let bytes = item.first_chunk().copied();
    let person = bytes.and_then(|bytes| PersonId::from_u64(u64::from_be_bytes(bytes)));
    person.ok_or_else(|| io::Error::other("a sealed file of this node is damaged"))
}

/// With which the names of temporary files begin.
const TEMPORARY: char = '.';
const SPILL_BUFFER_BYTES: usize = 64 << 10;
static NEXT_SPILL: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
