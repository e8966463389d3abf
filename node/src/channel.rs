//! One channel of a department: its records in the month's window, as people.

use std::io;
use std::ops::ControlFlow;

use jiff::Span;
use jiff::civil::Date;
use thiserror::Error;
use wugan_protocol::person::{Normalised, PersonId};

use crate::quarantine::{BadRow, Quarantine, QuarantineError, Reason, RowQuality};
use crate::source::{Column, RecordSource, SourceError};

/// The columns of a channel's table: the person, and the day on which the person was seen.
pub const COLUMNS: [Column; 2] = [Column::required("person"), Column::required("seen_on")];

/// Default for the share of bad rows above which a channel fails, in percent.
pub const BAD_PERCENT_MAX: u32 = 10;

/// Which days count: those after `last_day - window_days`, up to `last_day`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    last_day: Date,
    // The last day that does not count any more; `None` if no day is too early.
    expired: Option<Date>,
}

/// Where a day stands to a [`Window`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Before the window.
    Before,
    /// In the window.
    Counts,
    /// After the month's last day.
    After,
}

/// What became of a channel's rows: `rows` is the sum of `counted`, `before`, `after` and the bad ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelQuality {
    /// Rows, normalised and bad ones.
    pub table: RowQuality,
    /// Records in the window.
    pub counted: u64,
    /// Records before the window.
    pub before: u64,
    /// Records after the month's last day.
    pub after: u64,
}

wugan_protocol::texts! {
    /// Why a channel cannot be used.
    #[derive(Debug, Error)]
    pub enum ChannelError {
        /// The table cannot be read.
        Source(#[from] error: SourceError) "{error}" "{error}";
        /// Too large a share of the rows is bad.
        TooManyBad { name: String, bad: u64, rows: u64, bad_percent_max: u32, commonest: Reason }
            "{name}: {bad} of {rows} rows cannot be used, and at most {bad_percent_max} % may be so; the commonest reason: \
             {commonest}; see quarantine.csv for the rows, correct the table or its query, then read it again"
            "{name}：{rows} 行中有 {bad} 行不能使用，而至多允许 {bad_percent_max} %；最常见的原因：{commonest}；坏行见 \
             quarantine.csv，请更正数据表或其查询后重新读取";
        /// Bad rows cannot be written.
        Quarantine(#[from] error: QuarantineError) "{error}" "{error}";
        /// A person cannot be kept.
        Keep(error: io::Error) "people that were read cannot be kept: {error}" "读到的人员无法保存：{error}";
    }
}

/// Reads a channel: of each good record in the window the person is given to `keep`, in the table's order; bad rows go
/// to the quarantine, also when there are so many that the channel fails.
///
/// # Errors
/// When the table cannot be read, the quarantine not be written, `keep` fails, or at least [`BAD_ROWS_MIN`] rows, and more than
/// `bad_percent_max` in a hundred, are bad.
pub fn read_channel(
    source: &mut impl RecordSource,
    window: &Window,
    bad_percent_max: u32,
    quarantine: &mut Quarantine,
    mut keep: impl FnMut(PersonId) -> io::Result<()>,
) -> Result<ChannelQuality, ChannelError> {
    let name = source.name().to_owned();
    let mut quality = ChannelQuality::default();
    let mut written: Result<(), ChannelError> = Ok(());
    source.for_each(&COLUMNS, |row| {
        quality.table.rows += 1;
        match Record::read(row.fields) {
            Ok(record) => {
                let kept = quality.add(&record, window).map_or(Ok(()), &mut keep);
                written = kept.map_err(ChannelError::Keep);
            }
            Err(bad) => {
                quality.table.add_bad(bad.reason);
                written = quarantine.push(&name, row.line, &bad).map_err(ChannelError::from);
            }
        }
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written?;
    refuse_if_bad(name, bad_percent_max, &quality)?;
    Ok(quality)
}

impl Window {
    /// The window of a month whose last day is `last_day`; with 0 `window_days` no day is too early.
    #[must_use]
    pub fn new(last_day: Date, window_days: u32) -> Self {
        let expired = match window_days {
            0 => None,
            // A window that reaches beyond the calendar has no beginning.
            days => Span::new().try_days(days).and_then(|span| last_day.checked_sub(span)).ok(),
        };
        Self { last_day, expired }
    }

    /// Where `day` stands.
    #[must_use]
    pub fn standing(&self, day: Date) -> Standing {
        if day > self.last_day {
            Standing::After
        } else if self.expired.is_some_and(|expired| day <= expired) {
            Standing::Before
        } else {
            Standing::Counts
        }
    }
}

/// A good row.
struct Record {
    person: PersonId,
    normalised: Normalised,
    seen_on: Date,
}

impl Record {
    /// The person's reason comes before the date's.
    fn read<'a>(fields: Result<[&'a str; 2], BadRow<'a>>) -> Result<Self, BadRow<'a>> {
        let [person, seen_on] = fields?;
        let (person, normalised) =
            PersonId::parse(person).map_err(|error| BadRow::field(Reason::Person(error), person))?;
        let seen_on = parse_date(seen_on).ok_or_else(|| BadRow::field(Reason::Date, seen_on))?;
        Ok(Self { person, normalised, seen_on })
    }
}

impl ChannelQuality {
    /// Counts a good record; the person if the record counts.
    fn add(&mut self, record: &Record, window: &Window) -> Option<PersonId> {
        self.table.normalised.add(record.normalised);
        match window.standing(record.seen_on) {
            Standing::Before => self.before += 1,
            Standing::After => self.after += 1,
            Standing::Counts => {
                self.counted += 1;
                return Some(record.person);
            }
        }
        None
    }
}

fn refuse_if_bad(name: String, bad_percent_max: u32, quality: &ChannelQuality) -> Result<(), ChannelError> {
    let (bad, rows) = (quality.table.bad_rows(), quality.table.rows);
    if bad < BAD_ROWS_MIN || bad.saturating_mul(100) <= rows.saturating_mul(u64::from(bad_percent_max)) {
        return Ok(());
    }
    let commonest = quality.table.commonest_reason();
    commonest.map_or(Ok(()), |commonest| Err(ChannelError::TooManyBad { name, bad, rows, bad_percent_max, commonest }))
}

/// `YYYY-MM-DD` and nothing else, with white space around it; jiff's own parser takes other ISO 8601 forms too.
fn parse_date(text: &str) -> Option<Date> {
    let bytes: &[u8; 10] = text.trim().as_bytes().try_into().ok()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *bytes else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i16::from(byte - b'0')))
    };
    let (month, day) = (number(&[m1, m2])?, number(&[d1, d2])?);
    Date::new(number(&[y1, y2, y3, y4])?, month as i8, day as i8).ok()
}

