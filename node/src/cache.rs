//! Matching keys at rest: for each source and key epoch, sealed segments of (person, matching key), each sorted by
//! person. With them a known person needs no curve arithmetic in any later round of the epoch.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use wugan_protocol::{
    at_rest::{
        CACHE_ENTRY_BYTES as ENTRY_BYTES, PERSON_BYTES, SNAPSHOT_ROW_BYTES as ROW_BYTES, cache_prefix as prefix,
    },
    oprf::MatchingKey,
    person::PersonId,
    statement::SourceEpoch,
};
use zeroize::Zeroize;

use crate::{
    snapshot::{Snapshot, roster_row},
    sorter::{Sorted, Sorter},
    vault::{Sealed, Vault, person_bytes, person_of, read_item},
};

/// The matching keys that a node holds.
#[derive(Clone, Debug)]
pub struct Cache {
    vault: Vault,
    /// Held while segments are listed and opened, or merged: a merge deletes what another thread is about to open.
    names: Arc<Mutex<()>>,
}

impl Cache {
    /// The cache in this vault.
    pub fn new(vault: Vault) -> Cache {
        Cache { vault, names: Arc::default() }
    }

    /// Adds a segment: people ascending, each with its key. Every segment has a name of its own, so that nothing that
    /// was stored is ever replaced; people who are added twice stand twice, which readers expect.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn add(&self, source: SourceEpoch, entries: &[(PersonId, MatchingKey)]) -> io::Result<()> {
        debug_assert!(entries.is_sorted_by_key(|(person, _)| *person));
        let _names = self.lock();
        self.vault.write(&self.free_name(source)?, |out| {
            entries.iter().try_for_each(|(person, key)| {
                out.write_all(&person_bytes(*person))?;
                out.write_all(key.as_bytes())
            })
        })?;
        self.merge_small(source)
    }

    /// All entries of a source's epoch, by person, each person once.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn entries(&self, source: SourceEpoch) -> io::Result<Entries> {
        let _names = self.lock();
        let names = self.segments(source)?;
        self.entries_of(&names)
    }

    /// Calls `found` for each of `people` (ascending), and what comes with it, with the person's key, or none.
    ///
    /// # Errors
    /// Those of the disk, of `people` and of `found`.
    pub fn look_up<T>(
        &self,
        source: SourceEpoch,
        people: impl Iterator<Item = io::Result<(PersonId, T)>>,
        mut found: impl FnMut((PersonId, T), Option<&MatchingKey>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut entries = self.entries(source)?;
        let mut entry = entries.next()?;
        for item in people {
            let (person, with) = item?;
            while entry.as_ref().is_some_and(|(known, _)| *known < person) {
                entry = entries.next()?;
            }
            let key = entry.as_ref().filter(|(known, _)| *known == person).map(|(_, key)| key);
            found((person, with), key)?;
        }
        Ok(())
    }

    /// Which people of a snapshot lack a key at which of `sources`: pairs of person and place of the source, ascending,
    /// in the form of [`roster_row`].
    ///
    /// # Errors
    /// Those of the disk.
    pub fn lacking(
        &self,
        snapshot: &Snapshot<'_>,
        sources: &[SourceEpoch],
        spill: &Vault,
    ) -> io::Result<Sorted<ROW_BYTES>> {
        let mut lacking = Sorter::new(spill, LACKING_MEMORY_BYTES);
        for (place, source) in (0..).zip(sources) {
            let people = snapshot.people()?.map(|person| Ok((person?, ())));
            self.look_up(*source, people, |(person, ()), key| match key {
                Some(_) => Ok(()),
                None => lacking.push(roster_row(person, place)),
            })?;
        }
        lacking.sorted()
    }

    /// Names of the segments of a source's epoch.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn segments(&self, source: SourceEpoch) -> io::Result<Vec<String>> {
        let prefix = prefix(source);
        let names = self.vault.names()?;
        Ok(names.into_iter().filter(|name| name.starts_with(&prefix)).collect())
    }

    /// Makes one segment of many, so that reading stays sequential. After a crash in between, entries stand twice.
    fn merge_small(&self, source: SourceEpoch) -> io::Result<()> {
        let names = self.segments(source)?;
        if names.len() <= SEGMENTS_MAX {
            return Ok(());
        }
        let mut entries = self.entries_of(&names)?;
        self.vault.write(&self.free_name(source)?, |out| {
            while let Some((person, key)) = entries.next()? {
                out.write_all(&person_bytes(person))?;
                out.write_all(key.as_bytes())?;
            }
            Ok(())
        })?;
        names.iter().try_for_each(|name| self.vault.remove(name))
    }

    /// The name after the last one: numbers have a fixed width, so names sort by them.
    fn free_name(&self, source: SourceEpoch) -> io::Result<String> {
        let prefix = prefix(source);
        let last = self.segments(source)?.last().and_then(|name| name[prefix.len()..].parse::<u64>().ok());
        Ok(format!("{prefix}{:012}", last.map_or(0, |last| last + 1)))
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries_of(&self, names: &[String]) -> io::Result<Entries> {
        let segments = names.iter().map(|name| self.vault.open(name)).collect::<io::Result<_>>()?;
        let mut entries = Entries { segments, heads: Vec::new() };
        for place in 0..entries.segments.len() {
            let head = entries.read(place)?;
            entries.heads.push(head);
        }
        Ok(entries)
    }
}

