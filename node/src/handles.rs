//! Which of a person's records has which handle: found again from the round's seed and row map, for one person.

use std::{collections::BTreeMap, io};

use wugan_protocol::{
    chance::{Purpose, RoundSeed, Words},
    hexes::Digest,
    party::MemberNumber,
    person::PersonId,
    policy::{Class, MatterRound, Policy},
};

use crate::{rowmap::RowMap, rows::applying};

/// What decided the handles of an owner's records in a round.
pub struct Handles<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The owner.
    pub owner: MemberNumber,
    /// The round's hash.
    pub round: Digest,
    /// The round's seed.
    pub seed: &'a RoundSeed,
    /// The owner's matters in the round.
    pub matters: &'a [MatterRound],
}

impl Handles<'_> {
    /// The channel of each of a person's records in a class, by the record's handle.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn of(&self, map: &RowMap<'_>, class: Class, person: PersonId) -> io::Result<BTreeMap<u32, u16>> {
        let (mut count, mut own) = (0_u32, BTreeMap::new());
        for channel in applying(self.policy, self.matters, class) {
            let mut last = None;
            for row in channel.rows(map)? {
                let (of, _) = row?;
                if last.replace(of) == Some(of) {
                    continue;
                }
                if of == person {
                    own.insert(count, channel.number);
                }
                count += 1;
            }
        }
        let mut places: Vec<(u64, u32)> =
            self.words(class).zip(0..count).filter(|(_, number)| own.contains_key(number)).collect();
        places.sort_unstable();
        // A record's handle is the number of records before it in the order of (word, number).
        let mut before = vec![0_u32; places.len()];
        for item in self.words(class).zip(0..count) {
            let behind = places.partition_point(|place| *place <= item);
            before[behind..].iter_mut().for_each(|before| *before += 1);
        }
        let channel = |(_, number): &(u64, u32)| own.get(number).copied();
        Ok(before.into_iter().zip(&places).filter_map(|(handle, place)| Some((handle, channel(place)?))).collect())
    }

    fn words(&self, class: Class) -> Words {
        let handles = Purpose::Handles { owner: self.owner, class: class.index() as u8 };
        Words::new(&self.seed.derive(&self.round.0, handles))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use wugan_keys::StorageKey;
    use wugan_protocol::{
        file::FileKey,
        hexes::Hex,
        oprf::MatchingKey,
        run::{FURTHER_ROW, Items, Records, handle},
        statement::SourceEpoch,
        tag::TagContext,
        testing::World,
    };
    use wugan_transport::rounds::Rounds;

    use super::*;
    use crate::{
        cache::Cache,
        rowmap::RowOf,
        rows::RowMaker,
        snapshot::{Snapshot, roster_row},
        sorter::Sorter,
        vault::Vault,
    };

    const ROUND: Digest = Hex([5; 32]);
    const PEOPLE: u64 = 60;

    fn person(i: u64) -> PersonId {
        PersonId::from_u64(34_169_919_500_101_000 + i).unwrap()
    }

    fn key(i: u64) -> MatchingKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&i.to_le_bytes());
        MatchingKey::from_bytes(bytes)
    }

    /// Person i has a row at `pension`, and every third also one at `allowance`, which leaves some channels out.
    fn at(i: u64) -> Vec<u16> {
        if i.is_multiple_of(3) { vec![0, 1] } else { vec![0] }
    }

    /// What a handle of a class stands for in the files: channel, tag and rows.
    type InFiles = BTreeMap<u32, (u16, [u8; 12], BTreeSet<u32>)>;

    fn in_files(
        rounds: &Rounds,
        owner: MemberNumber,
        policy: &Policy,
        matters: &[MatterRound],
        class: Class,
    ) -> InFiles {
        let mut rows: Vec<BTreeSet<u32>> = Vec::new();
        let mut words: Items<_, 4> =
            Items::open(rounds.open(ROUND, FileKey::Rows { owner, class }).unwrap(), matters.len()).unwrap();
        while let Some(word) = words.next().unwrap() {
            let word = u32::from_le_bytes(word);
            if word & FURTHER_ROW == 0 {
                rows.push(BTreeSet::new());
            }
            rows.last_mut().unwrap().insert(word & !FURTHER_ROW);
        }
        let mut found = InFiles::new();
        for channel in applying(policy, matters, class) {
            let file = rounds.open(ROUND, FileKey::Records { owner, channel: channel.number }).unwrap();
            let mut records = Records::open(file).unwrap();
            while let Some(record) = records.next().unwrap() {
                let (handle, tag) = (handle(&record), record[..12].try_into().unwrap());
                found.insert(handle, (channel.number, tag, rows[handle as usize].clone()));
            }
        }
        assert_eq!(found.len(), rows.len());
        found
    }

    #[test]
    fn handles_are_those_of_the_files() {
        let world = World::new();
        let (policy, owner) = (world.policy(), world.node("bureau").member);
        let matters = policy.matter_rounds(owner, &(1..=10).collect());
        let folder = tempfile::tempdir().unwrap();
        let storage = StorageKey::generate();
        let vault = |kind| Vault::new(folder.path(), kind, &storage);
        let (sealed, spill, cache) = (vault("sealed"), vault("spill"), Cache::new(vault("cache")));
        let source = |source| SourceEpoch { source, epoch: 1 };
        let sources: BTreeMap<MemberNumber, SourceEpoch> = (0..5).map(|number| (number, source(number))).collect();
        let keys: Vec<_> = (0..PEOPLE).map(|i| (person(i), key(i))).collect();
        sources.values().for_each(|source| cache.add(*source, &keys).unwrap());
        let mut roster = Sorter::new(&spill, 1 << 20);
        (0..PEOPLE).for_each(|i| at(i).into_iter().for_each(|m| roster.push(roster_row(person(i), m)).unwrap()));
        let snapshot = Snapshot::of(&sealed, ROUND);
        snapshot.save(roster.sorted().unwrap()).unwrap();
        let (rounds, seed) = (Rounds::new(folder.path().join("rounds")), RoundSeed::new([6; 32]));
        let (policy, spill, cache, matters, sources) = (&*policy, &spill, &cache, &*matters, &sources);
        let (id, round, seed) = ([3; 16], ROUND, &seed);
        let maker = RowMaker { rounds: &rounds, spill, cache, policy, round, id, seed, owner, matters, sources };
        let map = RowMap::of(&sealed, ROUND);
        let counts = maker.number(&snapshot, &map).unwrap();
        maker.make(&map, &counts).unwrap();
        let rows: Vec<RowOf> = map.rows().unwrap().map(Result::unwrap).collect();

        let handles = Handles { policy, owner, round, seed, matters };
        let group = policy.groups[usize::from(owner)].unwrap();
        for class in Class::ALL {
            let expected = in_files(&rounds, owner, policy, matters, class);
            let mut found = InFiles::new();
            for i in 0..PEOPLE {
                for (handle, channel) in handles.of(&map, class, person(i)).unwrap() {
                    let here = |row: &&RowOf| matters[usize::from(row.matter)].present().contains(&channel);
                    let own = rows.iter().filter(|row| row.person == person(i)).filter(here).map(|row| row.row);
                    let tag = TagContext { round: id, group, channel }.tag(&key(i));
                    found.insert(handle, (channel, tag, own.collect()));
                }
            }
            assert_eq!(found, expected, "{class}");
        }
        assert!(handles.of(&map, Class::StrongNegative, person(PEOPLE)).unwrap().is_empty());
    }
}
