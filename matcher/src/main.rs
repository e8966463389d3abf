//! `wugan-matcher`: the program of the matcher.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

/// The matcher: compares tags without seeing rows.
#[derive(Parser)]
#[command(version, after_help = "Example:\n  wugan-matcher run --config /etc/wugan/matcher.toml")]
enum Cli {
    /// Serve until SIGTERM.
    #[command(after_help = "Example:\n  wugan-matcher run --config /etc/wugan/matcher.toml")]
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
    wugan_transport::shell::program(json, || wugan_matcher::service::run(&config))
}
