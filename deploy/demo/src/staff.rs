//! What the coordinator's staff does in a month: opens the round, watches, closes what will not come.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use wugan_coordinator::{
    admin::{Client, Refusal, Request, Response},
    status::{Phase, RoundStatus, Status},
};
use wugan_protocol::{
    month::Month,
    party::Role,
    text::{Said, Say},
};
use wugan_transport::{language, tell};

use crate::{
    layout::Layout,
    processes::Processes,
    text::{DemoError, Step, Text},
};

/// A round as its staff saw it.
pub struct Seen {
    /// The month.
    pub month: Month,
    /// The round's hash, in hexadecimal.
    pub round: String,
    /// Seconds that each phase took.
    pub phases: Vec<(Step, f64)>,
}

/// Runs one month's round to its end, and until every owner that took part has its decisions.
///
/// # Errors
/// A coordinator that refuses, a process that ends.
pub fn run_round(
    layout: &Layout,
    client: &Client,
    processes: &mut Processes,
    month: Month,
    offline: &[String],
) -> Result<Seen, DemoError> {
    open(client, processes, month)?;
    let bar = progress_bar(month);
    let mut watch = Watch::begin(month);
    loop {
        processes.check()?;
        let status = status(client, processes)?;
        let round = status.round.as_ref().ok_or(DemoError::RoundLost)?;
        watch.see(status.phase);
        show(&bar, &status);
        match status.phase {
            Phase::Closed if delivered(round, offline) => {
                bar.finish_and_clear();
                say_failures(layout, round);
                let phases = watch.finish();
                return Ok(Seen { month, round: round.hash.to_string(), phases });
            }
            Phase::Abandoned => return Err(DemoError::Abandoned(month)),
            Phase::Pools if pools_are_in(round, offline) => {
                close(client, processes).inspect_err(|_| say_failures(layout, round))?;
            }
            Phase::Rows if rows_are_in(round, offline) => close(client, processes)?,
            _ => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// The members need a moment to connect; only then may the coordinator act.
fn open(client: &Client, processes: &mut Processes, month: Month) -> Result<(), DemoError> {
    let request = Request::Open { month, close_after_s: 0, enrolment_s: ENROLMENT_S, rows_s: ROWS_S };
    let until = Instant::now() + OPEN_WITHIN;
    loop {
        processes.check()?;
        match client.ask(&request) {
            Ok(Response::Done { .. }) => return Ok(()),
            Ok(answer) if Instant::now() > until => return Err(refused(&answer)),
            Err(error) if Instant::now() > until => return Err(error.into()),
            _ => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// A coordinator that does not answer has most often ended, and its log says why.
fn ask(client: &Client, processes: &mut Processes, request: &Request) -> Result<Response, DemoError> {
    client.ask(request).or_else(|error| {
        std::thread::sleep(END_SEEN_AFTER);
        processes.check()?;
        Err(error.into())
    })
}

fn status(client: &Client, processes: &mut Processes) -> Result<Status, DemoError> {
    match ask(client, processes, &Request::Status {})? {
        Response::Status { status } => Ok(*status),
        other => Err(refused(&other)),
    }
}

fn refused(answer: &Response) -> DemoError {
    DemoError::Refused(answer.text(language()))
}

/// Closes what is open. Whatever else is refused passes by itself: a receipt came between status and request.
fn close(client: &Client, processes: &mut Processes) -> Result<(), DemoError> {
    match ask(client, processes, &Request::Close {})? {
        answer @ Response::Refused { refusal: Refusal::TooManyMissing { .. } } => return Err(refused(&answer)),
        Response::Refused { .. } => std::thread::sleep(LOOK_EVERY),
        _ => {}
    }
    Ok(())
}

/// Tells what did not take part and why; the node's log tells file, line and what to do.
fn say_failures(layout: &Layout, round: &RoundStatus) {
    let log = |id: &str| layout.log(id, Role::Node);
    for department in &round.departments {
        for failed in &department.failed {
            let (log, channel) = (log(&department.id), failed.channel.clone());
            let (department, reason) = (department.id.clone(), failed.reason);
            tell(Said(&Text::ChannelFailed { department, channel, reason, log }, language()));
        }
    }
    for owner in &round.owners {
        if let Some(reason) = owner.failed {
            let log = log(&owner.id);
            tell(Said(&Text::RosterFailed { owner: owner.id.clone(), reason, log }, language()));
        }
    }
}

/// Every running department's channels are in, or its node said that they cannot be.
pub fn pools_are_in(round: &RoundStatus, offline: &[String]) -> bool {
    round.departments.iter().all(|department| offline.contains(&department.id) || department.waiting_for.is_empty())
}

/// Every running owner's records and rows are in, or its node said that they cannot be.
pub fn rows_are_in(round: &RoundStatus, offline: &[String]) -> bool {
    let done = |owner: &wugan_coordinator::status::OwnerStatus| owner.failed.is_some() || (owner.records && owner.rows);
    round.owners.iter().all(|owner| offline.contains(&owner.id) || done(owner))
}

/// Every running owner that was decided has its decisions, and the members have cosigned the log.
pub fn delivered(round: &RoundStatus, offline: &[String]) -> bool {
    let cosigned = round.cosigned >= round.quorum || round.cosigning.is_empty();
    cosigned && round.owners.iter().all(|owner| offline.contains(&owner.id) || owner.delivered || !owner.decided)
}

struct Watch {
    month: Month,
    phases: Vec<(Step, f64)>,
    phase: Phase,
    since: Instant,
}

impl Watch {
    fn begin(month: Month) -> Watch {
        let watch = Watch { month, phases: Vec::new(), phase: Phase::Pools, since: Instant::now() };
        watch.say();
        watch
    }

    fn see(&mut self, phase: Phase) {
        if phase != self.phase {
            self.end_phase();
            self.phase = phase;
            self.say();
        }
    }

    /// A line for each phase where there is no terminal to draw a bar on.
    fn say(&self) {
        if !std::io::stderr().is_terminal() {
            tell(Said(&Text::Phase { month: self.month, step: self.phase.into() }, language()));
        }
    }

    fn end_phase(&mut self) {
        let now = Instant::now();
        self.phases.push((self.phase.into(), (now - self.since).as_secs_f64()));
        self.since = now;
    }

    fn finish(mut self) -> Vec<(Step, f64)> {
        self.end_phase();
        self.phases
    }
}

fn progress_bar(month: Month) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(month.to_string());
    bar
}

fn show(bar: &ProgressBar, status: &Status) {
    let (done, all) = status.progress();
    bar.set_length(all);
    bar.set_position(done);
    bar.set_message(Step::from(status.phase).said(language()));
}

/// What has ended is seen to have ended a little later.
const END_SEEN_AFTER: Duration = Duration::from_millis(300);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const OPEN_WITHIN: Duration = Duration::from_secs(30);
const ENROLMENT_S: u64 = 24 * 3_600;
const ROWS_S: u64 = 24 * 3_600;
