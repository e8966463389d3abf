//! The people of the rosters: who they are, which matters they receive, when they join and die.

use super::CityPlan;
use super::calendar::{Calendar, Day};
use super::catalogue::{Catalogue, Kind, Matter};
use super::number::{Number, Numbers};
use super::rng::Rng;

/// Somebody who is, or may come to be, on a roster.
pub(super) struct Person {
    pub(super) number: Number,
    /// [`NEVER`] within the time of the plan, for most.
    pub(super) death: Day,
    /// The first month (of the plan, from 0) in which the person is on rosters, and the first in which no more.
    joined: u8,
    left: u8,
    grid: u8,
    village: u16,
    /// A person's standing chance: the lowest leave no trace in any channel.
    pub(super) luck: u16,
}

/// All people, and the members of each matter (in the catalogue's order) as indices of people.
pub(super) struct Population {
    pub(super) people: Vec<Person>,
    pub(super) members: Vec<Vec<u32>>,
}

impl Person {
    /// Whether the person is on rosters in that month of the plan.
    pub(super) fn is_listed(&self, month: usize) -> bool {
        (usize::from(self.joined)..usize::from(self.left)).contains(&month)
    }

    /// `V0001` and `V0001-G03`.
    pub(super) fn address(&self) -> (String, String) {
        let village = format!("V{:04}", self.village);
        let grid = format!("{village}-G{:02}", self.grid);
        (village, grid)
    }
}

impl Population {
    /// The first month's people, and for each later month about 1 % newcomers.
    pub(super) fn new(plan: &CityPlan, catalogue: &Catalogue, calendar: &Calendar) -> Self {
        let mut builder = Builder {
            villages: (plan.people as f64 * SEED_CITY_VILLAGES / super::SEED_CITY_PEOPLE as f64).round().max(1.0)
                as u64,
            rng: Rng::new(plan.seed, "people"),
            numbers: Numbers::new(calendar),
            calendar,
            population: Self { people: Vec::new(), members: vec![Vec::new(); catalogue.matters.len()] },
        };
        builder.add(catalogue, 0, plan.people, |matter, _| first_size(matter, plan.people));
        for month in 1..plan.rounds as u8 {
            let newcomers = builder.rng.round(plan.people as f64 / NEWCOMERS_ONE_IN);
            let scale = newcomers as f64 / super::SEED_CITY_PEOPLE as f64;
            builder.add(catalogue, month, newcomers, |matter, rng| rng.round(matter.recipients as f64 * scale));
        }
        builder.population
    }

    /// How many people are members of a matter that `counts`, and fit `who`.
    pub(super) fn count(
        &self,
        catalogue: &Catalogue,
        counts: impl Fn(&Matter) -> bool,
        who: impl Fn(&Person) -> bool,
    ) -> u64 {
        let mut listed = vec![false; self.people.len()];
        for (_, members) in catalogue.matters.iter().zip(&self.members).filter(|(matter, _)| counts(matter)) {
            for &person in members {
                listed[person as usize] |= who(&self.people[person as usize]);
            }
        }
        listed.into_iter().filter(|&l| l).count() as u64
    }
}

/// The size of a matter in the first month: in proportion, but a few where the city is large enough.
fn first_size(matter: &Matter, people: u64) -> u64 {
    let size = (matter.recipients as f64 * people as f64 / super::SEED_CITY_PEOPLE as f64).round() as u64;
    size.max(FEW.min(people / 100)).max(1)
}

struct Builder<'a> {
    villages: u64,
    rng: Rng,
    numbers: Numbers,
    calendar: &'a Calendar,
    population: Population,
}

/// The people who join in one month, by their place behind `start`.
struct Cohort {
    start: usize,
    ages: Vec<u8>,
    /// Whether the person is in a matter already.
    placed: Vec<bool>,
    /// The exclusive groups in which the person is (bits of [`Rule::group`]).
    groups: Vec<u8>,
}

