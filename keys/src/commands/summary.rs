//! What `federation show` tells: the manifest, with the fingerprints that operators compare.

use serde::Serialize;
use wugan_protocol::{hexes::Digest, manifest::Federation};

use super::CommandError;
use crate::card::{Card, Fingerprint};

/// A verified federation, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FederationSummary {
    /// The federation's name.
    pub name: String,
    /// The manifest's version.
    pub version: u32,
    /// The manifest's hash, which all members see in the log.
    pub hash: Digest,
    /// The policy's hash.
    pub policy: Digest,
    /// Members that must cosign a checkpoint.
    pub quorum: u16,
    /// Disclosures that one owner may ask for in a month.
    pub disclosures_per_month: u16,
    /// Every role of every member.
    pub members: Vec<MemberSummary>,
}

/// One role of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberSummary {
    /// `civil_affairs/node`.
    pub party: String,
    /// The fingerprint of its identity card.
    pub fingerprint: Fingerprint,
    /// Where a server listens.
    pub address: String,
}

impl FederationSummary {
    /// Sums a federation up.
    ///
    /// # Errors
    /// Never in practice: cards have no numbers.
    pub fn of(federation: &Federation) -> Result<FederationSummary, CommandError> {
        let manifest = federation.manifest();
        let roles = manifest.members.iter().flat_map(|member| member.roles.iter().map(move |role| (&member.id, role)));
        let members = roles.map(|(id, role)| {
            let card = Card { member: id.clone(), role: role.role, key: role.key, address: role.address.clone() };
            let (party, fingerprint) = (card.party_name(), card.fingerprint()?);
            Ok(MemberSummary { party, fingerprint, address: card.address })
        });
        Ok(FederationSummary {
            name: manifest.name.clone(),
            version: manifest.version,
            hash: federation.hash(),
            policy: manifest.policy,
            quorum: manifest.quorum,
            disclosures_per_month: manifest.disclosures_per_month,
            members: members.collect::<Result<_, CommandError>>()?,
        })
    }
}

impl std::fmt::Display for FederationSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "federation   {}", self.name)?;
        writeln!(f, "version      {}", self.version)?;
        writeln!(f, "hash         {}", self.hash)?;
        writeln!(f, "policy       {}", self.policy)?;
        writeln!(f, "quorum       {}", self.quorum)?;
        writeln!(f, "disclosures  {} a month for each owner", self.disclosures_per_month)?;
        let width = self.members.iter().map(|member| member.party.len()).max().unwrap_or(0);
        for MemberSummary { party, fingerprint, address } in &self.members {
            writeln!(f, "{}", format!("{party:width$}  {fingerprint}  {address}").trim_end())?;
        }
        Ok(())
    }
}
