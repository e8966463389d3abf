//! The aggregator's stage: how many records of each row were met, as the lowest counts with the same outcome.

use wugan_protocol::{
    file::{FileKey, Header},
    ledger::row_files,
    party::MemberNumber,
    policy::{Class, MatterRound},
    reason::Reason,
    run::FURTHER_ROW,
    statement::Receipt,
};

use super::{CannotReplay, stage::Stage};
use crate::kept::{Fault, KeptFile};

/// Reads every owner's row lists that have a receipt, with the bitmaps from which signal bits were made.
pub(super) fn replay(stage: &mut Stage<'_>) -> Result<(), CannotReplay> {
    let round = &stage.told().round;
    for owner in stage.policy().owners() {
        if round.has_receipt(round.manifest().aggregator, &Receipt::Rows { owner }) {
            replay_owner(stage, owner)?;
        }
    }
    Ok(())
}

fn replay_owner(stage: &mut Stage<'_>, owner: MemberNumber) -> Result<(), CannotReplay> {
    let round = &stage.told().round;
    let bits = FileKey::Bits { owner };
    let announced = round.announcement(bits).is_some();
    let mut owned =
        Owner { matters: stage.matters(owner), limits: stage.limits(owner), rows: None, counts: Vec::new() };
    let mut good = true;
    for (class, list) in Class::ALL.into_iter().zip(row_files(owner)) {
        let bitmap = FileKey::Bitmap { owner, class };
        let met = if announced { stage.input(bitmap, read_bitmap)? } else { None };
        let list = stage.input(list, |list| owned.read(list, class, met.as_ref()))?;
        let differ = met.as_ref().zip(list.as_ref()).is_some_and(|(met, list)| met.count != list.records);
        if differ {
            stage.not_in_order(bitmap, Reason::CountDiffers);
        }
        good &= met.is_some() && list.is_some() && !differ;
        owned.rows = owned.rows.or(list.map(|list| list.rows));
    }
    let bitmaps = Class::ALL.map(|class| FileKey::Bitmap { owner, class });
    let complete = round.complete(owner) && bitmaps.iter().all(|bitmap| round.announcement(*bitmap).is_some());
    match (announced, owned.rows.take()) {
        (false, _) if complete => stage.lacking(bits, &bitmaps),
        (true, Some(rows)) if good => return owned.write(stage, bits, rows),
        _ => {}
    }
    Ok(())
}

/// What is known of an owner's rows.
struct Owner<'a> {
    matters: &'a [MatterRound],
    limits: &'a [u64],
    /// Rows of each matter.
    rows: Option<Vec<u32>>,
    /// Of each row, how many of its records were met in each class.
    counts: Vec<[u8; 4]>,
}

/// What was read of a row list.
struct List {
    records: u64,
    /// Rows of each matter.
    rows: Vec<u32>,
}

/// A bitmap as it was kept.
struct Met {
    bits: Vec<u8>,
    count: u64,
}

impl Owner<'_> {
    /// Reads the row list of a class, and counts what was met of it; also its words.
    fn read(&mut self, list: &mut KeptFile, class: Class, met: Option<&Met>) -> Result<(List, u64), Fault> {
        let header = list.header(self.matters.len(), |header| header.count * 4)?;
        let total = self.total(&header)?;
        self.counts.resize(total.max(self.counts.len()), [0; 4]);
        let mut times = vec![0_u16; total];
        let (mut records, mut last, mut add) = (0, None, 0);
        for _ in 0..header.count {
            let word = u32::from_le_bytes(list.item()?);
            let (row, further) = (word & !FURTHER_ROW, word & FURTHER_ROW != 0);
            let in_order = !further || last.is_some_and(|last| last < row);
            let (Some(times), true) = (times.get_mut(row as usize), in_order) else {
                return Err(Fault::Shape(Reason::BadRows));
            };
            if !further {
                add = u8::from(met.is_some_and(|met| met.has(records)));
                records += 1;
            }
            last = Some(row);
            *times = times.saturating_add(1);
            let count = &mut self.counts[row as usize][class.index()];
            *count = count.saturating_add(add);
        }
        self.check_times(&times, &header.rows, class)?;
        Ok((List { records, rows: header.rows }, header.count))
    }

    /// The rows of all matters, which are the same in all classes, and not more than the owner declared.
    fn total(&self, header: &Header) -> Result<usize, Fault> {
        let allowed = header.rows.len() == self.limits.len()
            && header.rows.iter().zip(self.limits).all(|(rows, limit)| u64::from(*rows) <= *limit);
        if !allowed {
            return Err(Fault::Shape(Reason::TooManyRows));
        }
        let total: u64 = header.rows.iter().map(|rows| u64::from(*rows)).sum();
        if total > u64::from(FURTHER_ROW) || self.rows.as_ref().is_some_and(|rows| *rows != header.rows) {
            return Err(Fault::Shape(Reason::BadRows));
        }
        Ok(total as usize)
    }

    /// Each row has as many records as its matter has channels of the class.
    fn check_times(&self, times: &[u16], rows: &[u32], class: Class) -> Result<(), Fault> {
        let mut times = times.iter();
        for (rows, matter) in rows.iter().zip(self.matters) {
            let right = matter.available()[class.index()];
            if times.by_ref().take(*rows as usize).any(|times| u32::from(*times) != right) {
                return Err(Fault::Shape(Reason::BadRows));
            }
        }
        Ok(())
    }

    /// Compares the signal bits that follow.
    fn write(&self, stage: &mut Stage<'_>, file: FileKey, rows: Vec<u32>) -> Result<(), CannotReplay> {
        let header = Header { salt: [0; 32], count: self.counts.len() as u64, rows };
        stage.output(file, &header, |out| {
            let mut counts = self.counts.iter();
            for (rows, matter) in header.rows.iter().zip(self.matters) {
                let mut bits = vec![0; matter.row_bytes()];
                for counts in counts.by_ref().take(*rows as usize) {
                    matter.encode(matter.lowest(counts.map(u32::from)), &mut bits);
                    out.write(&bits)?;
                }
            }
            Ok(())
        })
    }
}

impl Met {
    fn has(&self, handle: u64) -> bool {
        self.bits.get((handle / 8) as usize).is_some_and(|byte| byte >> (handle % 8) & 1 == 1)
    }
}

fn read_bitmap(bitmap: &mut KeptFile) -> Result<(Met, u64), Fault> {
    let count = bitmap.header(0, |header| header.count.div_ceil(8))?.count;
    let mut bits = vec![0; count.div_ceil(8) as usize];
    bitmap.fill(&mut bits)?;
    let spare = bits.last().filter(|_| count % 8 != 0).map_or(0, |last| last >> (count % 8));
    if spare == 0 { Ok((Met { bits, count }, count)) } else { Err(Fault::Shape(Reason::BadBits)) }
}
