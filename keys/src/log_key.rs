//! Keys that sign the transparency log's tree: the coordinator's as the log itself, everybody else's as cosigners. They
//! are never identity keys (protocol, section 2).

use std::path::{Path, PathBuf};

use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use wugan_protocol::{envelope::Signer, party::Role};
use zeroize::Zeroizing;

use crate::{
    identity::IdentityError,
    store::{StorageKey, StoreError},
};

/// The key with which one role of one member signs trees of the log.
pub struct LogKey {
    role: Role,
    pair: Ed25519KeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl LogKey {
    /// A fresh key, in memory only.
    ///
    /// # Errors
    /// [`IdentityError::Key`] when the system gives no randomness.
    pub fn generate(role: Role) -> Result<LogKey, IdentityError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| IdentityError::Key)?;
        Self::from_pkcs8(role, Zeroizing::new(document.as_ref().to_vec())).ok_or(IdentityError::Key)
    }

    /// Writes the key to [`Self::path`], encrypted.
    ///
    /// # Errors
    /// Of [`StorageKey::write`]: a key is never replaced.
    pub fn write(&self, dir: &Path, storage: &StorageKey) -> Result<(), StoreError> {
        storage.write(&Self::path(dir, self.role), &kind(self.role), &self.pkcs8)
    }

    /// Reads the key of a role.
    ///
    /// # Errors
    /// Of [`StorageKey::read`], and when its content is not a key.
    pub fn read(dir: &Path, role: Role, storage: &StorageKey) -> Result<LogKey, StoreError> {
        let path = Self::path(dir, role);
        let pkcs8 = storage.read(&path, &kind(role))?;
        Self::from_pkcs8(role, pkcs8).ok_or(StoreError::Damaged { path })
    }

    /// The file of a role's key in a directory: `log-node.age`.
    pub fn path(dir: &Path, role: Role) -> PathBuf {
        dir.join(format!("log-{}.age", role.name()))
    }

    fn from_pkcs8(role: Role, pkcs8: Zeroizing<Vec<u8>>) -> Option<LogKey> {
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).ok()?;
        Some(LogKey { role, pair, pkcs8 })
    }
}

impl Signer for LogKey {
    fn public_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        key
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(message).as_ref());
        signature
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
