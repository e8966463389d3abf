//! A synthetic city: rosters and records of every department of a catalogue, in the proportions of the seed city.
//!
//! Nobody in it is real: all ID numbers have unassigned regions (`341699`, `342199`). The same plan and catalogue give the same bytes on every
//! machine: every file has a random stream of its own, fixed by the seed and the file's name (`SplitMix64`). Memory is proportional to the people,
//! not to the records.
//!
//! Nine of ten recipients leave records that certify them, a few of a hundred none that count, and a few of a thousand have died, are in prison
//! or are the victims of a mistake. More than a third of the records are about citizens who are on no roster. A small share of all cells is dirty.

mod calendar;
mod catalogue;
mod dirt;
mod number;
mod people;
mod presence;
mod records;
mod rng;
mod roster;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use calendar::{Calendar, DAYS_AFTER, Day};
use catalogue::{Catalogue, Kind, Polarity};
use number::{CITIZENS_MAX, Citizens, Number};
use people::Population;
use presence::Presence;
use records::SCALE;
use rng::Rng;
use wugan_protocol::text::TomlProblem;

/// The catalogue of a federation like the one of the source report.
pub const CATALOGUE: &str = include_str!("../catalogue.toml");

/// What city to make.
#[derive(Clone, Debug)]
pub struct CityPlan {
    /// People of the first month (1 to 5,000,000), of whom as many receive a benefit as the catalogue says: with that of the seed city, all. People
    /// who are on outreach lists only come on top.
    pub people: u64,
    /// Rows of all channel files together.
    pub records: u64,
    /// Fixes everything that is random.
    pub seed: u64,
    /// Year (1960 to 2095) and month of the first round.
    pub first_month: (i16, i8),
    /// How many months have rosters (1 to 60).
    pub rounds: u32,
}

impl Default for CityPlan {
    fn default() -> Self {
        Self { people: 5_000, records: 5_000 * RECORDS_PER_PERSON, seed: 1, first_month: (2026, 6), rounds: 1 }
    }
}

impl CityPlan {
    /// A plan for that many people, with [`RECORDS_PER_PERSON`] records for each.
    pub fn for_people(people: u64) -> Self {
        Self { people, records: people.saturating_mul(RECORDS_PER_PERSON), ..Self::default() }
    }

    /// The months of the rounds, as `YYYY-MM`, the first one first.
    ///
    /// # Errors
    /// [`CityError::Month`] or [`CityError::Rounds`], as [`generate`] would.
    pub fn months(&self) -> Result<Vec<String>, CityError> {
        Ok(self.calendar()?.months().iter().map(|m| m.name.clone()).collect())
    }

    fn calendar(&self) -> Result<Calendar, CityError> {
        if !(1..=ROUNDS_MAX).contains(&self.rounds) {
            return Err(CityError::Rounds);
        }
        Calendar::new(self.first_month, self.rounds)
    }
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CityReport {
    /// People who are on a roster in at least one month.
    pub people: u64,
    /// People who receive at least one benefit in the first month.
    pub recipients: u64,
    /// Rows of all channel files.
    pub records: u64,
    /// Each month's rosters.
    pub rosters: Vec<RosterSizes>,
}

/// The rosters of one month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterSizes {
    /// `YYYY-MM`.
    pub month: String,
    /// Rows of each roster owner, unusable ones and duplicates included.
    pub rows: BTreeMap<String, u64>,
}

