//! The demo from its arguments to its report.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use wugan_coordinator::client::Client;
use wugan_protocol::{month::Month, policy::Policy};

use crate::{
    city::{CATALOGUE, CityPlan, generate, install_roster},
    cli::RunArgs,
    layout::Layout,
    processes::Processes,
    report::{Report, RoundReport},
    setup,
    staff::run_round,
};

/// Why the demo did not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The arguments ask for what cannot be: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Something failed: exit code 1.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

/// Runs the demo; results go to `out`, progress to standard error.
///
/// # Errors
/// See [`RunError`].
pub fn run(args: &RunArgs, out: &mut dyn io::Write) -> Result<(), RunError> {
    let months = months(args.month, args.rounds())?;
    let policy = read_policy(args)?;
    check_offline(&policy, &args.offline)?;
    if months.len() > 1 && policy.days_between_rounds > 0 {
        let days = policy.days_between_rounds;
        let text =
            format!("the policy asks for {days} days between rounds, so only one can be run now: use --rounds 1");
        return Err(RunError::Usage(text));
    }
    if args.input.is_none() {
        plan(args).months().map_err(|error| RunError::Usage(error.to_string()))?;
    }
    let layout = Layout::new(folder(args)?);
    fill(args, &layout, &policy, &months)?;
    let report = federation(args, &layout, &policy, &months, out)?;
    fs::write(layout.root().join("report.json"), serde_json::to_vec_pretty(&report).map_err(anyhow::Error::from)?)
        .map_err(anyhow::Error::from)?;
    let text = format!("{}\neverything is in {}", report.usage_text(), layout.root().display());
    Ok(writeln!(out, "{text}").map_err(anyhow::Error::from)?)
}

fn federation(
    args: &RunArgs,
    layout: &Layout,
    policy: &Policy,
    months: &[Month],
    out: &mut dyn io::Write,
) -> anyhow::Result<Report> {
    let generated = args.input.is_none();
    let roster = |month: &Month| if generated { format!("roster.{month}.csv") } else { "roster.csv".to_owned() };
    let rosters: Vec<String> = months.iter().map(roster).collect();
    let ready = setup::federation(layout, policy, &rosters)?;
    let parties = setup::parties(policy);
    let mut processes = Processes::start(layout, policy, &parties, &ready.sockets, &args.offline)?;
    let client = Client::new(layout.admin());
    let mut rounds = Vec::new();
    for month in months {
        if generated {
            install_roster(layout.root(), &month.to_string(), Some(month) == months.last())?;
        }
        let seen = run_round(&client, &mut processes, *month, &args.offline)?;
        let round = RoundReport::read(layout, policy, &seen)?;
        writeln!(out, "{}", round.text(policy))?;
        rounds.push(round);
    }
    let report = Report { rounds, processes: processes.usage() };
    processes.stop();
    Ok(report)
}

fn months(first: Month, rounds: u32) -> Result<Vec<Month>, RunError> {
    let all = std::iter::successors(Some(first), |month| month.next());
    let months: Vec<Month> = all.take(rounds as usize).collect();
    let too_late = || RunError::Usage(format!("there are no {rounds} months from {first} on"));
    if months.len() == rounds as usize { Ok(months) } else { Err(too_late()) }
}

fn read_policy(args: &RunArgs) -> Result<Policy, RunError> {
    let bytes = match &args.input {
        None => CATALOGUE.as_bytes().to_vec(),
        Some(folder) => {
            let path = folder.join("catalogue.toml");
            fs::read(&path).map_err(|error| RunError::Usage(format!("{}: {error}", path.display())))?
        }
    };
    Policy::read(&bytes).map_err(|error| RunError::Usage(error.to_string()))
}

