//! Growing a log: entries in, files out.

use std::collections::BTreeMap;

use super::{
    merkle::{Tree, leaf_hash, root_of},
    tile::{Kind, LEVEL_MAX, TILE_HEIGHT, TILE_WIDTH, Tile, hashes_to_bytes},
};
use crate::{
    hexes::Digest,
    limits::{ENTRY_BYTES_MAX, LOG_ENTRIES_MAX},
};

/// A tree that grows, of which only the right edge is kept: the last tile of each level and the last bundle of entries.
///
/// Whoever writes a log appends entries, writes [`LogWriter::changed_files`], then a checkpoint of [`LogWriter::tree`], then calls
/// [`LogWriter::written`]. After a crash anywhere between, all entries are appended anew: they make the same files.
#[derive(Clone)]
pub struct LogWriter {
    size: u64,
    /// The size when files were written last.
    written: u64,
    /// Hashes of the last tile of each level, fewer than 256 each.
    edge: [Vec<Digest>; LEVEL_MAX as usize + 1],
    /// The last bundle, of fewer than 256 entries.
    bundle: Vec<u8>,
    /// Files that became full and are not written yet.
    full: BTreeMap<Tile, Vec<u8>>,
}

impl LogWriter {
    /// A log without entries.
    pub fn empty() -> LogWriter {
        LogWriter { size: 0, written: 0, edge: Default::default(), bundle: Vec::new(), full: BTreeMap::new() }
    }

    /// Appends an entry and tells its number.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn append(&mut self, entry: &[u8]) -> Result<u64, AppendError> {
        let length = u16::try_from(entry.len()).map_err(|_| AppendError::TooLong(entry.len()))?;
        if self.size >= LOG_ENTRIES_MAX {
            return Err(AppendError::Full);
        }
        let index = self.size;
        self.size += 1;
        self.bundle.extend(length.to_be_bytes());
        self.bundle.extend(entry);
        if self.size.is_multiple_of(TILE_WIDTH) {
            let bundle = std::mem::take(&mut self.bundle);
            self.full.extend(Tile::holding(Kind::Entries, index, self.size).map(|tile| (tile, bundle)));
        }
        self.push_leaf(leaf_hash(entry));
        Ok(index)
    }

    /// The tree over all entries appended.
    pub fn tree(&self) -> Tree {
        let mut rest: Option<Digest> = None;
        for hashes in &self.edge {
            let hashes: Vec<Digest> = hashes.iter().copied().chain(rest).collect();
            rest = (!hashes.is_empty()).then(|| root_of(&hashes));
        }
        rest.map_or_else(Tree::empty, |root| Tree { size: self.size, root })
    }

    /// The files that must be written, synced and named before a checkpoint of [`Self::tree`] is.
    pub fn changed_files(&self) -> Vec<(Tile, Vec<u8>)> {
        Tile::changed(self.written, self.size).map(|tile| (tile, self.bytes_of(tile))).collect()
    }

    /// Says that the changed files, and the checkpoint, are durable.
    pub fn written(&mut self) {
        self.written = self.size;
        self.full.clear();
    }

    fn push_leaf(&mut self, leaf: Digest) {
        let mut hash = leaf;
        for (level, hashes) in (0_u8..).zip(&mut self.edge) {
            hashes.push(hash);
            if (hashes.len() as u64) < TILE_WIDTH {
                return;
            }
            let full = std::mem::take(hashes);
            hash = root_of(&full);
            let item = (self.size >> (TILE_HEIGHT * u32::from(level))) - 1;
            let tile = Tile::holding(Kind::Hashes(level), item, self.size);
            self.full.extend(tile.map(|tile| (tile, hashes_to_bytes(&full))));
        }
    }

    fn bytes_of(&self, tile: Tile) -> Vec<u8> {
        match (self.full.get(&tile), tile.kind()) {
            (Some(full), _) => full.clone(),
            (None, Kind::Entries) => self.bundle.clone(),
            (None, Kind::Hashes(level)) => hashes_to_bytes(&self.edge[usize::from(level)]),
        }
    }
}

impl Default for LogWriter {
    fn default() -> Self {
        LogWriter::empty()
    }
}

/// Why an entry cannot be appended.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Longer than the length prefix of a bundle can say.
    #[error("an entry of {0} bytes is longer than the limit of {ENTRY_BYTES_MAX}")]
    TooLong(usize),
    /// No more entries.
    #[error("the log is full")]
    Full,
}

const _: () = assert!(ENTRY_BYTES_MAX == u16::MAX as usize);
