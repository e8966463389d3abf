//! `wugan-node`: the program of a department.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use wugan_protocol::month::Month;

/// A department's node: keeps its records, answers private set intersection queries, receives decisions.
#[derive(Parser)]
#[command(version, after_help = "Example:\n  wugan-node run --config /etc/wugan/node.toml")]
enum Cli {
    /// Serve until SIGTERM.
    #[command(after_help = "Example:\n  wugan-node run --config /etc/wugan/node.toml")]
    Run {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Log as JSON objects, one a line.
        #[arg(long)]
        json: bool,
    },
    /// Try a configuration, and read channels and roster as a round would; changes nothing.
    #[command(after_help = "Example:\n  wugan-node check --config /etc/wugan/node.toml --month 2026-11")]
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The month that a round would certify.
        #[arg(long, value_name = "YYYY-MM")]
        month: Month,
        /// Print one JSON object a file.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = wugan_transport::harden_process().map_err(anyhow::Error::from).and_then(|()| match cli {
        Cli::Run { config, json } => {
            wugan_transport::logging(json);
            Ok(wugan_node::service::run(&config).map(|()| true)?)
        }
        Cli::Check { config, month, json } => check(&config, month, json),
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Prints what each file would give; whether all can be used.
fn check(config: &Path, month: Month, json: bool) -> anyhow::Result<bool> {
    let checked = wugan_node::check::check(config, month)?;
    let mut out = io::stdout().lock();
    for file in &checked {
        let line = if json { serde_json::to_string(file)? } else { file.line() };
        writeln!(out, "{line}")?;
    }
    Ok(checked.iter().all(|file| file.error.is_none()))
}

#[expect(clippy::print_stderr, reason = "messages to people go to standard error")]
fn complain(error: &anyhow::Error) {
    eprintln!("wugan-node: {error:#}");
}
