//! `wugan-node check`: tries a configuration, and reads the department's files as a round would, without changing
//! anything.

use std::{fmt, fs, io, path::Path};

use serde::{Serialize, Serializer};
use wugan_keys::{
    StorageKey,
    commands::{announcement_path, read_canaries},
};
use wugan_protocol::{
    at_rest::{DATABASE, PERSON_BYTES},
    month::Month,
    party::{MemberNumber, Role},
    policy::{Channel, Policy},
    text::{Failure, Language, Say},
    texts,
};
use wugan_transport::{
    check::{self, Finding, Wanted, What},
    home::read_config,
    shell::ServiceError,
};

use crate::{
    channel::{ChannelError, Window, read_channel},
    config::Config,
    quarantine::{Quarantine, Reason},
    roster::{Matters, RosterError, read_roster},
    sorter::Sorter,
    source::csv::CsvSource,
    vault::{Vault, person_bytes},
    work::PEOPLE_MEMORY_BYTES,
};

/// What a file would give.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// The file, relative to the department's folder.
    pub file: String,
    /// Rows in all.
    pub rows: u64,
    /// Records that count in the month, or rows of the roster.
    pub counted: u64,
    /// Different people.
    pub people: u64,
    /// Rows that cannot be used.
    pub bad: u64,
    /// The commonest reason of these.
    #[serde(serialize_with = "code")]
    pub commonest: Option<Reason>,
    /// Why the file cannot be used at all. JSON has it in English.
    #[serde(serialize_with = "check::in_english")]
    pub error: Option<Failure>,
}

/// Tries everything that a run would open, and reads every channel and the roster for a month.
///
/// # Errors
/// A configuration that cannot be read, or no temporary folder; everything else is in the results.
pub fn check(config: &Path, month: Month) -> Result<(Vec<Finding>, Vec<Checked>), ServiceError> {
    let (config, base): (Config, _) = read_config(config)?;
    let wanted =
        Wanted { role: Role::Node, listen: None, dials: &[Role::Coordinator, Role::Matcher, Role::Aggregator] };
    let check::Checked { mut findings, place } = check::member(&config.member, &base, &wanted);
    let department = base.join(&config.node.department);
    findings.push(Finding::of(What::File { path: department.clone() }, check::writable(&department)));
    let admin = base.join(&config.node.admin);
    let folder = admin.parent().unwrap_or(Path::new("/"));
    findings.push(Finding::of(What::File { path: admin.clone() }, check::writable(folder)));
    let announcement = announcement_path(&base.join(&config.member.keys));
    if !base.join(&config.member.state).join(DATABASE).exists() {
        let made = fs::metadata(&announcement);
        let made = made.map_err(|error| ServiceError::Announcement { path: announcement.clone(), error });
        findings.push(Finding::of(What::File { path: announcement }, made));
    }
    if let (Some(file), Some((federation, party))) = (&config.node.canaries, &place) {
        let (path, authority) = (base.join(file), base.join(&config.member.authority));
        let read = read_canaries(&path, &authority, federation.policy(), party.member);
        findings.push(Finding::of(What::File { path }, read));
    }
    let files = place.map(|(federation, party)| files(federation.policy(), party.member, &department, &config, month));
    Ok((findings, files.transpose()?.unwrap_or_default()))
}

fn files(
    policy: &Policy,
    member: MemberNumber,
    department: &Path,
    config: &Config,
    month: Month,
) -> Result<Vec<Checked>, ServiceError> {
    let scratch = tempfile::tempdir().map_err(ServiceError::Scratch)?;
    let bad_max = config.node.bad_percent_max;
    let channels = policy.channels_of(member);
    let mut checked: Vec<Checked> =
        channels.map(|channel| check_channel(department, channel, month, bad_max, scratch.path())).collect();
    if policy.owners().any(|owner| owner == member) {
        let own: Vec<String> = policy.matters_of(member).map(|matter| matter.id.clone()).collect();
        let all = policy.matters.iter().map(|matter| matter.id.clone()).collect();
        checked.extend(Matters::new(&own, &all).map(|matters| check_roster(department, &matters, scratch.path())));
    }
    Ok(checked)
}

