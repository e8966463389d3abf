//! A roster owner's people for one round: who has rows at which of its matters, as the roster stood when the round was
//! accepted.

use std::io;

use wugan_protocol::person::PersonId;

use crate::vault::{Vault, read_items, write_items};

/// People and their matters, by person and matter, each pair once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    rows: Vec<(PersonId, u16)>,
}

impl Snapshot {
    /// The snapshot of these rows: person, and the matter's place among the owner's.
    pub fn new(mut rows: Vec<(PersonId, u16)>) -> Snapshot {
        rows.sort_unstable();
        rows.dedup();
        Snapshot { rows }
    }

    /// Person and matter of each row, ascending.
    pub fn rows(&self) -> &[(PersonId, u16)] {
        &self.rows
    }

    /// Each person once, ascending.
    pub fn people(&self) -> Vec<PersonId> {
        let mut people: Vec<PersonId> = self.rows.iter().map(|(person, _)| *person).collect();
        people.dedup();
        people
    }

    /// Seals the snapshot.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn save(&self, vault: &Vault, name: &str) -> io::Result<()> {
        vault.write(name, |out| write_items(out, self.rows.iter().map(|row| encode(*row))))
    }

    /// Reads a snapshot, if it was made.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn load(vault: &Vault, name: &str) -> io::Result<Option<Snapshot>> {
        let Some(file) = vault.open_existing(name)? else { return Ok(None) };
        let items = read_items::<ROW_BYTES>(file)?;
        let rows: Option<Vec<_>> = items.iter().map(decode).collect();
        let damaged = || io::Error::other("a sealed roster snapshot is damaged");
        Ok(Some(Snapshot { rows: rows.ok_or_else(damaged)? }))
    }
}

const ROW_BYTES: usize = 10;

fn encode((person, matter): (PersonId, u16)) -> [u8; ROW_BYTES] {
    let mut item = [0; ROW_BYTES];
    item[..8].copy_from_slice(&person.to_u64().to_be_bytes());
    item[8..].copy_from_slice(&matter.to_be_bytes());
    item
}

fn decode(item: &[u8; ROW_BYTES]) -> Option<(PersonId, u16)> {
    let (person, matter) = item.split_first_chunk()?;
    Some((PersonId::from_u64(u64::from_be_bytes(*person))?, u16::from_be_bytes(*matter.first_chunk()?)))
}
