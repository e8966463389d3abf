//! A roster owner's records and rows: what the matcher compares without rows, and what the aggregator counts without
//! tags.
//!
//! For each person and channel there is one *record*; the records of a class, all its channels together, get random
//! *handles*. The matcher receives (tag, handle), the aggregator the rows of each handle.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use wugan_protocol::{
    chance::{Purpose, RoundSeed, Words, permutation},
    file::{FileKey, Header},
    hexes::Digest,
    party::MemberNumber,
    person::PersonId,
    policy::{Channel, Class, MatterRound, Policy},
    run::{FURTHER_ROW, record},
    statement::SourceEpoch,
    tag::{TAG_BYTES, Tag, TagContext},
};
use wugan_transport::rounds::{Made, Rounds};

use crate::{cache::Cache, snapshot::Snapshot, sorter::Sorter, vault::Vault};

/// What makes an owner's files of one round.
pub struct RowMaker<'a> {
    /// Where the files go.
    pub rounds: &'a Rounds,
    /// Where spills go.
    pub spill: &'a Vault,
    /// Known matching keys.
    pub cache: &'a Cache,
    /// The policy.
    pub policy: &'a Policy,
    /// The round's hash.
    pub round: Digest,
    /// The round id.
    pub id: [u8; 16],
    /// The round's seed.
    pub seed: &'a RoundSeed,
    /// The owner.
    pub owner: MemberNumber,
    /// The owner's matters in this round, in the policy's order.
    pub matters: &'a [MatterRound],
    /// Every source on the list, in the epoch that the round names.
    pub sources: &'a BTreeMap<MemberNumber, SourceEpoch>,
}

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

/// The people of a round who are enrolled, and their rows.
pub struct RowMap {
    /// Ascending by person and matter.
    rows: Vec<RowOf>,
    /// Where each person's rows begin, and the end.
    people: Vec<usize>,
    /// Rows of each matter.
    counts: Vec<u32>,
}

impl RowMaker<'_> {
    /// The rows of those people of the snapshot who are enrolled with every source on the list.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn map(&self, snapshot: &Snapshot) -> io::Result<RowMap> {
        let mut people = snapshot.people();
        for source in self.sources.values() {
            let unknown: BTreeSet<PersonId> = self.cache.unknown(*source, &people)?.into_iter().collect();
            people.retain(|person| !unknown.contains(person));
        }
        let rows = snapshot.rows().iter().filter(|(person, _)| people.binary_search(person).is_ok());
        Ok(self.number(rows.map(|(person, matter)| RowOf { person: *person, matter: *matter, row: 0 }).collect()))
    }

    /// Makes every file of the owner: records of each channel, row lists of each class.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn make(&self, map: &RowMap) -> io::Result<Vec<Made>> {
        let mut made = Vec::new();
        for class in Class::ALL {
            made.extend(self.make_class(map, class)?);
        }
        Ok(made)
    }

    /// Rows of one matter are contiguous, matters in the policy's order, permuted at random inside a matter.
    fn number(&self, mut rows: Vec<RowOf>) -> RowMap {
        let numbers = self.policy.matters_of(self.owner).map(|matter| matter.number);
        let (mut counts, mut offset) = (Vec::new(), 0);
        for (place, matter) in (0..).zip(numbers) {
            let count = rows.iter().filter(|row| row.matter == place).count();
            let key = self.seed.derive(&self.round.0, Purpose::RowOrder { owner: self.owner, matter });
            let of_matter = rows.iter_mut().filter(|row| row.matter == place);
            of_matter.zip(permutation(&key, count)).for_each(|(row, rank)| row.row = offset + rank);
            offset += count as u32;
            counts.push(count as u32);
        }
        RowMap::new(rows, counts)
    }

    fn make_class(&self, map: &RowMap, class: Class) -> io::Result<Vec<Made>> {
        let channels: Vec<Applying> = self.channels(class);
        let mut items = Sorter::new(self.spill, MEMORY_BYTES);
        let key = self.seed.derive(&self.round.0, Purpose::Handles { owner: self.owner, class: class.index() as u8 });
        let mut words = Words::new(&key).zip(0..);
        let (mut counts, mut list_words) = (vec![0; channels.len()], 0);
        for (place, channel) in channels.iter().enumerate() {
            self.for_each_tag(map, channel, |person, tag| {
                let (word, number) = words.next().ok_or(io::ErrorKind::UnexpectedEof)?;
                counts[place] += 1;
                list_words += channel.rows(map, person).count() as u64;
                items.push(Item { word, number, person: person as u32, channel: place as u16, tag }.encode())
            })?;
        }
        let mut records = Sorter::new(self.spill, MEMORY_BYTES);
        let rows = FileKey::Rows { owner: self.owner, class };
        let header = self.header(rows, list_words, map.counts.clone());
        let mut made = vec![self.rounds.make(self.round, rows, &header, |out| {
            for (handle, item) in (0..).zip(items.sorted()?) {
                let item = Item::decode(&item?);
                let channel = &channels[usize::from(item.channel)];
                for (further, row) in channel.rows(map, item.person as usize).enumerate() {
                    let mark = if further == 0 { 0 } else { FURTHER_ROW };
                    out.write(&(row | mark).to_le_bytes())?;
                }
                records.push(channel_record(item.channel, item.tag, handle))?;
            }
            Ok(())
        })?];
        let mut sorted = records.sorted()?;
        for (channel, count) in channels.iter().zip(counts) {
            let file = FileKey::Records { owner: self.owner, channel: channel.number };
            let header = self.header(file, count, Vec::new());
            made.push(self.rounds.make(self.round, file, &header, |out| {
                let of_channel = sorted.by_ref().take(count as usize);
                of_channel.map(|item| item.map(|item| out.write(&item[2..]))).try_for_each(Result::flatten)
            })?);
        }
        Ok(made)
    }

    /// Calls `each` for every person (by place) with rows at a matter of the channel, with the person's tag.
    fn for_each_tag(
        &self,
        map: &RowMap,
        channel: &Applying,
        mut each: impl FnMut(usize, Tag) -> io::Result<()>,
    ) -> io::Result<()> {
        let source = self.sources.get(&channel.source).ok_or_else(|| io::Error::other("a source has no epoch"))?;
        let group = self.policy.groups[usize::from(self.owner)].unwrap_or(0);
        let context = TagContext { round: self.id, group, channel: channel.number };
        let places: Vec<usize> = (0..map.len()).filter(|person| channel.rows(map, *person).next().is_some()).collect();
        let people: Vec<PersonId> = places.iter().map(|person| map.person(*person)).collect();
        let mut places = places.into_iter();
        self.cache.look_up(*source, &people, |_, key| {
            let missing = || io::Error::other("the matching key of an enrolled person is missing");
            each(places.next().ok_or_else(missing)?, context.tag(key.ok_or_else(missing)?))
        })
    }

    /// The channels of a class that are present at one of the owner's matters.
    fn channels(&self, class: Class) -> Vec<Applying> {
        let applying = |channel: &Channel| Applying {
            number: channel.number,
            source: channel.source,
            matters: self.matters.iter().map(|matter| matter.present().contains(&channel.number)).collect(),
        };
        let channels = self.policy.channels.iter().filter(|channel| channel.class == class).map(applying);
        channels.filter(|channel| channel.matters.contains(&true)).collect()
    }

    fn header(&self, file: FileKey, count: u64, rows: Vec<u32>) -> Header {
        Header { salt: self.seed.derive(&self.round.0, Purpose::Salt(file)), count, rows }
    }
}

