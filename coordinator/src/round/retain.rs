//! What is kept of a round is deleted when its time is over: the signal bits first, the decisions years later. Each
//! deletion is logged once it is durable, and what the log does not show as deleted is deleted again after a restart.

use std::{collections::BTreeMap, io};

use wugan_protocol::{
    engine::{Command, Severity},
    file::FileKey,
    hexes::Digest,
    party::MemberNumber,
    statement::{Kept, Statement},
};
use wugan_transport::rounds::{Rounds, sync_folder};

use super::bits::Bits;
use crate::{engine::Job, log::Log};

/// What to delete.
#[derive(Clone, Debug)]
pub struct DeleteTask {
    /// Hash of the round.
    pub round: Digest,
    /// What of it.
    pub of: Kept,
    /// All owners.
    pub owners: Vec<MemberNumber>,
}

/// What became of a deletion.
#[derive(Debug)]
pub struct DeleteDone {
    /// Hash of the round.
    pub round: Digest,
    /// What of it.
    pub of: Kept,
    /// Whether it is gone for good.
    pub result: io::Result<()>,
}

impl DeleteTask {
    /// Deletes it, durably.
    pub fn run(&self, rounds: &Rounds) -> DeleteDone {
        DeleteDone { round: self.round, of: self.of, result: self.delete(rounds) }
    }

    fn delete(&self, rounds: &Rounds) -> io::Result<()> {
        if self.of == Kept::Decisions {
            return rounds.forget(self.round);
        }
        let bits = self.owners.iter().map(|owner| FileKey::Bits { owner: *owner });
        bits.into_iter().try_for_each(|file| rounds.discard(self.round, file))?;
        sync_folder(&rounds.folder(self.round))
    }
}

/// Deletions under way (none), and those that failed, with the time before which they are not tried again.
#[derive(Default)]
pub(crate) struct Retention(BTreeMap<(Digest, Kept), Option<u64>>);

impl Retention {
    /// Starts the deletions that are due.
    pub(crate) fn reconcile(&mut self, log: &Log, bits: &mut Bits, now: u64) -> Vec<Command<Job>> {
        let mut commands = Vec::new();
        for (round, of) in log.expired(now) {
            let due = self.0.get(&(round, of)).is_none_or(|again| again.is_some_and(|again| now >= again));
            if due {
                self.0.insert((round, of), None);
                commands.extend(bits.forget(round));
                let federation = log.ledger().federation_of(round).unwrap_or(log.federation());
                let task = DeleteTask { round, of, owners: federation.policy().owners().collect() };
                commands.push(Command::Local(Job::Delete(task)));
            }
        }
        commands
    }

    /// Takes what became of a deletion.
    pub(crate) fn deleted(&mut self, log: &mut Log, done: DeleteDone, now: u64) -> Vec<Command<Job>> {
        let DeleteDone { round, of, result } = done;
        let what = if of == Kept::Bits { "signal bits" } else { "decisions" };
        let logged = match result {
            Ok(()) => {
                let stated = log.state_in(Some(round), Statement::Deletion { of }, now);
                stated.map_err(|reason| format!("that they are deleted cannot be logged: {reason}"))
            }
            Err(error) => Err(format!("they cannot be deleted: {error}; check the state folder's disk and rights")),
        };
        match logged {
            Ok(()) => {
                self.0.remove(&(round, of));
                let text = format!("{what} of round {round} deleted: the retention time is over");
                vec![Command::Tell(Severity::Info, text)]
            }
            Err(why) => {
                self.0.insert((round, of), Some(now + RETRY_SECONDS));
                vec![Command::Tell(Severity::Warn, format!("{what} of round {round}: {why}"))]
            }
        }
    }
}

/// Between two tries of a deletion that failed.
const RETRY_SECONDS: u64 = 3_600;
