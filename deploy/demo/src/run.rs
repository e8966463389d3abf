//! The demo from its arguments to its report.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::fs::statvfs;
use wugan_coordinator::admin::Client;
use wugan_keys::identity::check_member_id;
use wugan_protocol::{
    month::Month,
    policy::{Department, Policy},
    text::Say,
};
use wugan_transport::language;

use crate::{
    canaries,
    city::{CATALOGUE, CityPlan, generate, install_roster},
    cli::RunArgs,
    layout::Layout,
    processes::Processes,
    report::{Report, RoundReport},
    setup,
    staff::run_round,
    text::{At, DemoError, Text, Usage},
};

/// Runs the demo; results go to `out`, progress to standard error.
///
/// # Errors
/// See [`DemoError`].
pub fn run(args: &RunArgs, out: &mut dyn io::Write) -> Result<(), DemoError> {
    let months = months(args.month, args.rounds())?;
    let policy = read_policy(args)?;
    check_offline(&policy, &args.offline)?;
    if months.len() > 1 && policy.days_between_rounds > 0 {
        let days = policy.days_between_rounds;
        return Err(Usage::OneRound { days }.into());
    }
    if args.input.is_none() {
        plan(args).months().map_err(Usage::City)?;
    }
    let layout = Layout::new(folder(args)?);
    enough_space(layout.root())?;
    fill(args, &layout, &policy, &months)?;
    let report = federation(args, &layout, &policy, &months, out)?;
    write_report(&layout.root().join("report.json"), &report)?;
    let everything = Text::Everything { folder: layout.root().to_owned() };
    Ok(writeln!(out, "{}\n{}", report.usage_text(language()), everything.said(language()))?)
}

/// Servers refuse files that would leave too little, and a round would wait for ever.
fn enough_space(folder: &Path) -> Result<(), DemoError> {
    let there = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let stat = statvfs(there).map_err(io::Error::from).at(folder)?;
    let free_mib = stat.f_bavail.saturating_mul(stat.f_frsize) >> 20;
    if free_mib < FREE_MIB_MIN {
        return Err(Usage::NoSpace { folder: folder.to_owned(), free_mib, needed_mib: FREE_MIB_MIN }.into());
    }
    Ok(())
}

fn federation(
    args: &RunArgs,
    layout: &Layout,
    policy: &Policy,
    months: &[Month],
    out: &mut dyn io::Write,
) -> Result<Report, DemoError> {
    let generated = args.input.is_none();
    let roster = |month: &Month| if generated { format!("roster.{month}.csv") } else { "roster.csv".to_owned() };
    let rosters: Vec<String> = months.iter().map(roster).collect();
    let canaries_from = layout.canary_plan().exists().then(|| months.first().copied()).flatten();
    let ready = setup::federation(layout, policy, &rosters, canaries_from)?;
    let parties = setup::parties(policy);
    let mut processes = Processes::start(layout, policy, &parties, &ready.sockets, &args.offline)?;
    let client = Client::new(layout.admin());
    let mut rounds = Vec::new();
    for month in months {
        if generated {
            install_roster(layout.root(), &month.to_string(), Some(month) == months.last())?;
        }
        let seen = run_round(layout, &client, &mut processes, *month, &args.offline)?;
        let round = RoundReport::read(layout, policy, &seen, &args.offline)?;
        writeln!(out, "{}", round.text(policy, language()))?;
        if let Some(quarantined) = round.quarantine_text(layout, language()) {
            writeln!(out, "{quarantined}")?;
        }
        rounds.push(round);
    }
    let report = Report { rounds, processes: processes.usage() };
    processes.stop();
    Ok(report)
}

fn write_report(path: &Path, report: &Report) -> Result<(), DemoError> {
    let failed = |error: serde_json::Error| DemoError::Written { path: path.to_owned(), error: error.to_string() };
    fs::write(path, serde_json::to_vec_pretty(report).map_err(failed)?).at(path)
}

