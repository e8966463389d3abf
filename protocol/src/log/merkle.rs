//! Merkle tree hashing and proofs: RFC 6962 section 2.1.

use std::ops::Range;

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
pub(super) fn node_hash(left: Digest, right: Digest) -> Digest {
    sha256(&[&[1], &left.0[..], &right.0[..]].concat())
}

/// The root over hashes of leaves, or of complete subtrees of one size of which the last may be ragged.
pub(super) fn root_of(hashes: &[Digest]) -> Digest {
    match hashes {
        [] => sha256(&[]),
        [one] => *one,
        _ => {
            let (left, right) = hashes.split_at(1 << (hashes.len() - 1).ilog2());
            node_hash(root_of(left), root_of(right))
        }
    }
}

/// The root to which an inclusion proof leads, unless its length is not that of entry `index` in a tree of `size`
/// (RFC 9162 section 2.1.3.2).
pub(super) fn root_by_inclusion(index: u64, size: u64, leaf: Digest, proof: &[Digest]) -> Option<Digest> {
    let (mut node, mut last) = (index, size.checked_sub(1)?);
    if index > last {
        return None;
    }
    let mut root = leaf;
    for sibling in proof {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            root = node_hash(*sibling, root);
            let skipped = node.trailing_zeros().min(u64::BITS - 1);
            (node, last) = (node >> skipped, last >> skipped);
        } else {
            root = node_hash(root, *sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    (last == 0).then_some(root)
}

/// Whether a consistency proof shows that `old` is the beginning of `new` (RFC 9162 section 2.1.4.2). Every tree is
/// consistent, by an empty proof, with the empty tree and with itself.
pub(super) fn is_consistent(old: Tree, new: Tree, proof: &[Digest]) -> bool {
    if old.size == 0 || old.size >= new.size {
        let same = if old.size == 0 { old == Tree::empty() } else { old == new };
        return same && proof.is_empty();
    }
    // The first node is the largest complete subtree at the old tree's right edge: the old tree itself, if it is complete.
    let complete = old.size.is_power_of_two().then_some(old.root);
    let mut path = complete.iter().chain(proof).copied();
    let Some(first) = path.next() else { return false };
    let (mut node, mut last) = (old.size - 1, new.size - 1);
    (node, last) = (node >> node.trailing_ones(), last >> node.trailing_ones());
    let (mut old_root, mut new_root) = (first, first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            (old_root, new_root) = (node_hash(sibling, old_root), node_hash(sibling, new_root));
            let skipped = node.trailing_zeros().min(u64::BITS - 1);
            (node, last) = (node >> skipped, last >> skipped);
        } else {
            new_root = node_hash(new_root, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && (old_root, new_root) == (old.root, new.root)
}

/// The subtrees whose roots are the inclusion proof of an entry, in the proof's order (PATH of RFC 6962 section 2.1.1);
/// `index < size`.
pub(super) fn inclusion_subtrees(index: u64, size: u64) -> Vec<Range<u64>> {
    let (mut around, mut path) = (0..size, Vec::new());
    while around.end - around.start > 1 {
        let middle = middle_of(&around);
        if index < middle {
            path.push(middle..around.end);
            around.end = middle;
        } else {
            path.push(around.start..middle);
            around.start = middle;
        }
    }
    path.reverse();
    path
}

/// The subtrees whose roots are the consistency proof between two sizes, in the proof's order (SUBPROOF of RFC 6962
/// section 2.1.2); `old <= new`. The empty tree needs no proof.
pub(super) fn consistency_subtrees(old: u64, new: u64) -> Vec<Range<u64>> {
    if old == 0 {
        return Vec::new();
    }
    let (mut around, mut path) = (0..new, Vec::new());
    while around.end > old {
        let middle = middle_of(&around);
        if old <= middle {
            path.push(middle..around.end);
            around.end = middle;
        } else {
            path.push(around.start..middle);
            around.start = middle;
        }
    }
    // Where the old tree is a node of the new one, its root is known to whoever verifies.
    if around.start > 0 {
        path.push(around);
    }
    path.reverse();
    path
}

/// Where RFC 6962 splits a range of at least two leaves: after the largest power of two smaller than its length.
pub(super) fn middle_of(range: &Range<u64>) -> u64 {
    range.start + (1 << (range.end - range.start - 1).ilog2())
}
