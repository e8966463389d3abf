//! The files of a log, C2SP tlog-tiles: tiles of up to 256 hashes and bundles of up to 256 entries.

use std::{fmt, str::FromStr};

use crate::{
    hexes::{Digest, Hex},
    limits::LOG_ENTRIES_MAX,
};

/// What a file holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Entries.
    Entries,
    /// Roots of complete subtrees of 256 to the power of this level, leaf hashes at level 0.
    Hashes(u8),
}

/// A file of a log: a tile of hashes or a bundle of entries. Its text is its path below the log's folder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tile {
    kind: Kind,
    index: u64,
    width: u16,
}

impl Tile {
    /// The file of a kind that holds the item with this number (an entry, or a subtree of the tile's level), as wide as it
    /// is in a tree of `size` entries; `None` if that tree has no such item.
    pub fn holding(kind: Kind, item: u64, size: u64) -> Option<Tile> {
        let items = items(kind, size);
        if item >= items {
            return None;
        }
        let index = item / TILE_WIDTH;
        let width = (items - index * TILE_WIDTH).min(TILE_WIDTH);
        Some(Tile { kind, index, width: u16::try_from(width).ok()? })
    }

    /// The files of a tree of `new` entries that a tree of `old` entries does not have: entries first, then levels from the
    /// bottom, each from left to right. From 0 these are all files of a tree.
    pub fn changed(old: u64, new: u64) -> impl Iterator<Item = Tile> {
        let kinds = [Kind::Entries].into_iter().chain((0..=LEVEL_MAX).map(Kind::Hashes));
        kinds.flat_map(move |kind| {
            let first = items(kind, old) / TILE_WIDTH;
            let end = items(kind, new).div_ceil(TILE_WIDTH);
            let grown = items(kind, old) < items(kind, new);
            (first..end).filter(move |_| grown).filter_map(move |index| Tile::holding(kind, index * TILE_WIDTH, new))
        })
    }

    /// What it holds.
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// Its number, from 0 at the left.
    pub fn index(self) -> u64 {
        self.index
    }

    /// The same tile once 256 wide: once it stands, partial ones may be deleted.
    #[must_use]
    pub fn full(self) -> Tile {
        Tile { width: 256, ..self }
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Entries => f.write_str("tile/entries/")?,
            Kind::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        for power in [1_000_000_000, 1_000_000, 1_000] {
            if self.index >= power {
                write!(f, "x{:03}/", self.index / power % 1000)?;
            }
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.width < 256 { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for Tile {
    type Err = NotATile;

    /// Reads a path; only the one spelling that the specification gives a tile is accepted.
    fn from_str(path: &str) -> Result<Tile, NotATile> {
        let tile = read_path(path).ok_or(NotATile)?;
        if tile.to_string() == path { Ok(tile) } else { Err(NotATile) }
    }
}

/// Not the path of a tile or of an entry bundle.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a path of C2SP tlog-tiles, such as tile/0/x001/067 or tile/entries/000.p/5")]
pub struct NotATile;

/// Why the bytes of a file are not those of its tile.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Not as many hashes as the path says.
    #[error("{tile} has {bytes} bytes, not 32 for each of its hashes")]
    Length {
        /// The tile.
        tile: Tile,
        /// The file's length.
        bytes: usize,
    },
    /// Not as many entries as the path says, or bytes after them.
    #[error("{tile} is not exactly as many entries as its path says, each after its length")]
    Entries {
        /// The bundle.
        tile: Tile,
    },
}

/// The hashes of a tile, 32 bytes each.
pub fn hashes_to_bytes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Reads the hashes of a tile.
///
/// # Errors
/// [`TileError::Length`].
pub fn hashes_from_bytes(tile: Tile, bytes: &[u8]) -> Result<Vec<Digest>, TileError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if hashes.len() != usize::from(tile.width) || !rest.is_empty() {
        return Err(TileError::Length { tile, bytes: bytes.len() });
    }
    Ok(hashes.iter().map(|hash| Hex(*hash)).collect())
}

/// Reads the entries of a bundle: each after its length, u16, big-endian.
///
/// # Errors
/// [`TileError::Entries`].
pub fn entries_from_bytes(tile: Tile, bytes: &[u8]) -> Result<Vec<&[u8]>, TileError> {
    let (mut entries, mut rest) = (Vec::new(), bytes);
    while let Some((length, tail)) = rest.split_first_chunk() {
        let Some((entry, tail)) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length))) else { break };
        entries.push(entry);
        rest = tail;
    }
    if !rest.is_empty() || entries.len() != usize::from(tile.width) {
        return Err(TileError::Entries { tile });
    }
    Ok(entries)
}

/// How many items of a kind a tree has: entries, or complete subtrees of a level.
fn items(kind: Kind, size: u64) -> u64 {
    match kind {
        Kind::Entries => size,
        Kind::Hashes(level) => size >> (TILE_HEIGHT * u32::from(level.min(LEVEL_MAX + 1))),
    }
}

fn read_path(path: &str) -> Option<Tile> {
    let (path, width) = match path.split_once(".p/") {
        Some((path, width)) => (path, width.parse().ok().filter(|width| (1..256).contains(width))?),
        None => (path, 256),
    };
    let (kind, index) = path.strip_prefix("tile/")?.split_once('/')?;
    let kind = match kind {
        "entries" => Kind::Entries,
        level => Kind::Hashes(level.parse().ok().filter(|level| *level <= LEVEL_MAX)?),
    };
    let mut number = 0_u64;
    for part in index.split('/') {
        let digits: u16 = part.trim_start_matches('x').parse().ok().filter(|digits| *digits < 1000)?;
        number = number.checked_mul(1000)?.checked_add(u64::from(digits))?;
    }
    (number < LOG_ENTRIES_MAX / TILE_WIDTH).then_some(Tile { kind, index: number, width })
}

/// Hashes of a full tile, entries of a full bundle.
pub const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;
/// Levels of the tree in a tile.
pub(super) const TILE_HEIGHT: u32 = 8;
/// The level of tiles that holds at least one hash in a tree of `LOG_ENTRIES_MAX` entries.
pub(super) const LEVEL_MAX: u8 = 5;
const _: () = assert!(LOG_ENTRIES_MAX == 1 << (TILE_HEIGHT * LEVEL_MAX as u32));
