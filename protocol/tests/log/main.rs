//! The transparency log's formats: published and fixed vectors, a second implementation, everything that is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod files;
mod notes;
mod roots;

use std::collections::BTreeMap;

use ring::signature::{Ed25519KeyPair, KeyPair};
use wugan_protocol::{
    envelope::Signer,
    hexes::Digest,
    log::{checkpoint::VerifiedCheckpoint, merkle::Tree, writer::LogWriter},
};

/// A signer with a fixed seed.
struct Key(Ed25519KeyPair);

impl Key {
    fn new(seed: u8) -> Key {
        Key(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }
}

impl Signer for Key {
    fn public_key(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).as_ref().try_into().unwrap()
    }
}

/// A log's folder.
#[derive(Clone, Default, PartialEq, Debug)]
struct Folder(BTreeMap<String, Vec<u8>>);

impl Folder {
    /// Writes what changed.
    fn write(&mut self, log: &mut LogWriter) {
        self.0.extend(log.changed_files().into_iter().map(|(tile, bytes)| (tile.to_string(), bytes)));
        log.written();
    }
}

/// A log of entries that all differ, written once.
fn log_of(entries: u64) -> (Tree, Folder) {
    let (mut log, mut folder) = (LogWriter::empty(), Folder::default());
    for index in 0..entries {
        assert_eq!(log.append(&entry(index)), Ok(index));
    }
    folder.write(&mut log);
    (log.tree(), folder)
}

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

/// The origin of every log here.
const ORIGIN: &str = "wugan.example/city";

fn checkpoint(tree: Tree) -> VerifiedCheckpoint {
    VerifiedCheckpoint::sign(tree, ORIGIN, &Key::new(1)).unwrap()
}

fn digest(hex: &str) -> Digest {
    hex.parse().unwrap()
}
