//! What this node keeps is deleted when its retention time is over, one thing at a time. Each deletion is stated, and
//! its facts are forgotten, once it is durable; a restart in between deletes again.

use wugan_protocol::{
    engine::{Command, Fact, Severity},
    hexes::Digest,
    ledger::{Round, SECONDS_PER_DAY},
    statement::Kept,
};

use super::{Commands, NodeEngine};
use crate::work::Job;

/// A deletion: of which round, of what, and the names of the facts that go with it.
pub(super) struct Deletion {
    pub(super) round: Digest,
    pub(super) of: Kept,
    pub(super) facts: Vec<String>,
}

impl NodeEngine {
    /// Deletes what is no longer to be kept. A round that is open keeps everything.
    pub(super) fn delete_expired(&mut self, now: u64) -> Commands {
        let kept = self.member.federation().policy().retention_days.saturating_mul(SECONDS_PER_DAY);
        let Some(before) = now.checked_sub(kept).filter(|_| self.deleting.is_none()) else { return Vec::new() };
        let ledger = self.member.ledger();
        let open = ledger.open_round().map(Round::hash);
        let found = self.preparation.take_expired(before, open).map(|(mut files, expired)| {
            files.facts.extend(self.enrolling.take_empty_plan(files.round));
            files.facts.extend(self.disclosing.forget(files.round));
            (files, expired)
        });
        let found = found.or_else(|| self.enrolling.take_expired(before, open));
        let found = found.or_else(|| self.serving.take_expired(before, open, self.member.party().member, ledger));
        let Some((deletion, expired)) = found else { return Vec::new() };
        self.deleting = Some(deletion);
        vec![Command::Local(Job::Delete(expired))]
    }

    pub(super) fn deleted(&mut self, now: u64) -> Commands {
        let Some(Deletion { round, of, facts }) = self.deleting.take() else { return Vec::new() };
        let facts = facts.into_iter().map(Fact::Unset).collect();
        let mut commands = self.member.deleted(round, of, facts, now);
        let what = match of {
            Kept::Batches => "enrolment batches of round",
            Kept::Answers => "answers to enrolment batches of round",
            Kept::Files | Kept::Bits | Kept::Decisions => "round",
        };
        commands.push(Command::Tell(Severity::Info, format!("{what} {round} deleted: the retention time is over")));
        commands
    }
}

#[cfg(test)]
mod tests;
