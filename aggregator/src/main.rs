//! `wugan-aggregator`: the program of the aggregator.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

/// The aggregator: turns matches into signal bits of rows without seeing tags.
#[derive(Parser)]
#[command(version, after_help = "Example:\n  wugan-aggregator run --config /etc/wugan/aggregator.toml")]
enum Cli {
    /// Serve until SIGTERM.
    #[command(after_help = "Example:\n  wugan-aggregator run --config /etc/wugan/aggregator.toml")]
    Run {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Log as JSON objects, one a line.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let Cli::Run { config, json } = Cli::parse();
    wugan_transport::shell::program(json, || wugan_aggregator::service::run(&config))
}
