//! A second reading of the policy's specification, written for clarity alone: every possible answer of the missing
//! channels is tried, channel by channel, without caps.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use proptest::prelude::*;
use wugan_protocol::policy::{Class, Counts, Decision, Matter, Policy, PolicyError, Rule};

/// A matter in a round, as the specification has it.
pub(crate) struct Model {
    pub(crate) present: Vec<u16>,
    pub(crate) available: Counts,
    answers: Vec<Counts>,
    rules: Vec<Rule>,
    known: RefCell<BTreeMap<Counts, (u8, Decision)>>,
}

/// Section 1: without the owner's own, at least three channels, not all in one department.
fn hides(sources: impl Iterator<Item = u16>, owner: u16) -> bool {
    let others: Vec<u16> = sources.filter(|source| *source != owner).collect();
    others.len() >= 3 && others.iter().any(|source| *source != others[0])
}

impl Model {
    pub(crate) fn new(policy: &Policy, matter: &Matter, list: &BTreeSet<u16>) -> Model {
        let mut present = Vec::new();
        let mut missing = Vec::new();
        for class in Class::ALL {
            let all: Vec<_> =
                matter.channels.iter().map(|i| &policy.channels[*i]).filter(|c| c.class == class).collect();
            let here = || all.iter().filter(|channel| list.contains(&channel.number));
            let kept = all.iter().all(|c| c.exposed) || hides(here().map(|c| c.source), matter.owner);
            for channel in &all {
                let counts = kept && list.contains(&channel.number);
                (if counts { &mut present } else { &mut missing }).push((channel.number, class));
            }
        }
        let mut available = [0; 4];
        present.iter().for_each(|(_, class)| available[class.index()] += 1);
        let mut numbers: Vec<u16> = present.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        let rules = policy.rules(matter).to_vec();
        Model { present: numbers, available, answers: answers(&missing), rules, known: RefCell::default() }
    }

    /// The largest of `at_least` and `at_most` + 1, class by class.
    pub(crate) fn caps(&self) -> Counts {
        let mut caps = [0; 4];
        for rule in &self.rules {
            for (class, cap) in caps.iter_mut().enumerate() {
                *cap = (*cap).max(rule.at_least[class]).max(rule.at_most[class].map_or(0, |most| most + 1));
            }
        }
        caps
    }

    /// The decision byte and the decision.
    pub(crate) fn outcome(&self, counts: Counts) -> (u8, Decision) {
        *self.known.borrow_mut().entry(counts).or_insert_with(|| {
            let rule = self.fires(counts);
            let decide = |rule: usize| self.rules[rule].decide;
            let total = |answer: &Counts| std::array::from_fn(|c| counts[c] + answer[c]);
            let stands = self.answers.iter().all(|answer| decide(self.fires(total(answer))) == decide(rule));
            if stands { (rule as u8, decide(rule)) } else { (255, Decision::Deferred) }
        })
    }

    /// Smallest total, then lexicographically smallest, with the same decision byte.
    pub(crate) fn lowest(&self, counts: Counts) -> Counts {
        let (caps, byte) = (self.caps(), self.outcome(counts).0);
        let most = std::array::from_fn(|c| caps[c].min(self.available[c]));
        let same = counts_up_to(most).filter(|other| self.outcome(*other).0 == byte);
        same.min_by_key(|other| (other.iter().sum::<u32>(), *other)).expect("the capped vector itself")
    }

    fn fires(&self, counts: Counts) -> usize {
        let holds = |rule: &Rule| {
            (0..4).all(|c| {
                let most = rule.at_most[c].unwrap_or(u32::MAX);
                rule.at_least[c] <= counts[c] && counts[c] <= most
            })
        };
        self.rules.iter().position(holds).expect("a last rule without bounds")
    }
}

/// Every sum that the missing channels may add: each says yes or no.
fn answers(missing: &[(u16, Class)]) -> Vec<Counts> {
    let mut answers = BTreeSet::from([[0; 4]]);
    for (_, class) in missing {
        let yes: Vec<Counts> = answers
            .iter()
            .map(|answer| {
                let mut answer = *answer;
                answer[class.index()] += 1;
                answer
            })
            .collect();
        answers.extend(yes);
    }
    answers.into_iter().collect()
}

