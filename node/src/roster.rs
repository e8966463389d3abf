//! The rosters of a department that pays benefits: who receives which of its matters, and where the person lives.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use thiserror::Error;
use wugan_protocol::person::{Normalised, PersonId};

use crate::quarantine::{BadRow, Quarantine, QuarantineError, Reason, RowQuality};
use crate::source::{Column, RecordSource, SourceError};

/// The columns of a roster's table; village and grid may be missing.
pub const COLUMNS: [Column; 4] =
    [Column::required("person"), Column::required("matter"), Column::optional("village"), Column::optional("grid")];

/// The matters of the policy, as one department sees them.
#[derive(Clone, Debug)]
pub struct Matters {
    own: HashMap<String, u16>,
    all: BTreeSet<String>,
}

/// Who receives what.
#[derive(Debug)]
pub struct Roster {
    /// Each person and matter once, in the order of the table.
    pub rows: Vec<RosterRow>,
    /// What became of the table's rows.
    pub quality: RosterQuality,
}

/// A person who receives a matter. Places are shared between rows, and empty where the table has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterRow {
    /// The recipient.
    pub person: PersonId,
    /// The matter's index in the department's own list.
    pub matter: u16,
    /// The village or community.
    pub village: Arc<str>,
    /// The grid inside the village.
    pub grid: Arc<str>,
}

/// What became of a roster's rows: `rows` is the sum of `accepted`, `duplicates` and the bad ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RosterQuality {
    /// Rows, normalised and bad ones.
    pub table: RowQuality,
    /// Rows of the roster.
    pub accepted: u64,
    /// Further rows of the same person and matter; the first one counts.
    pub duplicates: u64,
}

/// A roster that cannot be read.
#[derive(Debug, Error)]
pub enum RosterError {
    /// The table cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Bad rows cannot be written.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
}

