//! A roster owner's records and rows: what the matcher compares without rows, and what the aggregator counts without
//! tags.
//!
//! For each person and channel there is one *record*; the records of a class, all its channels together, get random
//! *handles*. The matcher receives (tag, handle), the aggregator the rows of each handle.

use std::{collections::BTreeMap, io};

use wugan_protocol::{
    chance::{Purpose, RoundSeed, Words},
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

use crate::{
    cache::Cache,
    rowmap::{Numbering, RowMap, RowOf},
    snapshot::Snapshot,
    sorter::{Sorter, without},
    vault::{Vault, person_of},
};

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

impl RowMaker<'_> {
    /// Makes the row map of those people of the snapshot who are enrolled with every source on the list; returns the
    /// number of rows of each matter.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn number(&self, snapshot: &Snapshot<'_>, map: &RowMap<'_>) -> io::Result<Vec<u32>> {
        let sources: Vec<SourceEpoch> = self.sources.values().copied().collect();
        let lacking = self.cache.lacking(snapshot, &sources, self.spill)?.map(|item| person_of(&item?));
        let enrolled = without(snapshot.rows()?, lacking, |(person, _)| *person);
        let numbering = Numbering { policy: self.policy, owner: self.owner, round: self.round, seed: self.seed };
        map.make(enrolled, &numbering, self.spill)
    }

    /// Makes every file of the owner: records of each channel, row lists of each class.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn make(&self, map: &RowMap<'_>, rows: &[u32]) -> io::Result<Vec<Made>> {
        let mut made = Vec::new();
        for class in Class::ALL {
            let channels = applying(self.policy, self.matters, class);
            let mut counts = Vec::new();
            let mut items = Sorter::new(self.spill, MEMORY_BYTES);
            let handles = Purpose::Handles { owner: self.owner, class: class.index() as u8 };
            let mut words = Words::new(&self.seed.derive(&self.round.0, handles)).zip(0..);
            for channel in &channels {
                counts.push(self.collect(map, channel, &mut words, &mut items)?);
            }
            let header = self.header(FileKey::Rows { owner: self.owner, class }, items.count(), rows.to_vec());
            let (list, records) = self.write_rows(class, &header, items)?;
            made.push(list);
            made.extend(self.write_records(&channels, &counts, records)?);
        }
        Ok(made)
    }

    /// Collects an item for each row of each of the channel's records; returns how many records there are.
    fn collect(
        &self,
        map: &RowMap<'_>,
        channel: &Applying,
        words: &mut impl Iterator<Item = (u64, u32)>,
        items: &mut Sorter<ITEM_BYTES>,
    ) -> io::Result<u64> {
        let source = self.sources.get(&channel.source).ok_or_else(|| io::Error::other("a source has no epoch"))?;
        let group = self.policy.groups[usize::from(self.owner)].unwrap_or(0);
        let context = TagContext { round: self.id, group, channel: channel.number };
        let mut count = 0;
        let mut record: Option<(PersonId, Item)> = None;
        self.cache.look_up(*source, channel.rows(map)?, |(person, row), key| {
            let item = match record.take().filter(|(same, _)| *same == person) {
                Some((_, item)) => Item { row, ..item },
                None => {
                    let (word, number) = words.next().ok_or(io::ErrorKind::UnexpectedEof)?;
                    let missing = || io::Error::other("the matching key of an enrolled person is missing");
                    count += 1;
                    Item { word, number, row, channel: channel.number, tag: context.tag(key.ok_or_else(missing)?) }
                }
            };
            items.push(item.encode())?;
            record = Some((person, item));
            Ok(())
        })?;
        Ok(count)
    }

    /// Writes the row lists of a class, and gives every record its handle.
    fn write_rows(
        &self,
        class: Class,
        header: &Header,
        items: Sorter<ITEM_BYTES>,
    ) -> io::Result<(Made, Sorter<CHANNEL_RECORD_BYTES>)> {
        let mut records = Sorter::new(self.spill, MEMORY_BYTES);
        let file = FileKey::Rows { owner: self.owner, class };
        let made = self.rounds.make(self.round, file, header, |out| {
            let (mut last, mut handles) = (None, 0..);
            for item in items.sorted()? {
                let item = Item::decode(&item?);
                let further = last.replace(item.number) == Some(item.number);
                out.write(&(item.row | if further { FURTHER_ROW } else { 0 }).to_le_bytes())?;
                if !further {
                    let handle = handles.next().ok_or(io::ErrorKind::UnexpectedEof)?;
                    records.push(channel_record(item.channel, item.tag, handle))?;
                }
            }
            Ok(())
        })?;
        Ok((made, records))
    }

    fn write_records(
        &self,
        channels: &[Applying],
        counts: &[u64],
        records: Sorter<CHANNEL_RECORD_BYTES>,
    ) -> io::Result<Vec<Made>> {
        let mut sorted = records.sorted()?;
        let mut made = Vec::new();
        // Channels are in the order of their numbers, and so are the records.
        for (channel, count) in channels.iter().zip(counts) {
            let file = FileKey::Records { owner: self.owner, channel: channel.number };
            let header = self.header(file, *count, Vec::new());
            made.push(self.rounds.make(self.round, file, &header, |out| {
                let of_channel = sorted.by_ref().take(*count as usize);
                of_channel.map(|item| item.map(|item| out.write(&item[2..]))).try_for_each(Result::flatten)
            })?);
        }
        Ok(made)
    }

    fn header(&self, file: FileKey, count: u64, rows: Vec<u32>) -> Header {
        Header { salt: self.seed.derive(&self.round.0, Purpose::Salt(file)), count, rows }
    }
}

