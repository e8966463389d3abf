//! Runs the matcher: opens its home, restores its engine, and serves until it is told to stop.

use std::{io, path::Path};

use wugan_protocol::{
    member::RestoreError,
    party::{Party, Role},
    stage::Restored,
};
use wugan_transport::{
    Windows,
    home::{Home, HomeError, fresh, read_config},
    listen_socket,
    rounds::Rounds,
    shell::{self, Setup, ShellError},
};

use crate::{
    config::Config,
    engine::MatcherEngine,
    work::{Done, Job, Worker},
};

/// Why the matcher does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Its configuration, keys or state.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Its state.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// Its socket.
    #[error("listen = {address:?}: {error}")]
    Listen {
        /// As configured.
        address: String,
        /// What failed.
        error: io::Error,
    },
    /// While it ran.
    #[error(transparent)]
    Shell(#[from] ShellError),
}

/// Runs the matcher of a configuration file until SIGTERM.
///
/// # Errors
/// See [`ServiceError`].
pub fn run(config: &Path) -> Result<(), ServiceError> {
    let (config, base): (Config, _) = read_config(config)?;
    let home = Home::open(&config.member, &base, Role::Matcher)?;
    let address = config.server.listen;
    let listen = listen_socket(&address).map_err(|error| ServiceError::Listen { address, error })?;
    let stored = home.stored()?;
    let restored = Restored { log: &stored.log, own: &stored.own, facts: stored.facts };
    let (federation, signer) = (home.federation.clone(), home.keys.identity.clone());
    let engine = MatcherEngine::restore(federation.clone(), signer, restored, Box::new(fresh))?;
    let worker = Worker::new(Rounds::new(home.state.join("rounds")));
    let accept: Vec<Party> = federation.parties().filter(|party| party.role == Role::Node).collect();
    let dial = vec![federation.coordinator(), federation.aggregator()];
    let setup = Setup { listen: Some(listen), accept, dial, windows: Windows::BULK, ..Setup::of(home) };
    Ok(shell::run(setup, engine, worker, drop)?)
}

impl shell::Worker<Job, Done> for Worker {
    fn run(&self, job: Job, tell: &mut dyn FnMut(Done)) {
        tell(Worker::run(self, job));
    }
}
