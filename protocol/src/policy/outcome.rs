//! From counts to outcomes: which rule fires, when a decision is deferred, and the lowest vector that stands for it.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Class, Counts, Decision, Matter, Policy, Rule,
    separation::{hides_departments, of_class},
};
use crate::{limits::CAP_MAX, party::MemberNumber};

/// The decision byte of a deferred row.
pub const DEFERRED: u8 = 255;

/// What the policy makes of a row: one byte of the decisions file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The rule with this index in the matter's ruleset fired, and no answer of a missing channel would change the
    /// decision.
    Rule(u8),
    /// Some answer of a missing channel would change the decision.
    Deferred,
}

impl Outcome {
    /// The decision byte.
    pub fn byte(self) -> u8 {
        match self {
            Outcome::Rule(index) => index,
            Outcome::Deferred => DEFERRED,
        }
    }
}

/// One matter in one round: which of its channels have pools, and what each vector of counts leads to.
#[derive(Clone, Debug)]
pub struct MatterRound {
    present: Vec<u16>,
    available: Counts,
    caps: Counts,
    rules: Vec<Rule>,
    owner: MemberNumber,
    /// The decision byte of every vector up to the caps, in lexicographic order.
    outcomes: Arc<[u8]>,
    /// The lowest vector of every decision byte that a row here can have.
    lowest: Arc<[Counts]>,
}

impl MatterRound {
    /// The matter when exactly the channels on `list` have pools.
    pub(super) fn new(policy: &Policy, matter: &Matter, list: &BTreeSet<u16>) -> MatterRound {
        let (mut present, mut available, mut missing) = (Vec::new(), [0; 4], [0; 4]);
        for class in Class::ALL {
            let channels = || of_class(policy, matter, class);
            let remaining = || channels().filter(|channel| list.contains(&channel.number));
            let counts = channels().all(|channel| channel.exposed) || hides_departments(remaining(), matter.owner);
            let here: Vec<u16> = remaining().filter(|_| counts).map(|channel| channel.number).collect();
            available[class.index()] = here.len() as u32;
            missing[class.index()] = (channels().count() - here.len()) as u32;
            present.extend(here);
        }
        present.sort_unstable();
        let rules = policy.rules(matter).to_vec();
        let caps = caps(&rules);
        let outcomes: Arc<[u8]> = outcomes(&rules, caps, missing).into();
        let lowest = lowest(&outcomes, caps, available).into();
        MatterRound { present, available, caps, rules, owner: matter.owner, outcomes, lowest }
    }

    /// Numbers of the channels that are not missing at this matter, ascending.
    pub fn present(&self) -> &[u16] {
        &self.present
    }

    /// How many channels of each class are not missing here.
    pub fn available(&self) -> Counts {
        self.available
    }

    /// The largest count of each class that the rules can tell from a smaller one.
    pub fn caps(&self) -> Counts {
        self.caps
    }

    /// The matter's owner.
    pub fn owner(&self) -> MemberNumber {
        self.owner
    }

    /// What `counts` of the channels that are not missing leads to.
    pub fn outcome(&self, counts: Counts) -> Outcome {
        match self.outcomes[place(counts, self.caps)] {
            DEFERRED => Outcome::Deferred,
            rule => Outcome::Rule(rule),
        }
    }

    /// The decision that an outcome means here.
    pub fn decision(&self, outcome: Outcome) -> Decision {
        match outcome {
            Outcome::Rule(index) => self.rules[usize::from(index)].decide,
            Outcome::Deferred => Decision::Deferred,
        }
    }

    /// Whether a row with these counts is suspected because of records of a class.
    pub fn suspects_for(&self, counts: Counts, class: Class) -> bool {
        match self.outcome(least(counts, self.available)) {
            Outcome::Rule(index) => self.rules[usize::from(index)].suspects_for(class),
            Outcome::Deferred => false,
        }
    }

    /// Whether some row can have this decision here.
    pub fn can_decide(&self, decision: Decision) -> bool {
        let rules = (0..self.rules.len()).map(|index| Outcome::Rule(index as u8));
        let reached = |outcome: &Outcome| self.outcome(self.lowest[usize::from(outcome.byte())]) == *outcome;
        rules.chain([Outcome::Deferred]).filter(reached).any(|outcome| self.decision(outcome) == decision)
    }

    /// The lowest vector with the same outcome as `counts`: all that anyone learns of a row's signals.
    pub fn lowest(&self, counts: Counts) -> Counts {
        let possible = least(counts, self.available);
        self.lowest[usize::from(self.outcome(possible).byte())]
    }

    /// Bytes of one row in the bits file.
    pub fn row_bytes(&self) -> usize {
        self.caps.iter().sum::<u32>().div_ceil(8) as usize
    }

    /// The signal bits of a row: the unary form of a lowest vector.
    pub fn encode(&self, lowest: Counts, row: &mut [u8]) {
        row.fill(0);
        let mut first = 0;
        for (count, cap) in lowest.into_iter().zip(self.caps) {
            (first..first + count).for_each(|bit| row[(bit / 8) as usize] |= 1 << (bit % 8));
            first += cap;
        }
    }