/// Reads a roster. Bad rows go to the quarantine; their number never makes it fail.
///
/// # Errors
/// When the table cannot be read, or the quarantine not be written.
pub fn read_roster(
    source: &mut impl RecordSource,
    matters: &Matters,
    quarantine: &mut Quarantine,
) -> Result<Roster, RosterError> {
    let name = source.name().to_owned();
    let mut reading = Reading::default();
    let mut written = Ok(());
    source.for_each(&COLUMNS, |row| {
        reading.quality.table.rows += 1;
        match Entry::read(row.fields, matters) {
            Ok(entry) => reading.add(&entry),
            Err(bad) => {
                reading.quality.table.add_bad(bad.reason);
                written = quarantine.push(&name, row.line, &bad);
            }
        }
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written?;
    Ok(Roster { rows: reading.rows, quality: reading.quality })
}

impl Matters {
    /// The department's `own` matters, in the policy's order, and `all` of the policy. `None` if there are more than
    /// 65,536 own ones, or one stands there twice.
    #[must_use]
    pub fn new(own: &[String], all: &BTreeSet<String>) -> Option<Self> {
        let mut indices = HashMap::new();
        for (index, matter) in own.iter().enumerate() {
            if indices.insert(matter.clone(), u16::try_from(index).ok()?).is_some() {
                return None;
            }
        }
        Some(Self { own: indices, all: all.clone() })
    }

    fn index(&self, matter: &str) -> Result<u16, Reason> {
        match self.own.get(matter) {
            Some(index) => Ok(*index),
            None if self.all.contains(matter) => Err(Reason::OtherDepartment),
            None => Err(Reason::UnknownMatter),
        }
    }
}

/// A good row.
struct Entry<'a> {
    person: PersonId,
    normalised: Normalised,
    matter: u16,
    village: &'a str,
    grid: &'a str,
}

impl<'a> Entry<'a> {
    /// The person's reason comes before the matter's.
    fn read(fields: Result<[&'a str; 4], BadRow<'a>>, matters: &Matters) -> Result<Self, BadRow<'a>> {
        let [person, matter, village, grid] = fields?;
        let (person, normalised) =
            PersonId::parse(person).map_err(|error| BadRow::field(Reason::Person(error), person))?;
        let matter = matters.index(matter.trim()).map_err(|reason| BadRow::field(reason, matter))?;
        Ok(Self { person, normalised, matter, village: village.trim(), grid: grid.trim() })
    }
}

/// The state while a roster is read.
#[derive(Default)]
struct Reading {
    rows: Vec<RosterRow>,
    quality: RosterQuality,
    seen: HashSet<(PersonId, u16)>,
    /// Every village and grid once: a roster has few of them and many rows.
    places: HashSet<Arc<str>>,
}

impl Reading {
    fn add(&mut self, entry: &Entry<'_>) {
        self.quality.table.normalised.add(entry.normalised);
        if !self.seen.insert((entry.person, entry.matter)) {
            self.quality.duplicates += 1;
            return;
        }
        self.quality.accepted += 1;
        let (village, grid) = (self.place(entry.village), self.place(entry.grid));
        self.rows.push(RosterRow { person: entry.person, matter: entry.matter, village, grid });
    }

    fn place(&mut self, name: &str) -> Arc<str> {
        if let Some(place) = self.places.get(name) {
            return Arc::clone(place);
        }
        let place: Arc<str> = name.into();
        self.places.insert(Arc::clone(&place));
        place
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::fs;

    use proptest::prelude::*;
    use wugan_protocol::person::PersonError;

    use super::*;
    use crate::source::csv::CsvSource;

    const PEOPLE: [&str; 3] = ["341699194001010019", "341699194001010027", "341699194001010035"];

    fn matters() -> Matters {
        let own = ["pension".to_owned(), "injury".to_owned()];
        Matters::new(&own, &["pension", "injury", "orphan"].map(str::to_owned).into()).unwrap()
    }

    fn read(content: &str) -> (Result<Roster, RosterError>, String) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("roster.csv"), content).unwrap();
        let mut quarantine = Quarantine::create(folder.path()).unwrap();
        let read = read_roster(&mut CsvSource::new(folder.path(), "roster.csv"), &matters(), &mut quarantine);
        quarantine.finish().unwrap();
        (read, fs::read_to_string(folder.path().join("quarantine.csv")).unwrap())
    }

    fn row(person: &str, matter: u16, village: &str, grid: &str) -> RosterRow {
        RosterRow { person: PersonId::parse(person).unwrap().0, matter, village: village.into(), grid: grid.into() }
    }

    #[test]
    fn rows_are_in_the_order_of_the_table() {
        let [a, b, _] = PEOPLE;
        let content =
            format!("grid,person,matter,village\n3,{b}, injury ,\u{3000}East \n,{a},pension,\n4,{a},injury,East\n");
        let Roster { rows, quality } = read(&content).0.unwrap();
        assert_eq!(rows, [row(b, 1, "East", "3"), row(a, 0, "", ""), row(a, 1, "East", "4")]);
        assert!(Arc::ptr_eq(&rows[0].village, &rows[2].village));
        assert_eq!((quality.table.rows, quality.accepted, quality.duplicates), (3, 3, 0));
    }

    #[test]
    fn village_and_grid_may_be_missing() {
        let content = format!("matter,person\npension,{}\n", PEOPLE[0]);
        assert_eq!(read(&content).0.unwrap().rows, [row(PEOPLE[0], 0, "", "")]);
    }

    #[test]
    fn the_first_of_duplicates_counts_and_none_is_quarantined() {
        let content = format!(
            "person,matter,village\n{0},pension,East\n341699400101001,pension,West\n{0},injury,West\n",
            PEOPLE[0]
        );
        let (read, quarantine) = read(&content);
        let Roster { rows, quality } = read.unwrap();
        assert_eq!(rows, [row(PEOPLE[0], 0, "East", ""), row(PEOPLE[0], 1, "West", "")]);
        assert_eq!((quality.accepted, quality.duplicates), (2, 1));
        assert_eq!(quarantine, "file,line,reason,value\n");
    }

    #[test]
    fn bad_rows_are_quarantined() {
        let [a, ..] = PEOPLE;
        let content = format!("person,matter\n{a}, heating \n{a},orphan\nnobody,orphan\n{a},\n{a}\n\n{a},pension\n",);
        let (read, quarantine) = read(&content);
        let Roster { rows, quality } = read.unwrap();
        assert_eq!(rows, [row(a, 0, "", "")]);
        let expected = "file,line,reason,value\nroster.csv,2,unknown_matter, heating \nroster.csv,3,other_department,orphan\n\
            roster.csv,4,letters,nobody\nroster.csv,5,unknown_matter,\n";
        assert_eq!(quarantine, format!("{expected}roster.csv,6,columns,{a}\n"));
        let bad: Vec<_> = quality.table.bad.into_iter().collect();
        let person = Reason::Person(PersonError::Letters);
        assert_eq!(bad, [(person, 1), (Reason::Columns, 1), (Reason::UnknownMatter, 2), (Reason::OtherDepartment, 1)]);
    }

    #[test]
    fn no_number_of_bad_rows_makes_it_fail() {
        let Roster { rows, quality } = read(&format!("person,matter\n{}", "1,pension\n".repeat(1_000))).0.unwrap();
        assert_eq!((rows.len(), quality.table.bad_rows()), (0, 1_000));
    }

    #[test]
    fn a_bad_header_and_a_missing_file_are_errors() {
        let text = read("person,village\n").0.unwrap_err().to_string();
        assert!(text.contains("roster.csv: line 1 must name the column matter"), "{text}");
        let folder = tempfile::tempdir().unwrap();
        let mut quarantine = Quarantine::create(folder.path()).unwrap();
        let read = read_roster(&mut CsvSource::new(folder.path(), "roster.csv"), &matters(), &mut quarantine);
        assert!(matches!(read, Err(RosterError::Source(SourceError::Open { .. }))));
    }

    #[test]
    fn own_matters_are_distinct() {
        assert!(Matters::new(&["a".to_owned(), "a".to_owned()], &BTreeSet::new()).is_none());
    }

    #[test]
    fn debug_holds_no_id_number() {
        let roster = read(&format!("person,matter\n{},pension\n", PEOPLE[0])).0.unwrap();
        assert!(!format!("{roster:?}").contains("341699"));
    }

    proptest! {
        #[test]
        fn the_numbers_add_up(rows in prop::collection::vec((0..4_usize, 0..4_usize), 0..40)) {
            let mut content = "person,matter\n".to_owned();
            let mut expected: Vec<RosterRow> = Vec::new();
            for (who, what) in &rows {
                let person = PEOPLE.get(*who).copied().unwrap_or("");
                content.push_str(&format!("{person},{}\n", ["pension", "injury", "orphan", "none"][*what]));
                if *who < PEOPLE.len() && *what < 2 && !expected.contains(&row(person, *what as u16, "", "")) {
                    expected.push(row(person, *what as u16, "", ""));
                }
            }
            let Roster { rows: found, quality } = read(&content).0.unwrap();
            prop_assert_eq!(quality.table.rows, rows.len() as u64);
            prop_assert_eq!(quality.table.rows, quality.accepted + quality.duplicates + quality.table.bad_rows());
            prop_assert_eq!(found, expected);
        }
    }
}