/// Every vector up to `most`.
pub(crate) fn counts_up_to(most: Counts) -> impl Iterator<Item = Counts> {
    let total: u32 = most.iter().map(|count| count + 1).product();
    (0..total).map(move |mut index| {
        most.map(|count| {
            let digit = index % (count + 1);
            index /= count + 1;
            digit
        })
    })
}

/// Unary, classes in order, least significant bit first; written as text first.
pub(crate) fn bits(counts: Counts, caps: Counts) -> Vec<u8> {
    let mut text = String::new();
    for (count, cap) in counts.into_iter().zip(caps) {
        (1..=cap).for_each(|i| text.push(if count >= i { '1' } else { '0' }));
    }
    let byte = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | (bit - b'0'));
    text.as_bytes().chunks(8).map(byte).collect()
}

/// A small policy, drawn at random. Departments, channels and matters by place.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    /// Whether each department owns rosters.
    pub(crate) owners: Vec<bool>,
    /// Department, class and whether exposed.
    pub(crate) channels: Vec<(u16, usize, bool)>,
    /// Owner, and which channels apply.
    pub(crate) matters: Vec<(u16, Vec<bool>)>,
    /// Bounds and decision; the last rule has none.
    pub(crate) rules: Vec<(Counts, [Option<u32>; 4], usize)>,
}

impl Sketch {
    /// The policy as `catalogue.toml`.
    pub(crate) fn catalogue(&self) -> String {
        let mut rules = String::new();
        for (i, (least, most, decide)) in self.rules.iter().enumerate() {
            let bounds = |bounds: Vec<(usize, u32)>| {
                let each = bounds.iter().map(|(c, n)| format!("{} = {n}", Class::ALL[*c].name()));
                each.collect::<Vec<_>>().join(", ")
            };
            let least = bounds(least.iter().copied().enumerate().filter(|(_, n)| *n > 0).collect());
            let most = bounds(most.iter().enumerate().filter_map(|(c, n)| n.map(|n| (c, n))).collect());
            let decide = Decision::ALL[*decide].name();
            let _ = writeln!(
                rules,
                "{{ id = \"r{i}\", at_least = {{ {least} }}, at_most = {{ {most} }}, decide = \"{decide}\" }},"
            );
        }
        self.catalogue_with(&(rules + "{ id = \"last\", decide = \"unmatched\" },"))
    }

    /// The same with these rules.
    pub(crate) fn catalogue_with(&self, rules: &str) -> String {
        let exposed = self.channels.iter().enumerate().filter(|(_, (.., exposed))| *exposed);
        let exposed: Vec<String> = exposed.map(|(i, _)| format!("\"c{i}\"")).collect();
        let mut text = format!(
            "[policy]\nname = \"n\"\nversion = 1\ndays_between_rounds = 0\nretention_days = 1\n\
             decision_retention_days = 1\nexposed = [{}]\n[federation]\ncoordinator = \"d0\"\naggregator = \"d1\"\n\
             matcher = {{ id = \"m\", name_zh = \"\", name_en = \"\" }}\n[[ruleset]]\nid = \"s\"\nrules = [{rules}]\n",
            exposed.join(", ")
        );
        for (i, owner) in self.owners.iter().enumerate() {
            let _ =
                writeln!(text, "[[department]]\nid = \"d{i}\"\nname_zh = \"\"\nname_en = \"\"\nroster_owner = {owner}");
        }
        for (i, (department, class, _)) in self.channels.iter().enumerate() {
            let (strength, polarity) = Class::ALL[*class].name().split_once('_').expect("two words");
            let _ = writeln!(
                text,
                "[[channel]]\nnumber = {}\nid = \"c{i}\"\ndepartment = \"d{department}\"\nname_zh = \"\"\n\
                 name_en = \"\"\npolarity = \"{polarity}\"\nstrength = \"{strength}\"\nwindow_days = 1\nrecords = 1",
                i + 1
            );
        }
        for (i, (owner, applies)) in self.matters.iter().enumerate() {
            let only: Vec<_> = (0..applies.len()).filter(|c| applies[*c]).map(|c| format!("\"c{c}\"")).collect();
            let _ = writeln!(
                text,
                "[[matter]]\nnumber = {}\nid = \"m{i}\"\ndepartment = \"d{owner}\"\nname_zh = \"\"\nname_en = \"\"\n\
                 kind = \"certify\"\nrecipients = 1\ncycle_months = 1\nchannels = {{ only = [{}] }}\nruleset = \"s\"",
                i + 1,
                only.join(", ")
            );
        }
        text
    }

