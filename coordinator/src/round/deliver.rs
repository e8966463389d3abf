//! Decisions go to their owners until each has said, in the log, that it has written them down, also after the round and
//! after a restart.

use std::collections::BTreeMap;

use wugan_protocol::{
    engine::{Command, Severity},
    file::FileKey,
    hexes::Digest,
    message::FileReply,
    party::{MemberNumber, Party},
    reason::Reason,
};

use super::node;
use crate::{engine::Job, log::Log, peers::Peers};

/// What was sent to whom.
#[derive(Default)]
pub(crate) struct Deliveries {
    sends: BTreeMap<(Digest, MemberNumber), Sending>,
}

enum Sending {
    UnderWay,
    NotBefore(u64),
}

impl Deliveries {
    /// A peer is gone, and what was on the way to it.
    pub(crate) fn down(&mut self, party: Party) {
        self.sends.retain(|(_, owner), _| node(*owner) != party);
    }

    /// Takes what became of a file that was sent.
    pub(crate) fn sent(
        &mut self,
        log: &Log,
        round: Digest,
        owner: MemberNumber,
        reply: Option<FileReply>,
        now: u64,
    ) -> Vec<Command<Job>> {
        let id = log.federation().policy().member_id(owner);
        let (again, command) = match reply {
            Some(FileReply::Kept) => (KEPT_RETRY_SECONDS, None),
            Some(FileReply::Refused(code)) => {
                let reason = Reason::from_code(code).map_or_else(|| format!("code {code}"), |r| r.to_string());
                let text = format!("{id} refused its decisions: {reason}; call its operator");
                (REFUSED_RETRY_SECONDS, Some(Command::Tell(Severity::Warn, text)))
            }
            None => (LOST_RETRY_SECONDS, None),
        };
        self.sends.insert((round, owner), Sending::NotBefore(now + again));
        command.into_iter().collect()
    }

    /// Sends what lacks to the owners that are there.
    pub(crate) fn reconcile(&mut self, log: &Log, peers: &Peers, now: u64) -> Vec<Command<Job>> {
        let mut commands = Vec::new();
        for ((round, owner), line) in log.undelivered() {
            let due = match self.sends.get(&(*round, *owner)) {
                None => true,
                Some(Sending::UnderWay) => false,
                Some(Sending::NotBefore(time)) => now >= *time,
            };
            if due && peers.follows(node(*owner)) {
                self.sends.insert((*round, *owner), Sending::UnderWay);
                let (to, file) = (node(*owner), FileKey::Decisions { owner: *owner });
                commands.push(Command::SendFile { to, round: *round, file, line: line.clone() });
            }
        }
        commands
    }
}

/// After the owner kept the file: its receipt follows when its table is written.
const KEPT_RETRY_SECONDS: u64 = 60;

/// After a connection was lost.
const LOST_RETRY_SECONDS: u64 = 5;

/// After the owner refused the file, which its operator must look at.
const REFUSED_RETRY_SECONDS: u64 = 60;
