//! Disclosures in the ledger: a whole one, and everything that has no effect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{AGGREGATOR, BUREAU, CLINIC, COORDINATOR, DATA, HOUSING, Log, MATCHING, POLICE, START, digest, node};
use wugan_protocol::{
    disclosure::DisclosureReason,
    hexes::{Digest, Hex},
    ledger::{Disclosed, SECONDS_PER_DAY},
    limits::CLOCKS_APART_SECONDS_MAX,
    party::{MemberNumber, Party},
    policy::Class,
    reason::Reason,
    statement::{DisclosureRequest, Kept, Statement},
};

/// Of the small catalogue: `pension` of the bureau is matter 1, the subsidy of housing is matter 2.
const MATTER: [u16; 5] = [1, 0, 0, 0, 2];

/// A log with one closed round, shortly after its end.
fn closed() -> Log {
    let mut log = Log::listed();
    log.finish();
    log
}

/// A request about a row that nobody asked about before.
fn request(owner: MemberNumber, row: &str) -> DisclosureRequest {
    let matter = MATTER[usize::from(owner)];
    let (row, note) = (digest(row), digest("note"));
    DisclosureRequest { matter, class: Class::StrongNegative, row, reason: DisclosureReason::Objection, note }
}

/// States a request; the hash of its entry.
fn ask(log: &mut Log, owner: MemberNumber, row: &str) -> Result<Digest, Reason> {
    ask_with(log, owner, request(owner, row))
}

fn ask_with(log: &mut Log, owner: MemberNumber, request: DisclosureRequest) -> Result<Digest, Reason> {
    let signed = log.signed(node(owner), Statement::DisclosureRequest(request), true);
    log.append(signed.bytes().to_vec()).map(|()| signed.hash())
}

fn approve(log: &mut Log, member: MemberNumber, request: Digest) -> Result<(), Reason> {
    log.say(node(member), Statement::Approval { request })
}

fn disclose(log: &mut Log, request: Digest) -> Result<(), Reason> {
    log.say(AGGREGATOR, Statement::Disclosure { request, answer: digest("answer") })
}

#[test]
fn two_members_approve_and_the_aggregator_answers() {
    let mut log = closed();
    let asked = ask(&mut log, HOUSING, "row").unwrap();
    assert_eq!(disclose(&mut log, asked), Err(Reason::BeforeItsTime));
    approve(&mut log, POLICE, asked).unwrap();
    assert!(!log.ledger.request(asked).unwrap().approved());
    assert_eq!(disclose(&mut log, asked), Err(Reason::BeforeItsTime));
    approve(&mut log, CLINIC, asked).unwrap();
    disclose(&mut log, asked).unwrap();
    let requested = log.ledger.request(asked).unwrap();
    assert!(requested.approved() && requested.owner == HOUSING && requested.approvals == [POLICE, CLINIC].into());
    let Some(Disclosed::Answered { answer, .. }) = requested.outcome else { panic!("{requested:?}") };
    assert_eq!(answer, digest("answer"));
    assert_eq!(disclose(&mut log, asked), Err(Reason::Repeated));
    assert_eq!(approve(&mut log, DATA, asked), Err(Reason::TooLate));
}

#[test]
fn the_owner_the_bureau_and_the_same_member_twice_do_not_approve() {
    let mut log = closed();
    let asked = ask(&mut log, HOUSING, "row").unwrap();
    assert_eq!(approve(&mut log, HOUSING, asked), Err(Reason::NotAllowed));
    assert_eq!(approve(&mut log, BUREAU, asked), Err(Reason::NotAllowed));
    approve(&mut log, DATA, asked).unwrap();
    assert_eq!(approve(&mut log, DATA, asked), Err(Reason::Repeated));
    assert_eq!(approve(&mut log, CLINIC, digest("nothing")), Err(Reason::BeforeItsTime));
    assert_eq!(log.ledger.request(asked).unwrap().approvals, [DATA].into());
    // The bureau's own request: nobody of the bureau approves it either.
    let of_bureau = ask(&mut log, BUREAU, "other row").unwrap();
    assert_eq!(approve(&mut log, BUREAU, of_bureau), Err(Reason::NotAllowed));
    approve(&mut log, HOUSING, of_bureau).unwrap();
    approve(&mut log, POLICE, of_bureau).unwrap();
    disclose(&mut log, of_bureau).unwrap();
}

