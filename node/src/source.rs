//! Where records come from.
//!
//! A source gives rows one by one, each with its place, and knows nothing of people, dates or matters. A row that it
//! cannot take apart is given as such; only a source that cannot be read at all is an error.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use thiserror::Error;

use crate::quarantine::BadRow;

pub mod csv;

/// A table of a department: a file or a query.
pub trait RecordSource {
    /// The table's name in the quarantine file: for a file, its path relative to the department's folder, with `/`.
    fn name(&self) -> &str;

    /// Reads the table from its beginning and gives each row to `sink`, in the table's order, until that breaks.
    ///
    /// # Errors
    /// When the table cannot be read, or lacks a required column. Rows given before stay given.
    fn for_each<const N: usize>(
        &mut self,
        columns: &[Column; N],
        sink: impl FnMut(RawRow<'_, N>) -> ControlFlow<()>,
    ) -> Result<(), SourceError>;
}

/// A column that a reader wants of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the header.
    pub name: &'static str,
    /// Whether a table without it is an error; else its fields are then empty.
    pub required: bool,
}

/// One row of a table. Has no `Debug`: it holds ID numbers.
pub struct RawRow<'a, const N: usize> {
    /// In a file the physical line on which the row begins, from 1 (the header); elsewhere the number of the row.
    pub line: u64,
    /// The fields in the order of the columns wanted, or what is wrong with the row as a whole.
    pub fields: Result<[&'a str; N], BadRow<'a>>,
}

/// A table cannot be read. The text names the table and what to do, and shows no row of it.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The file cannot be opened.
    #[error("{}: cannot be opened ({source}); check that the file is there and that this program may read it", .file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Reading failed half-way.
    #[error("{}: cannot be read after line {line} ({source}); check the disk or the network share, then try again", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The last physical line that was read.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// The file has no line that is not blank.
    #[error("{}: is empty; its first line must name the columns {columns}", .file.display())]
    Empty {
        /// The file.
        file: PathBuf,
        /// The names of the required columns.
        columns: String,
    },
    /// The header is not UTF-8 text, or no CSV record.
    #[error("{}: line {line} is not a line of UTF-8 text; save the file as CSV in UTF-8", .file.display())]
    HeaderText {
        /// The file.
        file: PathBuf,
        /// The header's line.
        line: u64,
    },
    /// The header does not name each column exactly once.
    #[error(
        "{}: line {line} must name the column {column} exactly once, but {found}; \
         correct the header, with commas between the names",
        .file.display()
    )]
    HeaderColumn {
        /// The file.
        file: PathBuf,
        /// The header's line.
        line: u64,
        /// The column that is missing or stands there twice.
        column: &'static str,
        /// What stands there instead; no text that looks like data.
        found: String,
    },
}

impl Column {
    /// A column that a table must have.
    #[must_use]
    pub const fn required(name: &'static str) -> Self {
        Self { name, required: true }
    }

    /// A column that a table may have.
    #[must_use]
    pub const fn optional(name: &'static str) -> Self {
        Self { name, required: false }
    }
}
