//! Roots of trees, against published vectors and against `ct-merkle`: a writer's, and those that a member or an auditor
//! grows.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;
use wugan_protocol::{
    hexes::sha256,
    log::{merkle::Growing, writer::LogWriter},
};

use super::{digest, entry};

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

#[test]
fn published_vectors_hold() {
    let (mut log, mut growing) = (LogWriter::empty(), Growing::default());
    assert_eq!((log.tree(), log.tree().root), (growing.tree(), sha256(b"")));
    for (leaf, root) in LEAVES.into_iter().zip(ROOTS) {
        let leaf = hex::decode(leaf).unwrap();
        log.append(&leaf).unwrap();
        growing.push(&leaf);
        assert_eq!((log.tree(), log.tree().root), (growing.tree(), digest(root)));
    }
}

/// Every tree of up to 600 entries, and trees whose right edge lies around the ends of tiles, on three levels.
#[test]
fn roots_agree_with_another_implementation() {
    let (mut log, mut growing) = (LogWriter::empty(), Growing::default());
    let mut other = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    for size in 1..=65_536 + 256 + 3 {
        let entry = entry(size - 1);
        log.append(&entry).unwrap();
        growing.push(&entry);
        other.push(entry);
        if size <= 600 || [65_279, 65_280, 65_535, 65_536, 65_537, 65_791, 65_792, 65_795].contains(&size) {
            assert_eq!((log.tree(), log.tree().size), (growing.tree(), size));
            assert_eq!(log.tree().root.0, <[u8; 32]>::from(*other.root().as_bytes()), "{size}");
        }
    }
}
