//! The matcher's work on files: jobs go in, what came of them goes out. A job that is run again gives the same.

use std::{fs, io};

use wugan_protocol::{
    chance::{Purpose, RoundSeed},
    file::{FileKey, Header},
    hexes::Digest,
    limits::{FILE_ITEMS_MAX, round_up_count},
    party::MemberNumber,
    policy::Class,
    reason::Reason,
    run::{Pool, RECORD_BYTES, Records, RunError},
    stage::{Fault, stop_text},
};
use wugan_transport::rounds::{Made, Rounds};

use crate::{
    handles::Handles,
    join::{JoinError, join},
};

/// Work on kept files.
#[derive(Debug)]
pub enum Job {
    /// Check a pool that arrived.
    CheckPool {
        /// Of which round.
        round: Digest,
        /// The pool.
        file: FileKey,
        /// The announced count.
        count: u64,
    },
    /// Check an owner's records, and make its bitmaps.
    Match {
        /// Of which round.
        round: Digest,
        /// The owner.
        owner: MemberNumber,
        /// Its pool group.
        group: u8,
        /// Its records files.
        records: Vec<RecordsFile>,
        /// From which the bitmaps' salts derive.
        seed: RoundSeed,
    },
    /// Delete a round's files.
    Forget {
        /// Which.
        round: Digest,
    },
}

/// A records file as announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordsFile {
    /// The channel's number.
    pub channel: u16,
    /// The channel's class.
    pub class: Class,
    /// The announced count.
    pub count: u64,
}

/// What came of a job.
#[derive(Debug)]
pub enum Done {
    /// A pool is in order, or not.
    PoolChecked {
        /// Of which round.
        round: Digest,
        /// The pool.
        file: FileKey,
        /// Whether it is in order.
        result: Result<(), Fault>,
    },
    /// An owner's records are in order and its bitmaps are made, or not.
    Matched {
        /// Of which round.
        round: Digest,
        /// The owner.
        owner: MemberNumber,
        /// The bitmaps, one for each class.
        result: Result<Vec<Made>, Fault>,
    },
    /// A round's files are deleted, or not.
    Forgotten {
        /// Which.
        round: Digest,
        /// Whether they are.
        result: Result<(), Fault>,
    },
}

/// Runs jobs, on any number of threads.
#[derive(Clone, Debug)]
pub struct Worker {
    rounds: Rounds,
}

impl Worker {
    /// A worker on these rounds.
    pub fn new(rounds: Rounds) -> Worker {
        Worker { rounds }
    }

    /// Runs a job to its end.
    pub fn run(&self, job: Job) -> Done {
        match job {
            Job::CheckPool { round, file, count } => {
                let result = self.check_pool(round, file, count).map_err(|error| Fault::of(file, error));
                Done::PoolChecked { round, file, result }
            }
            Job::Match { round, owner, group, records, seed } => {
                let matching = Matching { rounds: &self.rounds, round, owner, group, records: &records };
                Done::Matched { round, owner, result: matching.run(&seed) }
            }
            Job::Forget { round } => {
                let failed = |error| Fault::Machine(stop_text("an old round's folder cannot be deleted", &error));
                Done::Forgotten { round, result: forget(&self.rounds, round).map_err(failed) }
            }
        }
    }

    fn check_pool(&self, round: Digest, file: FileKey, count: u64) -> Result<(), RunError> {
        let mut pool = Pool::open(self.rounds.open(round, file)?)?;
        as_announced(pool.count(), count)?;
        while pool.next()?.is_some() {}
        Ok(())
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
            let file = self.file(records);
            let count = self.count_one(file, records.count).map_err(|error| Fault::of(file, error))?;
            let sum = &mut counts[records.class.index()];
            *sum += count;
            if *sum > FILE_ITEMS_MAX {
                return Err(Fault::Refused(file, Reason::BadHandles));
            }
        }
        Ok(counts)
    }

    fn count_one(&self, file: FileKey, announced: u64) -> Result<u64, RunError> {
        let count = Records::open(self.rounds.open(self.round, file)?)?.count();
        as_announced(count, announced)?;
        let length = fs::metadata(self.rounds.path(self.round, file))?.len();
        let expected = Header::bytes(0) as u64 + count * RECORD_BYTES as u64;
        if length == expected { Ok(count) } else { Err(RunError::Refused(Reason::Malformed)) }
    }

    fn join(&self, records: &RecordsFile, handles: &mut Handles) -> Result<(), Fault> {
        let (file, pool) = (self.file(records), FileKey::Pool { channel: records.channel, group: self.group });
        let at_records = |error| Fault::of(file, error);
        let at_pool = |error| Fault::of_receipted(pool, error);
        let mut reader = self.open(file, Records::open).map_err(at_records)?;
        let mut tags = self.open(pool, Pool::open).map_err(at_pool)?;
        join(&mut reader, &mut tags, |handle, met| handles.take(handle, met).map_err(RunError::Refused)).map_err(
            |error| match error {
                JoinError::Records(error) => at_records(error),
                JoinError::Pool(error) => at_pool(error),
            },
        )
    }

    fn open<T>(
        &self,
        file: FileKey,
        open: impl FnOnce(io::BufReader<fs::File>) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        open(self.rounds.open(self.round, file)?)
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

    fn file(&self, records: &RecordsFile) -> FileKey {
        FileKey::Records { owner: self.owner, channel: records.channel }
    }
}

fn as_announced(count: u64, announced: u64) -> Result<(), RunError> {
    if round_up_count(count) == announced { Ok(()) } else { Err(RunError::Refused(Reason::CountDiffers)) }
}

fn forget(rounds: &Rounds, round: Digest) -> io::Result<()> {
    match fs::remove_dir_all(rounds.folder(round)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
