//! Roots and proofs, against published vectors and against `ct-merkle`.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;
use wugan_protocol::{
    hexes::{Digest, Hex, sha256},
    log::{
        merkle::{Tree, leaf_hash},
        reader::{LogReader, ReadError},
        seen::{ConsistencyError, InclusionError, SeenTree},
        writer::LogWriter,
    },
};

use super::{Folder, checkpoint, digest, entry, log_of};

/// The leaves that implementations of RFC 6962 publish vectors for.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/// Entry, size, proof.
const INCLUSION: [(u64, u64, &[&str]); 4] = [
    (
        0,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        &[
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
];

/// Old size, new size, proof.
const CONSISTENCY: [(u64, u64, &[&str]); 3] = [
    (1, 1, &[]),
    (
        2,
        8,
        &[
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
];

#[test]
fn published_vectors_hold() {
    let (mut log, mut folder) = (LogWriter::empty(), Folder::default());
    let mut trees = vec![log.tree()];
    for (leaf, root) in LEAVES.into_iter().zip(ROOTS) {
        log.append(&hex::decode(leaf).unwrap()).unwrap();
        folder.write(&mut log);
        assert_eq!(log.tree().root, digest(root));
        trees.push(log.tree());
    }
    assert_eq!(trees[0].root, sha256(b""));
    for (index, size, proof) in INCLUSION {
        let proof: Vec<Digest> = proof.iter().map(|hash| digest(hash)).collect();
        let tree = trees[size as usize];
        assert_eq!(LogReader::new(tree, &folder).inclusion_proof(index).unwrap(), proof);
        let leaf = hex::decode(LEAVES[index as usize]).unwrap();
        SeenTree::restore(tree).verify_inclusion(index, &leaf, &proof).unwrap();
    }
    for (old, new, proof) in CONSISTENCY {
        let proof: Vec<Digest> = proof.iter().map(|hash| digest(hash)).collect();
        let (old, new) = (trees[old as usize], trees[new as usize]);
        assert_eq!(LogReader::new(new, &folder).consistency_proof(old.size).unwrap(), proof);
        SeenTree::restore(old).extend(&checkpoint(new), &proof).unwrap();
    }
}

/// Every tree of up to 70 entries, every entry, every older tree: the proofs are those of `ct-merkle`, they verify, and
/// none verifies after a change.
#[test]
fn all_proofs_of_small_trees_agree_with_another_implementation() {
    let (mut log, mut folder) = (LogWriter::empty(), Folder::default());
    let (mut other, mut trees) = (MemoryBackedTree::<Sha256, Vec<u8>>::new(), vec![log.tree()]);
    for size in 1..=70 {
        log.append(&entry(size - 1)).unwrap();
        other.push(entry(size - 1));
        folder.write(&mut log);
        let tree = log.tree();
        assert_eq!(tree.root.0, <[u8; 32]>::from(*other.root().as_bytes()));
        trees.push(tree);
        let reader = LogReader::new(tree, &folder);
        for index in 0..size {
            let proof = reader.inclusion_proof(index).unwrap();
            assert_eq!(proof, digests(other.prove_inclusion(index as usize).as_bytes()));
            check_inclusion(tree, index, &proof);
        }
        for old in &trees[1..] {
            let proof = reader.consistency_proof(old.size).unwrap();
            assert_eq!(proof, digests(other.prove_consistency((size - old.size) as usize).as_bytes()));
            check_consistency(*old, tree, &proof);
        }
    }
}

/// Trees whose right edge lies around the ends of tiles, on three levels.
#[test]
fn proofs_across_tiles_agree_with_another_implementation() {
    let (tree, folder) = log_of(65_536 + 256 + 3);
    let mut other = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut trees = vec![tree];
    for size in 1..=tree.size {
        other.push(entry(size - 1));
        if [255, 256, 257, 512, 513, 65_535, 65_536, 65_537, 65_792].contains(&size) {
            trees.push(Tree { size, root: Hex((*other.root().as_bytes()).into()) });
        }
    }
    assert_eq!(tree.root.0, <[u8; 32]>::from(*other.root().as_bytes()));
    let reader = LogReader::new(tree, &folder);
    for index in [0, 1, 254, 255, 256, 257, 511, 65_279, 65_280, 65_535, 65_536, 65_791, 65_792, 65_794] {
        let proof = reader.inclusion_proof(index).unwrap();
        assert_eq!(proof, digests(other.prove_inclusion(index as usize).as_bytes()));
        assert_eq!(reader.entry(index).unwrap(), entry(index));
        check_inclusion(tree, index, &proof);
    }
    for old in &trees {
        let proof = reader.consistency_proof(old.size).unwrap();
        assert_eq!(proof, digests(other.prove_consistency((tree.size - old.size) as usize).as_bytes()));
        check_consistency(*old, tree, &proof);
    }
    // An older tree is read from the files of the latest: full tiles stand for its partial ones.
    for old in trees.iter().filter(|old| old.size % 256 != 0 && old.size < 65_536) {
        let reader = LogReader::new(*old, &folder);
        assert_eq!(reader.entry(old.size - 1).unwrap(), entry(old.size - 1));
        let proof = reader.inclusion_proof(old.size - 1).unwrap();
        check_inclusion(*old, old.size - 1, &proof);
    }
}

#[test]
fn what_lies_outside_a_tree_is_refused() {
    let (tree, folder) = log_of(5);
    let (reader, seen) = (LogReader::new(tree, &folder), SeenTree::restore(tree));
    for index in [5, 6, 1 << 40, u64::MAX] {
        assert!(matches!(reader.inclusion_proof(index), Err(ReadError::Beyond { size: 5 })));
        assert!(matches!(reader.entry(index), Err(ReadError::Beyond { size: 5 })));
        assert_eq!(seen.verify_inclusion(index, b"", &[]), Err(InclusionError::Beyond { index, size: 5 }));
    }
    assert!(matches!(reader.consistency_proof(6), Err(ReadError::Beyond { size: 5 })));
    assert_eq!(reader.consistency_proof(0).unwrap(), []);
    assert_eq!(reader.consistency_proof(5).unwrap(), []);
}

#[test]
fn a_log_that_goes_back_or_forks_is_told_apart_from_a_missing_proof() {
    let (five, folder) = log_of(5);
    let (three, _) = log_of(3);
    let seen = SeenTree::nothing().extend(&checkpoint(three), &[]).unwrap();
    let proof = LogReader::new(five, &folder).consistency_proof(3).unwrap();
    let extended = seen.extend(&checkpoint(five), &proof).unwrap();
    assert_eq!(extended.tree(), five);
    assert_eq!(extended.extend(&checkpoint(five), &[]).unwrap(), extended);
    let rolled_back = ConsistencyError::RolledBack { seen: 5, offered: 3 };
    assert_eq!(extended.extend(&checkpoint(three), &[]), Err(rolled_back));
    let rolled_back = ConsistencyError::RolledBack { seen: 5, offered: 0 };
    assert_eq!(extended.extend(&checkpoint(Tree::empty()), &[]), Err(rolled_back));
    let fork = Tree { size: 5, root: three.root };
    assert_eq!(extended.extend(&checkpoint(fork), &proof), Err(ConsistencyError::SplitView { size: 5 }));
    let not_proven = ConsistencyError::NotProven { seen: 3, offered: 5 };
    assert_eq!(seen.extend(&checkpoint(five), &[]), Err(not_proven));
    // The empty tree and the same tree need no proof, and take none.
    let not_proven = ConsistencyError::NotProven { seen: 0, offered: 5 };
    assert_eq!(SeenTree::nothing().extend(&checkpoint(five), &proof), Err(not_proven));
    let not_proven = ConsistencyError::NotProven { seen: 5, offered: 5 };
    assert_eq!(extended.extend(&checkpoint(five), &proof), Err(not_proven));
}

#[test]
fn sizes_at_the_end_of_the_numbers_do_not_overflow() {
    let root = leaf_hash(b"x");
    for size in [1, 2, 3, 1 << 32, (1 << 32) + 1, 1 << 63, (1 << 63) + 1, u64::MAX - 1, u64::MAX] {
        for length in [0, 1, 2, 32, 33, 63, 64, 65, 200] {
            let proof = vec![root; length];
            let seen = SeenTree::restore(Tree { size, root });
            for index in [0, 1, size / 2, size.saturating_sub(2), size - 1] {
                let included = seen.verify_inclusion(index, b"x", &proof).is_ok();
                assert_eq!(included, size == 1 && index == 0 && length == 0);
            }
            for old in [1, 2, size / 2, size - 1].into_iter().filter(|old| (1..size).contains(old)) {
                let old = SeenTree::restore(Tree { size: old, root });
                assert!(old.extend(&checkpoint(Tree { size, root }), &proof).is_err());
            }
        }
    }
}

/// The proof verifies, and no other does: each hash altered, dropped, doubled, swapped with the next, another index or entry.
fn check_inclusion(tree: Tree, index: u64, proof: &[Digest]) {
    let seen = SeenTree::restore(tree);
    let bytes = entry(index);
    let included = seen.verify_inclusion(index, &bytes, proof).unwrap();
    assert_eq!((included.index(), included.entry()), (index, &bytes[..]));
    let refused = InclusionError::NotProven { index, size: tree.size };
    for mutant in mutants(proof) {
        assert_eq!(seen.verify_inclusion(index, &bytes, &mutant).unwrap_err(), refused);
    }
    assert_eq!(seen.verify_inclusion(index, b"other", proof), Err(refused));
    for other in [index + 1, index ^ 1, index / 2].into_iter().filter(|other| *other != index) {
        assert!(seen.verify_inclusion(other, &bytes, proof).is_err());
    }
}

fn check_consistency(old: Tree, new: Tree, proof: &[Digest]) {
    let (seen, new) = (SeenTree::restore(old), checkpoint(new));
    assert_eq!(seen.extend(&new, proof).unwrap().tree(), new.tree());
    for mutant in mutants(proof) {
        assert!(seen.extend(&new, &mutant).is_err());
    }
    let other = SeenTree::restore(Tree { root: leaf_hash(b"other"), ..old });
    assert!(other.extend(&new, proof).is_err());
}

fn mutants(proof: &[Digest]) -> Vec<Vec<Digest>> {
    let mut mutants = vec![[proof, &[leaf_hash(b"more")]].concat()];
    for place in 0..proof.len() {
        let mut altered = proof.to_vec();
        altered[place].0[place % 32] ^= 1;
        let mut dropped = proof.to_vec();
        dropped.remove(place);
        let mut doubled = proof.to_vec();
        doubled.insert(place, proof[place]);
        mutants.extend([altered, dropped, doubled]);
        if proof.get(place + 1).is_some_and(|next| *next != proof[place]) {
            let mut swapped = proof.to_vec();
            swapped.swap(place, place + 1);
            mutants.push(swapped);
        }
    }
    mutants
}

fn digests(bytes: &[u8]) -> Vec<Digest> {
    bytes.chunks(32).map(|hash| Hex(hash.try_into().unwrap())).collect()
}