/// The channels of a class that are present at one of the owner's matters, in the order of their numbers.
pub(crate) fn applying(policy: &Policy, matters: &[MatterRound], class: Class) -> Vec<Applying> {
    let applying = |channel: &Channel| Applying {
        number: channel.number,
        source: channel.source,
        matters: matters.iter().map(|matter| matter.present().contains(&channel.number)).collect(),
    };
    let channels = policy.channels.iter().filter(|channel| channel.class == class).map(applying);
    channels.filter(|channel| channel.matters.contains(&true)).collect()
}

/// A channel and at which of the owner's matters it is present.
pub(crate) struct Applying {
    pub(crate) number: u16,
    source: MemberNumber,
    matters: Vec<bool>,
}

impl Applying {
    /// The rows of the channel's records: person and row, ascending by person.
    pub(crate) fn rows(&self, map: &RowMap<'_>) -> io::Result<impl Iterator<Item = io::Result<(PersonId, u32)>>> {
        let applies = |row: &io::Result<RowOf>| row.as_ref().map_or(true, |row| self.matters[usize::from(row.matter)]);
        Ok(map.rows()?.filter(applies).map(|row| row.map(|row| (row.person, row.row))))
    }
}

/// A row of a record that has no handle yet. Sorted by word and the record's number, the records of a class are in the
/// order of their handles, each with its rows ascending.
#[derive(Clone, Copy)]
struct Item {
    word: u64,
    number: u32,
    row: u32,
    channel: u16,
    tag: Tag,
}

impl Item {
    fn encode(&self) -> [u8; ITEM_BYTES] {
        let mut bytes = [0; ITEM_BYTES];
        bytes[..8].copy_from_slice(&self.word.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.number.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.row.to_be_bytes());
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
            row: word(12),
            channel: u16::from_be_bytes([bytes[16], bytes[17]]),
            tag,
        }
    }
}

fn channel_record(channel: u16, tag: Tag, handle: u32) -> [u8; CHANNEL_RECORD_BYTES] {
    let mut bytes = [0; CHANNEL_RECORD_BYTES];
    bytes[..2].copy_from_slice(&channel.to_be_bytes());
    bytes[2..].copy_from_slice(&record(tag, handle));
    bytes
}

const ITEM_BYTES: usize = 30;
const CHANNEL_RECORD_BYTES: usize = 18;
/// Items held in memory by each of the two sorters.
const MEMORY_BYTES: usize = 64 << 20;
