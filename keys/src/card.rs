//! Identity cards: what a member hands to the authority, public, with a fingerprint to be compared by telephone.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wugan_protocol::{
    envelope::{EnvelopeError, Signer, canonical},
    hexes::{Digest, Hex, sha256},
    party::Role,
    texts,
};

use crate::{
    identity::{Identity, IdentityError, check_member_id},
    log_key::LogKey,
};

/// One role of one member, as it wants to stand in the federation manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The member's id in the policy.
    pub member: String,
    /// The role.
    pub role: Role,
    /// The Ed25519 identity key.
    pub key: Hex<32>,
    /// The Ed25519 key that signs trees of the log.
    pub log: Hex<32>,
    /// `host:port` where a server listens; empty for nodes.
    #[serde(default)]
    pub address: String,
}

impl Card {
    /// The card of an identity and the log key of its role.
    ///
    /// # Errors
    /// [`CardError`]: a server needs an address, a node has none.
    pub fn of(identity: &Identity, log: &LogKey, address: &str) -> Result<Card, CardError> {
        let (key, log) = (Hex(identity.public_key()), Hex(log.public_key()));
        let (member, role) = (identity.member().to_owned(), identity.role());
        let card = Card { member, role, key, log, address: address.into() };
        card.check()?;
        Ok(card)
    }

    /// Reads a card.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn read(bytes: &[u8]) -> Result<Card, CardError> {
        let card: Card = serde_json::from_slice(bytes)
            .map_err(|error| CardError::Malformed { line: error.line(), column: error.column() })?;
        card.check()?;
        Ok(card)
    }

    /// The card as a file: JSON, one line.
    ///
    /// # Errors
    /// Never in practice: a card has no numbers.
    pub fn to_json(&self) -> Result<Vec<u8>, CardError> {
        let mut line = canonical(self)?;
        line.push(b'\n');
        Ok(line)
    }

    /// The card's file in a directory: `civil_affairs-node.card.json`.
    pub fn path(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}-{}{CARD_SUFFIX}", self.member, self.role.name()))
    }

    /// `civil_affairs/node`, for messages.
    pub fn party_name(&self) -> String {
        format!("{}/{}", self.member, self.role.name())
    }

    /// What to compare with the member's operator: it covers member, role, key and address.
    ///
    /// # Errors
    /// Never in practice: a card has no numbers.
    pub fn fingerprint(&self) -> Result<Fingerprint, CardError> {
        Ok(Fingerprint(sha256(&[CARD_PREFIX, &canonical(self)?].concat())))
    }

    /// What any card must be, whoever made it.
    pub(crate) fn check(&self) -> Result<(), CardError> {
        check_member_id(&self.member)?;
        if self.role == Role::Authority {
            return Err(CardError::Authority);
        }
        match self.role {
            Role::Node if !self.address.is_empty() => Err(CardError::NodeAddress { party: self.party_name() }),
            Role::Node => Ok(()),
            _ if is_address(&self.address) => Ok(()),
            _ => Err(CardError::ServerAddress { party: self.party_name() }),
        }
    }
}

/// 256 bits to be compared by eye or ear: 16 groups of 4 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Fingerprint(Digest);

impl Fingerprint {
    /// The fingerprint of the authority's key.
    pub fn of_authority(key: &[u8; 32]) -> Fingerprint {
        Fingerprint(sha256(&[AUTHORITY_PREFIX, key].concat()))
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (group, bytes) in self.0.0.chunks(2).enumerate() {
            let space = if group == 0 { "" } else { " " };
            write!(f, "{space}{}", hex::encode(bytes))?;
        }
        Ok(())
    }
}

