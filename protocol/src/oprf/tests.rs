//! Tests that need to see inside: fixed vectors, weights, tampering, redaction.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use proptest::prelude::*;
use ring::hmac;
use serde_json::Value;

use super::batch_proof::{batch_seed, weights};
use super::owner::{derive_blind, derive_padding};
use super::rfc::Mode;
use super::*;

const VECTORS: &str = include_str!("../../tests/vectors/oprf-batch.json");

/// A source, an owner and their batch of two people and two padding elements, from the vector file.
struct Fixture {
    json: Value,
    key: SecretKey,
    nonce_key: NonceKey,
    fresh: [u8; 32],
    context: BatchContext,
    seed: BatchSeed,
    people: Vec<OprfInput>,
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn list<const N: usize>(value: &Value) -> Vec<[u8; N]> {
    value.as_array().unwrap().iter().map(bytes).collect()
}

fn number<T: TryFrom<u64>>(value: &Value) -> T {
    T::try_from(value.as_u64().unwrap()).ok().unwrap()
}

fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

impl Fixture {
    fn load() -> Self {
        let json: Value = serde_json::from_str(VECTORS).unwrap();
        let (source, batch) = (&json["source"], &json["batch"]);
        let people = batch["people"].as_array().unwrap().iter();
        Self {
            key: SecretKey::from_bytes(&bytes(&source["secret_key"])).unwrap(),
            nonce_key: NonceKey::from_bytes(bytes(&source["nonce_key"])),
            fresh: bytes(&source["fresh"]),
            context: BatchContext {
                federation: bytes(&json["federation"]),
                source: number(&source["number"]),
                owner: number(&batch["owner"]),
                epoch: number(&source["epoch"]),
                batch: u64::from_be_bytes(bytes(&batch["number"])),
            },
            seed: BatchSeed::from_bytes(bytes(&batch["seed"])),
            people: people.map(|person| person.as_str().unwrap().as_bytes().try_into().unwrap()).collect(),
            json,
        }
    }

    fn key_context(&self) -> KeyContext {
        let BatchContext { federation, source, epoch, .. } = self.context;
        KeyContext { federation, source, epoch }
    }

    fn blind(&self) -> BlindedBatch {
        blind(&self.seed, &self.people, 4).unwrap()
    }

    /// What the source would prove for this answer, right or wrong.
    fn prove(&self, batch: &BlindedBatch, evaluated: &[Element]) -> Proof {
        prove(&self.key, &self.context, batch.sent(), evaluated, &self.nonce_key, &self.fresh)
    }

