//! `wugan-audit`: verifies a transparency log offline.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Parser, Subcommand};
use wugan_audit::{
    folder,
    verify::{Report, verify},
};
use wugan_protocol::{hexes::Hex, text::Language};

/// Verifies wugan's transparency log, offline, from its folder and the authority's public key.
#[derive(Parser)]
#[command(name = "wugan-audit", version, after_help = "Example:\n  wugan-audit verify --help")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Verify every byte of a log's folder. Exit code 0: in order; 1: something was found; 2: it could not be looked at.
    #[command(after_help = "Example:\n  wugan-audit verify coordinator/log --authority authority.pub")]
    Verify {
        /// The log's folder.
        log: PathBuf,
        /// The authority's public key, whose fingerprint you compared by telephone.
        #[arg(long)]
        authority: PathBuf,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let Command::Verify { log, authority, json } = Cli::parse().command;
    match run(&log, &authority) {
        Ok(report) => {
            let text =
                if json { serde_json::to_string(&report).unwrap_or_default() } else { text(&report, language()) };
            // A reader that went away needs no result.
            let _ = writeln!(std::io::stdout(), "{text}");
            if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "wugan-audit: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(log: &Path, authority: &Path) -> anyhow::Result<Report> {
    let key = fs::read_to_string(authority).with_context(|| authority.display().to_string())?;
    let key: Hex<32> =
        key.trim().parse().ok().with_context(|| {
            format!("{} is not a public key: 64 lower-case hexadecimal digits", authority.display())
        })?;
    let files = folder::read(log).with_context(|| log.display().to_string())?;
    anyhow::ensure!(!files.files.is_empty(), "{} has no files: name the folder with the checkpoint", log.display());
    Ok(verify(&files, &key.0))
}

fn text(report: &Report, language: Language) -> String {
    let months: Vec<String> = report.months.iter().map(ToString::to_string).collect();
    let (name, months) = (report.federation.clone().unwrap_or_default(), months.join(", "));
    let mut lines: Vec<String> = report.findings.iter().map(|finding| finding.text(language)).collect();
    let (entries, found) = (report.entries, report.findings.len());
    lines.push(match (language, found) {
        (Language::English, 0) => format!("{name}: {entries} entries, rounds of {months}: in order"),
        (Language::Chinese, 0) => format!("{name}：{entries} 个条目，轮次 {months}：无异常"),
        (Language::English, _) => format!("{name}: {entries} entries, rounds of {months}: {found} findings"),
        (Language::Chinese, _) => format!("{name}：{entries} 个条目，轮次 {months}：发现 {found} 项异常"),
    });
    lines.join("\n")
}

fn language() -> Language {
    Language::asked(|name| std::env::var(name).ok())
}
