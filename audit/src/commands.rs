//! What each command reads, does and says.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use wugan_audit::{
    canaries,
    compare::{self, CannotCompare},
    detail::CheckpointFault,
    finding::Rule,
    folder::{self, CATALOGUE, LogFiles, catalogue},
    monitor,
    recompute::{self, CannotRecompute},
    replay::{self, At, CannotReplay, Replayed},
    round::{self, Found},
    story::{Story, Teller},
    verify::{Options, Report, is_empty, verify_with},
};
use wugan_keys::{
    Custody,
    store::{self, StoreError},
};
use wugan_protocol::{
    canary::{CanaryList, CanaryListError},
    hexes::{Digest, Hex, sha256},
    ledger::{Ledger, Logged},
    log::checkpoint::CheckpointError,
    month::Month,
    text::{Language, Say},
    texts,
};

/// The log that a command reads.
#[derive(clap::Args)]
pub(crate) struct Log {
    /// The log's folder.
    log: PathBuf,
    /// The authority's public key, whose fingerprint you compared by telephone.
    #[arg(long)]
    authority: PathBuf,
    /// The authority's list of canaries: owners must tell of these. May be repeated; the latest that has begun counts.
    #[arg(long, value_name = "FILE")]
    canaries: Vec<PathBuf>,
}

/// What a command came to.
pub(crate) struct Outcome {
    /// What goes to standard output.
    pub(crate) text: String,
    /// Whether something was found.
    pub(crate) found: bool,
}

/// Verifies a log.
pub(crate) fn verify(log: &Log, json: bool, language: Language) -> Result<Outcome, CannotLook> {
    let read = log.read()?;
    Ok(outcome(&read.report, json, language))
}

/// Tells what happened in a month. Of several rounds, abandoned ones, all are told.
pub(crate) fn explain(log: &Log, month: Month, json: bool, language: Language) -> Result<Outcome, CannotLook> {
    let read = log.read()?;
    let stories: Vec<&Story> = read.stories.iter().filter(|story| story.month == month).collect();
    if stories.is_empty() {
        return Err(CannotLook::NoRound { month, verdict: verdict(&read.report) });
    }
    let found = !read.report.findings.is_empty();
    if json {
        return Ok(Outcome { text: as_json(&stories), found });
    }
    let mut pages: Vec<String> = stories.iter().map(|story| story.page(language)).collect();
    pages.push(verdict(&read.report).said(language));
    Ok(Outcome { text: pages.join("\n\n"), found })
}

/// Writes the report: whatever the log is, no page of another day stays in its place.
pub(crate) fn report(log: &Log, html: &Path, language: Language) -> Result<Outcome, CannotLook> {
    let read = log.read();
    let page = match &read {
        Ok(read) => wugan_audit::report::html(&read.report, &read.stories),
        Err(error) => wugan_audit::report::unread(error),
    };
    store::write_public(html, page.as_bytes())?;
    Ok(outcome(&read?.report, false, language))
}

/// Looks at the log once more, and remembers what it saw.
pub(crate) fn monitor(log: &Log, seen: &Path, json: bool, language: Language) -> Result<Outcome, CannotLook> {
    let (key, lists) = log.keys()?;
    let before = match fs::read(seen) {
        Ok(note) => Some(note),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(CannotLook::Unread { path: seen.to_owned(), error }),
    };
    let not_a_checkpoint =
        |error: CheckpointError| CannotLook::NotSeen { path: seen.to_owned(), fault: (&error).into() };
    let look = settled(&log.log, |files| {
        let look = monitor::look(files, &key, &lists, before.as_deref(), now()).map_err(not_a_checkpoint)?;
        let rolled_back = look.report.findings.iter().any(|finding| finding.rule == Rule::RolledBack);
        if is_empty(files) && !rolled_back {
            return Err(CannotLook::NoEntries { folder: log.log.clone() });
        }
        let whole = look.report.whole();
        Ok((look, whole))
    })?;
    if let Some(note) = &look.seen {
        store::write_public(seen, note)?;
    }
    Ok(outcome(&look.report, json, language))
}

/// Replays a server's stage of a round.
pub(crate) fn replay(
    of: &OfRound<'_>,
    at: At,
    home: &Path,
    json: bool,
    language: Language,
) -> Result<Outcome, CannotLook> {
    Ok(replayed(&replay::replay_found(of.find()?, of.month, at, home)?, json, language))
}

