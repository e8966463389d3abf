//! Key announcements: proof that a source knows the `k_j` of the `K_j` it announces (Schnorr, for the base point).

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use sha2::Digest;

use super::hash::{labelled, wide_scalar};
use super::key::{PublicKey, SecretKey};
use super::proof::{Proof, derive_nonce};
use super::secret::NonceKey;

/// What a key announcement is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyContext {
    /// SHA-256 of the federation manifest's canonical body.
    pub federation: [u8; 32],
    /// Member number of the source.
    pub source: u16,
    /// The key epoch that begins.
    pub epoch: u32,
}

/// The proof does not show knowledge of this key in this context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key announcement's proof does not hold")]
pub struct KeyProofError;

/// Proves knowledge of the key. `fresh` is 32 bytes of new randomness.
#[must_use]
pub fn prove_key(
    key: &SecretKey,
    context: &KeyContext,
    nonce_key: &NonceKey,
    fresh: &[u8; 32],
) -> Proof {
    let seed = key_seed(context, key.public());
    let nonce = derive_nonce(nonce_key, &seed, fresh);
    let c = challenge(&seed, key.public(), &RistrettoPoint::mul_base(&nonce));
    Proof {
        c,
        s: *nonce - c * key.scalar(),
    }
}

/// Verifies a key announcement.
///
/// # Errors
/// Refuses a proof of another key, or made for another federation, member or epoch.
pub fn verify_key(
    public: &PublicKey,
    context: &KeyContext,
    proof: &Proof,
) -> Result<(), KeyProofError> {
    let commitment =
        RistrettoPoint::vartime_double_scalar_mul_basepoint(&proof.c, public.point(), &proof.s);
    let c = challenge(&key_seed(context, public), public, &commitment);
    if c == proof.c {
        Ok(())
    } else {
        Err(KeyProofError)
    }
}

fn key_seed(context: &KeyContext, public: &PublicKey) -> [u8; 64] {
    let mut hash = labelled(SEED_LABEL);
    hash.update(context.federation);
    hash.update(context.source.to_le_bytes());
    hash.update(context.epoch.to_le_bytes());
    hash.update(public.as_bytes());
    hash.finalize().into()
}

fn challenge(seed: &[u8; 64], public: &PublicKey, commitment: &RistrettoPoint) -> Scalar {
    let mut hash = labelled(CHALLENGE_LABEL);
    hash.update(seed);
    hash.update(public.as_bytes());
    hash.update(commitment.compress().as_bytes());
    wide_scalar(hash)
}

const SEED_LABEL: &str = "wugan/1/key-proof-seed";
const CHALLENGE_LABEL: &str = "wugan/1/key-proof-challenge";
