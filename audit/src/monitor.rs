//! Looking at a log again and again, for a timer: it must continue the one seen last, and only what is new is told.

use wugan_protocol::{
    canary::CanaryList,
    log::checkpoint::{CheckpointError, VerifiedCheckpoint},
};

use crate::{
    finding::{Finding, Rule},
    folder::LogFiles,
    story::{Story, Teller},
    verify::{CHECKPOINT, Report, verify_with_canaries},
};

/// What a look at the log came to.
#[derive(Debug)]
pub struct Look {
    /// What was found that was not told before.
    pub report: Report,
    /// The checkpoint to keep for the next look. There is none unless every entry was looked at and the files are in
    /// order.
    pub seen: Option<Vec<u8>>,
}

/// Verifies the whole log, also that owners told of the canaries on these lists, and that it continues the one of the
/// checkpoint `seen`. `now` is in seconds since 1970 UTC.
///
/// # Errors
/// A checkpoint that this log's key did not sign.
pub fn look(
    files: &LogFiles,
    authority: &[u8; 32],
    canaries: &[CanaryList],
    seen: Option<&[u8]>,
    now: u64,
) -> Result<Look, CheckpointError> {
    let (mut teller, mut trees) = (Teller::default(), Vec::new());
    let (mut report, ledger) = verify_with_canaries(files, authority, canaries, &mut |logged, ledger| {
        teller.take(logged, ledger);
        trees.push(ledger.tree().tree());
    });
    let Some(ledger) = ledger else { return Ok(Look { report, seen: None }) };
    let key = ledger.federation().log_key().map_err(|_| CheckpointError::Key)?;
    let before = seen.map(|note| VerifiedCheckpoint::open(note, &key)).transpose()?;
    let before = before.map_or(0, |checkpoint| {
        let tree = checkpoint.tree();
        let same = tree.size == 0 || trees.get(tree.size as usize - 1) == Some(&tree);
        report.findings.extend((!same).then(|| rolled_back(tree.size, ledger.entries())));
        tree.size
    });
    let soon = teller.stories().last().is_some_and(|story| may_be_cosigned_yet(story, now));
    report.findings.retain(|finding| finding.entry.is_none_or(|entry| entry >= before));
    report.findings.retain(|finding| !(soon && finding.rule == Rule::NoQuorum && finding.entry.is_none()));
    let whole = report.findings.iter().all(stands_in_an_entry);
    let seen = files.files.get(CHECKPOINT).filter(|_| whole).cloned();
    Ok(Look { report, seen })
}

fn rolled_back(seen: u64, entries: u64) -> Finding {
    Finding { rule: Rule::RolledBack, entry: None, party: None, detail: format!("{seen} / {entries}") }
}

/// Whether the members may just not have cosigned the last round's end yet.
fn may_be_cosigned_yet(story: &Story, now: u64) -> bool {
    story.times.ended.is_some_and(|ended| now < ended.saturating_add(COSIGNED_WITHIN_S))
}

/// What was found of an entry's statement, or of the last round's end, while the log itself is in order.
fn stands_in_an_entry(finding: &Finding) -> bool {
    finding.rule == Rule::NoQuorum || finding.entry.is_some() && finding.rule != Rule::EntryRefused
}

/// Members that are connected cosign in seconds; one that is away has until the next day.
const COSIGNED_WITHIN_S: u64 = 86_400;