#[test]
fn only_nodes_ask_and_approve_and_only_the_aggregator_answers() {
    let mut log = closed();
    let asked = ask(&mut log, HOUSING, "row").unwrap();
    let refused = |party: Party, statement: Statement| {
        let signed = log.signed(party, statement, true);
        log.ledger.admit(signed.bytes()).err()
    };
    let disclosure = Statement::Disclosure { request: asked, answer: digest("answer") };
    for party in [COORDINATOR, MATCHING, node(DATA)] {
        assert_eq!(refused(party, disclosure.clone()), Some(Reason::NotAllowed));
    }
    for party in [COORDINATOR, MATCHING, AGGREGATOR] {
        assert_eq!(refused(party, Statement::Approval { request: asked }), Some(Reason::NotAllowed));
        let request = Statement::DisclosureRequest(request(HOUSING, "another"));
        assert_eq!(refused(party, request), Some(Reason::NotAllowed));
    }
}

#[test]
fn what_may_be_asked_about() {
    let mut log = closed();
    let mut refused = |owner, change: fn(&mut DisclosureRequest)| {
        let mut request = request(owner, "row");
        change(&mut request);
        ask_with(&mut log, owner, request).err()
    };
    assert_eq!(refused(POLICE, |_| ()), Some(Reason::NotAllowed), "no owner");
    assert_eq!(refused(HOUSING, |r| r.matter = 1), Some(Reason::NotAllowed), "another's matter");
    assert_eq!(refused(HOUSING, |r| r.matter = 9), Some(Reason::NotAllowed), "no matter");
    for class in [Class::StrongPositive, Class::WeakPositive] {
        let mut request = request(HOUSING, "row");
        request.class = class;
        assert_eq!(ask_with(&mut log, HOUSING, request), Err(Reason::NotAllowed), "{class}");
    }
    // No rule of the small catalogue looks at weak negative records.
    let mut weak = request(HOUSING, "row");
    weak.class = Class::WeakNegative;
    assert_eq!(ask_with(&mut log, HOUSING, weak), Err(Reason::NotAllowed));
    ask(&mut log, HOUSING, "row").unwrap();
    assert_eq!(ask(&mut log, HOUSING, "row"), Err(Reason::Repeated), "the same digest again");
    assert_eq!(ask(&mut log, BUREAU, "row"), Err(Reason::Repeated), "somebody else's digest");
}

#[test]
fn a_round_must_be_closed_and_have_decisions() {
    let mut log = Log::listed();
    assert_eq!(ask(&mut log, HOUSING, "row"), Err(Reason::OtherRound), "still open");
    // Only the bureau takes part.
    log.rows(BUREAU);
    log.row_receipts(BUREAU);
    log.now += 100;
    log.say(COORDINATOR, Statement::RowsClosed {}).unwrap();
    log.decide(BUREAU);
    assert_eq!(ask(&mut log, BUREAU, "row"), Err(Reason::OtherRound), "not closed");
    log.say(COORDINATOR, Statement::RoundClosed {}).unwrap();
    assert_eq!(ask(&mut log, HOUSING, "row"), Err(Reason::NotAllowed), "an owner that was absent");
    ask(&mut log, BUREAU, "row").unwrap();
    let outside = log.signed(node(BUREAU), Statement::DisclosureRequest(request(BUREAU, "b")), false);
    assert_eq!(log.append(outside.bytes().to_vec()), Err(Reason::OtherRound), "of no round");

    log.now = START + 25 * SECONDS_PER_DAY;
    log.open("2026-12").unwrap();
    log.say(COORDINATOR, Statement::RoundAbandoned { reason: Reason::Superseded }).unwrap();
    assert_eq!(ask(&mut log, BUREAU, "c"), Err(Reason::OtherRound), "an abandoned round");
}

#[test]
fn every_entry_is_bound_to_the_round_of_its_request() {
    let mut log = closed();
    let asked = ask(&mut log, HOUSING, "row").unwrap();
    let unbound = log.signed(node(POLICE), Statement::Approval { request: asked }, false);
    assert_eq!(log.append(unbound.bytes().to_vec()), Err(Reason::OtherRound));
    approve(&mut log, POLICE, asked).unwrap();
    approve(&mut log, CLINIC, asked).unwrap();
    let statement = Statement::Disclosure { request: asked, answer: digest("answer") };
    let unbound = log.signed(AGGREGATOR, statement, false);
    assert_eq!(log.append(unbound.bytes().to_vec()), Err(Reason::OtherRound));
    disclose(&mut log, asked).unwrap();
}

