//! RFC 9497, suite `ristretto255-SHA512`, modes 0x00 (OPRF) and 0x01 (VOPRF), batch-first.
//!
//! For the RFC's vectors, other implementations, and single elements. Batches of people use the functions of the
//! parent module: the weights of this proof do not commit to the whole batch.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use rand_core::CryptoRng;
use sha2::{Digest, Sha512};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::element::{Element, Elements, is_identity};
use super::hash::{hash_output, hash_to_group, hash_to_scalar, i2osp_2};
use super::key::{PublicKey, SecretKey};
use super::proof::{Dleq, Proof, Transcript};

pub use super::source::evaluate as blind_evaluate;

/// Protocol variant (RFC 9497, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// 0x00: without proofs.
    Oprf,
    /// 0x01: verifiable.
    Voprf,
}

/// A random scalar, non-zero: a blind, or the nonce of one proof.
#[derive(ZeroizeOnDrop)]
pub struct RandomScalar(Scalar);

/// 64 bytes of OPRF output.
pub type Output = Zeroizing<[u8; 64]>;

/// The errors of RFC 9497, section 5.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An input is longer than 65,535 bytes or hashes to the identity (`InvalidInputError`).
    #[error("input {index} is invalid")]
    InvalidInput {
        /// Position in the batch.
        index: usize,
    },
    /// Slices that belong together differ in length, or are empty or too long.
    #[error("the batch's parts differ in number, or there are none or too many")]
    Count,
    /// A proof does not hold (`VerifyError`).
    #[error("the proof does not hold")]
    Verify,
    /// Bytes that are no scalar or a zero one (`DeserializeError`).
    #[error("not a canonical non-zero scalar")]
    Deserialize,
    /// The info is too long, or 256 attempts gave zero (`DeriveKeyPairError`).
    #[error("no key can be derived")]
    DeriveKeyPair,
}

/// `DeriveKeyPair` (section 3.2.1).
///
/// # Errors
/// [`Error::DeriveKeyPair`] if `info` is longer than 65,535 bytes.
pub fn derive_key_pair(mode: Mode, seed: &[u8; 32], info: &[u8]) -> Result<SecretKey, Error> {
    if info.len() > INPUT_BYTES_MAX {
        return Err(Error::DeriveKeyPair);
    }
    let derive = |counter| hash_to_scalar(mode, &[seed, &i2osp_2(info.len()), info, &[counter]], b"DeriveKeyPair");
    (0..=u8::MAX).find_map(|counter| SecretKey::from_scalar(derive(counter))).ok_or(Error::DeriveKeyPair)
}

/// `Blind` (section 3.3.1): `blind · HashToGroup(input)` for each input.
///
/// # Errors
/// [`Error::InvalidInput`] and [`Error::Count`].
pub fn blind(mode: Mode, inputs: &[&[u8]], blinds: &[RandomScalar]) -> Result<Elements, Error> {
    let points = hash_inputs(mode, inputs)?;
    if points.len() != blinds.len() {
        return Err(Error::Count);
    }
    let blinded: Vec<_> = points.iter().zip(blinds).map(|(point, blind)| point * blind.0).collect();
    let encodings = blinded.iter().map(|point| point.compress().to_bytes()).collect();
    Elements::from_computed(encodings, blinded).map_err(|_| Error::Count)
}

/// `Finalize` (section 3.3.1): unblinds by the inverse blind and hashes. In mode 0x01 verify the proof first.
///
/// # Errors
/// [`Error::InvalidInput`] and [`Error::Count`].
pub fn finalize(inputs: &[&[u8]], blinds: &[RandomScalar], evaluated: &Elements) -> Result<Vec<Output>, Error> {
    check_inputs(inputs)?;
    if inputs.len() != blinds.len() || inputs.len() != evaluated.len() {
        return Err(Error::Count);
    }
    let unblinded = evaluated.points().iter().zip(blinds).map(|(point, blind)| point * blind.0.invert());
    Ok(inputs.iter().zip(unblinded).map(|(input, point)| hash_output(input, point.compress().as_bytes())).collect())
}

/// `Evaluate` (section 3.3.1): the output without blinding, for the holder of the key.
///
/// # Errors
/// [`Error::InvalidInput`].
pub fn evaluate(mode: Mode, key: &SecretKey, inputs: &[&[u8]]) -> Result<Vec<Output>, Error> {
    let points = hash_inputs(mode, inputs)?;
    let evaluated = points.iter().map(|point| point * key.scalar());
    Ok(inputs.iter().zip(evaluated).map(|(input, point)| hash_output(input, point.compress().as_bytes())).collect())
}

