//! `wugan-coordinator`: the program of the bureau that runs the rounds.

use std::{env, io::Write, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use wugan_coordinator::{
    admin::{Request, Response},
    client::Client,
    text::Language,
};
use wugan_protocol::month::Month;

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

fn main() -> ExitCode {
    let outcome = match Cli::parse() {
        Cli::Run { config, json } => {
            wugan_transport::logging(json);
            let hardened = wugan_transport::harden_process().map_err(anyhow::Error::from);
            hardened.and_then(|()| Ok(wugan_coordinator::service::run(&config)?)).map(|()| true)
        }
        Cli::Round { command: Round::Status { watch: true }, socket, json: false } => {
            wugan_coordinator::watch::watch(&Client::new(socket), language()).map(|()| true)
        }
        Cli::Round { command, socket, json } => ask(&Client::new(socket), &command.request(), json),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Asks, and shows the answer; whether it was done.
fn ask(client: &Client, request: &Request, json: bool) -> anyhow::Result<bool> {
    let answer = client.ask(request)?;
    let text = if json { answer.line() } else { answer.text(language()) };
    let refused = matches!(answer, Response::Refused { .. });
    if refused && !json {
        complain(&text);
    } else {
        writeln!(std::io::stdout(), "{text}")?;
    }
    Ok(!refused)
}

fn language() -> Language {
    let set =
        ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(|name| env::var(name).ok().filter(|v| !v.is_empty()));
    Language::from_env(set.as_deref())
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

#[expect(clippy::print_stderr, reason = "messages to people go to standard error")]
fn complain(text: &dyn std::fmt::Display) {
    eprintln!("wugan-coordinator: {text:#}");
}
