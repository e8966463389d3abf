//! Every vector of RFC 9497, appendix A.1, for modes 0x00 and 0x01.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use wugan_protocol::oprf::rfc::{self, Mode, RandomScalar};
use wugan_protocol::oprf::{Element, Elements, Proof, PublicKey, SecretKey};

const VECTORS: &str = include_str!("vectors/rfc9497-ristretto255-sha512.json");

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// Batches are comma-separated.
fn elements(value: &Value) -> Vec<Element> {
    text(value).split(',').map(bytes).collect()
}

fn scalars(value: &Value) -> Vec<RandomScalar> {
    text(value).split(',').map(|scalar| RandomScalar::from_bytes(&bytes(scalar)).unwrap()).collect()
}

fn check(mode: Mode, key: &SecretKey, vector: &Value) {
    let inputs: Vec<_> = text(&vector["Input"]).split(',').map(|input| hex::decode(input).unwrap()).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let blinds = scalars(&vector["Blind"]);
    let outputs: Vec<[u8; 64]> = text(&vector["Output"]).split(',').map(bytes).collect();
    assert_eq!(vector["Batch"].as_u64(), Some(inputs.len() as u64));

    let blinded = rfc::blind(mode, &inputs, &blinds).unwrap();
    assert_eq!(blinded.as_slice(), elements(&vector["BlindedElement"]));
    let evaluated = rfc::blind_evaluate(key, &blinded);
    assert_eq!(evaluated, elements(&vector["EvaluationElement"]));
    let evaluated = Elements::decode(&evaluated).unwrap();
    if mode == Mode::Voprf {
        check_proof(key, &blinded, &evaluated, &vector["Proof"]);
    }
    let finalized = rfc::finalize(&inputs, &blinds, &evaluated).unwrap();
    let direct = rfc::evaluate(mode, key, &inputs).unwrap();
    assert!(finalized.iter().map(|output| **output).eq(outputs.iter().copied()));
    assert!(direct.iter().map(|output| **output).eq(outputs));
}

fn check_proof(key: &SecretKey, blinded: &Elements, evaluated: &Elements, expected: &Value) {
    let nonce = scalars(&expected["r"]).remove(0);
    let proof = rfc::generate_proof(key, blinded, evaluated.as_slice(), nonce).unwrap();
    assert_eq!(proof.to_bytes(), bytes(text(&expected["proof"])));
    assert_eq!(rfc::verify_proof(key.public(), blinded, evaluated, &proof), Ok(()));

    let mut altered = proof.to_bytes();
    altered[0] ^= 1;
    let altered = Proof::from_bytes(&altered).unwrap();
    assert_eq!(rfc::verify_proof(key.public(), blinded, evaluated, &altered), Err(rfc::Error::Verify));
    assert_eq!(rfc::verify_proof(key.public(), evaluated, blinded, &proof), Err(rfc::Error::Verify));
}

#[test]
fn all_vectors_of_both_modes() {
    let suites: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    let mut checked = 0;
    for suite in &suites {
        let mode = [Mode::Oprf, Mode::Voprf][suite["mode"].as_u64().unwrap() as usize];
        let info = hex::decode(text(&suite["keyInfo"])).unwrap();
        let key = rfc::derive_key_pair(mode, &bytes(text(&suite["seed"])), &info).unwrap();
        assert_eq!(*key.to_bytes(), bytes(text(&suite["skSm"])));
        if mode == Mode::Voprf {
            assert_eq!(key.public(), &PublicKey::from_bytes(&bytes(text(&suite["pkSm"]))).unwrap());
        }
        for vector in suite["vectors"].as_array().unwrap() {
            check(mode, &key, vector);
            checked += 1;
        }
    }
    assert_eq!((suites.len(), checked), (2, 5));
}

#[test]
fn mismatched_and_oversized_batches_are_refused() {
    let key = rfc::derive_key_pair(Mode::Voprf, &[1; 32], b"").unwrap();
    let scalar = || RandomScalar::from_bytes(&[1; 32]).unwrap();
    let long = vec![0; 65_536];
    let (one, two): ([&[u8]; 1], [&[u8]; 2]) = ([b"a"], [b"a", b"b"]);
    assert_eq!(rfc::blind(Mode::Voprf, &two, &[scalar()]).err(), Some(rfc::Error::Count));
    assert_eq!(rfc::blind(Mode::Voprf, &[], &[]).err(), Some(rfc::Error::Count));
    let invalid = Some(rfc::Error::InvalidInput { index: 1 });
    assert_eq!(rfc::blind(Mode::Voprf, &[b"a", &long], &[scalar(), scalar()]).err(), invalid);
    assert_eq!(rfc::evaluate(Mode::Voprf, &key, &[b"a", &long]).err(), invalid);
    assert_eq!(rfc::derive_key_pair(Mode::Oprf, &[1; 32], &long).err(), Some(rfc::Error::DeriveKeyPair));

    let blinded = rfc::blind(Mode::Voprf, &two, &[scalar(), scalar()]).unwrap();
    let shorter = rfc::blind(Mode::Voprf, &one, &[scalar()]).unwrap();
    assert_eq!(rfc::finalize(&one, &[scalar()], &blinded).err(), Some(rfc::Error::Count));
    let proof = rfc::generate_proof(&key, &blinded, blinded.as_slice(), scalar()).unwrap();
    assert_eq!(rfc::verify_proof(key.public(), &blinded, &shorter, &proof), Err(rfc::Error::Count));
    assert_eq!(rfc::generate_proof(&key, &blinded, shorter.as_slice(), scalar()).err(), Some(rfc::Error::Count));
    assert_eq!(RandomScalar::from_bytes(&[0; 32]).err(), Some(rfc::Error::Deserialize));
}
