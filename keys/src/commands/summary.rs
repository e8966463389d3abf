//! What `federation show` tells: the manifest, with the fingerprints that operators compare.

use std::fmt;

use serde::Serialize;
use wugan_protocol::{
    hexes::Digest,
    manifest::Federation,
    text::{Language, Say, padded},
    texts,
};

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
            let card = Card {
                member: id.clone(),
                role: role.role,
                key: role.key,
                log: role.log,
                address: role.address.clone(),
            };
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

/// Lines for people.
impl Say for FederationSummary {
    fn say(&self, language: Language, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FederationSummary { name, version, hash, policy, quorum, disclosures_per_month, members } = self;
        let number = *disclosures_per_month;
        let facts: [(Text, &dyn fmt::Display); 6] = [
            (Text::Federation, name),
            (Text::Version, version),
            (Text::Hash, hash),
            (Text::Policy, policy),
            (Text::Quorum, quorum),
            (Text::Disclosures, &Text::AMonth { number }.said(language)),
        ];
        for (what, fact) in facts {
            writeln!(f, "{}{fact}", padded(&what.said(language), 13))?;
        }
        let width = members.iter().map(|member| member.party.len()).max().unwrap_or(0);
        for MemberSummary { party, fingerprint, address } in members {
            writeln!(f, "{}", format!("{party:width$}  {fingerprint}  {address}").trim_end())?;
        }
        Ok(())
    }
}

texts! {
    enum Text {
        Federation "federation" "联合体";
        Version "version" "版本";
        Hash "hash" "清单哈希";
        Policy "policy" "策略哈希";
        Quorum "quorum" "法定数";
        Disclosures "disclosures" "披露次数";
        AMonth { number: u16 } "{number} a month for each owner" "每个待遇部门每月 {number} 次";
    }
}
