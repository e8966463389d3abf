//! Inventing canaries, and telling each member of its own.

use std::collections::{BTreeMap, BTreeSet};

use getrandom::rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use wugan_protocol::{
    canary::{CanaryList, Listed, ListedOwner},
    envelope::EnvelopeError,
    hexes::sha256,
    month::Month,
    person::PersonId,
    policy::{Decision, Matter, Policy},
    texts,
};

use super::{Document, Person};
use crate::authority::Authority;

/// What the authority's operator writes: where canaries are to be. A TOML file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The canaries.
    pub canary: Vec<Planned>,
}

/// Canaries that are alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// How many.
    #[serde(default = "one")]
    pub count: usize,
    /// The channels in which they are seen, every month.
    #[serde(default)]
    pub channels: BTreeSet<String>,
    /// The matters on whose rosters they stand.
    pub matters: BTreeSet<String>,
}

/// What the authority hands out.
pub struct Issued {
    /// The file of each member that has a part in it, by its id; it holds ID numbers.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The list for auditors.
    pub list: Vec<u8>,
}

/// Invents the persons of a plan and says what must be decided about each when nothing is missing.
///
/// # Errors
/// [`IssueError`]: the plan does not agree with the policy.
pub fn issue<R: CryptoRng + ?Sized>(
    authority: &Authority,
    plan: &Plan,
    policy: &Policy,
    from: Month,
    rng: &mut R,
) -> Result<Issued, IssueError> {
    let count = plan.canary.iter().fold(0, |sum: usize, planned| sum.saturating_add(planned.count));
    if !(1..=CANARIES_MAX).contains(&count) {
        return Err(IssueError::Count { count });
    }
    let mut people = Vec::new();
    for planned in &plan.canary {
        people.extend(std::iter::repeat_n(planned, planned.count));
    }
    let numbers = numbers(from, count, rng).ok_or(IssueError::Numbers { from })?;
    let mut documents = BTreeMap::new();
    for (planned, person) in people.into_iter().zip(numbers) {
        hand_out(planned, person, policy, from, &mut documents)?;
    }
    let mut listed = Listed { policy: policy.hash, from, owners: Vec::new() };
    let mut files = BTreeMap::new();
    for (member, document) in documents {
        let file = document.seal(authority.signer()).map_err(|_| IssueError::Unwritten)?;
        if document.pairs() > 0 {
            let owner = ListedOwner { member: member.clone(), document: sha256(&file), pairs: document.pairs() };
            listed.owners.push(owner);
        }
        files.insert(member, file);
    }
    Ok(Issued { files, list: CanaryList::seal(&listed, authority.signer())? })
}

texts! {
    /// Why no canaries are issued.
    #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
    pub enum IssueError {
        Count { count: usize }
            "the plan has {count} canaries; it must have 1 to {CANARIES_MAX}"
            "计划中有 {count} 个哨兵，须为 1 至 {CANARIES_MAX} 个";
        NoMatter
            "a canary is at no matter, so nothing would be decided about it: give it `matters`"
            "有哨兵不在任何事项中，不会得到认定结果：请填写 `matters`";
        UnknownChannel { id: String } "the policy has no channel {id}" "策略中没有渠道 {id}";
        UnknownMatter { id: String } "the policy has no matter {id}" "策略中没有事项 {id}";
        Numbers { from: Month }
            "nobody of {from} could be as old as canaries are: correct --from"
            "在 {from} 不可能有哨兵那样年龄的人：请改正 --from";
        Unwritten "the files cannot be written as JSON" "文件无法写成 JSON";
        List(#[from] error: EnvelopeError) "{error}" "{error}";
    }
}

/// Canaries of one plan: each is one more person for every member that has a part in it.
pub const CANARIES_MAX: usize = 1_000;

fn one() -> usize {
    1
}

/// Adds a person to the document of each member that has one of its channels or matters.
fn hand_out(
    planned: &Planned,
    person: PersonId,
    policy: &Policy,
    from: Month,
    documents: &mut BTreeMap<String, Document>,
) -> Result<(), IssueError> {
    if planned.matters.is_empty() {
        return Err(IssueError::NoMatter);
    }
    let mut parts: BTreeMap<&str, Person> = BTreeMap::new();
    let blank = || Person { person: person.to_canonical_string(), channels: BTreeSet::new(), matters: BTreeMap::new() };
    for id in &planned.channels {
        let channel = policy.channels.iter().find(|channel| channel.id == *id);
        let channel = channel.ok_or_else(|| IssueError::UnknownChannel { id: id.clone() })?;
        let part = parts.entry(policy.member_id(channel.source)).or_insert_with(blank);
        part.channels.insert(id.clone());
    }
    for id in &planned.matters {
        let matter = policy.matters.iter().find(|matter| matter.id == *id);
        let matter = matter.ok_or_else(|| IssueError::UnknownMatter { id: id.clone() })?;
        let part = parts.entry(policy.member_id(matter.owner)).or_insert_with(blank);
        part.matters.insert(id.clone(), expected(policy, matter, &planned.channels));
    }
    for (member, part) in parts {
        let blank = || Document { policy: policy.hash, member: member.to_owned(), from, people: Vec::new() };
        documents.entry(member.to_owned()).or_insert_with(blank).people.push(part);
    }
    Ok(())
}

/// What the policy makes of somebody who is seen in exactly these channels, when nothing is missing.
fn expected(policy: &Policy, matter: &Matter, channels: &BTreeSet<String>) -> Decision {
    let round = policy.matter_round(matter, &policy.channels.iter().map(|channel| channel.number).collect());
    let mut counts = [0; 4];
    let applying = matter.channels.iter().filter_map(|place| policy.channels.get(*place));
    applying.filter(|channel| channels.contains(&channel.id)).for_each(|channel| counts[channel.class.index()] += 1);
    round.decision(round.outcome(counts))
}

/// Different ID numbers of people of 60 to 95 years, of no region that was ever assigned: below a province, `99` is no
/// city's number.
fn numbers<R: CryptoRng + ?Sized>(from: Month, count: usize, rng: &mut R) -> Option<BTreeSet<PersonId>> {
    let year = u64::try_from(from.last_day().year()).ok()?;
    let mut below = |bound: u64| rng.next_u64() % bound;
    let mut numbers = BTreeSet::new();
    for _ in 0..count * TRIES {
        let region = PROVINCES[below(PROVINCES.len() as u64) as usize] * 10_000 + 9_999;
        let born = (year.checked_sub(60 + below(36))? * 100 + 1 + below(12)) * 100 + 1 + below(28);
        numbers.extend(PersonId::from_u64((region * 100_000_000 + born) * 1_000 + below(1_000)));
        if numbers.len() == count {
            return Some(numbers);
        }
    }
    None
}

/// One of two numbers that are equal, of hundreds of millions, is tried again.
const TRIES: usize = 2;
const PROVINCES: [u64; 31] = [
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54, 61, 62, 63,
    64, 65,
];
