//! The program `wugan-node`: what `main` does, as a library, so that tests run the same code.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use wugan_protocol::{
    disclosure::DisclosureReason,
    month::Month,
    text::{Failure, Say},
    texts,
};
use wugan_transport::{client::ClientError, language, tell};

use crate::{
    admin::{Client, Listed, Private, Refusal, Request, Response},
    config::ADMIN,
};

/// A department's node: keeps its records, answers private set intersection queries, receives decisions.
#[derive(Parser)]
#[command(name = NAME, version, after_help = "Example:\n  wugan-node run --config /etc/wugan/node.toml")]
enum Cli {
    /// Serve until SIGTERM.
    #[command(after_help = "Example:\n  wugan-node run --config /etc/wugan/node.toml")]
    Run {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Log as JSON objects, one a line.
        #[arg(long)]
        json: bool,
    },
    /// Try a configuration, and read channels and roster as a round would; changes nothing.
    #[command(after_help = "Example:\n  wugan-node check --config /etc/wugan/node.toml --month 2026-11")]
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The month that a round would certify.
        #[arg(long, value_name = "YYYY-MM")]
        month: Month,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Ask which departments' records raised the suspicion of one person. Two other departments have to approve it.
    #[command(after_help = DISCLOSE_HELP)]
    Disclose {
        /// The month of the decision.
        #[arg(long, value_name = "YYYY-MM")]
        month: Month,
        /// File with the person's ID number and nothing else; `-` reads it from standard input.
        #[arg(long, value_name = "FILE")]
        person_file: PathBuf,
        /// The matter's id.
        #[arg(long, value_name = "ID")]
        matter: String,
        /// objection, not_verified, correction or proceedings.
        #[arg(long, value_name = "CODE")]
        reason: DisclosureReason,
        /// File that says in words why; the text stays in this department's folder.
        #[arg(long, value_name = "FILE")]
        note: PathBuf,
        #[command(flatten)]
        service: Service,
    },
    /// Show the requests that wait for approvals or for their answer, and this department's own.
    #[command(after_help = "Example:\n  wugan-node requests")]
    Requests {
        #[command(flatten)]
        service: Service,
    },
    /// Approve a request of another department, after showing what is approved.
    #[command(after_help = "Example:\n  wugan-node approve 5f3e9e1d")]
    Approve {
        /// The request, as `requests` shows it; its first eight digits are enough.
        #[arg(value_name = "REQUEST")]
        request: String,
        /// Do not ask; for scripts.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        service: Service,
    },
}

/// The running service.
#[derive(clap::Args)]
struct Service {
    /// The service's admin socket.
    #[arg(long, value_name = "SOCKET", default_value = ADMIN)]
    socket: PathBuf,
    /// Print the answer as one JSON object.
    #[arg(long)]
    json: bool,
}

const DISCLOSE_HELP: &str = "\
The ID number is read from a file or from standard input, because everybody on a machine can see the arguments of its
programs.

Reasons:
  objection     the person objects to the suspicion
  not_verified  the suspicion could not be verified in person
  correction    a source's record seems wrong and is to be corrected
  proceedings   a court or a supervising body asks for it

Examples:
  wugan-node disclose --month 2026-11 --person-file person.txt --matter old_age_allowance --reason objection --note why.txt
  wugan-node disclose --month 2026-11 --person-file - --matter old_age_allowance --reason correction --note why.txt";

/// Runs the command line; the exit code is 0 when done, 1 when something failed or was refused, 2 for wrong usage.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = Cli::parse_from(arguments);
    wugan_transport::program(NAME, || match cli {
        Cli::Run { config, json } => {
            wugan_transport::logging(json);
            crate::service::run(&config)?;
            Ok(true)
        }
        Cli::Check { config, month, json } => check(&config, month, json),
        Cli::Disclose { month, person_file, matter, reason, note, service } => {
            let (person, note) = (read(&person_file, PERSON_BYTES_MAX)?, read(&note, NOTE_BYTES_MAX)?);
            service.ask(&Request::Disclose { month, person: Private(person), matter, reason, note: Private(note) })
        }
        Cli::Requests { service } => service.ask(&Request::Requests {}),
        Cli::Approve { request, yes, service } => approve(&request, yes, &service),
    })
}

