//! The federation manifest, usable only as verified: signed by the authority, and in agreement with the policy.

mod versions;

use std::{collections::BTreeSet, sync::Arc};

pub use versions::Versions;

use crate::{
    envelope::{EnvelopeError, Head, Signed, Unverified},
    hexes::{Digest, sha256},
    limits::round_up_count,
    log::note::{Algorithm, KeyError, VerifierKey},
    party::{MemberNumber, Party, Role},
    policy::Policy,
    statement::{FederationManifest, Member, OwnerLimits, RoleKey, Statement},
};

/// A federation whose manifest and policy were checked against each other.
#[derive(Clone, Debug)]
pub struct Federation {
    hash: Digest,
    signed: Signed,
    manifest: FederationManifest,
    policy: Arc<Policy>,
    authority: [u8; 32],
    /// Hash of the version with which the log began: it names the log.
    first: Digest,
}

impl Federation {
    /// Verifies a federation manifest under the authority's key, for a policy.
    ///
    /// # Errors
    /// [`FederationError`]; whoever reads a manifest refuses what section 1 of the protocol says is refused.
    pub fn verify(line: &[u8], authority: &[u8; 32], policy: Arc<Policy>) -> Result<Federation, FederationError> {
        let signed = Unverified::read(line)?.verify(authority)?;
        let Statement::FederationManifest(manifest) = signed.body().statement.clone() else {
            return Err(FederationError::NotAManifest);
        };
        if !is_of_its_version(&signed.body().head, &manifest) {
            return Err(FederationError::Head(manifest.version));
        }
        check(&manifest, &policy)?;
        let hash = sha256(&signed.body().canonical()?);
        Ok(Federation { hash, signed, manifest, policy, authority: *authority, first: hash })
    }

    /// Verifies the version that follows this one in the same log.
    ///
    /// # Errors
    /// As [`Federation::verify`]; also a version that does not name this one, or that changes what a log rests on.
    pub fn next(&self, line: &[u8], policy: Arc<Policy>) -> Result<Federation, FederationError> {
        let next = Federation::verify(line, &self.authority, policy)?;
        next.check_follows(&self.signed)?;
        Ok(Federation { first: self.first, ..next })
    }

    /// Checks that this version may follow another, of which only the signed manifest is at hand.
    ///
    /// # Errors
    /// Why not.
    pub fn check_follows(&self, before: &Signed) -> Result<(), FederationError> {
        let Statement::FederationManifest(manifest) = &before.body().statement else {
            return Err(FederationError::NotAManifest);
        };
        let hash = sha256(&before.body().canonical()?);
        let named = self.manifest.previous == hash.to_string() && self.signed.body().head.prev == Some(before.hash());
        let (version, follows) = (self.version(), manifest.version);
        if !named || follows.checked_add(1) != Some(version) {
            return Err(FederationError::NotNext { version, follows });
        }
        // The matcher's number is the last, and follows from how many departments there are.
        let departments = manifest.members.iter().filter(|member| !has(member, Role::Matcher));
        let mut places = (0..).zip(departments);
        if let Some((_, lost)) = places.find(|(place, member)| self.policy.member_number(&member.id) != Some(*place)) {
            return Err(FederationError::Renumbered(lost.id.clone()));
        }
        let rests_on = |manifest: &FederationManifest| {
            let of = |role| manifest.members.iter().find(|member| has(member, role)).map(|member| member.id.clone());
            let roles = manifest.members.iter().flat_map(|member| &member.roles);
            let log = roles.clone().find(|role| role.role == Role::Coordinator).map(|role| role.log);
            (SERVERS.map(of), log)
        };
        if rests_on(manifest) == rests_on(&self.manifest) { Ok(()) } else { Err(FederationError::OtherServers) }
    }

    /// The version, from 1.
    pub fn version(&self) -> u32 {
        self.manifest.version
    }

    /// The authority's public key.
    pub fn authority(&self) -> &[u8; 32] {
        &self.authority
    }

    /// SHA-256 of the manifest's canonical body.
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// The signed manifest.
    pub fn signed(&self) -> &Signed {
        &self.signed
    }

    /// The manifest.
    pub fn manifest(&self) -> &FederationManifest {
        &self.manifest
    }

    /// The policy that the manifest names.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The identity key of a role of a member.
    pub fn key(&self, party: Party) -> Option<[u8; 32]> {
        self.role_key(party).map(|role| role.key.0)
    }

    /// The public key with which a role of a member signs trees of the log.
    pub fn tree_key(&self, party: Party) -> Option<[u8; 32]> {
        self.role_key(party).map(|role| role.log.0)
    }

    /// The log's origin, which names its key and those of its cosigners: the same for all versions in one log.
    pub fn origin(&self) -> String {
        format!("wugan/{}", hex::encode(&self.first.0[..8]))
    }

