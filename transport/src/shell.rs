//! Runs an engine: connections, durable facts and worker threads around a sans-IO state machine.
//!
//! One task owns the engine. Inputs that are ready together are handled together, so that their facts become durable
//! in one commit; everything else that the engine wants happens after that commit, in the engine's order.

mod files;
mod peers;
mod threads;

use std::{
    collections::HashMap,
    io,
    net::UdpSocket,
    os::unix::process::CommandExt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sd_notify::NotifyState;
use tokio::{sync::mpsc, task::JoinSet};
use wugan_protocol::{
    engine::{Command, Engine, Fact, Input, Offer, Severity, Stop},
    hexes::Hex,
    manifest::{Federation, Versions},
    member::RestoreError,
    message::Message,
    party::Party,
    reason::Reason,
    texts,
};

pub use threads::{LogSink, Worker};

use crate::{
    admin::Desk,
    config::{HubConfig, StartError, Windows},
    files::IncomingFile,
    home::{Home, HomeError},
    hub::{Event, Hub},
    journal::Journal,
    rounds::Rounds,
    tls::TlsIdentity,
};
use threads::{Database, Workers};

/// What a party's shell is started with.
pub struct Setup {
    /// The versions of the federation's manifest that are confirmed here.
    pub versions: Versions,
    /// Their folder.
    pub versions_folder: PathBuf,
    /// The one in force.
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
    pub log: Option<Box<dyn LogSink>>,
    /// Threads for jobs.
    pub threads: usize,
}

impl Setup {
    /// A party that neither listens nor dials yet, from its home.
    pub fn of(home: Home) -> Setup {
        Setup {
            identity: home.tls(),
            versions: home.versions,
            versions_folder: home.versions_folder,
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

texts! {
    /// Why a party's program ended.
    #[derive(Debug, thiserror::Error)]
    pub enum ShellError {
        /// The connections could not be set up.
        Start(#[from] error: StartError) "{error}" "{error}";
        /// No address is known for a server.
        NoAddress(party: String)
            "the federation manifest has no address for {party}"
            "联合体清单中没有 {party} 的地址";
        /// Durable state could not be written.
        State(error: String)
            "state cannot be written: {error}; nothing was sent that rests on it. Free space on the disk and start again"
            "状态无法写入：{error}；依赖它的内容均未发出。请腾出磁盘空间后重新启动";
        /// The engine asked for it.
        Stopped(#[from] stop: Stop) "{stop}" "{stop}";
        /// The system refused something basic.
        System(#[from] error: io::Error) "{error}" "{error}";
    }
}

texts! {
    /// Why a party's program does not run.
    #[derive(Debug, thiserror::Error)]
    pub enum ServiceError {
        /// Its configuration, keys or state.
        Home(#[from] error: HomeError) "{error}" "{error}";
        /// Its state.
        Restore(#[from] error: RestoreError) "{error}" "{error}";
        /// A file or folder.
        Open { path: PathBuf, error: io::Error } "{path}: {error}" "{path}：{error}";
        /// The announcement of a node's first key epoch.
        Announcement { path: PathBuf, error: io::Error }
            "{path}: {error}; make it with `wugan-keys epoch new`"
            "{path}：{error}；请用 `wugan-keys epoch new` 生成";
        /// The admin socket.
        Admin { socket: PathBuf, error: io::Error }
            "admin socket {socket}: {error}; see `admin` in the configuration: its folder must be there, and no other service \
             answer on it"
            "管理套接字 {socket}：{error}；请核对配置中的 `admin`：其文件夹须存在，且没有其他服务在使用它";
        /// Where a server listens.
        Listen { address: String, error: io::Error }
            "cannot listen on {address}: {error}; see `listen` in the configuration"
            "无法在 {address} 上监听：{error}；请核对配置中的 `listen`";
        /// Standard input instead.
        NoSocket
            "listen = \"stdin\", but standard input is not a UDP socket; it is for services that systemd gives one"
            "listen = \"stdin\"，但标准输入不是 UDP 套接字；此写法只用于由 systemd 交给套接字的服务";
        /// What protects secrets in memory.
        Harden(error: io::Error) "core dumps cannot be forbidden: {error}" "无法禁止核心转储：{error}";
        /// No folder for temporary files.
        Scratch(error: io::Error) "temporary folder: {error}" "临时文件夹：{error}";
        /// While it ran.
        Shell(#[from] error: ShellError) "{error}" "{error}";
    }
}

impl ServiceError {
    /// That a file or folder cannot be opened.
    pub fn open(path: impl Into<PathBuf>, error: io::Error) -> ServiceError {
        ServiceError::Open { path: path.into(), error }
    }
}

/// Runs an engine until SIGTERM or SIGINT, or until it stops. `attend` is called once inside the runtime with the
/// sender of local inputs and the desk where the staff waits for answers, to start an admin socket.
///
/// # Errors
/// See [`ShellError`].
pub fn run<E, W>(
    setup: Setup,
    engine: E,
    worker: W,
    attend: impl FnOnce(mpsc::Sender<E::Local>, Desk),
) -> Result<(), ShellError>
where
    E: Engine,
    E::Job: Send + 'static,
    E::Local: Send + 'static,
    W: Worker<E::Job, E::Local>,
{
    abort_on_panic();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let versions = setup.versions_folder.clone();
    let ended = runtime.block_on(async {
        let (mut shell, locals) = Shell::start(setup, engine, worker)?;
        attend(locals, shell.desk.clone());
        tell_manager(NotifyState::Ready);
        let outcome = shell.serve().await;
        if !shell.again {
            tell_manager(NotifyState::Stopping);
        }
        shell.hub.close(CLOSE_WITHIN).await;
        outcome.map(|()| shell.again)
    });
    // Confirmed since this process began, maybe.
    let confirmed = |version: &u32| versions.join(version.to_string()).exists();
    match ended {
        Ok(false) => Ok(()),
        Ok(true) => Err(begin_again().into()),
        Err(ShellError::Stopped(Stop::Unconfirmed { version })) if confirmed(&version) => Err(begin_again().into()),
        Err(error) => Err(error),
    }
}

/// This process runs its program from the beginning, with the arguments, the listening socket and the process number that
/// it has: as after a crash, and nothing of the old version of the manifest stays in memory. Returns only when it cannot.
fn begin_again() -> io::Error {
    tracing::info!("the log shows another version of the federation manifest: beginning again with it");
    match std::env::current_exe() {
        Ok(program) => std::process::Command::new(program).args(std::env::args_os().skip(1)).exec(),
        Err(error) => error,
    }
}

struct Shell<E: Engine> {
    engine: E,
    federation: Federation,
    hub: Hub,
    events: mpsc::Receiver<Event>,
    locals: mpsc::Receiver<E::Local>,
    database: Database,
    workers: Workers<E::Job>,
    desk: Desk,
    rounds: Rounds,
    tickets: u64,
    offers: HashMap<u64, IncomingFile>,
    sends: JoinSet<Input<E::Local>>,
    /// Whether to begin again.
    again: bool,
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
            peers: peers::all(&setup.versions, &federation),
            listen: setup.listen,
            accept: setup.accept,
            dial: peers::addresses(&setup.versions, &federation, &setup.dial)?,
            spool: setup.state.join("spool"),
            windows: setup.windows,
        };
        let (hub, events) = Hub::start(config)?;
        let shell = Shell {
            engine,
            federation,
            hub,
            events,
            locals,
            database,
            workers,
            desk: Desk::default(),
            rounds,
            tickets: 0,
            offers: HashMap::new(),
            sends: JoinSet::new(),
            again: false,
        };
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
            if self.again {
                return Ok(());
            }
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
            if !self.again {
                self.perform(command).await?;
            }
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
            Command::Answer(ticket, line) => self.desk.answer(ticket, line),
            Command::Tell(Severity::Info, text) => tracing::info!("{text}"),
            Command::Tell(Severity::Warn, text) => tracing::warn!("{text}"),
            Command::Stop(stop) => return Err(stop.into()),
            Command::Restart => self.again = true,
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

/// Tells systemd, where it started this program and waits for it (`Type=notify`).
fn tell_manager(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
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
