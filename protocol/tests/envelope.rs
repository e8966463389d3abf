//! Signed documents: one fixed vector of each statement, and what is refused; the federation manifest.
//!
//! `WUGAN_WRITE_VECTORS=1 cargo test --release -p wugan-protocol --test envelope` writes `vectors/entries.json` anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Key, authority_head, digest, key_epoch, manifest, policy, secret, sign_manifest};
use serde_json::{Value, json};
use wugan_protocol::{
    disclosure::{Answer, DisclosureReason, Opening, note_digest},
    envelope::{Body, EnvelopeError, Head, Signed, Signer, Unverified, canonical},
    file::FileKey,
    hexes::{Digest, Hex},
    limits::ENTRY_BYTES_MAX,
    manifest::{Federation, FederationError},
    party::{Party, Role},
    policy::{Class, Decision, Policy},
    reason::Reason,
    statement::{
        Announcement, CanaryOutcome, Cosignature, DecisionCount, DisclosureRequest, EnrolmentBatch, Evaluation,
        FederationManifest, Kept, MatterTotals, Receipt, RoundChannel, RoundManifest, SourceEpoch, Statement, Totals,
    },
};

const NODE: Party = Party { member: 2, role: Role::Node };
const COORDINATOR: Party = Party { member: 0, role: Role::Coordinator };
const MATCHER: Party = Party { member: 5, role: Role::Matcher };
const AGGREGATOR: Party = Party { member: 1, role: Role::Aggregator };
const AUTHORITY: Party = Party { member: 0, role: Role::Authority };

/// Every statement, each with who makes it.
fn statements() -> Vec<(Party, Statement)> {
    [before_a_round(), files(), in_a_round(), disclosure(), canaries()].into_iter().flatten().collect()
}

fn before_a_round() -> Vec<(Party, Statement)> {
    let channel = RoundChannel { number: 7, class: Class::StrongNegative, source: 2, epoch: 3, key: digest("key") };
    let round = RoundManifest {
        month: "2026-11".parse().unwrap(),
        policy: digest("catalogue"),
        matters: vec!["pension".into(), "rent_subsidy".into()],
        channels: vec![channel],
        matcher: 5,
        aggregator: 1,
        pools_close_from: 1_790_000_600,
        enrolment_until: 1_790_001_000,
        rows_until: 1_790_002_000,
    };
    let sources = vec![SourceEpoch { source: 1, epoch: 1 }, SourceEpoch { source: 3, epoch: 2 }];
    let batch = EnrolmentBatch { batch: 4, sources, count: 512, elements: digest("elements") };
    let evaluation =
        Evaluation { owner: 4, batch: 0, entry: digest("batch"), epoch: 1, count: 256, answer: digest("answer") };
    vec![
        (AUTHORITY, Statement::FederationManifest(manifest(&policy()))),
        (NODE, Statement::KeyEpoch(key_epoch(&common::federation(), 2, 1, &secret(2)))),
        (COORDINATOR, Statement::RoundManifest(round)),
        (NODE, Statement::EnrolmentBatch(batch)),
        (NODE, Statement::Evaluation(evaluation)),
    ]
}

fn files() -> Vec<(Party, Statement)> {
    let announced = |file, count| Statement::Announcement(Announcement { file, count, digest: digest("file") });
    vec![
        (NODE, announced(FileKey::Pool { channel: 7, group: 1 }, 4_096)),
        (NODE, announced(FileKey::Records { owner: 2, channel: 7 }, 256)),
        (NODE, announced(FileKey::Rows { owner: 2, class: Class::WeakPositive }, 0)),
        (MATCHER, announced(FileKey::Bitmap { owner: 2, class: Class::StrongPositive }, 512)),
        (AGGREGATOR, announced(FileKey::Bits { owner: 2 }, 768)),
        (COORDINATOR, announced(FileKey::Decisions { owner: 2 }, 768)),
        (MATCHER, Statement::Receipt(Receipt::Pools { channel: 7 })),
        (MATCHER, Statement::Receipt(Receipt::Records { owner: 2 })),
        (AGGREGATOR, Statement::Receipt(Receipt::Rows { owner: 2 })),
        (NODE, Statement::Receipt(Receipt::Decisions {})),
    ]
}

