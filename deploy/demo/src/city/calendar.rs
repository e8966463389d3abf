//! Days of the city as small integers, with their texts made once.

use jiff::civil::Date;

use super::CityError;

/// Days are counted from the birth of the oldest person.
pub(super) type Day = u32;

/// Every day from the oldest birth to the last record, and the months of the rounds.
pub(super) struct Calendar {
    texts: Vec<[u8; 10]>,
    months: Vec<Month>,
}

/// A month of the plan.
pub(super) struct Month {
    /// `YYYY-MM`, as in the name of its rosters.
    pub(super) name: String,
    pub(super) first: Day,
    pub(super) last: Day,
}

impl Calendar {
    /// The calendar of `rounds` months from `first_month` (year, month). `rounds` is at least 1.
    pub(super) fn new(first_month: (i16, i8), rounds: u32) -> Result<Self, CityError> {
        let (year, month) = first_month;
        if !(YEAR_MIN..=YEAR_MAX).contains(&year) {
            return Err(CityError::Month);
        }
        let mut day = Date::new(year, month, 1).map_err(|_| CityError::Month)?;
        let start = Date::new(year - YEARS_BEFORE, month, 1).map_err(|_| CityError::Month)?;
        let mut months = Vec::new();
        for _ in 0..rounds {
            let (first, last) = (day, day.last_of_month());
            months.push(Month {
                name: month_name((day.year(), day.month())),
                first: days_between(start, first),
                last: days_between(start, last),
            });
            day = last.tomorrow().map_err(|_| CityError::Month)?;
        }
        let end = days_between(start, day) + DAYS_AFTER;
        let texts = start.series(jiff::Span::new().days(1)).take(end as usize + 1).map(text).collect();
        Ok(Self { texts, months })
    }

    /// `YYYY-MM-DD`.
    pub(super) fn text(&self, day: Day) -> &[u8; 10] {
        &self.texts[day as usize]
    }

    pub(super) fn months(&self) -> &[Month] {
        &self.months
    }

    /// The last day of the first month.
    pub(super) fn first_end(&self) -> Day {
        self.months.first().map_or(0, |m| m.last)
    }

    /// The last day of the last month; records reach [`DAYS_AFTER`] further.
    pub(super) fn last_end(&self) -> Day {
        self.months.last().map_or(0, |m| m.last)
    }
}

/// `YYYY-MM`.
pub(super) fn month_name((year, month): (i16, i8)) -> String {
    format!("{year:04}-{month:02}")
}

fn days_between(start: Date, day: Date) -> Day {
    (day - start).get_days().unsigned_abs()
}

fn text(day: Date) -> [u8; 10] {
    let mut text = *b"0000-00-00";
    let digits = |at: usize, width: usize, mut value: u32, text: &mut [u8; 10]| {
        for place in (at..at + width).rev() {
            text[place] = b'0' + (value % 10) as u8;
            value /= 10;
        }
    };
    digits(0, 4, u32::from(day.year().unsigned_abs()), &mut text);
    digits(5, 2, u32::from(day.month().unsigned_abs()), &mut text);
    digits(8, 2, u32::from(day.day().unsigned_abs()), &mut text);
    text
}

/// Records reach this many days beyond the last month: they count in no round.
pub(super) const DAYS_AFTER: Day = 15;
/// A lifetime, and a year for people who are a hundred years and some months old.
pub(super) const YEARS_BEFORE: i16 = 102;
/// With these, births stay within the years 1850 to 2099 that an ID number may have.
const YEAR_MIN: i16 = 1960;
const YEAR_MAX: i16 = 2095;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn months_and_leap_days() {
        let calendar = Calendar::new((2027, 12), 3).unwrap();
        let ends: Vec<_> = calendar
            .months()
            .iter()
            .map(|m| (m.name.as_str(), calendar.text(m.first), calendar.text(m.last)))
            .collect();
        assert_eq!(
            ends,
            [
                ("2027-12", b"2027-12-01", b"2027-12-31"),
                ("2028-01", b"2028-01-01", b"2028-01-31"),
                ("2028-02", b"2028-02-01", b"2028-02-29")
            ]
        );
        assert_eq!(calendar.text(0), b"1925-12-01");
        assert_eq!(calendar.text(calendar.last_end() + DAYS_AFTER), b"2028-03-15");
    }

    #[test]
    fn refuses_months_that_are_none() {
        assert!(matches!(Calendar::new((2027, 13), 1), Err(CityError::Month)));
        assert!(matches!(Calendar::new((1900, 1), 1), Err(CityError::Month)));
    }
}
