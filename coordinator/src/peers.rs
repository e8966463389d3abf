//! Who is connected.

use std::collections::{BTreeMap, BTreeSet};

use wugan_protocol::{
    manifest::Federation,
    message::Message,
    party::{MemberNumber, Party, Role},
};

/// Connected parties, and those among them that hold the log to its tip.
#[derive(Default)]
pub(crate) struct Peers {
    up: BTreeSet<Party>,
    followers: BTreeSet<Party>,
    /// When each of the others went.
    gone: BTreeMap<Party, u64>,
}

impl Peers {
    /// A party is connected.
    pub(crate) fn up(&mut self, party: Party) {
        self.up.insert(party);
        self.followers.remove(&party);
    }

    /// A party is gone.
    pub(crate) fn down(&mut self, party: Party, now: u64) {
        self.up.remove(&party);
        self.followers.remove(&party);
        self.gone.insert(party, now);
    }

    /// A party asked for the log: from now on every new entry goes to it.
    pub(crate) fn follow(&mut self, party: Party) {
        self.up.insert(party);
        self.followers.insert(party);
    }

    /// Whether a party is connected.
    pub(crate) fn is_up(&self, party: Party) -> bool {
        self.up.contains(&party)
    }

    /// Whether a party holds the log to its tip, so that what rests on entries may be sent to it.
    pub(crate) fn follows(&self, party: Party) -> bool {
        self.followers.contains(&party)
    }

    /// Parties that are connected.
    pub(crate) fn connected(&self) -> impl Iterator<Item = Party> + '_ {
        self.up.iter().copied()
    }

    /// Parties that hold the log to its tip.
    pub(crate) fn followers(&self) -> Vec<Party> {
        self.followers.iter().copied().collect()
    }

    /// When a party that is not connected went, if it ever was.
    pub(crate) fn gone(&self, party: Party) -> Option<u64> {
        self.gone.get(&party).copied().filter(|_| !self.is_up(party))
    }

    /// Tells roster owners which sources a batch can be relayed to: those that hold the log to its tip, since an
    /// enrolment batch may arrive only after its entry.
    pub(crate) fn online(&self, federation: &Federation, time: u64) -> Option<(Vec<Party>, Message)> {
        let node = |member| Party { member, role: Role::Node };
        let owners: Vec<Party> = federation.policy().owners().map(node).filter(|owner| self.follows(*owner)).collect();
        let nodes = self.followers.iter().filter(|party| party.role == Role::Node);
        let nodes: Vec<MemberNumber> = nodes.map(|party| party.member).collect();
        (!owners.is_empty()).then_some((owners, Message::Online { time, nodes }))
    }
}