fn in_a_round() -> Vec<(Party, Statement)> {
    let counts = vec![
        DecisionCount { decision: Decision::Certified, about: Some(1_205) },
        DecisionCount { decision: Decision::Suspected, about: None },
    ];
    let matters = vec![MatterTotals { matter: 1, counts }];
    vec![
        (COORDINATOR, Statement::PoolsClosed {}),
        (MATCHER, Statement::List { channels: vec![1, 2, 7] }),
        (COORDINATOR, Statement::RowsClosed {}),
        (COORDINATOR, Statement::Decisions(Totals { owner: 2, digest: digest("decisions"), matters })),
        (COORDINATOR, Statement::RoundClosed {}),
        (COORDINATOR, Statement::RoundAbandoned { reason: Reason::Superseded }),
        (NODE, Statement::Failure { channel: Some(7), reason: Reason::TooManyBadRows }),
        (NODE, Statement::Failure { channel: None, reason: Reason::Unreadable }),
        (NODE, Statement::Cosignature(Cosignature { size: 9, signature: Hex([7; 64]) })),
        (AGGREGATOR, Statement::Refusal { entry: digest("entry"), reason: Reason::DigestDiffers }),
        (MATCHER, Statement::Deletion { of: Kept::Files }),
        (COORDINATOR, Statement::Deletion { of: Kept::Decisions }),
    ]
}

fn disclosure() -> Vec<(Party, Statement)> {
    let opening = Opening { salt: [9; 32], row: 77 };
    let request = DisclosureRequest {
        matter: 2,
        class: Class::StrongNegative,
        row: opening.digest(digest("round")),
        reason: DisclosureReason::NotVerified,
        note: note_digest(&[8; 32], "nobody answers the door"),
    };
    let request_hash = digest("request");
    let answer = Answer { salt: [7; 32], handles: vec![5, 1_000] }.digest(request_hash);
    vec![
        (NODE, Statement::DisclosureRequest(request)),
        (NODE, Statement::Approval { request: request_hash }),
        (AGGREGATOR, Statement::Disclosure { request: request_hash, answer }),
    ]
}

fn canaries() -> Vec<(Party, Statement)> {
    let outcome = CanaryOutcome { document: digest("canaries"), as_expected: 10, deferred: 2, other: 0 };
    vec![(NODE, Statement::Canaries(outcome))]
}

fn key(party: Party) -> Key {
    if party.role == Role::Authority { Key::authority() } else { Key::new(*seed(party)) }
}

/// Fixed seeds, one for each role: 32 bytes of the role's place in the list of roles.
fn seed(party: Party) -> &'static [u8; 32] {
    match party.role {
        Role::Authority | Role::Node => &[1; 32],
        Role::Matcher => &[2; 32],
        Role::Aggregator => &[3; 32],
        Role::Coordinator => &[4; 32],
    }
}

fn signed(place: usize, party: Party, statement: Statement) -> Signed {
    let outside = matches!(
        statement,
        Statement::KeyEpoch(_) | Statement::RoundManifest(_) | Statement::EnrolmentBatch(_) | Statement::Evaluation(_)
    );
    let head = Head {
        federation: Some(digest("federation")),
        round: (!outside).then(|| digest("round")),
        sender: policy().member_id(party.member).to_owned(),
        role: party.role,
        seq: place as u64,
        prev: (place > 0).then(|| digest("before")),
        time: 1_790_000_000 + place as u64,
    };
    let head = if party.role == Role::Authority { authority_head() } else { head };
    Body { head, statement }.sign(&key(party)).unwrap()
}

/// A line over any body, signed as it stands.
fn line_of(body: &Value, party: Party) -> Vec<u8> {
    let text = serde_json_canonicalizer::to_vec(body).unwrap();
    let mut input = format!("wugan/1/{}\n", body["type"].as_str().unwrap_or_default()).into_bytes();
    input.extend(&text);
    let sig = hex::encode(key(party).sign(&input));
    serde_json_canonicalizer::to_vec(&json!({ "body": body, "sig": sig })).unwrap()
}

fn vectors() -> Vec<Value> {
    let vector = |(place, (party, statement)): (usize, (Party, Statement))| {
        let signed = signed(place, party, statement);
        let line = String::from_utf8(signed.bytes().to_vec()).unwrap();
        let mut body: Value = serde_json::to_value(signed.body()).unwrap();
        body["comment"] = "nobody reads this".into();
        let bad = String::from_utf8(line_of(&body, party)).unwrap();
        json!({
            "public_key": hex::encode(key(party).public_key()),
            "line": line,
            "sha256": signed.hash().to_string(),
            "sha256_of_body": wugan_protocol::hexes::sha256(&signed.body().canonical().unwrap()).to_string(),
            "refused": bad,
        })
    };
    statements().into_iter().enumerate().map(vector).collect()
}

