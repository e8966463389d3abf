//! Reading `catalogue.toml`.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use serde::Deserialize;

use super::{Channel, Class, Decision, Department, Matter, Name, Policy, Rule, outcome};
use crate::{
    hexes::sha256,
    limits::{CAP_MAX, DAYS_MAX, ID_BYTES_MAX, MEMBERS_MAX, POLICY_ITEMS_MAX, POOL_SIZE_STEP_MAX, RULES_MAX},
    party::MemberNumber,
    text::{TomlProblem, parse_toml},
};

crate::texts! {
    /// Why a catalogue is refused.
    #[derive(Debug, thiserror::Error, PartialEq, Eq)]
    pub enum PolicyError {
        /// Not TOML of the expected shape.
        Malformed(problem: TomlProblem) "{problem}; see the comments at its head" "{problem}；写法见文件开头的说明";
        /// The same id or number twice.
        Twice(name: String) "{name} is named twice" "{name} 出现两次";
        /// An id that cannot be a file's name.
        UnsafeId(name: String)
            "the id of {name} cannot name a file: 1 to {ID_BYTES_MAX} bytes, no `/`, no control characters, no leading dot"
            "{name} 的 id 不能用作文件名：须为 1 至 {ID_BYTES_MAX} 字节，不含 `/` 和控制字符，不以点开头";
        /// A name that stands for nothing.
        Unknown { at: String, name: String } "{at} names {name}, which does not exist" "{at} 所指的 {name} 不存在";
        /// Too many of something.
        TooMany { what: Items, limit: usize } "more {what} than the limit of {limit}" "{what}超过上限 {limit}";
        /// A ruleset in which no rule might fire.
        NoLastRule(ruleset: String)
            "ruleset {ruleset}: the last rule must have no bounds, so that every row has a rule"
            "规则集 {ruleset}：最后一条规则不得设界限，使每一行都有规则可依";
        /// A rule that decides `deferred`, which only missing channels can.
        RuleDefers(rule: String)
            "rule {rule} decides deferred, which only missing channels can"
            "规则 {rule} 的结论为 deferred（暂缓），而暂缓只能由渠道缺席引起";
        /// The matcher has a channel or roster, the aggregator a roster, or two servers are one member.
        NotIndependent(dependence: Dependence)
            "the servers are not independent: {dependence}"
            "各服务器不独立：{dependence}";
        /// A department that has left, and something of its own.
        Left(id: String)
            "department {id} has left, but has channels, a roster or a server: give these to others or take them out"
            "部门 {id} 已退出，却仍有渠道、名册或服务器：请移交或删除";
        /// A roster owner is not in exactly one pool group.
        Groups(owner: String)
            "roster owner {owner} is not in exactly one pool group, or a group names a department without rosters"
            "待遇部门 {owner} 未恰好列入一个数据池分组，或分组中有无名册的部门";
        /// A class whose bit would name a department.
        ClassTooSmall { matter: String, class: Class }
            "matter {matter}: class {class} has, without the owner's own, fewer than three channels or all in one \
             department; add channels, leave the class out, or list its channels as exposed"
            "事项 {matter}：除待遇部门自己的渠道外，类别 {class} 的渠道不足三个，或都属同一部门；请增加渠道，或不用该类别，\
             或将其渠道列入 exposed";
        /// Nothing could be audited, or decisions would be gone before what they rest on.
        Retention { days: u64, decisions: u64 }
            "retention_days = {days}, decision_retention_days = {decisions}: the first must be at least 1, the second not \
             less than the first"
            "retention_days = {days}，decision_retention_days = {decisions}：前者至少为 1，后者不得小于前者";
        /// Two matters whose difference would name a department.
        MattersTooAlike { matter: String, other: String, class: Class }
            "matters {matter} and {other}: the channels of class {class} that apply to only one of them are, without the \
             owner's own, fewer than three or all in one department; a person on both rosters would show which channel \
             it was"
            "事项 {matter} 与 {other}：除待遇部门自己的渠道外，类别 {class} 中只适用于其一的渠道不足三个，或都属同一部门；\
             同在两份名册的人会暴露是哪个渠道";
    }
}

crate::texts! {
    /// What a catalogue may have too many of.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Items {
        Departments "departments" "部门数";
        Channels "channels" "渠道数";
        Matters "matters" "事项数";
        Days "days in a term or window" "期限或窗口的天数";
        Rules "rules in a ruleset" "规则集中的规则数";
        Bound "counts in a bound of a rule" "规则界限中的计数";
        Groups "pool groups" "数据池分组数";
        Tags "tags in a pool's size class" "数据池分级的标签数";
    }
}