wugan_protocol::texts! {
    /// Why a city could not be made.
    #[derive(Debug, thiserror::Error)]
    pub enum CityError {
        /// The catalogue is not what it should be.
        Catalogue(#[from] problem: TomlProblem) "catalogue.toml: {problem}" "catalogue.toml：{problem}";
        /// An id of the catalogue cannot name a file.
        Id(id: String)
            "catalogue.toml: {id:?} is no id: letters, digits, `_` and `-` only"
            "catalogue.toml：{id:?} 不能作 id：只用字母、数字、`_`、`-`";
        /// A channel or matter of a department that is not listed, or a matter of one that has no roster.
        Department(id: String)
            "catalogue.toml: `{id}` belongs to no listed department that could have it"
            "catalogue.toml：`{id}` 不属于任何可以拥有它的部门";
        /// The first month of the plan.
        Month
            "the first month must be a month of the years 1960 to 2095"
            "首月须在 1960 年至 2095 年之间";
        /// The number of people of the plan.
        People "a city has 1 to {PEOPLE_MAX} people" "一座城市有 1 至 {PEOPLE_MAX} 人";
        /// The number of rounds of the plan.
        Rounds "a city has 1 to {ROUNDS_MAX} rounds" "一座城市有 1 至 {ROUNDS_MAX} 轮";
        /// The folder has a whole city already.
        Exists(folder: PathBuf) "{folder} has a city already" "{folder} 中已有一座城市";
        /// A file could not be written.
        Io(#[from] error: io::Error) "{error}" "{error}";
        /// A CSV file could not be written.
        Csv(#[from] error: csv::Error) "{error}" "{error}";
        /// Which file it was.
        At { path: PathBuf, error: Box<CityError> } "{path}: {error}" "{path}：{error}";
    }
}

impl CityError {
    fn at(self, path: &Path) -> CityError {
        CityError::At { path: path.to_owned(), error: Box::new(self) }
    }
}

/// Writes a city under `dir`:
///
/// - `departments/<department>/channels/<channel>.csv` with the columns `person,seen_on`, for every channel;
/// - `departments/<department>/roster.<YYYY-MM>.csv` with the columns `person,matter,village,grid`, for every roster owner and month;
/// - `catalogue.toml`, the given text, written last: a folder that has it holds a whole city.
///
/// # Errors
/// When the catalogue or the plan cannot be used, when `dir` has a whole city already, and when writing fails.
pub fn generate(plan: &CityPlan, catalogue_text: &str, dir: &Path) -> Result<CityReport, CityError> {
    let catalogue = Catalogue::parse(catalogue_text)?;
    let calendar = plan.calendar()?;
    if !(1..=PEOPLE_MAX).contains(&plan.people) {
        return Err(CityError::People);
    }
    let whole = dir.join(CATALOGUE_FILE);
    if whole.try_exists()? {
        return Err(CityError::Exists(dir.to_path_buf()));
    }
    let quotas = catalogue.shares(plan.records);
    let city = City::new(plan, &catalogue, &calendar, &quotas);
    for (at, (channel, &quota)) in catalogue.channels.iter().zip(&quotas).enumerate() {
        let path = department_dir(dir, &channel.department).join("channels").join(format!("{}.csv", channel.id));
        records::write(&city, at, quota, &path).map_err(|error| error.at(&path))?;
    }
    let rosters = city.write_rosters(dir)?;
    fs::write(&whole, catalogue_text).map_err(|error| CityError::from(error).at(&whole))?;
    Ok(CityReport {
        people: city.population.count(&catalogue, |_| true, |_| true),
        recipients: city.population.count(&catalogue, |m| m.kind == Kind::Certify, |p| p.is_listed(0)),
        records: quotas.iter().sum(),
        rosters,
    })
}

/// Makes the roster of `month` (`YYYY-MM`) every roster owner's current one, `roster.csv`. That of the last month is renamed, those before are
/// copied: in the end `roster.csv` is the last month's, and the earlier ones remain beside it. May be repeated.
///
/// # Errors
/// When a roster of that month is missing, and when writing fails.
pub fn install_roster(dir: &Path, month: &str, is_last: bool) -> Result<(), CityError> {
    let text = fs::read_to_string(dir.join(CATALOGUE_FILE))?;
    for owner in Catalogue::parse(&text)?.owners() {
        let folder = department_dir(dir, &owner.id);
        let monthly = folder.join(roster_file(month));
        install(&folder, &monthly, is_last).map_err(|error| CityError::from(error).at(&monthly))?;
    }
    Ok(())
}

fn install(folder: &Path, monthly: &Path, is_last: bool) -> io::Result<()> {
    let current = folder.join("roster.csv");
    if !is_last {
        let half = folder.join("roster.csv.new");
        fs::copy(monthly, &half)?;
        fs::rename(&half, &current)?;
    } else if monthly.try_exists()? || !current.try_exists()? {
        fs::rename(monthly, &current)?;
    }
    Ok(())
}

/// All that the files are written from.
struct City<'a> {
    plan: &'a CityPlan,
    catalogue: &'a Catalogue,
    calendar: &'a Calendar,
    population: Population,
    citizens: Citizens,
    /// Citizens of no roster: how many live, and how many have died.
    living: u64,
    departed: u64,
    /// Of [`SCALE`].
    roster_share: u64,
    /// Whose luck is lower leaves no trace.
    silent_below: u64,
}

impl<'a> City<'a> {
    fn new(plan: &'a CityPlan, catalogue: &'a Catalogue, calendar: &'a Calendar, quotas: &[u64]) -> Self {
        let population = Population::new(plan, catalogue, calendar);
        let presence = Presence::new(catalogue, calendar, quotas, population.people.len());
        let living = (plan.people * 2).max(100);
        let negative = catalogue.channels.iter().zip(quotas).filter(|(c, _)| c.polarity == Polarity::Negative);
        let departed = negative.map(|(_, &quota)| quota).max().unwrap_or(0).clamp(10, CITIZENS_MAX - living);
        Self {
            plan,
            catalogue,
            calendar,
            population,
            citizens: Citizens::new(calendar.first_end()),
            living,
            departed,
            roster_share: (presence.roster_share * SCALE as f64) as u64,
            silent_below: (presence.silent_share * SCALE as f64) as u64,
        }
    }

    fn write_rosters(&self, dir: &Path) -> Result<Vec<RosterSizes>, CityError> {
        let mut rosters = Vec::new();
        for (at, month) in self.calendar.months().iter().enumerate() {
            let mut rows = BTreeMap::new();
            for (owner, department) in self.catalogue.owners().enumerate() {
                let path = department_dir(dir, &department.id).join(roster_file(&month.name));
                let written = roster::write(self, owner, &department.id, at, &path);
                rows.insert(department.id.clone(), written.map_err(|error| error.at(&path))?);
            }
            rosters.push(RosterSizes { month: month.name.clone(), rows });
        }
        Ok(rosters)
    }

    /// Some living citizen of no roster.
    fn living(&self, rng: &mut Rng) -> Number {
        self.citizens.number(rng.below(self.living))
    }

    /// Some citizen of no roster who died in the last three years, or will in the time of the plan.
    fn departed(&self, rng: &mut Rng) -> (Number, Day) {
        let index = self.living + rng.below(self.departed);
        let number = self.citizens.number(index);
        let ago = Rng::new(self.plan.seed, "departed").fork(index).days(DEPARTED_DAYS);
        (number, (self.calendar.last_end() - ago).max(number.birth))
    }

    /// The day on which a death is recorded.
    fn reported(&self, death: Day, rng: &mut Rng) -> Day {
        (death + rng.days(20)).min(self.calendar.last_end() + DAYS_AFTER)
    }
}

fn department_dir(dir: &Path, department: &str) -> PathBuf {
    dir.join("departments").join(department)
}

fn roster_file(month: &str) -> String {
    format!("roster.{month}.csv")
}

/// The seed city's: 33,788,200 records of 1,366,700 people.
pub const RECORDS_PER_PERSON: u64 = 24;
/// The people among whom the catalogue's recipients are counted.
const SEED_CITY_PEOPLE: u64 = 1_366_700;
/// More would not fit into the sequence numbers of two regions.
const PEOPLE_MAX: u64 = 5_000_000;
const ROUNDS_MAX: u32 = 60;
const DEPARTED_DAYS: Day = 1_100;
const CATALOGUE_FILE: &str = "catalogue.toml";

#[cfg(test)]
mod tests;
