//! Reading `catalogue.toml`.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use serde::Deserialize;

use super::{Channel, Class, Decision, Department, Matter, Policy, Rule, outcome};
use crate::{
    hexes::sha256,
    limits::{CAP_MAX, DAYS_MAX, MEMBERS_MAX, POLICY_ITEMS_MAX, POOL_SIZE_STEP_MAX, RULES_MAX},
    party::MemberNumber,
};

/// Why a catalogue is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PolicyError {
    /// Not TOML of the expected shape.
    #[error("catalogue.toml cannot be read: {0}")]
    Malformed(String),
    /// The same id or number twice.
    #[error("catalogue.toml names {0} twice")]
    Twice(String),
    /// A name that stands for nothing.
    #[error("catalogue.toml: {at} names {name}, which does not exist")]
    Unknown {
        /// Where.
        at: String,
        /// The name.
        name: String,
    },
    /// Too many of something.
    #[error("catalogue.toml has more {what} than the limit of {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// A ruleset in which no rule might fire.
    #[error("ruleset {0}: the last rule must have no bounds, so that every row has a rule")]
    NoLastRule(String),
    /// A rule that decides `deferred`, which only missing channels can.
    #[error("rule {0} decides deferred, which only missing channels can")]
    RuleDefers(String),
    /// The matcher has a channel or roster, the aggregator a roster, or two servers are one member.
    #[error("the servers are not independent: {0}")]
    NotIndependent(String),
    /// A roster owner is not in exactly one pool group.
    #[error("roster owner {0} is not in exactly one pool group, or a group names a department without rosters")]
    Groups(String),
    /// A class whose bit would name a department.
    #[error(
        "matter {matter}: class {} has, without the owner's own, fewer than three channels or all in one department; \
         add channels, leave the class out, or list its channels as exposed", class.name()
    )]
    ClassTooSmall {
        /// The matter.
        matter: String,
        /// The class.
        class: Class,
    },
    /// Nothing could be audited, or decisions would be gone before what they rest on.
    #[error(
        "retention_days = {days}, decision_retention_days = {decisions}: the first must be at least 1, the second not \
         less than the first"
    )]
    Retention {
        /// Days for files.
        days: u64,
        /// Days for decisions.
        decisions: u64,
    },
    /// Two matters whose difference would name a department.
    #[error(
        "matters {matter} and {other}: the channels of class {} that apply to only one of them are, without the owner's \
         own, fewer than three or all in one department; a person on both rosters would show which channel it was",
        class.name()
    )]
    MattersTooAlike {
        /// One.
        matter: String,
        /// The other.
        other: String,
        /// The class.
        class: Class,
    },
}

pub(super) fn read(bytes: &[u8]) -> Result<Policy, PolicyError> {
    let text = std::str::from_utf8(bytes).map_err(|_| PolicyError::Malformed("it is not UTF-8".into()))?;
    let file: File = toml::from_str(text).map_err(|error| PolicyError::Malformed(error.message().to_owned()))?;
    bounded("departments", file.department.len(), MEMBERS_MAX - 1)?;
    bounded("channels", file.channel.len(), POLICY_ITEMS_MAX)?;
    bounded("matters", file.matter.len(), POLICY_ITEMS_MAX)?;
    let step = file.policy.pool_size_step.map_or(0, NonZeroU64::get);
    bounded("tags in a pool's size class", step, POOL_SIZE_STEP_MAX)?;
    days(&file)?;
    unique(&file)?;
    exposed(&file)?;
    let members: Names = (0..).zip(&file.department).map(|(number, d)| (d.id.as_str(), number)).collect();
    let channels = channels(&file, &members)?;
    let matters = matters(&file, &members, &channels)?;
    let (groups, group_count) = groups(&file, &members)?;
    let policy = Policy {
        hash: sha256(bytes),
        name: file.policy.name.clone(),
        missing_max: file.policy.missing_max,
        days_between_rounds: file.policy.days_between_rounds,
        retention_days: file.policy.retention_days,
        decision_retention_days: file.policy.decision_retention_days,
        matcher: file.federation.matcher.id.clone(),
        coordinator: find(&members, "federation", &file.federation.coordinator)?,
        aggregator: find(&members, "federation", &file.federation.aggregator)?,
        channels,
        matters,
        rulesets: file.ruleset.iter().map(rules).collect::<Result<_, _>>()?,
        groups,
        group_count,
        pool_size_step: file.policy.pool_size_step,
        departments: file.department.into_iter().map(Department::from).collect(),
    };
    independent(&policy)?;
    Ok(policy)
}

type Names<'a> = BTreeMap<&'a str, MemberNumber>;

fn bounded(what: &'static str, found: impl TryInto<usize>, limit: usize) -> Result<(), PolicyError> {
    let within = found.try_into().is_ok_and(|found| found <= limit);
    within.then_some(()).ok_or(PolicyError::TooMany { what, limit })
}

