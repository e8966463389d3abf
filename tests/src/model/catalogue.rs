//! `catalogue.toml`, as far as decisions depend on it, with every name resolved.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Decision, ModelError};

/// The policy.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) departments: Vec<Department>,
    pub(super) channels: Vec<Channel>,
    pub(super) matters: Vec<Matter>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Department {
    pub(super) id: String,
    pub(super) roster_owner: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) department: String,
    pub(super) class: Class,
    /// 0: no beginning.
    pub(super) window_days: u32,
    /// Agreed to be named by its bit.
    pub(super) exposed: bool,
}

/// A channel's strength and polarity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Class {
    StrongPositive,
    WeakPositive,
    StrongNegative,
    WeakNegative,
}

#[derive(Debug)]
pub(super) struct Matter {
    pub(super) id: String,
    pub(super) department: String,
    /// The channels that apply to it.
    pub(super) channels: Vec<Channel>,
    pub(super) rules: Rules,
}

/// Rules in order; `last` has no bounds, so that one always matches.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) bounded: Vec<Rule>,
    pub(super) last: Rule,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) id: String,
    #[serde(default)]
    pub(super) at_least: BTreeMap<Class, u32>,
    #[serde(default)]
    pub(super) at_most: BTreeMap<Class, u32>,
    pub(super) decide: Decision,
}

impl Catalogue {
    /// Reads and resolves the text; refuses names that are unknown or declared twice, and rules without a last one.
    pub(super) fn parse(text: &str) -> Result<Self, ModelError> {
        let written: Written = toml::from_str(text).map_err(|e| ModelError::Catalogue(e.to_string()))?;
        let departments = distinct(written.department.iter().map(|d| d.id.as_str()))?;
        let channel_ids = distinct(written.channel.iter().map(|c| c.id.as_str()))?;
        distinct(written.matter.iter().map(|m| m.id.as_str()))?;
        distinct(written.ruleset.iter().map(|r| r.id.as_str()))?;
        known(&written.policy.exposed, &channel_ids)?;
        known(written.channel.iter().map(|c| &c.department), &departments)?;
        known(written.matter.iter().map(|m| &m.department), &departments)?;
        for matter in &written.matter {
            known(matter.channels.named(), &channel_ids)?;
        }
        let channels: Vec<Channel> = written.channel.iter().map(|c| c.resolve(&written.policy.exposed)).collect();
        let matters =
            written.matter.iter().map(|m| m.resolve(&channels, &written.ruleset)).collect::<Result<_, _>>()?;
        Ok(Self { departments: written.department, channels, matters })
    }

    /// The matters of one roster owner.
    pub(super) fn matters_of(&self, department: &str) -> impl Iterator<Item = &Matter> {
        self.matters.iter().filter(move |m| m.department == department)
    }
}

impl Class {
    pub(super) const ALL: [Self; 4] =
        [Self::StrongPositive, Self::WeakPositive, Self::StrongNegative, Self::WeakNegative];
}

/// The file as it is written; what decisions do not depend on is not read.
#[derive(Deserialize)]
struct Written {
    policy: WrittenPolicy,
    ruleset: Vec<WrittenRuleset>,
    department: Vec<Department>,
    channel: Vec<WrittenChannel>,
    matter: Vec<WrittenMatter>,
}

#[derive(Deserialize)]
struct WrittenPolicy {
    #[serde(default)]
    exposed: Vec<String>,
}

#[derive(Deserialize)]
struct WrittenRuleset {
    id: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct WrittenChannel {
    id: String,
    department: String,
    polarity: Polarity,
    strength: Strength,
    window_days: u32,
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
struct WrittenMatter {
    id: String,
    department: String,
    channels: Applying,
    ruleset: String,
}

/// `"all"`, `{ except = [..] }` or `{ only = [..] }`.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Applying {
    All,
    Except(Vec<String>),
    Only(Vec<String>),
}

impl WrittenChannel {
    fn resolve(&self, exposed: &[String]) -> Channel {
        let class = match (self.strength, self.polarity) {
            (Strength::Strong, Polarity::Positive) => Class::StrongPositive,
            (Strength::Weak, Polarity::Positive) => Class::WeakPositive,
            (Strength::Strong, Polarity::Negative) => Class::StrongNegative,
            (Strength::Weak, Polarity::Negative) => Class::WeakNegative,
        };
        Channel {
            id: self.id.clone(),
            department: self.department.clone(),
            class,
            window_days: self.window_days,
            exposed: exposed.contains(&self.id),
        }
    }
}

impl WrittenMatter {
    fn resolve(&self, channels: &[Channel], rulesets: &[WrittenRuleset]) -> Result<Matter, ModelError> {
        let ruleset = rulesets.iter().find(|r| r.id == self.ruleset).ok_or_else(|| unknown(&self.ruleset))?;
        Ok(Matter {
            id: self.id.clone(),
            department: self.department.clone(),
            channels: channels.iter().filter(|c| self.channels.has(&c.id)).cloned().collect(),
            rules: ruleset.resolve()?,
        })
    }
}

impl Applying {
    fn has(&self, channel: &String) -> bool {
        match self {
            Self::All => true,
            Self::Except(ids) => !ids.contains(channel),
            Self::Only(ids) => ids.contains(channel),
        }
    }

    fn named(&self) -> &[String] {
        match self {
            Self::All => &[],
            Self::Except(ids) | Self::Only(ids) => ids,
        }
    }
}

impl WrittenRuleset {
    fn resolve(&self) -> Result<Rules, ModelError> {
        match self.rules.split_last() {
            Some((last, bounded)) if last.at_least.is_empty() && last.at_most.is_empty() => {
                Ok(Rules { bounded: bounded.to_vec(), last: last.clone() })
            }
            _ => Err(ModelError::Catalogue(format!("the last rule of `{}` has bounds", self.id))),
        }
    }
}

fn distinct<'a>(ids: impl Iterator<Item = &'a str>) -> Result<BTreeSet<&'a str>, ModelError> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(ModelError::Catalogue(format!("`{id}` is declared twice")));
        }
    }
    Ok(seen)
}

fn known<'a>(ids: impl IntoIterator<Item = &'a String>, declared: &BTreeSet<&str>) -> Result<(), ModelError> {
    match ids.into_iter().find(|id| !declared.contains(id.as_str())) {
        None => Ok(()),
        Some(id) => Err(unknown(id)),
    }
}

fn unknown(id: &str) -> ModelError {
    ModelError::Catalogue(format!("`{id}` is not declared"))
}
