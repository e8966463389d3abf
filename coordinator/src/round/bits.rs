//! The aggregator's signal bits: held until the log shows their announcement, kept, decided, or refused.

use std::collections::BTreeMap;

use wugan_protocol::{
    chance::{Purpose, RoundSeed},
    engine::{Command, Fact, Offer, Severity},
    file::FileKey,
    hexes::Digest,
    ledger::Round,
    member::announced_file,
    party::MemberNumber,
    reason::Reason,
    statement::{Announcement, Kept, Statement, Totals},
};

use crate::{
    decide::{DecideDone, DecideError, DecideTask, Decided, MatterTask},
    engine::Job,
    log::Log,
};

/// Files that wait, work that runs.
pub(crate) struct Bits {
    fresh: Box<dyn FnMut() -> [u8; 32] + Send>,
    /// Durable seeds, by round.
    seeds: BTreeMap<Digest, RoundSeed>,
    /// Files in the spool whose announcement the log does not show yet: one for each owner at the most.
    held: BTreeMap<MemberNumber, Held>,
    /// Work for the last round's owners; none where it should be started.
    work: BTreeMap<(Digest, MemberNumber), Work>,
}

struct Held {
    ticket: u64,
    round: Digest,
    digest: Digest,
}

enum Work {
    /// A job runs. `kept`: the file came meanwhile.
    Running { kept: bool },
    /// Not before this time, unless the file comes.
    Waiting { from: u64 },
}

impl Bits {
    /// With the seeds of the durable facts.
    pub(crate) fn restore(facts: &BTreeMap<String, Vec<u8>>, fresh: Box<dyn FnMut() -> [u8; 32] + Send>) -> Bits {
        let seeds = facts.iter().filter_map(|(name, value)| {
            let round = name.strip_prefix(SEED)?.parse().ok()?;
            Some((round, RoundSeed::new(value.as_slice().try_into().ok()?)))
        });
        Bits { fresh, seeds: seeds.collect(), held: BTreeMap::new(), work: BTreeMap::new() }
    }

    /// Takes a file into the spool, if it may be one of the aggregator's.
    pub(crate) fn offer(&mut self, log: &Log, offer: &Offer) -> Vec<Command<Job>> {
        let refuse = |ticket, reason| Command::Refuse { ticket, reason };
        match read_offer(log, offer) {
            Ok((owner, held)) => {
                let before = self.held.insert(owner, held);
                before.map(|before| refuse(before.ticket, Reason::Repeated)).into_iter().collect()
            }
            Err(reason) => vec![refuse(offer.ticket, reason)],
        }
    }

    /// Takes what a job found.
    pub(crate) fn decided(&mut self, log: &mut Log, done: DecideDone, now: u64) -> Vec<Command<Job>> {
        let DecideDone { round, owner, result } = done;
        let work = self.work.remove(&(round, owner));
        if log.ledger().open_round().map(Round::hash) != Some(round) {
            return Vec::new();
        }
        let mut wait = |from| {
            self.work.insert((round, owner), Work::Waiting { from });
        };
        let id = log.federation().policy().member_id(owner).to_owned();
        match result {
            Ok(decided) => match state_decisions(log, owner, decided, now) {
                Ok(()) => vec![Command::Tell(Severity::Info, format!("decided the rows of {id}"))],
                Err(reason) => {
                    wait(now + RETRY_SECONDS);
                    vec![Command::Tell(Severity::Warn, format!("decisions of {id} cannot be logged: {reason}"))]
                }
            },
            Err(DecideError::NoBits) => {
                if !matches!(work, Some(Work::Running { kept: true })) {
                    wait(u64::MAX);
                }
                Vec::new()
            }
            Err(DecideError::Refused(reason)) => {
                let file = FileKey::Bits { owner };
                let refused = log.bits_entry(owner).ok_or(Reason::NotAnnounced);
                let refused = refused.and_then(|entry| log.state(Statement::Refusal { entry, reason }, false, now));
                if refused.is_err() {
                    wait(now + RETRY_SECONDS);
                }
                let text = format!("refused the signal bits of {id}: {reason}; ask the aggregator's operator");
                vec![Command::Discard { round, file }, Command::Tell(Severity::Warn, text)]
            }
            Err(error @ DecideError::Io(_)) => {
                wait(now + RETRY_SECONDS);
                vec![Command::Tell(Severity::Warn, format!("{id}: {error}"))]
            }
        }
    }

    /// Forgets a round's seed.
    pub(crate) fn forget(&mut self, round: Digest) -> Option<Command<Job>> {
        self.seeds.remove(&round)?;
        Some(Command::Commit(vec![Fact::Unset(format!("{SEED}{round}"))]))
    }