/// Recomputes what a node announced in a round.
pub(crate) fn recompute(
    of: &OfRound<'_>,
    home: &Path,
    keys: &Path,
    json: bool,
    language: Language,
) -> Result<Outcome, CannotLook> {
    let found = of.find()?;
    Ok(replayed(&recompute::recompute_found(found, of.month, home, keys, &Custody::from_env())?, json, language))
}

/// Compares a log with a member's copy.
pub(crate) fn compare(log: &Log, member: &Path, json: bool, language: Language) -> Result<Outcome, CannotLook> {
    let (key, lists) = log.keys()?;
    let options = Options { canaries: &lists, now: Some(now()) };
    let compared = log.settled(|files| {
        let compared = compare::compare(files, &key, &options, member)?;
        let whole = !compared.findings.iter().any(|finding| finding.rule.of_files());
        Ok((compared, whole))
    })?;
    let text = if json { as_json(&compared) } else { compared.text(language) };
    Ok(Outcome { text, found: !compared.findings.is_empty() })
}

/// A month's round of a log.
pub(crate) struct OfRound<'a> {
    /// The log's folder.
    pub(crate) log: &'a Path,
    /// The file of the authority's key.
    pub(crate) authority: &'a Path,
    /// The month.
    pub(crate) month: Month,
}

impl OfRound<'_> {
    fn find(&self) -> Result<Found, CannotLook> {
        let key = authority_key(self.authority)?;
        let options = Options { now: Some(now()), ..Options::default() };
        settled(self.log, |files| {
            has_entries(self.log, files)?;
            let found = round::find_with(files, &key, &options, self.month);
            let whole = found.0.whole();
            Ok((found, whole))
        })
    }
}

/// A log that was read and verified.
struct Read {
    report: Report,
    stories: Vec<Story>,
}

/// Reads a log's folder and judges it. While a log is written its files do not agree for a moment: then it is read again,
/// until nothing is found of its files, or they stay as they are.
fn settled<T>(log: &Path, mut judge: impl FnMut(&LogFiles) -> Result<(T, bool), CannotLook>) -> Result<T, CannotLook> {
    let (mut before, mut looks) = (None, 1);
    loop {
        let checkpoint = folder::checkpoint(log);
        let files = files(log)?;
        let (made, whole) = judge(&files)?;
        let still = folder::checkpoint(log) == checkpoint;
        if whole && still || looks == LOOKS_MAX || before.as_ref() == Some(&files) {
            return Ok(made);
        }
        (before, looks) = (Some(files), looks + 1);
        thread::sleep(BETWEEN_LOOKS);
    }
}

fn has_entries(log: &Path, files: &LogFiles) -> Result<(), CannotLook> {
    if is_empty(files) { Err(CannotLook::NoEntries { folder: log.to_owned() }) } else { Ok(()) }
}

impl Log {
    fn read(&self) -> Result<Read, CannotLook> {
        let (key, lists) = self.keys()?;
        let options = Options { canaries: &lists, now: Some(now()) };
        self.settled(|files| {
            let mut teller = Teller::default();
            let mut watch = |logged: &Logged, ledger: &Ledger| teller.take(logged, ledger);
            let (report, _) = verify_with(files, &key, &options, &mut watch);
            let whole = report.whole();
            Ok((Read { report, stories: teller.stories() }, whole))
        })
    }

    /// A log that has entries.
    fn settled<T>(&self, mut judge: impl FnMut(&LogFiles) -> Result<(T, bool), CannotLook>) -> Result<T, CannotLook> {
        settled(&self.log, |files| {
            has_entries(&self.log, files)?;
            judge(files)
        })
    }

    /// The authority's key, and its lists of canaries, which must be for the log's policy.
    fn keys(&self) -> Result<([u8; 32], Vec<CanaryList>), CannotLook> {
        let key = authority_key(&self.authority)?;
        let lists: Vec<CanaryList> =
            self.canaries.iter().map(|path| canary_list(path, &key)).collect::<Result<_, _>>()?;
        if lists.is_empty() {
            return Ok((key, lists));
        }
        let names = [CATALOGUE.to_owned()].into_iter().chain((2..).map(catalogue));
        let policies = names.map_while(|name| fs::read(self.log.join(name)).ok()).map(|bytes| sha256(&bytes));
        let policies: Vec<Digest> = policies.collect();
        // Without a policy in the folder, verifying says so.
        let other = lists.iter().position(|list| !policies.is_empty() && !policies.contains(&list.policy()));
        match other {
            Some(other) => Err(CannotLook::OtherPolicy { path: self.canaries[other].clone() }),
            None => Ok((key, lists)),
        }
    }
}

