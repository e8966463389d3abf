//! The jobs of a node: all its reading, curve arithmetic, sorting and writing, on threads beside the engine.

mod disclose;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use wugan_keys::{Canaries, EpochKey, PartyKeys};
use wugan_protocol::{
    at_rest::{self, BATCHES, CACHE, PERSON_BYTES, SEALED},
    chance::RoundSeed,
    engine::Ticket,
    file::FileKey,
    hexes::Digest,
    month::Month,
    oprf::{BatchContext, Element, Elements, PublicKey, evaluate, prove},
    party::MemberNumber,
    person::PersonId,
    policy::{Matter, MatterRound, Policy},
    reason::Reason,
    run::RunError,
    statement::{CanaryOutcome, EnrolmentBatch, SourceEpoch},
};
use wugan_transport::{
    rounds::{Made, Rounds},
    shell::Worker,
};

pub use disclose::{FindRow, FoundRow, WriteDisclosure};

use crate::{
    admin::Refusal,
    cache::Cache,
    canaries::RoundCanaries,
    channel::{ChannelError, Window, read_channel},
    decisions,
    engine::Local,
    enrolment::{AnswerError, Answers, Enrolment, Pending},
    pool::{PoolMaker, evaluate_unknown},
    quarantine::Quarantine,
    roster::{Matters, RosterError, read_roster},
    rowmap::RowMap,
    rows::RowMaker,
    seed::{fresh, round_seed},
    snapshot::{Snapshot, roster_row},
    sorter::Sorter,
    source::csv::CsvSource,
    vault::{Vault, person_bytes, person_of, write_items},
};

/// A round as jobs need it.
#[derive(Clone, Debug)]
pub struct RoundTask {
    /// The policy under which it was opened.
    pub policy: Arc<Policy>,
    /// The round's hash.
    pub hash: Digest,
    /// The round id.
    pub id: [u8; 16],
    /// The month.
    pub month: Month,
    /// This node as a source, in the epoch of the round; none for a department without channels.
    pub source: Option<SourceEpoch>,
}

/// Work for a thread.
#[derive(Debug)]
pub enum Job {
    /// Read roster and channels; make the pools of `channels`.
    Prepare {
        /// The round.
        task: RoundTask,
        /// Channels whose pools are not announced yet.
        channels: Vec<u16>,
        /// Whether there is a roster.
        roster: bool,
    },
    /// Make batches for people who lack keys.
    Plan {
        /// The round whose snapshot it is.
        round: Digest,
        /// All sources but this node.
        sources: Vec<SourceEpoch>,
        /// Batches under way.
        pending: Vec<Pending>,
        /// Number of the first new batch.
        first: u64,
    },
    /// Read a batch's blinded elements.
    Load {
        /// The batch.
        batch: u64,
    },
    /// Verify an answer and store its keys.
    Accept {
        /// What the proof is bound to.
        context: BatchContext,
        /// The source's key.
        key: Box<PublicKey>,
        /// Evaluated elements.
        evaluated: Vec<Element>,
        /// The proof.
        proof: [[u8; 32]; 2],
    },
    /// Evaluate somebody's batch.
    Evaluate {
        /// What the proof is bound to.
        context: BatchContext,
        /// Hash of the owner's entry.
        entry: Digest,
        /// Blinded elements.
        blinded: Vec<Element>,
    },
    /// Make records and rows.
    MakeRows {
        /// The round.
        task: RoundTask,
        /// The sources on the list.
        sources: BTreeMap<MemberNumber, SourceEpoch>,
        /// This owner's matters in the round.
        matters: Vec<MatterRound>,
    },
    /// Turn the decisions file into the department's table.
    Deliver {
        /// The round.
        task: RoundTask,
    },
    /// Delete something whose retention time is over.
    Delete(Expired),
    /// Find the row of a person for the staff.
    FindRow(Ticket, Box<FindRow>),
    /// Write the answer to a request for disclosure down.
    WriteDisclosure(Box<WriteDisclosure>),
}

/// What is to be deleted.
#[derive(Debug)]
pub enum Expired {
    /// What was made of a round and for it: files, seed, snapshot, people, row map, decisions.
    Files(Digest),
    /// Enrolment batches, and the answers to them.
    Batches(Vec<EnrolmentBatch>),
    /// Answers to batches of others: owner and batch.
    Answers(Vec<(MemberNumber, u64)>),
}

