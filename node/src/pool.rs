//! Pools: the people of one channel as tags, one file for each pool group.

use std::io;

use wugan_protocol::{
    chance::{Purpose, RoundSeed},
    file::{FileKey, Header},
    hexes::Digest,
    oprf::{SecretKey, evaluate_direct},
    person::PersonId,
    statement::SourceEpoch,
    tag::{TAG_BYTES, TagContext},
};
use wugan_transport::rounds::{Made, Rounds};

use crate::{cache::Cache, sorter::Sorter, vault::Vault};

/// What makes a node's pools of one round.
pub struct PoolMaker<'a> {
    /// Where the files go.
    pub rounds: &'a Rounds,
    /// Where spills go.
    pub spill: &'a Vault,
    /// Known matching keys.
    pub cache: &'a Cache,
    /// The round's hash.
    pub round: Digest,
    /// The round id.
    pub id: [u8; 16],
    /// The round's seed.
    pub seed: &'a RoundSeed,
    /// This source in the epoch that the round names.
    pub source: SourceEpoch,
    /// How many pool groups there are.
    pub groups: u8,
}

impl PoolMaker<'_> {
    /// Makes a channel's pools from its people (ascending, distinct), whose keys are all known.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn make(&self, channel: u16, people: impl Iterator<Item = io::Result<PersonId>>) -> io::Result<Vec<Made>> {
        let mut sorters: Vec<_> =
            (0..self.groups).map(|_| Sorter::<TAG_BYTES>::new(self.spill, MEMORY_BYTES)).collect();
        self.cache.look_up(self.source, people.map(|person| Ok((person?, ()))), |_, key| {
            let key = key.ok_or_else(|| io::Error::other("a matching key of this source's own is missing"))?;
            for (group, sorter) in (0..).zip(&mut sorters) {
                sorter.push(TagContext { round: self.id, group, channel }.tag(key))?;
            }
            Ok(())
        })?;
        let files = (0..).zip(sorters).map(|(group, sorter)| self.write(FileKey::Pool { channel, group }, sorter));
        files.collect()
    }

    fn write(&self, file: FileKey, sorter: Sorter<TAG_BYTES>) -> io::Result<Made> {
        let salt = self.seed.derive(&self.round.0, Purpose::Salt(file));
        let header = Header { salt, count: sorter.count(), rows: Vec::new() };
        self.rounds.make(self.round, file, &header, |out| sorter.sorted()?.try_for_each(|tag| out.write(&tag?)))
    }
}

/// Makes sure that the cache holds this source's own key for each of `people` (ascending); returns how many it
/// evaluated.
///
/// # Errors
/// Those of the disk.
pub fn evaluate_unknown(
    cache: &Cache,
    source: SourceEpoch,
    key: &SecretKey,
    people: impl Iterator<Item = io::Result<PersonId>>,
) -> io::Result<u64> {
    let (mut evaluated, mut unknown) = (0, Vec::new());
    let mut evaluate = |people: &mut Vec<PersonId>| {
        evaluated += people.len() as u64;
        let keys = evaluate_direct(key, &inputs(people));
        let entries: Vec<_> = people.drain(..).zip(keys).collect();
        if entries.is_empty() { Ok(()) } else { cache.add(source, &entries) }
    };
    cache.look_up(source, people.map(|person| Ok((person?, ()))), |(person, ()), key| {
        unknown.extend(key.is_none().then_some(person));
        if unknown.len() < PEOPLE_AT_ONCE { Ok(()) } else { evaluate(&mut unknown) }
    })?;
    evaluate(&mut unknown)?;
    Ok(evaluated)
}

/// People as the OPRF takes them.
pub fn inputs(people: &[PersonId]) -> Vec<[u8; 24]> {
    people.iter().map(PersonId::oprf_input).collect()
}

/// Tags held in memory for each group; a city's largest channel spills a few chunks.
const MEMORY_BYTES: usize = 32 << 20;
/// People whose keys are made and sealed together: large enough to share inversions, small enough for memory.
const PEOPLE_AT_ONCE: usize = 65_536;