fn check_channel(department: &Path, channel: &Channel, month: Month, bad_max: u32, scratch: &Path) -> Checked {
    let file = format!("channels/{}.csv", channel.id);
    let window = Window::new(month.last_day(), channel.window_days);
    let mut quarantine = match Quarantine::create(scratch) {
        Ok(quarantine) => quarantine,
        Err(error) => return Checked::failed(file, error.into()),
    };
    let mut people = Sorter::new(&scratch_vault(scratch), PEOPLE_MEMORY_BYTES);
    let keep = |person| people.push(person_bytes(person));
    let read = read_channel(&mut CsvSource::new(department, &file), &window, bad_max, &mut quarantine, keep);
    let counted = read.and_then(|quality| Ok((count(people).map_err(ChannelError::Keep)?, quality)));
    let (people, quality) = match counted {
        Ok(counted) => counted,
        Err(error) => return Checked::failed(file, error.into()),
    };
    Checked {
        file,
        rows: quality.table.rows,
        counted: quality.counted,
        people,
        bad: quality.table.bad_rows(),
        commonest: quality.table.commonest_reason(),
        error: None,
    }
}

fn check_roster(department: &Path, matters: &Matters, scratch: &Path) -> Checked {
    let file = "roster.csv".to_owned();
    let mut quarantine = match Quarantine::create(scratch) {
        Ok(quarantine) => quarantine,
        Err(error) => return Checked::failed(file, error.into()),
    };
    let mut people = Sorter::new(&scratch_vault(scratch), PEOPLE_MEMORY_BYTES);
    let keep = |person, _| people.push(person_bytes(person));
    let read = read_roster(&mut CsvSource::new(department, &file), matters, &mut quarantine, keep);
    match read.and_then(|quality| Ok((count(people).map_err(RosterError::Keep)?, quality))) {
        Err(error) => Checked::failed(file, error.into()),
        Ok((people, quality)) => Checked {
            file,
            rows: quality.rows,
            counted: quality.rows - quality.bad_rows(),
            people,
            bad: quality.bad_rows(),
            commonest: quality.commonest_reason(),
            error: None,
        },
    }
}

/// Where people are sorted whom nobody keeps: sealed under a key that is thrown away.
fn scratch_vault(scratch: &Path) -> Vault {
    Vault::new(scratch, "spill", &StorageKey::generate())
}

fn count(people: Sorter<PERSON_BYTES>) -> io::Result<u64> {
    people.sorted()?.distinct().try_fold(0, |count, person| person.map(|_| count + 1))
}

impl Checked {
    fn failed(file: String, error: Failure) -> Checked {
        Checked { file, rows: 0, counted: 0, people: 0, bad: 0, commonest: None, error: Some(error) }
    }
}

impl Say for Checked {
    fn say(&self, language: Language, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checked { file, rows, counted, people, bad, commonest, error } = self;
        let (file, rows, counted, people, bad) = (file.clone(), *rows, *counted, *people, *bad);
        let line = match (error, commonest) {
            (Some(error), _) => Line::Refused { file, error: error.said(language) },
            (None, None) => Line::Good { file, rows, counted, people },
            (None, Some(reason)) => {
                Line::Some { file, rows, counted, people, bad, code: reason.code(), reason: *reason }
            }
        };
        line.say(language, f)
    }
}

texts! {
    enum Line {
        Good { file: String, rows: u64, counted: u64, people: u64 }
            "{file}: {rows} rows, {counted} count, {people} people"
            "{file}：共 {rows} 行，计入 {counted} 行，{people} 人";
        Some { file: String, rows: u64, counted: u64, people: u64, bad: u64, code: &'static str, reason: Reason }
            "{file}: {rows} rows, {counted} count, {people} people, {bad} bad, mostly {code}: {reason}"
            "{file}：共 {rows} 行，计入 {counted} 行，{people} 人；坏行 {bad} 行，最多的是 {code}：{reason}";
        Refused { file: String, error: String } "{file}: NOT USABLE: {error}" "{file}：不可用：{error}";
    }
}

fn code<S: Serializer>(reason: &Option<Reason>, serializer: S) -> Result<S::Ok, S::Error> {
    reason.as_ref().map(Reason::code).serialize(serializer)
}
