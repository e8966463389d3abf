//! `wugan-matcher`: the program of the matcher.

use std::{io, path::PathBuf, process::ExitCode};

use clap::Parser;
use wugan_transport::check;

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
    /// Try a configuration; changes nothing.
    #[command(after_help = "Example:\n  wugan-matcher check --config /etc/wugan/matcher.toml")]
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
    wugan_transport::program("wugan-matcher", || match cli {
        Cli::Run { config, json } => {
            wugan_transport::logging(json);
            wugan_matcher::service::run(&config)?;
            Ok(true)
        }
        Cli::Check { config, json } => Ok(check::print(
            &wugan_matcher::service::check(&config)?,
            json,
            wugan_transport::language(),
            &mut io::stdout(),
        )?),
    })
}
