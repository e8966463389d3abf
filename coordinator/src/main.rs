//! `wugan-coordinator`: the program of the bureau that runs the rounds.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Parser, Subcommand};
use wugan_coordinator::admin::{Client, Request, Response};
use wugan_protocol::{month::Month, text::Failure, texts};
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
        /// Open a month that has not begun yet. Its round counts, and earlier months cannot be opened after it.
        #[arg(long)]
        ahead: bool,
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
  wugan-keys federation confirm manifest-2.json catalogue-2.toml --federation manifest.json --policy catalogue.toml \\
--authority authority.pub
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
        Cli::Round { command, socket, json } => {
            command.begun(Month::of_time(now()))?;
            ask(&Client::new(socket), &command.request(), json)
        }
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
    /// A month that has not begun is most often a typing error, and its round would shut out the months before.
    fn begun(&self, present: Option<Month>) -> Result<(), NotBegun> {
        match (self, present) {
            (Round::Open { month, ahead: false, .. }, Some(present)) if month.last_day() > present.last_day() => {
                Err(NotBegun::Month { month: *month, present })
            }
            _ => Ok(()),
        }
    }

    fn request(&self) -> Request {
        match self {
            Round::Open { month, close_after, enrolment, rows, ahead: _ } => {
                Request::Open { month: *month, close_after_s: *close_after, enrolment_s: *enrolment, rows_s: *rows }
            }
            Round::Status { .. } => Request::Status {},
            Round::Close => Request::Close {},
            Round::Abandon => Request::Abandon {},
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

texts! {
    /// Why a round is not asked for.
    #[derive(Debug, thiserror::Error)]
    enum NotBegun {
        Month { month: Month, present: Month }
            "{month} has not begun, the present month is {present}: once its round counts, no earlier month can be opened \
             any more; correct --month, or add --ahead if it is meant"
            "{month} 尚未开始，当前月份为 {present}：该轮次一经计入，更早的月份将无法再开启；请更正 --month，确需提前开启请加 --ahead";
    }
}

const NAME: &str = "wugan-coordinator";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use wugan_protocol::text::{Language, Say};

    use super::*;

    fn begun(line: &str, present: &str) -> Result<(), NotBegun> {
        let line = format!("wugan-coordinator round {line}");
        let Cli::Round { command, .. } = Cli::try_parse_from(line.split(' ')).unwrap() else { unreachable!() };
        command.begun(Some(present.parse().unwrap()))
    }

    #[test]
    fn a_month_that_has_not_begun_is_opened_only_if_that_is_meant() {
        for month in ["2026-11", "2026-10", "2025-12"] {
            begun(&format!("open --month {month}"), "2026-11").unwrap();
        }
        for month in ["2026-12", "2027-01", "2099-12"] {
            let refused = begun(&format!("open --month {month}"), "2026-11").unwrap_err();
            for language in [Language::English, Language::Chinese] {
                let said = refused.said(language);
                assert!(said.contains(month) && said.contains("2026-11") && said.contains("--ahead"), "{said}");
            }
            begun(&format!("open --month {month} --ahead"), "2026-11").unwrap();
        }
        for other in ["status", "close", "abandon"] {
            begun(other, "2026-11").unwrap();
        }
    }
}
