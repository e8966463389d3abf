//! What a service opens at its start: all secrets of one role.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use wugan_protocol::{envelope::Signers, party::Role};

use crate::{
    epoch::EpochKey,
    identity::Identity,
    log_key::LogKey,
    store::{self, Custody, StorageKey, StoreError},
};

/// The secrets of one role of one member.
#[derive(Debug)]
pub struct PartyKeys {
    /// Opens and seals everything else.
    pub storage: StorageKey,
    /// Signs documents and shows itself in TLS.
    pub identity: Arc<Identity>,
    /// Signs trees of the log.
    pub log: Arc<LogKey>,
    /// OPRF keys by epoch; none for servers, which have no use for a source's key.
    pub epochs: BTreeMap<u32, EpochKey>,
}

impl PartyKeys {
    /// Opens a directory as the environment says (see [`Custody::from_env`]).
    ///
    /// # Errors
    /// [`StoreError`] of the first file that does not open.
    pub fn open(dir: &Path, role: Role) -> Result<PartyKeys, StoreError> {
        Self::open_with(dir, role, &Custody::from_env())
    }

    /// Opens a directory.
    ///
    /// # Errors
    /// [`StoreError`] of the first file that does not open.
    pub fn open_with(dir: &Path, role: Role, custody: &Custody) -> Result<PartyKeys, StoreError> {
        let storage = StorageKey::open(dir, custody)?;
        let identity = Arc::new(Identity::read(dir, role, &storage)?);
        let log = Arc::new(LogKey::read(dir, role, &storage)?);
        let numbers = if role == Role::Node { epoch_numbers(dir)? } else { Vec::new() };
        let epochs = numbers.into_iter().map(|number| Ok((number, EpochKey::read(dir, number, &storage)?)));
        let epochs = epochs.collect::<Result<_, StoreError>>()?;
        Ok(PartyKeys { storage, identity, log, epochs })
    }

    /// The two keys that sign.
    pub fn signers(&self) -> Signers {
        Signers { identity: self.identity.clone(), log: self.log.clone() }
    }
}

/// The epochs that a directory has, ascending.
pub(crate) fn epoch_numbers(dir: &Path) -> Result<Vec<u32>, StoreError> {
    let mut numbers: Vec<u32> = store::list(dir)?.iter().filter_map(|name| EpochKey::number_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use getrandom::{SysRng, rand_core::UnwrapErr};

    #[test]
    fn opens_all_that_a_role_needs_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let custody = Custody::key_files();
        let storage = StorageKey::open_or_create(dir.path(), &custody).unwrap();
        for role in [Role::Node, Role::Coordinator] {
            Identity::generate("office", role).unwrap().write(dir.path(), &storage).unwrap();
            LogKey::generate(role).unwrap().write(dir.path(), &storage).unwrap();
        }
        for number in [10, 2, 9] {
            EpochKey::generate(number, &mut UnwrapErr(SysRng)).write(dir.path(), &storage).unwrap();
        }
        let node = PartyKeys::open_with(dir.path(), Role::Node, &custody).unwrap();
        assert_eq!(node.epochs.keys().copied().collect::<Vec<_>>(), [2, 9, 10]);
        let coordinator = PartyKeys::open_with(dir.path(), Role::Coordinator, &custody).unwrap();
        assert!(coordinator.epochs.is_empty());
        assert!(matches!(PartyKeys::open_with(dir.path(), Role::Matcher, &custody), Err(StoreError::Io { .. })));
        assert!(
            format!("{node:?}").starts_with("PartyKeys { storage: StorageKey(redacted), identity: Identity(office")
        );
    }
}
