//! The program: what `main` does, as a library, so that tests run the same code.

use std::{io, path::Path, process::ExitCode};

use clap::Parser;

use crate::{
    cli::{Cli, MemberCommand, Program},
    run::{RunError, run},
};

/// Runs the command line; the exit code is 0 when done, 1 when something failed, 2 for wrong usage.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(MemberCommand::Member { program, config }) = cli.member {
        return member(program, &config);
    }
    match run(&cli.run, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(if matches!(error, RunError::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn member(program: Program, config: &Path) -> ExitCode {
    wugan_transport::logging(false);
    // However the demo ends, no member is left behind.
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM)) {
        complain(&error);
    }
    let outcome = wugan_transport::harden_process().map_err(anyhow::Error::from).and_then(|()| {
        match program {
            Program::Node => wugan_node::service::run(config)?,
            Program::Matcher => wugan_matcher::service::run(config)?,
            Program::Aggregator => wugan_aggregator::service::run(config)?,
            Program::Coordinator => wugan_coordinator::service::run(config)?,
        }
        Ok(())
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "messages to people go to standard error")]
fn complain(error: &dyn std::fmt::Display) {
    eprintln!("wugan-demo: {error:#}");
}
