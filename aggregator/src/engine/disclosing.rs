//! Questions of roster owners about one row. An owner that asks again gets the same answer, and costs no second look.

use std::collections::{BTreeMap, BTreeSet};

use wugan_protocol::{
    chance::Purpose,
    disclosure::{Answer, Opening},
    engine::{Command, Severity},
    hexes::Digest,
    ledger::Disclosed,
    member::is_ahead,
    message::{DisclosureReply, Message},
    party::{MemberNumber, Party, Role},
    reason::Reason,
    stage::Stage,
    statement::Statement,
};

use super::{DiscloseDone, DiscloseTask, Job};

/// Questions, by the request that they belong to. A restart forgets them: an owner asks until it is told.
#[derive(Default)]
pub(super) struct Disclosing {
    /// A thread looks.
    looking: BTreeSet<Digest>,
    /// What a look showed, as long as the files are kept.
    found: BTreeMap<Digest, Answer>,
    /// Answers that are to be told once the log shows them.
    asked: BTreeSet<Digest>,
}

type Commands = Vec<Command<Job>>;

impl Disclosing {
    /// An owner asks, and says which row its request is about.
    pub(super) fn question(
        &mut self,
        stage: &mut Stage,
        from: Party,
        (request, opening): (Digest, Opening),
        now: u64,
        out: &mut Commands,
    ) {
        let owner = stage.ledger().request(request).map(|requested| requested.owner);
        if from.role != Role::Node || owner.is_some_and(|owner| owner != from.member) {
            out.push(Command::Disconnect(from, Reason::NotAllowed));
            return;
        }
        match task(stage, request, opening, now) {
            Ok(_) if self.found.contains_key(&request) => {
                self.asked.insert(request);
            }
            Ok(task) => {
                if self.looking.insert(request) {
                    out.push(Command::Local(Job::Disclose(task)));
                }
            }
            Err(Reason::DigestDiffers) => refuse(stage, (from.member, request), Reason::DigestDiffers, now, out),
            Err(reason) => out.push(reply(from.member, request, DisclosureReply::Refused(reason.code()))),
        }
    }

    /// A thread has looked. The disclosure is stated first, and told when the log shows it.
    pub(super) fn looked(&mut self, stage: &mut Stage, done: DiscloseDone, now: u64, out: &mut Commands) {
        let DiscloseDone { request, found } = done;
        self.looking.remove(&request);
        let Some(requested) = stage.ledger().request(request) else { return };
        let (owner, round, logged) = (requested.owner, requested.round, requested.outcome.is_some());
        let refused = |reason: Reason| reply(owner, request, DisclosureReply::Refused(reason.code()));
        match (found, stage.seed(round)) {
            (Err(error), _) => {
                let text = format!("request {request} for disclosure: kept files cannot be read: {error}");
                out.extend([Command::Tell(Severity::Warn, text), refused(Reason::Unreadable)]);
            }
            (Ok(_), None) => out.push(refused(Reason::Deleted)),
            (Ok(None), _) => refuse(stage, (owner, request), Reason::NotSuspected, now, out),
            (Ok(Some(handles)), Some(seed)) => {
                let salt = seed.derive(&round.0, Purpose::Disclosure(request));
                let answer = Answer { salt, handles };
                if !logged {
                    let statement = Statement::Disclosure { request, answer: answer.digest(request) };
                    stage.state_in(round, statement, now, out);
                }
                self.found.insert(request, answer);
                self.asked.insert(request);
            }
        }
    }

    /// Tells what the log shows as disclosed.
    pub(super) fn tell(&mut self, stage: &Stage, out: &mut Commands) {
        let ledger = stage.ledger();
        let kept = |request: &Digest| ledger.request(*request).is_some_and(|asked| !ledger.is_deleted(asked.round));
        self.found.retain(|request, _| kept(request));
        for (request, answer) in &self.found {
            let requested = ledger.request(*request).filter(|_| self.asked.contains(request));
            let Some((owner, outcome)) = requested.and_then(|asked| Some((asked.owner, asked.outcome?))) else {
                continue;
            };
            let told = match outcome {
                Disclosed::Answered { answer: logged, .. } if logged == answer.digest(*request) => {
                    DisclosureReply::Told(answer.clone())
                }
                Disclosed::Answered { .. } => DisclosureReply::Refused(Reason::DigestDiffers.code()),
                Disclosed::Refused(reason) => DisclosureReply::Refused(reason.code()),
            };
            self.asked.remove(request);
            out.push(reply(owner, *request, told));
        }
    }
}

/// The look that an approved request allows.
fn task(stage: &Stage, request: Digest, opening: Opening, now: u64) -> Result<DiscloseTask, Reason> {
    let ledger = stage.ledger();
    // Before the log shows it here: the owner asks again.
    let requested = ledger.request(request).ok_or(Reason::BeforeItsTime)?;
    let round = requested.round;
    if let Some(Disclosed::Refused(reason)) = requested.outcome {
        return Err(reason);
    }
    if !requested.approved() {
        return Err(Reason::BeforeItsTime);
    }
    // Of another month, which would have a limit of its own.
    if is_ahead(requested.time, now) {
        return Err(Reason::ClockDiffers);
    }
    if ledger.is_deleted(round) || stage.seed(round).is_none() || stage.expired(now).contains(&round) {
        return Err(Reason::Deleted);
    }
    if opening.digest(round) != requested.statement.row {
        return Err(Reason::DigestDiffers);
    }
    let (owner, asked) = (requested.owner, requested.statement.clone());
    let past = ledger.past_round(round).ok_or(Reason::BeforeItsTime)?;
    let (policy, list) = (&past.policy, &past.list);
    let place = policy.matters_of(owner).position(|matter| matter.number == asked.matter).ok_or(Reason::NotAllowed)?;
    Ok(DiscloseTask { request, round, owner, asked, opening, matters: policy.matter_rounds(owner, list), place })
}

/// Refuses for good, in the log, unless that is done.
fn refuse(stage: &mut Stage, (owner, request): (MemberNumber, Digest), reason: Reason, now: u64, out: &mut Commands) {
    let open = stage.ledger().request(request).filter(|requested| requested.outcome.is_none());
    if let Some(round) = open.map(|requested| requested.round) {
        out.push(Command::Tell(Severity::Warn, format!("request {request} for disclosure refused: {reason}")));
        stage.state_in(round, Statement::Refusal { entry: request, reason }, now, out);
    }
    out.push(reply(owner, request, DisclosureReply::Refused(reason.code())));
}

fn reply(owner: MemberNumber, request: Digest, reply: DisclosureReply) -> Command<Job> {
    Command::Send(vec![Party { member: owner, role: Role::Node }], Message::Disclosed { request: request.0, reply })
}