crate::texts! {
    /// How servers depend on each other.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Dependence {
        MatcherIsDepartment(id: String) "the matcher {id} is also a department" "匹配方 {id} 同时是一个部门";
        OneMember "aggregator and coordinator are one member" "汇总方与协调方是同一成员";
        AggregatorOwns(id: String) "the aggregator {id} owns rosters" "汇总方 {id} 拥有名册";
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Policy, PolicyError> {
    let file: File = parse_toml(bytes).map_err(PolicyError::Malformed)?;
    bounded(Items::Departments, file.department.len(), MEMBERS_MAX - 1)?;
    bounded(Items::Channels, file.channel.len(), POLICY_ITEMS_MAX)?;
    bounded(Items::Matters, file.matter.len(), POLICY_ITEMS_MAX)?;
    let step = file.policy.pool_size_step.map_or(0, NonZeroU64::get);
    bounded(Items::Tags, step, POOL_SIZE_STEP_MAX)?;
    days(&file)?;
    safe(&file)?;
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
    gone(&policy)?;
    Ok(policy)
}

type Names<'a> = BTreeMap<&'a str, MemberNumber>;

fn bounded(what: Items, found: impl TryInto<usize>, limit: usize) -> Result<(), PolicyError> {
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
    bounded(Items::Days, longest, DAYS_MAX)
}

fn exposed(file: &File) -> Result<(), PolicyError> {
    let unknown = file.policy.exposed.iter().find(|id| !file.channel.iter().any(|channel| channel.id == **id));
    unknown.map_or(Ok(()), |name| Err(PolicyError::Unknown { at: "exposed".into(), name: name.clone() }))
}

/// Ids name files and folders.
fn safe(file: &File) -> Result<(), PolicyError> {
    let safe = |id: &str| {
        let characters = !id.starts_with('.') && !id.contains(|c: char| c == '/' || c.is_control());
        characters && (1..=ID_BYTES_MAX).contains(&id.len())
    };
    let members =
        file.department.iter().map(|d| ("department", &d.id)).chain([("matcher", &file.federation.matcher.id)]);
    let channels = file.channel.iter().map(|c| ("channel", &c.id));
    let matters = file.matter.iter().map(|m| ("matter", &m.id));
    match members.chain(channels).chain(matters).find(|(_, id)| !safe(id)) {
        Some((kind, id)) => Err(PolicyError::UnsafeId(format!("{kind} {id:?}"))),
        None => Ok(()),
    }
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
            name: name(&channel.id, &channel.name_en, &channel.name_zh),
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

/// Whatever has no name in a language goes by its id.
fn name(id: &str, english: &str, chinese: &str) -> Name {
    let [english, chinese] = [english, chinese].map(|name| if name.is_empty() { id } else { name }.to_owned());
    Name { english, chinese }
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
            name: name(&matter.id, &matter.name_en, &matter.name_zh),
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
    bounded(Items::Rules, ruleset.rules.len(), RULES_MAX)?;
    let rules: Vec<Rule> = ruleset.rules.iter().map(RuleToml::read).collect();
    if let Some(rule) = rules.iter().find(|rule| rule.decide == Decision::Deferred) {
        return Err(PolicyError::RuleDefers(rule.id.clone()));
    }
    let bounds = || ruleset.rules.iter().flat_map(|rule| rule.at_least.values().chain(rule.at_most.values()));
    if bounds().any(|bound| *bound >= CAP_MAX) {
        return Err(PolicyError::TooMany { what: Items::Bound, limit: CAP_MAX as usize - 1 });
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
    let count = u8::try_from(lists.len()).map_err(|_| PolicyError::TooMany { what: Items::Groups, limit: 255 })?;
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
    let refuse = |dependence| Err(PolicyError::NotIndependent(dependence));
    if policy.departments.iter().any(|department| department.id == policy.matcher) {
        return refuse(Dependence::MatcherIsDepartment(policy.matcher.clone()));
    }
    if policy.aggregator == policy.coordinator {
        return refuse(Dependence::OneMember);
    }
    if policy.departments[usize::from(policy.aggregator)].roster_owner {
        return refuse(Dependence::AggregatorOwns(policy.member_id(policy.aggregator).to_owned()));
    }
    Ok(())
}

/// A department that has left holds only its number.
fn gone(policy: &Policy) -> Result<(), PolicyError> {
    let busy = |(number, department): &(MemberNumber, &Department)| {
        let serves = *number == policy.coordinator || *number == policy.aggregator;
        department.left && (serves || department.roster_owner || policy.channels_of(*number).next().is_some())
    };
    let found = (0..).zip(&policy.departments).find(busy);
    found.map_or(Ok(()), |(_, department)| Err(PolicyError::Left(department.id.clone())))
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
    #[serde(default)]
    left: bool,
}

impl From<DepartmentToml> for Department {
    fn from(d: DepartmentToml) -> Department {
        let name = name(&d.id, &d.name_en, &d.name_zh);
        Department { id: d.id, name, roster_owner: d.roster_owner, left: d.left }
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
#[expect(dead_code, reason = "estimates are part of the format")]
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
