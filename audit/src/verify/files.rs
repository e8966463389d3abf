//! The files of a log against the tree that its checkpoint signs.

use std::collections::{BTreeMap, BTreeSet};

use wugan_protocol::{
    ledger::{Closed, Ledger},
    log::{
        checkpoint::VerifiedCheckpoint,
        merkle::{Growing, Tree, leaf_hash, root_of},
        note::Note,
        tile::{Kind, TILE_WIDTH, Tile, entries_from_bytes, hashes_from_bytes},
        writer::LogWriter,
    },
    manifest::Federation,
};

use super::Audit;
use crate::{
    detail::{CheckpointFault, Detail, Words},
    finding::Rule,
    folder::{CATALOGUE, CHECKPOINT, COSIGNED, LogFiles, catalogue},
};

/// The entries that can be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    /// Their bytes, in order.
    pub(crate) lines: Vec<Vec<u8>>,
    /// How many the checkpoint says that there are, if it says so.
    pub(crate) size: Option<u64>,
    /// Where the tree has others, if that can be told: then the hashes in the folder are those that were signed.
    altered: BTreeSet<u64>,
}

impl Entries {
    /// Whether these are all.
    pub(crate) fn whole(&self) -> bool {
        self.size == Some(self.lines.len() as u64)
    }
}

/// The entries, as far as they can be read, and what stops there. The size is believed only once the tree is verified.
pub(crate) fn entries(files: &LogFiles) -> (Entries, Option<(Rule, Detail)>) {
    let mut entries = Entries::default();
    let size = match claimed_size(files) {
        Ok(size) => size,
        Err(fault) => return (entries, Some((Rule::Checkpoint, Detail::named(CHECKPOINT, &fault)))),
    };
    entries.size = Some(size);
    while let Some(bundle) = Tile::holding(Kind::Entries, entries.lines.len() as u64, size) {
        let path = bundle.to_string();
        let bytes = files.files.get(&path);
        let Some(read) = bytes.and_then(|bytes| entries_from_bytes(bundle, bytes).ok()) else {
            let rule = match bytes {
                Some(_) => Rule::FileAltered,
                None if files.too_long.contains(&path) => Rule::FileTooLong,
                None => Rule::FileMissing,
            };
            return (entries, Some((rule, path.into())));
        };
        entries.lines.extend(read.into_iter().map(<[u8]>::to_vec));
    }
    (entries, None)
}

/// Whether the checkpoint says that there are no entries yet.
pub fn is_empty(files: &LogFiles) -> bool {
    claimed_size(files) == Ok(0)
}

/// The size that a checkpoint tells, whoever signed it.
pub(crate) fn size_of(note: &Note) -> Option<u64> {
    note.text().lines().nth(1)?.parse().ok()
}

/// How many entries the checkpoint says that there are.
fn claimed_size(files: &LogFiles) -> Result<u64, Detail> {
    let bytes = files.files.get(CHECKPOINT).ok_or(Words::NoFile)?;
    let note = Note::read(bytes).map_err(|error| Detail::of(&CheckpointFault::from(&error)))?;
    size_of(&note).ok_or_else(|| Detail::of(&CheckpointFault::Size))
}

