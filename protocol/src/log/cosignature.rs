//! Cosignatures, C2SP tlog-cosignature v1: a member's statement that a checkpoint extends all that it saw of the log.

use super::{
    checkpoint::write_text,
    merkle::Tree,
    note::{SignatureError, SignatureLine, VerifierKey},
};
use crate::envelope::Signer;

/// A cosigner's signature over a tree of the log of this origin, at `time` (seconds since 1970).
pub fn sign_tree(tree: Tree, origin: &str, signer: &dyn Signer, time: u64) -> [u8; 64] {
    signer.sign(&message(&write_text(tree, origin), time))
}

/// Verifies what [`sign_tree`] made.
///
/// # Errors
/// [`SignatureError::Bad`].
pub fn verify_tree(
    tree: Tree,
    origin: &str,
    key: &VerifierKey,
    time: u64,
    signature: &[u8; 64],
) -> Result<(), SignatureError> {
    key.verify(&message(&write_text(tree, origin), time), signature)
}

impl VerifierKey {
    /// The line under a checkpoint's note of a signature that [`sign_tree`] made.
    pub fn cosignature_line(&self, time: u64, signature: &[u8; 64]) -> SignatureLine {
        SignatureLine::new(self, &[&time.to_be_bytes()[..], signature].concat())
    }
}

/// What a cosigner signs: `text` is that of the checkpoint's note.
fn message(text: &str, time: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}
