//! `wugan-audit`: verifies a transparency log offline, tells what it says, and computes again what parties announced in it.

mod commands;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use commands::{CannotLook, Log, OfRound, Outcome};
use wugan_audit::replay::At;
use wugan_protocol::{
    month::Month,
    text::{Language, Say},
};

/// Verifies wugan's transparency log, offline, from its folder and the authority's public key. Exit code 0: in order; 1:
/// something was found; 2: it could not be looked at.
#[derive(Parser)]
#[command(name = "wugan-audit", version, after_help = "Example:\n  wugan-audit verify --help")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Which round of which log is looked at in a party's state folder.
#[derive(Args)]
struct Round {
    /// The log's folder.
    #[arg(long)]
    log: PathBuf,
    /// The authority's public key, whose fingerprint you compared by telephone.
    #[arg(long)]
    authority: PathBuf,
    /// The month.
    #[arg(long, value_name = "MONTH")]
    round: Month,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Round {
    fn of(&self) -> OfRound<'_> {
        OfRound { log: &self.log, authority: &self.authority, month: self.round }
    }
}

#[derive(Subcommand)]
enum Command {
    /// Verify every byte of a log's folder.
    #[command(after_help = "Example:\n  wugan-audit verify coordinator/log --authority authority.pub")]
    Verify {
        #[command(flatten)]
        log: Log,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Tell on one page what happened in a month: who took part, how much, how long, what was decided, who refused what.
    #[command(after_help = "Example:\n  wugan-audit explain coordinator/log --authority authority.pub --round 2026-11")]
    Explain {
        #[command(flatten)]
        log: Log,
        /// The month.
        #[arg(long, value_name = "MONTH")]
        round: Month,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a page of HTML with the verdict, a picture of each round and all findings, in Chinese and English.
    #[command(
        after_help = "Example:\n  wugan-audit report coordinator/log --authority authority.pub --html report.html"
    )]
    Report {
        #[command(flatten)]
        log: Log,
        /// Where to write the page.
        #[arg(long, value_name = "FILE")]
        html: PathBuf,
    },
    /// For a timer: verify the log again, that it continues the one seen last, and that no round is overdue; tell only what
    /// is new.
    #[command(
        after_help = "Example:\n  wugan-audit monitor coordinator/log --authority authority.pub --seen seen.checkpoint"
    )]
    Monitor {
        #[command(flatten)]
        log: Log,
        /// The checkpoint seen last; written anew once every entry was looked at. Where there is none yet, everything is
        /// new.
        #[arg(long, value_name = "FILE")]
        seen: PathBuf,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// At a member: compare the log with the copy that the member keeps. One must be the beginning of the other.
    #[command(after_help = COMPARE_EXAMPLE)]
    Compare {
        #[command(flatten)]
        log: Log,
        /// The member's state folder, in which `state.sqlite` lies.
        #[arg(long, value_name = "STATE")]
        member: PathBuf,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// At a server: compute what it made of a round again, from the inputs that it kept, and compare with what it
    /// announced. Once it has deleted the round it cannot be looked at.
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay {
        #[command(flatten)]
        round: Round,
        /// Which server.
        #[arg(long, value_enum)]
        at: At,
        /// Its state folder, in which `rounds` lies.
        home: PathBuf,
    },
    /// At a node: compute its pools, and an owner's records and row lists, again from what lies sealed there, and compare
    /// with what it announced. Once it has deleted the round it cannot be looked at.
    #[command(after_help = RECOMPUTE_EXAMPLE)]
    Recompute {
        #[command(flatten)]
        round: Round,
        /// The folder of its keys; `keys` in its state folder unless given.
        #[arg(long)]
        keys: Option<PathBuf>,
        /// Its state folder, in which `sealed` and `cache` lie.
        home: PathBuf,
    },
}

const COMPARE_EXAMPLE: &str = "\
Example:
  wugan-audit compare coordinator/log --authority authority.pub --member departments/health/state";

const REPLAY_EXAMPLES: &str = "\
Examples:
  wugan-audit replay --log coordinator/log --authority authority.pub --round 2026-11 --at matcher matcher
  wugan-audit replay --log coordinator/log --authority authority.pub --round 2026-11 --at aggregator aggregator
  wugan-audit replay --log coordinator/log --authority authority.pub --round 2026-11 --at coordinator coordinator";

const RECOMPUTE_EXAMPLE: &str = "\
Example:
  wugan-audit recompute --log log --authority authority.pub --round 2026-11 departments/health/state";

fn main() -> ExitCode {
    let language = Language::asked(|name| std::env::var(name).ok());
    match run(Cli::parse().command, language) {
        Ok(Outcome { text, found }) => {
            // A reader that went away needs no result.
            let _ = writeln!(io::stdout(), "{text}");
            if found { ExitCode::from(1) } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "wugan-audit: {}", error.said(language));
            ExitCode::from(2)
        }
    }
}

fn run(command: Command, language: Language) -> Result<Outcome, CannotLook> {
    match command {
        Command::Verify { log, json } => commands::verify(&log, json, language),
        Command::Explain { log, round, json } => commands::explain(&log, round, json, language),
        Command::Report { log, html } => commands::report(&log, &html, language),
        Command::Monitor { log, seen, json } => commands::monitor(&log, &seen, json, language),
        Command::Compare { log, member, json } => commands::compare(&log, &member, json, language),
        Command::Replay { round, at, home } => commands::replay(&round.of(), at, &home, round.json, language),
        Command::Recompute { round, keys, home } => {
            let keys = keys.unwrap_or_else(|| home.join("keys"));
            commands::recompute(&round.of(), &home, &keys, round.json, language)
        }
    }
}
