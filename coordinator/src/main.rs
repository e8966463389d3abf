//! `wugan-coordinator`: the program of the bureau that runs the rounds.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use wugan_coordinator::admin::{Client, Request, Response};
use wugan_protocol::{month::Month, text::Failure};
use wugan_transport::{language, tell};

/// The coordinator: opens monthly rounds, relays enrolment, decides by policy, keeps the log.
#[derive(Parser)]
#[command(version, after_help = "Example:\n  wugan-coordinator run --config /etc/wugan/coordinator.toml")]
enum Cli {
    /// Serve until SIGTERM.
    #[command(after_help = "Example:\n  wugan-coordinator run --config /etc/wugan/coordinator.toml")]
    Run {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Log as JSON objects, one a line.
        #[arg(long)]
        json: bool,
    },
    /// Try a configuration; changes nothing.
    #[command(after_help = "Example:\n  wugan-coordinator check --config /etc/wugan/coordinator.toml")]
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Put the next version of the federation manifest, which was confirmed here, into the log: from then on it is in force.
    #[command(after_help = ADOPT_HELP)]
    Adopt {
        /// The service's admin socket.
        #[arg(long, value_name = "SOCKET", default_value = "/run/wugan/admin.sock")]
        socket: PathBuf,
        /// Print the answer as one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Talk to the running service about the month's round.
    #[command(after_help = "Example:\n  wugan-coordinator round status --socket /run/wugan/admin.sock")]
    Round {
        /// What to do.
        #[command(subcommand)]
        command: Round,
        /// The service's admin socket.
        #[arg(long, value_name = "SOCKET", global = true, default_value = "/run/wugan/admin.sock")]
        socket: PathBuf,
        /// Print the answer as one JSON object.
        #[arg(long, global = true)]
        json: bool,
    },
}

#[derive(Subcommand)]
enum Round {
    /// Open the month's round.
    #[command(after_help = "Example:\n  wugan-coordinator round open --month 2026-11 --close-after 3600")]
    Open {
        /// The month that is certified.
        #[arg(long, value_name = "YYYY-MM")]
        month: Month,
        /// Seconds until pools may be closed.
        #[arg(long, value_name = "S", default_value_t = 3_600)]
        close_after: u64,
        /// Seconds until people who are not enrolled are deferred.
        #[arg(long, value_name = "S", default_value_t = 172_800)]
        enrolment: u64,
        /// Seconds until the latest time for records and rows.
        #[arg(long, value_name = "S", default_value_t = 259_200)]
        rows: u64,
    },
    /// Show how things stand, and whom the round waits for.
    #[command(after_help = "Example:\n  wugan-coordinator round status --watch")]
    Status {
        /// Go on until the round has ended: a bar on a terminal, a line for each change elsewhere.
        #[arg(long)]
        watch: bool,
    },
    /// Close the pools; called again, the rows.
    #[command(after_help = "Example:\n  wugan-coordinator round close")]
    Close,
    /// Make the open round void, so that the month can be opened anew.
    #[command(after_help = "Example:\n  wugan-coordinator round abandon")]
    Abandon,
}

const ADOPT_HELP: &str = "\
Between rounds, once every member has had time to confirm the version: a member that has not stops, and says what to do.

Example:
  wugan-keys federation confirm --manifest manifest-2.json --policy catalogue-2.toml ...
  systemctl restart wugan-coordinator
  wugan-coordinator adopt";

fn main() -> ExitCode {
    let cli = Cli::parse();
    wugan_transport::program(NAME, || match cli {
        Cli::Run { config, json } => {
            wugan_transport::logging(json);
            wugan_coordinator::service::run(&config)?;
            Ok(true)
        }
        Cli::Check { config, json } => {
            let findings = wugan_coordinator::check::check(&config)?;
            Ok(wugan_transport::check::print(&findings, json, language(), &mut io::stdout())?)
        }
        Cli::Adopt { socket, json } => ask(&Client::new(socket), &Request::Adopt {}, json),
        Cli::Round { command: Round::Status { watch: true }, socket, json: false } => {
            wugan_coordinator::watch::watch(&Client::new(socket), language())?;
            Ok(true)
        }
        Cli::Round { command, socket, json } => ask(&Client::new(socket), &command.request(), json),
    })
}

/// Asks, and shows the answer; whether it was done.
fn ask(client: &Client, request: &Request, json: bool) -> Result<bool, Failure> {
    let answer = client.ask(request)?;
    let text = if json { answer.line() } else { answer.text(language()) };
    let refused = matches!(answer, Response::Refused { .. });
    if refused && !json {
        tell(format_args!("{NAME}: {text}"));
    } else {
        writeln!(io::stdout(), "{text}")?;
    }
    Ok(!refused)
}

impl Round {
    fn request(&self) -> Request {
        match self {
            Round::Open { month, close_after, enrolment, rows } => {
                Request::Open { month: *month, close_after_s: *close_after, enrolment_s: *enrolment, rows_s: *rows }
            }
            Round::Status { .. } => Request::Status {},
            Round::Close => Request::Close {},
            Round::Abandon => Request::Abandon {},
        }
    }
}

const NAME: &str = "wugan-coordinator";
