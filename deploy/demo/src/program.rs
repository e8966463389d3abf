//! The program: what `main` does, as a library, so that tests run the same code.

use std::{io, path::Path, process::ExitCode};

use clap::Parser;
use rustix::process::{Signal, set_parent_process_death_signal};
use wugan_protocol::text::Say;
use wugan_transport::{language, logging, program, tell};

use crate::{
    cli::{Cli, MemberCommand, Program},
    run::run,
    text::DemoError,
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
            tell(format_args!("{NAME}: {}", error.said(language())));
            ExitCode::from(if matches!(error, DemoError::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn member(member: Program, config: &Path) -> ExitCode {
    logging(false);
    program(NAME, || {
        // However the demo ends, no member is left behind.
        set_parent_process_death_signal(Some(Signal::TERM)).map_err(io::Error::from)?;
        match member {
            Program::Node => wugan_node::service::run(config)?,
            Program::Matcher => wugan_matcher::service::run(config)?,
            Program::Aggregator => wugan_aggregator::service::run(config)?,
            Program::Coordinator => wugan_coordinator::service::run(config)?,
        }
        Ok(true)
    })
}

const NAME: &str = "wugan-demo";
