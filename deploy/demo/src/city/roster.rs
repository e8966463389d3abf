//! Each roster owner's roster of each month.

use std::path::Path;

use super::City;
use super::CityError;
use super::dirt;
use super::rng::Rng;
use super::table::Table;

/// Writes one owner's roster of one month (both counted from 0); returns the number of rows.
pub(super) fn write(city: &City, owner: usize, department: &str, month: usize, path: &Path) -> Result<u64, CityError> {
    let matters = &city.catalogue.matters;
    let foreign = matters.iter().find(|m| m.department != department).map(|m| m.id.as_bytes());
    let mut roster = Roster { city, table: Table::create(path, owner, HEADER)?, cell: Vec::new(), rows: 0 };
    for (at, matter) in matters.iter().enumerate().filter(|(_, m)| m.department == department) {
        let rows = Rng::new(city.plan.seed, &format!("roster/{}", matter.id));
        for &person in
            city.population.members[at].iter().filter(|&&p| city.population.people[p as usize].is_listed(month))
        {
            // The rows of a person look the same in every month.
            let mut rng = rows.fork(u64::from(person));
            roster.row(person, matter.id.as_bytes(), &mut rng)?;
            match rng.below(1_000) {
                0..5 => roster.row(person, matter.id.as_bytes(), &mut rng)?,
                5..7 => roster.row(person, UNKNOWN_MATTER, &mut rng)?,
                7..9 => roster.row(person, foreign.unwrap_or(UNKNOWN_MATTER), &mut rng)?,
                _ => {}
            }
        }
    }
    roster.table.finish()?;
    Ok(roster.rows)
}

struct Roster<'a> {
    city: &'a City<'a>,
    table: Table,
    cell: Vec<u8>,
    rows: u64,
}

impl Roster<'_> {
    fn row(&mut self, person: u32, matter: &[u8], rng: &mut Rng) -> Result<(), CityError> {
        let person = &self.city.population.people[person as usize];
        dirt::person_cell(person.number, self.city.calendar, rng, &mut self.cell);
        let (village, grid) = person.address();
        self.rows += 1;
        self.table.row(&[&self.cell, matter, village.as_bytes(), grid.as_bytes()])
    }
}

const HEADER: &[&str] = &["person", "matter", "village", "grid"];
/// A matter of no catalogue.
const UNKNOWN_MATTER: &[u8] = b"unknown_benefit";
