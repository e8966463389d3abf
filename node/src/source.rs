//! Where records come from.
//!
//! A source gives rows one by one, each with its place, and knows nothing of people, dates or matters. A row that it
//! cannot take apart is given as such; only a source that cannot be read at all is an error.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

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

wugan_protocol::texts! {
    /// A table cannot be read. The text names the table and what to do, and shows no row of it.
    #[derive(Debug, thiserror::Error)]
    pub enum SourceError {
        /// The file cannot be opened.
        Open { file: PathBuf, source: io::Error }
            "{file}: cannot be opened ({source}); check that the file is there and that this program may read it"
            "{file}：无法打开（{source}）；请确认文件存在，且本程序有权读取";
        /// Reading failed half-way.
        Read { file: PathBuf, line: u64, source: io::Error }
            "{file}: cannot be read after line {line} ({source}); check the disk or the network share, then try again"
            "{file}：第 {line} 行之后无法读取（{source}）；请检查磁盘或网络共享后重试";
        /// The file has no line that is not blank.
        Empty { file: PathBuf, columns: String }
            "{file}: is empty; its first line must name the columns {columns}"
            "{file}：是空文件；首行须写明列名 {columns}";
        /// The header is not UTF-8 text, or no CSV record.
        HeaderText { file: PathBuf, line: u64 }
            "{file}: line {line} is not a line of UTF-8 text; save the file as CSV in UTF-8"
            "{file}：第 {line} 行不是 UTF-8 文本；请另存为 UTF-8 编码的 CSV";
        /// The header does not name each column exactly once.
        HeaderColumn { file: PathBuf, line: u64, column: &'static str, found: HeaderFound }
            "{file}: line {line} must name the column {column} exactly once, but {found}; correct the header, with \
             commas between the names"
            "{file}：第 {line} 行须恰好写明一次列名 {column}，但{found}；请更正表头，列名之间用逗号分隔";
    }
}

wugan_protocol::texts! {
    /// What stands where the header should; no text that looks like data.
    #[derive(Debug, PartialEq, Eq)]
    pub enum HeaderFound {
        Data "it looks like a row of data (it is not shown here)" "它像是一行数据（此处不显示）";
        Names(names: String) "it reads: {names}" "它写的是：{names}";
    }
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
