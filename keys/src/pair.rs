//! An Ed25519 key pair (RFC 8032), for whatever role signs with it.

use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use wugan_protocol::envelope::Signer;
use zeroize::Zeroizing;

use crate::identity::IdentityError;

/// A key pair, and the PKCS#8 document as which it lies in a file.
pub(crate) struct Pair {
    pair: Ed25519KeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl Pair {
    /// A fresh pair, in memory only.
    ///
    /// # Errors
    /// [`IdentityError::Key`] when the system gives no randomness.
    pub(crate) fn generate() -> Result<Pair, IdentityError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| IdentityError::Key)?;
        Self::from_pkcs8(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The pair of a document.
    ///
    /// # Errors
    /// [`IdentityError::Key`].
    pub(crate) fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Pair, IdentityError> {
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| IdentityError::Key)?;
        Ok(Pair { pair, pkcs8 })
    }

    /// The document.
    pub(crate) fn pkcs8(&self) -> &Zeroizing<Vec<u8>> {
        &self.pkcs8
    }

    /// The pair as ring has it.
    pub(crate) fn ring(&self) -> &Ed25519KeyPair {
        &self.pair
    }
}

impl Signer for Pair {
    fn public_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        key
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(message).as_ref());
        signature
    }
}
