//! Keys that sign the transparency log's tree: the coordinator's as the log itself, everybody else's as cosigners. They
//! are never identity keys (protocol, section 2).

use std::path::{Path, PathBuf};

use wugan_protocol::{envelope::Signer, party::Role};

use crate::{
    identity::IdentityError,
    pair::Pair,
    store::{StorageKey, StoreError},
};

/// The key with which one role of one member signs trees of the log.
pub struct LogKey {
    role: Role,
    pair: Pair,
}

impl LogKey {
    /// A fresh key, in memory only.
    ///
    /// # Errors
    /// [`IdentityError::Key`] when the system gives no randomness.
    pub fn generate(role: Role) -> Result<LogKey, IdentityError> {
        Ok(LogKey { role, pair: Pair::generate()? })
    }

    /// Writes the key to [`Self::path`], encrypted.
    ///
    /// # Errors
    /// Of [`StorageKey::write`]: a key is never replaced.
    pub fn write(&self, dir: &Path, storage: &StorageKey) -> Result<(), StoreError> {
        storage.write(&Self::path(dir, self.role), &kind(self.role), self.pair.pkcs8())
    }

    /// Reads the key of a role.
    ///
    /// # Errors
    /// Of [`StorageKey::read`], and when its content is not a key.
    pub fn read(dir: &Path, role: Role, storage: &StorageKey) -> Result<LogKey, StoreError> {
        let path = Self::path(dir, role);
        let pair = Pair::from_pkcs8(storage.read(&path, &kind(role))?);
        Ok(LogKey { role, pair: pair.map_err(|_| StoreError::Damaged { path })? })
    }

    /// The file of a role's key in a directory: `log-node.age`.
    pub fn path(dir: &Path, role: Role) -> PathBuf {
        dir.join(format!("log-{}.age", role.name()))
    }
}

impl Signer for LogKey {
    fn public_key(&self) -> [u8; 32] {
        self.pair.public_key()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(message)
    }
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogKey({} {})", self.role.name(), hex::encode(self.public_key()))
    }
}

fn kind(role: Role) -> String {
    format!("log/{}", role.name())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::identity::Identity;

    #[test]
    fn a_key_is_read_as_it_was_written_and_never_for_another_role_or_use() {
        let (dir, storage) = (tempfile::tempdir().unwrap(), StorageKey::generate());
        let key = LogKey::generate(Role::Node).unwrap();
        key.write(dir.path(), &storage).unwrap();
        let read = LogKey::read(dir.path(), Role::Node, &storage).unwrap();
        assert_eq!((read.public_key(), read.sign(b"tree")), (key.public_key(), key.sign(b"tree")));
        assert!(matches!(key.write(dir.path(), &storage), Err(StoreError::Exists { .. })));
        std::fs::copy(LogKey::path(dir.path(), Role::Node), LogKey::path(dir.path(), Role::Matcher)).unwrap();
        let other = LogKey::read(dir.path(), Role::Matcher, &storage);
        assert!(matches!(other, Err(StoreError::OtherKind { .. })));
        std::fs::copy(LogKey::path(dir.path(), Role::Node), Identity::path(dir.path(), Role::Node)).unwrap();
        let other = Identity::read(dir.path(), Role::Node, &storage);
        assert!(matches!(other, Err(StoreError::OtherKind { .. })));
    }

    #[test]
    fn debug_shows_the_public_key_only() {
        let key = LogKey::generate(Role::Matcher).unwrap();
        assert_eq!(format!("{key:?}"), format!("LogKey(matcher {})", hex::encode(key.public_key())));
    }
}
