//! The row map of a round: which row stands for whom. It never leaves the roster owner, lies sealed on the disk, and is
//! read in order.

use std::io;

use wugan_protocol::{
    at_rest::{self, ROW_MAP_ROW_BYTES as ROW_BYTES},
    chance::{Purpose, RoundSeed, Words},
    hexes::Digest,
    party::MemberNumber,
    person::PersonId,
    policy::Policy,
};

use crate::{
    sorter::Sorter,
    vault::{Vault, person_bytes, person_of, write_items},
};

/// The row of a person at a matter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RowOf {
    /// The person.
    pub person: PersonId,
    /// The matter's place among the owner's.
    pub matter: u16,
    /// The row.
    pub row: u32,
}

/// The rows of a round, ascending by person and matter.
pub struct RowMap<'a> {
    vault: &'a Vault,
    name: String,
}

/// What decides which row stands for whom.
pub struct Numbering<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The owner.
    pub owner: MemberNumber,
    /// The round's hash.
    pub round: Digest,
    /// The round's seed.
    pub seed: &'a RoundSeed,
}

impl RowMap<'_> {
    /// The row map of a round, which may not be made yet.
    pub fn of(vault: &Vault, round: Digest) -> RowMap<'_> {
        RowMap { vault, name: at_rest::row_map(round) }
    }

    /// Gives a row to each of `people`, who are ascending by person and matter (its place among the owner's), and seals
    /// the map: rows of one matter are contiguous, matters in the policy's order, permuted at random inside a matter.
    /// Returns the number of rows of each matter.
    ///
    /// # Errors
    /// Those of the disk and of `people`.
    pub fn make(
        &self,
        people: impl Iterator<Item = io::Result<(PersonId, u16)>>,
        numbering: &Numbering<'_>,
        spill: &Vault,
    ) -> io::Result<Vec<u32>> {
        let mut words = numbering.words();
        let mut counts = vec![0; words.len()];
        let mut order = Sorter::new(spill, MEMORY_BYTES);
        for row in people {
            let (person, matter) = row?;
            let place = usize::from(matter);
            let unknown = || io::Error::other("the snapshot names a matter that this owner does not have");
            let word = words.get_mut(place).and_then(Iterator::next).ok_or_else(unknown)?;
            order.push(ordered(matter, word, counts[place], person))?;
            counts[place] += 1;
        }
        let mut rows = Sorter::new(spill, MEMORY_BYTES);
        for (row, item) in (0..).zip(order.sorted()?) {
            rows.push(numbered(&item?, row))?;
        }
        self.vault.write(&self.name, |out| write_items(out, rows.sorted()?))?;
        Ok(counts)
    }

    /// The rows.
    ///
    /// # Errors
    /// A map that is not there; each row, those of the disk.
    pub fn rows(&self) -> io::Result<impl Iterator<Item = io::Result<RowOf>> + use<>> {
        let items = self.vault.items::<ROW_BYTES>(&self.name)?;
        Ok(items.map(|item| decode(&item?)))
    }
}

impl Numbering<'_> {
    /// For each matter of the owner, the words whose order is the order of its rows.
    fn words(&self) -> Vec<Words> {
        let key = |matter| self.seed.derive(&self.round.0, Purpose::RowOrder { owner: self.owner, matter });
        self.policy.matters_of(self.owner).map(|matter| Words::new(&key(matter.number))).collect()
    }
}

/// Matter, word, the person's number inside the matter, person: sorted, these are the rows in their order.
fn ordered(matter: u16, word: u64, number: u32, person: PersonId) -> [u8; ORDERED_BYTES] {
    let mut item = [0; ORDERED_BYTES];
    item[..2].copy_from_slice(&matter.to_be_bytes());
    item[2..10].copy_from_slice(&word.to_be_bytes());
    item[10..14].copy_from_slice(&number.to_be_bytes());
    item[14..].copy_from_slice(&person_bytes(person));
    item
}

/// Person, matter and row, from an item in its place.
fn numbered(item: &[u8; ORDERED_BYTES], row: u32) -> [u8; ROW_BYTES] {
    let mut numbered = [0; ROW_BYTES];
    numbered[..8].copy_from_slice(&item[14..]);
    numbered[8..10].copy_from_slice(&item[..2]);
    numbered[10..].copy_from_slice(&row.to_be_bytes());
    numbered
}

fn decode(item: &[u8; ROW_BYTES]) -> io::Result<RowOf> {
    Ok(RowOf {
        person: person_of(item)?,
        matter: u16::from_be_bytes([item[8], item[9]]),
        row: u32::from_be_bytes([item[10], item[11], item[12], item[13]]),
    })
}

const ORDERED_BYTES: usize = 22;
/// Items held in memory by each of two sorters.
const MEMORY_BYTES: usize = 32 << 20;