fn canary_list(path: &Path, authority: &[u8; 32]) -> Result<CanaryList, CannotLook> {
    let file = fs::read(path).map_err(|error| CannotLook::Unread { path: path.to_owned(), error })?;
    CanaryList::read(&file, authority).map_err(|error| CannotLook::NotAList { path: path.to_owned(), error })
}

fn authority_key(path: &Path) -> Result<[u8; 32], CannotLook> {
    let key = fs::read_to_string(path).map_err(|error| CannotLook::Unread { path: path.to_owned(), error })?;
    let key: Hex<32> = key.trim().parse().map_err(|_| CannotLook::NotAKey { path: path.to_owned() })?;
    Ok(key.0)
}

fn files(log: &Path) -> Result<LogFiles, CannotLook> {
    let files = folder::read(log)?;
    if files.files.is_empty() { Err(CannotLook::Empty { folder: log.to_owned() }) } else { Ok(files) }
}

fn outcome(report: &Report, json: bool, language: Language) -> Outcome {
    let found = !report.findings.is_empty();
    if json {
        return Outcome { text: as_json(report), found };
    }
    let mut lines: Vec<String> = report.findings.iter().map(|finding| finding.text(language)).collect();
    lines.extend(report.versions.iter().flat_map(|version| version.lines(language)));
    lines.extend(report.disclosures.iter().map(|totals| totals.text(language)));
    if !report.canaries.is_empty() {
        lines.push(canaries::line(&report.canaries, language));
    }
    lines.push(verdict(report).said(language));
    Outcome { text: lines.join("\n"), found }
}

fn replayed(replayed: &Replayed, json: bool, language: Language) -> Outcome {
    let text = if json { as_json(replayed) } else { replayed.text(language) };
    Outcome { text, found: !replayed.findings.is_empty() }
}

fn as_json(value: &impl Serialize) -> String {
    // Reports hold nothing that JSON cannot.
    serde_json::to_string(value).unwrap_or_default()
}

fn verdict(report: &Report) -> Verdict {
    let months: Vec<String> = report.months.iter().map(ToString::to_string).collect();
    let (entries, findings) = (report.entries, report.findings.len());
    match report.federation.clone() {
        None => Verdict::NotALog { findings },
        Some(name) if findings == 0 => Verdict::InOrder { name, entries, months },
        Some(name) => Verdict::Found { name, entries, months, findings },
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

texts! {
    /// What the audit comes to.
    #[derive(Debug)]
    pub(crate) enum Verdict {
        InOrder { name: String, entries: u64, months: Vec<String> }
            "{name}: in order; entries: {entries}; rounds: {months}"
            "{name}：无异常；条目数：{entries}；轮次：{months}";
        Found { name: String, entries: u64, months: Vec<String>, findings: usize }
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
    pub(crate) enum CannotLook {
        Unread { path: PathBuf, error: io::Error }
            "{path} cannot be read: {error}"
            "{path} 无法读取：{error}";
        Folder(#[from] error: folder::Unread) "{error}" "{error}";
        Unwritten(#[from] error: StoreError) "{error}" "{error}";
        NotAKey { path: PathBuf }
            "{path} is not a public key: 64 lower-case hexadecimal digits and a line feed"
            "{path} 不是公钥：应为 64 位小写十六进制数字和一个换行符";
        Empty { folder: PathBuf }
            "{folder} has no files: name the folder in which the checkpoint lies"
            "{folder} 中没有文件：请指定检查点所在的文件夹";
        NoEntries { folder: PathBuf }
            "the log in {folder} has no entries yet"
            "{folder} 中的日志尚无条目";
        NotSeen { path: PathBuf, fault: CheckpointFault }
            "{path} is not a checkpoint of this log: {fault}; name the file that `monitor` wrote, or another one to begin anew"
            "{path} 不是本日志的检查点：{fault}；请指定 `monitor` 写下的文件，或换一个文件重新开始";
        NotAList { path: PathBuf, error: CanaryListError }
            "{path}: {error}"
            "{path}：{error}";
        OtherPolicy { path: PathBuf }
            "{path} was made for another catalogue.toml than the log's: ask the authority for the present list"
            "{path} 对应的 catalogue.toml 与日志的不同：请向授权方索取现行清单";
        NoRound { month: Month, verdict: Verdict }
            "the log has no round of {month}. {verdict}"
            "日志中没有 {month} 的轮次。{verdict}";
        Replay(#[from] error: CannotReplay) "{error}" "{error}";
        Compare(#[from] error: CannotCompare) "{error}" "{error}";
        Recompute(#[from] error: CannotRecompute) "{error}" "{error}";
    }
}

/// How often a log that is being written is read before what was found is believed.
const LOOKS_MAX: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
