//! Questions about one row: what is answered, when, and what is not.

use wugan_protocol::{
    disclosure::{Answer, DisclosureReason, Opening},
    message::DisclosureReply,
    policy::Decision,
    statement::{DecisionCount, DisclosureRequest, MatterTotals, Totals},
};

use super::*;

/// The second person's row at `pension`, which is suspected; the first is certified there.
const SUSPECTED: u32 = 1;
const CERTIFIED: u32 = 0;

/// After a round in which the bureau has decisions.
fn closed() -> (Aggregating, Party) {
    let mut aggregating = whole_round(None);
    let (owner, coordinator) = (aggregating.world.node("bureau"), aggregating.world.federation.coordinator());
    aggregating.world.state(coordinator, Statement::RowsClosed {});
    let file = FileKey::Decisions { owner: owner.member };
    aggregating.world.announce(coordinator, file, 3, b"decisions");
    let counts = Decision::ALL.map(|decision| DecisionCount { decision, about: None }).to_vec();
    let policy = aggregating.world.federation.policy().clone();
    let matters = policy.matters_of(owner.member);
    let matters = matters.map(|matter| MatterTotals { matter: matter.number, counts: counts.clone() }).collect();
    let totals = Totals { owner: owner.member, digest: sha256(b"decisions"), matters };
    aggregating.world.state(coordinator, Statement::Decisions(totals));
    aggregating.world.state(coordinator, Statement::RoundClosed {});
    aggregating.settle();
    aggregating.events.clear();
    (aggregating, owner)
}

fn opening(row: u32) -> Opening {
    Opening { salt: [5; 32], row }
}

/// A request about a row of a matter; its hash.
fn request(aggregating: &mut Aggregating, owner: Party, row: u32, matter: u16) -> Digest {
    let round = aggregating.world.ledger.round().unwrap().hash();
    let request = DisclosureRequest {
        matter,
        class: Class::StrongNegative,
        row: opening(row).digest(round),
        reason: DisclosureReason::Correction,
        note: round,
    };
    aggregating.world.state(owner, Statement::DisclosureRequest(request)).hash()
}

fn approve(aggregating: &mut Aggregating, request: Digest) {
    for member in ["police", "health"] {
        let member = aggregating.world.node(member);
        aggregating.world.state(member, Statement::Approval { request });
    }
    aggregating.settle();
}

fn approved(aggregating: &mut Aggregating, owner: Party, row: u32, matter: u16) -> Digest {
    let request = request(aggregating, owner, row, matter);
    approve(aggregating, request);
    request
}

fn ask(aggregating: &mut Aggregating, from: Party, request: Digest, row: u32) {
    aggregating.message(from, Message::Question { request: request.0, opening: opening(row) });
}

/// What the aggregator replied, and to whom.
fn replies(aggregating: &Aggregating) -> Vec<(Party, DisclosureReply)> {
    let replies = aggregating.events.iter().filter_map(|event| match event {
        Event::Said(to, Message::Disclosed { reply, .. }) => Some((*to, reply.clone())),
        _ => None,
    });
    replies.collect()
}

fn refused(reason: Reason) -> DisclosureReply {
    DisclosureReply::Refused(reason.code())
}

/// Digests of the answers that the aggregator logged.
fn disclosures(aggregating: &Aggregating) -> Vec<(Digest, Digest)> {
    let stated = aggregating.world.statements().into_iter().filter_map(|statement| match statement {
        Statement::Disclosure { request, answer } => Some((request, answer)),
        _ => None,
    });
    stated.collect()
}

#[test]
fn after_two_approvals_the_records_of_one_row_are_told_again_and_again() {
    let (mut aggregating, owner) = closed();
    let request = approved(&mut aggregating, owner, SUSPECTED, 1);
    ask(&mut aggregating, owner, request, SUSPECTED);
    let [(to, DisclosureReply::Told(answer))] = &replies(&aggregating)[..] else { panic!("{:?}", aggregating.events) };
    assert_eq!((*to, &answer.handles[..]), (owner, &[3][..]));
    assert_eq!(disclosures(&aggregating), [(request, answer.digest(request))]);
    let answer: Answer = answer.clone();
    aggregating.restart();
    ask(&mut aggregating, owner, request, SUSPECTED);
    let again = (owner, DisclosureReply::Told(answer));
    assert_eq!(replies(&aggregating), [again.clone(), again]);
    assert_eq!(disclosures(&aggregating).len(), 1, "one entry for all answers to a request");
}

#[test]
fn the_other_matter_of_the_same_person() {
    let (mut aggregating, owner) = closed();
    let request = approved(&mut aggregating, owner, 2, 2);
    ask(&mut aggregating, owner, request, 2);
    let [(_, DisclosureReply::Told(answer))] = &replies(&aggregating)[..] else { panic!("{:?}", aggregating.events) };
    assert_eq!(answer.handles, [3]);
}

