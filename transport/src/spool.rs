//! Files under way: written under a temporary name, hashed as they are written, synced, and only then renamed.
//!
//! Everything here blocks and runs on tokio's blocking threads.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ring::digest::{Context, SHA256};

/// The folder, and how much of its free space is promised to files under way.
pub(crate) struct Spool {
    folder: PathBuf,
    next: AtomicU64,
    promised: Arc<AtomicU64>,
}

/// Why a file cannot be spooled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    #[error("a file of {bytes} bytes would leave less than {FREE_BYTES_MIN} of the {free} bytes that are free")]
    NoSpace { bytes: u64, free: u64 },
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Spool {
    /// Creates the folder if need be, readable by its owner only, and deletes what an earlier process left half-written.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == EXTENSION) {
                fs::remove_file(path)?;
            }
        }
        Ok(Self { folder, next: AtomicU64::new(0), promised: Arc::default() })
    }

    /// Starts a file of exactly `bytes`.
    pub(crate) fn begin(&self, bytes: u64) -> Result<Part, SpoolError> {
        let promise = self.promise(bytes)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{number:016x}.{EXTENSION}"));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Part { file, temporary: Temporary(Some(path)), digest: Context::new(&SHA256), promise })
    }

    /// Two files that each fit, but not both, must not fill the disk together.
    fn promise(&self, bytes: u64) -> Result<Promise, SpoolError> {
        let stat = rustix::fs::statvfs(&self.folder).map_err(io::Error::from)?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let promised = self.promised.fetch_add(bytes, Ordering::Relaxed);
        let promise = Promise { total: self.promised.clone(), left: bytes };
        let needed = promised.saturating_add(bytes).saturating_add(FREE_BYTES_MIN);
        if free < needed {
            return Err(SpoolError::NoSpace { bytes, free });
        }
        Ok(promise)
    }
}

/// A file that is being written. Dropping it deletes it.
pub(crate) struct Part {
    file: File,
    temporary: Temporary,
    digest: Context,
    promise: Promise,
}

impl Part {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.file.write_all(bytes)?;
        self.promise.redeem(bytes.len() as u64);
        Ok(())
    }

    /// Syncs; the file survives a power cut from here on, though still under its temporary name.
    pub(crate) fn finish(self) -> io::Result<(Temporary, [u8; 32])> {
        self.file.sync_all()?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.digest.finish().as_ref());
        Ok((self.temporary, sha256))
    }
}

/// A file with a temporary name, which is deleted unless kept.
#[derive(Debug)]
pub(crate) struct Temporary(Option<PathBuf>);

impl Temporary {
    pub(crate) fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// Gives the file its final name, durably; a file of that name is replaced.
    pub(crate) fn keep_as(mut self, target: &Path) -> io::Result<()> {
        fs::rename(self.path(), target)?;
        self.0 = None;
        let parent = match target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        File::open(parent)?.sync_all()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let Some(path) = self.0.take() else { return };
        // Freeing the blocks of a large file takes longer than the runtime may stand still. What a stopping runtime
        // no longer deletes is deleted at the next start.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(|| delete(path))),
            Err(_) => delete(path),
        }
    }
}

fn delete(path: PathBuf) {
    if let Err(error) = fs::remove_file(&path) {
        tracing::warn!(path = %path.display(), %error, "a temporary file stays behind");
    }
}

/// Space that is set aside until it is used or given up.
struct Promise {
    total: Arc<AtomicU64>,
    left: u64,
}

impl Promise {
    fn redeem(&mut self, bytes: u64) {
        let bytes = bytes.min(self.left);
        self.left -= bytes;
        self.total.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.redeem(self.left);
    }
}

const EXTENSION: &str = "part";

/// Bytes that stay free for databases and logs.
pub(crate) const FREE_BYTES_MIN: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn left_overs_are_deleted_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("0000000000000000.part"), "half").unwrap();
        fs::write(folder.path().join("pool"), "whole").unwrap();
        Spool::open(folder.path().to_path_buf()).unwrap();
        assert_eq!(files(folder.path()), 1);
    }

    #[test]
    fn an_unfinished_file_is_deleted_and_its_space_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path().to_path_buf()).unwrap();
        let mut part = spool.begin(10).unwrap();
        part.write(b"1234").unwrap();
        assert_eq!(spool.promised.load(Ordering::Relaxed), 6);
        drop(part);
        assert_eq!(spool.promised.load(Ordering::Relaxed), 0);
        assert_eq!(files(folder.path()), 0);
    }

    #[test]
    fn a_file_that_would_fill_the_disk_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path().to_path_buf()).unwrap();
        let stat = rustix::fs::statvfs(folder.path()).unwrap();
        let more_than_half = stat.f_bavail * stat.f_frsize / 2 + (1 << 30);
        let first = spool.begin(more_than_half).unwrap();
        assert!(matches!(spool.begin(more_than_half), Err(SpoolError::NoSpace { .. })));
        drop(first);
        assert_eq!(spool.promised.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_kept_file_has_its_final_name_and_digest() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path().join("spool")).unwrap();
        let mut part = spool.begin(3).unwrap();
        part.write(b"abc").unwrap();
        let (temporary, sha256) = part.finish().unwrap();
        let target = folder.path().join("pool");
        temporary.keep_as(&target).unwrap();
        assert_eq!(fs::read(target).unwrap(), b"abc");
        // FIPS 180-4 example.
        assert_eq!(sha256[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(files(&folder.path().join("spool")), 0);
    }
}
