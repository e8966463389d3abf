//! Files: written whole or not at all, read with a bound, secret ones for the owner alone.

use std::{
    ffi::OsString,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use zeroize::Zeroizing;

use super::{Action, StoreError};

/// A file that is written under a temporary name beside its place, and takes its place when it is whole and on disk.
/// Dropped before, it leaves nothing.
pub struct NewFile {
    file: Option<File>,
    temporary: PathBuf,
    target: PathBuf,
}

impl NewFile {
    /// Creates the temporary file, with mode 0600.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn create(target: &Path) -> Result<NewFile, StoreError> {
        Self::with_mode(target, SECRET_MODE)
    }

    /// Syncs the file and puts it in its place, where it replaces another.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn commit(self) -> Result<(), StoreError> {
        self.put(|temporary, target| std::fs::rename(temporary, target))
    }

    /// Syncs the file and puts it in its place if that is free.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::Io`].
    pub fn commit_new(self) -> Result<(), StoreError> {
        let put = self.put(|temporary, target| Ok(renameat_with(CWD, temporary, CWD, target, RenameFlags::NOREPLACE)?));
        put.map_err(|error| match error {
            StoreError::Io { path, source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                StoreError::Exists { path }
            }
            other => other,
        })
    }

    fn with_mode(target: &Path, mode: u32) -> Result<NewFile, StoreError> {
        let mut random = [0; RANDOM_BYTES];
        let filled = SystemRandom::new().fill(&mut random);
        filled.map_err(|_| failed(Action::Name, target)(io::Error::other("no randomness")))?;
        let mut name = OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(format!(".{}{TEMPORARY}", hex::encode(random)));
        let temporary = target.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary);
        Ok(NewFile { file: Some(file.map_err(failed(Action::Create, target))?), temporary, target: target.to_owned() })
    }

    fn put(mut self, rename: impl FnOnce(&Path, &Path) -> io::Result<()>) -> Result<(), StoreError> {
        if let Some(file) = &self.file {
            file.sync_all().map_err(failed(Action::Write, &self.target))?;
        }
        rename(&self.temporary, &self.target).map_err(failed(Action::Write, &self.target))?;
        self.file = None;
        sync_directory_of(&self.target)
    }
}

impl Write for NewFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(data),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            // What stays is found by `wugan-keys check`.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Makes a directory for its owner alone, and those above it; one that exists stays as it is.
///
/// # Errors
/// [`StoreError::Io`].
pub fn create_directory(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(Action::Create, dir))?;
    sync_directory_of(dir)
}

/// The names of a directory's entries, sorted; those that are not UTF-8 are not ours.
///
/// # Errors
/// [`StoreError::Io`].
pub fn list(dir: &Path) -> Result<Vec<String>, StoreError> {
    let entries = std::fs::read_dir(dir).map_err(failed(Action::List, dir))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
    let mut names: Vec<String> =
        names.collect::<io::Result<Vec<_>>>().map_err(failed(Action::List, dir))?.into_iter().flatten().collect();
    names.sort_unstable();
    Ok(names)
}

/// Reads a file that is no secret.
///
/// # Errors
/// [`StoreError::Io`], [`StoreError::TooLarge`].
pub fn read_public(path: &Path, bytes_max: usize) -> Result<Vec<u8>, StoreError> {
    let mut file = File::open(path).map_err(failed(Action::Read, path))?;
    Ok(std::mem::take(&mut *read_bounded(&mut file, path, bytes_max as u64)?))
}

/// Writes a file that is no secret, in the place of one that exists.
///
/// # Errors
/// [`StoreError::Io`].
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    filled(path, PUBLIC_MODE, bytes)?.commit()
}

/// Writes a file that is no secret, unless it exists.
///
/// # Errors
/// [`StoreError::Exists`], [`StoreError::Io`].
pub fn write_new_public(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    filled(path, PUBLIC_MODE, bytes)?.commit_new()
}

/// Writes a file that is for its owner alone, unless it exists. Unlike secrets, it is not encrypted.
///
/// # Errors
/// [`StoreError::Exists`], [`StoreError::Io`].
pub fn write_new_private(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    filled(path, SECRET_MODE, bytes)?.commit_new()
}

/// Removes a file for good. The medium may keep its (encrypted) blocks, and backups their copies.
///
/// # Errors
/// [`StoreError::Io`].
pub fn remove(path: &Path) -> Result<(), StoreError> {
    std::fs::remove_file(path).map_err(failed(Action::Remove, path))?;
    sync_directory_of(path)
}

