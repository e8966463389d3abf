//! Rows that could not be used: why, how many, and the file that the operator corrects them from.
//!
//! `quarantine.csv` is the only place where a raw value of a bad row is written. Errors, logs and `Debug` never hold one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;
use wugan_protocol::person::{Normalised, PersonError};

wugan_protocol::texts! {
    /// Why a row could not be used: a closed list.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Reason {
        /// The person's ID number.
        Person(error: PersonError) "{error}" "{error}";
        /// The date is not `YYYY-MM-DD`, or not in the calendar.
        Date "the date is not of the form 2026-11-24" "日期不是 2026-11-24 这样的形式";
        /// The row has not the header's number of fields, is longer than the reader takes, or has a quote that nothing
        /// closes.
        Columns "the row has other columns than the header" "列数与表头不符";
        /// The row is not UTF-8.
        NotUtf8 "the row is not UTF-8" "不是 UTF-8";
        /// Roster: the policy has no such matter.
        UnknownMatter "the policy has no such matter" "策略中没有这个事项";
        /// Roster: the matter is another department's.
        OtherDepartment "the matter is another department's" "该事项由其他部门发放";
    }
}

/// What is wrong with a row. Holds the raw value for the quarantine file; `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct BadRow<'a> {
    /// Why.
    pub reason: Reason,
    /// The offending field as it stood there, or the whole row where no field can be told apart.
    pub value: Cow<'a, str>,
}

/// How good a table's rows are, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowQuality {
    /// Data rows, without header and blank lines.
    pub rows: u64,
    /// What had to be normalised in the ID numbers of good rows.
    pub normalised: NormalisedCounts,
    /// Bad rows by reason.
    pub bad: BTreeMap<Reason, u64>,
}

/// Good rows whose ID number was normalised, by kind; a row can count in several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NormalisedCounts {
    /// 15 digits.
    pub old_form: u64,
    /// Full-width characters.
    pub full_width: u64,
    /// White space.
    pub white_space: u64,
    /// A leading apostrophe.
    pub apostrophe: u64,
    /// A lower-case x.
    pub lower_case_x: u64,
}

/// The quarantine file of one round, while it is written.
///
/// Rows stand in the order in which they were pushed. The file of the round before stays until [`Quarantine::finish`]
/// replaces it; what an unfinished quarantine leaves under its temporary name, the next one removes.
#[derive(Debug)]
pub struct Quarantine {
    folder: PathBuf,
    writer: csv::Writer<File>,
    rows: u64,
}

wugan_protocol::texts! {
    /// The quarantine file could not be written. The text names the file and what to do.
    #[derive(Debug, Error)]
    pub enum QuarantineError {
        Io { file: PathBuf, source: io::Error }
            "{file}: the quarantine file cannot be written ({source}); check free space and the folder's permissions, then \
             try again"
            "{file}：隔离文件无法写入（{source}）；请检查磁盘空间与文件夹权限后重试";
    }
}

impl Quarantine {
    /// Begins a new quarantine file in a department's `folder`, readable by this user alone.
    ///
    /// # Errors
    /// When the temporary file cannot be made or written.
    pub fn create(folder: &Path) -> Result<Self, QuarantineError> {
        let temporary = folder.join(TEMPORARY_NAME);
        let file = create_private(&temporary).map_err(failed(&temporary))?;
        let mut quarantine = Self { folder: folder.to_owned(), writer: csv::Writer::from_writer(file), rows: 0 };
        quarantine.write(HEADER)?;
        Ok(quarantine)
    }

    /// Adds a row: `file` relative to the department's folder with `/` between its parts, `line` counted from 1.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn push(&mut self, file: &str, line: u64, bad: &BadRow<'_>) -> Result<(), QuarantineError> {
        self.write([file, &line.to_string(), bad.reason.code(), &bad.value])?;
        self.rows += 1;
        Ok(())
    }

    /// Makes the file durable under its name, `quarantine.csv`, and returns the number of rows in it.
    ///
    /// # Errors
    /// When it cannot be written, synced or renamed.
    pub fn finish(self) -> Result<u64, QuarantineError> {
        let temporary = self.folder.join(TEMPORARY_NAME);
        let file = self.folder.join(FILE_NAME);
        let written = self.writer.into_inner().map_err(csv::IntoInnerError::into_error);
        written.and_then(|file| file.sync_all()).map_err(failed(&temporary))?;
        fs::rename(&temporary, &file).map_err(failed(&file))?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed(&file))?;
        Ok(self.rows)
    }

    fn write(&mut self, fields: [&str; 4]) -> Result<(), QuarantineError> {
        let temporary = self.folder.join(TEMPORARY_NAME);
        self.writer.write_record(fields).map_err(io::Error::from).map_err(failed(&temporary))
    }
}

impl Reason {
    /// The reason as it stands in quarantine files and quality reports.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Person(error) => error.code(),
            Self::Date => "date",
            Self::Columns => "columns",
            Self::NotUtf8 => "not_utf8",
            Self::UnknownMatter => "unknown_matter",
            Self::OtherDepartment => "other_department",
        }
    }
}

impl<'a> BadRow<'a> {
    /// A bad field.
    #[must_use]
    pub fn field(reason: Reason, value: &'a str) -> Self {
        Self { reason, value: Cow::Borrowed(value) }
    }

