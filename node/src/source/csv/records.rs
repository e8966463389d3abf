//! Records of a CSV file with their physical lines.
//!
//! Line numbers are those of a text editor: each LF ends a line. The `csv` crate's positions are not: a record's
//! position is where the one before ended, ahead of blank lines and of the LF of a CRLF; and a quote that nothing closes
//! makes it swallow the rest of the file. So records are put together here line by line, and only the fields inside one
//! are left to `csv-core`.

use std::io::{self, BufRead, Read};

use csv_core::{ReadRecordResult, Terminator};

use crate::quarantine::Reason;

/// One record of the file.
pub(super) struct Record<'a> {
    /// The physical line on which it begins.
    pub(super) line: u64,
    /// Its bytes without the line end.
    pub(super) raw: &'a [u8],
    /// Its fields' bytes one after the other, and where each ends; `None` if it could not be taken apart.
    fields: Option<(&'a [u8], &'a [usize])>,
}

impl<'a> Record<'a> {
    pub(super) fn fields(&self) -> Result<Fields<'a>, Reason> {
        let (bytes, ends) = self.fields.ok_or(Reason::Columns)?;
        // The row as a whole: a comma or quote inside a character would vanish from the fields.
        std::str::from_utf8(self.raw).map_err(|_| Reason::NotUtf8)?;
        let text = std::str::from_utf8(bytes).map_err(|_| Reason::NotUtf8)?;
        Ok(Fields { text, ends })
    }
}

pub(super) struct Fields<'a> {
    text: &'a str,
    ends: &'a [usize],
}

impl<'a> Fields<'a> {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, at: usize) -> &'a str {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[start..self.ends[at]]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'a str> {
        (0..self.len()).map(|at| self.get(at))
    }
}

/// Puts physical lines together to records: a record goes on while a quote is open.
pub(super) struct Records<R> {
    lines: Lines<R>,
    raw: Vec<u8>,
    splitter: Splitter,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(input: R) -> Self {
        Self { lines: Lines::new(input), raw: Vec::new(), splitter: Splitter::new() }
    }

    /// The next record that is not a blank line. An error comes with the last line that was read.
    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>, (u64, io::Error)> {
        loop {
            self.raw.clear();
            if !self.lines.append_next(&mut self.raw)? {
                return Ok(None);
            }
            if !is_blank(&self.raw) {
                break;
            }
        }
        let line = self.lines.taken;
        let whole = self.complete(line)?;
        let raw = without_line_end(&self.raw);
        Ok(Some(Record { line, raw, fields: whole.then(|| self.splitter.fields()) }))
    }

    /// Adds lines to the first one, whose number is `line`, until the record ends. If a quote is still open at the end
    /// of the file or after [`RECORD_BYTES_MAX`], `false`: the first line alone is bad, the others are given back.
    fn complete(&mut self, line: u64) -> Result<bool, (u64, io::Error)> {
        let first_line = self.raw.len();
        self.splitter.reset();
        let mut split = 0;
        while self.raw.len() <= RECORD_BYTES_MAX {
            if self.splitter.ends_with_line(&self.raw[split..]) {
                return Ok(true);
            }
            split = self.raw.len();
            if !self.lines.append_next(&mut self.raw)? {
                break;
            }
        }
        self.lines.give_back(&self.raw[first_line..], line);
        self.raw.truncate(first_line);
        Ok(false)
    }
}

/// Takes one record apart into its fields.
struct Splitter {
    parser: csv_core::Reader,
    // Both only grow; what is filled is counted beside them.
    text: Vec<u8>,
    text_length: usize,
    ends: Vec<usize>,
    ends_length: usize,
}

impl Splitter {
    fn new() -> Self {
        // CR is left to us: for `csv-core` a lone one would end a record in the middle of a line.
        let parser = csv_core::ReaderBuilder::new().terminator(Terminator::Any(b'\n')).build();
        Self { parser, text: Vec::new(), text_length: 0, ends: Vec::new(), ends_length: 0 }
    }

    fn reset(&mut self) {
        self.parser.reset();
        self.text_length = 0;
        self.ends_length = 0;
    }