    fn prepared(&self) -> PreparedKey {
        PreparedKey::new(self.key.public().clone())
    }
}

fn key_bytes(keys: &[MatchingKey]) -> Vec<[u8; 32]> {
    keys.iter().map(|key| *key.as_bytes()).collect()
}

/// `k·P + G`: a wrong answer that decodes.
fn shifted(element: &Element) -> Element {
    let base = curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
    (Elements::decode(&[*element]).unwrap().points()[0] + base).compress().to_bytes()
}

#[test]
fn blinding_matches_vector() {
    let fixture = Fixture::load();
    let expected = &fixture.json["batch"];
    let key = hmac::Key::new(hmac::HMAC_SHA512, fixture.seed.as_bytes());
    let blinds: Vec<_> = fixture.people.iter().map(|person| derive_blind(&key, person).to_bytes()).collect();
    let padding: Vec<_> = (0..2).map(|index| derive_padding(&key, index).compress().to_bytes()).collect();
    assert_eq!(blinds, list::<32>(&expected["blinds"]));
    assert_eq!(padding, list::<32>(&expected["padding"]));
    assert_eq!(fixture.blind().sent().as_slice(), list::<32>(&expected["blinded"]));
}

#[test]
fn batch_matches_vector() {
    let fixture = Fixture::load();
    let expected = &fixture.json["batch"];
    let (batch, source) = (fixture.blind(), fixture.prepared());
    let received = Elements::decode(batch.sent().as_slice()).unwrap();
    let evaluated = evaluate(&fixture.key, &received);
    assert_eq!(fixture.key.public().as_bytes(), &bytes(&fixture.json["source"]["public_key"]));
    assert_eq!(evaluated, list::<32>(&expected["evaluated"]));

    let seed = batch_seed(&fixture.context, fixture.key.public(), received.as_slice(), &evaluated);
    let weights: Vec<_> = weights(&seed, 4).iter().map(|weight| weight.to_bytes()[..16].to_vec()).collect();
    assert_eq!(seed, bytes(&expected["proof_seed"]));
    assert_eq!(weights, list::<16>(&expected["weights"]));

    let proof = fixture.prove(&batch, &evaluated);
    assert_eq!(proof.to_bytes(), bytes(&expected["proof"]));
    let proof = Proof::from_bytes(&proof.to_bytes()).unwrap();
    let verified = verify(&source, &fixture.context, &batch, &evaluated, &proof).unwrap();
    assert_eq!(key_bytes(&verified.finalize()), list::<32>(&expected["matching_keys"]));
}

#[test]
fn direct_evaluation_and_rfc_match_vector() {
    let fixture = Fixture::load();
    let expected = &fixture.json["batch"];
    let direct = evaluate_direct(&fixture.key, &fixture.people);
    assert_eq!(key_bytes(&direct), list::<32>(&expected["matching_keys"]));
    let inputs: Vec<&[u8]> = fixture.people.iter().map(|person| &person[..]).collect();
    let outputs = rfc::evaluate(Mode::Voprf, &fixture.key, &inputs).unwrap();
    assert_eq!(outputs.iter().map(|output| **output).collect::<Vec<_>>(), list::<64>(&expected["outputs"]));
}

#[test]
fn key_announcement_matches_vector() {
    let fixture = Fixture::load();
    let context = fixture.key_context();
    let proof = prove_key(&fixture.key, &context, &fixture.nonce_key, &fixture.fresh);
    assert_eq!(proof.to_bytes(), bytes(&fixture.json["key_announcement"]["proof"]));
    assert_eq!(verify_key(fixture.key.public(), &context, &proof), Ok(()));
}

#[test]
fn key_announcement_is_bound_to_key_and_context() {
    let fixture = Fixture::load();
    let context = fixture.key_context();
    let public = fixture.key.public();
    let proof = prove_key(&fixture.key, &context, &fixture.nonce_key, &fixture.fresh);
    let wrong = [
        KeyContext { federation: [0; 32], ..context },
        KeyContext { source: context.source + 1, ..context },
        KeyContext { epoch: context.epoch + 1, ..context },
    ];
    for wrong in wrong {
        assert_eq!(verify_key(public, &wrong, &proof), Err(KeyProofError));
    }
    let other = SecretKey::generate(&mut rng());
    assert_eq!(verify_key(other.public(), &context, &proof), Err(KeyProofError));
    for byte in [0, 32] {
        let mut altered = proof.to_bytes();
        altered[byte] ^= 1;
        assert_eq!(verify_key(public, &context, &Proof::from_bytes(&altered).unwrap()), Err(KeyProofError));
    }
}

/// A proof is refused for every answer but the one it was made for, and also when the source proves the wrong
/// answer itself, with its real key.
#[test]
fn altered_answers_are_refused() {
    let fixture = Fixture::load();
    let (batch, source) = (fixture.blind(), fixture.prepared());
    let right = evaluate(&fixture.key, batch.sent());
    let proof = fixture.prove(&batch, &right);
    let refused = |answer: &[Element]| {
        let honest = verify(&source, &fixture.context, &batch, answer, &proof).map(|_| ());
        let own = verify(&source, &fixture.context, &batch, answer, &fixture.prove(&batch, answer)).map(|_| ());
        assert_eq!((honest, own), (Err(ProofError::Refused), Err(ProofError::Refused)));
    };
    // Positions 0 and 1 are people, 2 and 3 padding.
    for position in 0..4 {
        let mut answer = right.clone();
        answer[position] = shifted(&answer[position]);
        refused(&answer);
        for other in position + 1..4 {
            let mut answer = right.clone();
            answer.swap(position, other);
            refused(&answer);
        }
    }
    // Two errors that cancel under equal weights.
    let points = Elements::decode(&right).unwrap();
    let base = curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
    let mut answer = right.clone();
    answer[0] = (points.points()[0] + base).compress().to_bytes();
    answer[1] = (points.points()[1] - base).compress().to_bytes();
    refused(&answer);
    let other = SecretKey::generate(&mut rng());
    refused(&evaluate(&other, batch.sent()));
}

#[test]
fn altered_question_is_refused() {
    let fixture = Fixture::load();
    let batch = fixture.blind();
    let right = Elements::decode(&evaluate(&fixture.key, batch.sent())).unwrap();
    let proof = fixture.prove(&batch, right.as_slice());
    for position in 0..4 {
        let mut question = batch.sent().as_slice().to_vec();
        question[position] = shifted(&question[position]);
        let question = Elements::decode(&question).unwrap();
        let result = verify_elements(fixture.key.public(), &fixture.context, &question, &right, &proof);
        assert_eq!(result, Err(ProofError::Refused));
    }
}

#[test]
fn proof_is_bound_to_context_and_key() {
    let fixture = Fixture::load();
    let (batch, source, context) = (fixture.blind(), fixture.prepared(), fixture.context);
    let answer = evaluate(&fixture.key, batch.sent());
    let proof = fixture.prove(&batch, &answer);
    let wrong = [
        BatchContext { federation: [0; 32], ..context },
        BatchContext { source: context.source + 1, ..context },
        BatchContext { owner: context.owner + 1, ..context },
        BatchContext { epoch: context.epoch + 1, ..context },
        BatchContext { batch: context.batch + 1, ..context },
    ];
    for wrong in wrong {
        assert_eq!(verify(&source, &wrong, &batch, &answer, &proof).err(), Some(ProofError::Refused));
    }
    let other = PreparedKey::new(SecretKey::generate(&mut rng()).public().clone());
    assert_eq!(verify(&other, &context, &batch, &answer, &proof).err(), Some(ProofError::Refused));
    assert!(verify(&source, &context, &batch, &answer, &proof).is_ok());
}

#[test]
fn altered_proof_and_wrong_counts_are_refused() {
    let fixture = Fixture::load();
    let (batch, source) = (fixture.blind(), fixture.prepared());
    let answer = evaluate(&fixture.key, batch.sent());
    let proof = fixture.prove(&batch, &answer);
    for byte in [0, 32] {
        let mut altered = proof.to_bytes();
        altered[byte] ^= 1;
        let altered = Proof::from_bytes(&altered).unwrap();
        let result = verify(&source, &fixture.context, &batch, &answer, &altered);
        assert_eq!(result.err(), Some(ProofError::Refused));
    }
    let short = verify(&source, &fixture.context, &batch, &answer[..3], &proof);
    assert_eq!(short.err(), Some(ProofError::Count { blinded: 4, evaluated: 3 }));
    let mut long = answer;
    long.push(long[0]);
    let long = verify(&source, &fixture.context, &batch, &long, &proof);
    assert_eq!(long.err(), Some(ProofError::Count { blinded: 4, evaluated: 5 }));
}

/// Against generalised birthday attacks: whichever element changes, every weight changes.
#[test]
fn every_weight_depends_on_every_element() {
    let fixture = Fixture::load();
    let batch = fixture.blind();
    let blinded = batch.sent().as_slice().to_vec();
    let evaluated = evaluate(&fixture.key, batch.sent());
    let all_weights = |blinded: &[Element], evaluated: &[Element]| {
        weights(&batch_seed(&fixture.context, fixture.key.public(), blinded, evaluated), 4)
    };
    let base = all_weights(&blinded, &evaluated);
    for position in 0..4 {
        let (mut question, mut answer) = (blinded.clone(), evaluated.clone());
        question[position] = shifted(&question[position]);
        answer[position] = shifted(&answer[position]);
        for changed in [all_weights(&question, &evaluated), all_weights(&blinded, &answer)] {
            assert!(base.iter().zip(&changed).all(|(before, after)| before != after));
        }
    }
}

/// The challenge depends on the batch, so the nonce must too, even when `fresh` repeats.
#[test]
fn repeated_fresh_bytes_do_not_repeat_the_nonce() {
    let fixture = Fixture::load();
    let (one, two) = ([1; 64], [2; 64]);
    let nonce = |statement| *proof::derive_nonce(&fixture.nonce_key, statement, &fixture.fresh);
    assert_ne!(nonce(&one), nonce(&two));
    assert_eq!(nonce(&one), nonce(&one));
    assert_ne!(nonce(&one), *proof::derive_nonce(&fixture.nonce_key, &one, &[0; 32]));
}

#[test]
fn blinds_are_bound_to_seed_and_person() {
    let fixture = Fixture::load();
    let first = fixture.blind();
    let swapped: Vec<_> = fixture.people.iter().rev().copied().collect();
    let again = blind(&fixture.seed, &swapped, 4).unwrap();
    assert_eq!(again.sent().as_slice()[0], first.sent().as_slice()[1]);
    let other = blind(&BatchSeed::generate(&mut rng()), &fixture.people, 4).unwrap();
    assert!(first.sent().as_slice().iter().all(|element| !other.sent().as_slice().contains(element)));
}

#[test]
fn impossible_batches_are_not_made() {
    let fixture = Fixture::load();
    let make = |people, padded_len| blind(&fixture.seed, people, padded_len).err();
    assert_eq!(make(&[], 256), Some(BlindError::Empty));
    assert_eq!(make(&fixture.people, 1), Some(BlindError::Length { people: 2, padded_len: 1 }));
    assert_eq!(make(&fixture.people, 8_193), Some(BlindError::Length { people: 2, padded_len: 8_193 }));
    assert_eq!([1, 256, 257, 8_192].map(padded_len), [256, 256, 512, 8_192]);
}

/// Field elements not below p, odd (negative) ones, and s without a point (RFC 9496, appendix A.2).
const BAD_ENCODINGS: [&str; 5] = [
    "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
    "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",
];

#[test]
fn malformed_elements_are_refused_by_position() {
    let fixture = Fixture::load();
    let (batch, source) = (fixture.blind(), fixture.prepared());
    let answer = evaluate(&fixture.key, batch.sent());
    let proof = fixture.prove(&batch, &answer);
    for index in 0..4 {
        let mut elements = answer.clone();
        for bad in BAD_ENCODINGS {
            elements[index] = bytes(&bad.into());
            assert_eq!(Elements::decode(&elements).err(), Some(ElementsError::NonCanonical { index }), "{bad}");
        }
        elements[index] = [0; 32];
        assert_eq!(Elements::decode(&elements).err(), Some(ElementsError::Identity { index }));
        let refused = verify(&source, &fixture.context, &batch, &elements, &proof).err();
        assert_eq!(refused, Some(ProofError::Elements(ElementsError::Identity { index })));
    }
    assert_eq!(Elements::decode(&[]).err(), Some(ElementsError::Count(0)));
    assert_eq!(Elements::decode(&vec![answer[0]; 8_193]).err(), Some(ElementsError::Count(8_193)));
    assert_eq!(Elements::decode(&vec![answer[0]; 8_192]).unwrap().len(), 8_192);
}

#[test]
fn malformed_keys_and_proofs_are_refused() {
    // The group order, little-endian.
    let order = bytes::<32>(&"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010".into());
    assert_eq!(SecretKey::from_bytes(&[0; 32]).err(), Some(KeyError::Zero));
    assert_eq!(SecretKey::from_bytes(&order).err(), Some(KeyError::NonCanonical));
    assert_eq!(PublicKey::from_bytes(&[0; 32]).err(), Some(KeyError::Zero));
    for bad in BAD_ENCODINGS {
        assert_eq!(PublicKey::from_bytes(&bytes(&bad.into())).err(), Some(KeyError::NonCanonical));
    }
    for half in [0, 32] {
        let mut proof = [0; 64];
        proof[half..half + 32].copy_from_slice(&order);
        assert_eq!(Proof::from_bytes(&proof), Err(NonCanonicalProof));
    }
}

#[test]
fn keys_survive_custody() {
    let key = SecretKey::generate(&mut rng());
    let restored = SecretKey::from_bytes(&key.to_bytes()).unwrap();
    assert_eq!(restored.public(), key.public());
    assert_eq!(&PublicKey::from_bytes(key.public().as_bytes()).unwrap(), key.public());
}

/// `Debug` of each secret, as it is, and without any four of its bytes in hexadecimal or decimal.
#[test]
fn debug_output_is_redacted() {
    let fixture = Fixture::load();
    let batch = fixture.blind();
    let blind_key = hmac::Key::new(hmac::HMAC_SHA512, fixture.seed.as_bytes());
    let blinds = fixture.people.iter().map(|person| derive_blind(&blind_key, person).to_bytes());
    let matching = evaluate_direct(&fixture.key, &fixture.people).remove(0);
    let scalar = rfc::RandomScalar::from_bytes(&fixture.key.to_bytes()).unwrap();
    let public = hex::encode(fixture.key.public().as_bytes());
    let shown = [
        (format!("{:?}", fixture.key), format!("SecretKey {{ public: PublicKey({public}), .. }}")),
        (format!("{:?}", fixture.nonce_key), "NonceKey(redacted)".into()),
        (format!("{:?}", fixture.seed), "BatchSeed(redacted)".into()),
        (format!("{matching:?}"), "MatchingKey(redacted)".into()),
        (format!("{scalar:?}"), "RandomScalar(redacted)".into()),
        (format!("{batch:?}"), "BlindedBatch { people: 2, sent: Elements { len: 4 }, .. }".into()),
    ];
    let mut secrets: Vec<Vec<u8>> = blinds.map(|blind| blind.to_vec()).collect();
    secrets.extend(fixture.people.iter().map(|person| person.to_vec()));
    secrets
        .extend([&*fixture.key.to_bytes(), fixture.nonce_key.as_bytes(), fixture.seed.as_bytes()].map(|s| s.to_vec()));
    secrets.push(matching.as_bytes().to_vec());
    for (shown, expected) in &shown {
        assert_eq!(shown, expected);
        for window in secrets.iter().flat_map(|secret| secret.windows(4)) {
            let decimal = format!("{window:?}");
            assert!(!shown.contains(&hex::encode(window)) && !shown.contains(decimal.trim_matches(['[', ']'])));
        }
    }
}

#[test]
fn secrets_are_wiped_on_drop() {
    fn wiped<T: zeroize::ZeroizeOnDrop>() -> bool {
        core::mem::needs_drop::<T>()
    }
    assert!(wiped::<SecretKey>() && wiped::<NonceKey>() && wiped::<BatchSeed>());
    assert!(wiped::<MatchingKey>() && wiped::<rfc::RandomScalar>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Additive blinding, whole-batch proof and truncation give the RFC's outputs, by three ways.
    #[test]
    fn batch_equals_rfc(
        seed in any::<[u8; 32]>(),
        key_seed in any::<[u8; 32]>(),
        fresh in any::<[u8; 32]>(),
        people in prop::collection::vec(any::<[u8; 24]>(), 1..12),
        padding in 0..5_usize,
    ) {
        let key = rfc::derive_key_pair(Mode::Voprf, &key_seed, b"").unwrap();
        let context = Fixture::load().context;
        let batch = blind(&BatchSeed::from_bytes(seed), &people, people.len() + padding).unwrap();
        let received = Elements::decode(batch.sent().as_slice()).unwrap();
        let answer = evaluate(&key, &received);
        let proof = prove(&key, &context, &received, &answer, &NonceKey::from_bytes(seed), &fresh);
        let source = PreparedKey::new(key.public().clone());
        let enrolled = verify(&source, &context, &batch, &answer, &proof).unwrap().finalize();

        let inputs: Vec<&[u8]> = people.iter().map(|person| &person[..]).collect();
        let outputs = rfc::evaluate(Mode::Voprf, &key, &inputs).unwrap();
        let expected: Vec<[u8; 32]> = outputs.iter().map(|output| output[..32].try_into().unwrap()).collect();
        prop_assert_eq!(key_bytes(&enrolled), expected.clone());
        prop_assert_eq!(key_bytes(&evaluate_direct(&key, &people)), expected);
    }
}
