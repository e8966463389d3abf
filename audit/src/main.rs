//! `wugan-audit`: verifies a transparency log offline, and tells what it says.

mod commands;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use commands::{CannotLook, Outcome};
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

/// What every command reads.
#[derive(Args)]
struct Log {
    /// The log's folder.
    log: PathBuf,
    /// The authority's public key, whose fingerprint you compared by telephone.
    #[arg(long)]
    authority: PathBuf,
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
    /// For a timer: verify the log again, and that it continues the one seen last; tell only what is new.
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
}

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
        Command::Verify { log, json } => commands::verify(&log.log, &log.authority, json, language),
        Command::Explain { log, round, json } => commands::explain(&log.log, &log.authority, round, json, language),
        Command::Report { log, html } => commands::report(&log.log, &log.authority, &html, language),
        Command::Monitor { log, seen, json } => commands::monitor(&log.log, &log.authority, &seen, json, language),
    }
}
