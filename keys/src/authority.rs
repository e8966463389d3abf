//! The authority: it signs federation manifests from a draft and the members' identity cards, offline.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use wugan_protocol::{
    envelope::{Body, EnvelopeError, Head, Signed, Signer, Unverified},
    hexes::sha256,
    manifest::{AUTHORITY, Federation, FederationError, members_outside, roles_of},
    party::{MemberNumber, Role},
    policy::Policy,
    statement::{FederationManifest, Member, OwnerLimits, RoleKey, Statement},
};

use crate::{
    card::{Card, CardError},
    identity::{Identity, IdentityError},
    store::{StorageKey, StoreError},
};

/// The authority's key.
#[derive(Debug)]
pub struct Authority {
    identity: Identity,
}

impl Authority {
    /// A fresh authority, in memory only.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Authority, IdentityError> {
        Ok(Authority { identity: Identity::generate(AUTHORITY, Role::Authority)? })
    }

    /// Writes the key to `authority.key.age`, encrypted.
    ///
    /// # Errors
    /// Of [`StorageKey::write`]: the key is never replaced.
    pub fn write(&self, dir: &Path, storage: &StorageKey) -> Result<(), StoreError> {
        self.identity.write(dir, storage)
    }

    /// Reads the key.
    ///
    /// # Errors
    /// Of [`StorageKey::read`].
    pub fn read(dir: &Path, storage: &StorageKey) -> Result<Authority, StoreError> {
        Ok(Authority { identity: Identity::read(dir, Role::Authority, storage)? })
    }

    /// The file of the public key in a directory.
    pub fn public_path(dir: &Path) -> PathBuf {
        dir.join("authority.pub")
    }

    /// The public key, under which members verify the manifest.
    pub fn public_key(&self) -> [u8; 32] {
        self.identity.public_key()
    }

    /// What signs.
    pub(crate) fn signer(&self) -> &dyn Signer {
        &self.identity
    }

    /// Signs a federation manifest and verifies it as every member will. `previous` is the signed line of the version
    /// before; `now` is in seconds since 1970 UTC.
    ///
    /// # Errors
    /// [`SignError`]: draft, cards and policy do not agree.
    pub fn sign(
        &self,
        draft: &Draft,
        policy: &Arc<Policy>,
        cards: &[Card],
        previous: Option<&[u8]>,
        now: u64,
    ) -> Result<Federation, SignError> {
        let before = previous.map(|line| self.read_previous(line)).transpose()?;
        let expected = before.as_ref().map_or(1, |(_, manifest)| manifest.version.saturating_add(1));
        if draft.version != expected {
            return Err(SignError::Version { draft: draft.version, expected });
        }
        let previous = before.as_ref().map(|(signed, _)| signed.body().canonical()).transpose()?;
        let manifest = FederationManifest {
            version: draft.version,
            previous: previous.map(|body| sha256(&body).to_string()).unwrap_or_default(),
            name: draft.name.clone(),
            policy: policy.hash,
            members: members(policy, cards)?,
            owners: owners(policy, &draft.owners)?,
            quorum: draft.quorum.unwrap_or_else(|| smallest_quorum(policy)),
            disclosures_per_month: draft.disclosures_per_month,
        };
        let head = Head {
            federation: None,
            round: None,
            sender: AUTHORITY.to_owned(),
            role: Role::Authority,
            seq: u64::from(draft.version) - 1,
            prev: before.as_ref().map(|(signed, _)| signed.hash()),
            time: now,
        };
        let signed = Body { head, statement: Statement::FederationManifest(manifest) }.sign(&self.identity)?;
        let federation = Federation::verify(signed.bytes(), &self.public_key(), Arc::clone(policy))?;
        before.map_or(Ok(()), |(before, _)| federation.check_follows(&before))?;
        Ok(federation)
    }

    fn read_previous(&self, line: &[u8]) -> Result<(Signed, FederationManifest), SignError> {
        let signed = Unverified::read(line).and_then(|read| read.verify(&self.public_key()));
        let signed = signed.map_err(SignError::Previous)?;
        match signed.body().statement.clone() {
            Statement::FederationManifest(manifest) => Ok((signed, manifest)),
            _ => Err(SignError::Federation(FederationError::NotAManifest)),
        }
    }
}