/// Entries by person, merged from all segments.
pub struct Entries {
    segments: Vec<Sealed>,
    heads: Vec<Option<(PersonId, MatchingKey)>>,
}

impl Entries {
    /// The next person and key.
    ///
    /// # Errors
    /// Those of the disk, or a segment that is no segment.
    #[expect(clippy::should_implement_trait, reason = "a Result<Option> is what callers want")]
    pub fn next(&mut self) -> io::Result<Option<(PersonId, MatchingKey)>> {
        let heads = self.heads.iter().enumerate();
        let first = heads.filter_map(|(place, head)| head.as_ref().map(|(person, _)| (*person, place))).min();
        let Some((person, place)) = first else { return Ok(None) };
        let entry = self.advance(place)?;
        for other in place + 1..self.heads.len() {
            if self.heads[other].as_ref().is_some_and(|(same, _)| *same == person) {
                self.advance(other)?;
            }
        }
        Ok(entry)
    }

    fn advance(&mut self, place: usize) -> io::Result<Option<(PersonId, MatchingKey)>> {
        let next = self.read(place)?;
        Ok(std::mem::replace(&mut self.heads[place], next))
    }

    fn read(&mut self, place: usize) -> io::Result<Option<(PersonId, MatchingKey)>> {
        let Some(mut item) = read_item::<ENTRY_BYTES>(&mut self.segments[place])? else { return Ok(None) };
        let mut key = [0; ENTRY_BYTES - PERSON_BYTES];
        key.copy_from_slice(&item[PERSON_BYTES..]);
        let (person, key) = (person_of(&item)?, MatchingKey::from_bytes(key));
        item.zeroize();
        Ok(Some((person, key)))
    }
}

/// Above this many segments they are merged: each open one costs a descriptor and 64 KiB.
const SEGMENTS_MAX: usize = 16;
/// Pairs held in memory while those who lack a key are found.
const LACKING_MEMORY_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use wugan_keys::StorageKey;

    fn person(sequence: u64) -> PersonId {
        PersonId::from_u64(34_169_919_500_101_000 + sequence).unwrap()
    }

    fn key(byte: u8) -> MatchingKey {
        MatchingKey::from_bytes([byte; 32])
    }

    #[test]
    fn many_segments_read_as_one_and_are_merged() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(Vault::new(folder.path(), "cache", &StorageKey::generate()));
        let source = SourceEpoch { source: 1, epoch: 1 };
        for segment in 0..40_u64 {
            let entries: Vec<_> = (0..3).map(|i| (person(segment * 2 + i * 100), key(segment as u8))).collect();
            cache.add(source, &entries).unwrap();
        }
        assert!(cache.segments(source).unwrap().len() <= SEGMENTS_MAX);
        assert_eq!(cache.segments(SourceEpoch { source: 1, epoch: 11 }).unwrap().len(), 0);
        let known: Vec<PersonId> = (0..40).flat_map(|s| (0..3).map(move |i| person(s * 2 + i * 100))).collect();
        let mut asked: Vec<PersonId> = known.iter().copied().chain([person(999), person(1)]).collect();
        asked.sort_unstable();
        asked.dedup();
        let mut unknown = Vec::new();
        let note = |(person, ()), key: Option<&MatchingKey>| {
            unknown.extend(key.is_none().then_some(person));
            Ok(())
        };
        cache.look_up(source, asked.into_iter().map(|person| Ok((person, ()))), note).unwrap();
        assert_eq!(unknown, [person(1), person(999)]);
        cache.add(source, &[(person(204), key(2))]).unwrap();
        let mut found = 0;
        cache
            .look_up(source, [Ok((person(204), ()))].into_iter(), |_, key| {
                found += u8::from(key.unwrap().as_bytes()[0] == 2);
                Ok(())
            })
            .unwrap();
        assert_eq!(found, 1);
    }
}
