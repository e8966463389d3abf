//! The aggregator's work on files. A task that is done again gives the same.

use std::{fs, io};

use wugan_protocol::{
    chance::{Purpose, RoundSeed},
    file::{FileKey, Header},
    hexes::Digest,
    party::MemberNumber,
    policy::{Class, MatterRound},
    reason::Reason,
    run::{Bitmap, RunError, count_as_announced, read_header},
    stage::{Fault, stop_text},
    statement::Announcement,
};
use wugan_transport::{
    rounds::{Made, Rounds},
    server, shell,
};

use crate::{
    Job, Local,
    combine::{CombineError, Signals},
    rows::{RowList, check_list, check_sizes},
};

/// Work on kept files.
#[derive(Debug)]
pub enum Task {
    /// Check an owner's row lists.
    CheckRows {
        /// The owner.
        owner: MemberNumber,
        /// The lists' announcements, class by class.
        lists: Vec<Announcement>,
        /// The owner's matters.
        matters: Vec<MatterRound>,
        /// The most rows that each matter may have.
        limits: Vec<u64>,
    },
    /// Make an owner's signal bits of row lists that were checked.
    Combine {
        /// The owner.
        owner: MemberNumber,
        /// The bitmaps' announcements, class by class.
        bitmaps: Vec<Announcement>,
        /// The owner's matters.
        matters: Vec<MatterRound>,
        /// From which the file's salt derives.
        seed: RoundSeed,
    },
}

impl Task {
    /// Does it; the signal bits, if it makes them.
    pub(crate) fn carry_out(self, round: Digest, rounds: &Rounds) -> Result<Vec<Made>, Fault> {
        match self {
            Task::CheckRows { owner, lists, matters, limits } => {
                let files = OwnerFiles { rounds, round, owner, matters: &matters };
                files.check(&lists, &limits).map(|()| Vec::new())
            }
            Task::Combine { owner, bitmaps, matters, seed } => {
                let files = OwnerFiles { rounds, round, owner, matters: &matters };
                files.combine(&bitmaps, &seed).map(|made| vec![made])
            }
        }
    }
}

/// Runs the aggregator's jobs, on any number of threads.
#[derive(Clone, Debug)]
pub struct AggregatorWorker {
    rounds: Rounds,
    server: server::Worker,
}

impl AggregatorWorker {
    /// A worker on these rounds.
    pub fn new(rounds: Rounds) -> AggregatorWorker {
        AggregatorWorker { server: server::Worker::new(rounds.clone()), rounds }
    }

    /// Runs a job to its end.
    pub fn run(&self, job: Job) -> Local {
        match job {
            Job::Server(job) => Local::Server(self.server.run(job)),
            Job::Disclose(task) => Local::Disclosed(task.run(&self.rounds)),
        }
    }
}

impl shell::Worker<Job, Local> for AggregatorWorker {
    fn run(&self, job: Job, tell: &mut dyn FnMut(Local)) {
        tell(AggregatorWorker::run(self, job));
    }
}

/// The files of one owner.
struct OwnerFiles<'a> {
    rounds: &'a Rounds,
    round: Digest,
    owner: MemberNumber,
    matters: &'a [MatterRound],
}

type List = RowList<io::BufReader<fs::File>>;

impl OwnerFiles<'_> {
    fn check(&self, lists: &[Announcement], limits: &[u64]) -> Result<(), Fault> {
        let mut rows = None;
        for (class, announcement) in Class::ALL.into_iter().zip(lists) {
            let checked = self.check_one(class, announcement, limits, &mut rows);
            checked.map_err(|error| Fault::of(announcement.file, error))?;
        }
        Ok(())
    }

    /// `rows` are those of each matter in the classes before.
    fn check_one(
        &self,
        class: Class,
        announcement: &Announcement,
        limits: &[u64],
        rows: &mut Option<Vec<u32>>,
    ) -> Result<(), RunError> {
        let list = self.open(class)?;
        let header = list.header();
        count_as_announced(header.count, announcement)?;
        check_sizes(header, limits)?;
        if *rows.get_or_insert_with(|| header.rows.clone()) != header.rows {
            return Err(RunError::Refused(Reason::BadRows));
        }
        check_list(list, class, self.matters)
    }

    fn combine(&self, bitmaps: &[Announcement], seed: &RoundSeed) -> Result<Made, Fault> {
        let met = |announcement| self.bitmap(announcement).map_err(|error| Fault::of(announcement.file, error));
        let met: Vec<Bitmap> = bitmaps.iter().map(met).collect::<Result<_, _>>()?;
        let first = self.receipted(Class::StrongPositive)?;
        let (rows, total) = (first.header().rows.clone(), first.rows());
        let mut signals = Signals::new(total);
        for ((class, announcement), met) in Class::ALL.into_iter().zip(bitmaps).zip(&met) {
            signals.add(self.receipted(class)?, met, class).map_err(|error| match error {
                CombineError::Rows(error) => Fault::of_receipted(self.rows(class), error),
                CombineError::Bitmap => Fault::Refused(announcement.file, Reason::CountDiffers),
            })?;
        }
        self.make(&signals, rows, total, seed)
    }

    /// The file's length is compared with its header first, so that no header makes this machine reserve memory for
    /// bits that are not there.
    fn bitmap(&self, announcement: &Announcement) -> Result<Bitmap, RunError> {
        let open = || self.rounds.open(self.round, announcement.file);
        let count = read_header(&mut open()?, 0)?.count;
        count_as_announced(count, announcement)?;
        let length = fs::metadata(self.rounds.path(self.round, announcement.file))?.len();
        if length != Header::bytes(0) as u64 + count.div_ceil(8) {
            return Err(RunError::Refused(Reason::Malformed));
        }
        Bitmap::read(open()?)
    }

    /// A list that was checked before.
    fn receipted(&self, class: Class) -> Result<List, Fault> {
        self.open(class).map_err(|error| Fault::of_receipted(self.rows(class), error))
    }

    fn make(&self, signals: &Signals, rows: Vec<u32>, total: u32, seed: &RoundSeed) -> Result<Made, Fault> {
        let file = FileKey::Bits { owner: self.owner };
        let salt = seed.derive(&self.round.0, Purpose::Salt(file));
        let header = Header { salt, count: total.into(), rows };
        let made = self.rounds.make(self.round, file, &header, |writer| {
            signals.write(&header.rows, self.matters, |bits| writer.write(bits))
        });
        made.map_err(|error| Fault::Machine(stop_text(&format!("{} cannot be written", file.name()), &error)))
    }

    fn open(&self, class: Class) -> Result<List, RunError> {
        RowList::open(self.rounds.open(self.round, self.rows(class))?, self.matters.len())
    }

    fn rows(&self, class: Class) -> FileKey {
        FileKey::Rows { owner: self.owner, class }
    }
}