/// What a job says.
#[derive(Debug)]
pub enum Done {
    /// The roster snapshot is sealed.
    Snapshot {
        /// The round.
        round: Digest,
        /// People on it.
        people: usize,
    },
    /// A channel's pools are made.
    Pools {
        /// The round.
        round: Digest,
        /// The files.
        made: Vec<Made>,
    },
    /// A channel, or the roster, cannot be used this round.
    SourceFailed {
        /// The round.
        round: Digest,
        /// The channel; none for the roster.
        channel: Option<u16>,
        /// Why, for the log.
        reason: Reason,
        /// Why, for the operator.
        text: String,
    },
    /// Roster and channels are read to the end.
    Prepared {
        /// The round.
        round: Digest,
        /// People whose keys were evaluated: the curve arithmetic of this round.
        evaluated: u64,
    },
    /// Batches are persisted.
    Planned {
        /// The round.
        round: Digest,
        /// New batches.
        batches: Vec<EnrolmentBatch>,
    },
    /// A batch's elements.
    Loaded {
        /// The batch.
        batch: u64,
        /// Its elements.
        blinded: Vec<Element>,
    },
    /// An answer's keys are stored.
    Enrolled {
        /// The batch.
        batch: u64,
        /// The source.
        source: MemberNumber,
    },
    /// An answer's proof does not verify.
    AnswerRefused {
        /// The batch.
        batch: u64,
        /// The source.
        source: MemberNumber,
    },
    /// A batch is evaluated, and the answer persisted.
    Evaluated(Box<Answered>),
    /// A batch cannot be evaluated.
    NotEvaluated {
        /// The owner.
        owner: MemberNumber,
        /// The batch.
        batch: u64,
        /// Why.
        reason: Reason,
    },
    /// Records and rows are made.
    Rows {
        /// The round.
        round: Digest,
        /// The files.
        made: Vec<Made>,
        /// People of the roster whose keys this source evaluated for itself.
        evaluated: u64,
    },
    /// The department's table is written.
    Delivered {
        /// The round.
        round: Digest,
        /// Where.
        text: String,
        /// What became of the canaries on its rosters, where there are any.
        canaries: Option<CanaryOutcome>,
    },
    /// The decisions file is not what it should be.
    NotDelivered {
        /// The round.
        round: Digest,
        /// Why.
        reason: Reason,
    },
    /// What was to be deleted is gone for good.
    Deleted,
    /// The row of a person.
    RowFound {
        /// Whom to answer.
        ticket: Ticket,
        /// The row, or why there is nothing to ask about.
        found: Result<FoundRow, Refusal>,
    },
    /// An answer is written down.
    Disclosed {
        /// Hash of the requesting entry.
        request: Digest,
        /// Where.
        text: String,
    },
    /// The handles of an answer are not of the person's records.
    NotDisclosed {
        /// Hash of the requesting entry.
        request: Digest,
        /// Why.
        reason: Reason,
    },
    /// The disk failed; the text says what to do.
    Failed(String),
}

/// An answer to a batch.
#[derive(Debug)]
pub struct Answered {
    /// What the proof is bound to.
    pub context: BatchContext,
    /// Hash of the owner's entry.
    pub entry: Digest,
    /// Evaluated elements.
    pub evaluated: Vec<Element>,
    /// The proof.
    pub proof: [[u8; 32]; 2],
}

/// Does a node's jobs.
pub struct NodeWorker {
    member: MemberNumber,
    department: PathBuf,
    bad_percent_max: u32,
    epochs: BTreeMap<u32, EpochKey>,
    rounds: Rounds,
    cache: Cache,
    sealed: Vault,
    spill: Vault,
    enrolment: Enrolment,
    answers: Answers,
    canaries: Option<Canaries>,
}

/// Where a node's data lie and how it reads them.
pub struct Places<'a> {
    /// The department's folder: channels, roster, quarantine, decisions.
    pub department: &'a Path,
    /// The node's state folder.
    pub state: &'a Path,
    /// Share of bad rows, in percent, above which a channel fails.
    pub bad_percent_max: u32,
}