/// A channel with fewer bad rows never fails for them, whatever their share.
pub const BAD_ROWS_MIN: u64 = 100;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::fs;
    use std::path::Path;

    use jiff::civil::date;
    use proptest::prelude::*;
    use wugan_protocol::person::PersonError;

    use super::*;
    use crate::source::csv::CsvSource;

    const PEOPLE: [&str; 3] = ["341699194001010019", "341699194001010027", "34169919400101006X"];

    fn month() -> Window {
        Window::new(date(2024, 6, 30), 30)
    }

    #[derive(Debug)]
    struct ChannelRead {
        people: Vec<PersonId>,
        quality: ChannelQuality,
    }

    fn read(content: &str) -> (Result<ChannelRead, ChannelError>, String) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("channels")).unwrap();
        fs::write(folder.path().join("channels/c.csv"), content).unwrap();
        read_in(folder.path())
    }

    fn read_in(folder: &Path) -> (Result<ChannelRead, ChannelError>, String) {
        let mut quarantine = Quarantine::create(folder).unwrap();
        let mut source = CsvSource::new(folder, "channels/c.csv");
        let mut people = Vec::new();
        let keep = |person| {
            people.push(person);
            Ok(())
        };
        let quality = read_channel(&mut source, &month(), BAD_PERCENT_MAX, &mut quarantine, keep);
        quarantine.finish().unwrap();
        people.sort_unstable();
        people.dedup();
        let read = quality.map(|quality| ChannelRead { people, quality });
        (read, fs::read_to_string(folder.join("quarantine.csv")).unwrap())
    }

    fn person(text: &str) -> PersonId {
        PersonId::parse(text).unwrap().0
    }

    #[test]
    fn windows() {
        let last = date(2024, 6, 30);
        let cases = [
            (30, date(2024, 5, 31), Standing::Before),
            (30, date(2024, 6, 1), Standing::Counts),
            (30, last, Standing::Counts),
            (30, date(2024, 7, 1), Standing::After),
            (1, last, Standing::Counts),
            (1, date(2024, 6, 29), Standing::Before),
            (0, date(1, 1, 1), Standing::Counts),
            (0, last, Standing::Counts),
            (0, date(2024, 7, 1), Standing::After),
            (366, date(2023, 6, 30), Standing::Before),
            (366, date(2023, 7, 1), Standing::Counts),
            (10_000_000, Date::MIN, Standing::Counts),
            (u32::MAX, Date::MIN, Standing::Counts),
        ];
        for (days, day, standing) in cases {
            assert_eq!(Window::new(last, days).standing(day), standing, "{days} {day}");
        }
        assert_eq!(Window::new(Date::MAX, 0).standing(Date::MAX), Standing::Counts);
    }

    #[test]
    fn dates() {
        for text in ["2024-02-29", " 2024-02-29\t", "\u{3000}2024-02-29"] {
            assert_eq!(parse_date(text), Some(date(2024, 2, 29)), "{text:?}");
        }
        let bad =
            ["", "2023-02-29", "2024-2-29", "2024/02/29", "20240229", "2024-02-29T00:00", "24-02-29", "+024-02-29"];
        for text in
            bad.into_iter().chain(["2024-13-01", "2024-00-10", "2024-01-00", "２024-0-1", "45352", "2024-W09-4"])
        {
            assert_eq!(parse_date(text), None, "{text:?}");
        }
    }

    #[test]
    fn people_are_sorted_and_each_row_is_counted() {
        let [a, b, c] = PEOPLE;
        let content = format!(
            "person,seen_on\n{c},2024-06-30\n{a},2024-06-01\n'{} ,2024-06-02\n{b},2024-05-31\n{b},2024-07-01\n1,2024-06-02\n",
            c.to_lowercase(),
        );
        let ChannelRead { people, quality } = read(&content).0.unwrap();
        assert_eq!(people, [person(a), person(c)]);
        let mut expected = ChannelQuality { counted: 3, before: 1, after: 1, ..ChannelQuality::default() };
        expected.table.rows = 6;
        expected.table.add_bad(Reason::Person(PersonError::Length));
        expected.table.normalised.white_space = 1;
        expected.table.normalised.apostrophe = 1;
        expected.table.normalised.lower_case_x = 1;
        assert_eq!(quality, expected);
    }

    #[test]
    fn the_old_form_is_the_same_person() {
        let content = format!("person,seen_on\n341699400101001,2024-06-30\n{},2024-06-30\n", PEOPLE[0]);
        let ChannelRead { people, quality } = read(&content).0.unwrap();
        assert_eq!((people, quality.table.normalised.old_form), (vec![person(PEOPLE[0])], 1));
    }

    #[test]
    fn bad_rows_are_quarantined_with_their_line_and_raw_field() {
        let [a, ..] = PEOPLE;
        let content = format!(
            "seen_on,person\r\n\r\n2024-06-31,{a}\r\nnever, 3416** \r\n2024-06-30\r\n,{a}\r\n2024-06-30,\"1\n2\"\r\n2024-06-30,{a}"
        );
        let (read, quarantine) = read(&content);
        assert_eq!(read.unwrap().people, [person(a)]);
        let expected = "file,line,reason,value\nchannels/c.csv,3,date,2024-06-31\nchannels/c.csv,4,masked, 3416** \n\
            channels/c.csv,5,columns,2024-06-30\nchannels/c.csv,6,date,\nchannels/c.csv,7,length,\"1\n2\"\n";
        assert_eq!(quarantine, expected);
    }

    #[test]
    fn a_channel_fails_above_the_share_and_the_least_number() {
        let table = |bad: usize, good: usize| {
            let good_rows = format!("{},2024-06-30\n", PEOPLE[0]).repeat(good);
            format!("person,seen_on\n{}{good_rows}", "3.4E+17,2024-06-30\n".repeat(bad))
        };
        for (bad, good) in [(99, 0), (100, 900), (0, 0), (99, 1)] {
            read(&table(bad, good)).0.unwrap_or_else(|error| panic!("{bad} {good}: {error}"));
        }
        let (read, quarantine) = read(&table(101, 900));
        assert_eq!(quarantine.lines().count(), 102);
        let error = read.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("channels/c.csv: 101 of 1001 rows cannot"), "{text}");
        assert!(text.contains("floating-point") && !text.contains("3.4"), "{text}");
        assert!(matches!(error, ChannelError::TooManyBad { bad: 101, .. }), "{error}");
    }

    #[test]
    fn no_error_or_debug_text_holds_an_id_number() {
        let number = PEOPLE[0];
        for content in
            [format!("{number},2024-06-30\n"), format!("person,seen_on\n{}", format!("{number}0,x\n").repeat(200))]
        {
            let error = read(&content).0.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("341699"), "{error}");
        }
        let good = read(&format!("person,seen_on\n{number},2024-06-30\n")).0.unwrap();
        assert!(!format!("{good:?}").contains("341699"));
    }

    #[test]
    fn people_that_cannot_be_kept_stop_the_reading() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("channels")).unwrap();
        fs::write(folder.path().join("channels/c.csv"), format!("person,seen_on\n{},2024-06-30\n", PEOPLE[0])).unwrap();
        let mut quarantine = Quarantine::create(folder.path()).unwrap();
        let mut source = CsvSource::new(folder.path(), "channels/c.csv");
        let full = |_| Err(io::ErrorKind::StorageFull.into());
        let error = read_channel(&mut source, &month(), BAD_PERCENT_MAX, &mut quarantine, full).unwrap_err();
        assert!(matches!(error, ChannelError::Keep(_)), "{error}");
    }

    #[test]
    fn a_missing_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read_in(folder.path()).0, Err(ChannelError::Source(SourceError::Open { .. }))));
    }

    #[test]
    fn a_quarantine_that_cannot_be_written_stops_the_reading() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("channels")).unwrap();
        fs::write(folder.path().join("channels/c.csv"), format!("person,seen_on\n{}", "x,y\n".repeat(10_000))).unwrap();
        let mut quarantine = Quarantine::on_full_disk(folder.path());
        let mut source = CsvSource::new(folder.path(), "channels/c.csv");
        let error = read_channel(&mut source, &month(), BAD_PERCENT_MAX, &mut quarantine, |_| Ok(())).unwrap_err();
        assert!(matches!(error, ChannelError::Quarantine(_)), "{error}");
        quarantine.finish().unwrap_err();
        assert!(!folder.path().join("quarantine.csv").exists());
    }

    proptest! {
        #[test]
        fn the_numbers_add_up(rows in prop::collection::vec((0..5_usize, 0..70_i32, 0..6_u8), 0..40)) {
            let mut content = "person,seen_on\n".to_owned();
            let mut expected = std::collections::BTreeSet::new();
            let (mut counted, mut bad) = (0, 0);
            for (who, day, flaw) in &rows {
                let seen_on = date(2024, 5, 20).checked_add(Span::new().days(*day)).unwrap();
                let shown = if *flaw == 0 { "yesterday".to_owned() } else { seen_on.to_string() };
                let person_text = PEOPLE.get(*who).copied().unwrap_or("nobody");
                content.push_str(&format!("{person_text},{shown}\n"));
                if *who >= PEOPLE.len() || *flaw == 0 {
                    bad += 1;
                } else if seen_on > date(2024, 5, 31) && seen_on <= date(2024, 6, 30) {
                    counted += 1;
                    expected.insert(person(person_text));
                }
            }
            let ChannelRead { people, quality } = read(&content).0.unwrap();
            prop_assert_eq!(&people, &expected.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(quality.counted, counted);
            prop_assert_eq!(quality.table.bad_rows(), bad);
            prop_assert_eq!(quality.table.rows, rows.len() as u64);
            prop_assert_eq!(quality.table.rows, quality.counted + quality.before + quality.after + bad);
        }
    }
}
