//! What comes back to a roster owner: one byte for each of its rows, turned into a table of people again, here only.

use std::{
    fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use wugan_keys::store::NewFile;
use wugan_protocol::{
    policy::{DEFERRED, Decision, Matter, Policy, Rule},
    reason::Reason,
    run::{RunError, end_of, fill, read_header},
};

use crate::{rowmap::RowMap, snapshot::Snapshot};

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
}

impl Table<'_> {
    /// Writes `decisions/<month>.csv`: a line for each person and matter of the snapshot. Who has no row was not
    /// enrolled in time, and is deferred.
    ///
    /// # Errors
    /// Those of the disk; a byte that names no rule, or not one byte for each row of the map.
    pub fn write(
        &self,
        matters: &[&Matter],
        snapshot: &Snapshot<'_>,
        map: &RowMap<'_>,
        bytes: &[u8],
    ) -> Result<PathBuf, RunError> {
        let folder = self.department.join("decisions");
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{}.csv", self.month));
        let file = NewFile::create(&path).map_err(io::Error::other)?;
        let mut table = csv::Writer::from_writer(file);
        let failed = |error: csv::Error| RunError::Io(io::Error::other(error));
        table.write_record(["person", "matter", "decision", "rule"]).map_err(failed)?;
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
            table.write_record([&person.to_canonical_string(), &matter.id, decision.name(), rule]).map_err(failed)?;
        }
        if mapped != bytes.len() {
            return Err(RunError::Refused(Reason::CountDiffers));
        }
        let file = table.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        file.commit().map_err(io::Error::other)?;
        Ok(path)
    }
}

fn meaning(rules: &[Rule], byte: u8) -> Option<(Decision, &str)> {
    if byte == DEFERRED {
        return Some((Decision::Deferred, ""));
    }
    rules.get(usize::from(byte)).map(|rule| (rule.decide, rule.id.as_str()))
}
