//! Replays one server's stage of a round: recomputes its output from the inputs that it kept, with code of its own, and
//! compares with what was announced. Only the 32 bytes with which an output begins are taken from the output: they are
//! the server's to choose.
//!
//! Sequential and streaming: beyond the log it holds two bits for each record, or six bytes for each row, of one owner.

mod aggregator;
mod coordinator;
mod matcher;
mod stage;

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use wugan_protocol::{
    manifest::Federation,
    month::Month,
    party::{Party, Role},
    statement::Kept,
    text::{Language, Say, clock},
    texts,
};

use crate::{
    database,
    finding::{Finding, verdict},
    folder::LogFiles,
    round::{self, Found, LoggedRound},
    verify::Report,
};
use stage::Stage;

/// Which server's stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum At {
    /// Pools and records into bitmaps.
    Matcher,
    /// Row lists and bitmaps into signal bits.
    Aggregator,
    /// Signal bits into decisions and totals.
    Coordinator,
}

/// What was looked at, and what was found.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The federation's name, once its manifest is verified.
    pub federation: Option<String>,
    /// The round's month.
    pub month: Month,
    /// Whose files these are, `matcher/matcher`.
    pub party: Option<String>,
    /// Files that were read.
    pub inputs: u64,
    /// Files that were computed anew.
    pub outputs: u64,
    /// What is wrong with the log, then what is wrong with the files.
    pub findings: Vec<Finding>,
}

impl Serialize for Replayed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut replayed = serializer.serialize_struct("Replayed", 7)?;
        replayed.serialize_field("verdict", verdict(&self.findings))?;
        replayed.serialize_field("federation", &self.federation)?;
        replayed.serialize_field("month", &self.month)?;
        replayed.serialize_field("party", &self.party)?;
        replayed.serialize_field("inputs", &self.inputs)?;
        replayed.serialize_field("outputs", &self.outputs)?;
        replayed.serialize_field("findings", &self.findings)?;
        replayed.end()
    }
}

