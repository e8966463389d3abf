//! The matcher's work on files. A task that is done again gives the same.

use std::fs;

use wugan_protocol::{
    chance::{Purpose, RoundSeed},
    file::{FileKey, Header},
    hexes::Digest,
    limits::FILE_ITEMS_MAX,
    party::MemberNumber,
    policy::Class,
    reason::Reason,
    run::{Pool, RECORD_BYTES, Records, RunError, count_as_announced},
    stage::{Fault, stop_text},
    statement::Announcement,
};
use wugan_transport::rounds::{Made, Rounds};

use crate::{
    handles::Handles,
    join::{JoinError, join},
};

/// Work on kept files.
#[derive(Debug)]
pub enum Task {
    /// Check a pool that arrived, as it was announced.
    CheckPool(Announcement),
    /// Check an owner's records, and make its bitmaps.
    Match {
        /// The owner.
        owner: MemberNumber,
        /// Its pool group.
        group: u8,
        /// Its records files.
        records: Vec<RecordsFile>,
        /// From which the bitmaps' salts derive.
        seed: RoundSeed,
    },
}

/// A records file as announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsFile {
    /// The channel's number.
    pub channel: u16,
    /// The channel's class.
    pub class: Class,
    /// Its announcement.
    pub announcement: Announcement,
}

impl Task {
    /// Does it; the bitmaps made, one for each class.
    pub(crate) fn carry_out(self, round: Digest, rounds: &Rounds) -> Result<Vec<Made>, Fault> {
        match self {
            Task::CheckPool(announcement) => {
                let checked = check_pool(rounds, round, &announcement);
                checked.map(|()| Vec::new()).map_err(|error| Fault::of(announcement.file, error))
            }
            Task::Match { owner, group, records, seed } => {
                Matching { rounds, round, owner, group, records: &records }.run(&seed)
            }
        }
    }
}

fn check_pool(rounds: &Rounds, round: Digest, announcement: &Announcement) -> Result<(), RunError> {
    let mut pool = Pool::open(rounds.open(round, announcement.file)?)?;
    count_as_announced(pool.count(), announcement)?;
    loop {
        match pool.peek()?.len() {
            0 => return Ok(()),
            checked => pool.skip(checked),
        }
    }
}

/// One owner's match.
struct Matching<'a> {
    rounds: &'a Rounds,
    round: Digest,
    owner: MemberNumber,
    group: u8,
    records: &'a [RecordsFile],
}

impl Matching<'_> {
    fn run(&self, seed: &RoundSeed) -> Result<Vec<Made>, Fault> {
        let mut classes = self.count()?.map(Handles::new);
        for records in self.records {
            self.join(records, &mut classes[records.class.index()])?;
        }
        let bitmaps = Class::ALL.into_iter().zip(classes);
        bitmaps.map(|(class, handles)| self.make(class, handles, seed)).collect()
    }

    /// Records of each class. The files' lengths are compared with their headers first, so that no header makes this
    /// machine reserve memory for records that are not there.
    fn count(&self) -> Result<[u64; 4], Fault> {
        let mut counts = [0; 4];
        for records in self.records {
            let file = records.announcement.file;
            let count = self.count_one(&records.announcement).map_err(|error| Fault::of(file, error))?;
            let sum = &mut counts[records.class.index()];
            *sum += count;
            if *sum > FILE_ITEMS_MAX {
                return Err(Fault::Refused(file, Reason::BadHandles));
            }
        }
        Ok(counts)
    }

    fn count_one(&self, announcement: &Announcement) -> Result<u64, RunError> {
        let count = Records::open(self.rounds.open(self.round, announcement.file)?)?.count();
        count_as_announced(count, announcement)?;
        let length = fs::metadata(self.rounds.path(self.round, announcement.file))?.len();
        let expected = Header::bytes(0) as u64 + count * RECORD_BYTES as u64;
        if length == expected { Ok(count) } else { Err(RunError::Refused(Reason::Malformed)) }
    }

    fn join(&self, records: &RecordsFile, handles: &mut Handles) -> Result<(), Fault> {
        let (file, pool) = (records.announcement.file, FileKey::Pool { channel: records.channel, group: self.group });
        let at_records = |error| Fault::of(file, error);
        let at_pool = |error| Fault::of_receipted(pool, error);
        let mut reader =
            self.rounds.open(self.round, file).map_err(RunError::Io).and_then(Records::open).map_err(at_records)?;
        let mut tags =
            self.rounds.open(self.round, pool).map_err(RunError::Io).and_then(Pool::open).map_err(at_pool)?;
        let take = |handle, met| handles.take(handle, met).map_err(RunError::Refused);
        join(&mut reader, &mut tags, take).map_err(|error| match error {
            JoinError::Records(error) => at_records(error),
            JoinError::Pool(error) => at_pool(error),
        })
    }

    fn make(&self, class: Class, handles: Handles, seed: &RoundSeed) -> Result<Made, Fault> {
        let file = FileKey::Bitmap { owner: self.owner, class };
        let changed = || Fault::Machine(format!("records of owner {} changed while they were read", self.owner));
        let met = handles.finish().ok_or_else(changed)?;
        let salt = seed.derive(&self.round.0, Purpose::Salt(file));
        let header = Header { salt, count: met.count(), rows: Vec::new() };
        let made = self.rounds.make(self.round, file, &header, |writer| writer.write(met.bytes()));
        made.map_err(|error| Fault::Machine(stop_text(&format!("{} cannot be written", file.name()), &error)))
    }
}
