//! Sorting more items than memory holds: chunks are sorted in memory, sealed and spilled, and merged.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::{self, Write},
};

use crate::vault::{Sealed, Vault, read_item};

/// Collects items of `N` bytes and gives them back in ascending order of their bytes.
pub struct Sorter<const N: usize> {
    vault: Vault,
    items: Vec<[u8; N]>,
    items_max: usize,
    spilled: Vec<Sealed>,
    count: u64,
}

/// Items in ascending order.
pub struct Sorted<const N: usize> {
    memory: std::vec::IntoIter<[u8; N]>,
    spilled: Vec<Sealed>,
    /// The next item of each source; memory's number follows those of the spills.
    next: BinaryHeap<Reverse<([u8; N], usize)>>,
}

impl<const N: usize> Sorter<N> {
    /// A sorter that holds at most `memory_bytes` of items and spills the rest into `vault`.
    pub fn new(vault: &Vault, memory_bytes: usize) -> Sorter<N> {
        let items_max = (memory_bytes / N).max(1);
        Sorter { vault: vault.clone(), items: Vec::new(), items_max, spilled: Vec::new(), count: 0 }
    }

    /// Adds an item.
    ///
    /// # Errors
    /// Those of the disk, when a chunk is spilled.
    pub fn push(&mut self, item: [u8; N]) -> io::Result<()> {
        if self.items.len() == self.items_max {
            self.spill()?;
        }
        if self.items.capacity() == 0 {
            // Once and for all: memory that is not written to costs nothing, growing step by step costs twice.
            self.items.reserve_exact(self.items_max);
        }
        self.items.push(item);
        self.count += 1;
        Ok(())
    }

    /// Items added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The items in order.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn sorted(mut self) -> io::Result<Sorted<N>> {
        self.items.sort_unstable();
        let mut sorted = Sorted { memory: self.items.into_iter(), spilled: self.spilled, next: BinaryHeap::new() };
        if !sorted.spilled.is_empty() {
            (0..=sorted.spilled.len()).try_for_each(|source| sorted.advance(source))?;
        }
        Ok(sorted)
    }

    fn spill(&mut self) -> io::Result<()> {
        self.items.sort_unstable();
        let mut out = self.vault.spill()?;
        self.items.iter().try_for_each(|item| out.write_all(item))?;
        let file = out.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        self.spilled.push(self.vault.read_spill(file)?);
        self.items.clear();
        Ok(())
    }
}

impl<const N: usize> Sorted<N> {
    /// Each item once.
    pub fn distinct(self) -> impl Iterator<Item = io::Result<[u8; N]>> {
        let mut last = None;
        self.filter(move |item| match item {
            Ok(item) => last.replace(*item) != Some(*item),
            Err(_) => true,
        })
    }

    fn advance(&mut self, source: usize) -> io::Result<()> {
        let item = match self.spilled.get_mut(source) {
            Some(spill) => read_item(spill)?,
            None => self.memory.next(),
        };
        self.next.extend(item.map(|item| Reverse((item, source))));
        Ok(())
    }
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = io::Result<[u8; N]>;

    fn next(&mut self) -> Option<io::Result<[u8; N]>> {
        if self.spilled.is_empty() {
            return self.memory.next().map(Ok);
        }
        let Reverse((item, source)) = self.next.pop()?;
        Some(self.advance(source).map(|()| item))
    }
}

/// Those of `items` whose key is not among `others`, both ascending.
pub fn without<T, K: Ord>(
    items: impl Iterator<Item = io::Result<T>>,
    others: impl Iterator<Item = io::Result<K>>,
    key: impl Fn(&T) -> K,
) -> impl Iterator<Item = io::Result<T>> {
    let mut others = others.peekable();
    let mut keep = move |item: io::Result<T>| {
        let item = item?;
        let key = key(&item);
        while let Some(other) = others.next_if(|other| other.as_ref().map_or(true, |other| *other < key)) {
            other?;
        }
        let found = matches!(others.peek(), Some(Ok(other)) if *other == key);
        Ok((!found).then_some(item))
    };
    items.filter_map(move |item| keep(item).transpose())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use wugan_keys::StorageKey;

    proptest! {
        #[test]
        fn without_is_the_difference(
            items in prop::collection::btree_set(0_u8..40, 0..30), others in prop::collection::btree_set(0_u8..40, 0..30)
        ) {
            let found = without(items.iter().map(|item| Ok(*item)), others.iter().map(|item| Ok(*item)), |item| *item);
            let found: Vec<u8> = found.map(Result::unwrap).collect();
            prop_assert_eq!(found, items.difference(&others).copied().collect::<Vec<_>>());
        }

        #[test]
        fn sorts_like_a_vector(items in prop::collection::vec(any::<[u8; 5]>(), 0..300), memory in 1_usize..400) {
            let folder = tempfile::tempdir().unwrap();
            let vault = Vault::new(folder.path(), "spill", &StorageKey::generate());
            let mut sorter = Sorter::new(&vault, memory);
            items.iter().for_each(|item| sorter.push(*item).unwrap());
            prop_assert_eq!(sorter.count(), items.len() as u64);
            let sorted: Vec<[u8; 5]> = sorter.sorted().unwrap().map(Result::unwrap).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            prop_assert_eq!(&sorted, &expected);
            let mut sorter = Sorter::new(&vault, memory);
            items.iter().for_each(|item| sorter.push(*item).unwrap());
            expected.dedup();
            let distinct: Vec<[u8; 5]> = sorter.sorted().unwrap().distinct().map(Result::unwrap).collect();
            prop_assert_eq!(distinct, expected);
            prop_assert_eq!(std::fs::read_dir(folder.path().join("spill")).map_or(0, Iterator::count), 0);
        }
    }
}
