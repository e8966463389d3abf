//! Row lists: which rows each record of a class serves, and what they must look like.

use std::io::Read;

use wugan_protocol::{
    file::Header,
    policy::{Class, MatterRound},
    reason::Reason,
    run::{FURTHER_ROW, Items, RunError},
};

/// Reads the row list of one class.
pub struct RowList<R: Read> {
    words: Items<R, 4>,
    rows: u32,
    last: Option<u32>,
}

/// A row that a record serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The row.
    pub row: u32,
    /// Whether it is the first of the next record.
    pub first: bool,
}

impl<R: Read> RowList<R> {
    /// Opens the row list of an owner with so many matters.
    ///
    /// # Errors
    /// A header that cannot be, or counts more rows than 31 bits.
    pub fn open(input: R, matters: usize) -> Result<Self, RunError> {
        let words = Items::open(input, matters)?;
        let rows = total(words.header()).ok_or(RunError::Refused(Reason::BadRows))?;
        Ok(RowList { words, rows, last: None })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        self.words.header()
    }

    /// Rows in all.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// The next row that a record serves.
    ///
    /// # Errors
    /// [`Reason::BadRows`] for a row that is not there, a row that does not follow the one before in its record, and a
    /// further row of no record.
    #[expect(clippy::should_implement_trait, reason = "a Result<Option> is what callers want")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Served>, RunError> {
        let Some(word) = self.words.next()? else { return Ok(None) };
        let word = u32::from_le_bytes(word);
        let (row, first) = (word & !FURTHER_ROW, word & FURTHER_ROW == 0);
        if row >= self.rows || !first && self.last.is_none_or(|last| last >= row) {
            return Err(RunError::Refused(Reason::BadRows));
        }
        self.last = Some(row);
        Ok(Some(Served { row, first }))
    }
}

/// Checks the rows of each matter against the bounds of the federation manifest.
///
/// # Errors
/// [`Reason::TooManyRows`].
pub fn check_sizes(header: &Header, limits: &[u64]) -> Result<(), RunError> {
    let within = header.rows.len() == limits.len()
        && header.rows.iter().zip(limits).all(|(rows, limit)| u64::from(*rows) <= *limit);
    if within { Ok(()) } else { Err(RunError::Refused(Reason::TooManyRows)) }
}

/// Checks a whole list: each row occurs exactly as often as its matter has channels of the class. Takes two bytes for
/// each row.
///
/// # Errors
/// [`Reason::BadRows`]; see also [`RowList::next`].
pub fn check_list<R: Read>(mut list: RowList<R>, class: Class, matters: &[MatterRound]) -> Result<(), RunError> {
    let mut times = vec![0_u16; list.rows() as usize];
    while let Some(served) = list.next()? {
        let times = &mut times[served.row as usize];
        *times = times.saturating_add(1);
    }
    let mut rest = times.as_slice();
    for (rows, matter) in list.header().rows.iter().zip(matters) {
        let (these, others) = rest.split_at((*rows as usize).min(rest.len()));
        if these.iter().any(|times| u32::from(*times) != matter.available()[class.index()]) {
            return Err(RunError::Refused(Reason::BadRows));
        }
        rest = others;
    }
    if rest.is_empty() { Ok(()) } else { Err(RunError::Refused(Reason::BadRows)) }
}

/// Rows of all matters, if their numbers fit 31 bits.
fn total(header: &Header) -> Option<u32> {
    let rows: u64 = header.rows.iter().map(|rows| u64::from(*rows)).sum();
    u32::try_from(rows).ok().filter(|rows| *rows <= FURTHER_ROW)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeSet;

    use wugan_protocol::testing::{World, file};

    use super::*;

    /// The bureau's matters: `pension` has 4, 3, 3 and 0 channels of the classes, `allowance` 4, 0, 3, 0.
    fn matters() -> Vec<MatterRound> {
        let world = World::new();
        world.policy().matter_rounds(world.node("bureau").member, &(1..=10).collect::<BTreeSet<u16>>())
    }

    fn list(rows: [u32; 2], words: &[u32]) -> Vec<u8> {
        let body: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        file(words.len() as u64, &rows, &body)
    }

    fn check(rows: [u32; 2], words: &[u32], class: Class) -> Result<(), Reason> {
        let bytes = list(rows, words);
        match RowList::open(bytes.as_slice(), 2).and_then(|list| check_list(list, class, &matters())) {
            Ok(()) => Ok(()),
            Err(RunError::Refused(reason)) => Err(reason),
            Err(RunError::Io(error)) => panic!("{error}"),
        }
    }

    const MORE: u32 = FURTHER_ROW;

    #[test]
    fn lists_in_order() {
        assert_eq!(matters().iter().map(MatterRound::available).collect::<Vec<_>>(), [[4, 3, 3, 0], [4, 0, 3, 0]]);
        // A person with rows 0 and 2, one with row 1: eight records of strong positive channels.
        let strong = [0, 2 | MORE, 1, 0, 2 | MORE, 1, 1, 0, 2 | MORE, 1, 0, 2 | MORE];
        assert_eq!(check([2, 1], &strong, Class::StrongPositive), Ok(()));
        assert_eq!(check([2, 1], &[0, 0, 1, 1, 0, 1], Class::WeakPositive), Ok(()));
        assert_eq!(check([2, 1], &[], Class::WeakNegative), Ok(()));
        assert_eq!(check([0, 0], &[], Class::StrongPositive), Ok(()));
    }

    #[test]
    fn rows_too_often_or_too_seldom() {
        let bad = Err(Reason::BadRows);
        assert_eq!(check([2, 1], &[0, 0, 1, 1, 0], Class::WeakPositive), bad);
        assert_eq!(check([2, 1], &[0, 0, 1, 1, 0, 1, 1], Class::WeakPositive), bad);
        // Row 2 is one of `allowance`, which has no weak positive channel.
        assert_eq!(check([2, 1], &[0, 0, 1, 1, 0, 1, 2], Class::WeakPositive), bad);
        assert_eq!(check([2, 1], &[0], Class::WeakNegative), bad);
        assert_eq!(check([1, 0], &[], Class::StrongPositive), bad);
    }

    #[test]
    fn words_out_of_order() {
        let bad = Err(Reason::BadRows);
        // A row that is not there, a further row of no record, and rows of one record that do not ascend.
        assert_eq!(check([2, 0], &[0, 0, 0, 1, 1, 2], Class::WeakPositive), bad);
        assert_eq!(check([1, 0], &[MORE, 0, 0], Class::WeakPositive), bad);
        assert_eq!(check([2, 0], &[1, MORE, 1, MORE, 1, MORE], Class::WeakPositive), bad);
        assert_eq!(check([1, 0], &[0, MORE, 0], Class::WeakPositive), bad);
        assert_eq!(check([2, 0], &[0, 1 | MORE, 0, 1 | MORE, 0, 1 | MORE], Class::WeakPositive), Ok(()));
    }

    #[test]
    fn sizes() {
        let refused = |header: &Header, limits: &[u64]| check_sizes(header, limits).is_err();
        let header = Header { salt: [0; 32], count: 0, rows: vec![2, 3] };
        assert!(!refused(&header, &[2, 3]));
        assert!(refused(&header, &[2, 2]) && refused(&header, &[1, 3]) && refused(&header, &[2]));
        let bytes = list([u32::MAX, 1], &[]);
        assert!(matches!(RowList::open(bytes.as_slice(), 2), Err(RunError::Refused(Reason::BadRows))));
    }
}
