//! Agreement with the `voprf` crate, both ways: our client against its server, its client against our server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use proptest::prelude::*;
use rand_core_0_6::OsRng;
use voprf::{BlindedElement, EvaluationElement, OprfClient, OprfServer, Ristretto255, VoprfClient, VoprfServer};
use wugan_protocol::oprf::rfc::{self, Mode, RandomScalar};
use wugan_protocol::oprf::{Element, Elements, Proof, PublicKey, SecretKey};

fn blinds(count: usize) -> Vec<RandomScalar> {
    (0..count).map(|_| RandomScalar::generate(&mut UnwrapErr(SysRng))).collect()
}

fn slices(inputs: &[Vec<u8>]) -> Vec<&[u8]> {
    inputs.iter().map(Vec::as_slice).collect()
}

/// Inputs of 1 byte and more: `voprf` refuses the empty one.
fn inputs() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 1..64), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn our_client_their_server(inputs in inputs(), seed in any::<[u8; 32]>(), info in any::<[u8; 8]>()) {
        let inputs = slices(&inputs);
        let server = VoprfServer::<Ristretto255>::new_from_seed(&seed, &info).unwrap();
        let key = rfc::derive_key_pair(Mode::Voprf, &seed, &info).unwrap();
        let public: Element = server.serialize()[32..].try_into().unwrap();
        prop_assert_eq!(key.public().as_bytes(), &public);

        let blinds = blinds(inputs.len());
        let blinded = rfc::blind(Mode::Voprf, &inputs, &blinds).unwrap();
        let sent: Vec<_> = blinded.as_slice().iter().map(|e| BlindedElement::deserialize(e).unwrap()).collect();
        let answer = server.batch_blind_evaluate(&mut OsRng, &sent).unwrap();
        let evaluated: Vec<Element> = answer.messages.iter().map(|m| m.serialize().into()).collect();
        let evaluated = Elements::decode(&evaluated).unwrap();
        let proof = Proof::from_bytes(&answer.proof.serialize().into()).unwrap();
        let public = PublicKey::from_bytes(&public).unwrap();
        prop_assert_eq!(rfc::verify_proof(&public, &blinded, &evaluated, &proof), Ok(()));
        for (input, output) in inputs.iter().zip(rfc::finalize(&inputs, &blinds, &evaluated).unwrap()) {
            prop_assert_eq!(&output[..], &server.evaluate(input).unwrap()[..]);
        }
    }

    #[test]
    fn their_client_our_server(inputs in inputs()) {
        let inputs = slices(&inputs);
        let key = SecretKey::generate(&mut UnwrapErr(SysRng));
        let (clients, sent): (Vec<_>, Vec<Element>) = inputs.iter().map(|input| {
            let blinded = VoprfClient::<Ristretto255>::blind(input, &mut OsRng).unwrap();
            (blinded.state, Element::from(blinded.message.serialize()))
        }).unzip();
        let blinded = Elements::decode(&sent).unwrap();
        let evaluated = rfc::blind_evaluate(&key, &blinded);
        let proof = rfc::generate_proof(&key, &blinded, &evaluated, blinds(1).remove(0)).unwrap();

        let messages: Vec<_> = evaluated.iter().map(|e| EvaluationElement::deserialize(e).unwrap()).collect();
        let proof = voprf::Proof::deserialize(&proof.to_bytes()).unwrap();
        let public = VoprfServer::<Ristretto255>::new_with_key(&*key.to_bytes()).unwrap().get_public_key();
        let outputs = VoprfClient::batch_finalize(&inputs, &clients, &messages, &proof, public).unwrap();
        for (theirs, ours) in outputs.zip(rfc::evaluate(Mode::Voprf, &key, &inputs).unwrap()) {
            prop_assert_eq!(&theirs.unwrap()[..], &ours[..]);
        }
    }

    #[test]
    fn base_mode_both_ways(inputs in inputs(), seed in any::<[u8; 32]>()) {
        let inputs = slices(&inputs);
        let key = rfc::derive_key_pair(Mode::Oprf, &seed, b"info").unwrap();
        let server = OprfServer::<Ristretto255>::new_from_seed(&seed, b"info").unwrap();
        prop_assert_eq!(&key.to_bytes()[..], &server.serialize()[..]);
        let ours = rfc::evaluate(Mode::Oprf, &key, &inputs).unwrap();

        let blinds = blinds(inputs.len());
        let blinded = rfc::blind(Mode::Oprf, &inputs, &blinds).unwrap();
        let answers = blinded.as_slice().iter().map(|e| server.blind_evaluate(&BlindedElement::deserialize(e).unwrap()));
        let evaluated: Vec<Element> = answers.map(|answer| answer.serialize().into()).collect();
        let finalized = rfc::finalize(&inputs, &blinds, &Elements::decode(&evaluated).unwrap()).unwrap();
        prop_assert_eq!(&finalized, &ours);

        for (input, ours) in inputs.iter().zip(&ours) {
            let client = OprfClient::<Ristretto255>::blind(input, &mut OsRng).unwrap();
            let sent = Elements::decode(&[client.message.serialize().into()]).unwrap();
            let answer = EvaluationElement::deserialize(&rfc::blind_evaluate(&key, &sent)[0]).unwrap();
            prop_assert_eq!(&client.state.finalize(input, &answer).unwrap()[..], &ours[..]);
        }
    }
}
