//! What comes back to a roster owner: one byte for each of its rows, turned into a table of people again, here only.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use wugan_keys::store::NewFile;
use wugan_protocol::{
    person::PersonId,
    policy::{DEFERRED, Decision, Matter, Policy, Rule},
    reason::Reason,
    run::{RunError, end_of, fill, read_header},
    statement::CanaryOutcome,
};

use crate::{canaries::RoundCanaries, rowmap::RowMap, snapshot::Snapshot};

/// Reads a decisions file: the byte of each row.
///
/// # Errors
/// A file that is not one byte for each of as many rows as its header says.
pub fn read(mut file: impl Read, matters: usize) -> Result<Vec<u8>, RunError> {
    let header = read_header(&mut file, matters)?;
    let rows = u32::try_from(header.count).map_err(|_| RunError::Refused(Reason::CountDiffers))?;
    let mut bytes = vec![0; rows as usize];
    fill(&mut file, &mut bytes)?;
    end_of(&mut file)?;
    Ok(bytes)
}

/// A department's table of decisions of one month.
pub struct Table<'a> {
    /// The department's folder.
    pub department: &'a Path,
    /// The month.
    pub month: &'a str,
    /// The policy.
    pub policy: &'a Policy,
    /// The canaries of the month's round.
    pub canaries: Option<&'a RoundCanaries>,
}

impl Table<'_> {
    /// Writes `decisions/<month>.csv`: a line for each person and matter of the snapshot. Who has no row was not
    /// enrolled in time, and is deferred. Canaries are not people: they stand in `canaries/<month>.csv`.
    ///
    /// # Errors
    /// Those of the disk; a byte that names no rule, or not one byte for each row of the map.
    pub fn write(
        &self,
        matters: &[&Matter],
        snapshot: &Snapshot<'_>,
        map: &RowMap<'_>,
        bytes: &[u8],
    ) -> Result<Written, RunError> {
        let path = self.path("decisions");
        let mut people = create(&path, ["person", "matter", "decision", "rule"])?;
        let mut canaries = self.canaries.map(|canaries| Synthetic::create(self, canaries)).transpose()?;
        let mut rows = map.rows()?.peekable();
        let mut mapped = 0;
        for line in snapshot.rows()? {
            let (person, place) = line?;
            let row = rows.next_if(|row| !matches!(row, Ok(row) if (row.person, row.matter) != (person, place)));
            mapped += usize::from(row.is_some());
            let byte = match row.transpose()? {
                Some(row) => *bytes.get(row.row as usize).ok_or(RunError::Refused(Reason::CountDiffers))?,
                None => DEFERRED,
            };
            let matter = matters[usize::from(place)];
            let (decision, rule) =
                meaning(self.policy.rules(matter), byte).ok_or(RunError::Refused(Reason::BadBits))?;
            if let Some(canaries) = &mut canaries
                && canaries.take(person, place, &matter.id, decision)?
            {
                continue;
            }
            let line = [&person.to_canonical_string(), &matter.id, decision.name(), rule];
            people.write_record(line).map_err(io::Error::other)?;
        }
        if mapped != bytes.len() {
            return Err(RunError::Refused(Reason::CountDiffers));
        }
        commit(people)?;
        Ok(Written { path, canaries: canaries.map(Synthetic::finish).transpose()? })
    }

    fn path(&self, folder: &str) -> PathBuf {
        self.department.join(folder).join(format!("{}.csv", self.month))
    }
}

/// What was written.
pub struct Written {
    /// The table of people.
    pub path: PathBuf,
    /// What became of the canaries, where there are any.
    pub canaries: Option<CanaryOutcome>,
}

/// The table of canaries.
struct Synthetic<'a> {
    table: csv::Writer<NewFile>,
    expected: &'a BTreeMap<(PersonId, u16), Decision>,
    outcome: CanaryOutcome,
}

impl<'a> Synthetic<'a> {
    fn create(of: &Table<'_>, canaries: &'a RoundCanaries) -> io::Result<Synthetic<'a>> {
        let table = create(&of.path("canaries"), ["person", "matter", "expected", "decision"])?;
        let outcome = CanaryOutcome { document: canaries.document, as_expected: 0, deferred: 0, other: 0 };
        Ok(Synthetic { table, expected: &canaries.expected, outcome })
    }

    /// Whether it is a canary's.
    fn take(&mut self, person: PersonId, place: u16, matter: &str, decision: Decision) -> io::Result<bool> {
        let Some(expected) = self.expected.get(&(person, place)) else { return Ok(false) };
        let outcome = &mut self.outcome;
        *match decision {
            Decision::Deferred => &mut outcome.deferred,
            decision if decision == *expected => &mut outcome.as_expected,
            _ => &mut outcome.other,
        } += 1;
        let line = [&person.to_canonical_string(), matter, expected.name(), decision.name()];
        self.table.write_record(line).map_err(io::Error::other)?;
        Ok(true)
    }

    fn finish(self) -> io::Result<CanaryOutcome> {
        commit(self.table)?;
        Ok(self.outcome)
    }
}

fn create(path: &Path, header: [&str; 4]) -> io::Result<csv::Writer<NewFile>> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    let mut table = csv::Writer::from_writer(NewFile::create(path).map_err(io::Error::other)?);
    table.write_record(header).map_err(io::Error::other)?;
    Ok(table)
}

fn commit(table: csv::Writer<NewFile>) -> io::Result<()> {
    let file = table.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    file.commit().map_err(io::Error::other)
}

fn meaning(rules: &[Rule], byte: u8) -> Option<(Decision, &str)> {
    if byte == DEFERRED {
        return Some((Decision::Deferred, ""));
    }
    rules.get(usize::from(byte)).map(|rule| (rule.decide, rule.id.as_str()))
}