    /// The key with which the coordinator signs the log's trees.
    ///
    /// # Errors
    /// [`KeyError`]: never for an origin.
    pub fn log_key(&self) -> Result<VerifierKey, KeyError> {
        let key = self.tree_key(self.coordinator()).unwrap_or_default();
        VerifierKey::new(&self.origin(), Algorithm::Ed25519, key)
    }

    /// The key with which a party cosigns the log's trees; none for the coordinator, whose signature is the log's own.
    pub fn cosigner_key(&self, party: Party) -> Option<VerifierKey> {
        let key = self.tree_key(party).filter(|_| party.role != Role::Coordinator)?;
        let name = format!("{}/{}", self.origin(), self.party_name(party));
        VerifierKey::new(&name, Algorithm::CosignatureV1, key).ok()
    }

    /// Where a server listens, `host:port`.
    pub fn address(&self, party: Party) -> Option<&str> {
        self.role_key(party).map(|role| role.address.as_str()).filter(|address| !address.is_empty())
    }

    /// The party with this id and role.
    pub fn party(&self, id: &str, role: Role) -> Option<Party> {
        let party = Party { member: self.policy.member_number(id)?, role };
        self.role_key(party).map(|_| party)
    }

    /// `civil_affairs/node`, for messages.
    pub fn party_name(&self, party: Party) -> String {
        format!("{}/{}", self.policy.member_id(party.member), party.role.name())
    }

    /// Every role of every member, in the manifest's order.
    pub fn parties(&self) -> impl Iterator<Item = Party> + '_ {
        (0..).zip(&self.manifest.members).flat_map(|(member, entry): (MemberNumber, _)| {
            entry.roles.iter().map(move |role| Party { member, role: role.role })
        })
    }

    /// The coordinator.
    pub fn coordinator(&self) -> Party {
        Party { member: self.policy.coordinator, role: Role::Coordinator }
    }

    /// The matcher.
    pub fn matcher(&self) -> Party {
        Party { member: self.policy.matcher_number(), role: Role::Matcher }
    }

    /// The aggregator.
    pub fn aggregator(&self) -> Party {
        Party { member: self.policy.aggregator, role: Role::Aggregator }
    }

    /// What an owner declared.
    pub fn owner_limits(&self, owner: MemberNumber) -> Option<&OwnerLimits> {
        self.manifest.owners.iter().find(|limits| limits.member == owner)
    }

    /// Elements that a source evaluates for an owner in one epoch at the most (protocol, section 3).
    pub fn allowance(&self, owner: MemberNumber) -> u64 {
        self.owner_limits(owner).map_or(0, |limits| {
            round_up_count(limits.people)
                .saturating_add(limits.months.saturating_mul(round_up_count(limits.newcomers)))
                .saturating_add(ALLOWANCE_MARGIN)
        })
    }

    fn role_key(&self, party: Party) -> Option<&RoleKey> {
        let member = self.manifest.members.get(usize::from(party.member))?;
        member.roles.iter().find(|role| role.role == party.role)
    }
}

