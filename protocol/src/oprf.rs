//! Everything on the curve: the oblivious PRF of enrolment and its proofs.
//!
//! The function is RFC 9497, suite `ristretto255-SHA512`, mode 0x01 (VOPRF): `F_j(x)` of a source's key `k_j`
//! and a person's input `x` is that RFC's 64-byte output, and the matching key its first 32 bytes. Two layers:
//!
//! - [`rfc`] has the RFC's own functions, modes 0x00 and 0x01, for its vectors and for single elements.
//! - This module has the batch protocol on the wire. A roster owner makes a [`BlindedBatch`] from a
//!   [`BatchSeed`] and its people; a source decodes it into [`Elements`], answers with [`evaluate`] and
//!   [`prove`]; the owner turns answer and proof into a [`VerifiedBatch`] with [`verify`], and only that value
//!   releases [`MatchingKey`]s. A source serves its own records with [`evaluate_direct`].
//!
//! Where it differs from the RFC, with the same outputs: blinding is additive, and the batched proof's weights
//! commit to the whole batch. The RFC's own weights depend on one element each, so a source that chooses its
//! answers could make a false batch of thousands verify (Wagner's generalised birthday attack).
//!
//! Scalar multiplications by a secret run in constant time. Variable time is used where every operand is on the
//! wire: composites and proof verification. Points and hashes in temporary buffers of the dependencies are not
//! wiped; what this module keeps is.

pub mod rfc;

mod batch_proof;
mod element;
mod hash;
mod key;
mod key_proof;
mod owner;
mod proof;
mod secret;
mod source;
#[cfg(test)]
mod tests;

pub use batch_proof::{BatchContext, ProofError, VerifiedBatch, prove, verify, verify_elements};
pub use element::{BATCH_ELEMENTS_MAX, Element, Elements, ElementsError};
pub use key::{KeyError, PreparedKey, PublicKey, SecretKey};
pub use key_proof::{KeyContext, KeyProofError, prove_key, verify_key};
pub use owner::{BATCH_STEP_ELEMENTS, BlindError, BlindedBatch, OprfInput, blind, padded_len};
pub use proof::{NonCanonicalProof, Proof};
pub use secret::{BatchSeed, MatchingKey, NonceKey};
pub use source::{evaluate, evaluate_direct};

/// Which implementation of the field's arithmetic curve25519-dalek uses here. AVX2 is chosen when the program starts;
/// AVX-512 IFMA only by building with `-C target-cpu=native` on a CPU that has it.
#[must_use]
pub fn curve_backend() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if cfg!(all(target_feature = "avx512ifma", target_feature = "avx512vl")) {
            return "AVX-512 IFMA";
        }
        if std::is_x86_feature_detected!("avx2") {
            return "AVX2";
        }
    }
    "serial"
}