impl NodeWorker {
    /// A worker for this member, which takes the OPRF keys out of `keys`.
    pub fn new(member: MemberNumber, places: Places<'_>, keys: &mut PartyKeys) -> NodeWorker {
        let vault = |kind| Vault::new(places.state, kind, &keys.storage);
        let cache = Cache::new(vault(CACHE));
        NodeWorker {
            enrolment: Enrolment::new(vault(BATCHES), places.state, cache.clone()),
            answers: Answers::new(places.state.join("answers")),
            sealed: vault(SEALED),
            spill: vault("spill"),
            rounds: Rounds::new(places.state.join("rounds")),
            department: places.department.to_owned(),
            bad_percent_max: places.bad_percent_max,
            epochs: std::mem::take(&mut keys.epochs),
            canaries: None,
            member,
            cache,
        }
    }

    /// The same worker with the canaries that the authority issued to this member.
    pub fn with_canaries(self, canaries: Option<Canaries>) -> NodeWorker {
        NodeWorker { canaries, ..self }
    }

    fn canaries_of(&self, month: Month) -> Option<&Canaries> {
        self.canaries.as_ref().filter(|canaries| canaries.from() <= month)
    }

    /// Reads roster and channels. The roster comes first: enrolment, the longest part of a first round, rests on it.
    fn prepare(&self, task: &RoundTask, channels: &[u16], roster: bool, tell: &mut dyn FnMut(Done)) -> io::Result<u64> {
        let seed = round_seed(&self.sealed, task.hash)?;
        let mut quarantine = Quarantine::create(&self.department).map_err(io::Error::other)?;
        if roster {
            tell(self.read_roster(task, &mut quarantine)?);
        }
        let mut evaluated = 0;
        for channel in task.policy.channels_of(self.member) {
            let window = Window::new(task.month.last_day(), channel.window_days);
            let mut source = CsvSource::new(&self.department, &format!("channels/{}.csv", channel.id));
            let wanted = channels.contains(&channel.number);
            let mut people = Sorter::new(&self.spill, PEOPLE_MEMORY_BYTES);
            let keep = |person| if wanted { people.push(person_bytes(person)) } else { Ok(()) };
            match read_channel(&mut source, &window, self.bad_percent_max, &mut quarantine, keep) {
                Ok(_) if wanted => {
                    let mut canaries =
                        self.canaries_of(task.month).into_iter().flat_map(|c| c.in_channel(channel.number));
                    canaries.try_for_each(|person| people.push(person_bytes(person)))?;
                    let (made, new) = self.make_pools(task, &seed, channel.number, people)?;
                    evaluated += new;
                    tell(Done::Pools { round: task.hash, made });
                }
                Ok(_) => {}
                Err(ChannelError::Quarantine(error)) => return Err(io::Error::other(error)),
                Err(ChannelError::Keep(error)) => return Err(error),
                Err(error) => tell(source_failed(task.hash, Some(channel.number), &error)),
            }
        }
        quarantine.finish().map_err(io::Error::other)?;
        Ok(evaluated)
    }

    fn read_roster(&self, task: &RoundTask, quarantine: &mut Quarantine) -> io::Result<Done> {
        let own: Vec<String> = task.policy.matters_of(self.member).map(|matter| matter.id.clone()).collect();
        let all = task.policy.matters.iter().map(|matter| matter.id.clone()).collect();
        let matters = Matters::new(&own, &all).ok_or_else(|| io::Error::other("a matter is unknown to the policy"))?;
        let mut rows = Sorter::new(&self.spill, PEOPLE_MEMORY_BYTES);
        let keep = |person, matter| rows.push(roster_row(person, matter));
        let read = read_roster(&mut CsvSource::new(&self.department, "roster.csv"), &matters, quarantine, keep);
        let snapshot = Snapshot::of(&self.sealed, task.hash);
        // The roster as it stood when the round was accepted: after a restart it is read for its quarantine only.
        match (snapshot.exists()?, read) {
            (true, _) => {}
            (false, Ok(_)) => {
                let canaries = self.canaries_of(task.month);
                // Before the snapshot: whoever finds that finds these.
                RoundCanaries::save(canaries, &self.sealed, task.hash)?;
                let mut pairs = canaries.into_iter().flat_map(|canaries| canaries.expected().keys());
                pairs.try_for_each(|(person, place)| rows.push(roster_row(*person, *place)))?;
                snapshot.save(rows.sorted()?)?;
            }
            (false, Err(RosterError::Source(error))) => {
                let text = error.to_string();
                return Ok(Done::SourceFailed { round: task.hash, channel: None, reason: Reason::Unreadable, text });
            }
            (false, Err(error)) => return Err(io::Error::other(error)),
        }
        Ok(Done::Snapshot { round: task.hash, people: snapshot.people()?.count() })
    }

