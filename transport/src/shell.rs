//! Runs an engine: connections, durable facts and worker threads around a sans-IO state machine.
//!
//! One task owns the engine. Inputs that are ready together are handled together, so that their facts become durable
//! in one commit; everything else that the engine wants happens after that commit, in the engine's order.

mod files;
mod threads;

use std::{
    collections::HashMap,
    io,
    net::UdpSocket,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{sync::mpsc, task::JoinSet};
use wugan_protocol::{
    engine::{Command, Engine, Fact, Input, Offer, Severity},
    hexes::Hex,
    manifest::Federation,
    member::RestoreError,
    message::Message,
    party::Party,
    reason::Reason,
};

pub use threads::{LogSink, Worker};

use crate::{
    config::{HubConfig, Peer, StartError, Windows},
    files::IncomingFile,
    harden::{harden_process, logging},
    home::{Home, HomeError},
    hub::{Event, Hub},
    journal::Journal,
    rounds::Rounds,
    tls::TlsIdentity,
};
use threads::{Database, Workers};

/// What a party's shell is started with.
pub struct Setup {
    /// The federation.
    pub federation: Federation,
    /// Who this is.
    pub party: Party,
    /// Its TLS identity.
    pub identity: TlsIdentity,
    /// Where a server listens.
    pub listen: Option<UdpSocket>,
    /// Whom this party admits.
    pub accept: Vec<Party>,
    /// Whom this party dials.
    pub dial: Vec<Party>,
    /// Windows of its connections.
    pub windows: Windows,
    /// Its state folder.
    pub state: PathBuf,
    /// Its durable facts.
    pub journal: Journal,
    /// Where entries of the log go after they are durable; only the coordinator's.
    pub log: Option<LogSink>,
    /// Threads for jobs.
    pub threads: usize,
}

impl Setup {
    /// A party that neither listens nor dials yet, from its home.
    pub fn of(home: Home) -> Setup {
        Setup {
            identity: home.tls(),
            federation: home.federation,
            party: home.party,
            listen: None,
            accept: Vec::new(),
            dial: Vec::new(),
            windows: Windows::USUAL,
            state: home.state,
            journal: home.journal,
            log: None,
            threads: THREADS,
        }
    }
}

/// Why a party's program ended.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    /// The connections could not be set up.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No address is known for a server.
    #[error("the federation manifest has no address for {0}")]
    NoAddress(String),
    /// Durable state could not be written.
    #[error("state cannot be written: {0}; nothing was sent that rests on it. Free space on the disk and start again")]
    State(String),
    /// The engine asked for it.
    #[error("{0}")]
    Stopped(String),
    /// The system refused something basic.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Why a party's program does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Its configuration, keys or state.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Its state.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A file or socket.
    #[error("{what}: {error}")]
    Open {
        /// Which.
        what: String,
        /// What failed.
        error: io::Error,
    },
    /// While it ran.
    #[error(transparent)]
    Shell(#[from] ShellError),
}

impl ServiceError {
    /// That something cannot be opened.
    pub fn open(what: impl Into<String>, error: io::Error) -> ServiceError {
        ServiceError::Open { what: what.into(), error }
    }
}

/// A service's whole program: hardens the process, logs (as JSON objects if asked), runs.
pub fn program(json: bool, run: impl FnOnce() -> Result<(), ServiceError>) -> ExitCode {
    logging(json);
    let hardened = harden_process().map_err(|error| ServiceError::open("process limits", error));
    match hardened.and_then(|()| run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs an engine until SIGTERM or SIGINT, or until it stops. `attend` is called once inside the runtime with the
/// sender of local inputs, to start what else serves this party (an admin socket).
///
/// # Errors
/// See [`ShellError`].
pub fn run<E, W>(
    setup: Setup,
    engine: E,
    worker: W,
    attend: impl FnOnce(mpsc::Sender<E::Local>),
) -> Result<(), ShellError>
where
    E: Engine,
    E::Job: Send + 'static,
    E::Local: Send + 'static,
    W: Worker<E::Job, E::Local>,
{
    abort_on_panic();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut shell, locals) = Shell::start(setup, engine, worker)?;
        attend(locals);
        let outcome = shell.serve().await;
        shell.hub.close(CLOSE_WITHIN).await;
        outcome
    })
}

struct Shell<E: Engine> {
    engine: E,
    federation: Federation,
    hub: Hub,
    events: mpsc::Receiver<Event>,
    locals: mpsc::Receiver<E::Local>,
    database: Database,
    workers: Workers<E::Job>,
    rounds: Rounds,
    tickets: u64,
    offers: HashMap<u64, IncomingFile>,
    sends: JoinSet<Input<E::Local>>,
}