fn check_offline(policy: &Policy, offline: &[String]) -> Result<(), RunError> {
    let usage = |text: String| Err(RunError::Usage(text));
    let mut missing = std::collections::BTreeSet::new();
    for id in offline {
        let Some(member) = policy.member_number(id).filter(|member| *member != policy.matcher_number()) else {
            return usage(format!("--offline {id}: there is no such department in the catalogue"));
        };
        if member == policy.coordinator || member == policy.aggregator {
            let role = if member == policy.coordinator { "coordinator" } else { "aggregator" };
            return usage(format!("--offline {id}: the {role}'s own department may not be missing from a round"));
        }
        missing.insert(member);
    }
    if missing.len() > policy.missing_max {
        let most = policy.missing_max;
        return usage(format!(
            "{} departments offline, but a round waits while more than {most} are missing",
            missing.len()
        ));
    }
    Ok(())
}

/// The folder that `--out` names, or a new one.
fn folder(args: &RunArgs) -> Result<PathBuf, RunError> {
    let Some(out) = &args.out else { return Ok(new_folder()?) };
    let held = ["manifest.json", "authority", "coordinator"].iter().find(|name| out.join(name).exists());
    if let Some(name) = held {
        let text = format!("{} holds an earlier run ({name}): choose another folder, or remove it", out.display());
        return Err(RunError::Usage(text));
    }
    fs::create_dir_all(out).map_err(anyhow::Error::from)?;
    Ok(out.clone())
}

fn new_folder() -> anyhow::Result<PathBuf> {
    for number in 1..FOLDERS_MAX {
        let folder = PathBuf::from(format!("wugan-demo-{number}"));
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => return Ok(outcome.map(|()| folder)?),
        }
    }
    anyhow::bail!("there are {FOLDERS_MAX} folders wugan-demo-… here already: remove some, or use --out")
}

/// Generates the city, or copies what was prepared.
fn fill(args: &RunArgs, layout: &Layout, policy: &Policy, months: &[Month]) -> anyhow::Result<()> {
    if let Some(input) = &args.input {
        copy_city(input, layout, policy)?;
        return forget_earlier_decisions(layout, policy, months);
    }
    generate(&plan(args), CATALOGUE, layout.root())?;
    Ok(())
}

fn plan(args: &RunArgs) -> CityPlan {
    let last_day = args.month.last_day();
    CityPlan {
        people: args.people,
        records: args.records(),
        seed: args.seed,
        first_month: (last_day.year(), last_day.month()),
        rounds: args.rounds(),
    }
}

fn copy_city(input: &Path, layout: &Layout, policy: &Policy) -> anyhow::Result<()> {
    let same = fs::canonicalize(input)? == fs::canonicalize(layout.root())?;
    if !same {
        fs::copy(input.join("catalogue.toml"), layout.catalogue())?;
    }
    let source = Layout::new(input);
    for department in &policy.departments {
        let (from, to) = (source.department(&department.id), layout.department(&department.id));
        fs::create_dir_all(to.join("channels"))?;
        if same {
            continue;
        }
        let own = policy.member_number(&department.id);
        let channels = policy.channels.iter().filter(|channel| Some(channel.source) == own);
        let files = channels.map(|channel| format!("channels/{}.csv", channel.id)).chain(["roster.csv".to_owned()]);
        // A file that is not there is the node's business: the channel is missing, and the node says why.
        for file in files.filter(|file| from.join(file).exists()) {
            fs::copy(from.join(&file), to.join(&file))?;
        }
    }
    Ok(())
}

/// An owner that is offline has no decisions of a month, also where an earlier run left some.
fn forget_earlier_decisions(layout: &Layout, policy: &Policy, months: &[Month]) -> anyhow::Result<()> {
    for department in &policy.departments {
        for month in months {
            let path = layout.decisions(&department.id, &month.to_string());
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    anyhow::bail!("{} of an earlier run cannot be removed: {error}", path.display())
                }
                _ => {}
            }
        }
    }
    Ok(())
}

const FOLDERS_MAX: u32 = 1_000;
