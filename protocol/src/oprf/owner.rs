//! The roster owner's side: blinding, and unblinding of a verified answer.

use core::fmt;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use ring::hmac;
use zeroize::Zeroizing;

use super::element::{BATCH_ELEMENTS_MAX, Element, Elements, ElementsError};
use super::hash::{hash_to_group, mac};
use super::key::PreparedKey;
use super::rfc::Mode;
use super::secret::{BatchSeed, MatchingKey};
use super::source::{encode_doubles, matching_keys};

/// A person as the OPRF takes it: `cn-id:` and the 18 ASCII characters of the canonical ID number.
pub type OprfInput = [u8; 24];

/// Batches on the wire are padded to a multiple of this number of elements.
pub const BATCH_STEP_ELEMENTS: usize = 256;

/// A batch after blinding: the elements that are sent, and what must stay here.
///
/// It is a function of seed, people and padded length, so a batch persisted as these can be made again. One batch
/// serves all sources: its elements are uniform, whoever sees them.
pub struct BlindedBatch {
    people: Zeroizing<Vec<OprfInput>>,
    blinds: Zeroizing<Vec<Scalar>>,
    sent: Elements,
}

/// Why no batch was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlindError {
    /// Without people nothing is sent.
    #[error("a batch without people is not sent")]
    Empty,
    /// The people do not fit the padded length, or the padded length exceeds the largest batch.
    #[error("{people} people do not fit a batch of {padded_len} elements (at most {BATCH_ELEMENTS_MAX})")]
    Length {
        /// Number of people.
        people: usize,
        /// Number of elements asked for.
        padded_len: usize,
    },
    /// An element came out as the identity, which happens with probability 2^-252: take a fresh seed.
    #[error("an element is the identity: take a fresh seed")]
    Identity,
}

/// Length on the wire of a batch of so many people: the next multiple of [`BATCH_STEP_ELEMENTS`].
#[must_use]
pub fn padded_len(people: usize) -> usize {
    people.next_multiple_of(BATCH_STEP_ELEMENTS)
}

/// Blinds the people and appends padding up to `padded_len` elements.
///
/// The element of a person is `P/2 + r·G`, with `P` the person's hashed group element and `r` the blind of this
/// person under this seed. A source's answer minus `r·K_j` is then `(k_j·P)/2`, which is what the shared inversion
/// of the encoding needs; the half costs one multiplication here and saves a square root at each source's answer.
///
/// # Errors
/// Refuses an empty batch and a length that is too small or too large.
pub fn blind(seed: &BatchSeed, people: &[OprfInput], padded_len: usize) -> Result<BlindedBatch, BlindError> {
    if people.is_empty() {
        return Err(BlindError::Empty);
    }
    if !(people.len()..=BATCH_ELEMENTS_MAX).contains(&padded_len) {
        return Err(BlindError::Length { people: people.len(), padded_len });
    }
    let key = hmac::Key::new(hmac::HMAC_SHA512, seed.as_bytes());
    let blinds: Zeroizing<Vec<_>> = Zeroizing::new(people.iter().map(|person| derive_blind(&key, person)).collect());
    let (mut encodings, mut points) = blind_people(people, &blinds);
    for index in 0..padded_len - people.len() {
        let point = derive_padding(&key, index as u32);
        encodings.push(point.compress().to_bytes());
        points.push(point);
    }
    let sent = Elements::from_computed(encodings, points).map_err(|error| match error {
        ElementsError::Count(_) => BlindError::Length { people: people.len(), padded_len },
        ElementsError::Identity { .. } | ElementsError::NonCanonical { .. } => BlindError::Identity,
    })?;
    Ok(BlindedBatch { people: Zeroizing::new(people.to_vec()), blinds, sent })
}

impl BlindedBatch {
    /// What is sent: people in their order, then padding.
    #[must_use]
    pub fn sent(&self) -> &Elements {
        &self.sent
    }

    /// Number of people, without padding.
    #[must_use]
    pub fn people(&self) -> usize {
        self.people.len()
    }

    /// Unblinds the people's part of a source's answer, whose proof the caller has verified.
    pub(super) fn unblind(&self, source: &PreparedKey, evaluated: &Elements) -> Vec<MatchingKey> {
        let pairs = evaluated.points().iter().zip(self.blinds.iter());
        let halves = Zeroizing::new(pairs.map(|(point, blind)| point - source.mul(blind)).collect::<Vec<_>>());
        matching_keys(&self.people, &halves)
    }
}

impl fmt::Debug for BlindedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("BlindedBatch");
        out.field("people", &self.people()).field("sent", &self.sent).finish_non_exhaustive()
    }
}

/// `r` = HMAC-SHA-512(seed, label ‖ person), reduced. Bound to the person: blinding is additive, so a blind that
/// served two people would give the difference of their elements away.
pub(super) fn derive_blind(seed: &hmac::Key, person: &OprfInput) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&mac(seed, &[BLIND_LABEL, person]))
}

/// Padding element `index` (from 0): RFC 9496's one-way map of HMAC-SHA-512(seed, label ‖ index).
pub(super) fn derive_padding(seed: &hmac::Key, index: u32) -> RistrettoPoint {
    RistrettoPoint::from_uniform_bytes(&mac(seed, &[PADDING_LABEL, &index.to_le_bytes()]))
}

fn blind_people(people: &[OprfInput], blinds: &[Scalar]) -> (Vec<Element>, Vec<RistrettoPoint>) {
    let quarter = Scalar::ONE.div_by_2().div_by_2();
    let pairs = people.iter().zip(blinds);
    let halves: Vec<_> = pairs
        .map(|(person, blind)| {
            hash_to_group(Mode::Voprf, person) * quarter + RistrettoPoint::mul_base(&blind.div_by_2())
        })
        .collect();
    let encodings = encode_doubles(&halves).iter().map(CompressedRistretto::to_bytes).collect();
    (encodings, halves.iter().map(|half| half + half).collect())
}

/// Labels carry their length in their first two bytes, little-endian.
const BLIND_LABEL: &[u8] = b"\x0d\x00wugan/1/blind";
const PADDING_LABEL: &[u8] = b"\x0f\x00wugan/1/padding";