/// What the authority's operator writes: everything in a manifest that is neither policy nor keys. A TOML file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// The federation's name.
    pub name: String,
    /// From 1, each version one more than that before.
    pub version: u32,
    /// File of the signed manifest of the version before, relative to the draft; empty in version 1.
    #[serde(default)]
    pub previous: String,
    /// Members that must cosign a checkpoint; without it, the smallest number allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u16>,
    /// Disclosures that one owner may ask for in a month.
    pub disclosures_per_month: u16,
    /// What each roster owner declares, by its id.
    pub owners: BTreeMap<String, OwnerDraft>,
}

/// What a roster owner declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnerDraft {
    /// Distinct people on its rosters.
    pub people: u64,
    /// People who join in a month.
    pub newcomers: u64,
    /// Months that the allowance of a key epoch covers.
    pub months: u64,
    /// Rows allowed, by matter id.
    pub rows: BTreeMap<String, u64>,
}

wugan_protocol::texts! {
    /// Why no manifest is signed.
    #[derive(Debug, thiserror::Error, PartialEq, Eq)]
    pub enum SignError {
        /// Versions follow each other.
        Version { draft: u32, expected: u32 }
            "the draft has version {draft} where {expected} follows; `previous` names the file of the version before"
            "草案的版本为 {draft}，应为 {expected}；`previous` 填写上一版本的文件";
        /// The version before is not this authority's.
        Previous(error: EnvelopeError)
            "the previous manifest is not a document of this authority: {error}"
            "上一版清单不是本授权方的文档：{error}";
        /// A role without key.
        NoCard(party: String)
            "no identity card for {party}, to which the policy gives a role"
            "缺少 {party} 的身份卡，而策略中有其角色";
        /// Two keys for one role.
        TwoCards(party: String)
            "two identity cards for {party}: keep the one whose fingerprint its operator confirms"
            "{party} 有两张身份卡：请保留经其操作人员核对指纹的一张";
        /// A card that no role needs.
        StrayCard(party: String)
            "an identity card for {party}, which the policy does not name: remove the card, or correct its member and role"
            "{party} 的身份卡在策略中没有对应角色：请移走该卡，或改正其成员与角色";
        /// A card that is not one.
        Card(#[from] error: CardError) "{error}" "{error}";
        /// An owner that declares nothing.
        NoLimits(owner: String)
            "the draft has no limits for the roster owner {owner}"
            "草案中缺少待遇部门 {owner} 的限额";
        /// Limits for somebody else.
        NoOwner(id: String)
            "the draft has limits for {id}, which owns no rosters in the policy"
            "草案中有 {id} 的限额，而策略中该部门没有名册";
        /// A matter without a limit.
        NoRows { owner: String, matter: String }
            "the draft has no rows for {owner}'s matter {matter}"
            "草案中缺少 {owner} 的事项 {matter} 的行数";
        /// Rows for another matter.
        NoMatter { owner: String, matter: String }
            "the draft has rows for {matter}, which is not a matter of {owner}"
            "草案中有 {matter} 的行数，而它不是 {owner} 的事项";
        /// It cannot be written canonically.
        Envelope(#[from] error: EnvelopeError) "{error}" "{error}";
        /// Members would refuse it.
        Federation(#[from] error: FederationError) "{error}" "{error}";
    }
}

/// More than two thirds of the members, none of the coordinator's bureau counted.
fn smallest_quorum(policy: &Policy) -> u16 {
    (members_outside(policy) * 2 / 3 + 1) as u16
}

/// The members in the order of their numbers: the matcher's is the last.
fn members(policy: &Policy, cards: &[Card]) -> Result<Vec<Member>, SignError> {
    let mut by_party = BTreeMap::new();
    for card in cards {
        if by_party.insert((card.member.clone(), card.role), card).is_some() {
            return Err(SignError::TwoCards(card.party_name()));
        }
    }
    let mut take = |id: &str, role: Role| {
        let card = by_party
            .remove(&(id.to_owned(), role))
            .ok_or_else(|| SignError::NoCard(format!("{id}/{}", role.name())))?;
        Ok(RoleKey { role, key: card.key, log: card.log, address: card.address.clone() })
    };
    let mut member = |number: MemberNumber| {
        let id = policy.member_id(number).to_owned();
        let roles = roles_of(policy, number).map(|role| take(&id, role)).collect::<Result<_, SignError>>()?;
        Ok(Member { id, roles })
    };
    let members = (0..=policy.matcher_number()).map(&mut member).collect::<Result<_, SignError>>()?;
    match by_party.into_values().next() {
        Some(stray) => Err(SignError::StrayCard(stray.party_name())),
        None => Ok(members),
    }
}

fn owners(policy: &Policy, drafts: &BTreeMap<String, OwnerDraft>) -> Result<Vec<OwnerLimits>, SignError> {
    let is_owner = |id: &str| policy.owners().any(|owner| policy.member_id(owner) == id);
    if let Some(other) = drafts.keys().find(|id| !is_owner(id)) {
        return Err(SignError::NoOwner(other.clone()));
    }
    policy.owners().map(|owner| owner_limits(policy, owner, drafts)).collect()
}

fn owner_limits(
    policy: &Policy,
    owner: MemberNumber,
    drafts: &BTreeMap<String, OwnerDraft>,
) -> Result<OwnerLimits, SignError> {
    let id = policy.member_id(owner).to_owned();
    let draft = drafts.get(&id).ok_or_else(|| SignError::NoLimits(id.clone()))?;
    if let Some(other) = draft.rows.keys().find(|row| !policy.matters_of(owner).any(|matter| matter.id == **row)) {
        return Err(SignError::NoMatter { owner: id, matter: other.clone() });
    }
    let rows = policy.matters_of(owner).map(|matter| {
        let missing = || SignError::NoRows { owner: id.clone(), matter: matter.id.clone() };
        draft.rows.get(&matter.id).copied().ok_or_else(missing)
    });
    let rows = rows.collect::<Result<_, _>>()?;
    let OwnerDraft { people, newcomers, months, .. } = *draft;
    Ok(OwnerLimits { member: owner, people, newcomers, months, rows })
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::log_key::LogKey;

    /// A small city: its policy, its identities and their cards, a good draft.
    pub(crate) struct City {
        authority: Authority,
        policy: Arc<Policy>,
        identities: Vec<Identity>,
        cards: Vec<Card>,
        draft: Draft,
    }

    impl City {
        pub(crate) fn new() -> City {
            let policy = Arc::new(Policy::read(include_bytes!("../tests/city/catalogue.toml")).unwrap());
            let parties = (0..=policy.matcher_number()).flat_map(|n| roles_of(&policy, n).map(move |role| (n, role)));
            let identities: Vec<_> =
                parties.map(|(n, role)| Identity::generate(policy.member_id(n), role).unwrap()).collect();
            let address = |role| if role == Role::Node { "" } else { "server.example:4433" };
            let card = |identity: &Identity| {
                let (role, log) = (identity.role(), LogKey::generate(identity.role()).unwrap());
                Card::of(identity, &log, address(role)).unwrap()
            };
            let cards = identities.iter().map(card);
            City {
                authority: Authority::generate().unwrap(),
                draft: toml::from_str(include_str!("../tests/city/draft.toml")).unwrap(),
                cards: cards.collect(),
                policy,
                identities,
            }
        }

        pub(crate) fn sign(&self) -> Result<Federation, SignError> {
            self.authority.sign(&self.draft, &self.policy, &self.cards, None, 1_700_000_000)
        }

        pub(crate) fn identity(&self, member: &str, role: Role) -> &Identity {
            self.identities.iter().find(|identity| (identity.member(), identity.role()) == (member, role)).unwrap()
        }
    }

    #[test]
    fn a_signed_federation_is_what_cards_and_draft_say() {
        let city = City::new();
        let federation = city.sign().unwrap();
        let line = federation.signed().bytes();
        let read = Federation::verify(line, &city.authority.public_key(), Arc::clone(&city.policy)).unwrap();
        assert_eq!(read.hash(), federation.hash());
        for identity in &city.identities {
            let party = read.party(identity.member(), identity.role()).unwrap();
            assert_eq!(read.key(party), Some(identity.public_key()));
            assert_eq!(read.address(party).is_some(), identity.role() != Role::Node);
        }
        assert_eq!(read.parties().count(), city.cards.len());
        let limits = read.owner_limits(city.policy.member_number("office").unwrap()).unwrap();
        assert_eq!((limits.people, limits.newcomers, limits.months), (1_000, 10, 12));
        assert_eq!(limits.rows, [1_000, 200], "in the policy's order, not the draft's");
        // Seven members: five is more than two thirds of the six outside the coordinator's bureau.
        assert_eq!(read.manifest().quorum, 5);
        let head = &read.signed().body().head;
        assert_eq!((head.sender.as_str(), head.seq, head.prev, head.time), ("authority", 0, None, 1_700_000_000));
    }

    #[test]
    fn another_authority_or_policy_does_not_verify() {
        let city = City::new();
        let federation = city.sign().unwrap();
        let line = federation.signed().bytes();
        let other = Authority::generate().unwrap().public_key();
        assert!(Federation::verify(line, &other, Arc::clone(&city.policy)).is_err());
        let mut catalogue = include_bytes!("../tests/city/catalogue.toml").to_vec();
        catalogue.push(b'\n');
        let policy = Arc::new(Policy::read(&catalogue).unwrap());
        let refused = Federation::verify(line, &city.authority.public_key(), policy);
        assert!(matches!(refused, Err(FederationError::OtherPolicy { .. })));
    }

    #[test]
    fn the_next_version_names_the_one_before() {
        let mut city = City::new();
        let first = city.sign().unwrap();
        city.draft.version = 2;
        assert_eq!(city.sign().unwrap_err(), SignError::Version { draft: 2, expected: 1 });
        let next = |city: &City, line: &[u8]| {
            city.authority.sign(&city.draft, &city.policy, &city.cards, Some(line), 1_700_000_001)
        };
        let second = next(&city, first.signed().bytes()).unwrap();
        assert_eq!(second.manifest().previous, first.hash().to_string());
        let head = &second.signed().body().head;
        assert_eq!((head.seq, head.prev), (1, Some(first.signed().hash())));

        let refused = next(&city, second.signed().bytes()).unwrap_err();
        assert_eq!(refused, SignError::Version { draft: 2, expected: 3 });
        let foreign = City::new().sign().unwrap();
        let refused = next(&city, foreign.signed().bytes()).unwrap_err();
        assert_eq!(refused, SignError::Previous(EnvelopeError::BadSignature));
    }

    fn refusal(change: impl FnOnce(&mut City)) -> SignError {
        let mut city = City::new();
        change(&mut city);
        city.sign().unwrap_err()
    }

    #[test]
    fn cards_that_are_not_the_policys_are_refused() {
        let named = |error: SignError| match error {
            SignError::NoCard(party) => format!("no {party}"),
            SignError::TwoCards(party) => format!("two {party}"),
            SignError::StrayCard(party) => format!("stray {party}"),
            other => panic!("{other}"),
        };
        let place = |city: &City, role| city.cards.iter().position(|card| card.role == role).unwrap();
        let missing = refusal(|city| drop(city.cards.remove(place(city, Role::Matcher))));
        assert_eq!(named(missing), "no watch/matcher");
        let twice = refusal(|city| {
            let key = Identity::generate("registry", Role::Node).unwrap();
            city.cards.push(Card::of(&key, &LogKey::generate(Role::Node).unwrap(), "").unwrap());
        });
        assert_eq!(named(twice), "two registry/node");
        let stray = refusal(|city| {
            let key = Identity::generate("registry", Role::Matcher).unwrap();
            city.cards.push(Card::of(&key, &LogKey::generate(Role::Matcher).unwrap(), "h:1").unwrap());
        });
        assert_eq!(named(stray), "stray registry/matcher");
        let shared = refusal(|city| city.cards[1].key = city.cards[0].key);
        assert!(matches!(shared, SignError::Federation(FederationError::SharedKey(_))));
        let nowhere = refusal(|city| {
            let place = place(city, Role::Matcher);
            city.cards[place].address.clear();
        });
        assert!(matches!(nowhere, SignError::Federation(FederationError::Address(_))));
    }

    #[test]
    fn drafts_that_are_not_the_policys_are_refused() {
        let owner = |city: &mut City, id: &str| city.draft.owners.remove(id).unwrap();
        assert_eq!(refusal(|city| drop(owner(city, "welfare"))), SignError::NoLimits("welfare".into()));
        let other = refusal(|city| {
            let limits = owner(city, "welfare");
            city.draft.owners.insert("registry".into(), limits);
        });
        assert_eq!(other, SignError::NoOwner("registry".into()));
        let rows = |city: &mut City| city.draft.owners.get_mut("office").unwrap().rows.remove("pension").unwrap();
        let (office, pension) = ("office".to_owned(), "pension".to_owned());
        let no_rows = refusal(|city| assert_eq!(rows(city), 1_000));
        assert_eq!(no_rows, SignError::NoRows { owner: office.clone(), matter: pension });
        let no_matter = refusal(|city| {
            let limit = rows(city);
            city.draft.owners.get_mut("office").unwrap().rows.insert("heating".into(), limit);
        });
        assert_eq!(no_matter, SignError::NoMatter { owner: office, matter: "heating".into() });
    }

    #[test]
    fn numbers_that_members_refuse_are_refused() {
        for quorum in [0, 4, 7] {
            let refused = refusal(|city| city.draft.quorum = Some(quorum));
            assert_eq!(refused, SignError::Federation(FederationError::Quorum(quorum)));
        }
        let version = refusal(|city| city.draft.version = 0);
        assert_eq!(version, SignError::Version { draft: 0, expected: 1 });
        let people = refusal(|city| city.draft.owners.get_mut("office").unwrap().people = 1 << 53);
        assert_eq!(people, SignError::Envelope(EnvelopeError::Number));
    }

    #[test]
    fn every_change_of_a_signed_manifest_is_refused() {
        let city = City::new();
        let federation = city.sign().unwrap();
        let line = String::from_utf8(federation.signed().bytes().to_vec()).unwrap();
        let changes = [
            (r#""people":1000"#, r#""people":9000"#),
            (r#""quorum":5"#, r#""quorum":6"#),
            (r#""name":"test-city""#, r#""name":"test-town""#),
            ("server.example:4433", "attack.example:4433"),
            (r#""seq":0"#, r#""seq":1"#),
            (r#""version":1"#, r#""version": 1"#),
        ];
        for (from, to) in changes {
            assert!(line.contains(from), "{from}");
            let forged = line.replacen(from, to, 1);
            let read = Federation::verify(forged.as_bytes(), &city.authority.public_key(), Arc::clone(&city.policy));
            assert!(read.is_err(), "{to}");
        }
    }

    #[test]
    fn an_authority_round_trips_without_showing_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let storage = StorageKey::generate();
        let authority = Authority::generate().unwrap();
        authority.write(dir.path(), &storage).unwrap();
        let again = Authority::read(dir.path(), &storage).unwrap();
        assert_eq!(again.public_key(), authority.public_key());
        let public = hex::encode(authority.public_key());
        assert_eq!(format!("{again:?}"), format!("Authority {{ identity: Identity(authority/authority {public}) }}"));
    }

    #[test]
    fn a_draft_round_trips_as_toml_and_refuses_unknown_fields() {
        let draft = City::new().draft;
        assert_eq!(toml::from_str::<Draft>(&toml::to_string(&draft).unwrap()).unwrap(), draft);
        let extra = format!("members = 7\n{}", include_str!("../tests/city/draft.toml"));
        assert!(toml::from_str::<Draft>(&extra).is_err());
    }
}
