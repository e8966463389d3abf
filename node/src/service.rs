//! Runs a node: opens its home, restores its engine, and serves until it is told to stop.

use std::path::Path;

use wugan_protocol::{engine::Fact, hexes::sha256, oprf, party::Role};
use wugan_transport::{
    home::{Home, HomeError, read_config},
    shell::{self, ServiceError, Setup},
};

use crate::{
    config::Config,
    engine::NodeEngine,
    work::{NodeWorker, Places},
};

/// Runs the node of a configuration file until SIGTERM.
///
/// # Errors
/// See [`ServiceError`].
pub fn run(config: &Path) -> Result<(), ServiceError> {
    let (config, base): (Config, _) = read_config(config)?;
    let mut home = Home::open(&config.member, &base, Role::Node)?;
    adopt_announcement(&mut home, &base.join(&config.member.keys))?;
    let stored = home.stored()?;
    let department = base.join(&config.node.department);
    let (federation, member) = (home.federation.clone(), home.party.member);
    let (signers, epochs) = (home.keys.signers(), home.keys.epochs.keys().copied().collect());
    let engine = NodeEngine::restore(federation.clone(), member, signers, stored, epochs)?;
    let places = Places { department: &department, state: &home.state, bad_percent_max: config.node.bad_percent_max };
    let worker = NodeWorker::new(federation.policy().clone(), member, places, &mut home.keys);
    tracing::info!(curve = oprf::curve_backend(), department = federation.policy().member_id(member), "node starts");
    let owner = federation.owner_limits(member).is_some();
    let servers = [federation.coordinator(), federation.matcher(), federation.aggregator()];
    let dial = servers.into_iter().filter(|server| owner || server.role != Role::Aggregator).collect();
    Ok(shell::run(Setup { dial, ..Setup::of(home) }, engine, worker, drop)?)
}

/// The announcement of the first key epoch, made at set-up, is the first of a node's entries.
fn adopt_announcement(home: &mut Home, keys: &Path) -> Result<(), ServiceError> {
    if !home.stored()?.own.is_empty() {
        return Ok(());
    }
    let path = wugan_keys::commands::announcement_path(keys);
    let line = std::fs::read(&path);
    let line = line.map_err(|error| ServiceError::Announcement { path, error })?;
    tracing::info!(entry = %sha256(&line), "first start: the announcement of the first key epoch is the first entry");
    home.journal.commit(&[Fact::Own(0, line)]).map_err(HomeError::from)?;
    Ok(())
}
