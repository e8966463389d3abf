//! Canaries: synthetic persons (valid ID numbers of an unassigned region) that the authority issues with the decisions
//! that must come out for them. Each member gets those of its own channels and rosters, in a file that the authority
//! signed; auditors get a list without persons.

mod issue;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wugan_protocol::{
    canary::{NotSealed, open, seal},
    envelope::Signer,
    hexes::{Digest, sha256},
    month::Month,
    party::MemberNumber,
    person::PersonId,
    policy::{Decision, Policy},
    texts,
};

pub use issue::{CANARIES_MAX, IssueError, Issued, Plan, Planned, issue};

/// One member's canaries, as the authority signed them. `Debug` shows no ID number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canaries {
    document: Digest,
    from: Month,
    seen: BTreeMap<u16, BTreeSet<PersonId>>,
    expected: BTreeMap<(PersonId, u16), Decision>,
}

impl Canaries {
    /// Reads a file that the authority signed for this member and policy.
    ///
    /// # Errors
    /// [`CanariesError`].
    pub fn read(
        file: &[u8],
        authority: &[u8; 32],
        policy: &Policy,
        member: MemberNumber,
    ) -> Result<Canaries, CanariesError> {
        let document: Document = serde_json::from_slice(open(KIND, file, authority)?)
            .map_err(|error| CanariesError::Malformed { line: error.line() + 1, column: error.column() })?;
        if document.policy != policy.hash {
            return Err(CanariesError::OtherPolicy);
        }
        let expected = policy.member_id(member);
        if document.member != expected {
            return Err(CanariesError::OtherMember { found: document.member, expected: expected.to_owned() });
        }
        let (seen, expected) = (BTreeMap::new(), BTreeMap::new());
        let mut canaries = Canaries { document: sha256(file), from: document.from, seen, expected };
        document.people.iter().try_for_each(|person| canaries.add(person, policy, member))?;
        Ok(canaries)
    }

    fn add(&mut self, entry: &Person, policy: &Policy, member: MemberNumber) -> Result<(), CanariesError> {
        let (person, _) = PersonId::parse(&entry.person).map_err(|_| CanariesError::NoPerson)?;
        let foreign = |id: &String| CanariesError::NotOfMember { id: id.clone() };
        for id in &entry.channels {
            let channel = policy.channels_of(member).find(|channel| channel.id == *id).ok_or_else(|| foreign(id))?;
            self.seen.entry(channel.number).or_default().insert(person);
        }
        for (id, decision) in &entry.matters {
            let mut places = (0..).zip(policy.matters_of(member));
            let (place, _) = places.find(|(_, matter)| matter.id == *id).ok_or_else(|| foreign(id))?;
            self.expected.insert((person, place), *decision);
        }
        Ok(())
    }

    /// SHA-256 of the file.
    pub fn document(&self) -> Digest {
        self.document
    }

    /// The first month whose round has them.
    pub fn from(&self) -> Month {
        self.from
    }

    /// Those that stand among a channel's people.
    pub fn in_channel(&self, number: u16) -> impl Iterator<Item = PersonId> + '_ {
        self.seen.get(&number).into_iter().flatten().copied()
    }

    /// Those that stand on the rosters, by person and the matter's place among the member's, with the decision that must
    /// come out when nothing is missing.
    pub fn expected(&self) -> &BTreeMap<(PersonId, u16), Decision> {
        &self.expected
    }
}

texts! {
    /// Why a file of canaries is not used.
    #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
    pub enum CanariesError {
        /// Not the authority's.
        NotSealed(#[from] error: NotSealed) "{error}" "{error}";
        /// Not the JSON of such a file.
        Malformed { line: usize, column: usize }
            "the authority signed it, but it is no file of canaries of this version (line {line}, column {column})"
            "虽由授权方签名，但不是本版本的哨兵文件（第 {line} 行第 {column} 列）";
        /// Issued for another catalogue.
        OtherPolicy
            "it was issued for another catalogue.toml: ask the authority for canaries of the present one"
            "它是为另一份 catalogue.toml 签发的：请向授权方索取与现行策略对应的文件";
        /// Issued for another member.
        OtherMember { found: String, expected: String }
            "it was issued for {found}, not for {expected}: put the right file in place"
            "它是签发给 {found} 的，不是给 {expected} 的：请换上正确的文件";
        /// A channel or matter of somebody else.
        NotOfMember { id: String }
            "it names {id}, which is no channel or matter of this member"
            "其中的 {id} 不是本成员的渠道或事项";
        /// Not an ID number, which is not shown.
        NoPerson "it has a person without a valid ID number" "其中有人员的证件号码无效";
    }
}

/// Bytes of a file of canaries: [`CANARIES_MAX`] of them, each with a hundred channels and matters with short names.
pub const FILE_BYTES_MAX: usize = 4 << 20;

/// What a member's file says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    policy: Digest,
    member: String,
    from: Month,
    people: Vec<Person>,
}

impl Document {
    /// The file, signed. It holds ID numbers, so it is no document in an entry's form.
    fn seal(&self, authority: &dyn Signer) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec(self)?;
        json.push(b'\n');
        Ok(seal(KIND, &json, authority))
    }

    fn pairs(&self) -> u64 {
        self.people.iter().map(|person| person.matters.len() as u64).sum()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    person: String,
    channels: BTreeSet<String>,
    matters: BTreeMap<String, Decision>,
}

const KIND: &str = "canaries-of-a-member";
