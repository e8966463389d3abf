//! The matcher's stage: which records of an owner meet a tag of their channel's pool of the owner's group.

use wugan_protocol::{
    file::{FileKey, Header},
    party::MemberNumber,
    policy::Class,
    reason::Reason,
    run::RECORD_BYTES,
    statement::Receipt,
    tag::{TAG_BYTES, Tag},
};

use super::{CannotReplay, stage::Stage};
use crate::kept::{Fault, KeptFile};

/// Reads every pool that has a receipt, and every owner's records that have one.
pub(super) fn replay(stage: &mut Stage<'_>) -> Result<(), CannotReplay> {
    let round = &stage.told().round;
    for file in round.receipted_channels().into_iter().flat_map(|channel| round.pool_files(channel)) {
        stage.input(file, |pool| check_pool(pool).map(|count| ((), count)))?;
    }
    for owner in stage.policy().owners() {
        if round.has_receipt(round.manifest().matcher, &Receipt::Records { owner }) {
            Class::ALL.into_iter().try_for_each(|class| replay_class(stage, owner, class))?;
        }
    }
    Ok(())
}

/// The records of one class, which share their handles, and their bitmap.
fn replay_class(stage: &mut Stage<'_>, owner: MemberNumber, class: Class) -> Result<(), CannotReplay> {
    let (round, policy) = (&stage.told().round, stage.policy());
    let of_class = |channel: &u16| policy.channel(*channel).is_some_and(|channel| channel.class == class);
    let channels: Vec<u16> = round.record_channels(owner).into_iter().filter(of_class).collect();
    let count = count_records(stage, owner, &channels)?;
    let mut handles = Handles::new(count.unwrap_or(0));
    let mut good = count.is_some();
    for channel in channels {
        good &= join_channel(stage, owner, channel, &mut handles)?;
    }
    // With a file that is not the announced one, its handles are nobody's fault.
    if let Some(file) = handles.wrong.filter(|_| good) {
        stage.not_in_order(file, Reason::BadHandles);
        good = false;
    }
    let bitmap = FileKey::Bitmap { owner, class };
    if round.announcement(bitmap).is_none() {
        if round.complete(owner) {
            stage.lacking(bitmap, &[]);
        }
        return Ok(());
    }
    if !good {
        return Ok(());
    }
    let header = Header { salt: [0; 32], count: handles.count, rows: Vec::new() };
    stage.output(bitmap, &header, |out| out.write(&handles.met))
}

/// Records of some channels; `None` if a file cannot be counted, of which something is found when it is read.
fn count_records(stage: &Stage<'_>, owner: MemberNumber, channels: &[u16]) -> Result<Option<u64>, CannotReplay> {
    let mut count = 0;
    for channel in channels {
        let file = FileKey::Records { owner, channel: *channel };
        let Some(mut kept) = stage.open_file(file)? else { return Ok(None) };
        match records_header(&mut kept) {
            Ok(header) => count += header.count,
            Err(Fault::Shape(_)) => return Ok(None),
            Err(Fault::Io(error)) => return Err(stage.unread(file, error)),
        }
    }
    Ok(Some(count))
}

/// Reads the records of one channel beside its pool; whether both were good.
fn join_channel(
    stage: &mut Stage<'_>,
    owner: MemberNumber,
    channel: u16,
    handles: &mut Handles,
) -> Result<bool, CannotReplay> {
    let group = stage.policy().groups.get(usize::from(owner)).copied().flatten().unwrap_or(0);
    let file = FileKey::Pool { channel, group };
    let mut pool = if stage.good(file) { stage.open_file(file)?.map(PoolTags::new) } else { None };
    let file = FileKey::Records { owner, channel };
    let joined = stage.input(file, |records| {
        let count = records_header(records)?.count;
        let mut before = None;
        for _ in 0..count {
            let (tag, handle) = split(records.item()?);
            if before.replace(tag).is_some_and(|before| before >= tag) {
                return Err(Fault::Shape(Reason::NotSorted));
            }
            let met = pool.as_mut().map_or(Ok(false), |pool| pool.has(tag))?;
            handles.take(file, handle, met);
        }
        Ok(((), count))
    })?;
    Ok(joined.is_some() && pool.is_some())
}

/// Reads a pool; how many tags it has.
fn check_pool(pool: &mut KeptFile) -> Result<u64, Fault> {
    let count = pool_header(pool)?.count;
    let mut before = None;
    for _ in 0..count {
        let tag: Tag = pool.item()?;
        if before.replace(tag).is_some_and(|before| before >= tag) {
            return Err(Fault::Shape(Reason::NotSorted));
        }
    }
    Ok(count)
}

/// A pool that was checked, read on beside records.
struct PoolTags {
    pool: KeptFile,
    /// Tags that were not read yet; `None` before the header was.
    left: Option<u64>,
    tag: Option<Tag>,
}

impl PoolTags {
    fn new(pool: KeptFile) -> PoolTags {
        PoolTags { pool, left: None, tag: None }
    }

    /// Whether it has a tag. Tags must be asked for in ascending order.
    fn has(&mut self, tag: Tag) -> Result<bool, Fault> {
        while self.tag.is_none_or(|here| here < tag) {
            let left = match self.left {
                Some(left) => left,
                None => pool_header(&mut self.pool)?.count,
            };
            self.left = Some(left.saturating_sub(1));
            if left == 0 {
                return Ok(false);
            }
            self.tag = Some(self.pool.item()?);
        }
        Ok(self.tag == Some(tag))
    }
}

/// Two bits for each record of a class: whether its handle was taken, and whether it was met.
struct Handles {
    count: u64,
    taken: Vec<u8>,
    met: Vec<u8>,
    /// The first file with a handle that is out of range or was taken before.
    wrong: Option<FileKey>,
}

impl Handles {
    fn new(count: u64) -> Handles {
        let bytes = count.div_ceil(8) as usize;
        Handles { count, taken: vec![0; bytes], met: vec![0; bytes], wrong: None }
    }

    fn take(&mut self, file: FileKey, handle: u32, met: bool) {
        let (byte, bit) = (handle as usize / 8, 1 << (handle % 8));
        if u64::from(handle) >= self.count || self.taken[byte] & bit != 0 {
            self.wrong.get_or_insert(file);
            return;
        }
        self.taken[byte] |= bit;
        self.met[byte] |= if met { bit } else { 0 };
    }
}

fn pool_header(pool: &mut KeptFile) -> Result<Header, Fault> {
    pool.header(0, |header| header.count * TAG_BYTES as u64)
}

fn records_header(records: &mut KeptFile) -> Result<Header, Fault> {
    records.header(0, |header| header.count * RECORD_BYTES as u64)
}

/// The tag and the handle of a record.
fn split(record: [u8; RECORD_BYTES]) -> (Tag, u32) {
    let (mut tag, mut handle) = ([0; TAG_BYTES], [0; 4]);
    tag.copy_from_slice(&record[..TAG_BYTES]);
    handle.copy_from_slice(&record[TAG_BYTES..]);
    (tag, u32::from_le_bytes(handle))
}
