//! Decisions go to their owners until each has said that it has them, also after the round and after a restart.

use std::collections::{BTreeMap, BTreeSet};

use wugan_protocol::{
    engine::{Command, Fact, Severity},
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
    /// Owners that said so, durably.
    delivered: BTreeSet<(Digest, MemberNumber)>,
    sends: BTreeMap<(Digest, MemberNumber), Sending>,
}

enum Sending {
    UnderWay,
    NotBefore(u64),
}

impl Deliveries {
    /// With the durable facts.
    pub(crate) fn restore(facts: &BTreeMap<String, Vec<u8>>) -> Deliveries {
        let delivered = facts.keys().filter_map(|name| {
            let (round, owner) = name.strip_prefix(DELIVERED)?.split_once('/')?;
            Some((round.parse().ok()?, owner.parse().ok()?))
        });
        Deliveries { delivered: delivered.collect(), sends: BTreeMap::new() }
    }

    /// Whether an owner said that it has its decisions of a round.
    pub(crate) fn has(&self, round: Digest, owner: MemberNumber) -> bool {
        self.delivered.contains(&(round, owner))
    }

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
            Some(FileReply::Kept) => {
                self.sends.remove(&(round, owner));
                self.delivered.insert((round, owner));
                return vec![Command::Commit(vec![Fact::Set(format!("{DELIVERED}{round}/{owner}"), Vec::new())])];
            }
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
            if due && peers.follows(node(*owner)) && !self.has(*round, *owner) {
                self.sends.insert((*round, *owner), Sending::UnderWay);
                let (to, file) = (node(*owner), FileKey::Decisions { owner: *owner });
                commands.push(Command::SendFile { to, round: *round, file, line: line.clone() });
            }
        }
        commands
    }
}

/// Under `delivered/<round>/<owner>` stands nothing: the name says it.
const DELIVERED: &str = "delivered/";

/// After a connection was lost.
const LOST_RETRY_SECONDS: u64 = 5;

/// After the owner refused the file, which its operator must look at.
const REFUSED_RETRY_SECONDS: u64 = 60;