fn months(first: Month, rounds: u32) -> Result<Vec<Month>, DemoError> {
    let all = std::iter::successors(Some(first), |month| month.next());
    let months: Vec<Month> = all.take(rounds as usize).collect();
    if months.len() == rounds as usize { Ok(months) } else { Err(Usage::Months { rounds, first }.into()) }
}

fn read_policy(args: &RunArgs) -> Result<Policy, DemoError> {
    let path = args.input.as_ref().map_or_else(|| PathBuf::from(CATALOGUE_FILE), |folder| folder.join(CATALOGUE_FILE));
    let bytes = match args.input {
        None => CATALOGUE.as_bytes().to_vec(),
        Some(_) => fs::read(&path).map_err(|error| Usage::Catalogue { path: path.clone(), error })?,
    };
    let policy = Policy::read(&bytes).map_err(|error| Usage::Policy { path: path.clone(), error })?;
    for member in 0..=policy.matcher_number() {
        let id = policy.member_id(member);
        check_member_id(id).map_err(|error| Usage::Member { path: path.clone(), id: id.to_owned(), error })?;
    }
    Ok(policy)
}

fn check_offline(policy: &Policy, offline: &[String]) -> Result<(), Usage> {
    let mut missing = std::collections::BTreeSet::new();
    for id in offline {
        let id = id.clone();
        match policy.member_number(&id) {
            Some(member) if member == policy.coordinator => return Err(Usage::Coordinator { id }),
            Some(member) if member == policy.aggregator => return Err(Usage::Aggregator { id }),
            Some(member) if member != policy.matcher_number() => missing.insert(member),
            _ => return Err(Usage::NoDepartment { id }),
        };
    }
    if missing.len() > policy.missing_max {
        return Err(Usage::TooManyOffline { offline: missing.len(), most: policy.missing_max });
    }
    Ok(())
}

/// The folder that `--out` names, or a new one.
fn folder(args: &RunArgs) -> Result<PathBuf, DemoError> {
    let named = args.out.clone().unwrap_or_default();
    let whole = std::env::current_dir().at(Path::new("."))?.join(&named);
    match whole.to_str() {
        None => return Err(Usage::NotUtf8 { out: whole }.into()),
        Some(path) if path.len() > OUT_BYTES_MAX => {
            return Err(Usage::TooLong { out: named, most: OUT_BYTES_MAX }.into());
        }
        Some(_) => {}
    }
    let Some(out) = &args.out else { return new_folder() };
    free(out, args.input.is_none())?;
    let made = if out.is_file() { Err(io::ErrorKind::NotADirectory.into()) } else { fs::create_dir_all(out) };
    made.map_err(|error| Usage::Out { out: out.clone(), error })?;
    Ok(out.clone())
}

fn free(out: &Path, generated: bool) -> Result<(), Usage> {
    let held = ["manifest.json", "authority", "coordinator"].into_iter().find(|name| out.join(name).exists());
    match held {
        Some(name) => Err(Usage::Held { out: out.to_owned(), name }),
        None if generated && out.join(CATALOGUE_FILE).exists() => Err(Usage::HasCity { out: out.to_owned() }),
        None => Ok(()),
    }
}

fn new_folder() -> Result<PathBuf, DemoError> {
    for number in 1..FOLDERS_MAX {
        let folder = PathBuf::from(format!("wugan-demo-{number}"));
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.at(&folder).map(|()| folder),
        }
    }
    Err(DemoError::FoldersMax(FOLDERS_MAX))
}

