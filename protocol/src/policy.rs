//! The policy: departments, channels, classes, matters and rules, read from `catalogue.toml`, whose head states the
//! exact semantics. A [`Policy`] exists only if section 1 of the protocol does not refuse it.

mod catalogue;
mod outcome;
mod separation;

use std::{collections::BTreeSet, num::NonZeroU64};

use serde::{Deserialize, Serialize};

pub use catalogue::{Dependence, Items, PolicyError};
pub use outcome::{DEFERRED, MatterRound, Outcome};

use crate::{
    hexes::Digest,
    party::MemberNumber,
    statement::Kept,
    text::{Language, Say},
};

/// Strength and polarity of a channel. The order is that of the bits file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Seen in person or by biometrics.
    StrongPositive,
    /// An instrument was used.
    WeakPositive,
    /// A death, a prison term: enough for a check.
    StrongNegative,
    /// A report: enough for a check unless seen in person.
    WeakNegative,
}

impl Class {
    /// All classes, in the order of the bits file.
    pub const ALL: [Class; 4] =
        [Class::StrongPositive, Class::WeakPositive, Class::StrongNegative, Class::WeakNegative];

    /// The name used in the catalogue and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Class::StrongPositive => "strong_positive",
            Class::WeakPositive => "weak_positive",
            Class::StrongNegative => "strong_negative",
            Class::WeakNegative => "weak_negative",
        }
    }

    /// Whether its records are reasons for suspicion.
    pub fn is_negative(self) -> bool {
        matches!(self, Class::StrongNegative | Class::WeakNegative)
    }

    /// Its place in [`Class::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One count for each class, in the order of [`Class::ALL`].
pub type Counts = [u32; 4];

crate::texts! {
    /// What is decided about one person at one matter.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Decision {
        /// Alive and entitled.
        Certified "certified" "认证通过";
        /// No trace found: ask the person.
        Unmatched "unmatched" "未比对到";
        /// A negative signal: verify before anything is suspended.
        Suspected "suspected" "疑似丧失资格";
        /// A department that could have changed the decision did not take part.
        Deferred "deferred" "暂缓";
    }
}

impl Decision {
    /// All decisions.
    pub const ALL: [Decision; 4] = [Decision::Certified, Decision::Unmatched, Decision::Suspected, Decision::Deferred];

    /// The name used in files.
    pub fn name(self) -> &'static str {
        match self {
            Decision::Certified => "certified",
            Decision::Unmatched => "unmatched",
            Decision::Suspected => "suspected",
            Decision::Deferred => "deferred",
        }
    }
}

/// What people call something, in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    english: String,
    chinese: String,
}

impl Say for Name {
    fn say(&self, language: Language, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if language == Language::Chinese { &self.chinese } else { &self.english })
    }
}

/// A department.
#[derive(Clone, Debug)]
pub struct Department {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: Name,
    /// Whether it pays benefits.
    pub roster_owner: bool,
    /// Whether it has left the federation: then it keeps its number, and has neither a role nor anything else.
    pub left: bool,
}

/// One kind of record in one department.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its number.
    pub number: u16,
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: Name,
    /// The source's member number.
    pub source: MemberNumber,
    /// Strength and polarity.
    pub class: Class,
    /// Days for which a record counts; 0: for ever.
    pub window_days: u32,
    /// Agreed that its bit may name its department.
    pub exposed: bool,
}

/// One kind of benefit, or one outreach list.
#[derive(Clone, Debug)]
pub struct Matter {
    /// Its number.
    pub number: u16,
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: Name,
    /// The roster owner's member number.
    pub owner: MemberNumber,
    /// Places in [`Policy::channels`] of those that apply, ascending.
    pub channels: Vec<usize>,
    /// Place in [`Policy::rulesets`].
    pub ruleset: usize,
}

/// A rule: the first whose every bound holds decides.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// Lower bounds.
    pub at_least: Counts,
    /// Upper bounds, where there are any.
    pub at_most: [Option<u32>; 4],
    /// What it decides.
    pub decide: Decision,
}

impl Rule {
    /// Whether it decides `suspected` because of records of this class: a negative one of which it asks for some.
    pub fn suspects_for(&self, class: Class) -> bool {
        self.decide == Decision::Suspected && class.is_negative() && self.at_least[class.index()] > 0
    }
}

