//! Which records of one row were met: the look at kept files that an approved request allows.

use std::{fs, io};

use wugan_protocol::{
    disclosure::Opening,
    file::FileKey,
    hexes::Digest,
    party::MemberNumber,
    policy::{Class, MatterRound},
    reason::Reason,
    run::{Bitmap, RunError},
    statement::DisclosureRequest,
};
use wugan_transport::rounds::Rounds;

use crate::rows::RowList;

/// A look at one row.
#[derive(Debug)]
pub struct DiscloseTask {
    /// Hash of the requesting entry.
    pub request: Digest,
    /// The round.
    pub round: Digest,
    /// The roster owner.
    pub owner: MemberNumber,
    /// What was asked.
    pub asked: DisclosureRequest,
    /// The row.
    pub opening: Opening,
    /// The owner's matters in the round.
    pub matters: Vec<MatterRound>,
    /// The place of the matter that was asked about among them.
    pub place: usize,
}

/// What a look at one row showed.
#[derive(Debug)]
pub struct DiscloseDone {
    /// Hash of the requesting entry.
    pub request: Digest,
    /// Handles of the class asked for, ascending; none if they did not raise a suspicion. Or why the files cannot be read.
    pub found: Result<Option<Vec<u32>>, String>,
}

impl DiscloseTask {
    /// Looks.
    pub fn run(self, rounds: &Rounds) -> DiscloseDone {
        let found = self.look(rounds).map_err(|error| match error {
            RunError::Io(error) => error.to_string(),
            RunError::Refused(reason) => reason.to_string(),
        });
        DiscloseDone { request: self.request, found }
    }

    /// The row's outcome is found anew from the kept files: nothing else says that it was `suspected`.
    fn look(&self, rounds: &Rounds) -> Result<Option<Vec<u32>>, RunError> {
        let (mut counts, mut told) = ([0; 4], Vec::new());
        for class in Class::ALL {
            let open = |file| rounds.open(self.round, file);
            let met = Bitmap::read(open(FileKey::Bitmap { owner: self.owner, class })?)?;
            let list = RowList::open(open(FileKey::Rows { owner: self.owner, class })?, self.matters.len())?;
            if place_of(self.opening.row, &list.header().rows) != Some(self.place) {
                return Ok(None);
            }
            let handles = met_records(list, &met, self.opening.row)?;
            counts[class.index()] = handles.len() as u32;
            if class == self.asked.class {
                told = handles;
            }
        }
        let suspected = self.matters.get(self.place).is_some_and(|m| m.suspects_for(counts, self.asked.class));
        Ok(suspected.then_some(told))
    }
}

/// Handles of the records that serve a row and were met.
fn met_records(mut list: RowList<io::BufReader<fs::File>>, met: &Bitmap, row: u32) -> Result<Vec<u32>, RunError> {
    let (mut next, mut handles) = (0_u32, Vec::new());
    while let Some(served) = list.next()? {
        next += u32::from(served.first);
        // The first row of a list is a first one: `next` is above 0.
        if served.row == row && met.get(u64::from(next - 1)) {
            handles.push(next - 1);
        }
    }
    if u64::from(next) == met.count() { Ok(handles) } else { Err(RunError::Refused(Reason::CountDiffers)) }
}

/// The place of a row's matter, where each matter has so many rows.
fn place_of(row: u32, rows: &[u32]) -> Option<usize> {
    let ends = rows.iter().scan(0_u64, |end, rows| {
        *end += u64::from(*rows);
        Some(*end)
    });
    ends.zip(0..).find(|(end, _)| u64::from(row) < *end).map(|(_, place)| place)
}
