//! What every program does first and last: keep secrets out of dumps, log, and say in the reader's language why it ends.

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use wugan_keys::language;
use wugan_protocol::text::{Failure, Say};

use crate::{harden::harden_process, shell::ServiceError};

/// A program's whole `main`: hardens the process and runs. The exit code is 0 when `run` says that all went well, 1
/// otherwise; an error goes to the log where there is one, to standard error otherwise.
pub fn program(name: &str, run: impl FnOnce() -> Result<bool, Failure>) -> ExitCode {
    let hardened = harden_process().map_err(|error| ServiceError::Harden(error).into());
    match hardened.and_then(|()| run()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if tracing::dispatcher::has_been_set() => {
            tracing::error!("{}", error.said(language()));
            ExitCode::FAILURE
        }
        Err(error) => {
            tell(format_args!("{name}: {}", error.said(language())));
            ExitCode::FAILURE
        }
    }
}

/// A line for people on standard error. One that is closed reads nothing, and is no reason to stop.
pub fn tell(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
