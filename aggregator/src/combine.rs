//! From row lists and bitmaps to the signal bits of each row.

use std::io::{self, Read};

use wugan_protocol::{
    policy::{Class, MatterRound},
    reason::Reason,
    run::{Bitmap, RunError},
};

use crate::rows::RowList;

/// For each row, how many of its records were met in each class. Takes four bytes for each row.
pub struct Signals {
    counts: Vec<[u8; 4]>,
}

/// Why a class cannot be counted.
#[derive(Debug, thiserror::Error)]
pub enum CombineError {
    /// The row list cannot be read, or is not in order.
    #[error("row list: {0}")]
    Rows(#[from] RunError),
    /// The row list has another number of records than the bitmap has handles.
    #[error("bitmap: {}", Reason::CountDiffers)]
    Bitmap,
}

impl Signals {
    /// No record met yet, for so many rows.
    pub fn new(rows: u32) -> Signals {
        Signals { counts: vec![[0; 4]; rows as usize] }
    }

    /// Adds the records of a class that were met. No cap is above 16, so counts stop at 255.
    ///
    /// # Errors
    /// See [`CombineError`].
    pub fn add<R: Read>(&mut self, mut list: RowList<R>, met: &Bitmap, class: Class) -> Result<(), CombineError> {
        let (mut records, mut add) = (0, 0);
        while let Some(served) = list.next()? {
            if served.first {
                add = u8::from(met.get(records));
                records += 1;
            }
            if let Some(counts) = self.counts.get_mut(served.row as usize) {
                let count = &mut counts[class.index()];
                *count = count.saturating_add(add);
            }
        }
        if records == met.count() { Ok(()) } else { Err(CombineError::Bitmap) }
    }

    /// Writes the signal bits of each row: the lowest counts with the same outcome, in unary. `rows` are those of each
    /// matter.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn write(
        &self,
        rows: &[u32],
        matters: &[MatterRound],
        mut write: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut rest = self.counts.as_slice();
        for (rows, matter) in rows.iter().zip(matters) {
            let (these, others) = rest.split_at((*rows as usize).min(rest.len()));
            let mut bits = vec![0; matter.row_bytes()];
            for counts in these {
                matter.encode(matter.lowest(counts.map(u32::from)), &mut bits);
                write(&bits)?;
            }
            rest = others;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use wugan_protocol::{
        policy::Counts,
        run::FURTHER_ROW,
        testing::{World, file},
    };

    use super::*;

    /// Rows that each record of a class serves, and whether it was met.
    type Served = Vec<(BTreeSet<u32>, bool)>;

    fn list(served: &Served, rows: &[u32]) -> Vec<u8> {
        let record = |rows: &BTreeSet<u32>| {
            let mut words: Vec<u32> = rows.iter().map(|row| row | FURTHER_ROW).collect();
            words[0] &= !FURTHER_ROW;
            words
        };
        let words: Vec<u32> = served.iter().flat_map(|(rows, _)| record(rows)).collect();
        let body: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        file(words.len() as u64, rows, &body)
    }

    fn bitmap(served: &Served) -> Bitmap {
        let mut bitmap = Bitmap::new(served.len() as u64);
        (0..).zip(served).for_each(|(handle, (_, met))| assert!(bitmap.set(handle, *met).unwrap()));
        bitmap
    }

    const ROWS: [u32; 2] = [5, 3];

    fn matters(list: &BTreeSet<u16>) -> Vec<MatterRound> {
        let world = World::new();
        world.policy().matter_rounds(world.node("bureau").member, list)
    }

    fn served() -> impl Strategy<Value = Served> {
        prop::collection::vec((prop::collection::btree_set(0..8_u32, 1..4), any::<bool>()), 0..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn agrees_with_counting(classes in prop::array::uniform4(served()), missing in 0..11_u16) {
            let matters = matters(&(1..=10).filter(|channel| *channel != missing).collect());
            let mut signals = Signals::new(8);
            for (class, served) in Class::ALL.into_iter().zip(&classes) {
                let bytes = list(served, &ROWS);
                signals.add(RowList::open(bytes.as_slice(), 2).unwrap(), &bitmap(served), class).unwrap();
            }
            let mut bits = Vec::new();
            signals.write(&ROWS, &matters, |row| { bits.extend_from_slice(row); Ok(()) }).unwrap();

            let mut expected = Vec::new();
            for row in 0..8 {
                let matter = &matters[usize::from(row >= 5)];
                let counts: Counts = std::array::from_fn(|class| {
                    classes[class].iter().filter(|(rows, met)| *met && rows.contains(&row)).count() as u32
                });
                let possible: Counts = std::array::from_fn(|class| counts[class].min(matter.available()[class]));
                let mut bytes = vec![0; matter.row_bytes()];
                matter.encode(matter.lowest(possible), &mut bytes);
                prop_assert_eq!(matter.outcome(matter.decode(&bytes).unwrap()), matter.outcome(possible));
                expected.extend(bytes);
            }
            prop_assert_eq!(bits, expected);
        }
    }

    #[test]
    fn counts_must_agree() {
        let served = vec![(BTreeSet::from([0]), true), (BTreeSet::from([1, 2]), false)];
        let bytes = list(&served, &ROWS);
        let add =
            |met: &Bitmap| Signals::new(8).add(RowList::open(bytes.as_slice(), 2).unwrap(), met, Class::StrongPositive);
        add(&bitmap(&served)).unwrap();
        assert!(matches!(add(&Bitmap::new(1)), Err(CombineError::Bitmap)));
        assert!(matches!(add(&Bitmap::new(3)), Err(CombineError::Bitmap)));
    }
}