impl Builder<'_> {
    /// Adds one month's people: `count` recipients, and the people who are on outreach lists only.
    fn add(&mut self, catalogue: &Catalogue, month: u8, count: u64, size: impl Fn(&Matter, &mut Rng) -> u64) {
        let mut cohort =
            Cohort { start: self.population.people.len(), ages: Vec::new(), placed: Vec::new(), groups: Vec::new() };
        for _ in 0..count {
            let age = draw_age(&mut self.rng);
            self.person(&mut cohort, age, month);
        }
        let mut order: Vec<usize> = (0..catalogue.matters.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(catalogue.matters[at].recipients));
        for kind in [Kind::Certify, Kind::Outreach] {
            for &at in order.iter().filter(|&&at| catalogue.matters[at].kind == kind) {
                let matter = &catalogue.matters[at];
                let wanted = size(matter, &mut self.rng) as usize;
                match kind {
                    Kind::Certify => self.choose(&mut cohort, at, Rule::of(&matter.id), wanted),
                    Kind::Outreach => self.outreach(&mut cohort, at, Rule::of(&matter.id), wanted, month),
                }
            }
        }
    }

    fn person(&mut self, cohort: &mut Cohort, age: u8, month: u8) {
        let rng = &mut self.rng;
        let birth = self.calendar.first_end() - u32::from(age) * 1461 / 4 - rng.days(365) - 1;
        let number = self.numbers.give(birth, rng);
        let (death, left) = draw_death(rng, self.calendar, month);
        let (village, grid) = (1 + rng.below(self.villages) as u16, 1 + rng.below(GRIDS_PER_VILLAGE) as u8);
        self.population.people.push(Person {
            number,
            death,
            joined: month,
            left,
            grid,
            village,
            luck: rng.next() as u16,
        });
        cohort.ages.push(age);
        cohort.placed.push(false);
        cohort.groups.push(0);
    }

    /// Puts `wanted` people of the cohort on a matter: those who fit its rule, more than half of them people without a matter so far; if nobody fits, anybody.
    fn choose(&mut self, cohort: &mut Cohort, matter: usize, rule: Rule, wanted: usize) {
        let rng = &mut self.rng;
        let mut fitting: Vec<u32> =
            (0..cohort.ages.len()).filter(|&at| cohort.fits(at, rule, rng)).map(|at| at as u32).collect();
        if fitting.is_empty() {
            fitting = (0..cohort.ages.len() as u32).collect();
        }
        let (mut fresh, mut known): (Vec<u32>, Vec<u32>) =
            fitting.into_iter().partition(|&at| !cohort.placed[at as usize]);
        let of_fresh = (wanted * 3 / 5).max(wanted.saturating_sub(known.len())).min(fresh.len());
        let of_known = (wanted - of_fresh).min(known.len());
        rng.sample(&mut fresh, of_fresh);
        rng.sample(&mut known, of_known);
        let first = self.population.members[matter].len();
        for &at in fresh[..of_fresh].iter().chain(&known[..of_known]) {
            cohort.place(at as usize, rule);
            self.population.members[matter].push(cohort.start as u32 + at);
        }
        rng.sample(&mut self.population.members[matter][first..], of_fresh + of_known);
    }

    /// An outreach list: a tenth are recipients of something else, the others are people of their own.
    fn outreach(&mut self, cohort: &mut Cohort, matter: usize, rule: Rule, wanted: usize, month: u8) {
        let first = self.population.members[matter].len();
        let rng = &mut self.rng;
        let mut fitting: Vec<usize> = (0..cohort.ages.len()).filter(|&at| cohort.fits(at, rule, rng)).collect();
        let known = (wanted / 10).min(fitting.len());
        rng.sample(&mut fitting, known);
        fitting.truncate(known);
        for _ in known..wanted {
            let age = rule.youngest + self.rng.below(u64::from(rule.oldest - rule.youngest) + 1) as u8;
            fitting.push(cohort.ages.len());
            self.person(cohort, age, month);
        }
        for at in fitting {
            cohort.place(at, rule);
            self.population.members[matter].push((cohort.start + at) as u32);
        }
        self.rng.sample(&mut self.population.members[matter][first..], wanted);
    }
}

impl Cohort {
    /// Whether a rule admits somebody; some receive two matters that exclude each other.
    fn fits(&self, at: usize, rule: Rule, rng: &mut Rng) -> bool {
        let apart = self.groups[at] & rule.group == 0;
        (rule.youngest..=rule.oldest).contains(&self.ages[at]) && (apart || rng.one_in(IMPROPER_ONE_IN))
    }

    fn place(&mut self, at: usize, rule: Rule) {
        self.placed[at] = true;
        self.groups[at] |= rule.group;
    }
}

/// Who may receive a matter. Matters that share a bit of `group` exclude each other.
#[derive(Clone, Copy)]
struct Rule {
    youngest: u8,
    oldest: u8,
    group: u8,
}

impl Rule {
    /// The rule of a matter of the seed city; anybody, for a matter that is not known here.
    fn of(matter: &str) -> Self {
        let (youngest, oldest, group) = match matter {
            "resident_pension" => (60, 100, PENSION),
            "employee_pension" => (50, 100, PENSION),
            "government_pension" => (55, 100, PENSION),
            "pension_coming_of_age" => (60, 61, PENSION),
            "premium_lapsed" => (45, 59, PENSION),
            "minimum_living" => (1, 100, POVERTY),
            "extreme_poverty" => (18, 100, POVERTY),
            "orphan_support" => (1, 17, 0),
            "public_post_allowance" => (18, 65, 0),
            "land_fertility_subsidy" | "veteran_pension" | "rental_subsidy" => (18, 100, 0),
            "rural_veteran_allowance"
            | "farm_technician_subsidy"
            | "family_planning_reward"
            | "village_doctor_subsidy" => (60, 100, 0),
            "elderly_care_subsidy" | "elderly_free_ride" => (65, 100, 0),
            "old_age_allowance" => (80, 100, 0),
            _ => (1, 100, 0),
        };
        Self { youngest, oldest, group }
    }
}

