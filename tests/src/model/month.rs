//! Months and windows of time.

use std::str::FromStr;

use jiff::civil::Date;

use super::ModelError;

/// A calendar month.
#[derive(Debug, Clone, Copy)]
pub(super) struct Month {
    last_day: Date,
}

impl FromStr for Month {
    type Err = ModelError;

    /// Reads `2026-11`.
    fn from_str(text: &str) -> Result<Self, ModelError> {
        let first_day = date(&format!("{text}-01")).ok_or(ModelError::Month)?;
        Ok(Self { last_day: first_day.last_of_month() })
    }
}

impl Month {
    /// Whether a record seen on this day counts: with A the month's last day, A - window < `seen_on` <= A;
    /// a window of 0 has no beginning.
    pub(super) fn counts(self, seen_on: Date, window_days: u32) -> bool {
        if seen_on > self.last_day {
            return false;
        }
        window_days == 0 || days_between(seen_on, self.last_day) < i64::from(window_days)
    }
}

/// Reads `2026-11-30`: exactly this form, and only a date that exists.
pub(super) fn date(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    let has_form = bytes.len() == 10
        && bytes.iter().enumerate().all(|(i, byte)| match i {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !has_form {
        return None;
    }
    let year = text[0..4].parse().ok()?;
    let month = text[5..7].parse().ok()?;
    let day = text[8..10].parse().ok()?;
    Date::new(year, month, day).ok()
}

fn days_between(earlier: Date, later: Date) -> i64 {
    later.duration_since(earlier).as_hours() / 24
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn counts(month: &str, seen_on: &str, window_days: u32) -> bool {
        let month: Month = month.parse().unwrap();
        month.counts(date(seen_on).unwrap(), window_days)
    }

    #[test]
    fn a_window_leaves_out_its_first_day_and_takes_in_the_last() {
        assert!(!counts("2026-11", "2026-10-31", 30));
        assert!(counts("2026-11", "2026-11-01", 30));
        assert!(counts("2026-11", "2026-11-30", 30));
        assert!(!counts("2026-11", "2026-12-01", 30));
        assert!(counts("2026-11", "2026-11-30", 1));
        assert!(!counts("2026-11", "2026-11-29", 1));
    }

    #[test]
    fn a_year_is_365_days_even_if_it_has_366() {
        assert!(!counts("2026-11", "2025-11-30", 365));
        assert!(counts("2026-11", "2025-12-01", 365));
        assert!(counts("2028-02", "2027-03-02", 365));
        assert!(!counts("2028-02", "2027-03-01", 365));
    }

    #[test]
    fn no_window_means_ever_until_the_last_day() {
        assert!(counts("2026-11", "1900-01-01", 0));
        assert!(counts("2026-11", "2026-11-30", 0));
        assert!(!counts("2026-11", "2026-12-01", 0));
    }

    #[test]
    fn february_ends_on_its_own_last_day() {
        assert!(counts("2028-02", "2028-02-29", 1));
        assert!(!counts("2027-02", "2027-03-01", 60));
    }

    #[test]
    fn only_full_iso_dates_that_exist_are_read() {
        for bad in [
            "",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-1-1",
            "20260101",
            "2026/01/01",
            "2026-01-01 ",
            "2026-01-01T00:00",
            "26-01-01",
            "２026-01-01",
            "+026-01-01",
        ] {
            assert_eq!(date(bad), None, "{bad}");
        }
        assert!(date("2028-02-29").is_some());
    }

    #[test]
    fn a_month_is_four_and_two_digits() {
        for bad in ["2026-13", "2026-1", "202611", "2026-11-01", ""] {
            assert!(bad.parse::<Month>().is_err(), "{bad}");
        }
    }
}