impl Audit<'_> {
    pub(super) fn entries(&mut self) -> Entries {
        let (entries, stopped) = entries(self.files);
        // Files that are too long are told with all others.
        if let Some((rule, detail)) = stopped.filter(|(rule, _)| *rule != Rule::FileTooLong) {
            self.find(rule, detail);
        }
        entries
    }

    /// The checkpoint, and the tree that it signs.
    pub(super) fn tree(&mut self, entries: &mut Entries, federation: &Federation) {
        let signed = match self.checkpoint(CHECKPOINT, federation) {
            Err(fault) => return self.find(Rule::Checkpoint, Detail::named(CHECKPOINT, &fault)),
            Ok(checkpoint) => {
                if checkpoint.note().lines().len() != 1 {
                    self.find(Rule::SignatureLines, CHECKPOINT);
                }
                checkpoint.tree()
            }
        };
        let mut growing = Growing::default();
        entries.lines.iter().for_each(|entry| growing.push(entry));
        if !entries.whole() || growing.tree() == signed {
            return;
        }
        entries.altered = self.altered(&entries.lines, signed);
        let (Some(first), all) = (entries.altered.first(), &entries.altered) else {
            let sizes = Words::Sizes { entries: growing.tree().size, signed: signed.size };
            return self.find(Rule::Root, sizes);
        };
        let more = (all.len() > NAMED_MAX).then(|| "…".to_owned());
        let named = all.iter().take(NAMED_MAX).map(ToString::to_string).chain(more).collect();
        self.find_entry(Rule::Root, *first, None, Words::DifferentAt { entries: named });
    }

    /// Entries whose hashes are not those of the signed tree, if the hashes in the folder lead to it.
    fn altered(&self, lines: &[Vec<u8>], signed: Tree) -> BTreeSet<u64> {
        let mut leaves = Vec::new();
        while let Some(tile) = Tile::holding(Kind::Hashes(0), leaves.len() as u64, signed.size) {
            let bytes = self.files.files.get(&tile.to_string());
            let Some(hashes) = bytes.and_then(|bytes| hashes_from_bytes(tile, bytes).ok()) else { break };
            leaves.extend(hashes);
        }
        if leaves.len() as u64 != signed.size || root_of(&leaves) != signed.root {
            return BTreeSet::new();
        }
        let pairs = (0..).zip(lines.iter().zip(leaves));
        pairs.filter(|(_, (line, leaf))| leaf_hash(line) != *leaf).map(|(index, _)| index).collect()
    }

    /// A note whose bytes are exactly those that the log's key signed.
    fn checkpoint(&self, name: &str, federation: &Federation) -> Result<VerifiedCheckpoint, Detail> {
        let bytes = self.files.files.get(name).ok_or(Words::NoFile)?;
        let key = federation.log_key().map_err(|_| Detail::of(&CheckpointFault::Key))?;
        let checkpoint = VerifiedCheckpoint::open(bytes, &key);
        let checkpoint = checkpoint.map_err(|error| Detail::of(&CheckpointFault::from(&error)))?;
        let same = checkpoint.note().to_string().as_bytes() == bytes;
        same.then_some(checkpoint).ok_or_else(|| Words::OtherBytes.into())
    }

    /// No file but those that the entries give, and these with exactly the bytes that they give. Of a log that could not
    /// be read whole, files that its tree may have are left alone.
    pub(super) fn every_file(&mut self, entries: &Entries, ledger: &Ledger) {
        let mut expected = expected_files(&entries.lines);
        let policies: BTreeSet<_> = ledger.versions().skip(1).map(|later| catalogue(later.version())).collect();
        let unjudged = |path: &str| {
            let of_tree = || !entries.whole() && entries.size.is_some_and(|size| is_of_tree(path, size));
            let of_later = || !self.judged && path.starts_with("catalogue.") && path.ends_with(".toml");
            of_tree() || of_later()
        };
        let mut found = Vec::new();
        for (path, bytes) in &self.files.files {
            let apart = [CHECKPOINT, CATALOGUE, COSIGNED].contains(&path.as_str()) || policies.contains(path);
            match expected.remove(path) {
                Some(right) if right == *bytes => {}
                Some(_) if !entries.altered.is_empty() && !is_bundle(path) => {}
                Some(_) => found.push((Rule::FileAltered, path)),
                None if apart || unjudged(path) => {}
                None => found.push((Rule::FileUnknown, path)),
            }
        }
        let missing = expected.keys().filter(|path| entries.whole() && !self.files.too_long.contains(path));
        found.extend(missing.map(|path| (Rule::FileMissing, path)));
        found.extend(self.files.strange.iter().map(|path| (Rule::FileUnknown, path)));
        found.into_iter().for_each(|(rule, path)| self.find(rule, path.as_str()));
    }

    /// The note with cosignatures holds exactly those of the entries; there may be none while there are no cosignatures.
    pub(super) fn cosigned_file(&mut self, ledger: &Ledger) {
        let good = match (ledger.closed(), self.files.files.contains_key(COSIGNED)) {
            (None, exists) => !exists,
            (Some(closed), false) => closed.cosigned.is_empty(),
            (Some(closed), true) => self.cosigned_agrees(closed, ledger.federation()).unwrap_or(false),
        };
        if !good {
            self.find(Rule::Cosigned, COSIGNED);
        }
    }

    /// The lines of the log's key and, in the order of the manifest's members, of everybody who cosigned: nothing else.
    fn cosigned_agrees(&self, closed: &Closed, federation: &Federation) -> Option<bool> {
        let checkpoint = self.checkpoint(COSIGNED, federation).ok()?;
        let (_log, lines) = checkpoint.note().lines().split_first()?;
        Some(checkpoint.tree() == closed.tree && lines.iter().eq(closed.cosigned.values()))
    }
}

/// The tiles of a tree of these entries, by path.
fn expected_files(entries: &[Vec<u8>]) -> BTreeMap<String, Vec<u8>> {
    let mut writer = LogWriter::empty();
    let all = entries.iter().all(|entry| writer.append(entry).is_ok());
    debug_assert!(all, "entries came out of bundles, so they are not too long");
    writer.changed_files().into_iter().map(|(tile, bytes)| (tile.to_string(), bytes)).collect()
}

/// Whether a tree of so many entries has a file of this path.
fn is_of_tree(path: &str, size: u64) -> bool {
    path.parse::<Tile>().is_ok_and(|tile| Tile::holding(tile.kind(), tile.index() * TILE_WIDTH, size) == Some(tile))
}

fn is_bundle(path: &str) -> bool {
    path.parse::<Tile>().is_ok_and(|tile| tile.kind() == Kind::Entries)
}

/// Entries that one finding names.
const NAMED_MAX: usize = 10;
