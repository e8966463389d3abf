//! Following a round until it has ended: a bar on a terminal, lines for each change in a log.

use std::{
    io::{self, IsTerminal, Write},
    thread::sleep,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use wugan_protocol::text::{Failure, Language};
use wugan_transport::client::ClientError;

use crate::{
    admin::{Client, Request, Response},
    status::{Phase, Status},
};

/// Follows the open round.
///
/// # Errors
/// A coordinator that does not answer.
pub fn watch(client: &Client, language: Language) -> Result<(), Failure> {
    let bar = io::stderr().is_terminal().then(progress_bar);
    let mut shown = Vec::new();
    loop {
        let Response::Status { status } = client.ask(&Request::Status {})? else {
            return Err(ClientError::Answer.into());
        };
        let lines: Vec<String> = status.text(language).lines().map(str::to_owned).collect();
        match &bar {
            Some(bar) => draw(bar, &status, lines.last()),
            None => print_new(&lines, &shown)?,
        }
        if matches!(status.phase, Phase::Idle | Phase::Closed | Phase::Abandoned) {
            if let Some(bar) = &bar {
                bar.finish_and_clear();
                print_new(&lines, &[])?;
            }
            return Ok(());
        }
        shown = lines;
        sleep(LOOK_EVERY);
    }
}

impl Status {
    /// How far the phase is: channels that are in, owners that are complete, owners that have their decisions; and of
    /// how many.
    pub fn progress(&self) -> (u64, u64) {
        let Some(round) = &self.round else { return (0, 0) };
        let owners = round.owners.len() as u64;
        match self.phase {
            Phase::Pools | Phase::List => {
                let received = round.departments.iter().map(|department| department.received).sum();
                (received, round.departments.iter().map(|department| department.channels).sum())
            }
            Phase::Rows => (round.owners.iter().filter(|owner| owner.records && owner.rows).count() as u64, owners),
            _ => (round.owners.iter().filter(|owner| owner.delivered).count() as u64, owners),
        }
    }
}

fn draw(bar: &ProgressBar, status: &Status, waits_for: Option<&String>) {
    let (done, all) = status.progress();
    bar.set_length(all);
    bar.set_position(done);
    bar.set_message(waits_for.map(|line| line.trim().to_owned()).unwrap_or_default());
}

/// Lines that were not there at the last look.
fn print_new(lines: &[String], shown: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    lines.iter().filter(|line| !shown.contains(line)).try_for_each(|line| writeln!(out, "{line}"))
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("[{bar:30}] {pos}/{len} {wide_msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
