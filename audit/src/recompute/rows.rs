//! A roster owner's records and row lists, from its roster snapshot.

use wugan_protocol::{
    at_rest::{self, ROW_MAP_ROW_BYTES, SEALED, SNAPSHOT_ROW_BYTES},
    chance::{Purpose, RoundSeed, permutation},
    file::{FileKey, Header},
    ledger::row_files,
    policy::{Channel, Class, MatterRound},
    run::{FURTHER_ROW, record},
    tag::{Tag, TagContext},
};

use super::{
    CannotRecompute, ITEMS_MAX, deferral,
    node::{Node, Stop, person_of},
};
use crate::finding::Rule;

/// Recomputes every records file and row list, if some were announced.
pub(super) fn recompute(node: &mut Node<'_>) -> Result<(), Stop> {
    let (owner, round) = (node.member(), &node.told().round);
    let files = row_files(owner).into_iter().chain(round.record_files(owner));
    let Some(first) = files.filter_map(|file| node.told().announced(file)).min() else { return Ok(()) };
    let roster = Roster::read(node)?;
    let known = roster.known(node)?;
    node.attempt(|node| deferral::check(node, &roster, &known, first)).map_err(Stop::Cannot)?;
    let seed = node.seed()?;
    let owned = Owned::number(node, &roster, &seed)?;
    if !owned.people.iter().all(|person| roster.people.binary_search(person).is_ok_and(|place| known[place])) {
        return Err(Stop::Found(Rule::KeyMissing, at_rest::row_map(round.hash())));
    }
    for class in Class::ALL {
        Records::of(node, &owned, class, &seed)?.compare(node, &owned, &seed)?;
    }
    Ok(())
}

/// What lies sealed of a round: the snapshot, and who of it has rows.
pub(super) struct Roster {
    /// Everybody on the snapshot, ascending.
    pub(super) people: Vec<u64>,
    /// Person and matter of each row of the snapshot, ascending.
    snapshot: Vec<(u64, u16)>,
    /// Person, matter and row of the row map.
    map: Vec<(u64, u16, u32)>,
}

impl Roster {
    fn read(node: &Node<'_>) -> Result<Roster, Stop> {
        let hash = node.told().round.hash();
        let matter = |item: &[u8]| u16::from_be_bytes([item[8], item[9]]);
        let snapshot = node.items::<SNAPSHOT_ROW_BYTES>(SEALED, &at_rest::snapshot(hash))?;
        let snapshot: Vec<_> = snapshot.iter().map(|item| (person_of(item), matter(item))).collect();
        let map = node.items::<ROW_MAP_ROW_BYTES>(SEALED, &at_rest::row_map(hash))?;
        let row = |item: &[u8; ROW_MAP_ROW_BYTES]| u32::from_be_bytes([item[10], item[11], item[12], item[13]]);
        let map = map.iter().map(|item| (person_of(item), matter(item), row(item))).collect();
        let mut people: Vec<u64> = snapshot.iter().map(|(person, _)| *person).collect();
        people.dedup();
        Ok(Roster { people, snapshot, map })
    }

    /// Whether somebody has rows.
    pub(super) fn has_rows(&self, person: u64) -> bool {
        let place = self.map.partition_point(|(other, ..)| *other < person);
        self.map.get(place).is_some_and(|(other, ..)| *other == person)
    }

    /// Whose keys of every source on the list lie here now.
    fn known(&self, node: &Node<'_>) -> Result<Vec<bool>, Stop> {
        let mut known = vec![true; self.people.len()];
        for source in node.listed_sources() {
            let mut here = vec![false; self.people.len()];
            node.keys(source, &self.people, |place, _| here[place] = true)?;
            known.iter_mut().zip(here).for_each(|(known, here)| *known &= here);
        }
        Ok(known)
    }
}

/// The rows of everybody who has some.
struct Owned<'a> {
    matters: &'a [MatterRound],
    /// Ascending.
    people: Vec<u64>,
    /// Matter and row, person by person.
    rows: Vec<(u16, u32)>,
    /// Where each person's rows end in `rows`.
    ends: Vec<usize>,
    /// Rows of each matter.
    counts: Vec<u32>,
}

