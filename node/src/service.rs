//! Runs a node: opens its home, restores its engine, and serves until it is told to stop.

use std::path::Path;

use wugan_keys::{
    canaries::{Canaries, CanariesError},
    commands::{CommandError, read_canaries},
};
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
    let engine = NodeEngine::restore(home.versions.clone(), member, signers, stored, epochs)?;
    let places = Places { department: &department, state: &home.state, bad_percent_max: config.node.bad_percent_max };
    let file = config.node.canaries.as_ref().map(|file| base.join(file));
    let canaries = file.map(|file| canaries(&file, &base.join(&config.member.authority), &home));
    let worker = NodeWorker::new(member, places, &mut home.keys);
    let worker = worker.with_canaries(canaries.transpose()?.flatten());
    tracing::info!(curve = oprf::curve_backend(), department = federation.policy().member_id(member), "node starts");
    let owner = federation.owner_limits(member).is_some();
    let servers = [federation.coordinator(), federation.matcher(), federation.aggregator()];
    let dial = servers.into_iter().filter(|server| owner || server.role != Role::Aggregator).collect();
    let setup = Setup { dial, ..Setup::of(home) };
    Ok(shell::run(setup, engine, worker, |locals, desk| admin::serve(socket, desk, locals, read))?)
}

/// The authority's canaries for this member. Those of another policy are left out after a change of policy, until the
/// authority has issued new ones.
fn canaries(file: &Path, authority: &Path, home: &Home) -> Result<Option<Canaries>, HomeError> {
    let changed = home.versions.iter().any(|other| other.policy().hash != home.federation.policy().hash);
    match read_canaries(file, authority, home.federation.policy(), home.party.member) {
        Ok(canaries) => Ok(Some(canaries)),
        Err(error @ CommandError::Canaries { error: CanariesError::OtherPolicy, .. }) if changed => {
            tracing::warn!("going on without canaries: {error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
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
