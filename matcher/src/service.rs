//! Runs the matcher: opens its home, restores its engine, and serves until it is told to stop.

use std::path::Path;

use wugan_transport::{server, shell::ServiceError};

use crate::work::Task;

/// Runs the matcher of a configuration file until SIGTERM.
///
/// # Errors
/// See [`ServiceError`].
pub fn run(config: &Path) -> Result<(), ServiceError> {
    server::run::<Task>(config)
}
