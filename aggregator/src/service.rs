//! Runs the aggregator: opens its home, restores its engine, and serves until it is told to stop.

use std::path::Path;

use wugan_transport::{check::Finding, server, shell::ServiceError};

use crate::work::Task;

/// Runs the aggregator of a configuration file until SIGTERM.
///
/// # Errors
/// See [`ServiceError`].
pub fn run(config: &Path) -> Result<(), ServiceError> {
    server::run::<Task>(config)
}

/// Tries a configuration, changing nothing.
///
/// # Errors
/// A configuration that cannot be read; everything else is in the result.
pub fn check(config: &Path) -> Result<Vec<Finding>, ServiceError> {
    server::check::<Task>(config)
}
