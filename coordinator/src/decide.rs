//! From signal bits to decisions: one byte for each row, and totals in which no single person shows.

use std::{
    collections::HashMap,
    fmt,
    io::{self, BufWriter, Read},
};

use wugan_protocol::{
    file::{FileKey, Header},
    hexes::Digest,
    limits::about,
    party::MemberNumber,
    policy::{Decision, MatterRound, Outcome},
    reason::Reason,
    run::{FileWriter, RunError, count_as_announced, end_of, fill, read_header},
    statement::{Announcement, DecisionCount, MatterTotals},
};
use wugan_transport::rounds::{Made, Rounds};

/// What to decide. The same task makes the same file again.
#[derive(Clone)]
pub struct DecideTask {
    /// Hash of the round.
    pub round: Digest,
    /// Whose rows.
    pub owner: MemberNumber,
    /// The logged announcement of the bits file.
    pub bits: Announcement,
    /// The owner's matters, in the policy's order.
    pub matters: Vec<MatterTask>,
    /// The 32 bytes that the decisions file begins with.
    pub salt: [u8; 32],
}

/// One matter of a task.
#[derive(Clone, Debug)]
pub struct MatterTask {
    /// Its number.
    pub number: u16,
    /// How it is decided in this round.
    pub matter: MatterRound,
    /// Rows that the federation manifest allows.
    pub rows_max: u64,
}

/// What became of a task.
#[derive(Debug)]
pub struct DecideDone {
    /// Hash of the round.
    pub round: Digest,
    /// Whose rows.
    pub owner: MemberNumber,
    /// The decisions, or why there are none.
    pub result: Result<Decided, DecideError>,
}

/// One owner's decisions, as they lie on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The decisions file.
    pub made: Made,
    /// Totals of each matter, in the policy's order.
    pub matters: Vec<MatterTotals>,
}

/// Why there are no decisions.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// The bits file has not arrived.
    #[error("the signal bits have not arrived")]
    NoBits,
    /// The bits file is not one that the aggregator may make.
    #[error("the signal bits are refused: {0}")]
    Refused(Reason),
    /// The disk's fault.
    #[error("decisions cannot be written: {0}; check free space and rights of the state folder")]
    Io(#[from] io::Error),
}

impl DecideTask {
    /// Reads the owner's bits file and makes the decisions file. Holds one row in memory at a time. On an error
    /// nothing lies under the decisions file's name.
    pub fn run(&self, rounds: &Rounds) -> DecideDone {
        DecideDone { round: self.round, owner: self.owner, result: self.decide(rounds) }
    }

    fn decide(&self, rounds: &Rounds) -> Result<Decided, DecideError> {
        let mut bits = match rounds.open(self.round, FileKey::Bits { owner: self.owner }) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(DecideError::NoBits),
            opened => opened?,
        };
        let header = read_header(&mut bits, self.matters.len())?;
        self.check(&header)?;
        let header = Header { salt: self.salt, ..header };
        let mut result = Ok(Vec::new());
        let file = FileKey::Decisions { owner: self.owner };
        let made = rounds.make(self.round, file, &header, |out| {
            result = self.rows(&mut bits, &header.rows, out);
            result.as_ref().map(|_| ()).map_err(|_| io::ErrorKind::InvalidData.into())
        });
        // Rows that failed are why the file was not made, so their error comes first.
        let matters = result?;
        Ok(Decided { made: made?, matters })
    }

    fn check(&self, header: &Header) -> Result<(), RunError> {
        count_as_announced(header.count, &self.bits)?;
        if header.rows.iter().map(|rows| u64::from(*rows)).sum::<u64>() != header.count {
            return Err(RunError::Refused(Reason::CountDiffers));
        }
        let mut matters = header.rows.iter().zip(&self.matters);
        let allowed = matters.all(|(rows, matter)| u64::from(*rows) <= matter.rows_max);
        allowed.then_some(()).ok_or(RunError::Refused(Reason::TooManyRows))
    }

    fn rows<R: Read, W: io::Write>(
        &self,
        bits: &mut R,
        rows: &[u32],
        out: &mut FileWriter<BufWriter<W>>,
    ) -> Result<Vec<MatterTotals>, RunError> {
        let mut totals = Vec::with_capacity(self.matters.len());
        for (task, rows) in self.matters.iter().zip(rows) {
            let counts = decide_matter(&task.matter, bits, *rows, out)?;
            let counts = Decision::ALL.into_iter().zip(counts);
            let counts = counts.map(|(decision, count)| DecisionCount { decision, about: about(count) }).collect();
            totals.push(MatterTotals { matter: task.number, counts });
        }
        end_of(bits).map(|()| totals)
    }
}

impl fmt::Debug for DecideTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecideTask").field("round", &self.round).field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl From<RunError> for DecideError {
    fn from(error: RunError) -> DecideError {
        match error {
            RunError::Io(error) => DecideError::Io(error),
            RunError::Refused(reason) => DecideError::Refused(reason),
        }
    }
}

/// Bytes of a row at the most: four classes, each capped at 16.
const ROW_BYTES_MAX: usize = 8;

/// Decides the rows of one matter; how many had each decision, in the order of [`Decision::ALL`].
fn decide_matter<R: Read, W: io::Write>(
    matter: &MatterRound,
    bits: &mut R,
    rows: u32,
    out: &mut FileWriter<BufWriter<W>>,
) -> Result<[u64; 4], RunError> {
    let mut row = [0; ROW_BYTES_MAX];
    let bytes = matter.row_bytes();
    // Few different rows are possible, so each is decided once.
    let mut outcomes: HashMap<[u8; ROW_BYTES_MAX], Outcome> = HashMap::new();
    let mut counts = [0; 4];
    for _ in 0..rows {
        fill(bits, &mut row[..bytes])?;
        let outcome = match outcomes.get(&row) {
            Some(outcome) => *outcome,
            None => {
                let lowest = matter.decode(&row[..bytes]).ok_or(RunError::Refused(Reason::BadBits))?;
                *outcomes.entry(row).or_insert_with(|| matter.outcome(lowest))
            }
        };
        out.write(&[outcome.byte()])?;
        counts[matter.decision(outcome) as usize] += 1;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests;
