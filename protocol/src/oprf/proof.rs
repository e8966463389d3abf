//! Proofs `(c, s)` of equal discrete logarithms, whatever their challenge hashes (RFC 9497, section 2.2).

use core::fmt;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use ring::hmac;
use zeroize::Zeroizing;

use super::element::Element;
use super::hash::mac;
use super::key::{PublicKey, SecretKey};
use super::secret::NonceKey;

/// A proof: challenge `c` and response `s = nonce − c·k`, on the wire `c ‖ s`, both little-endian.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    pub(super) c: Scalar,
    pub(super) s: Scalar,
}

/// A scalar of a proof is not below the group order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proof's scalars are not canonical")]
pub struct NonCanonicalProof;

impl Proof {
    /// Decodes a proof.
    ///
    /// # Errors
    /// Refuses scalars that are not canonical.
    pub fn from_bytes(bytes: &[u8; 64]) -> Result<Self, NonCanonicalProof> {
        let (halves, _) = bytes.as_chunks::<32>();
        let scalar =
            |half| Option::from(Scalar::from_canonical_bytes(half)).ok_or(NonCanonicalProof);
        Ok(Self {
            c: scalar(halves[0])?,
            s: scalar(halves[1])?,
        })
    }

    /// The wire form.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(self.c.as_bytes());
        bytes[32..].copy_from_slice(self.s.as_bytes());
        bytes
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({})", hex::encode(self.to_bytes()))
    }
}

/// The claim that `public = k · G` and `z = k · m` with one `k`.
pub(super) struct Dleq<'a> {
    pub(super) public: &'a PublicKey,
    pub(super) m: RistrettoPoint,
    pub(super) z: RistrettoPoint,
}

/// What a challenge hashes besides its domain, encoded: composites `m`, `z`, commitments `nonce · G`, `nonce · m`.
pub(super) type Transcript = [Element; 4];

impl Dleq<'_> {
    /// Proves the claim. The nonce must never serve another challenge.
    pub(super) fn prove(
        &self,
        key: &SecretKey,
        nonce: &Scalar,
        challenge: impl FnOnce(&Transcript) -> Scalar,
    ) -> Proof {
        let c = challenge(&self.transcript(RistrettoPoint::mul_base(nonce), nonce * self.m));
        Proof {
            c,
            s: nonce - c * key.scalar(),
        }
    }

    /// Whether the proof shows the claim.
    pub(super) fn holds(
        &self,
        proof: &Proof,
        challenge: impl FnOnce(&Transcript) -> Scalar,
    ) -> bool {
        let Proof { c, s } = proof;
        let on_base =
            RistrettoPoint::vartime_double_scalar_mul_basepoint(c, self.public.point(), s);
        let on_m = RistrettoPoint::vartime_multiscalar_mul([s, c], [&self.m, &self.z]);
        challenge(&self.transcript(on_base, on_m)) == *c
    }

    fn transcript(&self, on_base: RistrettoPoint, on_m: RistrettoPoint) -> Transcript {
        [self.m, self.z, on_base, on_m].map(|point| point.compress().to_bytes())
    }
}

/// The nonce of a proof: HMAC-SHA-512(nonce key, statement ‖ fresh), reduced.
///
/// `statement` is a hash of all that the challenge will depend on, so a repeated `fresh` (a retry, a restored
/// machine) cannot put one nonce under two challenges, which would give the key away.
pub(super) fn derive_nonce(
    key: &NonceKey,
    statement: &[u8; 64],
    fresh: &[u8; 32],
) -> Zeroizing<Scalar> {
    let key = hmac::Key::new(hmac::HMAC_SHA512, key.as_bytes());
    Zeroizing::new(Scalar::from_bytes_mod_order_wide(&mac(
        &key,
        &[statement, fresh],
    )))
}
