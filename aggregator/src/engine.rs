//! What the aggregator does next, by comparing what the log says with what is done.

mod disclosing;

use wugan_protocol::{
    engine::{Command, Engine, Input},
    envelope::Signers,
    file::FileKey,
    hexes::{Digest, Hex},
    ledger::{Round, row_files},
    manifest::{Federation, Versions},
    member::RestoreError,
    message::Message,
    party::{MemberNumber, Party, Role},
    policy::Class,
    reason::Reason,
    stage::{Fault, Fresh, Restored, Stage},
    statement::{Announcement, Receipt, Statement},
};
use wugan_transport::{
    Windows,
    rounds::{Made, Rounds},
    server::{self, ServerEngine},
};

use crate::{
    disclose::{DiscloseDone, DiscloseTask},
    work::Task,
};
use disclosing::Disclosing;

/// The aggregator's state machine: that of every server, and beside it disclosure.
pub struct AggregatorEngine {
    server: Server,
    disclosing: Disclosing,
}

/// What the aggregator's surroundings tell it.
#[derive(Debug)]
pub enum Local {
    /// What came of a job that every server has.
    Server(server::Done<TaskKey>),
    /// What came of a look at one row.
    Disclosed(DiscloseDone),
}

/// Work for a thread.
#[derive(Debug)]
pub enum Job {
    /// What every server has.
    Server(server::Job<Task>),
    /// A look at one row.
    Disclose(DiscloseTask),
}

impl AggregatorEngine {
    /// Restores the aggregator; `fresh` gives 32 fresh random bytes at each call.
    ///
    /// # Errors
    /// State that is not this aggregator's.
    pub fn restore(
        versions: impl Into<Versions>,
        signers: Signers,
        restored: Restored<'_>,
        fresh: Fresh,
    ) -> Result<AggregatorEngine, RestoreError> {
        ServerEngine::restore(versions, signers, restored, fresh).map(AggregatorEngine::around)
    }

    /// The aggregator around what every server does.
    pub fn around(server: ServerEngine<Task>) -> AggregatorEngine {
        AggregatorEngine { server, disclosing: Disclosing::default() }
    }
}

impl Engine for AggregatorEngine {
    type Local = Local;
    type Job = Job;

    fn handle(&mut self, input: Input<Local>, now: u64) -> Vec<Command<Job>> {
        let mut out = Vec::new();
        let stage = self.server.stage_mut();
        if !stage.is_listed() {
            return stage.follow(input, now);
        }
        let input = match input.inner() {
            Err(Local::Server(done)) => Input::Local(done),
            Err(Local::Disclosed(done)) => {
                self.disclosing.looked(stage, done, now, &mut out);
                Input::Tick
            }
            Ok(Input::Message(from, Message::Question { request, opening })) => {
                self.disclosing.question(stage, from, (Hex(request), opening), now, &mut out);
                Input::Tick
            }
            Ok(input) => input,
        };
        out.extend(self.server.handle(input, now).into_iter().map(|command| command.outer(Job::Server)));
        self.disclosing.tell(self.server.stage(), &mut out);
        out
    }
}

type Server = ServerEngine<Task>;

type Step = server::Step<Task>;

/// Identifies a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskKey {
    /// The check of an owner's row lists.
    Rows(MemberNumber),
    /// An owner's signal bits.
    Bits(MemberNumber),
}

impl server::Task for Task {
    type Key = TaskKey;

    const ROLE: Role = Role::Aggregator;
    const ADMITS: &'static [Role] = &[Role::Node, Role::Matcher];
    const DIALS: &'static [Role] = &[Role::Coordinator];
    const WINDOWS: Windows = Windows::USUAL;

    fn party(federation: &Federation) -> Party {
        federation.aggregator()
    }

    fn key(&self) -> TaskKey {
        match self {
            Task::CheckRows { owner, .. } => TaskKey::Rows(*owner),
            Task::Combine { owner, .. } => TaskKey::Bits(*owner),
        }
    }

    fn run(self, round: Digest, rounds: &Rounds) -> Result<Vec<Made>, Fault> {
        self.carry_out(round, rounds)
    }

    /// Row lists from their owner until the rows are closed; bitmaps from the matcher, after that of complete owners
    /// only.
    fn wanted(federation: &Federation, round: &Round, from: Party, file: FileKey) -> Result<(), Reason> {
        let is_owner = |member: &MemberNumber| federation.policy().owners().any(|owner| owner == *member);
        let owner = file.owner().filter(is_owner).ok_or(Reason::NotAllowed)?;
        let (sender, late) = match file {
            FileKey::Rows { .. } => (Party { member: owner, role: Role::Node }, round.rows_closed().is_some()),
            FileKey::Bitmap { .. } => (federation.matcher(), round.rows_closed().is_some() && !round.complete(owner)),
            _ => return Err(Reason::NotAllowed),
        };
        if from != sender {
            return Err(Reason::NotAllowed);
        }
        if late { Err(Reason::TooLate) } else { Ok(()) }
    }

    fn lacking(server: &Server, round: &Round) -> Vec<Step> {
        if round.list().is_none() {
            return Vec::new();
        }
        let progress = Progress { server, stage: server.stage(), round };
        let owners = server.stage().federation().policy().owners();
        owners.filter_map(|owner| progress.owner(owner)).collect()
    }
}

/// How far a round is.
struct Progress<'a> {
    server: &'a Server,
    stage: &'a Stage,
    round: &'a Round,
}

impl Progress<'_> {
    /// The next step for an owner: its receipt, then its bits.
    fn owner(&self, owner: MemberNumber) -> Option<Step> {
        let bits = FileKey::Bits { owner };
        if self.stage.has_announced(bits) {
            return Some(Step::Send(self.stage.federation().coordinator(), bits));
        }
        let hash = self.round.hash();
        if self.round.complete(owner) {
            let made = self.server.done(hash, TaskKey::Bits(owner)).and_then(<[Made]>::first);
            return made.map_or_else(|| self.combine(owner).map(Step::Run), |made| Some(Step::Announce(*made)));
        }
        let receipt = Statement::Receipt(Receipt::Rows { owner });
        if self.round.rows_closed().is_some() || self.stage.has_stated(&receipt) {
            return None;
        }
        let checked = self.server.done(hash, TaskKey::Rows(owner)).is_some();
        if checked { Some(Step::State(receipt)) } else { self.check(owner).map(Step::Run) }
    }

    fn check(&self, owner: MemberNumber) -> Option<Task> {
        Some(Task::CheckRows {
            owner,
            lists: self.arrived(row_files(owner))?,
            matters: self.round.matters(owner).to_vec(),
            limits: self.stage.federation().owner_limits(owner)?.rows.clone(),
        })
    }

    fn combine(&self, owner: MemberNumber) -> Option<Task> {
        Some(Task::Combine {
            owner,
            bitmaps: self.arrived(Class::ALL.map(|class| FileKey::Bitmap { owner, class }))?,
            matters: self.round.matters(owner).to_vec(),
            seed: self.stage.seed(self.round.hash())?,
        })
    }

    /// The announcements of files, if all of them are here.
    fn arrived(&self, files: impl IntoIterator<Item = FileKey>) -> Option<Vec<Announcement>> {
        let kept = files.into_iter().map(|file| Some(file).filter(|file| self.stage.kept(self.round.hash(), *file)));
        kept.map(|file| self.round.announcement(file?).cloned()).collect()
    }
}

#[cfg(test)]
mod tests;
