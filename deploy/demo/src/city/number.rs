//! Synthetic ID numbers (GB 11643), all different, all with an unassigned region.

use super::calendar::{Calendar, Day};
use super::rng::Rng;

/// An ID number, in 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Number {
    pub(super) birth: Day,
    /// 0 to 999; odd for men.
    sequence: u16,
    region: u8,
}

impl Number {
    /// The 18 characters.
    pub(super) fn text(self, calendar: &Calendar) -> [u8; 18] {
        let mut text = [b'0'; 18];
        text[..6].copy_from_slice(REGIONS[usize::from(self.region)]);
        let date = calendar.text(self.birth);
        text[6..10].copy_from_slice(&date[..4]);
        text[10..12].copy_from_slice(&date[5..7]);
        text[12..14].copy_from_slice(&date[8..]);
        let sequence = self.sequence;
        for (place, digit) in [sequence / 100, sequence / 10 % 10, sequence % 10].into_iter().enumerate() {
            text[14 + place] = b'0' + digit as u8;
        }
        text[17] = check_character(&text);
        text
    }
}

/// Gives out the numbers of people on rosters: sequence numbers below [`SPLIT`].
pub(super) struct Numbers {
    /// How many numbers each (day, region) has given.
    given: Vec<u16>,
}

impl Numbers {
    pub(super) fn new(calendar: &Calendar) -> Self {
        Self { given: vec![0; (calendar.last_end() as usize + 1) * REGIONS.len()] }
    }

    /// A new number for somebody born on `birth`, or on the next day before it that has one left.
    pub(super) fn give(&mut self, birth: Day, rng: &mut Rng) -> Number {
        let region = rng.below(REGIONS.len() as u64) as usize;
        let slots = self.given.len();
        let mut slot = birth as usize * REGIONS.len() + region;
        while self.given[slot] >= SPLIT {
            slot = (slot + slots - 1) % slots;
        }
        let sequence = scatter(self.given[slot]);
        self.given[slot] += 1;
        Number { birth: (slot / REGIONS.len()) as Day, sequence, region: (slot % REGIONS.len()) as u8 }
    }
}

/// The citizens who are on no roster: numbered from 0, and never stored. Their sequence numbers start at [`SPLIT`].
pub(super) struct Citizens {
    /// The first to be born of them.
    oldest: Day,
}

impl Citizens {
    /// Citizens of one to 75 years at `today`.
    pub(super) fn new(today: Day) -> Self {
        Self { oldest: today - BIRTHDAYS as Day - 365 }
    }

    /// The number of citizen `index`; different for every index below [`CITIZENS_MAX`].
    pub(super) fn number(&self, index: u64) -> Number {
        let (index, birthday) = (index / BIRTHDAYS, index % BIRTHDAYS);
        let regions = REGIONS.len() as u64;
        let (given, region) = (index / regions % u64::from(SPLIT), index % regions);
        Number { birth: self.oldest + birthday as Day, sequence: SPLIT + scatter(given as u16), region: region as u8 }
    }
}

/// A permutation of `0..SPLIT` (137 and 500 are coprime), so that sequence numbers are spread.
fn scatter(given: u16) -> u16 {
    ((u32::from(given) * 137 + 61) % u32::from(SPLIT)) as u16
}

/// ISO 7064 MOD 11-2 over the first 17 digits.
fn check_character(text: &[u8; 18]) -> u8 {
    let sum: u32 = text.iter().zip(WEIGHTS).map(|(&digit, weight)| u32::from(digit - b'0') * weight).sum();
    b"10X98765432"[(sum % 11) as usize]
}

/// Unassigned region codes: no number with them is a real person's.
const REGIONS: [&[u8; 6]; 2] = [b"341699", b"342199"];
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
/// Sequence numbers below go to people on rosters, the others to other citizens: they cannot collide.
const SPLIT: u16 = 500;
/// The days on which other citizens are born: 75 years.
const BIRTHDAYS: u64 = 27_393;
/// How many other citizens have numbers.
pub(super) const CITIZENS_MAX: u64 = BIRTHDAYS * REGIONS.len() as u64 * SPLIT as u64;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn check_character_of_the_standard() {
        // The examples of GB 11643-1999, appendix.
        assert_eq!(check_character(b"11010519491231002?"), b'X');
        assert_eq!(check_character(b"44052418800101001?"), b'4');
    }

    #[test]
    fn numbers_never_repeat() {
        let calendar = Calendar::new((2026, 1), 1).unwrap();
        let (mut numbers, mut rng) = (Numbers::new(&calendar), Rng::new(1, "numbers"));
        let mut seen = HashSet::new();
        // 2,500 births on one day: more than the day has numbers.
        for _ in 0..2_500 {
            assert!(seen.insert(numbers.give(20_000, &mut rng).text(&calendar)));
        }
        let citizens = Citizens::new(calendar.first_end());
        for index in (0..50_000).chain(CITIZENS_MAX - 50_000..CITIZENS_MAX) {
            assert!(seen.insert(citizens.number(index).text(&calendar)));
        }
    }
}
