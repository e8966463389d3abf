//! Pools: the people of one channel as tags, one file for each pool group.

use std::{io, num::NonZeroU64};

use wugan_protocol::{
    chance::{Purpose, RoundSeed, padding_tags},
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
    /// If there are size classes: random tags pad each pool up to a multiple of this.
    pub size_step: Option<NonZeroU64>,
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

    fn write(&self, file: FileKey, mut sorter: Sorter<TAG_BYTES>) -> io::Result<Made> {
        let padding = self.size_step.map_or(0, |step| sorter.count().next_multiple_of(step.get()) - sorter.count());
        let key = self.seed.derive(&self.round.0, Purpose::PoolPadding(file));
        // Tags are random: that two are equal, and the matcher refuses the pool, is as likely as a false match.
        (0..padding).zip(padding_tags(&key)).try_for_each(|(_, tag)| sorter.push(tag))?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{collections::BTreeSet, fs};

    use wugan_keys::StorageKey;
    use wugan_protocol::{hexes::Hex, oprf::MatchingKey, tag::Tag};

    use super::*;

    const SOURCE: SourceEpoch = SourceEpoch { source: 1, epoch: 1 };
    const CHANNEL: u16 = 7;

    fn people(n: u64) -> Vec<PersonId> {
        (0..n).map(|i| PersonId::from_u64(34_169_919_500_101_000 + i).unwrap()).collect()
    }

    fn key(i: u64) -> MatchingKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&i.to_le_bytes());
        MatchingKey::from_bytes(bytes)
    }

    /// The bytes of two groups' pools of `n` people.
    fn pools(n: u64, size_step: Option<u64>) -> Vec<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let vault = |kind| Vault::new(folder.path(), kind, &StorageKey::generate());
        let cache = Cache::new(vault("cache"));
        cache.add(SOURCE, &people(n).into_iter().zip((0..n).map(key)).collect::<Vec<_>>()).unwrap();
        let rounds = Rounds::new(folder.path().join("rounds"));
        let (round, seed) = (Hex([5; 32]), RoundSeed::new([6; 32]));
        let maker = PoolMaker {
            rounds: &rounds,
            spill: &vault("spill"),
            cache: &cache,
            round,
            id: [5; 16],
            seed: &seed,
            source: SOURCE,
            groups: 2,
            size_step: size_step.and_then(NonZeroU64::new),
        };
        let made = maker.make(CHANNEL, people(n).into_iter().map(Ok)).unwrap();
        made.iter().map(|made| fs::read(rounds.path(round, made.file)).unwrap()).collect()
    }

    /// A pool's tags, as many as its header says.
    fn tags(pool: &[u8]) -> Vec<Tag> {
        let (header, tags) = pool.split_at(Header::bytes(0));
        let tags = tags.as_chunks().0.to_vec();
        assert_eq!(Header::decode(header, 0).unwrap().count, tags.len() as u64);
        tags
    }

    #[test]
    fn a_pool_holds_the_tag_of_each_person_in_order() {
        for (group, pool) in (0..).zip(pools(1_000, None)) {
            let context = TagContext { round: [5; 16], group, channel: CHANNEL };
            let mut expected: Vec<Tag> = (0..1_000).map(|i| context.tag(&key(i))).collect();
            expected.sort_unstable();
            assert_eq!(tags(&pool), expected);
        }
    }

    #[test]
    fn random_tags_pad_a_pool_to_its_size_class() {
        let (plain, padded) = (pools(1_000, None), pools(1_000, Some(300)));
        for (group, (plain, padded)) in (0..).zip(plain.iter().zip(&padded)) {
            let all = tags(padded);
            assert_eq!(all.len(), 1_200);
            assert!(all.is_sorted_by(|one, next| one < next), "distinct, and in order");
            let people: BTreeSet<Tag> = tags(plain).into_iter().collect();
            let padding: BTreeSet<Tag> = all.into_iter().filter(|tag| !people.contains(tag)).collect();
            let file = FileKey::Pool { channel: CHANNEL, group };
            let derived = RoundSeed::new([6; 32]).derive(&[5; 32], Purpose::PoolPadding(file));
            assert_eq!(padding, padding_tags(&derived).take(200).collect(), "all people stay, the rest is derived");
        }
        assert_eq!(padded, pools(1_000, Some(300)), "the same bytes again");
    }

    #[test]
    fn a_full_or_empty_size_class_is_not_padded() {
        assert_eq!(pools(600, Some(300)), pools(600, None));
        assert_eq!(pools(0, Some(300)), pools(0, None), "an outage stays visible");
        assert_eq!(tags(&pools(601, Some(300))[0]).len(), 900);
    }
}
