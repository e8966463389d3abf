//! `wugan-aggregator`: the program of the aggregator.

use std::{io, path::PathBuf, process::ExitCode};

use clap::Parser;
use wugan_transport::check;

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
    /// Try a configuration; changes nothing.
    #[command(after_help = "Example:\n  wugan-aggregator check --config /etc/wugan/aggregator.toml")]
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    wugan_transport::program("wugan-aggregator", || match cli {
        Cli::Run { config, json } => {
            wugan_transport::logging(json);
            wugan_aggregator::service::run(&config)?;
            Ok(true)
        }
        Cli::Check { config, json } => Ok(check::print(
            &wugan_aggregator::service::check(&config)?,
            json,
            wugan_transport::language(),
            &mut io::stdout(),
        )?),
    })
}
