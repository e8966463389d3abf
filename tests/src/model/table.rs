//! A city's tables: the rows that count, and the rows that do not, with the reason.

use std::fmt;
use std::io;
use std::path::Path;

use jiff::civil::Date;

use super::catalogue::Matter;
use super::{month, person, records};

/// The rows of a file by the line on which they begin.
pub(super) struct Table<T> {
    pub(super) rows: Vec<(u64, T)>,
    pub(super) bad: Vec<(u64, Reason)>,
}

/// One record of a channel.
pub(super) struct Sighting {
    pub(super) person: String,
    pub(super) seen_on: Date,
}

/// One line of a roster.
pub(super) struct RosterRow<'a> {
    pub(super) person: String,
    pub(super) matter: &'a Matter,
}

/// Why a row is quarantined. Of several reasons the first in this order is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The row is not UTF-8.
    NotUtf8,
    /// The row has more or fewer fields than the header.
    Columns,
    /// No ID number.
    Empty,
    /// The ID number has asterisks.
    Masked,
    /// The ID number was stored as a floating-point number.
    FloatingPoint,
    /// The ID number has characters other than digits and a last `X` (which the 15-digit form never has).
    Letters,
    /// The ID number has neither 15 nor 18 characters.
    Length,
    /// The ID number begins with no known region.
    Region,
    /// The ID number's birth date does not exist, or is out of range.
    BirthDate,
    /// The ID number's last character is wrong.
    CheckDigit,
    /// `seen_on` is not a date.
    Date,
    /// The policy has no such matter.
    UnknownMatter,
    /// The matter belongs to another department.
    OtherDepartment,
}

/// Reads a channel; an error if the file is not there, not readable, or has another header.
pub(super) fn read_channel(path: &Path) -> io::Result<Table<Sighting>> {
    read(path, ["person", "seen_on"], |[id, seen_on]| {
        let person = person::canonical(id)?;
        let seen_on = month::date(seen_on).ok_or(Reason::Date)?;
        Ok(Sighting { person, seen_on })
    })
}

/// Reads the roster of `owner`; `matters` are those of all departments.
pub(super) fn read_roster<'a>(path: &Path, owner: &str, matters: &'a [Matter]) -> io::Result<Table<RosterRow<'a>>> {
    read(path, ["person", "matter", "village", "grid"], |[id, matter, _, _]| {
        let person = person::canonical(id)?;
        let matter = matters.iter().find(|m| m.id == matter).ok_or(Reason::UnknownMatter)?;
        if matter.department != owner {
            return Err(Reason::OtherDepartment);
        }
        Ok(RosterRow { person, matter })
    })
}

/// Reads a file whose header must be exactly `header`.
pub(super) fn read<T, const COLUMNS: usize>(
    path: &Path,
    header: [&str; COLUMNS],
    parse: impl Fn([&str; COLUMNS]) -> Result<T, Reason>,
) -> io::Result<Table<T>> {
    let mut records = records::split(&std::fs::read(path)?).into_iter();
    let has_header = records.next().is_some_and(|first| first.fields == header.map(str::as_bytes));
    if !has_header {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("the header is not {}", header.join(","))));
    }
    let mut table = Table { rows: Vec::new(), bad: Vec::new() };
    for record in records {
        match texts(&record.fields).and_then(&parse) {
            Ok(row) => table.rows.push((record.line, row)),
            Err(reason) => table.bad.push((record.line, reason)),
        }
    }
    Ok(table)
}

fn texts<const COLUMNS: usize>(fields: &[Vec<u8>]) -> Result<[&str; COLUMNS], Reason> {
    let texts: Vec<&str> =
        fields.iter().map(|field| std::str::from_utf8(field)).collect::<Result<_, _>>().map_err(|_| Reason::NotUtf8)?;
    texts.try_into().map_err(|_| Reason::Columns)
}

impl<T> Table<T> {
    /// Whether a channel with these rows fails: more than 10 % of them bad, and at least 100.
    pub(super) fn has_too_many_bad_rows(&self) -> bool {
        let all = self.rows.len() + self.bad.len();
        self.bad.len() * 10 > all && self.bad.len() >= BAD_ROWS_MIN
    }
}

impl Reason {
    /// The word for it in a quarantine file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::Columns => "columns",
            Self::Empty => "empty",
            Self::Masked => "masked",
            Self::FloatingPoint => "floating_point",
            Self::Letters => "letters",
            Self::Length => "length",
            Self::Region => "region",
            Self::BirthDate => "birth_date",
            Self::CheckDigit => "check_digit",
            Self::Date => "date",
            Self::UnknownMatter => "unknown_matter",
            Self::OtherDepartment => "other_department",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const BAD_ROWS_MIN: usize = 100;