    /// A bad row of which no field can be told apart, as lossy text without its line end.
    #[must_use]
    pub fn whole(reason: Reason, raw: &'a [u8]) -> Self {
        Self { reason, value: String::from_utf8_lossy(raw) }
    }
}

impl fmt::Debug for BadRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BadRow").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl RowQuality {
    /// Bad rows of all reasons together.
    #[must_use]
    pub fn bad_rows(&self) -> u64 {
        self.bad.values().sum()
    }

    /// The commonest reason for a bad row, the first of the list if several are as common.
    #[must_use]
    pub fn commonest_reason(&self) -> Option<Reason> {
        self.bad.iter().rev().max_by_key(|(_, count)| **count).map(|(reason, _)| *reason)
    }

    pub(crate) fn add_bad(&mut self, reason: Reason) {
        *self.bad.entry(reason).or_default() += 1;
    }
}

impl NormalisedCounts {
    pub(crate) fn add(&mut self, normalised: Normalised) {
        self.old_form += u64::from(normalised.old_form);
        self.full_width += u64::from(normalised.full_width);
        self.white_space += u64::from(normalised.white_space);
        self.apostrophe += u64::from(normalised.apostrophe);
        self.lower_case_x += u64::from(normalised.lower_case_x);
    }
}

/// Makes the file anew: what a killed process left may have other permissions.
fn create_private(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => OpenOptions::new().write(true).create_new(true).mode(0o600).open(path),
    }
}

fn failed(file: &Path) -> impl FnOnce(io::Error) -> QuarantineError {
    move |source| QuarantineError::Io { file: file.to_owned(), source }
}

const FILE_NAME: &str = "quarantine.csv";
const TEMPORARY_NAME: &str = "quarantine.csv.tmp";
const HEADER: [&str; 4] = ["file", "line", "reason", "value"];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    impl Quarantine {
        /// A quarantine whose writes fail. The path of its temporary file is taken, as in an unfinished one.
        pub(crate) fn on_full_disk(folder: &Path) -> Self {
            let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
            fs::write(folder.join(TEMPORARY_NAME), "").unwrap();
            Self { folder: folder.to_owned(), writer: csv::Writer::from_writer(full), rows: 0 }
        }
    }

    fn read(folder: &Path) -> String {
        fs::read_to_string(folder.join(FILE_NAME)).unwrap()
    }

    #[test]
    fn rows_stand_in_the_order_pushed() {
        let folder = tempfile::tempdir().unwrap();
        let mut quarantine = Quarantine::create(folder.path()).unwrap();
        quarantine.push("channels/b.csv", 7, &BadRow::field(Reason::Person(PersonError::Masked), "1101**")).unwrap();
        quarantine.push("channels/a.csv", 3, &BadRow::whole(Reason::Columns, b"a,\"b\"")).unwrap();
        quarantine.push("roster.csv", 2, &BadRow::whole(Reason::NotUtf8, b"\xff\n")).unwrap();
        assert_eq!(quarantine.finish().unwrap(), 3);
        let expected = "file,line,reason,value\nchannels/b.csv,7,masked,1101**\n\
            channels/a.csv,3,columns,\"a,\"\"b\"\"\"\nroster.csv,2,not_utf8,\"\u{FFFD}\n\"\n";
        assert_eq!(read(folder.path()), expected);
    }

    #[test]
    fn the_old_file_stays_until_the_new_one_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE_NAME), "old").unwrap();
        let mut unfinished = Quarantine::create(folder.path()).unwrap();
        unfinished.push("roster.csv", 2, &BadRow::field(Reason::Date, "x")).unwrap();
        drop(unfinished);
        assert_eq!(read(folder.path()), "old");
        assert_eq!(Quarantine::create(folder.path()).unwrap().finish().unwrap(), 0);
        assert_eq!(read(folder.path()), "file,line,reason,value\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_this_user_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let left_behind = folder.path().join(TEMPORARY_NAME);
        fs::write(&left_behind, "").unwrap();
        fs::set_permissions(&left_behind, fs::Permissions::from_mode(0o644)).unwrap();
        Quarantine::create(folder.path()).unwrap().finish().unwrap();
        let mode = fs::metadata(folder.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = Quarantine::create(&folder.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("none/quarantine.csv.tmp"), "{error}");
    }

    #[test]
    fn debug_holds_no_value() {
        let shown = format!("{:?}", BadRow::field(Reason::Date, "secret"));
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn the_commonest_reason() {
        let mut quality = RowQuality::default();
        assert_eq!(quality.commonest_reason(), None);
        for reason in [Reason::NotUtf8, Reason::Date, Reason::NotUtf8, Reason::Date, Reason::Columns] {
            quality.add_bad(reason);
        }
        assert_eq!(quality.commonest_reason(), Some(Reason::Date));
        assert_eq!(quality.bad_rows(), 5);
    }

    proptest! {
        #[test]
        fn any_value_reads_back_as_it_was(value in any::<String>(), line in any::<u64>()) {
            let folder = tempfile::tempdir().unwrap();
            let mut quarantine = Quarantine::create(folder.path()).unwrap();
            quarantine.push("roster.csv", line, &BadRow::field(Reason::UnknownMatter, &value)).unwrap();
            quarantine.finish().unwrap();
            let mut reader = csv::Reader::from_path(folder.path().join(FILE_NAME)).unwrap();
            let record = reader.records().next().unwrap().unwrap();
            let line = line.to_string();
            prop_assert_eq!(record, vec!["roster.csv", &line, "unknown_matter", &value]);
        }
    }
}