texts! {
    /// Why a card is refused.
    #[derive(Debug, thiserror::Error, PartialEq, Eq)]
    pub enum CardError {
        /// Not the JSON of a card.
        Malformed { line: usize, column: usize }
            "not an identity card (line {line}, column {column}): it has exactly `member`, `role`, `key`, `log` and, for \
             servers, `address`"
            "不是身份卡（第 {line} 行第 {column} 列）：身份卡只有 `member`、`role`、`key`、`log`，服务器另有 `address`";
        /// The member's id.
        Member(#[from] error: IdentityError) "{error}" "{error}";
        /// The authority has no card.
        Authority "the authority has no identity card: its key is authority.pub" "授权方没有身份卡：其公钥为 authority.pub";
        /// A node with an address.
        NodeAddress { party: String }
            "{party}: nodes do not listen, so they have no address"
            "{party}：节点不接受连接，不应有地址";
        /// A server without one.
        ServerAddress { party: String } "{party}: servers need an address host:port" "{party}：服务器须有地址 host:port";
        /// Not canonical.
        Envelope(#[from] error: EnvelopeError) "{error}" "{error}";
    }
}

/// What the names of cards end with.
pub const CARD_SUFFIX: &str = ".card.json";

/// Bytes of a card's file.
pub const CARD_BYTES_MAX: usize = 4 << 10;

const CARD_PREFIX: &[u8] = b"wugan/1/card\n";
const AUTHORITY_PREFIX: &[u8] = b"wugan/1/authority\n";

/// A DNS name has at most 253 characters, a port 5.
const ADDRESS_BYTES_MAX: usize = 253 + 1 + 5;

fn is_address(address: &str) -> bool {
    let good = address.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let graphic = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
        graphic && (bracketed || !host.contains(':')) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    good && address.len() <= ADDRESS_BYTES_MAX
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn card(role: Role, address: &str) -> Result<Card, CardError> {
        Card::of(&Identity::generate("data_resources", role).unwrap(), &LogKey::generate(role).unwrap(), address)
    }

    #[test]
    fn a_card_round_trips() {
        let card = card(Role::Aggregator, "aggregator.city.example:4433").unwrap();
        assert_eq!(Card::read(&card.to_json().unwrap()).unwrap(), card);
        assert_eq!(card.path(Path::new("/d")), Path::new("/d/data_resources-aggregator.card.json"));
    }

    #[test]
    fn a_fixed_card_has_this_file_and_fingerprint() {
        let (key, log) = (Hex([1; 32]), Hex([3; 32]));
        let card = Card { member: "m".into(), role: Role::Matcher, key, log, address: "[::1]:4433".into() };
        let file = String::from_utf8(card.to_json().unwrap()).unwrap();
        let (key, log) = ("01".repeat(32), "03".repeat(32));
        let expected = r#"{"address":"[::1]:4433","key":"KEY","log":"LOG","member":"m","role":"matcher"}"#;
        assert_eq!(file, format!("{}\n", expected.replace("KEY", &key).replace("LOG", &log)));
        let fingerprint = card.fingerprint().unwrap().to_string();
        assert_eq!(fingerprint, "48ca f74c abd5 04f7 035e 28e5 7aa4 8bcc e729 a03d d6a2 088e d100 d4f9 6fec 0122");
    }

    #[test]
    fn every_field_changes_the_fingerprint() {
        let (key, log) = (Hex([1; 32]), Hex([3; 32]));
        let card = Card { member: "m".into(), role: Role::Matcher, key, log, address: "a:1".into() };
        let others = [
            Card { member: "n".into(), ..card.clone() },
            Card { role: Role::Coordinator, ..card.clone() },
            Card { key: Hex([2; 32]), ..card.clone() },
            Card { log: Hex([2; 32]), ..card.clone() },
            Card { address: "a:2".into(), ..card.clone() },
        ];
        for other in others {
            assert_ne!(card.fingerprint().unwrap(), other.fingerprint().unwrap());
        }
    }

    #[test]
    fn addresses_are_for_servers_only() {
        assert!(card(Role::Node, "").is_ok());
        assert!(matches!(card(Role::Node, "host:1"), Err(CardError::NodeAddress { .. })));
        for good in ["host:1", "10.0.0.1:65535", "[::1]:4433"] {
            assert!(card(Role::Matcher, good).is_ok(), "{good}");
        }
        for bad in ["", "host", ":1", "host:0", "host:65536", "host:port", "a b:1", "::1:4433", "主机:1"] {
            assert!(matches!(card(Role::Matcher, bad), Err(CardError::ServerAddress { .. })), "{bad}");
        }
    }

    #[test]
    fn bad_cards_are_refused() {
        let key = "01".repeat(32);
        let read = |text: String| Card::read(text.as_bytes()).unwrap_err();
        let extra = format!(r#"{{"member":"m","role":"node","key":"{key}","log":"{key}","note":"x"}}"#);
        assert!(matches!(read(extra), CardError::Malformed { line: 1, .. }));
        assert!(matches!(read(r#"{"member":"m","role":"node","key":"01"}"#.into()), CardError::Malformed { .. }));
        let member = format!(r#"{{"member":"../m","role":"node","key":"{key}","log":"{key}"}}"#);
        assert!(matches!(read(member), CardError::Member(_)));
        let authority = format!(r#"{{"member":"m","role":"authority","key":"{key}","log":"{key}"}}"#);
        assert_eq!(read(authority), CardError::Authority);
    }
}
