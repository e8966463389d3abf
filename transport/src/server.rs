//! The program that matcher and aggregator share: files that others announced become files of its own. What a server
//! does is its [`Task`]; keeping, checking, stating, sending and forgetting are done here.

mod program;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

pub use program::Program;
use serde::Deserialize;
use wugan_protocol::{
    engine::{Command, Engine, Input},
    envelope::Signers,
    file::FileKey,
    hexes::Digest,
    ledger::Round,
    manifest::{Federation, Versions},
    member::RestoreError,
    party::{Party, Role},
    reason::Reason,
    stage::{Fault, Fresh, Restored, Stage, stop_text},
    statement::Statement,
};

use crate::{
    check::{self, Finding, Wanted},
    config::Windows,
    home::{Home, MemberConfig, ServerConfig, fresh, read_config},
    rounds::{Made, Rounds},
    shell::{self, ServiceError, Setup},
    sockets::listen_socket,
};

/// One server's work on kept files, and when it is to be done.
pub trait Task: Send + Sized + 'static {
    /// Identifies a task of a round.
    type Key: Copy + Ord + Send + 'static;

    /// The server's role.
    const ROLE: Role;
    /// The roles that it admits.
    const ADMITS: &'static [Role];
    /// The roles that it dials.
    const DIALS: &'static [Role];
    /// Windows of its connections.
    const WINDOWS: Windows;

    /// Which party the server is.
    fn party(federation: &Federation) -> Party;

    /// Which task this is.
    fn key(&self) -> Self::Key;

    /// Does it; the files that were made. Done again, it gives the same.
    ///
    /// # Errors
    /// Why it has no result.
    fn run(self, round: Digest, rounds: &Rounds) -> Result<Vec<Made>, Fault>;

    /// Whether a party may send a file of the round now.
    ///
    /// # Errors
    /// Why not.
    fn wanted(federation: &Federation, round: &Round, from: Party, file: FileKey) -> Result<(), Reason>;

    /// Everything that can be done now in the open round and is not.
    fn lacking(server: &ServerEngine<Self>, round: &Round) -> Vec<Step<Self>>;
}

/// Something that is lacking.
pub enum Step<T> {
    /// A task's result.
    Run(T),
    /// A statement.
    State(Statement),
    /// The announcement of a file that was made.
    Announce(Made),
    /// An announced file at its receiver.
    Send(Party, FileKey),
}

/// Work for a thread.
#[derive(Debug)]
pub enum Job<T> {
    /// A task of a round.
    Task(Digest, T),
    /// Delete a round's files.
    Forget(Digest),
}

/// What came of a job.
#[derive(Debug)]
pub struct Done<K> {
    /// Of which round.
    pub round: Digest,
    /// Which task; none for [`Job::Forget`].
    pub task: Option<K>,
    /// The files made, or why there are none.
    pub result: Result<Vec<Made>, Fault>,
}

/// A server's state machine: it compares what the log says with what is done.
pub struct ServerEngine<T: Task> {
    stage: Stage,
    /// What tasks made, for those that went well.
    done: BTreeMap<(Digest, T::Key), Vec<Made>>,
    /// Jobs under way.
    busy: BTreeSet<(Digest, Option<T::Key>)>,
}

impl<T: Task> ServerEngine<T> {
    /// Restores the server; `fresh` gives 32 fresh random bytes at each call.
    ///
    /// # Errors
    /// State that is not this server's.
    pub fn restore(
        versions: impl Into<Versions>,
        signers: Signers,
        restored: Restored<'_>,
        fresh: Fresh,
    ) -> Result<Self, RestoreError> {
        let versions = versions.into();
        let party = T::party(versions.in_force(restored.log));
        let stage = Stage::restore(versions, party, signers, restored, fresh)?;
        Ok(ServerEngine { stage, done: BTreeMap::new(), busy: BTreeSet::new() })
    }