    fn make_pools(
        &self,
        task: &RoundTask,
        seed: &RoundSeed,
        channel: u16,
        people: Sorter<PERSON_BYTES>,
    ) -> io::Result<(Vec<Made>, u64)> {
        let source = task.source.ok_or_else(|| io::Error::other("the round names no epoch of this source"))?;
        // Sealed for the retention time, so that an auditor on the spot can recompute the pool.
        let name = at_rest::people(task.hash, channel);
        self.sealed.write(&name, |out| write_items(out, people.sorted()?.distinct()))?;
        let people = || io::Result::Ok(self.sealed.items::<PERSON_BYTES>(&name)?.map(|item| person_of(&item?)));
        let evaluated = self.evaluate_own(source, people()?)?;
        let maker = PoolMaker {
            rounds: &self.rounds,
            spill: &self.spill,
            cache: &self.cache,
            round: task.hash,
            id: task.id,
            seed,
            source,
            groups: task.policy.group_count,
            size_step: task.policy.pool_size_step,
        };
        Ok((maker.make(channel, people()?)?, evaluated))
    }

    fn evaluate_own(&self, source: SourceEpoch, people: impl Iterator<Item = io::Result<PersonId>>) -> io::Result<u64> {
        let key = self.epoch(source.epoch)?.key();
        evaluate_unknown(&self.cache, source, key, people)
    }

    fn epoch(&self, epoch: u32) -> io::Result<&EpochKey> {
        let missing = || io::Error::other(format!("the key of epoch {epoch} is not in this node's key folder"));
        self.epochs.get(&epoch).ok_or_else(missing)
    }

    fn evaluate(&self, context: BatchContext, entry: Digest, blinded: &[Element]) -> io::Result<Done> {
        let answered = |(evaluated, proof)| Done::Evaluated(Box::new(Answered { context, entry, evaluated, proof }));
        if let Some(answer) = self.answers.load(context.owner, context.batch)? {
            return Ok(answered(answer));
        }
        let Ok(blinded) = Elements::decode(blinded) else {
            let (owner, batch) = (context.owner, context.batch);
            return Ok(Done::NotEvaluated { owner, batch, reason: Reason::BadElement });
        };
        let epoch = self.epoch(context.epoch)?;
        let evaluated = evaluate(epoch.key(), &blinded);
        let proof = prove(epoch.key(), &context, &blinded, &evaluated, epoch.nonce_key(), &fresh()?).to_bytes();
        let mut scalars = [[0; 32]; 2];
        scalars.as_flattened_mut().copy_from_slice(&proof);
        self.answers.save(context.owner, context.batch, &evaluated, &scalars)?;
        Ok(answered((evaluated, scalars)))
    }

    fn make_rows(
        &self,
        task: &RoundTask,
        sources: &BTreeMap<MemberNumber, SourceEpoch>,
        matters: &[MatterRound],
    ) -> io::Result<Done> {
        let snapshot = Snapshot::of(&self.sealed, task.hash);
        let evaluated = match sources.get(&self.member) {
            Some(own) => self.evaluate_own(*own, snapshot.people()?)?,
            None => 0,
        };
        let seed = round_seed(&self.sealed, task.hash)?;
        let maker = RowMaker {
            rounds: &self.rounds,
            spill: &self.spill,
            cache: &self.cache,
            policy: &task.policy,
            round: task.hash,
            id: task.id,
            seed: &seed,
            owner: self.member,
            matters,
            sources,
        };
        let map = RowMap::of(&self.sealed, task.hash);
        let rows = maker.number(&snapshot, &map)?;
        Ok(Done::Rows { round: task.hash, made: maker.make(&map, &rows)?, evaluated })
    }

