//! `wugan-node check`: tries a configuration, and reads the department's files as a round would, without changing
//! anything.

use std::{io, path::Path};

use serde::Serialize;
use wugan_keys::StorageKey;
use wugan_protocol::{month::Month, party::Role, policy::Channel};
use wugan_transport::{
    home::{Home, read_config},
    shell::ServiceError,
};

use crate::{
    channel::{ChannelError, Window, read_channel},
    config::Config,
    quarantine::{Quarantine, Reason},
    roster::{Matters, RosterError, read_roster},
    sorter::Sorter,
    source::csv::CsvSource,
    vault::{PERSON_BYTES, Vault, person_bytes},
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
    pub commonest: Option<&'static str>,
    /// Why the file cannot be used at all.
    pub error: Option<String>,
}

/// Opens everything that a run would open, and reads every channel and the roster for a month.
///
/// # Errors
/// A configuration, keys or state that cannot be used. Files that cannot be read are in the result.
pub fn check(config: &Path, month: Month) -> Result<Vec<Checked>, ServiceError> {
    let (config, base): (Config, _) = read_config(config)?;
    let home = Home::examine(&config.member, &base, Role::Node)?;
    let department = base.join(&config.node.department);
    let policy = home.federation.policy();
    let scratch = tempfile::tempdir().map_err(|error| ServiceError::open("temporary folder", error))?;
    let mut checked = Vec::new();
    for channel in policy.channels_of(home.party.member) {
        checked.push(check_channel(&department, channel, month, config.node.bad_percent_max, scratch.path()));
    }
    if policy.owners().any(|owner| owner == home.party.member) {
        let own: Vec<String> = policy.matters_of(home.party.member).map(|matter| matter.id.clone()).collect();
        let all = policy.matters.iter().map(|matter| matter.id.clone()).collect();
        checked.extend(Matters::new(&own, &all).map(|matters| check_roster(&department, &matters, scratch.path())));
    }
    Ok(checked)
}

fn check_channel(department: &Path, channel: &Channel, month: Month, bad_max: u32, scratch: &Path) -> Checked {
    let file = format!("channels/{}.csv", channel.id);
    let window = Window::new(month.last_day(), channel.window_days);
    let mut quarantine = match Quarantine::create(scratch) {
        Ok(quarantine) => quarantine,
        Err(error) => return Checked::failed(file, &error),
    };
    let mut people = Sorter::new(&scratch_vault(scratch), PEOPLE_MEMORY_BYTES);
    let keep = |person| people.push(person_bytes(person));
    let read = read_channel(&mut CsvSource::new(department, &file), &window, bad_max, &mut quarantine, keep);
    let counted = read.and_then(|quality| Ok((count(people).map_err(ChannelError::Keep)?, quality, None)));
    let (people, quality, error) = match counted {
        Ok(counted) => counted,
        Err(ChannelError::TooManyBad { quality, .. }) => (0, *quality, Some("too many bad rows".to_owned())),
        Err(error) => return Checked::failed(file, &error),
    };
    Checked {
        file,
        rows: quality.table.rows,
        counted: quality.counted,
        people,
        bad: quality.table.bad_rows(),
        commonest: quality.table.commonest_reason().as_ref().map(Reason::code),
        error,
    }
}

fn check_roster(department: &Path, matters: &Matters, scratch: &Path) -> Checked {
    let file = "roster.csv".to_owned();
    let mut quarantine = match Quarantine::create(scratch) {
        Ok(quarantine) => quarantine,
        Err(error) => return Checked::failed(file, &error),
    };
    let mut people = Sorter::new(&scratch_vault(scratch), PEOPLE_MEMORY_BYTES);
    let keep = |person, _| people.push(person_bytes(person));
    let read = read_roster(&mut CsvSource::new(department, &file), matters, &mut quarantine, keep);
    match read.and_then(|quality| Ok((count(people).map_err(RosterError::Keep)?, quality))) {
        Err(error) => Checked::failed(file, &error),
        Ok((people, quality)) => Checked {
            file,
            rows: quality.rows,
            counted: quality.rows - quality.bad_rows(),
            people,
            bad: quality.bad_rows(),
            commonest: quality.commonest_reason().as_ref().map(Reason::code),
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
    fn failed(file: String, error: &dyn std::fmt::Display) -> Checked {
        let error = Some(error.to_string());
        Checked { file, rows: 0, counted: 0, people: 0, bad: 0, commonest: None, error }
    }

    /// One line of the table.
    pub fn line(&self) -> String {
        let Checked { file, rows, counted, people, bad, commonest, error } = self;
        let why = commonest.map(|reason| format!(", mostly {reason}")).unwrap_or_default();
        let error = error.as_ref().map(|error| format!("; NOT USABLE: {error}")).unwrap_or_default();
        format!("{file}: {rows} rows, {counted} count, {people} people, {bad} bad{why}{error}")
    }
}
