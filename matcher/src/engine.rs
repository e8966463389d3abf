//! What the matcher does next, by comparing what the log says with what is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use wugan_protocol::{
    engine::{Command, Engine, Input},
    envelope::Signer,
    file::FileKey,
    hexes::Digest,
    ledger::Round,
    manifest::Federation,
    member::RestoreError,
    party::{MemberNumber, Party, Role},
    policy::{Class, Policy},
    reason::Reason,
    stage::{Fresh, Restored, Stage},
    statement::{Receipt, Statement},
};
use wugan_transport::rounds::Made;

use crate::work::{Done, Job, RecordsFile};

/// The matcher's state machine.
pub struct MatcherEngine {
    stage: Stage,
    /// Pools that were checked and are in order.
    valid: BTreeSet<(Digest, FileKey)>,
    /// Bitmaps that are made, by owner, but not yet all announced.
    matched: BTreeMap<(Digest, MemberNumber), Vec<Made>>,
    /// Jobs under way.
    busy: BTreeSet<(Digest, Task)>,
}

/// Identifies a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Pool(FileKey),
    Owner(MemberNumber),
    Forget,
}

/// Something that is lacking.
enum Step {
    Run(Digest, Task, Job),
    State(Statement),
    Announce(Made),
    Send(FileKey),
}

impl MatcherEngine {
    /// Restores the matcher; `fresh` gives 32 fresh random bytes at each call.
    ///
    /// # Errors
    /// State that is not this matcher's.
    pub fn restore(
        federation: Federation,
        signer: Arc<dyn Signer>,
        restored: Restored<'_>,
        fresh: Fresh,
    ) -> Result<MatcherEngine, RestoreError> {
        let party = federation.matcher();
        let stage = Stage::restore(federation, party, signer, restored, fresh)?;
        Ok(MatcherEngine { stage, valid: BTreeSet::new(), matched: BTreeMap::new(), busy: BTreeSet::new() })
    }
}

impl Engine for MatcherEngine {
    type Local = Done;
    type Job = Job;

    fn handle(&mut self, input: Input<Done>, now: u64) -> Vec<Command<Job>> {
        let mut out = Vec::new();
        if let Some(done) = self.stage.take(input, now, &mut out) {
            self.done(done, now, &mut out);
        }
        if !matches!(out.last(), Some(Command::Stop(_))) {
            self.reconcile(now, &mut out);
        }
        out
    }
}

impl MatcherEngine {
    fn done(&mut self, done: Done, now: u64, out: &mut Vec<Command<Job>>) {
        let (round, task, fault) = match done {
            Done::PoolChecked { round, file, result } => {
                self.valid.extend(result.is_ok().then_some((round, file)));
                (round, Task::Pool(file), result.err())
            }
            Done::Matched { round, owner, result: Ok(made) } => {
                self.matched.insert((round, owner), made);
                (round, Task::Owner(owner), None)
            }
            Done::Matched { round, owner, result: Err(fault) } => (round, Task::Owner(owner), Some(fault)),
            Done::Forgotten { round, result } => {
                if result.is_ok() {
                    self.stage.forget(round, out);
                    self.valid.retain(|(of, _)| *of != round);
                    self.matched.retain(|(of, _), _| *of != round);
                }
                (round, Task::Forget, result.err())
            }
        };
        self.busy.remove(&(round, task));
        if let Some(fault) = fault {
            self.stage.fault(round, fault, now, out);
        }
    }

    fn reconcile(&mut self, now: u64, out: &mut Vec<Command<Job>>) {
        self.stage.prepare(now, out);
        self.stage.answer_offers(wanted(self.stage.federation().policy().clone()), now, out);
        for step in self.lacking(now) {
            match step {
                Step::Run(round, task, job) => {
                    if self.busy.insert((round, task)) {
                        out.push(Command::Local(job));
                    }
                }
                Step::State(statement) => self.stage.state(statement, now, out),
                Step::Announce(made) => self.stage.announce(made.file, made.count, made.digest, now, out),
                Step::Send(file) => self.stage.send(self.stage.federation().aggregator(), file, now, out),
            }
        }
    }

