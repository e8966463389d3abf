//! Compares a city's decisions of one month with the plaintext model, by hand:
//!
//! ```text
//! cargo run --release -p wugan-tests --example compare -- DIR MONTH [--offline NODE]...
//! ```
//!
//! For an owner with a `roster.<MONTH>.csv` that file is the roster, else `roster.csv`.
//! Prints each difference. Exit code 0: none; 1: some, or the city could not be read; 2: wrong usage.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wugan_tests::model::{Comparison, compare_with_roster};

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((dir, month, offline)) = parse(&arguments) else {
        writeln!(io::stderr(), "usage: compare DIR MONTH [--offline NODE]...")?;
        return Ok(ExitCode::from(2));
    };
    let roster = |department: &str| roster(dir, department, month);
    let comparison = compare_with_roster(dir, month, &offline, roster)?;
    print(&comparison)?;
    Ok(ExitCode::from(u8::from(!comparison.differences.is_empty())))
}

fn parse(arguments: &[String]) -> Option<(&Path, &str, Vec<&str>)> {
    let [dir, month, options @ ..] = arguments else {
        return None;
    };
    let mut offline = Vec::new();
    for option in options.chunks(2) {
        match option {
            [name, node] if name == "--offline" => offline.push(node.as_str()),
            _ => return None,
        }
    }
    Some((Path::new(dir), month, offline))
}

fn roster(dir: &Path, department: &str, month: &str) -> PathBuf {
    let folder = dir.join("departments").join(department);
    let of_month = folder.join(format!("roster.{month}.csv"));
    if of_month.exists() { of_month } else { folder.join("roster.csv") }
}

fn print(comparison: &Comparison) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for difference in &comparison.differences {
        writeln!(out, "{difference}")?;
    }
    for (decision, lines) in &comparison.expected {
        writeln!(out, "expected {decision}: {lines}")?;
    }
    writeln!(out, "differences: {}", comparison.differences.len())
}
