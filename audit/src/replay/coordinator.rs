//! The coordinator's stage: signal bits into one decision for each row, and into the totals that the log tells.

use wugan_protocol::{
    file::{FileKey, Header},
    party::MemberNumber,
    policy::{Decision, MatterRound},
    reason::Reason,
    statement::{DecisionCount, MatterTotals},
};

use super::{CannotReplay, stage::Stage};
use crate::{
    finding::Rule,
    kept::{Fault, KeptFile},
};

/// Reads every owner's signal bits from which decisions were made.
pub(super) fn replay(stage: &mut Stage<'_>) -> Result<(), CannotReplay> {
    let round = &stage.told().round;
    for owner in stage.policy().owners() {
        let (bits, decisions) = (FileKey::Bits { owner }, FileKey::Decisions { owner });
        match (round.announcement(bits), round.announcement(decisions)) {
            (Some(_), Some(_)) => replay_owner(stage, owner)?,
            (Some(_), None) => stage.lacking(decisions, &[bits]),
            (None, _) => {}
        }
    }
    Ok(())
}

fn replay_owner(stage: &mut Stage<'_>, owner: MemberNumber) -> Result<(), CannotReplay> {
    let (matters, limits) = (stage.matters(owner), stage.limits(owner));
    let decided = stage.input(FileKey::Bits { owner }, |bits| {
        let decided = Decided::read(bits, matters, limits)?;
        let count = decided.header.count;
        Ok((decided, count))
    })?;
    let Some(decided) = decided else { return Ok(()) };
    let decisions = FileKey::Decisions { owner };
    stage.output(decisions, &decided.header, |out| out.write(&decided.bytes))?;
    let told = stage.told();
    let numbers = stage.policy().matters_of(owner).map(|matter| matter.number);
    match told.round.totals(owner) {
        None => stage.lacking(decisions, &[]),
        Some(totals) if totals.matters == decided.totals(numbers) => {}
        Some(_) => stage.find_entry(Rule::TotalsFalse, told.totals(owner), stage.policy().member_id(owner).to_owned()),
    }
    Ok(())
}

/// What an owner's signal bits come to.
struct Decided {
    header: Header,
    /// One for each row.
    bytes: Vec<u8>,
    /// Rows of each matter with each decision, in the order of [`Decision::ALL`].
    counts: Vec<[u64; 4]>,
}

impl Decided {
    fn read(bits: &mut KeptFile, matters: &[MatterRound], limits: &[u64]) -> Result<Decided, Fault> {
        let row_bytes = |(rows, matter): (&u32, &MatterRound)| u64::from(*rows) * matter.row_bytes() as u64;
        let payload = |header: &Header| header.rows.iter().zip(matters).map(row_bytes).sum();
        let header = bits.header(matters.len(), payload)?;
        if header.rows.iter().map(|rows| u64::from(*rows)).sum::<u64>() != header.count {
            return Err(Fault::Shape(Reason::CountDiffers));
        }
        if header.rows.iter().zip(limits).any(|(rows, limit)| u64::from(*rows) > *limit) {
            return Err(Fault::Shape(Reason::TooManyRows));
        }
        let (mut bytes, mut counts) = (Vec::with_capacity(header.count as usize), Vec::new());
        for (rows, matter) in header.rows.iter().zip(matters) {
            let (mut row, mut of_matter) = (vec![0; matter.row_bytes()], [0; 4]);
            for _ in 0..*rows {
                bits.fill(&mut row)?;
                let lowest = matter.decode(&row).ok_or(Fault::Shape(Reason::BadBits))?;
                let outcome = matter.outcome(lowest);
                bytes.push(outcome.byte());
                of_matter[matter.decision(outcome) as usize] += 1;
            }
            counts.push(of_matter);
        }
        Ok(Decided { header, bytes, counts })
    }

    /// The totals as they are told: rounded to 5; below 8 not at all.
    fn totals(&self, matters: impl Iterator<Item = u16>) -> Vec<MatterTotals> {
        let told = |count: u64| (count >= TOLD_MIN).then_some((count + ROUND_TO / 2) / ROUND_TO * ROUND_TO);
        let count = |(decision, count): (Decision, u64)| DecisionCount { decision, about: told(count) };
        let of_matter = |(matter, counts): (u16, &[u64; 4])| MatterTotals {
            matter,
            counts: Decision::ALL.into_iter().zip(*counts).map(count).collect(),
        };
        matters.zip(&self.counts).map(of_matter).collect()
    }
}

/// Protocol, section 7.
const TOLD_MIN: u64 = 8;
const ROUND_TO: u64 = 5;
