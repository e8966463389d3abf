//! Checkpoints, C2SP tlog-checkpoint: the log's signed statement of its tree.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{
    merkle::Tree,
    note::{Algorithm, KeyError, Note, NoteError, SignatureError, SignatureLine, VerifierKey},
};
use crate::{envelope::Signer, hexes::Hex, limits::LOG_ENTRIES_MAX};

/// A checkpoint that bears a signature of the log's key. Whether the log said something else before, a member knows by its own
/// tree; whether to others, by the cosignatures that the entries hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedCheckpoint {
    tree: Tree,
    note: Note,
}

impl VerifiedCheckpoint {
    /// Reads a checkpoint and verifies the log's signature. Other signature lines are kept and not judged. The log's key is
    /// named by the log's origin.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    pub fn open(bytes: &[u8], log: &VerifierKey) -> Result<VerifiedCheckpoint, CheckpointError> {
        if log.algorithm() != Algorithm::Ed25519 {
            return Err(CheckpointError::Key);
        }
        let note = Note::read(bytes)?;
        let mut signed = false;
        for line in note.lines() {
            if log.claims(line)? {
                log.verify(note.text().as_bytes(), line.signature())?;
                signed = true;
            }
        }
        if !signed {
            return Err(SignatureError::Missing { name: log.name().to_owned() }.into());
        }
        let tree = read_text(note.text(), log.name())?;
        Ok(VerifiedCheckpoint { tree, note })
    }

    /// Signs a tree as the log of this origin. A log signs no tree that it has not grown from the one it signed before.
    ///
    /// # Errors
    /// [`KeyError`] for an origin that cannot name a key.
    pub fn sign(tree: Tree, origin: &str, signer: &dyn Signer) -> Result<VerifiedCheckpoint, KeyError> {
        let log = VerifierKey::new(origin, Algorithm::Ed25519, signer.public_key())?;
        let mut note = Note::unsigned(write_text(tree, origin));
        note.add(SignatureLine::new(&log, &signer.sign(note.text().as_bytes())));
        Ok(VerifiedCheckpoint { tree, note })
    }

    /// The tree.
    pub fn tree(&self) -> Tree {
        self.tree
    }

    /// The signed note as it is written: its text is the checkpoint file.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Adds a cosignature of this tree that [`super::cosignature::verify_tree`] accepts.
    pub fn add_cosignature(&mut self, line: SignatureLine) {
        self.note.add(line);
    }
}

/// Why a checkpoint is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The key to verify with is no log's.
    #[error("the key of a log is an Ed25519 key, not a cosigner's")]
    Key,
    /// Not a signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not signed by the log.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Not three lines.
    #[error(
        "a checkpoint has three lines: origin, size, root; extension lines are not accepted, since nobody audits them"
    )]
    Lines,
    /// Another log's.
    #[error("the checkpoint's origin is not the name of the log's key")]
    Origin,
    /// Not a decimal number in range.
    #[error("the size of a checkpoint is a decimal number up to {LOG_ENTRIES_MAX}, without leading zeros")]
    Size,
    /// Not the base64 of 32 bytes.
    #[error("the root of a checkpoint is the base64 of 32 bytes, and of an empty tree the hash of nothing")]
    Root,
}

pub(super) fn write_text(tree: Tree, origin: &str) -> String {
    format!("{origin}\n{}\n{}\n", tree.size, BASE64_STANDARD.encode(tree.root.0))
}

fn read_text(text: &str, origin: &str) -> Result<Tree, CheckpointError> {
    let lines: Vec<&str> = text.split_terminator('\n').collect();
    let [first, size, root] = lines[..] else { return Err(CheckpointError::Lines) };
    if first != origin {
        return Err(CheckpointError::Origin);
    }
    let number: u64 = size.parse().map_err(|_| CheckpointError::Size)?;
    if number.to_string() != size || number > LOG_ENTRIES_MAX {
        return Err(CheckpointError::Size);
    }
    let root = BASE64_STANDARD.decode(root).ok().and_then(|bytes| bytes.try_into().ok());
    let tree = Tree { size: number, root: Hex(root.ok_or(CheckpointError::Root)?) };
    if tree.size == 0 && tree != Tree::empty() { Err(CheckpointError::Root) } else { Ok(tree) }
}
