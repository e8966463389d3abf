//! What comes back to a roster owner: one byte for each of its rows, turned into a table of people again, here only.

use std::{
    fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use wugan_protocol::{
    person::PersonId,
    policy::{DEFERRED, Decision, Matter, Policy, Rule},
    reason::Reason,
    run::{RunError, end_of, fill, read_header},
};
use wugan_transport::rounds::write_whole;

use crate::{
    rows::RowOf,
    snapshot::Snapshot,
    vault::{Vault, read_items, write_items},
};

/// Reads a decisions file: the byte of each row.
///
/// # Errors
/// A file that is not one byte for each of `rows` rows.
pub fn read(mut file: impl Read, matters: usize, rows: usize) -> Result<Vec<u8>, RunError> {
    let header = read_header(&mut file, matters)?;
    if header.count != rows as u64 {
        return Err(RunError::Refused(Reason::CountDiffers));
    }
    let mut bytes = vec![0; rows];
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
    /// Those of the disk; a byte that names no rule.
    pub fn write(
        &self,
        matters: &[&Matter],
        snapshot: &Snapshot,
        rows: &[RowOf],
        bytes: &[u8],
    ) -> Result<PathBuf, RunError> {
        let mut table = csv::Writer::from_writer(Vec::new());
        let failed = |error: csv::Error| RunError::Io(io::Error::other(error));
        table.write_record(["person", "matter", "decision", "rule"]).map_err(failed)?;
        let mut rows = rows.iter().peekable();
        for (person, place) in snapshot.rows() {
            let row = rows.next_if(|row| (row.person, row.matter) == (*person, *place));
            let byte = row.map_or(DEFERRED, |row| bytes[row.row as usize]);
            let matter = matters[usize::from(*place)];
            let (decision, rule) =
                meaning(self.policy.rules(matter), byte).ok_or(RunError::Refused(Reason::BadBits))?;
            table.write_record([&person.to_canonical_string(), &matter.id, decision.name(), rule]).map_err(failed)?;
        }
        let folder = self.department.join("decisions");
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{}.csv", self.month));
        let table = table.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        write_whole(&path, &table)?;
        Ok(path)
    }
}

fn meaning(rules: &[Rule], byte: u8) -> Option<(Decision, &str)> {
    if byte == DEFERRED {
        return Some((Decision::Deferred, ""));
    }
    rules.get(usize::from(byte)).map(|rule| (rule.decide, rule.id.as_str()))
}

/// Seals the row map, which is discarded after the retention time.
///
/// # Errors
/// Those of the disk.
pub fn save_map(vault: &Vault, name: &str, rows: &[RowOf]) -> io::Result<()> {
    vault.write(name, |out| write_items(out, rows.iter().map(encode)))
}

/// Reads a row map.
///
/// # Errors
/// Those of the disk.
pub fn load_map(vault: &Vault, name: &str) -> io::Result<Vec<RowOf>> {
    let items = read_items::<ROW_BYTES>(vault.open(name)?)?;
    let rows: Option<Vec<RowOf>> = items.iter().map(decode).collect();
    rows.ok_or_else(|| io::Error::other("a sealed row map is damaged"))
}

const ROW_BYTES: usize = 14;

fn encode(row: &RowOf) -> [u8; ROW_BYTES] {
    let mut item = [0; ROW_BYTES];
    item[..8].copy_from_slice(&row.person.to_u64().to_be_bytes());
    item[8..10].copy_from_slice(&row.matter.to_be_bytes());
    item[10..].copy_from_slice(&row.row.to_be_bytes());
    item
}

fn decode(item: &[u8; ROW_BYTES]) -> Option<RowOf> {
    let (person, rest) = item.split_first_chunk()?;
    let (matter, row) = rest.split_first_chunk()?;
    Some(RowOf {
        person: PersonId::from_u64(u64::from_be_bytes(*person))?,
        matter: u16::from_be_bytes(*matter),
        row: u32::from_be_bytes(*row.first_chunk()?),
    })
}