/// `GenerateProof` (section 2.2.1) in mode 0x01, with `ComputeCompositesFast`. The nonce serves once.
///
/// # Errors
/// [`Error::Count`] if the batches differ in length.
pub fn generate_proof(
    key: &SecretKey,
    blinded: &Elements,
    evaluated: &[Element],
    nonce: RandomScalar,
) -> Result<Proof, Error> {
    let weights = composite_weights(key.public(), blinded.as_slice(), evaluated)?;
    let m = RistrettoPoint::vartime_multiscalar_mul(&weights, blinded.points());
    let claim = Dleq { public: key.public(), m, z: key.scalar() * m };
    Ok(claim.prove(key, &nonce.0, |points| challenge(key.public(), points)))
}

/// `VerifyProof` (section 2.2.2) in mode 0x01.
///
/// # Errors
/// [`Error::Verify`], or [`Error::Count`] if the batches differ in length.
pub fn verify_proof(public: &PublicKey, blinded: &Elements, evaluated: &Elements, proof: &Proof) -> Result<(), Error> {
    let weights = composite_weights(public, blinded.as_slice(), evaluated.as_slice())?;
    let m = RistrettoPoint::vartime_multiscalar_mul(&weights, blinded.points());
    let z = RistrettoPoint::vartime_multiscalar_mul(&weights, evaluated.points());
    let holds = Dleq { public, m, z }.holds(proof, |points| challenge(public, points));
    if holds { Ok(()) } else { Err(Error::Verify) }
}

impl Mode {
    /// `contextString` = "OPRFV1-" ‖ I2OSP(mode, 1) ‖ "-" ‖ identifier (section 3.1).
    pub(super) fn context_string(self) -> &'static [u8] {
        match self {
            Self::Oprf => b"OPRFV1-\x00-ristretto255-SHA512",
            Self::Voprf => b"OPRFV1-\x01-ristretto255-SHA512",
        }
    }
}

impl RandomScalar {
    /// `RandomScalar` (section 2.1).
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut wide = Zeroizing::new([0; 64]);
        loop {
            rng.fill_bytes(wide.as_mut());
            let scalar = Scalar::from_bytes_mod_order_wide(&wide);
            if scalar != Scalar::ZERO {
                return Self(scalar);
            }
        }
    }

    /// `DeserializeScalar` (section 4.1): 32 bytes, little-endian.
    ///
    /// # Errors
    /// [`Error::Deserialize`] for zero and what is not below the group order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        let scalar: Option<Scalar> = Scalar::from_canonical_bytes(*bytes).into();
        scalar.filter(|scalar| *scalar != Scalar::ZERO).map(Self).ok_or(Error::Deserialize)
    }
}

impl core::fmt::Debug for RandomScalar {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("RandomScalar(redacted)")
    }
}

fn check_inputs(inputs: &[&[u8]]) -> Result<(), Error> {
    let long = inputs.iter().position(|input| input.len() > INPUT_BYTES_MAX);
    long.map_or(Ok(()), |index| Err(Error::InvalidInput { index }))
}

fn hash_inputs(mode: Mode, inputs: &[&[u8]]) -> Result<Vec<RistrettoPoint>, Error> {
    check_inputs(inputs)?;
    let points: Vec<_> = inputs.iter().map(|input| hash_to_group(mode, input)).collect();
    let identity = points.iter().position(|point| is_identity(point.compress().as_bytes()));
    identity.map_or(Ok(points), |index| Err(Error::InvalidInput { index }))
}

/// The weights of `ComputeComposites` (section 2.2.1).
fn composite_weights(public: &PublicKey, blinded: &[Element], evaluated: &[Element]) -> Result<Vec<Scalar>, Error> {
    if blinded.len() != evaluated.len() {
        return Err(Error::Count);
    }
    let seed_dst = [b"Seed-", Mode::Voprf.context_string()].concat();
    let mut hash = Sha512::new();
    update_prefixed(&mut hash, public.as_bytes());
    update_prefixed(&mut hash, &seed_dst);
    let seed = hash.finalize();
    let pairs = blinded.iter().zip(evaluated).enumerate();
    Ok(pairs.map(|(index, (c, d))| composite_weight(&seed, index, c, d)).collect())
}

fn composite_weight(seed: &[u8], index: usize, c: &Element, d: &Element) -> Scalar {
    let transcript: [&[u8]; 8] =
        [&i2osp_2(seed.len()), seed, &i2osp_2(index), &i2osp_2(c.len()), c, &i2osp_2(d.len()), d, b"Composite"];
    hash_to_scalar(Mode::Voprf, &transcript, b"HashToScalar-")
}

fn challenge(public: &PublicKey, points: &Transcript) -> Scalar {
    let mut transcript = Vec::new();
    for element in core::iter::once(public.as_bytes()).chain(points) {
        transcript.extend(i2osp_2(element.len()));
        transcript.extend(element);
    }
    hash_to_scalar(Mode::Voprf, &[&transcript, b"Challenge"], b"HashToScalar-")
}

fn update_prefixed(hash: &mut Sha512, bytes: &[u8]) {
    hash.update(i2osp_2(bytes.len()));
    hash.update(bytes);
}

/// Inputs and info carry their length in two bytes.
const INPUT_BYTES_MAX: usize = 65_535;
