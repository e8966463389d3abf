//! Reading a log's files: entries, and proofs out of tiles.

use std::{io, ops::Range};

use super::{
    merkle::{
        Tree, consistency_subtrees, inclusion_subtrees, is_consistent, leaf_hash, middle_of, node_hash,
        root_by_inclusion, root_of,
    },
    tile::{Kind, LEVEL_MAX, TILE_HEIGHT, TILE_WIDTH, Tile, TileError, entries_from_bytes, hashes_from_bytes},
};
use crate::hexes::Digest;

/// Where a log's files lie.
pub trait Files {
    /// The bytes of the file with the tile's path.
    ///
    /// # Errors
    /// When it cannot be read. After [`io::ErrorKind::NotFound`] of a partial tile the full one is asked for, beside which it may
    /// have been deleted.
    fn read(&self, tile: Tile) -> io::Result<Vec<u8>>;
}

/// A tree and the files that hold it. Everything that it answers was checked against the tree's root: what the files say
/// beyond it is not believed.
pub struct LogReader<'f, F> {
    tree: Tree,
    files: &'f F,
}

impl<'f, F: Files> LogReader<'f, F> {
    /// Reads this tree from its files or those of a later tree of the same log.
    pub fn new(tree: Tree, files: &'f F) -> Self {
        LogReader { tree, files }
    }

    /// The entry with this number, found to be in the tree.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, ReadError> {
        let (bundle, bytes) = self.read(self.holding(Kind::Entries, index)?)?;
        let entries = entries_from_bytes(bundle, &bytes)?;
        let entry = entries.get(place_in_tile(index)).ok_or(self.altered())?;
        self.proof_of(index, leaf_hash(entry))?;
        Ok(entry.to_vec())
    }

    /// The inclusion proof of the entry with this number in this tree.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn inclusion_proof(&self, index: u64) -> Result<Vec<Digest>, ReadError> {
        let leaves = self.hashes(self.holding(Kind::Hashes(0), index)?)?;
        let leaf = leaves.get(place_in_tile(index)).ok_or(self.altered())?;
        self.proof_of(index, *leaf)
    }

    /// The consistency proof from this log's tree of `old` entries to this tree.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn consistency_proof(&self, old: u64) -> Result<Vec<Digest>, ReadError> {
        if old > self.tree.size {
            return Err(ReadError::Beyond { size: self.tree.size });
        }
        let old = self.tree_of(old)?;
        let proof = self.subtrees(consistency_subtrees(old.size, self.tree.size))?;
        if is_consistent(old, self.tree, &proof) { Ok(proof) } else { Err(self.altered()) }
    }
}

/// Why a log's files do not answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file that cannot be read.
    #[error("{tile} of the log cannot be read")]
    File {
        /// The file.
        tile: Tile,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A file that is none.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// Files that hold another tree.
    #[error("the log's files are not those of the tree of {size} entries with this root: one of them was altered")]
    Altered {
        /// The tree's size.
        size: u64,
    },
    /// An entry or a tree that this one does not have.
    #[error("a tree of {size} entries does not hold this")]
    Beyond {
        /// The tree's size.
        size: u64,
    },
}

impl<F: Files> LogReader<'_, F> {
    /// The hashes of a tile, as many as it has in this tree.
    pub(super) fn hashes(&self, tile: Tile) -> Result<Vec<Digest>, ReadError> {
        let (found, bytes) = self.read(tile)?;
        let mut hashes = hashes_from_bytes(found, &bytes)?;
        hashes.truncate(usize::from(tile.width()));
        Ok(hashes)
    }

    /// The bytes of a tile, or of the full one where it is wider by now.
    pub(super) fn read(&self, tile: Tile) -> Result<(Tile, Vec<u8>), ReadError> {
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let (found, bytes) = match self.files.read(tile) {
            Err(error) if missing(&error) && tile != tile.full() => (tile.full(), self.files.read(tile.full())),
            read => (tile, read),
        };
        bytes.map(|bytes| (found, bytes)).map_err(|error| ReadError::File { tile, error })
    }

    /// That the files hold another tree.
    pub(super) fn altered(&self) -> ReadError {
        ReadError::Altered { size: self.tree.size }
    }

    fn holding(&self, kind: Kind, item: u64) -> Result<Tile, ReadError> {
        Tile::holding(kind, item, self.tree.size).ok_or(ReadError::Beyond { size: self.tree.size })
    }

    fn proof_of(&self, index: u64, leaf: Digest) -> Result<Vec<Digest>, ReadError> {
        let proof = self.subtrees(inclusion_subtrees(index, self.tree.size))?;
        let root = root_by_inclusion(index, self.tree.size, leaf, &proof);
        if root == Some(self.tree.root) { Ok(proof) } else { Err(self.altered()) }
    }

    fn tree_of(&self, size: u64) -> Result<Tree, ReadError> {
        if size == 0 {
            return Ok(Tree::empty());
        }
        Ok(Tree { size, root: self.subtree(0..size)? })
    }

    fn subtrees(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Digest>, ReadError> {
        ranges.into_iter().map(|range| self.subtree(range)).collect()
    }

    /// The root over a range of entries that RFC 6962's splitting makes: it starts at a multiple of a power of two that is not
    /// smaller than its length.
    fn subtree(&self, range: Range<u64>) -> Result<Digest, ReadError> {
        let length = range.end - range.start;
        if length.is_power_of_two() {
            return self.complete_subtree(range.start, length.ilog2());
        }
        let middle = middle_of(&range);
        Ok(node_hash(self.subtree(range.start..middle)?, self.subtree(middle..range.end)?))
    }

    /// The root over the 2^height entries from `start` on: part of one tile, hashed together.
    fn complete_subtree(&self, start: u64, height: u32) -> Result<Digest, ReadError> {
        let level = height / TILE_HEIGHT;
        let first = start >> (level * TILE_HEIGHT);
        let kind = Kind::Hashes(u8::try_from(level).unwrap_or(LEVEL_MAX + 1));
        let hashes = self.hashes(self.holding(kind, first)?)?;
        let within = place_in_tile(first)..place_in_tile(first) + (1 << (height % TILE_HEIGHT));
        hashes.get(within).map(root_of).ok_or(self.altered())
    }
}

/// Where in its tile an item stands.
fn place_in_tile(item: u64) -> usize {
    (item % TILE_WIDTH) as usize
}