impl<'a> Owned<'a> {
    /// Numbers the rows of those who are on the row map, with all that the snapshot says of them, and compares.
    fn number(node: &Node<'a>, roster: &Roster, seed: &RoundSeed) -> Result<Owned<'a>, Stop> {
        let (owner, round) = (node.member(), &node.told().round);
        let matters = round.matters(owner);
        let wrong = || Stop::Found(Rule::RowMapFalse, at_rest::row_map(round.hash()));
        let rows = || roster.snapshot.iter().filter(|(person, _)| roster.has_rows(*person));
        let mut counts = vec![0; matters.len()];
        for (_, matter) in rows() {
            *counts.get_mut(usize::from(*matter)).ok_or_else(wrong)? += 1;
        }
        let mut orders = Vec::new();
        let mut first = 0;
        for (matter, count) in node.policy().matters_of(owner).zip(&counts) {
            let key = node.derive(seed, Purpose::RowOrder { owner, matter: matter.number });
            let order = permutation(&key, *count as usize).into_iter().map(move |place| first + place);
            orders.push(order);
            first += count;
        }
        let mut owned = Owned { matters, people: Vec::new(), rows: Vec::new(), ends: Vec::new(), counts };
        let mut map = roster.map.iter();
        for (person, matter) in rows() {
            let row = orders.get_mut(usize::from(*matter)).and_then(Iterator::next).ok_or_else(wrong)?;
            if map.next() != Some(&(*person, *matter, row)) {
                return Err(wrong());
            }
            owned.push(*person, *matter, row);
        }
        if map.next().is_none() { Ok(owned) } else { Err(wrong()) }
    }

    fn push(&mut self, person: u64, matter: u16, row: u32) {
        if self.people.last() != Some(&person) {
            self.people.push(person);
            self.ends.push(self.rows.len());
        }
        self.rows.push((matter, row));
        if let Some(end) = self.ends.last_mut() {
            *end = self.rows.len();
        }
    }

    /// The rows of a person at the matters at which a channel is present, ascending.
    fn rows_at(&self, person: u32, channel: u16) -> impl Iterator<Item = u32> {
        let person = person as usize;
        let first = person.checked_sub(1).map_or(0, |before| self.ends[before]);
        let present = move |matter: u16| self.matters[usize::from(matter)].present().contains(&channel);
        let rows = self.rows[first..self.ends[person]].iter();
        rows.filter(move |(matter, _)| present(*matter)).map(|(_, row)| *row)
    }
}

/// The records of one class, in the order of their numbers: channel by channel, people ascending.
struct Records<'a> {
    class: Class,
    channels: Vec<&'a Channel>,
    /// Place of the channel, and of the person.
    records: Vec<(u16, u32)>,
    /// The handle of each.
    handles: Vec<u32>,
}

impl<'a> Records<'a> {
    fn of(node: &Node<'a>, owned: &Owned<'_>, class: Class, seed: &RoundSeed) -> Result<Records<'a>, Stop> {
        let owner = node.member();
        let here = node.told().round.record_channels(owner);
        let channels = node.policy().channels.iter();
        let channels: Vec<_> = channels.filter(|c| c.class == class && here.contains(&c.number)).collect();
        let mut records = Vec::new();
        for (place, channel) in (0..).zip(&channels) {
            let people = (0..owned.people.len() as u32).filter(|p| owned.rows_at(*p, channel.number).next().is_some());
            records.extend(people.map(|person| (place, person)));
            if records.len() > ITEMS_MAX {
                let file = FileKey::Rows { owner, class }.name();
                return Err(Stop::Cannot(CannotRecompute::TooMany { file }));
            }
        }
        let key = node.derive(seed, Purpose::Handles { owner, class: class.index() as u8 });
        let handles = permutation(&key, records.len());
        Ok(Records { class, channels, records, handles })
    }

    fn compare(&self, node: &mut Node<'_>, owned: &Owned<'_>, seed: &RoundSeed) -> Result<(), Stop> {
        self.compare_rows(node, owned, seed);
        let mut first = 0;
        for (place, channel) in (0..).zip(&self.channels) {
            let count = self.records[first..].iter().take_while(|(at, _)| *at == place).count();
            self.compare_channel(node, owned, channel, first..first + count, seed)?;
            first += count;
        }
        Ok(())
    }

    /// The rows of each record, in the order of their handles.
    fn compare_rows(&self, node: &mut Node<'_>, owned: &Owned<'_>, seed: &RoundSeed) {
        let file = FileKey::Rows { owner: node.member(), class: self.class };
        let mut by_handle = vec![0_u32; self.handles.len()];
        (0..).zip(&self.handles).for_each(|(number, handle)| by_handle[*handle as usize] = number);
        let rows_of = |number: u32| {
            let (place, person) = self.records[number as usize];
            owned.rows_at(person, self.channels[usize::from(place)].number)
        };
        let count = by_handle.iter().map(|number| rows_of(*number).count() as u64).sum();
        let header = Header { salt: node.derive(seed, Purpose::Salt(file)), count, rows: owned.counts.clone() };
        node.compare(file, &header, |write| {
            for number in &by_handle {
                let marks = std::iter::once(0).chain(std::iter::repeat(FURTHER_ROW));
                rows_of(*number).zip(marks).for_each(|(row, mark)| write(&(row | mark).to_le_bytes()));
            }
        });
    }

    /// The records of a channel, sorted by tag.
    fn compare_channel(
        &self,
        node: &mut Node<'_>,
        owned: &Owned<'_>,
        channel: &Channel,
        numbers: std::ops::Range<usize>,
        seed: &RoundSeed,
    ) -> Result<(), Stop> {
        let (owner, round) = (node.member(), &node.told().round);
        let file = FileKey::Records { owner, channel: channel.number };
        let group = node.policy().groups.get(usize::from(owner)).copied().flatten().unwrap_or(0);
        let context = TagContext { round: round.id(), group, channel: channel.number };
        let mut tags: Vec<Option<Tag>> = vec![None; owned.people.len()];
        node.keys(node.epoch(channel.source), &owned.people, |place, key| {
            tags[place].get_or_insert_with(|| context.tag(key));
        })?;
        let mut records = Vec::with_capacity(numbers.len());
        for number in numbers {
            let tag = tags[self.records[number].1 as usize];
            let tag = tag.ok_or_else(|| Stop::Found(Rule::KeyMissing, file.name()))?;
            records.push(record(tag, self.handles[number]));
        }
        records.sort_unstable();
        let salt = node.derive(seed, Purpose::Salt(file));
        let header = Header { salt, count: records.len() as u64, rows: Vec::new() };
        node.compare(file, &header, |write| write(records.as_flattened()));
        Ok(())
    }
}