#[test]
fn every_statement_has_its_fixed_bytes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/entries.json");
    if std::env::var_os("WUGAN_WRITE_VECTORS").is_some() {
        std::fs::write(path, serde_json::to_string_pretty(&vectors()).unwrap() + "\n").unwrap();
    }
    let fixed: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(fixed, vectors());
    for ((_, statement), vector) in statements().into_iter().zip(&fixed) {
        let text = |field: &str| vector[field].as_str().unwrap();
        let key: Digest = text("public_key").parse().unwrap();
        let read = Unverified::read(text("line").as_bytes()).unwrap().verify(&key.0).unwrap();
        assert_eq!(read.body().statement, statement);
        assert_eq!(read.hash().to_string(), text("sha256"));
        assert_eq!(Unverified::read(text("refused").as_bytes()).err(), Some(EnvelopeError::NotCanonical));
    }
}

#[test]
fn the_vectors_cover_every_type() {
    let types: std::collections::BTreeSet<_> =
        statements().iter().map(|(_, statement)| statement.type_name()).collect();
    assert_eq!(types.len(), 21);
    for (party, statement) in statements() {
        assert!(statement.speaker().is_none_or(|role| role == party.role));
        let body: Value = serde_json::to_value(signed(1, party, statement.clone()).body()).unwrap();
        assert_eq!(body["type"], statement.type_name());
    }
}

/// All places of a document's values, the innermost too.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            let at = format!("{at}/{name}");
            pointers(value, &at, found);
            found.push(at);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| pointers(item, &format!("{at}/{i}"), found));
        }
        _ => {}
    }
}

/// Whether a document with this body, rightly signed, is accepted.
fn accepted(body: &Value, party: Party) -> bool {
    let key = key(party).public_key();
    Unverified::read(&line_of(body, party)).and_then(|read| read.verify(&key)).is_ok()
}

#[test]
fn no_field_may_be_left_out_or_be_of_another_type() {
    for (place, (party, statement)) in statements().into_iter().enumerate() {
        let body = serde_json::to_value(signed(place, party, statement).body()).unwrap();
        assert!(accepted(&body, party));
        let mut places = Vec::new();
        pointers(&body, "", &mut places);
        for place in places {
            let (parent, name) = place.rsplit_once('/').unwrap();
            let mut without = body.clone();
            without.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
            assert!(!accepted(&without, party), "without {place} of {body}");
            let mut more = body.clone();
            more.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert("zz".into(), 1.into());
            assert!(!accepted(&more, party), "another field beside {place} of {body}");
            for other in [json!(1.5), json!(-1), json!(1_u64 << 53), json!([[]]), json!({ "a": 1 }), json!(true)] {
                let mut changed = body.clone();
                *changed.pointer_mut(&place).unwrap() = other.clone();
                assert!(!accepted(&changed, party), "{other} as {place} of {body}");
            }
        }
    }
}

#[test]
fn what_is_deleted_is_one_of_a_closed_list() {
    let mut body = serde_json::to_value(signed(1, NODE, Statement::Deletion { of: Kept::Files }).body()).unwrap();
    for of in ["files", "bits", "decisions", "batches", "answers"] {
        body["of"] = of.into();
        assert!(accepted(&body, NODE), "{of}");
    }
    for other in ["", "Files", "log", "the files of somebody"] {
        body["of"] = other.into();
        assert!(!accepted(&body, NODE), "{other}");
    }
}

#[test]
fn the_reason_of_a_request_is_one_of_a_closed_list() {
    let (party, statement) = disclosure().swap_remove(0);
    let mut body = serde_json::to_value(signed(1, party, statement).body()).unwrap();
    for reason in DisclosureReason::ALL {
        assert_eq!(reason.code().parse(), Ok(reason));
        body["reason"] = reason.code().into();
        assert!(accepted(&body, party), "{}", reason.code());
    }
    for other in ["", "Objection", "because", "somebody said so"] {
        body["reason"] = other.into();
        assert!(!accepted(&body, party), "{other}");
        assert!(other.parse::<DisclosureReason>().is_err());
    }
}

