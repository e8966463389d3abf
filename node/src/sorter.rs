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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use wugan_keys::StorageKey;

    proptest! {
        #[test]
        fn sorts_like_a_vector(items in prop::collection::vec(any::<[u8; 5]>(), 0..300), memory in 1_usize..400) {
            let folder = tempfile::tempdir().unwrap();
            let vault = Vault::new(folder.path(), "spill", &StorageKey::generate());
            let mut sorter = Sorter::new(&vault, memory);
            items.iter().for_each(|item| sorter.push(*item).unwrap());
            prop_assert_eq!(sorter.count(), items.len() as u64);
            let sorted: Vec<[u8; 5]> = sorter.sorted().unwrap().map(Result::unwrap).collect();
            let mut expected = items;
            expected.sort_unstable();
            prop_assert_eq!(sorted, expected);
            prop_assert_eq!(std::fs::read_dir(folder.path().join("spill")).map_or(0, Iterator::count), 0);
        }
    }
}