fn days(file: &File) -> Result<(), PolicyError> {
    let (days, decisions) = (file.policy.retention_days, file.policy.decision_retention_days);
    if days == 0 || decisions < days {
        return Err(PolicyError::Retention { days, decisions });
    }
    let terms = [file.policy.days_between_rounds, days, decisions];
    let windows = file.channel.iter().map(|channel| u64::from(channel.window_days));
    let longest = terms.into_iter().chain(windows).max().unwrap_or(0);
    bounded("days in a term or window", longest, DAYS_MAX)
}

fn exposed(file: &File) -> Result<(), PolicyError> {
    let unknown = file.policy.exposed.iter().find(|id| !file.channel.iter().any(|channel| channel.id == **id));
    unknown.map_or(Ok(()), |name| Err(PolicyError::Unknown { at: "exposed".into(), name: name.clone() }))
}

fn unique(file: &File) -> Result<(), PolicyError> {
    let ids = file.department.iter().map(|d| format!("department {}", d.id));
    let ids =
        ids.chain(file.channel.iter().flat_map(|c| [format!("channel {}", c.id), format!("channel {}", c.number)]));
    let ids = ids.chain(file.matter.iter().flat_map(|m| [format!("matter {}", m.id), format!("matter {}", m.number)]));
    let ids = ids.chain(file.ruleset.iter().map(|r| format!("ruleset {}", r.id)));
    let rules =
        |set: &RulesetToml| set.rules.iter().map(|r| format!("rule {} of {}", r.id, set.id)).collect::<Vec<_>>();
    let ids = ids.chain(file.ruleset.iter().flat_map(rules));
    let mut seen = BTreeSet::new();
    for id in ids {
        if !seen.insert(id.clone()) {
            return Err(PolicyError::Twice(id));
        }
    }
    Ok(())
}

fn find(names: &Names, at: &str, name: &str) -> Result<MemberNumber, PolicyError> {
    names.get(name).copied().ok_or_else(|| PolicyError::Unknown { at: at.to_owned(), name: name.to_owned() })
}

fn channels(file: &File, members: &Names) -> Result<Vec<Channel>, PolicyError> {
    let mut channels = Vec::new();
    for channel in &file.channel {
        channels.push(Channel {
            number: channel.number,
            id: channel.id.clone(),
            source: find(members, &format!("channel {}", channel.id), &channel.department)?,
            class: match (channel.strength, channel.polarity) {
                (Strength::Strong, Polarity::Positive) => Class::StrongPositive,
                (Strength::Weak, Polarity::Positive) => Class::WeakPositive,
                (Strength::Strong, Polarity::Negative) => Class::StrongNegative,
                (Strength::Weak, Polarity::Negative) => Class::WeakNegative,
            },
            window_days: channel.window_days,
            exposed: file.policy.exposed.contains(&channel.id),
        });
    }
    channels.sort_by_key(|channel| channel.number);
    Ok(channels)
}

fn matters(file: &File, members: &Names, channels: &[Channel]) -> Result<Vec<Matter>, PolicyError> {
    let places = channels.iter().enumerate().map(|(place, channel)| (channel.id.as_str(), place)).collect();
    let mut matters = Vec::new();
    for matter in &file.matter {
        let at = format!("matter {}", matter.id);
        let owner = find(members, &at, &matter.department)?;
        if !file.department[usize::from(owner)].roster_owner {
            return Err(PolicyError::Unknown { at, name: format!("roster owner {}", matter.department) });
        }
        let ruleset = file.ruleset.iter().position(|ruleset| ruleset.id == matter.ruleset);
        matters.push(Matter {
            number: matter.number,
            id: matter.id.clone(),
            name_zh: matter.name_zh.clone(),
            name_en: matter.name_en.clone(),
            owner,
            channels: applying(&matter.channels, &places, &at)?,
            ruleset: ruleset.ok_or_else(|| PolicyError::Unknown { at, name: matter.ruleset.clone() })?,
        });
    }
    matters.sort_by_key(|matter| matter.number);
    Ok(matters)
}

/// Places of the channels that apply, ascending; `places` has that of each id.
fn applying(choice: &Choice, places: &BTreeMap<&str, usize>, at: &str) -> Result<Vec<usize>, PolicyError> {
    let unknown = |name: &String| PolicyError::Unknown { at: at.to_owned(), name: name.clone() };
    let named: &[String] = match choice {
        Choice::All => &[],
        Choice::Only(ids) | Choice::Except(ids) => ids,
    };
    let place = |id: &String| places.get(id.as_str()).copied().ok_or_else(|| unknown(id));
    let named: BTreeSet<usize> = named.iter().map(place).collect::<Result<_, _>>()?;
    let wanted = matches!(choice, Choice::Only(_));
    Ok((0..places.len()).filter(|place| named.contains(place) == wanted).collect())
}