/// Prints what was tried and what each file would give; whether all can be used.
fn check(config: &Path, month: Month, json: bool) -> Result<bool, Failure> {
    let (findings, files) = crate::check::check(config, month)?;
    let mut out = io::stdout().lock();
    let fine = wugan_transport::check::print(&findings, json, language(), &mut out)?;
    for file in &files {
        let line = if json { serde_json::to_string(file).map_err(io::Error::from)? } else { file.said(language()) };
        writeln!(out, "{line}")?;
    }
    Ok(fine && files.iter().all(|file| file.error.is_none()))
}

/// Shows in words what would be approved, asks, and approves.
fn approve(request: &str, yes: bool, service: &Service) -> Result<bool, Failure> {
    let Response::Requests { requests } = Client::new(&service.socket).ask(&Request::Requests {})? else {
        return Err(ClientError::Answer.into());
    };
    let found = match named(request, &requests)? {
        Some(found) if found.own => Err(Refusal::OwnRequest {}),
        found => found.ok_or(Refusal::UnknownRequest {}),
    };
    let found = match found {
        Ok(found) => found,
        Err(refusal) => return service.show(&Response::Refused { refusal }),
    };
    tell(found.text(language()));
    if !yes {
        write!(io::stderr(), "{}", found.question(language()))?;
        io::stderr().flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        if !["y", "yes", "是"].contains(&answer.trim().to_lowercase().as_str()) {
            return Err(CliError::NotApproved.into());
        }
    }
    service.ask(&Request::Approve { request: found.request })
}

/// The one request whose hash begins with these digits.
fn named<'a>(digits: &str, requests: &'a [Listed]) -> Result<Option<&'a Listed>, CliError> {
    if digits.len() < DIGITS_MIN {
        return Err(CliError::TooShort { digits: DIGITS_MIN });
    }
    let digits = digits.to_lowercase();
    let mut found = requests.iter().filter(|listed| listed.request.to_string().starts_with(&digits));
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(CliError::Ambiguous),
        (first, _) => Ok(first),
    }
}

impl Service {
    /// Asks, and shows the answer; whether it was done.
    fn ask(&self, request: &Request) -> Result<bool, Failure> {
        self.show(&Client::new(&self.socket).ask(request)?)
    }

    fn show(&self, answer: &Response) -> Result<bool, Failure> {
        let text = if self.json { answer.line() } else { answer.text(language()) };
        let refused = matches!(answer, Response::Refused { .. });
        if refused && !self.json {
            tell(format_args!("{NAME}: {text}"));
        } else {
            writeln!(io::stdout(), "{text}")?;
        }
        Ok(!refused)
    }
}

/// Reads a small text; `-` is standard input.
fn read(path: &Path, bytes_max: u64) -> Result<String, CliError> {
    let unread = |error| CliError::Unread { path: path.to_owned(), error };
    let mut text = String::new();
    let input: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path).map_err(unread)?) };
    let length = input.take(bytes_max + 1).read_to_string(&mut text).map_err(unread)?;
    if length as u64 > bytes_max {
        return Err(CliError::TooLong { path: path.to_owned(), bytes_max });
    }
    Ok(text)
}

texts! {
    /// Why nothing was asked.
    #[derive(Debug, thiserror::Error)]
    enum CliError {
        Unread { path: PathBuf, error: io::Error }
            "{path} cannot be read: {error}"
            "{path} 无法读取：{error}";
        TooLong { path: PathBuf, bytes_max: u64 }
            "{path} is longer than {bytes_max} bytes"
            "{path} 超过 {bytes_max} 字节";
        TooShort { digits: usize }
            "give at least the first {digits} digits of the request; see `wugan-node requests`"
            "请至少给出请求编号的前 {digits} 位；见 `wugan-node requests`";
        Ambiguous
            "more than one request begins with these digits; give more of them"
            "不止一个请求以这些数字开头；请多给出几位";
        NotApproved "not approved" "未批准";
    }
}

const NAME: &str = "wugan-node";
/// Bytes of a file with one ID number, in whatever form.
const PERSON_BYTES_MAX: u64 = 1 << 10;
/// Bytes of a note file; the service says what it takes.
const NOTE_BYTES_MAX: u64 = 64 << 10;
/// Digits of a request's hash that name it.
const DIGITS_MIN: usize = 8;
