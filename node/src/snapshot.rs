//! A roster owner's people for one round: who has rows at which of its matters, as the roster stood when the round was
//! accepted. Sealed, and read from the disk in order: no roster lies in memory.

use std::io;

use wugan_protocol::{
    at_rest::{self, SNAPSHOT_ROW_BYTES as ROW_BYTES},
    hexes::Digest,
    person::PersonId,
};

use crate::{
    sorter::Sorted,
    vault::{Vault, person_bytes, person_of, write_items},
};

/// People and their matters, by person and matter, each pair once.
pub struct Snapshot<'a> {
    vault: &'a Vault,
    name: String,
}

impl Snapshot<'_> {
    /// The snapshot of a round, which may not be made yet.
    pub fn of(vault: &Vault, round: Digest) -> Snapshot<'_> {
        Snapshot { vault, name: at_rest::snapshot(round) }
    }

    /// Whether it was made.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn exists(&self) -> io::Result<bool> {
        Ok(self.vault.open_existing(&self.name)?.is_some())
    }

    /// Seals these rows (see [`roster_row`]), those that are equal once.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn save(&self, rows: Sorted<ROW_BYTES>) -> io::Result<()> {
        self.vault.write(&self.name, |out| write_items(out, rows.distinct()))
    }

    /// Person and matter of each row, ascending.
    ///
    /// # Errors
    /// A snapshot that is not there; each row, those of the disk.
    pub fn rows(&self) -> io::Result<impl Iterator<Item = io::Result<(PersonId, u16)>> + use<>> {
        let gone = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => io::Error::other("the sealed roster snapshot of this round is gone"),
            _ => error,
        };
        let items = self.vault.items::<ROW_BYTES>(&self.name).map_err(gone)?;
        Ok(items.map(|item| {
            let item = item?;
            Ok((person_of(&item)?, u16::from_be_bytes([item[8], item[9]])))
        }))
    }

    /// Each person once, ascending.
    ///
    /// # Errors
    /// As [`Snapshot::rows`].
    pub fn people(&self) -> io::Result<impl Iterator<Item = io::Result<PersonId>> + use<>> {
        let mut last = None;
        let people = self.rows()?.map(|row| row.map(|(person, _)| person));
        Ok(people.filter(move |person| match person {
            Ok(person) => last.replace(*person) != Some(*person),
            Err(_) => true,
        }))
    }
}

/// A row as a snapshot holds it: the person, and the matter's place among the owner's, both big-endian.
pub fn roster_row(person: PersonId, matter: u16) -> [u8; ROW_BYTES] {
    let mut item = [0; ROW_BYTES];
    item[..8].copy_from_slice(&person_bytes(person));
    item[8..].copy_from_slice(&matter.to_be_bytes());
    item
}
