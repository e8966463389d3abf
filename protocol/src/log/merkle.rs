//! Merkle tree hashing: RFC 6962 section 2.1.

use crate::hexes::{Digest, sha256};

/// A tree: how many entries it has, and the root hash over them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tree {
    /// Number of entries.
    pub size: u64,
    /// Merkle Tree Hash of the entries.
    pub root: Digest,
}

impl Tree {
    /// The tree without entries.
    pub fn empty() -> Tree {
        Tree { size: 0, root: root_of(&[]) }
    }
}

/// A tree that grows, of which only the roots of its complete subtrees are kept, from the left: a few hashes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Growing {
    size: u64,
    complete: Vec<Digest>,
}

impl Growing {
    /// Appends an entry.
    pub fn push(&mut self, entry: &[u8]) {
        let mut hash = leaf_hash(entry);
        // Each one at the end of the size in binary is a complete subtree that the new leaf makes twice as large.
        for left in self.complete.drain(self.complete.len() - self.size.trailing_ones() as usize..).rev() {
            hash = node_hash(left, hash);
        }
        self.complete.push(hash);
        self.size += 1;
    }

    /// The tree over all entries appended.
    pub fn tree(&self) -> Tree {
        let root = self.complete.iter().rev().copied().reduce(|right, left| node_hash(left, right));
        root.map_or_else(Tree::empty, |root| Tree { size: self.size, root })
    }
}

/// The hash of an entry's bytes as a leaf (RFC 6962 section 2.1).
pub fn leaf_hash(entry: &[u8]) -> Digest {
    sha256(&[&[0], entry].concat())
}

/// The hash of two subtrees (RFC 6962 section 2.1).
fn node_hash(left: Digest, right: Digest) -> Digest {
    sha256(&[&[1], &left.0[..], &right.0[..]].concat())
}

/// The root over hashes of leaves, or of complete subtrees of one size of which the last may be ragged.
pub fn root_of(hashes: &[Digest]) -> Digest {
    match hashes {
        [] => sha256(&[]),
        [one] => *one,
        _ => {
            let (left, right) = hashes.split_at(1 << (hashes.len() - 1).ilog2());
            node_hash(root_of(left), root_of(right))
        }
    }
}
