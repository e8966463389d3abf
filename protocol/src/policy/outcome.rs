//! From counts to outcomes: which rule fires, when a decision is deferred, and the lowest vector that stands for it.

use std::collections::BTreeSet;

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
    missing: Counts,
    caps: Counts,
    rules: Vec<Rule>,
    owner: MemberNumber,
    lowest: Vec<Counts>,
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
        let mut round =
            MatterRound { present, available, missing, caps, rules, owner: matter.owner, lowest: Vec::new() };
        round.lowest = round.table();
        round
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

    /// The rule that fires if missing channels count 0.
    pub fn rule(&self, counts: Counts) -> u8 {
        let fires = |rule: &Rule| {
            (0..4).all(|c| counts[c] >= rule.at_least[c] && rule.at_most[c].is_none_or(|most| counts[c] <= most))
        };
        // The last rule of every ruleset has no bounds (the catalogue is refused otherwise).
        self.rules.iter().position(fires).unwrap_or(self.rules.len() - 1) as u8
    }

    /// What `counts` of the channels that are not missing leads to.
    pub fn outcome(&self, counts: Counts) -> Outcome {
        let rule = self.rule(counts);
        let decision = self.rules[usize::from(rule)].decide;
        // Beyond a cap no rule tells counts apart, so no answer beyond it needs a try.
        let most = std::array::from_fn(|c| self.missing[c].min(self.caps[c]));
        let changed = vectors(most).any(|answer| {
            let possible = std::array::from_fn(|c| counts[c] + answer[c]);
            self.rules[usize::from(self.rule(possible))].decide != decision
        });
        if changed { Outcome::Deferred } else { Outcome::Rule(rule) }
    }

    /// The decision that an outcome means here.
    pub fn decision(&self, outcome: Outcome) -> Decision {
        match outcome {
            Outcome::Rule(index) => self.rules[usize::from(index)].decide,
            Outcome::Deferred => Decision::Deferred,
        }
    }

    /// The lowest vector with the same outcome as `counts`: all that anyone learns of a row's signals.
    pub fn lowest(&self, counts: Counts) -> Counts {
        self.lowest[self.place(counts)]
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

    /// The lowest vector of every possible vector, at its place.
    fn table(&self) -> Vec<Counts> {
        let mut ordered: Vec<Counts> = vectors(self.most()).collect();
        ordered.sort_by_key(|counts| (counts.iter().sum::<u32>(), *counts));
        let outcomes: Vec<Outcome> = ordered.iter().map(|counts| self.outcome(*counts)).collect();
        let lowest = |outcome| outcomes.iter().position(|other| *other == outcome).map(|first| ordered[first]);
        let by_place = vectors(self.most()).map(|counts| lowest(self.outcome(counts)).unwrap_or(counts));
        by_place.collect()
    }

    /// The largest vector that can occur, each count capped.
    fn most(&self) -> Counts {
        std::array::from_fn(|c| self.caps[c].min(self.available[c]))
    }

    fn place(&self, counts: Counts) -> usize {
        let most = self.most();
        (0..4).fold(0, |place, c| place * (most[c] + 1) as usize + counts[c].min(most[c]) as usize)
    }
}

/// The largest of `at_least` and `at_most` + 1 over the rules, class by class.
pub(super) fn caps(rules: &[Rule]) -> Counts {
    std::array::from_fn(|c| {
        let bounds = rules.iter().flat_map(|rule| [rule.at_least[c], rule.at_most[c].map_or(0, |most| most + 1)]);
        bounds.max().unwrap_or(0).min(CAP_MAX)
    })
}

/// Every vector from 0 to `most`, in lexicographic order.
fn vectors(most: Counts) -> impl Iterator<Item = Counts> {
    let [a, b, c, d] = most;
    (0..=a).flat_map(move |a| (0..=b).flat_map(move |b| (0..=c).flat_map(move |c| (0..=d).map(move |d| [a, b, c, d]))))
}
