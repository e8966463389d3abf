//! How much of a channel is about people on rosters, so that the share of people who are found comes out as in real cities whatever the
//! catalogue, the number of records and the number of months.

use super::calendar::{Calendar, DAYS_AFTER, Day};
use super::catalogue::{Catalogue, Channel};

/// The days of one channel's records.
pub(super) struct Span {
    pub(super) first: Day,
    pub(super) last: Day,
    /// 0: none.
    pub(super) window: Day,
    /// The last day that counts in no month, because it is too old even for the first.
    pub(super) stale_last: Day,
}

impl Span {
    /// A third of a window more than the first month needs, up to some days after the last month.
    pub(super) fn of(channel: &Channel, calendar: &Calendar) -> Self {
        let window = channel.window_days.min(HISTORY_DAYS_MAX);
        let history = if window == 0 { HISTORY_DAYS_MAX } else { window + window / 3 + 5 };
        let end = calendar.first_end();
        Self {
            first: end - history,
            last: calendar.last_end() + DAYS_AFTER,
            window,
            stale_last: end - window.min(history),
        }
    }

    pub(super) fn len(&self) -> Day {
        self.last - self.first + 1
    }

    /// The probability that a random day of the span counts in a month.
    fn counting(&self) -> f64 {
        let counting = if self.window == 0 { HISTORY_DAYS_MAX } else { self.window };
        f64::from(counting) / f64::from(self.len())
    }
}

/// The two dials of the generator.
pub(super) struct Presence {
    /// The share of visitors of positive channels who are people on rosters; the others are other citizens.
    pub(super) roster_share: f64,
    /// The share of people on rosters who leave no trace.
    pub(super) silent_share: f64,
}

impl Presence {
    /// For `quotas` records per channel and `people` on rosters. Visits are spread like a Poisson process; the rest follows.
    pub(super) fn new(catalogue: &Catalogue, calendar: &Calendar, quotas: &[u64], people: usize) -> Self {
        let strong = catalogue.channels.iter().zip(quotas).filter(|(c, _)| c.is_strong_positive());
        let meetings: f64 =
            strong.map(|(c, &quota)| quota as f64 / VISITS_MEAN * meeting(Span::of(c, calendar).counting())).sum();
        let meetings_per_person = meetings / people.max(1) as f64;
        let roster_share = (MEETINGS_WANTED / meetings_per_person.max(f64::MIN_POSITIVE)).clamp(0.1, 0.8);
        let found = 1.0 - exp_minus(roster_share * meetings_per_person);
        let silent_share = (1.0 - FOUND_WANTED / found.max(f64::MIN_POSITIVE)).clamp(0.02, 0.3);
        Self { roster_share, silent_share }
    }
}

/// The probability that at least one of a visitor's 1 to [`VISITS_MAX`] days counts.
fn meeting(counting: f64) -> f64 {
    let (mut missed, mut sum) = (1.0, 0.0);
    for _ in 0..VISITS_MAX {
        missed *= 1.0 - counting;
        sum += missed;
    }
    1.0 - sum / VISITS_MAX as f64
}

/// `e^-x` for `x` from 0 to 20, near enough, as `(1 - x / 2^16)^(2^16)`: the `exp` of the platforms differs in the last bit.
fn exp_minus(x: f64) -> f64 {
    (0..16).fold(1.0 - x / 65_536.0, |power, _| power * power)
}

/// A visitor has one to this many records in a channel, on days of their own.
pub(super) const VISITS_MAX: u64 = 4;
const VISITS_MEAN: f64 = (VISITS_MAX + 1) as f64 / 2.0;
/// With so many strong channels that met a person on average, one in twenty is missed by chance.
const MEETINGS_WANTED: f64 = 3.0;
/// The share of recipients found by a strong channel; those found by two weak ones come on top.
const FOUND_WANTED: f64 = 0.865;
/// Records without a window reach back five years.
const HISTORY_DAYS_MAX: Day = 1_826;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities() {
        assert!((0..200).map(|x| f64::from(x) / 10.0).all(|x| (exp_minus(x) - (-x).exp()).abs() < 1e-5));
        assert!((meeting(0.5) - (0.5 + 0.75 + 0.875 + 0.9375) / 4.0).abs() < 1e-12);
    }
}
