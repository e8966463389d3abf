//! Runs a node: opens its home, restores its engine, and serves until it is told to stop.

use std::path::Path;

use wugan_keys::commands::read_canaries;
use wugan_protocol::{
    engine::{Fact, Ticket},
    hexes::sha256,
    oprf,
    party::Role,
};
use wugan_transport::{
    admin,
    home::{Home, HomeError, read_config},
    shell::{self, ServiceError, Setup},
};

use crate::{
    admin::Request,
    config::Config,
    engine::{Local, NodeEngine},
    work::{NodeWorker, Places},
};

/// Runs the node of a configuration file until SIGTERM.
///
/// # Errors
/// See [`ServiceError`].
pub fn run(config: &Path) -> Result<(), ServiceError> {
    let (config, base): (Config, _) = read_config(config)?;
    let mut home = Home::open(&config.member, &base, Role::Node)?;
    let socket = admin::open(&base.join(&config.node.admin))?;
    adopt_announcement(&mut home, &base.join(&config.member.keys))?;
    let stored = home.stored()?;
    let department = base.join(&config.node.department);
    let (federation, member) = (home.federation.clone(), home.party.member);
    let (signers, epochs) = (home.keys.signers(), home.keys.epochs.keys().copied().collect());
    let engine = NodeEngine::restore(federation.clone(), member, signers, stored, epochs)?;
    let places = Places { department: &department, state: &home.state, bad_percent_max: config.node.bad_percent_max };
    let canaries = config.node.canaries.as_ref().map(|file| {
        let read = read_canaries(&base.join(file), &base.join(&config.member.authority), federation.policy(), member);
        read.map_err(HomeError::from)
    });
    let worker = NodeWorker::new(federation.policy().clone(), member, places, &mut home.keys);
    let worker = worker.with_canaries(canaries.transpose()?);
    tracing::info!(curve = oprf::curve_backend(), department = federation.policy().member_id(member), "node starts");
    let owner = federation.owner_limits(member).is_some();
    let servers = [federation.coordinator(), federation.matcher(), federation.aggregator()];
    let dial = servers.into_iter().filter(|server| owner || server.role != Role::Aggregator).collect();
    let setup = Setup { dial, ..Setup::of(home) };
    Ok(shell::run(setup, engine, worker, |locals, desk| admin::serve(socket, desk, locals, read))?)
}

/// What the engine is told of a line of the staff's, or the line that refuses it.
fn read(ticket: Ticket, line: &[u8]) -> Result<Local, String> {
    Request::read(line).map(|request| Local::Admin(ticket, request)).map_err(|refusal| refusal.line())
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
