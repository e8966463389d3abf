//! The versions of a federation's manifest. Each names the one before; a log holds them in their order, and the one that
//! came last is in force. Whoever reads a log needs the policies of all its versions.

use std::sync::Arc;

use super::{Federation, FederationError};
use crate::{party::Party, policy::Policy};

/// Consecutive versions, each of which was verified to follow the one before: those that a party knows, be they in force
/// already or confirmed by its operator for the time when the log shows them.
#[derive(Clone, Debug)]
pub struct Versions {
    first: Federation,
    later: Vec<Federation>,
}

impl Versions {
    /// Appends the next version.
    ///
    /// # Errors
    /// [`FederationError`].
    pub fn push(&mut self, line: &[u8], policy: Arc<Policy>) -> Result<(), FederationError> {
        let next = self.last().next(line, policy)?;
        self.later.push(next);
        Ok(())
    }

    /// The version with which the log begins.
    pub fn first(&self) -> &Federation {
        &self.first
    }

    /// The last that is known.
    pub fn last(&self) -> &Federation {
        self.later.last().unwrap_or(&self.first)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Federation> {
        std::iter::once(&self.first).chain(&self.later)
    }

    /// The one after another.
    pub fn after(&self, federation: &Federation) -> Option<&Federation> {
        self.later.iter().find(|later| later.version() > federation.version())
    }

    /// A party in the versions after another, where they list it.
    pub fn to_come(&self, federation: &Federation, party: Party) -> impl Iterator<Item = (&Federation, Party)> {
        let id = federation.policy().member_id(party.member).to_owned();
        let later = self.later.iter().filter(move |later| later.version() > federation.version());
        later.filter_map(move |later| Some((later, later.party(&id, party.role)?)))
    }

    /// The one that is in force after the entries of a log.
    pub fn in_force(&self, log: &[Vec<u8>]) -> &Federation {
        let shown = |version: &&Federation| log.iter().any(|line| line == version.signed().bytes());
        self.later.iter().rfind(shown).unwrap_or(&self.first)
    }
}

impl From<Federation> for Versions {
    fn from(first: Federation) -> Versions {
        Versions { first, later: Vec::new() }
    }
}