texts! {
    /// Why a round cannot be looked at.
    #[derive(Debug, thiserror::Error)]
    pub enum CannotReplay {
        /// A file or folder.
        Unread { path: PathBuf, error: io::Error }
            "{path} cannot be read: {error}"
            "{path} 无法读取：{error}";
        /// Nothing of a month.
        NoRound { month: Month }
            "the log has no round of {month}; `wugan-audit verify` lists its rounds"
            "日志中没有 {month} 的轮次；`wugan-audit verify` 会列出各轮次";
        /// Another folder.
        NotAHome { folder: PathBuf, inside: &'static str }
            "{folder} has no folder `{inside}`: name the party's state folder"
            "{folder} 中没有 `{inside}` 文件夹：请指定该方的状态文件夹";
        /// Its database says so.
        Another { folder: PathBuf, found: String, party: String }
            "{folder} is the state folder of {found}, not of {party}: name the right one"
            "{folder} 是 {found} 的状态文件夹，而不是 {party} 的：请指定正确的文件夹";
        /// No file of the round.
        NothingOfRound { folder: PathBuf, party: String, month: Month }
            "{folder} has none of the files that {party} must have of the round of {month}: it does not look like that party's state folder"
            "{folder} 中没有 {party} 在 {month} 轮次应有的任何文件：看来不是该方的状态文件夹";
        /// Its retention time was over.
        Deleted { party: String, time: String }
            "{party} deleted what it kept of this round on {time}, as the log says: nothing to replay"
            "日志载明 {party} 已于 {time} 删除该轮次留存的内容：无可重算";
    }
}

/// Verifies a log, and replays the stage of a server whose home is `home` in a month's round.
///
/// # Errors
/// See [`CannotReplay`].
pub fn replay(
    files: &LogFiles,
    authority: &[u8; 32],
    month: Month,
    at: At,
    home: &Path,
) -> Result<Replayed, CannotReplay> {
    replay_found(round::find(files, authority, month), month, at, home)
}

/// The same in a log that was verified.
///
/// # Errors
/// See [`CannotReplay`].
pub fn replay_found(found: Found, month: Month, at: At, home: &Path) -> Result<Replayed, CannotReplay> {
    let (report, found) = found;
    let mut replayed = Replayed::of_log(report, month);
    let Some(told) = found else { return replayed.unless_empty() };
    let party = at.party(&told.federation);
    replayed.party = Some(told.federation.party_name(party));
    deleted(&told, party, at.keeps())?;
    let known = is_home_of(home, &told.federation.party_name(party))?;
    let mut stage = Stage::open(&told, party, home)?;
    match at {
        At::Matcher => matcher::replay(&mut stage),
        At::Aggregator => aggregator::replay(&mut stage),
        At::Coordinator => coordinator::replay(&mut stage),
    }?;
    if !known && stage.lacks_everything() {
        let (folder, party) = (home.to_owned(), told.federation.party_name(party));
        return Err(CannotReplay::NothingOfRound { folder, party, month });
    }
    stage.finish(&mut replayed);
    Ok(replayed)
}

/// Whether a state folder says that it is this party's; it may say nothing.
pub(crate) fn is_home_of(home: &Path, party: &str) -> Result<bool, CannotReplay> {
    let another = |found| CannotReplay::Another { folder: home.to_owned(), found, party: party.to_owned() };
    match database::whose(home) {
        Some(found) if found != party => Err(another(found)),
        found => Ok(found.is_some()),
    }
}

/// Whether a party still has to show what it kept.
pub(crate) fn deleted(told: &LoggedRound, party: Party, of: Kept) -> Result<(), CannotReplay> {
    let Some(time) = told.deletion(party, of) else { return Ok(()) };
    Err(CannotReplay::Deleted { party: told.federation.party_name(party), time: clock(time) })
}

impl At {
    /// Every stage, in the order of the data.
    pub const ALL: [At; 3] = [At::Matcher, At::Aggregator, At::Coordinator];

    /// The role.
    pub fn role(self) -> Role {
        match self {
            At::Matcher => Role::Matcher,
            At::Aggregator => Role::Aggregator,
            At::Coordinator => Role::Coordinator,
        }
    }

    fn party(self, federation: &Federation) -> Party {
        match self {
            At::Matcher => federation.matcher(),
            At::Aggregator => federation.aggregator(),
            At::Coordinator => federation.coordinator(),
        }
    }

    /// What it must have kept.
    fn keeps(self) -> Kept {
        match self {
            At::Matcher | At::Aggregator => Kept::Files,
            At::Coordinator => Kept::Bits,
        }
    }
}

impl Replayed {
    /// What a log's verification found, before any file is looked at.
    pub(crate) fn of_log(report: Report, month: Month) -> Replayed {
        let Report { federation, findings, .. } = report;
        Replayed { federation, month, party: None, inputs: 0, outputs: 0, findings }
    }

    /// A log without the round: a matter of the log, if something is wrong with it.
    pub(crate) fn unless_empty(self) -> Result<Replayed, CannotReplay> {
        if self.findings.is_empty() { Err(CannotReplay::NoRound { month: self.month }) } else { Ok(self) }
    }

    /// The findings and the verdict.
    pub fn text(&self, language: Language) -> String {
        let mut lines: Vec<String> = self.findings.iter().map(|finding| finding.text(language)).collect();
        let (month, inputs, outputs, findings) = (self.month, self.inputs, self.outputs, self.findings.len());
        let verdict = match self.party.clone() {
            None => Verdict::NoRound { month, findings },
            Some(party) if findings == 0 => Verdict::InOrder { party, month, inputs, outputs },
            Some(party) => Verdict::Found { party, month, findings, inputs, outputs },
        };
        lines.push(verdict.said(language));
        lines.join("\n")
    }
}

/// The folder in which a party keeps the files of rounds.
pub(crate) const ROUNDS: &str = "rounds";

texts! {
    /// What a replay comes to.
    enum Verdict {
        InOrder { party: String, month: Month, inputs: u64, outputs: u64 }
            "{party}, {month}: in order; files read: {inputs}; files computed anew and equal: {outputs}"
            "{party}，{month}：无异常；读取文件：{inputs}；重算且一致的文件：{outputs}";
        Found { party: String, month: Month, findings: usize, inputs: u64, outputs: u64 }
            "{party}, {month}: NOT in order; findings: {findings}; files read: {inputs}; files computed anew: {outputs}"
            "{party}，{month}：有异常；发现：{findings} 项；读取文件：{inputs}；重算文件：{outputs}";
        NoRound { month: Month, findings: usize }
            "{month}: the log is NOT in order, and its round of this month cannot be told; findings: {findings}"
            "{month}：日志有异常，且无法确定该月的轮次；发现：{findings} 项";
    }
}
