//! CSV files: UTF-8 with or without byte order mark, LF or CRLF, quoted fields (RFC 4180), columns found by name.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use self::records::{Record, Records};
use super::{Column, HeaderFound, RawRow, RecordSource, SourceError};
use crate::quarantine::{BadRow, Reason};

mod records;

/// A CSV file in a department's folder, read in constant memory.
#[derive(Clone, Debug)]
pub struct CsvSource {
    name: String,
    file: PathBuf,
}

impl CsvSource {
    /// The file `name`, relative to `folder` and with `/` between its parts. It is opened when it is read.
    #[must_use]
    pub fn new(folder: &Path, name: &str) -> Self {
        Self { name: name.to_owned(), file: folder.join(name) }
    }
}

impl RecordSource for CsvSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn for_each<const N: usize>(
        &mut self,
        columns: &[Column; N],
        sink: impl FnMut(RawRow<'_, N>) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let opened = File::open(&self.file).map_err(|source| SourceError::Open { file: self.file.clone(), source })?;
        let input = BufReader::with_capacity(BUFFER_BYTES, opened);
        read(&self.file, input, columns, sink)
    }
}

fn read<const N: usize>(
    file: &Path,
    input: impl BufRead,
    columns: &[Column; N],
    mut sink: impl FnMut(RawRow<'_, N>) -> ControlFlow<()>,
) -> Result<(), SourceError> {
    let mut records = Records::new(input);
    let failed = |(line, source)| SourceError::Read { file: file.to_owned(), line, source };
    let header = match records.next().map_err(failed)? {
        Some(record) => Header::read(file, &record, columns)?,
        None => {
            return Err(SourceError::Empty { file: file.to_owned(), columns: required_names(columns) });
        }
    };
    while let Some(record) = records.next().map_err(failed)? {
        if sink(RawRow { line: record.line, fields: header.pick(&record) }).is_break() {
            break;
        }
    }
    Ok(())
}

/// Which field of a row holds which column.
struct Header<const N: usize> {
    width: usize,
    positions: [Option<usize>; N],
}

impl<const N: usize> Header<N> {
    fn read(file: &Path, record: &Record<'_>, columns: &[Column; N]) -> Result<Self, SourceError> {
        let Ok(fields) = record.fields() else {
            return Err(SourceError::HeaderText { file: file.to_owned(), line: record.line });
        };
        let names: Vec<&str> = fields.iter().map(str::trim).collect();
        let mut positions = [None; N];
        for (position, column) in positions.iter_mut().zip(columns) {
            let mut found = names.iter().enumerate().filter(|(_, name)| **name == column.name).map(|(at, _)| at);
            *position = found.next();
            if found.next().is_some() || (column.required && position.is_none()) {
                let (file, line, column) = (file.to_owned(), record.line, column.name);
                return Err(SourceError::HeaderColumn { file, line, column, found: describe(&names) });
            }
        }
        Ok(Self { width: names.len(), positions })
    }

    fn pick<'a>(&self, record: &Record<'a>) -> Result<[&'a str; N], BadRow<'a>> {
        let fields = record.fields().map_err(|reason| BadRow::whole(reason, record.raw))?;
        if fields.len() != self.width {
            return Err(BadRow::whole(Reason::Columns, record.raw));
        }
        Ok(self.positions.map(|position| position.map_or("", |position| fields.get(position))))
    }
}

/// What a header shows, for an error. A first row of data is not repeated: it may hold an ID number.
fn describe(names: &[&str]) -> HeaderFound {
    let text = names.join(", ");
    if text.chars().filter(|c| c.is_numeric()).count() >= HEADER_DIGITS_MAX {
        return HeaderFound::Data;
    }
    let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(HEADER_SHOWN_MAX).collect();
    HeaderFound::Names(shown)
}

fn required_names(columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().filter(|column| column.required).map(|column| column.name).collect();
    names.join(", ")
}

const BUFFER_BYTES: usize = 256 << 10;
/// A header with as many digits is taken for a row of data: an ID number has 15, a date 8, column names fewer.
const HEADER_DIGITS_MAX: usize = 6;
const HEADER_SHOWN_MAX: usize = 200;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::io::{self, Read};

    use proptest::prelude::*;

    use super::records::RECORD_BYTES_MAX;
    use super::*;

    const COLUMNS: [Column; 3] = [Column::required("person"), Column::required("seen_on"), Column::optional("note")];

    /// Rows as (line, fields joined by `|`, or reason: value).
    fn rows(content: impl AsRef<[u8]>) -> Result<Vec<(u64, String)>, SourceError> {
        let mut rows = Vec::new();
        read(Path::new("c.csv"), content.as_ref(), &COLUMNS, |row| {
            let text = match row.fields {
                Ok(fields) => fields.join("|"),
                Err(bad) => format!("{}: {}", bad.reason.code(), bad.value),
            };
            rows.push((row.line, text));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    fn check(content: impl AsRef<[u8]>, expected: &[(u64, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect();
        assert_eq!(rows(content).unwrap(), expected);
    }

    fn refused(content: impl AsRef<[u8]>) -> String {
        rows(content).unwrap_err().to_string()
    }

    #[test]
    fn columns_are_found_by_name() {
        check("person,seen_on\na,b\n", &[(2, "a|b|")]);
        check("seen_on,person\nb,a\n", &[(2, "a|b|")]);
        check("note, seen_on ,x,\"person\"\nn,b,y,a\n", &[(2, "a|b|n")]);
    }

    #[test]
    fn byte_order_mark_and_line_ends() {
        check("\u{FEFF}person,seen_on\r\na,b\r\nc,\"d\"\r\ne,\r\n", &[(2, "a|b|"), (3, "c|d|"), (4, "e||")]);
        check("\u{FEFF}\"person\",seen_on\na,b", &[(2, "a|b|")]);
        check("person,seen_on\r\na,b\r", &[(2, "a|b|")]);
        check("person,seen_on\n", &[]);
        check("person,seen_on", &[]);
    }

    #[test]
    fn lines_count_blank_ones_and_those_inside_quotes() {
        let content = "\n\nperson,seen_on\n\n \t\na,b\n\"c\n\n\nc\",d\r\n\r\ne,\"f\r\ng\"\r\nh,i";
        check(content, &[(6, "a|b|"), (7, "c\n\n\nc|d|"), (12, "e|f\r\ng|"), (14, "h|i|")]);
    }

    #[test]
    fn byte_order_marks_in_the_midst_of_joined_files() {
        let content = "person,seen_on\n\u{FEFF}a,b\n\u{FEFF}\nc,d\n\u{FEFF} \r\n\u{FEFF}e,f";
        check(content, &[(2, "a|b|"), (4, "c|d|"), (6, "e|f|")]);
    }

    #[test]
    fn quoted_commas_and_quotes() {
        check("person,seen_on\n\"a,\"\"b\"\"\",c\nd\"e,f\n", &[(2, "a,\"b\"|c|"), (3, "d\"e|f|")]);
    }

    #[test]
    fn a_wrong_number_of_fields_is_one_bad_row() {
        let expected =
            [(2, "columns: a"), (3, "columns: a,b,\"c\""), (4, "d|e|"), (5, "columns: \"x\ny\""), (7, "f|g|")];
        check("person,seen_on\na\na,b,\"c\"\r\nd,e\n\"x\ny\"\nf,g\n", &expected);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_one_bad_row() {
        check(b"person,seen_on\n\xff,b\nc,d\n", &[(2, "not_utf8: \u{FFFD},b"), (3, "c|d|")]);
        // A comma inside a three-byte character: the fields one after the other would be valid text.
        check(b"person,seen_on\n\xe4\xb8,\xad\nc,d\n", &[(2, "not_utf8: \u{FFFD},\u{FFFD}"), (3, "c|d|")]);
    }

    #[test]
    fn a_quote_that_nothing_closes_costs_one_line() {
        check("person,seen_on\n\"a,b\nc,d\n\ne,f", &[(2, "columns: \"a,b"), (3, "c|d|"), (5, "e|f|")]);
        let many = 2 * RECORD_BYTES_MAX as u64;
        let content = format!("person,seen_on\n\"a,b\n{}\"y,z", "c,d\n".repeat(many as usize));
        let found = rows(content).unwrap();
        assert_eq!(found.len() as u64, many + 2);
        assert_eq!(found[0], (2, "columns: \"a,b".to_owned()));
        assert!(found[1..=many as usize].iter().zip(3..).all(|(row, line)| *row == (line, "c|d|".to_owned())));
        assert_eq!(found[many as usize + 1], (many + 3, "columns: \"y,z".to_owned()));
    }

    #[test]
    fn a_line_that_is_too_long_is_one_bad_row() {
        let long = "漢".repeat(RECORD_BYTES_MAX);
        for before in ["", "\"a,b\n"] {
            let found = rows(format!("person,seen_on\n{before}{long},b\nc,d\n")).unwrap();
            let line = 2 + before.lines().count() as u64;
            let (bad, text) = &found[found.len() - 2];
            assert_eq!((*bad, &text[..9]), (line, "columns: "));
            assert!(text.len() < RECORD_BYTES_MAX + 20);
            assert_eq!(found.last().unwrap(), &(line + 1, "c|d|".to_owned()));
        }
    }

    #[test]
    fn a_header_without_the_columns_is_refused_and_shown() {
        let error = refused("person;seen_on\na;b\n");
        assert!(error.starts_with("c.csv: line 1 must name the column person exactly once"), "{error}");
        assert!(error.contains("it reads: person;seen_on"), "{error}");
        assert!(refused("person,date\n").contains("column seen_on"));
        assert!(refused("person,seen_on,person\n").contains("column person exactly once"));
        assert!(refused("\n\nperson,seen_on,note,note\n").contains("line 3 must name the column note"));
    }

    #[test]
    fn a_header_that_is_data_is_not_shown() {
        for content in ["11010519491231002X,2024-01-31\n", "person\r110105194912310,2024\r", "１１０１０５１９,x\n"]
        {
            let error = refused(content);
            assert!(error.contains("looks like a row of data"), "{error}");
            assert!(!error.contains("110105") && !error.contains('１'), "{error}");
        }
    }

    #[test]
    fn files_without_a_readable_header() {
        assert!(refused("").contains("is empty; its first line must name the columns person, seen_on"));
        assert!(refused("\u{FEFF}\n \n").contains("is empty"));
        assert!(refused(b"\xff\xfep\0e\0r\0").contains("line 1 is not a line of UTF-8 text"));
        assert!(refused("\"person,seen_on\na,b").contains("line 1 is not a line of UTF-8 text"));
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut source = CsvSource::new(folder.path(), "channels/none.csv");
        let error = source.for_each(&COLUMNS, |_| ControlFlow::Continue(())).unwrap_err().to_string();
        assert!(error.contains("channels/none.csv: cannot be opened"), "{error}");
        assert_eq!(source.name(), "channels/none.csv");
    }

    #[test]
    fn a_source_can_be_stopped_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("c.csv"), "person,seen_on\na,b\nc,d\n").unwrap();
        let mut source = CsvSource::new(folder.path(), "c.csv");
        for _ in 0..2 {
            let mut lines = Vec::new();
            let stop_at_once = |row: RawRow<'_, 3>| {
                lines.push(row.line);
                ControlFlow::Break(())
            };
            source.for_each(&COLUMNS, stop_at_once).unwrap();
            assert_eq!(lines, [2]);
        }
    }

    #[test]
    fn a_read_error_names_the_line() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("cable cut"))
            }
        }
        let input = BufReader::new(b"person,seen_on\na,b\nc".chain(Failing));
        let error = read(Path::new("c.csv"), input, &COLUMNS, |_| ControlFlow::Continue(())).unwrap_err().to_string();
        assert!(error.starts_with("c.csv: cannot be read after line 2 (cable cut)"), "{error}");
    }

    /// What precedes a record, the record's fields, and how it is written.
    fn record() -> impl Strategy<Value = (usize, [String; 3], bool, bool)> {
        let field = "[a-z ,\"\u{6f22}\n]{0,6}";
        (0..3_usize, [field, field, "[a-z]{1,3}"], any::<bool>(), any::<bool>())
    }

    fn quoted(field: &str, always: bool) -> String {
        if always || field.contains(['"', ',', '\n']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.to_owned()
        }
    }

    proptest! {
        #[test]
        fn lines_and_fields_are_those_written(
            records in prop::collection::vec(record(), 0..12), mark in any::<bool>(), last_line_end in any::<bool>(),
        ) {
            let mut content = if mark { "\u{FEFF}person,seen_on,note\n" } else { "person,seen_on,note\n" }.to_owned();
            let mut expected = Vec::new();
            for (blank, fields, always_quoted, crlf) in &records {
                content.push_str(&"\r\n".repeat(*blank));
                expected.push((content.matches('\n').count() as u64 + 1, fields.join("|")));
                let written: Vec<_> = fields.iter().map(|field| quoted(field, *always_quoted)).collect();
                content.push_str(&written.join(","));
                content.push_str(if *crlf { "\r\n" } else { "\n" });
            }
            if !last_line_end {
                content.truncate(content.trim_end_matches(['\r', '\n']).len());
            }
            prop_assert_eq!(rows(&content).unwrap(), expected);
        }

        #[test]
        fn any_bytes_end_and_every_line_with_text_is_accounted_for(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut content = b"person,seen_on\n".to_vec();
            content.extend(&bytes);
            let found = rows(&content).unwrap();
            prop_assert!(found.is_sorted_by(|a, b| a.0 < b.0));
            let last = content.split(|byte| *byte == b'\n').count() as u64;
            prop_assert!(found.iter().all(|(line, _)| (2..=last).contains(line)));
            if !bytes.contains(&b'"') {
                let text = content.split(|byte| *byte == b'\n').zip(1..).skip(1).filter(|(line, _)| !line.trim_ascii().is_empty());
                let lines: Vec<u64> = text.map(|(_, line)| line).collect();
                prop_assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), lines);
            }
        }

        #[test]
        fn any_mixture_of_quotes_commas_and_line_ends_is_read(content in "[a\",\r\n\u{6f22}]{0,60}") {
            let found = rows(format!("person,seen_on\n{content}")).unwrap();
            prop_assert!(found.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
}