    /// Settles the files that wait and starts the work that lacks.
    pub(crate) fn reconcile(&mut self, log: &Log, now: u64) -> Vec<Command<Job>> {
        let mut commands = self.settle(log);
        let Some(round) = log.ledger().open_round() else { return commands };
        self.work.retain(|(other, _), _| *other == round.hash());
        for owner in log.federation().policy().owners() {
            let due = match self.work.get(&(round.hash(), owner)) {
                None => true,
                Some(Work::Running { .. }) => false,
                Some(Work::Waiting { from }) => now >= *from,
            };
            let bits = round.announcement(FileKey::Bits { owner });
            let lacks = due && round.totals(owner).is_none() && !log.bits_refused(owner);
            if let Some(bits) = bits.filter(|_| lacks) {
                commands.extend(self.start(log, round, owner, bits));
            }
        }
        commands
    }

    fn settle(&mut self, log: &Log) -> Vec<Command<Job>> {
        let mut commands = Vec::new();
        for (owner, held) in std::mem::take(&mut self.held) {
            let Held { ticket, round, .. } = held;
            match fate(log, owner, &held) {
                None => {
                    self.held.insert(owner, held);
                }
                Some(Ok(())) => {
                    commands.push(Command::Keep { ticket, round, file: FileKey::Bits { owner } });
                    match self.work.get_mut(&(round, owner)) {
                        Some(Work::Running { kept }) => *kept = true,
                        _ => {
                            self.work.remove(&(round, owner));
                        }
                    }
                }
                Some(Err(reason)) => commands.push(Command::Refuse { ticket, reason }),
            }
        }
        commands
    }

    /// The seed is durable before the job uses it, so that the same file is made again after a crash.
    fn start(&mut self, log: &Log, round: &Round, owner: MemberNumber, bits: &Announcement) -> Vec<Command<Job>> {
        let mut commands = Vec::new();
        let hash = round.hash();
        let seed = self.seeds.entry(hash).or_insert_with(|| {
            let bytes = (self.fresh)();
            commands.push(Command::Commit(vec![Fact::Set(format!("{SEED}{hash}"), bytes.to_vec())]));
            RoundSeed::new(bytes)
        });
        let salt = seed.derive(&hash.0, Purpose::Salt(FileKey::Decisions { owner }));
        let matters = matter_tasks(log, round, owner);
        let task = DecideTask { round: hash, owner, bits: bits.clone(), matters, salt };
        self.work.insert((hash, owner), Work::Running { kept: false });
        commands.push(Command::Local(Job::Decide(Box::new(task))));
        commands
    }
}

/// Under `seed/<round>` lie the 32 bytes from which the salts of a round derive.
const SEED: &str = "seed/";

/// Between two tries of work that failed for a reason of this machine's own.
const RETRY_SECONDS: u64 = 60;

fn read_offer(log: &Log, offer: &Offer) -> Result<(MemberNumber, Held), Reason> {
    let (round, announcement) = announced_file(log.ledger(), offer)?;
    let FileKey::Bits { owner } = announcement.file else { return Err(Reason::NotAnnounced) };
    let wanted = offer.from == log.federation().aggregator() && log.federation().owner_limits(owner).is_some();
    let held = Held { ticket: offer.ticket, round, digest: offer.digest };
    wanted.then_some((owner, held)).ok_or(Reason::NotAllowed)
}

/// What becomes of a file: kept, refused, or (none) neither yet. A file that was kept before is kept again, in case its
/// sender did not get the answer.
fn fate(log: &Log, owner: MemberNumber, held: &Held) -> Option<Result<(), Reason>> {
    let round = log.ledger().round().filter(|round| round.hash() == held.round && !round.abandoned());
    let Some(round) = round else { return Some(Err(Reason::OtherRound)) };
    if log.bits_refused(owner) {
        return Some(Err(Reason::BadBits));
    }
    if !log.keeps(held.round, Kept::Bits) {
        return Some(Err(Reason::Deleted));
    }
    match round.announcement(FileKey::Bits { owner }) {
        Some(announcement) if announcement.digest == held.digest => Some(Ok(())),
        Some(_) => Some(Err(Reason::DigestDiffers)),
        None => round.ended().then_some(Err(Reason::TooLate)),
    }
}

fn matter_tasks(log: &Log, round: &Round, owner: MemberNumber) -> Vec<MatterTask> {
    let federation = log.federation();
    let rows = federation.owner_limits(owner).map_or(&[][..], |limits| &limits.rows);
    let matters = federation.policy().matters_of(owner).zip(round.matters(owner)).zip(rows);
    let task = |((matter, in_round), rows): ((&wugan_protocol::policy::Matter, _), &u64)| MatterTask {
        number: matter.number,
        matter: Clone::clone(in_round),
        rows_max: *rows,
    };
    matters.map(task).collect()
}

fn state_decisions(log: &mut Log, owner: MemberNumber, decided: Decided, now: u64) -> Result<(), Reason> {
    let Decided { made, matters } = decided;
    let announced = log.ledger().open_round().and_then(|round| round.announcement(made.file)).is_some();
    if !announced {
        let announcement = Announcement { file: made.file, count: made.count, digest: made.digest };
        log.state(Statement::Announcement(announcement), true, now)?;
    }
    log.state(Statement::Decisions(Totals { owner, digest: made.digest, matters }), true, now)
}