    fn deliver(&self, task: &RoundTask) -> Result<Done, RunError> {
        let matters: Vec<&Matter> = task.policy.matters_of(self.member).collect();
        let (map, snapshot) = (RowMap::of(&self.sealed, task.hash), Snapshot::of(&self.sealed, task.hash));
        let bytes =
            decisions::read(self.rounds.open(task.hash, FileKey::Decisions { owner: self.member })?, matters.len())?;
        let month = task.month.to_string();
        let canaries = RoundCanaries::load(&self.sealed, task.hash)?;
        let (department, policy, canaries) = (&self.department, &task.policy, canaries.as_ref());
        let table = decisions::Table { department, month: &month, policy, canaries };
        let decisions::Written { path, canaries } = table.write(&matters, &snapshot, &map, &bytes)?;
        let text = format!("decisions of {month} are in {}", path.display());
        Ok(Done::Delivered { round: task.hash, text, canaries })
    }

    fn delete(&self, expired: Expired) -> io::Result<Done> {
        match expired {
            Expired::Files(round) => {
                self.rounds.forget(round)?;
                let hash = round.to_string();
                self.sealed.delete(|name| name.contains(&hash))?;
            }
            Expired::Batches(batches) => self.enrolment.delete(&batches)?,
            Expired::Answers(answers) => self.answers.delete(answers)?,
        }
        Ok(Done::Deleted)
    }

    fn accept(
        &self,
        context: BatchContext,
        key: &PublicKey,
        evaluated: &[Element],
        proof: &[[u8; 32]; 2],
    ) -> io::Result<Done> {
        let (batch, source) = (context.batch, context.source);
        match self.enrolment.accept(context, key, evaluated, proof) {
            Ok(()) => Ok(Done::Enrolled { batch, source }),
            Err(AnswerError::Refused) => Ok(Done::AnswerRefused { batch, source }),
            Err(AnswerError::Io(error)) => Err(error),
        }
    }

    fn plan(&self, round: Digest, sources: &[SourceEpoch], pending: &[Pending], first: u64) -> io::Result<Done> {
        let snapshot = Snapshot::of(&self.sealed, round);
        let batches = self.enrolment.plan(&snapshot, sources, pending, first, &self.spill)?;
        Ok(Done::Planned { round, batches })
    }
}

impl Worker<Job, Local> for NodeWorker {
    fn run(&self, job: Job, tell: &mut dyn FnMut(Local)) {
        let mut tell = |done| tell(Local::Done(done));
        let done = match job {
            Job::Prepare { task, channels, roster } => self
                .prepare(&task, &channels, roster, &mut tell)
                .map(|evaluated| Done::Prepared { round: task.hash, evaluated }),
            Job::Plan { round, sources, pending, first } => self.plan(round, &sources, &pending, first),
            Job::Load { batch } => self.enrolment.elements(batch).map(|blinded| Done::Loaded { batch, blinded }),
            Job::Accept { context, key, evaluated, proof } => self.accept(context, &key, &evaluated, &proof),
            Job::Evaluate { context, entry, blinded } => self.evaluate(context, entry, &blinded),
            Job::MakeRows { task, sources, matters } => self.make_rows(&task, &sources, &matters),
            Job::Delete(expired) => self.delete(expired),
            Job::FindRow(ticket, find) => Ok(Done::RowFound { ticket, found: self.find_row(&find) }),
            Job::WriteDisclosure(told) => self.write_disclosure(&told),
            Job::Deliver { task } => match self.deliver(&task) {
                Err(RunError::Refused(reason)) => Ok(Done::NotDelivered { round: task.hash, reason }),
                Err(RunError::Io(error)) => Err(error),
                Ok(done) => Ok(done),
            },
        };
        tell(done.unwrap_or_else(|error| Done::Failed(failed(&error))));
    }
}

/// People of one channel, or rows of a roster, held in memory while they are sorted.
pub(crate) const PEOPLE_MEMORY_BYTES: usize = 32 << 20;

fn source_failed(round: Digest, channel: Option<u16>, error: &ChannelError) -> Done {
    let reason = match error {
        ChannelError::TooManyBad { .. } => Reason::TooManyBadRows,
        _ => Reason::Unreadable,
    };
    Done::SourceFailed { round, channel, reason, text: error.to_string() }
}

fn failed(error: &io::Error) -> String {
    let next = match error.kind() {
        io::ErrorKind::StorageFull => "the disk is full: free space",
        io::ErrorKind::PermissionDenied => "check owner and rights of the state and department folders",
        _ => "mend this",
    };
    format!("{error}; {next}, then start the node again: it goes on where it was")
}