    /// Everything that can be done now and is not.
    fn lacking(&self, now: u64) -> Vec<Step> {
        let expired = self.stage.expired(now).into_iter();
        let mut steps: Vec<Step> = expired.map(|round| Step::Run(round, Task::Forget, Job::Forget { round })).collect();
        let Some(round) = self.stage.round() else { return steps };
        let policy = self.stage.federation().policy();
        match (round.pools_closed(), round.list()) {
            (None, _) => policy.channels.iter().for_each(|channel| self.pools(round, channel.number, &mut steps)),
            (Some(_), None) => steps.extend(self.list(round)),
            (Some(_), Some(_)) => policy.owners().for_each(|owner| self.owner(round, owner, &mut steps)),
        }
        steps
    }

    fn pools(&self, round: &Round, channel: u16, steps: &mut Vec<Step>) {
        let receipt = Statement::Receipt(Receipt::Pools { channel });
        if self.stage.has_stated(&receipt) {
            return;
        }
        let (hash, files) = (round.hash(), round.pool_files(channel));
        let valid = |file: &FileKey| self.stage.kept(hash, *file) && self.valid.contains(&(hash, *file));
        if files.iter().all(valid) {
            return steps.push(Step::State(receipt));
        }
        let unchecked = files.into_iter().filter(|file| self.stage.kept(hash, *file) && !valid(file));
        steps.extend(unchecked.filter_map(|file| {
            let announcement = round.announcement(file)?.clone();
            Some(Step::Run(hash, Task::Pool(file), Job::CheckPool { round: hash, announcement }))
        }));
    }

    fn list(&self, round: &Round) -> Option<Step> {
        let list = Statement::List { channels: round.receipted_channels().into_iter().collect() };
        (!self.stage.has_stated(&list)).then_some(Step::State(list))
    }

    fn owner(&self, round: &Round, owner: MemberNumber, steps: &mut Vec<Step>) {
        let (hash, bitmaps) = (round.hash(), bitmaps(owner));
        if bitmaps.iter().all(|file| self.stage.has_announced(*file)) {
            return steps.extend(bitmaps.map(Step::Send));
        }
        let absent = round.rows_closed().is_some() && !round.complete(owner);
        let arrived = round.record_files(owner).into_iter().all(|file| self.stage.kept(hash, file));
        if absent || !arrived || !round.has_announced(owner) {
            return;
        }
        let receipt = Receipt::Records { owner };
        match self.matched.get(&(hash, owner)) {
            None => steps.extend(self.match_owner(round, owner)),
            Some(made) if round.has_receipt(round.manifest().matcher, &receipt) => {
                let unannounced = made.iter().filter(|made| !self.stage.has_announced(made.file));
                steps.extend(unannounced.copied().map(Step::Announce));
            }
            Some(_) if self.stage.has_stated(&Statement::Receipt(receipt.clone())) => {}
            Some(_) => steps.push(Step::State(Statement::Receipt(receipt))),
        }
    }

    fn match_owner(&self, round: &Round, owner: MemberNumber) -> Option<Step> {
        let policy = self.stage.federation().policy();
        let records = round.record_channels(owner).into_iter().filter_map(|channel| {
            let announcement = round.announcement(FileKey::Records { owner, channel })?.clone();
            Some(RecordsFile { channel, class: policy.channel(channel)?.class, announcement })
        });
        let job = Job::Match {
            round: round.hash(),
            owner,
            group: (*policy.groups.get(usize::from(owner))?)?,
            records: records.collect(),
            seed: self.stage.seed(round.hash())?,
        };
        Some(Step::Run(round.hash(), Task::Owner(owner), job))
    }
}

/// The bitmaps of an owner.
fn bitmaps(owner: MemberNumber) -> [FileKey; 4] {
    Class::ALL.map(|class| FileKey::Bitmap { owner, class })
}

/// Pools from their channel's source until the pools are closed; records from their owner until the rows are closed.
fn wanted(policy: Arc<Policy>) -> impl Fn(&Round, Party, FileKey) -> Result<(), Reason> {
    move |round, from, file| {
        let (sender, closed) = match file {
            FileKey::Pool { channel, group } if group < policy.group_count => {
                (policy.channel(channel).map(|channel| channel.source), round.pools_closed())
            }
            FileKey::Records { owner, .. } if policy.owners().any(|member| member == owner) => {
                (Some(owner), round.rows_closed())
            }
            _ => (None, None),
        };
        if sender.map(|member| Party { member, role: Role::Node }) != Some(from) {
            return Err(Reason::NotAllowed);
        }
        if closed.is_some() { Err(Reason::TooLate) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
