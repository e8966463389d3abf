//! The proof that one key evaluated a whole batch: batched DLEQ whose weights commit to every element.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use sha2::{Digest, Sha512};

use super::element::{Element, Elements, ElementsError};
use super::hash::{labelled, wide_scalar};
use super::key::{PreparedKey, PublicKey, SecretKey};
use super::owner::BlindedBatch;
use super::proof::{Dleq, Proof, Transcript, derive_nonce};
use super::secret::{MatchingKey, NonceKey};

/// What a batch's proof is bound to, besides the elements and the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchContext {
    /// SHA-256 of the federation manifest's canonical body.
    pub federation: [u8; 32],
    /// Member number of the source that evaluates.
    pub source: u16,
    /// Member number of the roster owner that asks.
    pub owner: u16,
    /// The source's key epoch.
    pub epoch: u32,
    /// The owner's number of the batch.
    pub batch: u64,
}

/// An answer whose proof holds: the only thing that releases matching keys.
#[derive(Debug)]
pub struct VerifiedBatch<'a> {
    source: &'a PreparedKey,
    batch: &'a BlindedBatch,
    evaluated: Elements,
}

/// Why a source's answer was refused. It is the source's fault in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The evaluated elements do not decode.
    #[error("the evaluated batch is malformed: {0}")]
    Elements(#[from] ElementsError),
    /// Not one evaluated element for each blinded one.
    #[error("{evaluated} evaluated elements for {blinded} blinded ones")]
    Count {
        /// Elements sent.
        blinded: usize,
        /// Elements received.
        evaluated: usize,
    },
    /// The proof does not show this evaluation by this key in this context.
    #[error("the proof does not hold")]
    Refused,
}

/// Proves that `evaluated` is what [`evaluate`](super::evaluate) made of `blinded` with this key.
///
/// `fresh` is 32 bytes of new randomness; see `derive_nonce` for what its repetition cannot do. The weights are
/// public, so one composite takes a variable-time multiscalar multiplication, the other is `k_j` times it.
#[must_use]
pub fn prove(
    key: &SecretKey,
    context: &BatchContext,
    blinded: &Elements,
    evaluated: &[Element],
    nonce_key: &NonceKey,
    fresh: &[u8; 32],
) -> Proof {
    let public = key.public();
    let seed = batch_seed(context, public, blinded.as_slice(), evaluated);
    let m = composite(&weights(&seed, blinded.len()), blinded);
    let claim = Dleq {
        public,
        m,
        z: key.scalar() * m,
    };
    claim.prove(key, &derive_nonce(nonce_key, &seed, fresh), |points| {
        challenge(&seed, public, points)
    })
}

/// Verifies a source's answer to a batch of one's own.
///
/// # Errors
/// Refuses elements that do not decode, a wrong number of them, and a proof that does not hold.
pub fn verify<'a>(
    source: &'a PreparedKey,
    context: &BatchContext,
    batch: &'a BlindedBatch,
    evaluated: &[Element],
    proof: &Proof,
) -> Result<VerifiedBatch<'a>, ProofError> {
    let evaluated = Elements::decode(evaluated)?;
    verify_elements(source.public(), context, batch.sent(), &evaluated, proof)?;
    Ok(VerifiedBatch {
        source,
        batch,
        evaluated,
    })
}

/// Verifies somebody else's batch, as an auditor does: nothing is unblinded.
///
/// # Errors
/// Refuses a wrong number of elements and a proof that does not hold.
pub fn verify_elements(
    public: &PublicKey,
    context: &BatchContext,
    blinded: &Elements,
    evaluated: &Elements,
    proof: &Proof,
) -> Result<(), ProofError> {
    if blinded.len() != evaluated.len() {
        return Err(ProofError::Count {
            blinded: blinded.len(),
            evaluated: evaluated.len(),
        });
    }
    let seed = batch_seed(context, public, blinded.as_slice(), evaluated.as_slice());
    let weights = weights(&seed, blinded.len());
    let claim = Dleq {
        public,
        m: composite(&weights, blinded),
        z: composite(&weights, evaluated),
    };
    if claim.holds(proof, |points| challenge(&seed, public, points)) {
        Ok(())
    } else {
        Err(ProofError::Refused)
    }
}

impl VerifiedBatch<'_> {
    /// Unblinds, finalizes and drops the padding: the matching keys of the batch's people, in their order.
    #[must_use]
    pub fn finalize(self) -> Vec<MatchingKey> {
        self.batch.unblind(self.source, &self.evaluated)
    }
}

/// Hash of everything that a batch's proof is about, at fixed width.
pub(super) fn batch_seed(
    context: &BatchContext,
    public: &PublicKey,
    blinded: &[Element],
    evaluated: &[Element],
) -> [u8; 64] {
    let mut hash = labelled(SEED_LABEL);
    hash.update(context.federation);
    hash.update(context.source.to_le_bytes());
    hash.update(context.owner.to_le_bytes());
    hash.update(context.epoch.to_le_bytes());
    hash.update(context.batch.to_le_bytes());
    hash.update((blinded.len() as u32).to_le_bytes());
    hash.update(public.as_bytes());
    hash.update(blinded.as_flattened());
    hash.update(evaluated.as_flattened());
    hash.finalize().into()
}

/// Weight `i` is the first 16 bytes of SHA-512(seed ‖ i), little-endian. 128 bits halve the multiscalar
/// multiplication and bound a false batch's chance by 2^-128.
pub(super) fn weights(seed: &[u8; 64], count: usize) -> Vec<Scalar> {
    let prefix = Sha512::new_with_prefix(seed);
    (0..count as u32)
        .map(|index| {
            let hash: [u8; 64] = prefix
                .clone()
                .chain_update(index.to_le_bytes())
                .finalize()
                .into();
            let (words, _) = hash.as_chunks::<16>();
            Scalar::from(u128::from_le_bytes(words[0]))
        })
        .collect()
}

fn composite(weights: &[Scalar], elements: &Elements) -> RistrettoPoint {
    RistrettoPoint::vartime_multiscalar_mul(weights, elements.points())
}

fn challenge(seed: &[u8; 64], public: &PublicKey, points: &Transcript) -> Scalar {
    let mut hash = labelled(CHALLENGE_LABEL);
    hash.update(seed);
    hash.update(public.as_bytes());
    hash.update(points.as_flattened());
    wide_scalar(hash)
}

const SEED_LABEL: &str = "wugan/1/batch-dleq-seed";
const CHALLENGE_LABEL: &str = "wugan/1/batch-dleq-challenge";