    /// What was kept and stated.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The same, for an engine around this one that states more.
    pub fn stage_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }

    /// What a task of a round made; none if it is not done.
    pub fn done(&self, round: Digest, task: T::Key) -> Option<&[Made]> {
        self.done.get(&(round, task)).map(Vec::as_slice)
    }

    fn take(&mut self, done: Done<T::Key>, now: u64, out: &mut Vec<Command<Job<T>>>) {
        let Done { round, task, result } = done;
        self.busy.remove(&(round, task));
        match (result, task) {
            (Ok(made), Some(task)) => {
                self.done.insert((round, task), made);
            }
            (Ok(_), None) => {
                self.stage.forget(round, now, out);
                self.done.retain(|(of, _), _| *of != round);
            }
            (Err(fault), _) => self.stage.fault(round, fault, now, out),
        }
    }

    fn reconcile(&mut self, now: u64, out: &mut Vec<Command<Job<T>>>) {
        self.stage.prepare(now, out);
        self.stage.answer_offers(T::wanted, now, out);
        for round in self.stage.expired(now) {
            if self.busy.insert((round, None)) {
                out.push(Command::Local(Job::Forget(round)));
            }
        }
        let Some(round) = self.stage.round() else { return };
        let hash = round.hash();
        for step in T::lacking(self, round) {
            match step {
                Step::Run(task) => {
                    if self.busy.insert((hash, Some(task.key()))) {
                        out.push(Command::Local(Job::Task(hash, task)));
                    }
                }
                Step::State(statement) => self.stage.state(statement, now, out),
                Step::Announce(made) => self.stage.announce(made.file, made.count, made.digest, now, out),
                Step::Send(to, file) => self.stage.send(to, file, now, out),
            }
        }
    }
}

impl<T: Task> Engine for ServerEngine<T> {
    type Local = Done<T::Key>;
    type Job = Job<T>;

    fn handle(&mut self, input: Input<Done<T::Key>>, now: u64) -> Vec<Command<Job<T>>> {
        if !self.stage.is_listed() {
            return self.stage.follow(input, now);
        }
        let mut out = Vec::new();
        if let Some(done) = self.stage.take(input, now, &mut out) {
            self.take(done, now, &mut out);
        }
        if !matches!(out.last(), Some(Command::Stop(_))) {
            self.reconcile(now, &mut out);
        }
        out
    }
}

/// Runs a server's jobs, on any number of threads.
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
    pub fn run<T: Task>(&self, job: Job<T>) -> Done<T::Key> {
        match job {
            Job::Task(round, task) => Done { round, task: Some(task.key()), result: task.run(round, &self.rounds) },
            Job::Forget(round) => {
                let failed = |error| Fault::Machine(stop_text("an old round's folder cannot be deleted", &error));
                let result = self.rounds.forget(round).map(|()| Vec::new()).map_err(failed);
                Done { round, task: None, result }
            }
        }
    }
}

impl<T: Task> shell::Worker<Job<T>, Done<T::Key>> for Worker {
    fn run(&self, job: Job<T>, tell: &mut dyn FnMut(Done<T::Key>)) {
        tell(Worker::run(self, job));
    }
}

/// Runs the server of a configuration file until SIGTERM.
///
/// # Errors
/// See [`ServiceError`].
pub fn run<T: Task>(config: &Path) -> Result<(), ServiceError> {
    let (setup, engine, rounds) = open::<T>(config)?;
    Ok(shell::run(setup, engine, Worker::new(rounds), |_, _| {})?)
}

/// Opens the server of a configuration file: how it is run, its engine, its rounds' folders.
///
/// # Errors
/// See [`ServiceError`].
pub fn open<T: Task>(config: &Path) -> Result<(Setup, ServerEngine<T>, Rounds), ServiceError> {
    let (config, base): (Config, _) = read_config(config)?;
    let home = Home::open(&config.member, &base, T::ROLE)?;
    let listen = listen_socket(&config.server.listen)?;
    let stored = home.stored()?;
    let restored = Restored { log: &stored.log, own: &stored.own, facts: stored.facts };
    let federation = home.federation.clone();
    let signers = home.keys.signers();
    let engine = ServerEngine::<T>::restore(home.versions.clone(), signers, restored, Box::new(fresh))?;
    let rounds = Rounds::new(home.state.join("rounds"));
    let in_roles = |roles: &[Role]| federation.parties().filter(|party| roles.contains(&party.role)).collect();
    let (accept, dial) = (in_roles(T::ADMITS), in_roles(T::DIALS));
    let setup = Setup { listen: Some(listen), accept, dial, windows: T::WINDOWS, ..Setup::of(home) };
    Ok((setup, engine, rounds))
}

/// Tries the configuration of a server, changing nothing.
///
/// # Errors
/// A configuration that cannot be read; everything else is in the result.
pub fn check<T: Task>(config: &Path) -> Result<Vec<Finding>, ServiceError> {
    let (config, base): (Config, _) = read_config(config)?;
    let wanted = Wanted { role: T::ROLE, listen: Some(&config.server.listen), dials: T::DIALS };
    Ok(check::member(&config.member, &base, &wanted).findings)
}

/// A server's configuration file. Unknown fields are refused; paths are relative to the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Who this is, and where its keys and state lie.
    member: MemberConfig,
    /// Where it listens.
    server: ServerConfig,
}
