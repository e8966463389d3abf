//! What the matcher does next, by comparing what the log says with what is done.

use wugan_protocol::{
    file::FileKey,
    hexes::Digest,
    ledger::Round,
    manifest::Federation,
    party::{MemberNumber, Party, Role},
    policy::{Class, Policy},
    reason::Reason,
    stage::{Fault, Stage},
    statement::{Receipt, Statement},
};
use wugan_transport::{
    Windows,
    rounds::{Made, Rounds},
    server::{self, ServerEngine},
};

use crate::work::{RecordsFile, Task};

/// The matcher's state machine.
pub type MatcherEngine = ServerEngine<Task>;

type Step = server::Step<Task>;

/// Identifies a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskKey {
    /// The check of a pool.
    Pool(FileKey),
    /// An owner's match.
    Owner(MemberNumber),
}

impl server::Task for Task {
    type Key = TaskKey;

    const ROLE: Role = Role::Matcher;
    const ADMITS: &'static [Role] = &[Role::Node];
    const DIALS: &'static [Role] = &[Role::Coordinator, Role::Aggregator];
    const WINDOWS: Windows = Windows::BULK;

    fn party(federation: &Federation) -> Party {
        federation.matcher()
    }

    fn key(&self) -> TaskKey {
        match self {
            Task::CheckPool(announcement) => TaskKey::Pool(announcement.file),
            Task::Match { owner, .. } => TaskKey::Owner(*owner),
        }
    }

    fn run(self, round: Digest, rounds: &Rounds) -> Result<Vec<Made>, Fault> {
        self.carry_out(round, rounds)
    }

    /// Pools from their channel's source until the pools are closed; records from their owner until the rows are closed.
    fn wanted(federation: &Federation, round: &Round, from: Party, file: FileKey) -> Result<(), Reason> {
        let policy = federation.policy();
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

    fn lacking(server: &MatcherEngine, round: &Round) -> Vec<Step> {
        let stage = server.stage();
        let (mut steps, policy) = (Vec::new(), stage.federation().policy());
        let progress = Progress { server, stage, policy, round };
        match (round.pools_closed(), round.list()) {
            (None, _) => policy.channels.iter().for_each(|channel| progress.pools(channel.number, &mut steps)),
            (Some(_), None) => steps.extend(progress.list()),
            (Some(_), Some(_)) => policy.owners().for_each(|owner| progress.owner(owner, &mut steps)),
        }
        steps
    }
}

/// How far a round is.
struct Progress<'a> {
    server: &'a MatcherEngine,
    stage: &'a Stage,
    policy: &'a Policy,
    round: &'a Round,
}

impl Progress<'_> {
    fn pools(&self, channel: u16, steps: &mut Vec<Step>) {
        let receipt = Statement::Receipt(Receipt::Pools { channel });
        if self.stage.has_stated(&receipt) {
            return;
        }
        let (hash, files) = (self.round.hash(), self.round.pool_files(channel));
        let checked = |file: FileKey| self.server.done(hash, TaskKey::Pool(file)).is_some();
        let valid = |file: &FileKey| self.stage.kept(hash, *file) && checked(*file);
        if files.iter().all(valid) {
            return steps.push(Step::State(receipt));
        }
        let unchecked = files.into_iter().filter(|file| self.stage.kept(hash, *file) && !valid(file));
        let announced = unchecked.filter_map(|file| self.round.announcement(file));
        steps.extend(announced.map(|announcement| Step::Run(Task::CheckPool(announcement.clone()))));
    }

    fn list(&self) -> Option<Step> {
        let list = Statement::List { channels: self.round.receipted_channels().into_iter().collect() };
        (!self.stage.has_stated(&list)).then_some(Step::State(list))
    }

    fn owner(&self, owner: MemberNumber, steps: &mut Vec<Step>) {
        let (round, bitmaps) = (self.round, bitmaps(owner));
        if bitmaps.iter().all(|file| self.stage.has_announced(*file)) {
            let aggregator = self.stage.federation().aggregator();
            return steps.extend(bitmaps.map(|file| Step::Send(aggregator, file)));
        }
        let absent = round.rows_closed().is_some() && !round.complete(owner);
        let arrived = round.record_files(owner).into_iter().all(|file| self.stage.kept(round.hash(), file));
        if absent || !arrived || !round.has_announced(owner) {
            return;
        }
        let receipt = Receipt::Records { owner };
        match self.server.done(round.hash(), TaskKey::Owner(owner)) {
            None => steps.extend(self.match_owner(owner).map(Step::Run)),
            Some(made) if round.has_receipt(round.manifest().matcher, &receipt) => {
                let unannounced = made.iter().filter(|made| !self.stage.has_announced(made.file));
                steps.extend(unannounced.copied().map(Step::Announce));
            }
            Some(_) if self.stage.has_stated(&Statement::Receipt(receipt.clone())) => {}
            Some(_) => steps.push(Step::State(Statement::Receipt(receipt))),
        }
    }

    fn match_owner(&self, owner: MemberNumber) -> Option<Task> {
        let records = self.round.record_channels(owner).into_iter().filter_map(|channel| {
            let announcement = self.round.announcement(FileKey::Records { owner, channel })?.clone();
            Some(RecordsFile { channel, class: self.policy.channel(channel)?.class, announcement })
        });
        let records = records.collect();
        let group = (*self.policy.groups.get(usize::from(owner))?)?;
        Some(Task::Match { owner, group, records, seed: self.stage.seed(self.round.hash())? })
    }
}

/// The bitmaps of an owner.
fn bitmaps(owner: MemberNumber) -> [FileKey; 4] {
    Class::ALL.map(|class| FileKey::Bitmap { owner, class })
}

#[cfg(test)]
mod tests;
