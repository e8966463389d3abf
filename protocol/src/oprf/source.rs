//! The source's side: evaluation of others' blinded batches and of its own records.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use zeroize::Zeroizing;

use super::element::{Element, Elements};
use super::hash::{hash_output, hash_to_group};
use super::key::SecretKey;
use super::owner::OprfInput;
use super::rfc::Mode;
use super::secret::MatchingKey;

/// `BlindEvaluate` (RFC 9497, section 3.3.2) of a whole batch: `k_j · B_i`, encoded, in the same order.
#[must_use]
pub fn evaluate(key: &SecretKey, blinded: &Elements) -> Vec<Element> {
    let half_key = Zeroizing::new(key.scalar().div_by_2());
    let halves: Vec<_> = blinded.points().iter().map(|point| point * *half_key).collect();
    encode_doubles(&halves).iter().map(CompressedRistretto::to_bytes).collect()
}

/// `m_j(x)` of a source's own people, in the same order: `Evaluate` (RFC 9497, section 3.3.1), truncated.
#[must_use]
pub fn evaluate_direct(key: &SecretKey, people: &[OprfInput]) -> Vec<MatchingKey> {
    let half_key = Zeroizing::new(key.scalar().div_by_2());
    let halves = people.iter().map(|person| hash_to_group(Mode::Voprf, person) * *half_key);
    matching_keys(people, &Zeroizing::new(halves.collect::<Vec<_>>()))
}

/// The matching keys of people whose unblinded elements are twice the given points.
pub(super) fn matching_keys(people: &[OprfInput], halves: &[RistrettoPoint]) -> Vec<MatchingKey> {
    let elements = Zeroizing::new(encode_doubles(halves));
    let outputs = people.iter().zip(elements.iter()).map(|(person, element)| hash_output(person, element.as_bytes()));
    outputs.map(|output| MatchingKey::from_output(&output)).collect()
}

/// Encodes twice each point. Doubling is what makes one shared inversion enough: an encoding by itself takes an
/// inverse square root, seven times the cost.
pub(super) fn encode_doubles(halves: &[RistrettoPoint]) -> Vec<CompressedRistretto> {
    RistrettoPoint::double_and_compress_batch(halves)
}
