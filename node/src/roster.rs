//! The rosters of a department that pays benefits: who receives which of its matters.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::ops::ControlFlow;

use thiserror::Error;
use wugan_protocol::person::{Normalised, PersonId};

use crate::quarantine::{BadRow, Quarantine, QuarantineError, Reason, RowQuality};
use crate::source::{Column, RecordSource, SourceError};

/// The columns of a roster's table. Village and grid are for those who visit people: they may be missing, and matching
/// does not read them.
pub const COLUMNS: [Column; 4] =
    [Column::required("person"), Column::required("matter"), Column::optional("village"), Column::optional("grid")];

/// The matters of the policy, as one department sees them.
#[derive(Clone, Debug)]
pub struct Matters {
    own: HashMap<String, u16>,
    all: BTreeSet<String>,
}

wugan_protocol::texts! {
    /// A roster that cannot be read.
    #[derive(Debug, Error)]
    pub enum RosterError {
        /// The table cannot be read.
        Source(#[from] error: SourceError) "{error}" "{error}";
        /// Bad rows cannot be written.
        Quarantine(#[from] error: QuarantineError) "{error}" "{error}";
        /// A row cannot be kept.
        Keep(error: io::Error) "rows that were read cannot be kept: {error}" "读到的行无法保存：{error}";
    }
}

/// Reads a roster: of each good row the person and the matter's index in the department's own list are given to `keep`,
/// in the table's order, those that stand there twice included. Bad rows go to the quarantine; their number never makes
/// it fail.
///
/// # Errors
/// When the table cannot be read, the quarantine not be written, or `keep` fails.
pub fn read_roster(
    source: &mut impl RecordSource,
    matters: &Matters,
    quarantine: &mut Quarantine,
    mut keep: impl FnMut(PersonId, u16) -> io::Result<()>,
) -> Result<RowQuality, RosterError> {
    let name = source.name().to_owned();
    let mut quality = RowQuality::default();
    let mut written: Result<(), RosterError> = Ok(());
    source.for_each(&COLUMNS, |row| {
        quality.rows += 1;
        match Entry::read(row.fields, matters) {
            Ok(entry) => {
                quality.normalised.add(entry.normalised);
                written = keep(entry.person, entry.matter).map_err(RosterError::Keep);
            }
            Err(bad) => {
                quality.add_bad(bad.reason);
                written = quarantine.push(&name, row.line, &bad).map_err(RosterError::from);
            }
        }
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written?;
    Ok(quality)
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
struct Entry {
    person: PersonId,
    normalised: Normalised,
    matter: u16,
}

impl Entry {
    /// The person's reason comes before the matter's.
    fn read<'a>(fields: Result<[&'a str; 4], BadRow<'a>>, matters: &Matters) -> Result<Self, BadRow<'a>> {
        let [person, matter, ..] = fields?;
        let (person, normalised) =
            PersonId::parse(person).map_err(|error| BadRow::field(Reason::Person(error), person))?;
        let matter = matters.index(matter.trim()).map_err(|reason| BadRow::field(reason, matter))?;
        Ok(Self { person, normalised, matter })
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

    #[derive(Debug)]
    struct Roster {
        rows: Vec<(PersonId, u16)>,
        quality: RowQuality,
    }

    fn read(content: &str) -> (Result<Roster, RosterError>, String) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("roster.csv"), content).unwrap();
        let mut quarantine = Quarantine::create(folder.path()).unwrap();
        let mut rows = Vec::new();
        let keep = |person, matter| {
            rows.push((person, matter));
            Ok(())
        };
        let quality = read_roster(&mut CsvSource::new(folder.path(), "roster.csv"), &matters(), &mut quarantine, keep);
        quarantine.finish().unwrap();
        (
            quality.map(|quality| Roster { rows, quality }),
            fs::read_to_string(folder.path().join("quarantine.csv")).unwrap(),
        )
    }

    fn row(person: &str, matter: u16) -> (PersonId, u16) {
        (PersonId::parse(person).unwrap().0, matter)
    }

    #[test]
    fn rows_are_in_the_order_of_the_table() {
        let [a, b, _] = PEOPLE;
        let content =
            format!("grid,person,matter,village\n3,{b}, injury ,\u{3000}East \n,{a},pension,\n4,{a},injury,East\n");
        let Roster { rows, quality } = read(&content).0.unwrap();
        assert_eq!(rows, [row(b, 1), row(a, 0), row(a, 1)]);
        assert_eq!((quality.rows, quality.bad_rows()), (3, 0));
    }

    #[test]
    fn village_and_grid_may_be_missing() {
        let content = format!("matter,person\npension,{}\n", PEOPLE[0]);
        assert_eq!(read(&content).0.unwrap().rows, [row(PEOPLE[0], 0)]);
    }

    #[test]
    fn duplicates_are_given_and_not_quarantined() {
        let content = format!(
            "person,matter,village\n{0},pension,East\n341699400101001,pension,West\n{0},injury,West\n",
            PEOPLE[0]
        );
        let (read, quarantine) = read(&content);
        assert_eq!(read.unwrap().rows, [row(PEOPLE[0], 0), row(PEOPLE[0], 0), row(PEOPLE[0], 1)]);
        assert_eq!(quarantine, "file,line,reason,value\n");
    }

    #[test]
    fn bad_rows_are_quarantined() {
        let [a, ..] = PEOPLE;
        let content = format!("person,matter\n{a}, heating \n{a},orphan\nnobody,orphan\n{a},\n{a}\n\n{a},pension\n",);
        let (read, quarantine) = read(&content);
        let Roster { rows, quality } = read.unwrap();
        assert_eq!(rows, [row(a, 0)]);
        let expected = "file,line,reason,value\nroster.csv,2,unknown_matter, heating \nroster.csv,3,other_department,orphan\n\
            roster.csv,4,letters,nobody\nroster.csv,5,unknown_matter,\n";
        assert_eq!(quarantine, format!("{expected}roster.csv,6,columns,{a}\n"));
        let bad: Vec<_> = quality.bad.into_iter().collect();
        let person = Reason::Person(PersonError::Letters);
        assert_eq!(bad, [(person, 1), (Reason::Columns, 1), (Reason::UnknownMatter, 2), (Reason::OtherDepartment, 1)]);
    }

    #[test]
    fn no_number_of_bad_rows_makes_it_fail() {
        let Roster { rows, quality } = read(&format!("person,matter\n{}", "1,pension\n".repeat(1_000))).0.unwrap();
        assert_eq!((rows.len(), quality.bad_rows()), (0, 1_000));
    }

    #[test]
    fn a_bad_header_and_a_missing_file_are_errors() {
        let text = read("person,village\n").0.unwrap_err().to_string();
        assert!(text.contains("roster.csv: line 1 must name the column matter"), "{text}");
        let folder = tempfile::tempdir().unwrap();
        let mut quarantine = Quarantine::create(folder.path()).unwrap();
        let mut source = CsvSource::new(folder.path(), "roster.csv");
        let read = read_roster(&mut source, &matters(), &mut quarantine, |_, _| Ok(()));
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
            let mut expected = Vec::new();
            for (who, what) in &rows {
                let person = PEOPLE.get(*who).copied().unwrap_or("");
                content.push_str(&format!("{person},{}\n", ["pension", "injury", "orphan", "none"][*what]));
                if *who < PEOPLE.len() && *what < 2 {
                    expected.push(row(person, *what as u16));
                }
            }
            let Roster { rows: found, quality } = read(&content).0.unwrap();
            prop_assert_eq!(quality.rows, rows.len() as u64);
            prop_assert_eq!(quality.rows, found.len() as u64 + quality.bad_rows());
            prop_assert_eq!(found, expected);
        }
    }
}