    /// Reads signal bits; `None` for bits that are not the unary form of a lowest vector.
    pub fn decode(&self, row: &[u8]) -> Option<Counts> {
        if row.len() != self.row_bytes() {
            return None;
        }
        let mut counts = [0; 4];
        let mut first = 0;
        for (count, cap) in counts.iter_mut().zip(self.caps) {
            let set = |bit: &u32| row[(*bit / 8) as usize] >> (*bit % 8) & 1 == 1;
            *count = (first..first + cap).take_while(set).count() as u32;
            first += cap;
        }
        let mut again = vec![0; self.row_bytes()];
        self.encode(counts, &mut again);
        let possible = (0..4).all(|c| counts[c] <= self.available[c]);
        (again == row && possible && self.lowest(counts) == counts).then_some(counts)
    }
}

/// The largest of `at_least` and `at_most` + 1 over the rules, class by class.
pub(super) fn caps(rules: &[Rule]) -> Counts {
    std::array::from_fn(|c| {
        let bounds = rules.iter().flat_map(|rule| [rule.at_least[c], rule.at_most[c].map_or(0, |most| most + 1)]);
        bounds.max().unwrap_or(0).min(CAP_MAX)
    })
}

/// The decision byte of every vector up to the caps, in lexicographic order.
fn outcomes(rules: &[Rule], caps: Counts, missing: Counts) -> Vec<u8> {
    let fired = fired(rules, caps);
    let decision = |rule: &u8| 1 << rules[usize::from(*rule)].decide as u8;
    let mut decisions: Vec<u8> = fired.iter().map(decision).collect();
    for class in Class::ALL {
        add_answers(&mut decisions, caps, class, missing[class.index()]);
    }
    let outcome = |(rule, decisions): (u8, u8)| if decisions.is_power_of_two() { rule } else { DEFERRED };
    fired.into_iter().zip(decisions).map(outcome).collect()
}

/// The first rule whose every bound holds, for every vector up to the caps.
fn fired(rules: &[Rule], caps: Counts) -> Vec<u8> {
    let holds =
        |rule: &Rule, c: usize, count| count >= rule.at_least[c] && rule.at_most[c].is_none_or(|most| count <= most);
    // A set of rules has a bit for each: many rules take no longer than few.
    let holding =
        |c, count| (0..).zip(rules).fold(0, |set, (bit, rule)| set | u128::from(holds(rule, c, count)) << bit);
    let sets: [Vec<u128>; 4] = std::array::from_fn(|c| (0..=caps[c]).map(|count| holding(c, count)).collect());
    let all_hold = |counts: Counts| (0..4).fold(u128::MAX, |set, c| set & sets[c][counts[c] as usize]);
    // The last rule of every ruleset has no bounds (the catalogue is refused otherwise), so that a bit is set.
    vectors(caps).map(|counts| all_hold(counts).trailing_zeros() as u8).collect()
}

/// Joins to the decisions (a bit each) of every vector those of all vectors with up to `missing` more in this class.
fn add_answers(decisions: &mut [u8], caps: Counts, class: Class, missing: u32) {
    let widths = caps.map(|cap| cap as usize + 1);
    let step: usize = widths[class.index() + 1..].iter().product();
    // Beyond the cap no rule tells counts apart.
    let missing = missing.min(caps[class.index()]) as usize;
    for block in decisions.chunks_exact_mut(step * widths[class.index()]) {
        let mut joined = 0;
        while joined < missing {
            let further = (joined + 1).min(missing - joined);
            (further * step..block.len()).for_each(|above| block[above - further * step] |= block[above]);
            joined += further;
        }
    }
}

/// For every decision byte, the lowest of the possible vectors that lead to it: the smallest total, then the
/// lexicographically smallest.
fn lowest(outcomes: &[u8], caps: Counts, available: Counts) -> Vec<Counts> {
    let most = least(caps, available);
    let total = |counts: Counts| counts.iter().sum::<u32>();
    let mut lowest = vec![most; 256];
    for counts in vectors(most) {
        let known = &mut lowest[usize::from(outcomes[place(counts, caps)])];
        if total(counts) < total(*known) {
            *known = counts;
        }
    }
    lowest
}

/// The place of a vector, capped, in the order of [`vectors`].
fn place(counts: Counts, caps: Counts) -> usize {
    (0..4).fold(0, |place, c| place * (caps[c] + 1) as usize + counts[c].min(caps[c]) as usize)
}

fn least(counts: Counts, others: Counts) -> Counts {
    std::array::from_fn(|c| counts[c].min(others[c]))
}

/// Every vector from 0 to `most`, in lexicographic order.
fn vectors(most: Counts) -> impl Iterator<Item = Counts> {
    let [a, b, c, d] = most;
    (0..=a).flat_map(move |a| (0..=b).flat_map(move |b| (0..=c).flat_map(move |c| (0..=d).map(move |d| [a, b, c, d]))))
}