#[test]
fn each_owner_has_its_share_of_a_calendar_month() {
    let mut log = closed();
    // START is 2026-09-21 in Asia/Shanghai; the small federation allows two.
    for row in ["a", "b"] {
        ask(&mut log, HOUSING, row).unwrap();
    }
    assert_eq!(ask(&mut log, HOUSING, "c"), Err(Reason::OverLimit));
    ask(&mut log, BUREAU, "d").unwrap();
    // 2026-09-30, 23:59:59 in Asia/Shanghai.
    log.now = 1_790_783_999;
    assert_eq!(ask(&mut log, HOUSING, "c"), Err(Reason::OverLimit));
    log.now += 1;
    for row in ["c", "e"] {
        ask(&mut log, HOUSING, row).unwrap();
    }
    assert_eq!(ask(&mut log, HOUSING, "f"), Err(Reason::OverLimit));
    // A clock that goes back gives no second share of another month.
    log.now -= 1;
    assert_eq!(ask(&mut log, HOUSING, "f"), Err(Reason::ClockDiffers));
    assert_eq!(ask(&mut log, BUREAU, "g").map(drop), Ok(()), "whose own clock did not");
    log.now = START - 1;
    assert_eq!(ask(&mut log, BUREAU, "h"), Err(Reason::ClockDiffers));
}

#[test]
fn nothing_is_asked_or_told_about_what_is_deleted() {
    let mut log = closed();
    let (open, approved) = (ask(&mut log, HOUSING, "a").unwrap(), ask(&mut log, HOUSING, "b").unwrap());
    approve(&mut log, POLICE, approved).unwrap();
    approve(&mut log, CLINIC, approved).unwrap();
    let mut late = log.clone();
    late.now = START + 40 * SECONDS_PER_DAY;
    assert_eq!(ask(&mut late, BUREAU, "c"), Err(Reason::Deleted), "the retention time is over");
    late.now -= 1;
    ask(&mut late, BUREAU, "c").unwrap();

    // Clocks may be somewhat apart.
    log.now = START + 40 * SECONDS_PER_DAY - CLOCKS_APART_SECONDS_MAX;
    log.say(MATCHING, Statement::Deletion { of: Kept::Files }).unwrap();
    ask(&mut log, BUREAU, "c").unwrap();
    log.say(AGGREGATOR, Statement::Deletion { of: Kept::Files }).unwrap();
    assert!(log.ledger.is_deleted(log.ledger.round().unwrap().hash()));
    assert_eq!(ask(&mut log, BUREAU, "d"), Err(Reason::Deleted));
    assert_eq!(approve(&mut log, POLICE, open), Err(Reason::Deleted));
}

#[test]
fn a_refusal_of_the_aggregators_ends_a_request() {
    let mut log = closed();
    let asked = ask(&mut log, HOUSING, "row").unwrap();
    let refusal = Statement::Refusal { entry: asked, reason: Reason::NotSuspected };
    // Somebody else's refusal does not.
    log.say(node(CLINIC), refusal.clone()).unwrap();
    log.say(MATCHING, refusal.clone()).unwrap();
    approve(&mut log, POLICE, asked).unwrap();
    log.say(AGGREGATOR, refusal).unwrap();
    assert_eq!(log.ledger.request(asked).unwrap().outcome, Some(Disclosed::Refused(Reason::NotSuspected)));
    assert_eq!(approve(&mut log, CLINIC, asked), Err(Reason::TooLate));
    assert_eq!(disclose(&mut log, asked), Err(Reason::Repeated));
    // One that was answered stays answered.
    let answered = ask(&mut log, HOUSING, "another").unwrap();
    [POLICE, CLINIC].into_iter().for_each(|member| approve(&mut log, member, answered).unwrap());
    disclose(&mut log, answered).unwrap();
    log.say(AGGREGATOR, Statement::Refusal { entry: answered, reason: Reason::NotSuspected }).unwrap();
    assert!(matches!(log.ledger.request(answered).unwrap().outcome, Some(Disclosed::Answered { .. })));
    assert!(log.ledger.request(Hex([0; 32])).is_none());
}