fn rules(ruleset: &RulesetToml) -> Result<Vec<Rule>, PolicyError> {
    bounded("rules in a ruleset", ruleset.rules.len(), RULES_MAX)?;
    let rules: Vec<Rule> = ruleset.rules.iter().map(RuleToml::read).collect();
    if let Some(rule) = rules.iter().find(|rule| rule.decide == Decision::Deferred) {
        return Err(PolicyError::RuleDefers(rule.id.clone()));
    }
    let bounds = || ruleset.rules.iter().flat_map(|rule| rule.at_least.values().chain(rule.at_most.values()));
    if bounds().any(|bound| *bound >= CAP_MAX) {
        return Err(PolicyError::TooMany { what: "counts in a bound of a rule", limit: CAP_MAX as usize - 1 });
    }
    match rules.last() {
        Some(last) if outcome::caps(std::slice::from_ref(last)) == [0; 4] => Ok(rules),
        _ => Err(PolicyError::NoLastRule(ruleset.id.clone())),
    }
}

/// The group of each department, and the number of groups. Without `pool_groups`, all owners are one group.
fn groups(file: &File, members: &Names) -> Result<(Vec<Option<u8>>, u8), PolicyError> {
    let owners = || file.department.iter().filter(|d| d.roster_owner).map(|d| d.id.clone());
    let lists = file.policy.pool_groups.clone().unwrap_or_else(|| vec![owners().collect()]);
    let count = u8::try_from(lists.len()).map_err(|_| PolicyError::TooMany { what: "pool groups", limit: 255 })?;
    let mut groups = vec![None; file.department.len()];
    for (group, list) in (0..count).zip(&lists) {
        for id in list {
            let place = usize::from(find(members, "pool_groups", id)?);
            if groups[place].replace(group).is_some() || !file.department[place].roster_owner {
                return Err(PolicyError::Groups(id.clone()));
            }
        }
    }
    match owners().find(|id| members.get(id.as_str()).is_some_and(|m| groups[usize::from(*m)].is_none())) {
        Some(id) => Err(PolicyError::Groups(id)),
        None => Ok((groups, count)),
    }
}

fn independent(policy: &Policy) -> Result<(), PolicyError> {
    let refuse = |what: String| Err(PolicyError::NotIndependent(what));
    if policy.departments.iter().any(|department| department.id == policy.matcher) {
        return refuse(format!("the matcher {} is also a department", policy.matcher));
    }
    if policy.aggregator == policy.coordinator {
        return refuse("aggregator and coordinator are one member".into());
    }
    if policy.departments[usize::from(policy.aggregator)].roster_owner {
        return refuse(format!("the aggregator {} owns rosters", policy.member_id(policy.aggregator)));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    policy: PolicyToml,
    federation: FederationToml,
    #[serde(default)]
    ruleset: Vec<RulesetToml>,
    #[serde(default)]
    department: Vec<DepartmentToml>,
    #[serde(default)]
    channel: Vec<ChannelToml>,
    #[serde(default)]
    matter: Vec<MatterToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyToml {
    name: String,
    #[expect(dead_code, reason = "part of the format; the hash identifies a policy")]
    version: u32,
    #[serde(default = "three")]
    missing_max: usize,
    days_between_rounds: u64,
    retention_days: u64,
    decision_retention_days: u64,
    pool_groups: Option<Vec<Vec<String>>>,
    pool_size_step: Option<NonZeroU64>,
    #[serde(default)]
    exposed: Vec<String>,
}

fn three() -> usize {
    3
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FederationToml {
    coordinator: String,
    aggregator: String,
    matcher: MatcherToml,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "names are part of the format")]
struct MatcherToml {
    id: String,
    name_zh: String,
    name_en: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesetToml {
    id: String,
    rules: Vec<RuleToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleToml {
    id: String,
    #[serde(default)]
    at_least: BTreeMap<Class, u32>,
    #[serde(default)]
    at_most: BTreeMap<Class, u32>,
    decide: Decision,
}

impl RuleToml {
    fn read(&self) -> Rule {
        Rule {
            id: self.id.clone(),
            at_least: Class::ALL.map(|class| self.at_least.get(&class).copied().unwrap_or(0)),
            at_most: Class::ALL.map(|class| self.at_most.get(&class).copied()),
            decide: self.decide,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DepartmentToml {
    id: String,
    name_zh: String,
    name_en: String,
    roster_owner: bool,
}

impl From<DepartmentToml> for Department {
    fn from(d: DepartmentToml) -> Department {
        Department { id: d.id, name_zh: d.name_zh, name_en: d.name_en, roster_owner: d.roster_owner }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Polarity {
    Positive,
    Negative,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Strength {
    Strong,
    Weak,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "names and estimates are part of the format")]
struct ChannelToml {
    number: u16,
    id: String,
    department: String,
    name_zh: String,
    name_en: String,
    polarity: Polarity,
    strength: Strength,
    window_days: u32,
    records: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "kind, estimates and cycle are part of the format")]
struct MatterToml {
    number: u16,
    id: String,
    department: String,
    name_zh: String,
    name_en: String,
    kind: Kind,
    recipients: u64,
    cycle_months: u32,
    channels: Choice,
    ruleset: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Certify,
    Outreach,
}

/// `"all"`, `{ only = [..] }` or `{ except = [..] }`.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Choice {
    All,
    Only(Vec<String>),
    Except(Vec<String>),
}
