//! Runs a node: opens its home, restores its engine, and serves until it is told to stop.

use std::path::Path;

use wugan_protocol::{hexes::sha256, member::RestoreError, party::Role};
use wugan_transport::{
    Windows,
    home::{Home, HomeError, read_config},
    shell::{self, Setup, ShellError},
};

use crate::{
    config::Config,
    engine::{NodeEngine, Stored},
    work::{NodeWorker, Places},
};

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Its configuration, keys or state.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Its state.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The announcement of its first key epoch.
    #[error("{path}: {error}; make it with `wugan-keys epoch new`")]
    Announcement {
        /// The file.
        path: String,
        /// What failed.
        error: std::io::Error,
    },
    /// Its database.
    #[error("state database: {0}")]
    Database(String),
    /// While it ran.
    #[error(transparent)]
    Shell(#[from] ShellError),
}

/// Runs the node of a configuration file until SIGTERM.
///
/// # Errors
/// See [`ServiceError`].
pub fn run(config: &Path) -> Result<(), ServiceError> {
    let (config, base): (Config, _) = read_config(config)?;
    let mut home = Home::open(&config.member, &base, Role::Node)?;
    let stored = stored(&mut home, &base.join(&config.member.keys))?;
    let identity = home.tls();
    let department = base.join(&config.node.department);
    let places = Places { department: &department, state: &home.state, bad_percent_max: config.node.bad_percent_max };
    let policy = home.federation.policy().clone();
    let (member, epochs) = (home.party.member, home.keys.epochs.keys().copied().collect());
    let signer = home.keys.identity.clone();
    let engine = NodeEngine::restore(home.federation.clone(), member, signer, stored, epochs)?;
    let worker = NodeWorker::new(policy, member, places, home.keys);
    let owner = home.federation.owner_limits(member).is_some();
    let servers = [home.federation.coordinator(), home.federation.matcher(), home.federation.aggregator()];
    let setup = Setup {
        federation: home.federation,
        party: home.party,
        identity,
        listen: None,
        accept: Vec::new(),
        dial: servers.into_iter().filter(|server| owner || server.role != Role::Aggregator).collect(),
        windows: Windows::USUAL,
        state: home.state,
        journal: home.journal,
        log: None,
        threads: THREADS,
    };
    Ok(shell::run(setup, engine, worker, drop)?)
}

/// What the journal holds. The announcement of the first key epoch, made at set-up, is the first of a node's entries.
fn stored(home: &mut Home, keys: &Path) -> Result<Stored, ServiceError> {
    let failed = |error: &dyn std::fmt::Display| ServiceError::Database(error.to_string());
    let mut own = home.journal.own().map_err(|error| failed(&error))?;
    if own.is_empty() {
        let path = wugan_keys::commands::announcement_path(keys);
        let line = std::fs::read(&path);
        let line = line.map_err(|error| ServiceError::Announcement { path: path.display().to_string(), error })?;
        tracing::info!(entry = %sha256(&line), "first start: the announcement of the first key epoch is the first entry");
        let first = wugan_protocol::engine::Fact::Own(0, line.clone());
        home.journal.commit(&[first]).map_err(|error| failed(&error))?;
        own.push(line);
    }
    let log = home.journal.log().map_err(|error| failed(&error))?;
    let facts = home.journal.facts().map_err(|error| failed(&error))?;
    Ok(Stored { log, own, facts: facts.into_iter().collect() })
}

/// One for the round's long work, one for answers to others.
const THREADS: usize = 2;