    /// Takes the record's next physical line; tells whether the record ends with it.
    fn ends_with_line(&mut self, line: &[u8]) -> bool {
        let ended = match line.last() {
            Some(b'\n') => self.feed(line),
            _ => self.feed(line) || self.feed(b"\n"),
        };
        if ended && line.strip_suffix(b"\n").unwrap_or(line).ends_with(b"\r") {
            self.drop_carriage_return();
        }
        ended
    }

    fn fields(&self) -> (&[u8], &[usize]) {
        (&self.text[..self.text_length], &self.ends[..self.ends_length])
    }

    fn feed(&mut self, bytes: &[u8]) -> bool {
        // There is never more text than bytes, nor more ends than bytes, so no output is ever full.
        grow(&mut self.text, self.text_length + bytes.len());
        grow(&mut self.ends, self.ends_length + bytes.len());
        let (text, ends) = (&mut self.text[self.text_length..], &mut self.ends[self.ends_length..]);
        let (result, _, written, ended) = self.parser.read_record(bytes, text, ends);
        self.text_length += written;
        self.ends_length += ended;
        result == ReadRecordResult::Record
    }

    fn drop_carriage_return(&mut self) {
        if let Some(end) = self.ends[..self.ends_length].last_mut()
            && self.text[..self.text_length].ends_with(b"\r")
        {
            self.text_length -= 1;
            *end = self.text_length;
        }
    }
}

/// The physical lines of the file, each with its line end.
struct Lines<R> {
    input: R,
    /// Lines that were read and given back, from `back_at` on; they come before those of `input`.
    back: Vec<u8>,
    back_at: usize,
    /// Number of lines taken, which is the number of the last one.
    taken: u64,
}

impl<R: BufRead> Lines<R> {
    fn new(input: R) -> Self {
        Self { input, back: Vec::new(), back_at: 0, taken: 0 }
    }

    /// Appends the next line; of a line longer than [`RECORD_BYTES_MAX`] only one byte more than that. `false` at the end.
    fn append_next(&mut self, raw: &mut Vec<u8>) -> Result<bool, (u64, io::Error)> {
        let start = raw.len();
        if self.back_at < self.back.len() {
            self.append_given_back(raw);
        } else {
            self.append_read(raw).map_err(|error| (self.taken, error))?;
        }
        if raw.len() == start {
            return Ok(false);
        }
        self.taken += 1;
        Ok(true)
    }

    /// Takes back what was read after line `line`.
    fn give_back(&mut self, after: &[u8], line: u64) {
        let mut back = after.to_vec();
        back.extend_from_slice(&self.back[self.back_at..]);
        self.back = back;
        self.back_at = 0;
        self.taken = line;
    }

    fn append_given_back(&mut self, raw: &mut Vec<u8>) {
        let rest = &self.back[self.back_at..];
        let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        raw.extend_from_slice(&rest[..length]);
        self.back_at += length;
    }

    fn append_read(&mut self, raw: &mut Vec<u8>) -> io::Result<()> {
        let limit = RECORD_BYTES_MAX as u64 + 1;
        let read = self.input.by_ref().take(limit).read_until(b'\n', raw)?;
        if read as u64 == limit && raw.last() != Some(&b'\n') {
            self.input.skip_until(b'\n')?;
        }
        if self.taken == 0 && raw.starts_with(BYTE_ORDER_MARK) {
            raw.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(())
    }
}

/// As `csv-core` sees it: it drops a byte order mark, which joining files leaves in their midst, before any record.
fn is_blank(line: &[u8]) -> bool {
    line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).trim_ascii().is_empty()
}

fn without_line_end(raw: &[u8]) -> &[u8] {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    raw.strip_suffix(b"\r").unwrap_or(raw)
}

fn grow<T: Clone + Default>(buffer: &mut Vec<T>, length: usize) {
    if buffer.len() < length {
        buffer.resize(length, T::default());
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// Longest record, quoted line ends included. Far above any real row; without it, one stray quote would take the rest of
/// the file into memory.
pub(super) const RECORD_BYTES_MAX: usize = 64 << 10;
