//! What may stand in the log at all: canonical documents of members, each the next of its own sequence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{
    AGGREGATOR, BUREAU, CLINIC, COORDINATOR, Key, Log, MATCHING, POLICE, START, announcement, batch, digest, node,
    totals,
};
use wugan_protocol::{
    envelope::{Body, Head, Signer},
    file::FileKey,
    ledger::Ledger,
    party::{Party, Role},
    reason::Reason,
    statement::{SourceEpoch, Statement},
};

/// What becomes of an entry of the police whose head was bent and signed again.
fn admitted(bend: impl FnOnce(&mut Head), signer: Party) -> Option<Reason> {
    let log = Log::opened();
    let pool = announcement(FileKey::Pool { channel: 3, group: 0 });
    let Body { mut head, statement } = log.signed(node(POLICE), pool, true).body().clone();
    bend(&mut head);
    let line = Body { head, statement }.sign(Key::of(signer).as_ref()).unwrap().bytes().to_vec();
    log.ledger.admit(&line).err()
}

#[test]
fn only_a_members_own_next_entry_is_admitted() {
    let police = node(POLICE);
    assert_eq!(admitted(|_| (), police), None);
    assert_eq!(admitted(|_| (), node(CLINIC)), Some(Reason::BadSignature));
    assert_eq!(admitted(|head| head.sender = "clinic".into(), police), Some(Reason::BadSignature));
    assert_eq!(admitted(|head| head.sender = "nobody".into(), police), Some(Reason::NotMember));
    assert_eq!(admitted(|head| head.role = Role::Matcher, police), Some(Reason::NotMember));
    assert_eq!(admitted(|head| head.role = Role::Authority, police), Some(Reason::BadSignature));
    assert_eq!(admitted(|head| head.seq += 1, police), Some(Reason::OutOfSequence));
    assert_eq!(admitted(|head| head.seq = 0, police), Some(Reason::OutOfSequence));
    assert_eq!(admitted(|head| head.prev = None, police), Some(Reason::OutOfSequence));
    assert_eq!(admitted(|head| head.prev = Some(digest("other")), police), Some(Reason::OutOfSequence));
    assert_eq!(admitted(|head| head.federation = Some(digest("other")), police), Some(Reason::OtherFederation));
    assert_eq!(admitted(|head| head.federation = None, police), Some(Reason::OtherFederation));
}

#[test]
fn roles_state_only_what_is_theirs() {
    let log = Log::opened();
    let parties = [node(BUREAU), node(POLICE), COORDINATOR, AGGREGATOR, MATCHING];
    let statements = [
        (log.key_epoch(POLICE, 1, 9), Role::Node),
        (log.manifest("2026-12"), Role::Coordinator),
        (batch(0, 256, &[SourceEpoch { source: POLICE, epoch: 1 }]), Role::Node),
        (Statement::PoolsClosed {}, Role::Coordinator),
        (Statement::List { channels: vec![] }, Role::Matcher),
        (Statement::RowsClosed {}, Role::Coordinator),
        (totals(BUREAU), Role::Coordinator),
        (Statement::RoundClosed {}, Role::Coordinator),
        (Statement::RoundAbandoned { reason: Reason::Superseded }, Role::Coordinator),
        (Statement::Failure { channel: None, reason: Reason::NoSpace }, Role::Node),
        (Statement::FederationManifest(log.ledger.federation().manifest().clone()), Role::Authority),
    ];
    for (statement, role) in statements {
        for party in parties {
            let line = log.signed(party, statement.clone(), true).bytes().to_vec();
            let expected = (party.role != role).then_some(Reason::NotAllowed);
            assert_eq!(log.ledger.admit(&line).err(), expected, "{party:?} {}", statement.type_name());
        }
    }
}

#[test]
fn the_log_begins_with_the_federation_manifest_and_holds_it_once() {
    let log = Log::new();
    let empty = Ledger::new(log.ledger.federation().clone());
    let keys = Log::with_keys();
    assert_eq!(empty.admit(&keys.lines[1]).err(), Some(Reason::OtherFederation));
    assert!(empty.admit(&log.lines[0]).is_ok());
    assert_eq!(log.ledger.admit(&log.lines[0]).err(), Some(Reason::OtherFederation));
}

/// Whether a line is admitted that stands for the police's next entry with another text, signed correctly.
fn admit_text(change: impl FnOnce(String) -> String) -> Option<Reason> {
    let log = Log::opened();
    let failure = Statement::Failure { channel: Some(3), reason: Reason::Unreadable };
    let body = log.signed(node(POLICE), failure, true).body().canonical().unwrap();
    let body = change(String::from_utf8(body).unwrap());
    let sig = hex::encode(Key::of(node(POLICE)).sign(format!("wugan/1/failure\n{body}").as_bytes()));
    log.ledger.admit(format!(r#"{{"body":{body},"sig":"{sig}"}}"#).as_bytes()).err()
}

#[test]
fn only_canonical_documents_of_the_known_shape_are_admitted() {
    assert_eq!(admit_text(|text| text), None);
    let replaced = |from: &'static str, to: &'static str| {
        admit_text(|text| {
            assert!(text.contains(from), "{text}");
            text.replacen(from, to, 1)
        })
    };
    let malformed = Some(Reason::Malformed);
    assert_eq!(replaced(r#""channel":3"#, r#""channel": 3"#), malformed, "white space");
    assert_eq!(replaced(r#""channel":3"#, r#""channel":3.0"#), malformed, "a float");
    assert_eq!(replaced(r#""channel":3"#, r#""channel":3e0"#), malformed, "an exponent");
    assert_eq!(replaced(r#""channel":3"#, r#""channel":65539"#), malformed, "out of range");
    assert_eq!(replaced(r#""channel":3"#, r#""channel":-3"#), malformed, "negative");
    assert_eq!(replaced(r#""channel":3"#, r#""channel":3,"channel":3"#), malformed, "a name twice");
    assert_eq!(replaced(r#""channel":3"#, r#""channel":3,"comment":"x""#), malformed, "an unknown field");
    assert_eq!(replaced(r#""channel":3,"#, ""), malformed, "a field left out");
    assert_eq!(replaced(r#""reason":"unreadable""#, r#""reason":"because""#), malformed, "a word of no list");
    assert_eq!(replaced("police", "\\u0070olice"), malformed, "an escape that is none of RFC 8785's");
    assert_eq!(admit_text(|text| text.replacen(r#""time":"#, r#""time":9007199254740992,"#, 1)), malformed);
    let time = |time: u64| {
        admit_text(move |text| text.replacen(&format!(r#""time":{START}"#), &format!(r#""time":{time}"#), 1))
    };
    assert_eq!(time((1 << 53) - 1), None);
    assert_eq!(time(1 << 53), malformed);
    assert_eq!(time(u64::MAX), malformed);
    let channels = |n: usize| Statement::List { channels: vec![65_535; n] };
    let log = Log::opened();
    let head = log.ledger.head(MATCHING, log.ledger.place(MATCHING), true, START);
    assert!(
        Body { head, statement: channels(11_000) }.sign(Key::of(MATCHING).as_ref()).is_err(),
        "longer than an entry"
    );
    assert_eq!(log.ledger.admit(&vec![b' '; 70_000]).err(), malformed);
    assert_eq!(log.ledger.admit(b"").err(), malformed);
    assert_eq!(log.ledger.admit(&[0xff; 9]).err(), malformed);
}