#[test]
fn nothing_is_told_before_the_approvals_or_before_the_log_shows_it() {
    let (mut aggregating, owner) = closed();
    let request = request(&mut aggregating, owner, SUSPECTED, 1);
    aggregating.settle();
    ask(&mut aggregating, owner, request, SUSPECTED);
    let police = aggregating.world.node("police");
    aggregating.world.state(police, Statement::Approval { request });
    aggregating.settle();
    ask(&mut aggregating, owner, request, SUSPECTED);
    ask(&mut aggregating, owner, sha256(b"no request"), SUSPECTED);
    let early = (owner, refused(Reason::BeforeItsTime));
    assert_eq!(replies(&aggregating), vec![early; 3]);
    let health = aggregating.world.node("health");
    aggregating.world.state(health, Statement::Approval { request });
    aggregating.settle();
    // The entry is on its way; this copy of the log does not show it.
    aggregating.follow(false);
    ask(&mut aggregating, owner, request, SUSPECTED);
    ask(&mut aggregating, owner, request, SUSPECTED);
    assert_eq!((disclosures(&aggregating).len(), replies(&aggregating).len()), (1, 3));
    aggregating.follow(true);
    aggregating.settle();
    assert!(matches!(&replies(&aggregating)[3..], [(_, DisclosureReply::Told(_))]));
    assert!(refusals(&aggregating).is_empty());
}

#[test]
fn nobody_but_the_owner_is_told() {
    for other in ["civil", "police"] {
        let (mut aggregating, owner) = closed();
        let request = approved(&mut aggregating, owner, SUSPECTED, 1);
        let other = aggregating.world.node(other);
        ask(&mut aggregating, other, request, SUSPECTED);
        assert_eq!(aggregating.events, [Event::Cut(other, Reason::NotAllowed)]);
        assert!(disclosures(&aggregating).is_empty());
    }
    let (mut aggregating, _) = closed();
    let matcher = aggregating.world.federation.matcher();
    ask(&mut aggregating, matcher, sha256(b"nothing"), 0);
    assert_eq!(aggregating.events, [Event::Cut(matcher, Reason::NotAllowed)]);
}

/// A question that is refused for good: in the log, once, and then to whatever is asked about the request.
#[track_caller]
fn assert_refused_for_good(asked: (u32, u16), opened: u32, reason: Reason) {
    let (mut aggregating, owner) = closed();
    let request = approved(&mut aggregating, owner, asked.0, asked.1);
    ask(&mut aggregating, owner, request, opened);
    assert_eq!(refusals(&aggregating), [(request, reason)]);
    assert_eq!(replies(&aggregating), [(owner, refused(reason))]);
    aggregating.restart();
    ask(&mut aggregating, owner, request, asked.0);
    assert_eq!(replies(&aggregating)[1..], [(owner, refused(reason))]);
    assert_eq!(refusals(&aggregating).len(), 1);
    assert!(disclosures(&aggregating).is_empty());
}

#[test]
fn rows_that_are_not_suspected_and_wrong_openings() {
    assert_refused_for_good((CERTIFIED, 1), CERTIFIED, Reason::NotSuspected);
    // A suspected row, but of the other matter; a row that is not there.
    assert_refused_for_good((SUSPECTED, 2), SUSPECTED, Reason::NotSuspected);
    assert_refused_for_good((3, 2), 3, Reason::NotSuspected);
    assert_refused_for_good((u32::MAX, 1), u32::MAX, Reason::NotSuspected);
    assert_refused_for_good((CERTIFIED, 1), SUSPECTED, Reason::DigestDiffers);
}

#[test]
fn files_that_cannot_be_read_are_no_reason_to_stop() {
    let (mut aggregating, owner) = closed();
    let round = aggregating.world.ledger.round().unwrap().hash();
    let path = aggregating.program().path(round, rows_file(owner, Class::StrongNegative));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
    let request = approved(&mut aggregating, owner, SUSPECTED, 1);
    ask(&mut aggregating, owner, request, SUSPECTED);
    assert_eq!(replies(&aggregating), [(owner, refused(Reason::Unreadable))]);
    std::fs::write(&path, bytes).unwrap();
    ask(&mut aggregating, owner, request, SUSPECTED);
    assert!(matches!(replies(&aggregating)[1..], [(_, DisclosureReply::Told(_))]));
    assert!(!aggregating.events.iter().any(|event| matches!(event, Event::Stopped(_))));
}

#[test]
fn what_is_deleted_is_not_told() {
    let (mut aggregating, owner) = closed();
    let request = approved(&mut aggregating, owner, SUSPECTED, 1);
    aggregating.world.now += 41 * 86_400;
    aggregating.settle();
    ask(&mut aggregating, owner, request, SUSPECTED);
    assert_eq!(replies(&aggregating), [(owner, refused(Reason::Deleted))]);
    assert!(disclosures(&aggregating).is_empty() && refusals(&aggregating).is_empty());
}

#[test]
fn a_power_cut_at_any_command_of_a_disclosure_changes_nothing() {
    let answered = |cut: usize| {
        let (mut aggregating, owner) = closed();
        let request = approved(&mut aggregating, owner, SUSPECTED, 1);
        aggregating.cut_power_after(cut);
        for _ in 0..3 {
            ask(&mut aggregating, owner, request, SUSPECTED);
        }
        let told: Vec<DisclosureReply> = replies(&aggregating).into_iter().map(|(_, reply)| reply).collect();
        assert!(told.iter().all(|reply| matches!(reply, DisclosureReply::Told(answer) if answer.handles == [3])));
        assert!(told.len() >= 2 && disclosures(&aggregating).len() == 1, "cut after {cut} commands");
        assert!(refusals(&aggregating).is_empty());
        !aggregating.powered()
    };
    let cuts = (0..).take_while(|cut| answered(*cut)).count();
    assert!(cuts > 5, "{cuts}");
}