/// By another program: `hashlib` of Python, over the bytes that the README names.
#[test]
fn digests_of_row_note_and_answer() {
    let opening = Opening { salt: [9; 32], row: 0x0102 };
    assert_eq!(opening.digest(Hex([1; 32])).to_string(), OPENING_DIGEST);
    assert_eq!(note_digest(&[8; 32], "why").to_string(), NOTE_DIGEST);
    let answer = Answer { salt: [7; 32], handles: vec![5, 0x0102_0304] };
    assert_eq!(answer.digest(Hex([1; 32])).to_string(), ANSWER_DIGEST);
    assert_eq!(format!("{opening:?} {answer:?}"), "Opening(redacted) Answer(redacted)");
}

const OPENING_DIGEST: &str = "83429a8aca7b7532800c80d541abaeed0eefe5cb333e0028eb2484e2f1c2ccf7";
const NOTE_DIGEST: &str = "f586f5988a98b29bd2952ad8ed768169463fdb4be124310939894ac2b269bafb";
const ANSWER_DIGEST: &str = "d60ba40c3187e803d078d7d6ffbc420cf5b085c2075a2f746485d78466a51d07";

#[test]
fn a_document_changed_anywhere_is_refused() {
    for (place, (party, statement)) in statements().into_iter().enumerate() {
        let signed = signed(place, party, statement);
        let key = key(party).public_key();
        for byte in 0..signed.bytes().len() {
            let mut changed = signed.bytes().to_vec();
            changed[byte] ^= 1;
            let read = Unverified::read(&changed).and_then(|read| read.verify(&key));
            assert!(read.is_err(), "byte {byte} of {signed:?}");
        }
        assert!(Unverified::read(&[signed.bytes(), b"\n"].concat()).is_err());
        assert!(Unverified::read(&[b" ", signed.bytes()].concat()).is_err());
        assert!(Unverified::read(&signed.bytes()[..signed.bytes().len() - 1]).is_err());
    }
}

