//! CSV records (RFC 4180) with the physical line on which each begins.

/// One record: its fields as bytes, quotes resolved.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The line of the file, from 1, on which the record begins.
    pub(super) line: u64,
    /// At least one field.
    pub(super) fields: Vec<Vec<u8>>,
}

/// Splits a file into records. Lines end with LF or CRLF, a line break in quotes belongs to its field, empty lines
/// are no records, a byte order mark at the beginning is left out. A quote that is never closed ends with the file.
pub(super) fn split(file: &[u8]) -> Vec<Record> {
    let bytes = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
    let mut records = Vec::new();
    let mut line = 1;
    let mut start = 0;
    while start < bytes.len() {
        let end = end_of_record(bytes, start);
        let record = &bytes[start..end];
        let content = without_line_break(record);
        if !content.is_empty() {
            records.push(Record { line, fields: fields(content) });
        }
        line += record.iter().filter(|byte| **byte == b'\n').count() as u64;
        start = end;
    }
    records
}

/// Just behind the first line feed that is not in quotes.
fn end_of_record(bytes: &[u8], start: usize) -> usize {
    let mut quotes = Quotes::Before;
    for (i, byte) in bytes.iter().enumerate().skip(start) {
        quotes = quotes.next(*byte);
        if *byte == b'\n' && quotes != Quotes::Inside {
            return i + 1;
        }
    }
    bytes.len()
}

fn without_line_break(record: &[u8]) -> &[u8] {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
}

fn fields(content: &[u8]) -> Vec<Vec<u8>> {
    let mut fields = Vec::new();
    let mut field = Vec::new();
    let mut quotes = Quotes::Before;
    for &byte in content {
        let next = quotes.next(byte);
        if byte == b',' && next == Quotes::Before {
            fields.push(std::mem::take(&mut field));
        } else if byte != b'"' || !quotes.resolves(next) {
            field.push(byte);
        }
        quotes = next;
    }
    fields.push(field);
    fields
}

/// Where a byte stands in its field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// Nothing of the field was read.
    Before,
    /// In a field, or a part of it, without quotes: a quote is a character like others.
    Without,
    /// Between the opening and the closing quote.
    Inside,
    /// Behind a quote in quotes: the closing one, unless another follows.
    Closing,
}

impl Quotes {
    fn next(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Inside, b'"') => Self::Closing,
            (Self::Inside, _) => Self::Inside,
            (Self::Before | Self::Closing, b'"') => Self::Inside,
            (_, b',' | b'\n') => Self::Before,
            _ => Self::Without,
        }
    }

    /// Whether a quote that leads from here to `next` is an opening or (until another follows) a closing one, no
    /// character of the field.
    fn resolves(self, next: Self) -> bool {
        next == Self::Closing || (self == Self::Before && next == Self::Inside)
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn texts(file: &str) -> Vec<(u64, Vec<String>)> {
        let text = |field: &Vec<u8>| String::from_utf8(field.clone()).unwrap();
        split(file.as_bytes()).iter().map(|record| (record.line, record.fields.iter().map(text).collect())).collect()
    }

    fn row(line: u64, fields: &[&str]) -> (u64, Vec<String>) {
        (line, fields.iter().map(|f| (*f).to_owned()).collect())
    }

    #[test]
    fn lines_end_with_lf_or_crlf_or_the_file() {
        let expected = vec![row(1, &["a", "b"]), row(2, &["c", ""])];
        assert_eq!(texts("a,b\nc,\n"), expected);
        assert_eq!(texts("a,b\r\nc,\r\n"), expected);
        assert_eq!(texts("\u{FEFF}a,b\r\nc,"), expected);
    }

    #[test]
    fn quotes_hold_commas_quotes_and_line_breaks() {
        assert_eq!(
            texts("\"a,1\",\"b \"\"2\"\"\"\n\"c\r\n\nd\",e\nf,\"\"\n"),
            vec![row(1, &["a,1", "b \"2\""]), row(2, &["c\r\n\nd", "e"]), row(5, &["f", ""])]
        );
    }

    #[test]
    fn a_quote_inside_a_field_is_a_character() {
        assert_eq!(texts("a\"b,c\n"), vec![row(1, &["a\"b", "c"])]);
        assert_eq!(texts("\"a\"b\",c\n"), vec![row(1, &["ab\"", "c"])]);
    }

    #[test]
    fn an_open_quote_takes_the_rest() {
        assert_eq!(texts("a\n\"b\nc,d\n"), vec![row(1, &["a"]), row(2, &["b\nc,d"])]);
    }

    #[test]
    fn empty_lines_are_counted_but_are_no_records() {
        assert_eq!(texts("a\n\n\r\n\"\"\n \nb"), vec![row(1, &["a"]), row(4, &[""]), row(5, &[" "]), row(6, &["b"])]);
        assert_eq!(texts(""), vec![]);
    }

    #[test]
    fn agrees_with_the_csv_crate() {
        for file in ["a,b\n1,2\n", "\"a\"\"\",b\r\nx,\"y,z\"\n", "q\"q,\"r\"s,\n\n,,\n", "\"u\"v\"w,x\n"] {
            let theirs: Vec<Vec<String>> = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(file.as_bytes())
                .records()
                .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                .collect();
            let ours: Vec<_> = texts(file).into_iter().map(|(_, fields)| fields).collect();
            assert_eq!(ours, theirs, "{file:?}");
        }
    }
}