/// The mode bits of a file or directory.
pub(crate) fn mode(path: &Path) -> Result<u32, StoreError> {
    Ok(std::fs::metadata(path).map_err(failed(Action::Read, path))?.permissions().mode() & 0o7777)
}

/// Reads a secret file, if its mode keeps others out.
pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut file = File::open(path).map_err(failed(Action::Read, path))?;
    let mode = file.metadata().map_err(failed(Action::Read, path))?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(StoreError::Mode { path: path.to_owned(), mode });
    }
    read_bounded(&mut file, path, SECRET_FILE_BYTES_MAX)
}

/// Reads a systemd credential. Its mode is systemd's affair: an access list can show as a readable group.
pub(super) fn read_credential(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut file = File::open(path).map_err(failed(Action::Read, path))?;
    read_bounded(&mut file, path, SECRET_FILE_BYTES_MAX)
}

/// Whether a name is exactly that of a file that was not finished: `.NAME.RANDOM.tmp`.
pub fn is_temporary(name: &str) -> bool {
    let inner = name.strip_prefix('.').and_then(|name| name.strip_suffix(TEMPORARY));
    let Some((name, random)) = inner.and_then(|inner| inner.rsplit_once('.')) else { return false };
    let is_random = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    !name.is_empty() && random.len() == 2 * RANDOM_BYTES && random.bytes().all(is_random)
}

/// Says what could not be done with which file.
pub(super) fn failed(action: Action, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }
}

const SECRET_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;
const TEMPORARY: &str = ".tmp";
/// Of a temporary name.
const RANDOM_BYTES: usize = 8;

/// Keys and passphrases are far smaller.
const SECRET_FILE_BYTES_MAX: u64 = 64 << 10;

fn filled(path: &Path, mode: u32, bytes: &[u8]) -> Result<NewFile, StoreError> {
    let mut file = NewFile::with_mode(path, mode)?;
    file.write_all(bytes).map_err(failed(Action::Write, path))?;
    Ok(file)
}

fn read_bounded(file: &mut File, path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let length = file.metadata().map_err(failed(Action::Read, path))?.len();
    // Room to spare, so that reading its end needs no reallocation, which would leave a copy.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.min(limit) as usize + 64));
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed(Action::Read, path))?;
    if bytes.len() as u64 > limit {
        return Err(StoreError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

fn sync_directory_of(path: &Path) -> Result<(), StoreError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(failed(Action::Sync, parent))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        let mut file = NewFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        let names = list(dir.path()).unwrap();
        assert!(names.len() == 1 && is_temporary(&names[0]));
        drop(file);
        assert_eq!(list(dir.path()).unwrap(), Vec::<String>::new());

        for content in [b"first", b"later"] {
            let mut file = NewFile::create(&path).unwrap();
            file.write_all(content).unwrap();
            file.commit().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), content);
        }
        let mut file = NewFile::create(&path).unwrap();
        file.write_all(b"other").unwrap();
        assert!(matches!(file.commit_new(), Err(StoreError::Exists { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"later");
        assert_eq!(list(dir.path()).unwrap(), ["cache"]);
    }

    #[test]
    fn only_our_own_temporary_names_are_temporary() {
        assert!(is_temporary(".000.0123456789abcdef.tmp") && is_temporary(".a.b.0123456789abcdef.tmp"));
        for name in [
            "000.0123456789abcdef.tmp",
            ".0123456789abcdef.tmp",
            "..0123456789abcdef.tmp",
            ".000.0123456789ABCDEF.tmp",
            ".000.0123456789abcde.tmp",
            ".000.0123456789abcdef.tmp.",
            ".000.tmp",
            ".tmp",
        ] {
            assert!(!is_temporary(name), "{name}");
        }
    }

    #[test]
    fn a_public_file_has_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("public");
        write_public(&path, &[1; 100]).unwrap();
        assert_eq!(read_public(&path, 100).unwrap(), [1; 100]);
        assert!(matches!(read_public(&path, 99), Err(StoreError::TooLarge { limit: 99, .. })));
        assert!(matches!(read_public(&dir.path().join("none"), 99), Err(StoreError::Io { .. })));
    }

    #[test]
    fn a_directory_is_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        create_directory(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        create_directory(&path).unwrap();
    }
}
