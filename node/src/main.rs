//! `wugan-node`: the program of a department.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use wugan_protocol::{
    month::Month,
    text::{Failure, Say},
};
use wugan_transport::language;

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
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    wugan_transport::program("wugan-node", || match cli {
        Cli::Run { config, json } => {
            wugan_transport::logging(json);
            wugan_node::service::run(&config)?;
            Ok(true)
        }
        Cli::Check { config, month, json } => check(&config, month, json),
    })
}

/// Prints what was tried and what each file would give; whether all can be used.
fn check(config: &Path, month: Month, json: bool) -> Result<bool, Failure> {
    let (findings, files) = wugan_node::check::check(config, month)?;
    let mut out = io::stdout().lock();
    let fine = wugan_transport::check::print(&findings, json, language(), &mut out)?;
    for file in &files {
        let line = if json { serde_json::to_string(file).map_err(io::Error::from)? } else { file.said(language()) };
        writeln!(out, "{line}")?;
    }
    Ok(fine && files.iter().all(|file| file.error.is_none()))
}