/// One to 100 years; 94 of a hundred are over 60, 13 over 80.
fn draw_age(rng: &mut Rng) -> u8 {
    match rng.below(1000) {
        0..6 => 1 + rng.below(17) as u8,
        6..66 => 18 + rng.below(42) as u8,
        _ => 60 + rng.below(41).min(rng.below(41)).min(rng.below(41)) as u8,
    }
}

/// The day of death, and the first month without the person: the owner hears of a death by the next month, or later.
fn draw_death(rng: &mut Rng, calendar: &Calendar, joined: u8) -> (Day, u8) {
    let months = calendar.months();
    let mut death = None;
    if joined == 0 && rng.below(10_000) < DEAD_AT_START_PER_10_000 {
        death = Some((calendar.first_end() - 2 - rng.days(200), 0));
    }
    for (at, month) in months.iter().enumerate().skip(usize::from(joined) + 1) {
        if death.is_none() && rng.one_in(DEATHS_ONE_IN) {
            death = Some((month.first + rng.days(month.last - month.first + 1), at as u8));
        }
    }
    let Some((day, month)) = death else {
        return (NEVER, u8::MAX);
    };
    let mut left = month + 1;
    while rng.one_in(3) && left < u8::MAX {
        left += 1;
    }
    (day, left)
}

/// No day of the calendar.
pub(super) const NEVER: Day = Day::MAX;
const PENSION: u8 = 1;
const POVERTY: u8 = 2;
/// Nobody should receive two pensions; one in this many does.
const IMPROPER_ONE_IN: u64 = 500;
/// The smallest size of a matter, where there are people enough.
const FEW: u64 = 3;
const NEWCOMERS_ONE_IN: f64 = 100.0;
/// Already dead in the first month, and still on the rosters.
const DEAD_AT_START_PER_10_000: u64 = 45;
/// Who dies in a month.
const DEATHS_ONE_IN: u64 = 333;
const SEED_CITY_VILLAGES: f64 = 1436.0;
const GRIDS_PER_VILLAGE: u64 = 94;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn seed_city(people: u64, rounds: u32) -> (Catalogue, Calendar, Population) {
        let plan = CityPlan { people, rounds, ..CityPlan::default() };
        let catalogue = Catalogue::parse(super::super::CATALOGUE).unwrap();
        let calendar = Calendar::new(plan.first_month, rounds).unwrap();
        let population = Population::new(&plan, &catalogue, &calendar);
        (catalogue, calendar, population)
    }

    #[test]
    fn sizes_follow_the_catalogue() {
        let (catalogue, _, city) = seed_city(13_667, 1);
        for (matter, members) in catalogue.matters.iter().zip(&city.members) {
            let wanted = matter.recipients.div_ceil(100) as usize;
            assert!(members.len().abs_diff(wanted) <= 1, "{}: {} of {wanted}", matter.id, members.len());
        }
        let recipients = city.count(&catalogue, |m| m.kind == Kind::Certify, |p| p.is_listed(0));
        assert!((13_400..=13_667 + 202).contains(&recipients), "{recipients}");
    }

    #[test]
    fn ages_follow_the_rules() {
        let (catalogue, calendar, city) = seed_city(10_000, 1);
        let mut pensions = vec![0; city.people.len()];
        for (matter, members) in catalogue.matters.iter().zip(&city.members) {
            let rule = Rule::of(&matter.id);
            for &at in members {
                let age = (calendar.first_end() - city.people[at as usize].number.birth) as f64 / 365.25;
                assert!(age >= f64::from(rule.youngest) && age < f64::from(rule.oldest) + 1.1, "{}: {age}", matter.id);
                pensions[at as usize] += u32::from(rule.group == PENSION);
            }
        }
        let several = pensions.iter().filter(|&&n| n > 1).count();
        assert!(several < 60, "{several}");
    }

    #[test]
    fn every_month_brings_newcomers_and_deaths() {
        let (_, _, city) = seed_city(20_000, 4);
        for month in 1..4_u8 {
            let joined = city.people.iter().filter(|p| p.joined == month).count();
            assert!((200..300).contains(&joined), "{joined}");
            let left = city.people.iter().filter(|p| p.left == month).count();
            assert!((20..200).contains(&left), "{left}");
        }
    }

    #[test]
    fn nobody_leaves_without_dying() {
        let (_, _, city) = seed_city(3_000, 3);
        assert!(city.people.iter().all(|p| (p.death == NEVER) == (p.left == u8::MAX)));
        assert!(city.people.iter().all(|p| p.joined < p.left));
    }
}
