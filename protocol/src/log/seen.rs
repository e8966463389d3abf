//! What a party has seen of the log, and what it may rely on.

use super::{
    checkpoint::VerifiedCheckpoint,
    merkle::{Tree, is_consistent, leaf_hash, root_by_inclusion},
};
use crate::hexes::Digest;

/// The largest tree that a party has seen signed by the log, each one an extension of those before. It is persisted before
/// anything is done that relies on it, and never replaced by a smaller one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeenTree {
    tree: Tree,
}

impl SeenTree {
    /// A party that has seen nothing: every log extends it.
    pub fn nothing() -> SeenTree {
        SeenTree { tree: Tree::empty() }
    }

    /// What this party itself persisted of [`Self::tree`].
    pub fn restore(tree: Tree) -> SeenTree {
        SeenTree { tree }
    }

    /// The tree, to be persisted.
    pub fn tree(&self) -> Tree {
        self.tree
    }

    /// Goes on to a later checkpoint of the same log, or stays at the same.
    ///
    /// # Errors
    /// See [`ConsistencyError`]; what was seen stays.
    pub fn extend(&self, checkpoint: &VerifiedCheckpoint, proof: &[Digest]) -> Result<SeenTree, ConsistencyError> {
        let (seen, offered) = (self.tree, checkpoint.tree());
        if offered.size < seen.size {
            return Err(ConsistencyError::RolledBack { seen: seen.size, offered: offered.size });
        }
        if offered.size == seen.size && offered.root != seen.root {
            return Err(ConsistencyError::SplitView { size: seen.size });
        }
        if !is_consistent(seen, offered, proof) {
            return Err(ConsistencyError::NotProven { seen: seen.size, offered: offered.size });
        }
        Ok(SeenTree { tree: offered })
    }

    /// Verifies that an entry stands in this tree.
    ///
    /// # Errors
    /// See [`InclusionError`].
    pub fn verify_inclusion<'e>(
        &self,
        index: u64,
        entry: &'e [u8],
        proof: &[Digest],
    ) -> Result<Included<'e>, InclusionError> {
        let Tree { size, root } = self.tree;
        if index >= size {
            return Err(InclusionError::Beyond { index, size });
        }
        let leads_to = root_by_inclusion(index, size, leaf_hash(entry), proof);
        if leads_to == Some(root) {
            Ok(Included { index, entry })
        } else {
            Err(InclusionError::NotProven { index, size })
        }
    }
}

/// An entry that was found in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Included<'e> {
    index: u64,
    entry: &'e [u8],
}

impl<'e> Included<'e> {
    /// Its number, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Its bytes.
    pub fn entry(&self) -> &'e [u8] {
        self.entry
    }
}

/// Why a checkpoint is not one that follows what was seen. With both checkpoints at hand, the first two prove a fault of the log
/// to everybody.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsistencyError {
    /// The log became shorter.
    #[error("the log shows {offered} entries after it had shown {seen}: it was rolled back, or this is an old copy")]
    RolledBack {
        /// Entries seen.
        seen: u64,
        /// Entries now.
        offered: u64,
    },
    /// Two trees of one size.
    #[error("the log signed two different trees of {size} entries: it shows different members different logs")]
    SplitView {
        /// Their size.
        size: u64,
    },
    /// The proof is wrong.
    #[error("no proof that the log's {offered} entries begin with the {seen} seen before")]
    NotProven {
        /// Entries seen.
        seen: u64,
        /// Entries now.
        offered: u64,
    },
}

/// Why an entry is not taken to be in the log.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InclusionError {
    /// The tree seen is too small for it.
    #[error("entry {index} is not in the log's {size} entries seen so far")]
    Beyond {
        /// The entry.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The proof is wrong.
    #[error("no proof that this is entry {index} of the log's {size}")]
    NotProven {
        /// The entry.
        index: u64,
        /// The tree's size.
        size: u64,
    },
}
