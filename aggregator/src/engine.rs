//! What the aggregator does next, by comparing what the log says with what is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use wugan_protocol::{
    engine::{Command, Engine, Input},
    envelope::Signer,
    file::FileKey,
    hexes::Digest,
    ledger::{Round, row_files},
    manifest::Federation,
    member::RestoreError,
    party::{MemberNumber, Party, Role},
    policy::Class,
    reason::Reason,
    stage::{Fresh, Restored, Stage},
    statement::{Announcement, Receipt, Statement},
};
use wugan_transport::rounds::Made;

use crate::work::{Done, Job};

/// The aggregator's state machine.
pub struct AggregatorEngine {
    stage: Stage,
    /// Owners whose row lists were checked and are in order.
    valid: BTreeSet<(Digest, MemberNumber)>,
    /// Signal bits that are made, by owner, but perhaps not yet announced.
    combined: BTreeMap<(Digest, MemberNumber), Made>,
    /// Jobs under way.
    busy: BTreeSet<(Digest, Task)>,
}

/// Identifies a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Rows(MemberNumber),
    Combine(MemberNumber),
    Forget,
}

/// Something that is lacking.
enum Step {
    Run(Digest, Task, Job),
    State(Statement),
    Announce(Made),
    Send(FileKey),
}

impl AggregatorEngine {
    /// Restores the aggregator; `fresh` gives 32 fresh random bytes at each call.
    ///
    /// # Errors
    /// State that is not this aggregator's.
    pub fn restore(
        federation: Federation,
        signer: Arc<dyn Signer>,
        restored: Restored<'_>,
        fresh: Fresh,
    ) -> Result<AggregatorEngine, RestoreError> {
        let party = federation.aggregator();
        let stage = Stage::restore(federation, party, signer, restored, fresh)?;
        Ok(AggregatorEngine { stage, valid: BTreeSet::new(), combined: BTreeMap::new(), busy: BTreeSet::new() })
    }
}

impl Engine for AggregatorEngine {
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

impl AggregatorEngine {
    fn done(&mut self, done: Done, now: u64, out: &mut Vec<Command<Job>>) {
        let (round, task, fault) = match done {
            Done::RowsChecked { round, owner, result } => {
                self.valid.extend(result.is_ok().then_some((round, owner)));
                (round, Task::Rows(owner), result.err())
            }
            Done::Combined { round, owner, result: Ok(made) } => {
                self.combined.insert((round, owner), made);
                (round, Task::Combine(owner), None)
            }
            Done::Combined { round, owner, result: Err(fault) } => (round, Task::Combine(owner), Some(fault)),
            Done::Forgotten { round, result } => {
                if result.is_ok() {
                    self.stage.forget(round, out);
                    self.valid.retain(|(of, _)| *of != round);
                    self.combined.retain(|(of, _), _| *of != round);
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
        let (federation, matcher) = (self.stage.federation(), self.stage.federation().matcher());
        let owners: BTreeSet<MemberNumber> = federation.policy().owners().collect();
        self.stage.answer_offers(|round, from, file| wanted(&owners, matcher, round, from, file), now, out);
        for step in self.lacking(now) {
            match step {
                Step::Run(round, task, job) => {
                    if self.busy.insert((round, task)) {
                        out.push(Command::Local(job));
                    }
                }
                Step::State(statement) => self.stage.state(statement, now, out),
                Step::Announce(made) => self.stage.announce(made.file, made.count, made.digest, now, out),
                Step::Send(file) => self.stage.send(self.stage.federation().coordinator(), file, now, out),
            }
        }
    }

    /// Everything that can be done now and is not.
    fn lacking(&self, now: u64) -> Vec<Step> {
        let expired = self.stage.expired(now).into_iter();
        let mut steps: Vec<Step> = expired.map(|round| Step::Run(round, Task::Forget, Job::Forget { round })).collect();
        if let Some(round) = self.stage.round().filter(|round| round.list().is_some()) {
            let owners = self.stage.federation().policy().owners();
            steps.extend(owners.filter_map(|owner| self.owner(round, owner)));
        }
        steps
    }

    /// The next step for an owner: its receipt, then its bits.
    fn owner(&self, round: &Round, owner: MemberNumber) -> Option<Step> {
        let bits = FileKey::Bits { owner };
        if self.stage.has_announced(bits) {
            return Some(Step::Send(bits));
        }
        if round.complete(owner) {
            return self.bits(round, owner);
        }
        let receipt = Statement::Receipt(Receipt::Rows { owner });
        if round.rows_closed().is_some() || self.stage.has_stated(&receipt) {
            return None;
        }
        if self.valid.contains(&(round.hash(), owner)) { Some(Step::State(receipt)) } else { self.check(round, owner) }
    }

    fn check(&self, round: &Round, owner: MemberNumber) -> Option<Step> {
        let job = Job::CheckRows {
            round: round.hash(),
            owner,
            lists: self.arrived(round, row_files(owner))?,
            matters: round.matters(owner).to_vec(),
            limits: self.stage.federation().owner_limits(owner)?.rows.clone(),
        };
        Some(Step::Run(round.hash(), Task::Rows(owner), job))
    }

    fn bits(&self, round: &Round, owner: MemberNumber) -> Option<Step> {
        if let Some(made) = self.combined.get(&(round.hash(), owner)) {
            return Some(Step::Announce(*made));
        }
        let job = Job::Combine {
            round: round.hash(),
            owner,
            bitmaps: self.arrived(round, Class::ALL.map(|class| FileKey::Bitmap { owner, class }))?,
            matters: round.matters(owner).to_vec(),
            seed: self.stage.seed(round.hash())?,
        };
        Some(Step::Run(round.hash(), Task::Combine(owner), job))
    }

    /// The announcements of files, if all of them are here.
    fn arrived(&self, round: &Round, files: impl IntoIterator<Item = FileKey>) -> Option<Vec<Announcement>> {
        let kept = files.into_iter().map(|file| Some(file).filter(|file| self.stage.kept(round.hash(), *file)));
        kept.map(|file| round.announcement(file?).cloned()).collect()
    }
}

/// Row lists from their owner until the rows are closed; bitmaps from the matcher, after that of complete owners only.
fn wanted(
    owners: &BTreeSet<MemberNumber>,
    matcher: Party,
    round: &Round,
    from: Party,
    file: FileKey,
) -> Result<(), Reason> {
    let owner = file.owner().filter(|owner| owners.contains(owner)).ok_or(Reason::NotAllowed)?;
    let (sender, late) = match file {
        FileKey::Rows { .. } => (Party { member: owner, role: Role::Node }, round.rows_closed().is_some()),
        FileKey::Bitmap { .. } => (matcher, round.rows_closed().is_some() && !round.complete(owner)),
        _ => return Err(Reason::NotAllowed),
    };
    if from != sender {
        return Err(Reason::NotAllowed);
    }
    if late { Err(Reason::TooLate) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
