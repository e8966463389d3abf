//! `wugan-audit`: verifies a transparency log offline.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use wugan_audit::{
    folder,
    verify::{Report, verify},
};
use wugan_protocol::{
    hexes::Hex,
    text::{Language, Say},
    texts,
};

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
    let language = Language::asked(|name| std::env::var(name).ok());
    match run(&log, &authority) {
        Ok(report) => {
            let text = if json { serde_json::to_string(&report).unwrap_or_default() } else { text(&report, language) };
            // A reader that went away needs no result.
            let _ = writeln!(io::stdout(), "{text}");
            if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "wugan-audit: {}", error.said(language));
            ExitCode::from(2)
        }
    }
}

fn run(log: &Path, authority: &Path) -> Result<Report, CannotLook> {
    let unread = |path: &Path| {
        let path = path.to_owned();
        |error| CannotLook::Unread { path, error }
    };
    let key = fs::read_to_string(authority).map_err(unread(authority))?;
    let key: Hex<32> = key.trim().parse().map_err(|_| CannotLook::NotAKey { path: authority.to_owned() })?;
    let files = folder::read(log).map_err(unread(log))?;
    if files.files.is_empty() {
        return Err(CannotLook::Empty { folder: log.to_owned() });
    }
    Ok(verify(&files, &key.0))
}

fn text(report: &Report, language: Language) -> String {
    let mut lines: Vec<String> = report.findings.iter().map(|finding| finding.text(language)).collect();
    lines.extend(report.disclosures.iter().map(|totals| totals.text(language)));
    let months: Vec<String> = report.months.iter().map(ToString::to_string).collect();
    let (months, entries, findings) = (months.join(", "), report.entries, report.findings.len());
    let verdict = match report.federation.clone() {
        None => Verdict::NotALog { findings },
        Some(name) if findings == 0 => Verdict::InOrder { name, entries, months },
        Some(name) => Verdict::Found { name, entries, months, findings },
    };
    lines.push(verdict.said(language));
    lines.join("\n")
}

texts! {
    /// What the audit comes to.
    enum Verdict {
        InOrder { name: String, entries: u64, months: String }
            "{name}: in order; entries: {entries}; rounds: {months}"
            "{name}：无异常；条目数：{entries}；轮次：{months}";
        Found { name: String, entries: u64, months: String, findings: usize }
            "{name}: NOT in order; findings: {findings}; entries: {entries}; rounds: {months}"
            "{name}：有异常；发现：{findings} 项；条目数：{entries}；轮次：{months}";
        NotALog { findings: usize }
            "NOT in order, and whose log this is cannot be told; findings: {findings}"
            "有异常，且无法判断这是谁的日志；发现：{findings} 项";
    }
}

texts! {
    /// Why nothing could be looked at.
    #[derive(Debug, thiserror::Error)]
    enum CannotLook {
        Unread { path: PathBuf, error: io::Error }
            "{path} cannot be read: {error}"
            "{path} 无法读取：{error}";
        NotAKey { path: PathBuf }
            "{path} is not a public key: 64 lower-case hexadecimal digits and a line feed"
            "{path} 不是公钥：应为 64 位小写十六进制数字和一个换行符";
        Empty { folder: PathBuf }
            "{folder} has no files: name the folder in which the checkpoint lies"
            "{folder} 中没有文件：请指定检查点所在的文件夹";
    }
}
