//! Who takes part: members, their roles, and one role of one member.

use serde::{Deserialize, Serialize};

/// A member's position in the federation manifest, from 0.
pub type MemberNumber = u16;

/// What a member's process does. Each role of a member has an identity and a sequence of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Signs federation manifests, offline.
    Authority,
    /// A department's program: source of records, and owner of rosters.
    Node,
    /// Compares tags without seeing rows.
    Matcher,
    /// Turns matches into signal bits without seeing tags.
    Aggregator,
    /// Opens rounds, decides by policy, keeps the log.
    Coordinator,
}

impl Role {
    /// The name used in manifests, file names and messages.
    pub fn name(self) -> &'static str {
        match self {
            Role::Authority => "authority",
            Role::Node => "node",
            Role::Matcher => "matcher",
            Role::Aggregator => "aggregator",
            Role::Coordinator => "coordinator",
        }
    }
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "member {} ({})", self.member, self.role.name())
    }
}

/// One role of one member: the unit that has an identity key, a connection and a sequence of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Party {
    /// The member's position in the federation manifest.
    pub member: MemberNumber,
    /// Which of its roles.
    pub role: Role,
}
