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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use getrandom::{SysRng, rand_core::UnwrapErr};
    use wugan_protocol::canary::CanaryList;

    use super::*;
    use crate::authority::Authority;

    /// Three strong channels in three departments; two matters of `office`, one of `welfare`.
    fn policy() -> Policy {
        Policy::read(include_bytes!("../tests/city/catalogue.toml")).unwrap()
    }

    fn planned(count: usize, channels: &[&str], matters: &[&str]) -> Planned {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        Planned { count, channels: owned(channels), matters: owned(matters) }
    }

    fn issued(authority: &Authority, planned: Vec<Planned>) -> Result<Issued, IssueError> {
        let (policy, from) = (policy(), "2026-11".parse().unwrap());
        issue(authority, &Plan { canary: planned }, &policy, from, &mut UnwrapErr(SysRng))
    }

    fn two_kinds() -> Vec<Planned> {
        vec![planned(3, &["visit", "counter"], &["pension", "heating"]), planned(2, &[], &["injury"])]
    }

    fn read(file: &[u8], authority: &Authority, member: &str) -> Result<Canaries, CanariesError> {
        let policy = policy();
        Canaries::read(file, &authority.public_key(), &policy, policy.member_number(member).unwrap())
    }

    #[test]
    fn each_member_gets_its_own_part_and_what_must_be_decided() {
        let authority = Authority::generate().unwrap();
        let issued = issued(&authority, two_kinds()).unwrap();
        assert_eq!(issued.files.keys().collect::<Vec<_>>(), ["bank", "hospital", "office", "welfare"]);
        let of = |member: &str| read(&issued.files[member], &authority, member).unwrap();
        let (bank, office, welfare) = (of("bank"), of("office"), of("welfare"));
        let seen: BTreeSet<PersonId> = bank.in_channel(3).collect();
        assert_eq!((seen.len(), bank.in_channel(2).count(), bank.expected().len()), (3, 0, 0));
        assert!(of("hospital").in_channel(2).eq(seen.iter().copied()));
        let of_matter = |canaries: &Canaries, place| {
            let pairs = canaries.expected().iter().filter(move |((_, other), _)| *other == place);
            pairs.map(|((person, _), decision)| (*person, *decision)).collect::<Vec<_>>()
        };
        let certified: Vec<_> = seen.iter().map(|person| (*person, Decision::Certified)).collect();
        assert_eq!((of_matter(&office, 0), of_matter(&welfare, 0)), (certified.clone(), certified));
        let injury = of_matter(&office, 1);
        assert!(
            injury.len() == 2 && injury.iter().all(|(person, d)| *d == Decision::Unmatched && !seen.contains(person))
        );
        assert_eq!(office.from(), "2026-11".parse().unwrap());

        let list = CanaryList::read(&issued.list, &authority.public_key()).unwrap();
        assert_eq!((list.policy(), list.from()), (policy().hash, office.from()));
        let listed = |id| list.owner(id).map(|owner| (owner.document, owner.pairs));
        assert_eq!(listed("office"), Some((office.document(), 5)));
        assert_eq!(listed("welfare"), Some((welfare.document(), 3)));
        assert_eq!(listed("bank"), None, "it owns no roster");
    }

    #[test]
    fn canaries_are_pensioners_of_regions_that_nobody_has() {
        let authority = Authority::generate().unwrap();
        let issued = issued(&authority, vec![planned(500, &[], &["heating"])]).unwrap();
        let canaries = read(&issued.files["welfare"], &authority, "welfare").unwrap();
        assert_eq!(canaries.expected().len(), 500);
        let mut regions = BTreeSet::new();
        for (person, _) in canaries.expected().keys() {
            let text = person.to_canonical_string();
            assert_eq!(&text[2..6], "9999");
            assert!((1931..=1966).contains(&text[6..10].parse::<u32>().unwrap()));
            regions.insert(text[..2].to_owned());
        }
        assert!(regions.len() > 20, "of {} provinces", regions.len());
    }

    #[test]
    fn what_others_signed_or_what_is_for_others_is_refused() {
        let authority = Authority::generate().unwrap();
        let issued = issued(&authority, two_kinds()).unwrap();
        let file = &issued.files["office"];
        let other = Authority::generate().unwrap();
        assert_eq!(read(file, &other, "office"), Err(NotSealed::Signature.into()));
        let wrong = CanariesError::OtherMember { found: "office".into(), expected: "welfare".into() };
        assert_eq!(read(file, &authority, "welfare"), Err(wrong));
        let policy =
            Policy::read(&[include_bytes!("../tests/city/catalogue.toml").as_slice(), b"\n"].concat()).unwrap();
        let office = policy.member_number("office").unwrap();
        let read_for = Canaries::read(file, &authority.public_key(), &policy, office);
        assert_eq!(read_for, Err(CanariesError::OtherPolicy));
        for place in (0..file.len()).step_by(7) {
            let mut changed = file.clone();
            changed[place] ^= 1;
            assert!(matches!(read(&changed, &authority, "office"), Err(CanariesError::NotSealed(_))), "byte {place}");
        }
        assert_eq!(read(&issued.list, &authority, "office"), Err(NotSealed::Form.into()));
    }

    #[test]
    fn what_the_authority_signed_must_be_of_the_member() {
        let authority = Authority::generate().unwrap();
        let signed = |person: &str, channel: &str, matter: &str| {
            let matters = [(matter.to_owned(), Decision::Certified)].into();
            let channels = [channel.to_owned()].into();
            let people = vec![Person { person: person.to_owned(), channels, matters }];
            let from = "2026-11".parse().unwrap();
            Document { policy: policy().hash, member: "office".into(), from, people }.seal(authority.signer()).unwrap()
        };
        let refused =
            |person, channel, matter| read(&signed(person, channel, matter), &authority, "office").unwrap_err();
        let foreign = |id: &str| CanariesError::NotOfMember { id: id.into() };
        assert_eq!(refused("11010519491231002X", "visit", "pension"), foreign("visit"));
        assert_eq!(refused("110105194912310021", "visit", "pension"), CanariesError::NoPerson);
        let nothing = seal(KIND, b"{}\n", authority.signer());
        assert_eq!(read(&nothing, &authority, "office"), Err(CanariesError::Malformed { line: 2, column: 2 }));
    }

    #[test]
    fn a_plan_agrees_with_the_policy() {
        let authority = Authority::generate().unwrap();
        let refused = |plan| issued(&authority, plan).err();
        assert_eq!(refused(Vec::new()), Some(IssueError::Count { count: 0 }));
        let many = vec![planned(CANARIES_MAX, &[], &["heating"]), planned(1, &[], &["heating"])];
        assert_eq!(refused(many), Some(IssueError::Count { count: CANARIES_MAX + 1 }));
        assert_eq!(refused(vec![planned(1, &["visit"], &[])]), Some(IssueError::NoMatter));
        let unknown = IssueError::UnknownChannel { id: "ferry".into() };
        assert_eq!(refused(vec![planned(1, &["ferry"], &["heating"])]), Some(unknown));
        let unknown = IssueError::UnknownMatter { id: "rent".into() };
        assert_eq!(refused(vec![planned(1, &[], &["rent"])]), Some(unknown));
        let from = "1900-01".parse().unwrap();
        let plan = Plan { canary: two_kinds() };
        let old = issue(&authority, &plan, &policy(), from, &mut UnwrapErr(SysRng)).err();
        assert_eq!(old, Some(IssueError::Numbers { from }));
    }

    #[test]
    fn debug_shows_no_id_number() {
        let authority = Authority::generate().unwrap();
        let issued = issued(&authority, two_kinds()).unwrap();
        let canaries = read(&issued.files["office"], &authority, "office").unwrap();
        let shown = format!("{canaries:?}");
        let (person, _) = canaries.expected().first_key_value().unwrap().0;
        assert!(!shown.contains(&person.to_canonical_string()) && !shown.contains(&person.to_u64().to_string()));
    }
}