impl RowMap {
    fn new(rows: Vec<RowOf>, counts: Vec<u32>) -> RowMap {
        let begins = |place: &usize| *place == 0 || rows[*place - 1].person != rows[*place].person;
        let people = (0..rows.len()).filter(begins).chain([rows.len()]).collect();
        RowMap { rows, people, counts }
    }

    /// Rows, ascending by person and matter.
    pub fn rows(&self) -> &[RowOf] {
        &self.rows
    }

    fn len(&self) -> usize {
        self.people.len() - 1
    }

    fn person(&self, place: usize) -> PersonId {
        self.rows[self.people[place]].person
    }
}

/// A channel and at which of the owner's matters it is present.
struct Applying {
    number: u16,
    source: MemberNumber,
    matters: Vec<bool>,
}

impl Applying {
    /// The rows, ascending, that a person's record of this channel serves.
    fn rows<'a>(&'a self, map: &'a RowMap, person: usize) -> impl Iterator<Item = u32> + 'a {
        let rows = &map.rows[map.people[person]..map.people[person + 1]];
        rows.iter().filter(|row| self.matters[usize::from(row.matter)]).map(|row| row.row)
    }
}

/// A record before it has its handle: items of a class in the order of (word, number).
struct Item {
    word: u64,
    number: u32,
    person: u32,
    channel: u16,
    tag: Tag,
}

impl Item {
    fn encode(&self) -> [u8; ITEM_BYTES] {
        let mut bytes = [0; ITEM_BYTES];
        bytes[..8].copy_from_slice(&self.word.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.number.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.person.to_be_bytes());
        bytes[16..18].copy_from_slice(&self.channel.to_be_bytes());
        bytes[18..].copy_from_slice(&self.tag);
        bytes
    }

    fn decode(bytes: &[u8; ITEM_BYTES]) -> Item {
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&bytes[18..]);
        let word = |from: usize| u32::from_be_bytes(std::array::from_fn(|place| bytes[from + place]));
        Item {
            word: u64::from(word(0)) << 32 | u64::from(word(4)),
            number: word(8),
            person: word(12),
            channel: u16::from_be_bytes([bytes[16], bytes[17]]),
            tag,
        }
    }
}

fn channel_record(channel: u16, tag: Tag, handle: u32) -> [u8; 18] {
    let mut bytes = [0; 18];
    bytes[..2].copy_from_slice(&channel.to_be_bytes());
    bytes[2..].copy_from_slice(&record(tag, handle));
    bytes
}

const ITEM_BYTES: usize = 30;
/// Items held in memory by each of the two sorters.
const MEMORY_BYTES: usize = 64 << 20;