/// Generates the city, or copies what was prepared.
fn fill(args: &RunArgs, layout: &Layout, policy: &Policy, months: &[Month]) -> Result<(), DemoError> {
    if let Some(input) = &args.input {
        copy_city(input, layout, policy)?;
        forget_earlier_results(layout, policy, months)?;
    } else {
        generate(&plan(args), CATALOGUE, layout.root())?;
    }
    if args.canaries > 0 { canaries::write_plan(layout, policy, args.canaries) } else { Ok(()) }
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

fn copy_city(input: &Path, layout: &Layout, policy: &Policy) -> Result<(), DemoError> {
    let same = fs::canonicalize(input).at(input)? == fs::canonicalize(layout.root()).at(layout.root())?;
    let source = Layout::new(input);
    if !same {
        copy(&source.catalogue(), &layout.catalogue())?;
        if source.canary_plan().exists() {
            copy(&source.canary_plan(), &layout.canary_plan())?;
        }
    }
    for department in &policy.departments {
        let (from, to) = (source.department(&department.id), layout.department(&department.id));
        fs::create_dir_all(to.join("channels")).at(&to)?;
        if same {
            continue;
        }
        let own = policy.member_number(&department.id);
        let channels = policy.channels.iter().filter(|channel| Some(channel.source) == own);
        let files = channels.map(|channel| format!("channels/{}.csv", channel.id)).chain(["roster.csv".to_owned()]);
        // A file that is not there is the node's business: the channel is missing, and the node says why.
        for file in files.filter(|file| from.join(file).exists()) {
            copy(&from.join(&file), &to.join(&file))?;
        }
    }
    Ok(())
}

/// An owner that is offline has no decisions of a month, also where an earlier run left some; and nobody has canaries
/// that an earlier run's authority issued.
fn forget_earlier_results(layout: &Layout, policy: &Policy, months: &[Month]) -> Result<(), DemoError> {
    for Department { id, .. } in &policy.departments {
        let of_month =
            |month: &Month| [layout.decisions(id, &month.to_string()), layout.canary_decisions(id, &month.to_string())];
        for path in months.iter().flat_map(of_month).chain([layout.canaries(id)]) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(DemoError::Earlier { path, error });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), DemoError> {
    fs::copy(from, to).at(from).map(drop)
}

const CATALOGUE_FILE: &str = "catalogue.toml";
/// Twice what a server leaves free.
const FREE_MIB_MIN: u64 = 128;
/// The system takes paths of 4,095 bytes, and there is room for those of a round's files.
const OUT_BYTES_MAX: usize = 3_500;
const FOLDERS_MAX: u32 = 1_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::os::unix::ffi::OsStringExt;

    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    /// The refusal of a command line with `--out` and maybe `--input`, before anything was made.
    fn refused(out: &Path, input: Option<&Path>) -> Usage {
        let mut args = vec!["wugan-demo".into(), "--out".into(), out.as_os_str().to_owned()];
        args.extend(input.into_iter().flat_map(|input| ["--input".into(), input.as_os_str().to_owned()]));
        match run(&Cli::parse_from(args).run, &mut io::sink()) {
            Err(DemoError::Usage(usage)) => usage,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_out_that_cannot_be_a_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(refused(&file, None), Usage::Out { out, .. } if out == file));
        assert!(matches!(refused(&file.join("below"), None), Usage::Out { .. }));
        assert!(matches!(refused(&dir.path().join("a".repeat(256)), None), Usage::Out { .. }));
        assert!(matches!(refused(&dir.path().join("a/".repeat(2_000)), None), Usage::TooLong { .. }));
        let odd = dir.path().join(std::ffi::OsString::from_vec(vec![b'a', 0xff]));
        assert!(matches!(refused(&odd, None), Usage::NotUtf8 { .. }));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was made");
    }

    #[test]
    fn a_catalogue_that_cannot_be_used_is_refused_before_anything_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let (input, out) = (dir.path().join("in"), dir.path().join("out"));
        assert!(matches!(refused(&out, Some(&input)), Usage::Catalogue { .. }));
        fs::create_dir(&input).unwrap();
        let with = |from: &str, to: &str| {
            fs::write(input.join(CATALOGUE_FILE), CATALOGUE.replace(from, to)).unwrap();
            refused(&out, Some(&input)).to_string()
        };
        let member = with("\"tax\"", "\"Tax\"");
        assert!(member.contains("in/catalogue.toml: \"Tax\": a member id has 1 to 48 characters"), "{member}");
        let unsafe_id = with("\"tax\"", "\"../tax\"");
        assert!(unsafe_id.contains("department \"../tax\" cannot name a file"), "{unsafe_id}");
        let place = with("missing_max", "missing_most");
        assert!(place.contains("in/catalogue.toml: line ") && place.contains("`missing_most`"), "{place}");
        assert!(!out.exists());
    }
}