/// The agreed policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// SHA-256 of the exact bytes of the catalogue.
    pub hash: Digest,
    /// Its name.
    pub name: String,
    /// Departments that may be missing before the second half of a round must wait.
    pub missing_max: usize,
    /// Least days between counted rounds.
    pub days_between_rounds: u64,
    /// Days for which pools, records, row lists, bitmaps and seeds are kept.
    pub retention_days: u64,
    /// Days for which decisions are kept: not fewer.
    pub decision_retention_days: u64,
    /// Departments, by member number.
    pub departments: Vec<Department>,
    /// The matcher's id; its member number follows the departments'.
    pub matcher: String,
    /// The coordinator's department.
    pub coordinator: MemberNumber,
    /// The aggregator's department.
    pub aggregator: MemberNumber,
    /// Channels, by number.
    pub channels: Vec<Channel>,
    /// Matters, by number.
    pub matters: Vec<Matter>,
    /// Rulesets' rules.
    pub rulesets: Vec<Vec<Rule>>,
    /// The pool group of each department that owns rosters.
    pub groups: Vec<Option<u8>>,
    /// How many pool groups there are.
    pub group_count: u8,
    /// If there are size classes: random tags pad each pool up to a multiple of this.
    pub pool_size_step: Option<NonZeroU64>,
}

impl Policy {
    /// Reads `catalogue.toml`.
    ///
    /// # Errors
    /// [`PolicyError`] names the item and what is wrong with it; section 1's rules on channel sets included.
    pub fn read(bytes: &[u8]) -> Result<Policy, PolicyError> {
        let policy = catalogue::read(bytes)?;
        separation::check(&policy)?;
        Ok(policy)
    }

    /// The matcher's member number.
    pub fn matcher_number(&self) -> MemberNumber {
        self.departments.len() as MemberNumber
    }

    /// The id of a member.
    pub fn member_id(&self, member: MemberNumber) -> &str {
        self.departments.get(usize::from(member)).map_or(&self.matcher, |department| &department.id)
    }

    /// The member number of an id.
    pub fn member_number(&self, id: &str) -> Option<MemberNumber> {
        let department = self.departments.iter().position(|department| department.id == id);
        let matcher = (self.matcher == id).then_some(self.departments.len());
        department.or(matcher).map(|place| place as MemberNumber)
    }

    /// Member numbers of the roster owners, ascending.
    pub fn owners(&self) -> impl Iterator<Item = MemberNumber> + '_ {
        (0..).zip(&self.departments).filter(|(_, department)| department.roster_owner).map(|(number, _)| number)
    }

    /// The channel with this number.
    pub fn channel(&self, number: u16) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.number == number)
    }

    /// The channels of a source, in the policy's order.
    pub fn channels_of(&self, source: MemberNumber) -> impl Iterator<Item = &Channel> {
        self.channels.iter().filter(move |channel| channel.source == source)
    }

    /// The matters of an owner, in the policy's order.
    pub fn matters_of(&self, owner: MemberNumber) -> impl Iterator<Item = &Matter> {
        self.matters.iter().filter(move |matter| matter.owner == owner)
    }

    /// Days for which a member keeps something of a round.
    pub fn days_kept(&self, of: Kept) -> u64 {
        if of == Kept::Decisions { self.decision_retention_days } else { self.retention_days }
    }

    /// The rules of a matter.
    pub fn rules(&self, matter: &Matter) -> &[Rule] {
        &self.rulesets[matter.ruleset]
    }

    /// How a matter is decided in a round in which exactly the channels on `list` (numbers) have pools.
    pub fn matter_round(&self, matter: &Matter, list: &BTreeSet<u16>) -> MatterRound {
        MatterRound::new(self, matter, list)
    }

    /// How each matter of an owner is decided, in the policy's order.
    pub fn matter_rounds(&self, owner: MemberNumber, list: &BTreeSet<u16>) -> Vec<MatterRound> {
        self.matters_of(owner).map(|matter| self.matter_round(matter, list)).collect()
    }

    /// Departments that have a channel which is not on the list, ascending.
    pub fn missing_departments(&self, list: &BTreeSet<u16>) -> BTreeSet<MemberNumber> {
        self.channels.iter().filter(|channel| !list.contains(&channel.number)).map(|channel| channel.source).collect()
    }

    /// Whether the second half of a round may begin with this list (protocol, section 4.2).
    pub fn enough_for_a_list(&self, list: &BTreeSet<u16>) -> bool {
        let missing = self.missing_departments(list);
        missing.len() <= self.missing_max && !missing.contains(&self.coordinator) && !missing.contains(&self.aggregator)
    }
}
