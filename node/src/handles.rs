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