    /// What section 1 has against it, in the order in which matters and classes stand.
    pub(crate) fn refusal(&self) -> Option<PolicyError> {
        for (m, (owner, applies)) in self.matters.iter().enumerate() {
            for (class, name) in Class::ALL.into_iter().enumerate() {
                let matter = || format!("m{m}");
                let channels = || (0..applies.len()).filter(|c| applies[*c] && self.channels[*c].1 == class);
                let exposed = channels().all(|c| self.channels[c].2);
                if !exposed && !hides(channels().map(|c| self.channels[c].0), *owner) {
                    return Some(PolicyError::ClassTooSmall { matter: matter(), class: name });
                }
                for (n, (_, others)) in self.matters.iter().enumerate().filter(|(_, (o, _))| o == owner) {
                    let only_here = channels().filter(|c| !others[*c] && !self.channels[*c].2);
                    let sources: Vec<u16> = only_here.map(|c| self.channels[c].0).filter(|s| s != owner).collect();
                    if !sources.is_empty() && !hides(sources.into_iter(), *owner) {
                        return Some(PolicyError::MattersTooAlike {
                            matter: matter(),
                            other: format!("m{n}"),
                            class: name,
                        });
                    }
                }
            }
        }
        None
    }
}

/// Small policies: five departments, up to eleven channels of few classes, up to three matters that mostly have all.
pub(crate) fn sketches() -> impl Strategy<Value = Sketch> {
    let classes = prop_oneof![
        3 => Just(vec![0]), 3 => Just(vec![0, 2]), 2 => Just(vec![1, 3]), 1 => Just(vec![0, 1, 2]), 1 => Just(vec![0, 1, 2, 3]),
    ];
    let channels = classes.prop_flat_map(|classes| {
        let channel = (0_u16..5, prop::sample::select(classes), prop::bool::weighted(0.15));
        prop::collection::vec(channel, 3..12)
    });
    let bounds = || [0_u32..5, 0..5, 0..5, 0..5].prop_map(|bounds| bounds.map(|bound| bound.saturating_sub(2)));
    let most = || prop::array::uniform4(prop::option::weighted(0.2, 0_u32..5));
    let least = prop_oneof![3 => bounds(), 1 => prop::array::uniform4(0_u32..5)];
    let rules = prop::collection::vec((least, most(), 0_usize..3), 1..5);
    (channels, rules).prop_flat_map(|(channels, rules)| {
        let whole = prop_oneof![2 => Just(true), 1 => any::<bool>()];
        let n = channels.len();
        let applies = whole
            .prop_flat_map(move |whole| prop::collection::vec(prop::bool::weighted(if whole { 1.0 } else { 0.8 }), n));
        let matters = prop::collection::vec((prop::sample::select(vec![0_u16, 2]), applies), 1..4);
        (Just(channels), matters, Just(rules)).prop_map(|(channels, matters, rules)| Sketch {
            owners: vec![true, false, true, false, false],
            channels,
            matters,
            rules,
        })
    })
}

/// One matter with up to 18 channels in each of two classes, or 6 in each of four; bounds up to 15.
pub(crate) fn deep_sketches() -> impl Strategy<Value = Sketch> {
    let shapes =
        prop_oneof![2 => Just((vec![0, 2], 18)), 2 => Just((vec![1, 3], 18)), 1 => Just((vec![0, 1, 2, 3], 6))];
    shapes.prop_flat_map(|(classes, most)| {
        let channels: Vec<_> = classes.iter().flat_map(|class| (0..most).map(|i| (1 + i % 4, *class, false))).collect();
        let bound = move |c: usize| {
            let most = if classes.contains(&c) { u32::from(most).min(15) } else { 0 };
            prop_oneof![1 => Just(0), 2 => 0..=most]
        };
        let bounds = move || [bound(0), bound(1), bound(2), bound(3)];
        let most = bounds().map(|bound| prop::option::weighted(0.3, bound));
        let rules = prop::collection::vec((bounds(), most, 0_usize..3), 1..12);
        (Just(channels), rules).prop_map(|(channels, rules)| Sketch {
            owners: vec![true, false, false, false, false],
            matters: vec![(0, vec![true; channels.len()])],
            channels,
            rules,
        })
    })
}