crate::texts! {
    /// Why a federation manifest is refused.
    #[derive(Debug, thiserror::Error, PartialEq, Eq)]
    pub enum FederationError {
        /// Not a signed document of the authority.
        Envelope(#[from] error: EnvelopeError)
            "the federation manifest is not a document signed by the authority: {error}"
            "联合体清单不是授权方签署的文档：{error}";
        /// Another kind of document.
        NotAManifest "the document is not a federation manifest" "该文档不是联合体清单";
        /// The authority's sequence and the versions do not go together.
        Head(version: u32)
            "the manifest does not stand where version {version} stands in the authority's sequence: from version 2 on it \
             names the one before, the first names none, and neither a federation or a round"
            "清单在授权方序列中的位置与第 {version} 版不符：第 2 版起须指明前一版，首版不得指明；均不得指明联合体或轮次";
        /// Made for another catalogue.
        OtherPolicy { expected: Digest, found: Digest }
            "the manifest is for another catalogue.toml (SHA-256 {expected}, this one has {found}); fetch the agreed file"
            "清单对应的是另一份 catalogue.toml（SHA-256 {expected}，而本机这份为 {found}）；请取得约定的文件";
        /// Not the next version.
        NotNext { version: u32, follows: u32 }
            "the manifest of version {version} does not follow the one of version {follows} that is in force: it must have the next \
             number and name the hash of the one before"
            "第 {version} 版清单并非现行第 {follows} 版的下一版：版本号须连续，并指明前一版的哈希";
        /// Numbers mean something in the log.
        Renumbered(id: String)
            "department {id} has lost its place: departments keep their order in catalogue.toml, new ones come last, and one that \
             leaves stays there with left = true"
            "部门 {id} 的次序已变：catalogue.toml 中原有部门保持原次序，新部门排在最后，退出的部门保留并标明 left = true";
        /// A log has one key, and three servers.
        OtherServers
            "the manifest gives coordinator, matcher or aggregator to another member, or changes the coordinator's log key, by which \
             the log is known; keep them (identities and addresses may change), or begin a new federation with a log of its own"
            "清单把协调方、匹配方或汇总方改为其他成员，或更换了作为日志标识的协调方日志密钥；请保持不变（身份与地址可换），或另建联合体和新日志";
        /// Members are not the policy's departments and matcher.
        Members
            "the manifest's members are not the policy's departments in order, followed by the matcher"
            "清单的成员与策略不符：应依次为各部门，最后为匹配方";
        /// A member has a role too many or too few.
        Roles(id: String)
            "member {id} has not exactly the roles that the policy gives it"
            "成员 {id} 的角色与策略规定的不一致";
        /// A key that serves two roles.
        SharedKey(id: String)
            "member {id} has the key of another role or member; every role has an identity key and a log key of its own"
            "成员 {id} 的密钥与其他角色或成员相同；每个角色须有自己的身份密钥和日志密钥";
        /// A server without an address or a node with one.
        Address(id: String)
            "member {id}: servers have an address host:port, nodes have none"
            "成员 {id}：服务器须有地址 host:port，节点则没有";
        /// Owners' limits are not those of the policy's owners and matters.
        Owners
            "the owners' limits are not exactly for the policy's roster owners and their matters"
            "待遇部门的限额与策略中的待遇部门及其事项不一致";
        /// Too few cosigners.
        Quorum(quorum: u16)
            "the quorum of {quorum} is not more than two thirds of the members outside the coordinator's bureau"
            "法定数 {quorum} 未超过协调方以外成员的三分之二";
    }
}

fn has(member: &Member, role: Role) -> bool {
    member.roles.iter().any(|key| key.role == role)
}

const SERVERS: [Role; 3] = [Role::Coordinator, Role::Matcher, Role::Aggregator];

/// Under this id the authority signs, which is no member.
pub const AUTHORITY: &str = "authority";

/// Elements of an allowance besides people and newcomers: padding of small batches.
const ALLOWANCE_MARGIN: u64 = 1_024;

/// Version n is the authority's entry n - 1; the first names no predecessor, every later one does, by both hashes.
fn is_of_its_version(head: &Head, manifest: &FederationManifest) -> bool {
    let follows = manifest.version > 1;
    let names_one = if follows { manifest.previous.parse::<Digest>().is_ok() } else { manifest.previous.is_empty() };
    let defines_it = head.federation.is_none() && head.round.is_none();
    let authority = head.role == Role::Authority && head.sender == AUTHORITY;
    let in_sequence = head.seq.checked_add(1) == Some(u64::from(manifest.version)) && head.prev.is_some() == follows;
    names_one && defines_it && authority && in_sequence
}

fn check(manifest: &FederationManifest, policy: &Policy) -> Result<(), FederationError> {
    if manifest.policy != policy.hash {
        return Err(FederationError::OtherPolicy { expected: manifest.policy, found: policy.hash });
    }
    let expected = policy.departments.iter().map(|department| &department.id).chain([&policy.matcher]);
    if !manifest.members.iter().map(|member| &member.id).eq(expected) {
        return Err(FederationError::Members);
    }
    let mut keys = BTreeSet::new();
    for (number, member) in (0..).zip(&manifest.members) {
        if !member.roles.iter().map(|role| role.role).eq(roles_of(policy, number)) {
            return Err(FederationError::Roles(member.id.clone()));
        }
        if !member.roles.iter().flat_map(|role| [role.key, role.log]).all(|key| keys.insert(key)) {
            return Err(FederationError::SharedKey(member.id.clone()));
        }
        if member.roles.iter().any(|role| (role.role == Role::Node) != role.address.is_empty()) {
            return Err(FederationError::Address(member.id.clone()));
        }
    }
    let outside = members_outside(policy);
    if usize::from(manifest.quorum) * 3 <= outside * 2 || usize::from(manifest.quorum) > outside {
        return Err(FederationError::Quorum(manifest.quorum));
    }
    owners_match(manifest, policy).then_some(()).ok_or(FederationError::Owners)
}

/// How many members there are outside the coordinator's bureau, the matcher among them: those who cosign.
pub fn members_outside(policy: &Policy) -> usize {
    policy.departments.iter().filter(|department| !department.left).count()
}

/// The roles that the policy gives a member, in the order of the manifest: none to one that has left.
pub fn roles_of(policy: &Policy, member: MemberNumber) -> impl Iterator<Item = Role> {
    let stays = policy.departments.get(usize::from(member)).is_some_and(|department| !department.left);
    let node = stays.then_some(Role::Node);
    let matcher = (member == policy.matcher_number()).then_some(Role::Matcher);
    let aggregator = (member == policy.aggregator).then_some(Role::Aggregator);
    let coordinator = (member == policy.coordinator).then_some(Role::Coordinator);
    [node, matcher, aggregator, coordinator].into_iter().flatten()
}

fn owners_match(manifest: &FederationManifest, policy: &Policy) -> bool {
    let members = manifest.owners.iter().map(|limits| limits.member);
    members.eq(policy.owners())
        && manifest.owners.iter().all(|limits| limits.rows.len() == policy.matters_of(limits.member).count())
}
