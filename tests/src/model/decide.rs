//! From signals to decisions.

use std::collections::{BTreeMap, BTreeSet};

use super::Decision;
use super::catalogue::{Channel, Class, Matter, Rule, Rules};

/// The number of channels of each class, in the order of [`Class`].
type Counts = [u32; 4];

/// The channels that are missing at a matter: those of `missing` that apply to it, and all of each class of which,
/// without those and without the owner's own, fewer than three remain or all in one department, unless every channel
/// of the class is exposed.
pub(super) fn missing_at(matter: &Matter, missing: &BTreeSet<String>) -> BTreeSet<String> {
    let mut missing_here = BTreeSet::new();
    for class in Class::ALL {
        let of_class: Vec<&Channel> = matter.channels.iter().filter(|c| c.class == class).collect();
        let remaining: Vec<&&Channel> =
            of_class.iter().filter(|c| !missing.contains(&c.id) && c.department != matter.department).collect();
        let departments: BTreeSet<&str> = remaining.iter().map(|c| c.department.as_str()).collect();
        let is_hidden = remaining.len() >= 3 && departments.len() >= 2;
        let is_exposed = of_class.iter().all(|c| c.exposed);
        for channel in of_class {
            if missing.contains(&channel.id) || !(is_hidden || is_exposed) {
                missing_here.insert(channel.id.clone());
            }
        }
    }
    missing_here
}

/// The decision on a person at a matter, and the id of the rule that fired. `seen` holds the people of each channel
/// that takes part; `missing` is what [`missing_at`] answers for this matter.
pub(super) fn decide(
    matter: &Matter,
    person: &str,
    seen: &BTreeMap<String, BTreeSet<String>>,
    missing: &BTreeSet<String>,
) -> (Decision, String) {
    let has_record = |c: &Channel| seen.get(&c.id).is_some_and(|people| people.contains(person));
    let found = count(matter, |c| !missing.contains(&c.id) && has_record(c));
    let unanswered = count(matter, |c| missing.contains(&c.id));
    if possible_decisions(&matter.rules, &found, &unanswered).len() > 1 {
        return (Decision::Deferred, String::new());
    }
    let rule = first_matching(&matter.rules, &found);
    (rule.decide, rule.id.clone())
}

/// The channels with a record of the first negative class that the rule of a suspected person asks for.
pub(super) fn raised_by(
    matter: &Matter,
    person: &str,
    seen: &BTreeMap<String, BTreeSet<String>>,
    missing: &BTreeSet<String>,
) -> Option<BTreeSet<String>> {
    let (decision, id) = decide(matter, person, seen, missing);
    let rules = matter.rules.bounded.iter().chain([&matter.rules.last]);
    let rule = rules.into_iter().find(|rule| decision == Decision::Suspected && rule.id == id)?;
    let asked = |class: &Class| rule.at_least.get(class).is_some_and(|least| *least > 0);
    let class = [Class::StrongNegative, Class::WeakNegative].into_iter().find(asked)?;
    let met = |c: &&Channel| !missing.contains(&c.id) && seen.get(&c.id).is_some_and(|people| people.contains(person));
    let of_class = matter.channels.iter().filter(|channel| channel.class == class);
    Some(of_class.filter(met).map(|channel| channel.id.clone()).collect())
}

fn count(matter: &Matter, counts: impl Fn(&Channel) -> bool) -> Counts {
    let mut numbers = Counts::default();
    for channel in matter.channels.iter().filter(|c| counts(c)) {
        numbers[channel.class as usize] += 1;
    }
    numbers
}

/// The decisions under every possible answer of the channels that did not answer.
fn possible_decisions(rules: &Rules, found: &Counts, unanswered: &Counts) -> BTreeSet<Decision> {
    let possible = |class: usize| found[class]..=found[class] + unanswered[class];
    let mut decisions = BTreeSet::new();
    for first in possible(0) {
        for second in possible(1) {
            for third in possible(2) {
                for fourth in possible(3) {
                    let counts = [first, second, third, fourth];
                    decisions.insert(first_matching(rules, &counts).decide);
                }
            }
        }
    }
    decisions
}

fn first_matching<'a>(rules: &'a Rules, counts: &Counts) -> &'a Rule {
    let holds = |rule: &&Rule| {
        rule.at_least.iter().all(|(class, bound)| counts[*class as usize] >= *bound)
            && rule.at_most.iter().all(|(class, bound)| counts[*class as usize] <= *bound)
    };
    rules.bounded.iter().find(holds).unwrap_or(&rules.last)
}
