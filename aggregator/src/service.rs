//! Runs the aggregator: opens its home, restores its engine, and serves until it is told to stop.

use std::path::Path;

use wugan_transport::{
    check::Finding,
    server,
    shell::{self, ServiceError},
};

use crate::{
    AggregatorEngine,
    work::{AggregatorWorker, Task},
};

/// Runs the aggregator of a configuration file until SIGTERM.
///
/// # Errors
/// See [`ServiceError`].
pub fn run(config: &Path) -> Result<(), ServiceError> {
    let (setup, server, rounds) = server::open::<Task>(config)?;
    let worker = AggregatorWorker::new(rounds);
    Ok(shell::run(setup, AggregatorEngine::around(server), worker, |_, _| {})?)
}

/// Tries a configuration, changing nothing.
///
/// # Errors
/// A configuration that cannot be read; everything else is in the result.
pub fn check(config: &Path) -> Result<Vec<Finding>, ServiceError> {
    server::check::<Task>(config)
}