impl<E: Engine> Shell<E>
where
    E::Job: Send + 'static,
    E::Local: Send + 'static,
{
    fn start<W: Worker<E::Job, E::Local>>(
        setup: Setup,
        engine: E,
        worker: W,
    ) -> Result<(Self, mpsc::Sender<E::Local>), ShellError> {
        let (sender, locals) = mpsc::channel(LOCALS_MAX);
        let workers = Workers::start(setup.threads, worker, sender.clone())?;
        let database = Database::start(setup.journal, setup.log)?;
        let rounds = Rounds::new(setup.state.join("rounds"));
        let federation = setup.federation;
        let config = HubConfig {
            identity: setup.identity,
            local: setup.party,
            peers: peers(&federation),
            listen: setup.listen,
            accept: setup.accept,
            dial: addresses(&federation, &setup.dial)?,
            spool: setup.state.join("spool"),
            windows: setup.windows,
        };
        let (hub, events) = Hub::start(config)?;
        let (offers, sends) = (HashMap::new(), JoinSet::new());
        let shell =
            Shell { engine, federation, hub, events, locals, database, workers, rounds, tickets: 0, offers, sends };
        Ok((shell, sender))
    }

    async fn serve(&mut self) -> Result<(), ShellError> {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let first = tokio::select! {
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = tick.tick() => Input::Tick,
                Some(event) = self.events.recv() => self.input(event),
                Some(local) = self.locals.recv() => Input::Local(local),
                Some(Ok(sent)) = self.sends.join_next() => sent,
            };
            let mut commands = self.engine.handle(first, now());
            for _ in 1..INPUTS_TOGETHER_MAX {
                let Some(input) = self.ready() else { break };
                commands.extend(self.engine.handle(input, now()));
            }
            self.execute(commands).await?;
        }
    }

    /// An input that need not be waited for.
    fn ready(&mut self) -> Option<Input<E::Local>> {
        if let Ok(event) = self.events.try_recv() {
            return Some(self.input(event));
        }
        self.locals.try_recv().ok().map(Input::Local)
    }

    fn input(&mut self, event: Event) -> Input<E::Local> {
        match event {
            Event::Up(party) => {
                tracing::info!(peer = self.federation.party_name(party), "connected");
                Input::Up(party)
            }
            Event::Down(party, reason) => {
                tracing::info!(peer = self.federation.party_name(party), reason, "disconnected");
                Input::Down(party)
            }
            Event::Message(party, message) => Input::Message(party, message),
            Event::File(file) => {
                self.tickets += 1;
                let (from, line, digest) = (file.from, file.line.clone(), Hex(file.sha256));
                self.offers.insert(self.tickets, file);
                Input::File(Offer { ticket: self.tickets, from, line, digest })
            }
        }
    }

    async fn execute(&mut self, commands: Vec<Command<E::Job>>) -> Result<(), ShellError> {
        let (mut facts, mut others) = (Vec::new(), Vec::new());
        for command in commands {
            match command {
                Command::Commit(more) => facts.extend(more),
                other => others.push(other),
            }
        }
        if !facts.is_empty() {
            self.commit(facts).await?;
        }
        for command in others {
            self.perform(command).await?;
        }
        Ok(())
    }

    async fn commit(&self, facts: Vec<Fact>) -> Result<(), ShellError> {
        self.database.commit(facts).await.map_err(ShellError::State)
    }

    async fn perform(&mut self, command: Command<E::Job>) -> Result<(), ShellError> {
        match command {
            Command::Commit(facts) => self.commit(facts).await?,
            Command::Send(to, message) => self.send(&to, &message),
            Command::SendLog(to, first) => self.send_log(to, first).await?,
            Command::SendFile { to, round, file, line } => self.send_file(to, round, file, line),
            Command::Keep { ticket, round, file } => self.keep(ticket, round, file).await?,
            Command::Refuse { ticket, reason } => self.refuse(ticket, reason),
            Command::Discard { round, file } => self.rounds.discard(round, file)?,
            Command::Disconnect(party, reason) => {
                tracing::warn!(peer = self.federation.party_name(party), %reason, "peer misbehaves, disconnecting");
                self.hub.disconnect(party, &reason.to_string());
            }
            Command::Local(job) => self.workers.give(job),
            Command::Tell(Severity::Info, text) => tracing::info!("{text}"),
            Command::Tell(Severity::Warn, text) => tracing::warn!("{text}"),
            Command::Stop(text) => return Err(ShellError::Stopped(text)),
        }
        Ok(())
    }

    fn send(&self, to: &[Party], message: &Message) {
        if let Err(error) = self.hub.send_all(to, message) {
            tracing::warn!(%error, "a message cannot be sent");
        }
    }

    async fn send_log(&self, to: Party, first: u64) -> Result<(), ShellError> {
        let mut next = first;
        loop {
            let lines = self.database.log_from(next).await.map_err(ShellError::State)?;
            if lines.is_empty() {
                return Ok(());
            }
            let count = lines.len() as u64;
            self.send(&[to], &Message::Entries { first: next, lines });
            next += count;
        }
    }

    fn refuse(&mut self, ticket: u64, reason: Reason) {
        if let Some(file) = self.offers.remove(&ticket) {
            tracing::warn!(peer = self.federation.party_name(file.from), %reason, "a file is refused");
            file.refuse(reason.code());
        }
    }
}

fn peers(federation: &Federation) -> Vec<Peer> {
    let peer = |party| {
        let key = federation.key(party)?;
        Some(Peer { party, key, name: federation.party_name(party) })
    };
    federation.parties().filter_map(peer).collect()
}

fn addresses(federation: &Federation, dial: &[Party]) -> Result<Vec<(Party, String)>, ShellError> {
    let address = |party: &Party| {
        let address = federation.address(*party);
        let address = address.ok_or_else(|| ShellError::NoAddress(federation.party_name(*party)))?;
        Ok((*party, address.to_owned()))
    };
    dial.iter().map(address).collect()
}

/// A thread that is gone would leave a program that looks alive and does nothing; and a panic's text may hold anything.
fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a defect of this program; it ends, and goes on where it was when started again");
        std::process::abort();
    }));
}

/// Seconds since 1970 UTC.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// One for a round's long work, one for what others wait for.
const THREADS: usize = 2;
const TICK: Duration = Duration::from_secs(1);
const CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// Local inputs that may wait; results of jobs are few and small.
const LOCALS_MAX: usize = 1_024;
/// Inputs that share a commit: enough to pay for the sync, few enough to keep answers prompt.
const INPUTS_TOGETHER_MAX: usize = 256;

/// Marks the shared worker type, so that its bound is stated once.
pub(crate) type SharedWorker<J, L> = Arc<dyn Worker<J, L>>;
