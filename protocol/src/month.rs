//! Calendar months, in Asia/Shanghai like every date of the protocol.

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::ledger::SECONDS_PER_DAY;

/// A calendar month, written `2026-11`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    first: Date,
}

impl Month {
    /// The month's last day: "A" in the policy's windows.
    pub fn last_day(self) -> Date {
        self.first.last_of_month()
    }

    /// The month in which a time lies, seconds since 1970 UTC; `None` after the year 9999.
    pub fn of_time(seconds: u64) -> Option<Month> {
        let days = i64::try_from(seconds.checked_add(AHEAD_OF_UTC_SECONDS)? / SECONDS_PER_DAY).ok()?;
        let date = Date::constant(1970, 1, 1).checked_add(jiff::Span::new().try_days(days).ok()?).ok()?;
        Some(Month { first: date.first_of_month() })
    }

    /// The month after; `None` after the year 9999.
    pub fn next(self) -> Option<Month> {
        let first = self.last_day().tomorrow().ok()?;
        Some(Month { first })
    }
}

impl std::str::FromStr for Month {
    type Err = NotAMonth;
    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let (year, month) = text.split_once('-').ok_or(NotAMonth)?;
        let digits = year.len() == 4 && month.len() == 2 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let year = year.parse().ok().filter(|_| digits).ok_or(NotAMonth)?;
        let first = Date::new(year, month.parse().map_err(|_| NotAMonth)?, 1).map_err(|_| NotAMonth)?;
        Ok(Month { first })
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

impl std::fmt::Debug for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Asia/Shanghai keeps UTC+8 all year.
const AHEAD_OF_UTC_SECONDS: u64 = 8 * 3_600;

/// Not of the form `2026-11`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a month of the form 2026-11")]
pub struct NotAMonth;

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_writes_and_steps() {
        let month: Month = "2026-12".parse().unwrap();
        assert_eq!(month.last_day().to_string(), "2026-12-31");
        assert_eq!(month.next().unwrap().to_string(), "2027-01");
        for bad in ["2026-13", "2026-1", "26-01", "2026-00", "2026/01", "+026-01", "2026-01-", ""] {
            assert_eq!(bad.parse::<Month>(), Err(NotAMonth), "{bad}");
        }
    }

    #[test]
    fn a_month_begins_at_midnight_in_asia_shanghai() {
        let month = |seconds| Month::of_time(seconds).map(|month| month.to_string());
        // `date -u -d 2026-11-30T16:00 +%s`
        assert_eq!(month(1_796_054_399).unwrap(), "2026-11");
        assert_eq!(month(1_796_054_400).unwrap(), "2026-12");
        assert_eq!(month(0).unwrap(), "1970-01");
        assert_eq!(month(u64::MAX), None);
        assert_eq!(month(1 << 53), None);
    }
}
