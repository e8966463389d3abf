//! Requests for disclosure as a department's staff sees them, and its approvals of requests of others.

use wugan_protocol::{
    hexes::Digest,
    ledger::{APPROVALS, Disclosed, Requested},
    member::is_ahead,
    party::MemberNumber,
    policy::Policy,
    reason::Reason,
    statement::Statement,
};

use super::{Commands, NodeEngine};
use crate::admin::{Listed, Name, Refusal, State};

impl NodeEngine {
    /// Approves a request of another department.
    pub(super) fn approve(&mut self, request: Digest, now: u64) -> Result<Commands, Refusal> {
        let statement = Statement::Approval { request };
        let ledger = self.member.ledger();
        let requested = ledger.request(request).ok_or(Refusal::UnknownRequest {})?;
        let round = requested.round;
        if requested.owner == self.me() {
            return Err(Refusal::OwnRequest {});
        }
        ledger.may_approve(self.me(), request).map_err(|reason| match reason {
            Reason::NotAllowed => Refusal::Bureau {},
            Reason::TooLate => Refusal::Ended {},
            Reason::Deleted => Refusal::RetentionOver {},
            Reason::Repeated => Refusal::ApprovedBefore {},
            reason => Refusal::Rule { reason },
        })?;
        if is_ahead(requested.time, now) {
            return Err(Refusal::Rule { reason: Reason::ClockDiffers });
        }
        if self.member.is_under_way(&statement) {
            return Err(Refusal::ApprovedBefore {});
        }
        Ok(self.member.state_in(Some(round), statement, now))
    }

    /// Requests that are open, and this department's own, the earliest first.
    pub(super) fn listed(&self) -> Vec<Listed> {
        let ledger = self.member.ledger();
        let shown = ledger.requests().filter(|(_, asked)| {
            let open = asked.outcome.is_none() && !ledger.is_deleted(asked.round);
            open || asked.owner == self.me()
        });
        let mut listed: Vec<Listed> = shown.filter_map(|(hash, asked)| self.list_one(hash, asked)).collect();
        listed.sort_by_key(|listed| (listed.time, listed.request));
        listed
    }

    fn list_one(&self, request: Digest, asked: &Requested) -> Option<Listed> {
        let ledger = self.member.ledger();
        let (past, policy) = (&ledger.past_round(asked.round)?.policy, self.member.federation().policy());
        let matter = past.matters.iter().find(|matter| matter.number == asked.statement.matter)?;
        let state = match asked.outcome {
            Some(Disclosed::Refused(reason)) => State::Refused { reason },
            _ if self.disclosing.has_written(asked.statement.row) => State::Written {},
            Some(Disclosed::Answered { .. }) => State::Answered {},
            None if ledger.is_deleted(asked.round) => State::Deleted {},
            None if asked.approved() => State::Approved {},
            None => State::Open { lacking: (APPROVALS - asked.approvals.len()) as u64 },
        };
        Some(Listed {
            request,
            owner: department(policy, asked.owner),
            own: asked.owner == self.me(),
            matter: Name::of(&matter.id, Some(&matter.name)),
            month: ledger.past_round(asked.round)?.month,
            class: asked.statement.class,
            reason: asked.statement.reason,
            time: asked.time,
            approvals: asked.approvals.iter().map(|member| department(policy, *member)).collect(),
            state,
        })
    }
}

fn department(policy: &Policy, member: MemberNumber) -> Name {
    let names = policy.departments.get(usize::from(member)).map(|department| &department.name);
    Name::of(policy.member_id(member), names)
}