#[test]
fn the_signature_binds_the_type_and_the_key() {
    let party = COORDINATOR;
    let closed = signed(3, party, Statement::PoolsClosed {});
    let text = String::from_utf8(closed.bytes().to_vec()).unwrap();
    let other = text.replace("pools_closed", "rows_closed");
    let read = Unverified::read(other.as_bytes()).unwrap();
    assert_eq!(read.claimed(), ("bureau", Role::Coordinator));
    assert_eq!(read.verify(&key(party).public_key()), Err(EnvelopeError::BadSignature));
    for wrong in [[0; 32], [0xff; 32], Key::authority().public_key()] {
        let read = Unverified::read(closed.bytes()).unwrap();
        assert_eq!(read.verify(&wrong), Err(EnvelopeError::BadSignature));
    }
    // Ed25519 with the type left out of what is signed.
    let body = closed.body().canonical().unwrap();
    let sig = hex::encode(key(party).sign(&body));
    let line = format!(r#"{{"body":{},"sig":"{sig}"}}"#, String::from_utf8(body).unwrap());
    assert_eq!(
        Unverified::read(line.as_bytes()).unwrap().verify(&key(party).public_key()),
        Err(EnvelopeError::BadSignature)
    );
}

#[test]
fn numbers_beyond_the_canonical_forms_reach_are_refused() {
    assert_eq!(
        canonical(&json!({ "b": 9_007_199_254_740_991_u64, "a": 0 })).unwrap(),
        br#"{"a":0,"b":9007199254740991}"#
    );
    for number in [json!(9_007_199_254_740_992_u64), json!(u64::MAX), json!(-1), json!(0.5), json!(1.0)] {
        assert_eq!(canonical(&json!([{ "deep": [number] }])), Err(EnvelopeError::Number));
    }
    let party = NODE;
    let mut body = signed(1, party, Statement::Receipt(Receipt::Decisions {})).body().clone();
    body.head.time = 1 << 53;
    assert_eq!(body.clone().sign(&key(party)).err(), Some(EnvelopeError::Number));
    assert_eq!(body.canonical(), Err(EnvelopeError::Number));
}

#[test]
fn what_looks_like_an_id_number_is_neither_signed_nor_read() {
    let mut body = signed(1, NODE, Statement::Receipt(Receipt::Decisions {})).body().clone();
    body.head.sender = "of 11010519491231002x".to_owned();
    assert_eq!(body.clone().sign(&key(NODE)).err(), Some(EnvelopeError::IdNumber));
    let line = json!({ "body": serde_json::to_value(&body).unwrap(), "sig": "00".repeat(64) });
    assert_eq!(Unverified::read(line.to_string().as_bytes()).err(), Some(EnvelopeError::IdNumber));
    let deep = json!([{ "110105491231002": [] }, [110_105_491_231_002_u64]]);
    assert_eq!(canonical(&deep[0]), Err(EnvelopeError::IdNumber));
    assert_eq!(canonical(&deep[1]), Err(EnvelopeError::IdNumber));
}

#[test]
fn an_entry_has_a_bound() {
    let party = MATCHER;
    let fits = signed(1, party, Statement::List { channels: vec![10_000; 10_000] });
    assert!(fits.bytes().len() < ENTRY_BYTES_MAX);
    let body = Body { head: fits.body().head.clone(), statement: Statement::List { channels: vec![10_000; 11_000] } };
    assert!(matches!(body.sign(&key(party)), Err(EnvelopeError::TooLong(66_000..67_000))));
    assert_eq!(Unverified::read(&[b'x'; ENTRY_BYTES_MAX + 1]).err(), Some(EnvelopeError::TooLong(ENTRY_BYTES_MAX + 1)));
}

#[test]
fn errors_show_where_but_never_what() {
    let error =
        Unverified::read(br#"{"body":{"sender":"11010519491231002X"},"sig":"11010519491231002X"}"#).err().unwrap();
    assert!(matches!(error, EnvelopeError::Malformed(_)));
    assert!(!error.to_string().contains("110105") && error.to_string().contains("column"), "{error}");
    let deep = "[".repeat(60_000);
    assert!(matches!(Unverified::read(deep.as_bytes()), Err(EnvelopeError::Malformed(_))));
}

fn verify(change: impl FnOnce(&mut FederationManifest)) -> Result<(), FederationError> {
    let policy = policy();
    let mut manifest = manifest(&policy);
    change(&mut manifest);
    let signed = sign_manifest(manifest);
    Federation::verify(signed.bytes(), &Key::authority().public_key(), policy).map(|_| ())
}

#[test]
fn a_federation_is_exactly_the_policys() {
    assert_eq!(verify(|_| ()), Ok(()));
    let (expected, found) = (digest("other"), policy().hash);
    assert_eq!(verify(|m| m.policy = expected), Err(FederationError::OtherPolicy { expected, found }));
    assert_eq!(verify(|m| m.members.swap(2, 3)), Err(FederationError::Members));
    assert_eq!(verify(|m| m.members.truncate(5)), Err(FederationError::Members));
    assert_eq!(verify(|m| m.members.push(m.members[0].clone())), Err(FederationError::Members));
    assert_eq!(verify(|m| m.members[2].id = "stranger".into()), Err(FederationError::Members));
}

#[test]
fn every_role_is_the_policys_and_has_a_key_of_its_own() {
    let roles = |member: &str| Err(FederationError::Roles(member.into()));
    assert_eq!(verify(|m| m.members[2].roles[0].role = Role::Matcher), roles("police"));
    assert_eq!(verify(|m| m.members[0].roles.truncate(1)), roles("bureau"));
    assert_eq!(verify(|m| m.members[0].roles.reverse()), roles("bureau"));
    assert_eq!(verify(|m| m.members[5].roles.clear()), roles("matcher"));
    let second = |m: &mut FederationManifest| {
        let aggregator = m.members[1].roles[1].clone();
        m.members[3].roles.push(aggregator);
    };
    assert_eq!(verify(second), roles("clinic"));
    let shared = |member: &str| Err(FederationError::SharedKey(member.into()));
    assert_eq!(verify(|m| m.members[0].roles[1].key = m.members[0].roles[0].key), shared("bureau"));
    assert_eq!(verify(|m| m.members[4].roles[0].key = m.members[2].roles[0].key), shared("housing"));
    let address = |member: &str| Err(FederationError::Address(member.into()));
    assert_eq!(verify(|m| m.members[2].roles[0].address = "police.test:1".into()), address("police"));
    assert_eq!(verify(|m| m.members[5].roles[0].address.clear()), address("matcher"));
}

#[test]
fn limits_are_for_the_owners_and_their_matters() {
    assert_eq!(verify(|m| m.owners.truncate(1)), Err(FederationError::Owners));
    assert_eq!(verify(|m| m.owners.reverse()), Err(FederationError::Owners));
    assert_eq!(verify(|m| m.owners[1].member = 2), Err(FederationError::Owners));
    assert_eq!(verify(|m| m.owners[0].rows.push(1)), Err(FederationError::Owners));
    assert_eq!(verify(|m| m.owners.push(m.owners[1].clone())), Err(FederationError::Owners));
}

#[test]
fn the_quorum_is_more_than_two_thirds_without_the_coordinators_bureau() {
    // Five members outside the coordinator's bureau: more than 10/3.
    for (quorum, fine) in [(0, false), (3, false), (4, true), (5, true), (6, false), (u16::MAX, false)] {
        let expected = if fine { Ok(()) } else { Err(FederationError::Quorum(quorum)) };
        assert_eq!(verify(|m| m.quorum = quorum), expected);
    }
}

#[test]
fn only_the_authority_makes_a_federation() {
    let policy: std::sync::Arc<Policy> = policy();
    let signed = sign_manifest(manifest(&policy));
    let verify = |line: &[u8], key: [u8; 32]| Federation::verify(line, &key, policy.clone()).map(|_| ());
    let key = Key::authority().public_key();
    assert_eq!(verify(signed.bytes(), key), Ok(()));
    let bad = Err(FederationError::Envelope(EnvelopeError::BadSignature));
    assert_eq!(verify(signed.bytes(), Key::new([1; 32]).public_key()), bad);
    assert!(verify(&signed.bytes()[1..], key).unwrap_err().to_string().contains("malformed"));
    let other = Body { head: authority_head(), statement: Statement::RoundClosed {} }.sign(&Key::authority()).unwrap();
    assert_eq!(verify(other.bytes(), key), Err(FederationError::NotAManifest));
}

#[test]
fn a_manifest_stands_where_its_version_does() {
    let policy = policy();
    let verify = |head, version, previous: &str| {
        let manifest = FederationManifest { version, previous: previous.into(), ..manifest(&policy) };
        let line = common::sign_manifest_with(head, manifest);
        Federation::verify(line.bytes(), &Key::authority().public_key(), policy.clone()).map(|_| ())
    };
    let before = digest("the version before");
    let second = || Head { seq: 1, prev: Some(before), ..authority_head() };
    assert_eq!(verify(authority_head(), 1, ""), Ok(()));
    assert_eq!(verify(second(), 2, &before.to_string()), Ok(()));
    let bad = |version| Err(FederationError::Head(version));
    assert_eq!(verify(second(), 1, ""), bad(1));
    assert_eq!(verify(authority_head(), 1, &before.to_string()), bad(1));
    assert_eq!(verify(authority_head(), 0, ""), bad(0));
    assert_eq!(verify(authority_head(), 2, &before.to_string()), bad(2));
    assert_eq!(verify(second(), 2, ""), bad(2));
    assert_eq!(verify(second(), 2, "the first"), bad(2));
    assert_eq!(verify(Head { prev: None, ..second() }, 2, &before.to_string()), bad(2));
    assert_eq!(verify(Head { seq: 2, ..second() }, 2, &before.to_string()), bad(2));
    for round in [(Some(before), None), (None, Some(before))] {
        assert_eq!(verify(Head { federation: round.0, round: round.1, ..authority_head() }, 1, ""), bad(1));
    }
    assert_eq!(verify(Head { sender: "bureau".into(), ..authority_head() }, 1, ""), bad(1));
    assert_eq!(verify(Head { role: Role::Coordinator, ..authority_head() }, 1, ""), bad(1));
}

#[test]
fn a_federation_tells_parties_keys_addresses_and_allowances() {
    let federation = common::federation();
    let parties: Vec<Party> = federation.parties().collect();
    assert_eq!(parties.len(), 8);
    for party in &parties {
        assert_eq!(federation.key(*party), Some(Key::of(*party).public_key()));
        assert_eq!(federation.address(*party).is_none(), party.role == Role::Node);
        assert_eq!(federation.party(federation.policy().member_id(party.member), party.role), Some(*party));
    }
    assert_eq!(federation.key(Party { member: 6, role: Role::Node }), None);
    assert_eq!(federation.party("police", Role::Matcher), None);
    assert_eq!(federation.party_name(federation.coordinator()), "bureau/coordinator");
    assert_eq!(federation.hash(), wugan_protocol::hexes::sha256(&federation.signed().body().canonical().unwrap()));
    assert_eq!(federation.allowance(4), 512 + 2 * 256 + 1_024);
}
