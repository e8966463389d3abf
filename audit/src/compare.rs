//! Compares a published log with the copy that a member keeps: one must be the beginning of the other.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use wugan_protocol::{
    log::{
        checkpoint::VerifiedCheckpoint,
        merkle::{Growing, Tree},
        note::VerifierKey,
    },
    text::{Language, Say},
    texts,
};

use crate::{
    database::{self, Copy},
    detail::{CheckpointFault, Detail},
    finding::{Finding, Rule, verdict},
    folder::LogFiles,
    verify::{Options, Report, entries, verify_with},
};

/// What the comparison came to.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The federation's name, once its manifest is verified.
    pub federation: Option<String>,
    /// Whose copy it is, `tax/node`, if its database can tell.
    pub member: Option<String>,
    /// Entries of the published log.
    pub published: u64,
    /// Entries of the copy.
    pub kept: u64,
    /// What is wrong with the published log, then whether the two differ.
    pub findings: Vec<Finding>,
}

texts! {
    /// Why nothing can be compared.
    #[derive(Debug, thiserror::Error)]
    pub enum CannotCompare {
        /// Another folder.
        NotAHome { folder: PathBuf }
            "{folder} has no state.sqlite: name a member's state folder"
            "{folder} 中没有 state.sqlite：请指定成员的状态文件夹";
        /// SQLite's error.
        Database { path: PathBuf, error: rusqlite::Error }
            "the state database {path} cannot be read: {error}"
            "状态数据库 {path} 无法读取：{error}";
        /// A member that has heard nothing.
        Empty { folder: PathBuf }
            "the member of {folder} has no entries of the log yet: nothing to compare"
            "{folder} 的成员尚无日志条目：无可比较";
    }
}

/// Verifies a log, and compares it with the copy in a member's state folder.
///
/// # Errors
/// See [`CannotCompare`].
pub fn compare(
    files: &LogFiles,
    authority: &[u8; 32],
    options: &Options<'_>,
    home: &Path,
) -> Result<Compared, CannotCompare> {
    let path = database::path(home);
    if !path.exists() {
        return Err(CannotCompare::NotAHome { folder: home.to_owned() });
    }
    let copy = database::copy(home).map_err(|error| CannotCompare::Database { path, error })?;
    if copy.lines.is_empty() {
        return Err(CannotCompare::Empty { folder: home.to_owned() });
    }
    let (report, ledger) = verify_with(files, authority, options, &mut |_, _| {});
    let Report { federation, mut findings, .. } = report;
    let published = entries(files).0.lines;
    let member = database::whose(home);
    if let Some(key) = ledger.and_then(|ledger| ledger.federation().log_key().ok()) {
        let found = differences(&published, &copy, &key);
        findings
            .extend(found.map(|(rule, entry, words)| Finding::new(rule, entry, member.clone(), Detail::of(&words))));
    }
    let (published, kept) = (published.len() as u64, copy.lines.len() as u64);
    Ok(Compared { federation, member, published, kept, findings })
}

/// The first entry that differs, or else what is wrong with the checkpoint up to which the member believes its copy.
fn differences(published: &[Vec<u8>], copy: &Copy, key: &VerifierKey) -> Option<(Rule, Option<u64>, Difference)> {
    if let Some(entry) = published.iter().zip(&copy.lines).position(|(one, other)| one != other) {
        return Some((Rule::TwoLogs, Some(entry as u64), Difference::Entry));
    }
    let longer = if published.len() > copy.lines.len() { published } else { &copy.lines };
    let evidence = copy.contradiction.as_ref().and_then(|note| VerifiedCheckpoint::open(note, key).ok());
    let evidence = evidence.map(|signed| signed.tree()).filter(|signed| tree(longer, signed.size) != *signed);
    if let Some(signed) = evidence {
        return Some((Rule::TwoLogs, None, Difference::Evidence { size: signed.size }));
    }
    let checkpoint = |words| Some((Rule::Checkpoint, None, words));
    let Some(note) = &copy.checkpoint else { return checkpoint(Difference::NoCheckpoint) };
    let signed = match VerifiedCheckpoint::open(note, key) {
        Ok(signed) => signed.tree(),
        Err(error) => return checkpoint(Difference::Checkpoint { fault: (&error).into() }),
    };
    let differs = tree(longer, signed.size) != signed;
    differs.then_some((Rule::TwoLogs, None, Difference::Tree { size: signed.size }))
}

/// The tree of the first entries, as many as there are.
fn tree(lines: &[Vec<u8>], size: u64) -> Tree {
    let mut growing = Growing::default();
    lines.iter().take(size as usize).for_each(|line| growing.push(line));
    growing.tree()
}

impl Compared {
    /// The findings and the verdict.
    pub fn text(&self, language: Language) -> String {
        let mut lines: Vec<String> = self.findings.iter().map(|finding| finding.text(language)).collect();
        let (published, kept, findings) = (self.published, self.kept, self.findings.len());
        let member = self.member.clone().unwrap_or_else(|| Verdict::SomeMember.said(language));
        let verdict = match findings {
            0 => Verdict::Same { member, published, kept },
            _ => Verdict::Found { member, published, kept, findings },
        };
        lines.push(verdict.said(language));
        lines.join("\n")
    }
}

impl Serialize for Compared {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut compared = serializer.serialize_struct("Compared", 6)?;
        compared.serialize_field("verdict", verdict(&self.findings))?;
        compared.serialize_field("federation", &self.federation)?;
        compared.serialize_field("member", &self.member)?;
        compared.serialize_field("published", &self.published)?;
        compared.serialize_field("kept", &self.kept)?;
        compared.serialize_field("findings", &self.findings)?;
        compared.end()
    }
}

texts! {
    /// In what two logs differ.
    enum Difference {
        Entry "the member keeps another entry in this place" "成员在此处留存的是另一条目";
        Evidence { size: u64 }
            "the member was shown a checkpoint of {size} entries that the log's key signed and that is of another tree; its note is kept \
             in the member's state database as the fact `contradiction`"
            "成员曾收到由日志密钥签名、却属于另一棵树的检查点（{size} 条）；该检查点保存在成员状态数据库中，名为 `contradiction`";
        NoCheckpoint "the member keeps no checkpoint" "成员没有留存检查点";
        Checkpoint { fault: CheckpointFault }
            "the checkpoint that the member keeps: {fault}"
            "成员留存的检查点：{fault}";
        Tree { size: u64 }
            "the checkpoint that the member keeps, of {size} entries, is of another tree"
            "成员留存的检查点（{size} 条）属于另一棵树";
    }
}

texts! {
    /// What a comparison comes to.
    enum Verdict {
        SomeMember "the member" "该成员";
        Same { member: String, published: u64, kept: u64 }
            "{member} keeps the same log: in order; entries published: {published}; entries kept: {kept}"
            "{member} 留存的是同一份日志：无异常；已公布条目 {published} 条；留存条目 {kept} 条";
        Found { member: String, published: u64, kept: u64, findings: usize }
            "{member}: NOT in order; findings: {findings}; entries published: {published}; entries kept: {kept}"
            "{member}：有异常；发现：{findings} 项；已公布条目 {published} 条；留存条目 {kept} 条";
    }
}
