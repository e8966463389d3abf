//! Looking at a log again and again, for a timer: it must continue the one seen last, and only what is new is told.

use wugan_protocol::{
    canary::CanaryList,
    ledger::{Ledger, SECONDS_PER_DAY},
    log::{
        checkpoint::{CheckpointError, VerifiedCheckpoint},
        merkle::{Growing, Tree},
        note::Note,
    },
    month::Month,
    text::clock,
    texts,
};

use crate::{
    detail::{Detail, Words},
    finding::{Finding, Rule},
    folder::{CHECKPOINT, LogFiles},
    story::{Story, Teller},
    verify::{Entries, Options, Report, entries, size_of, verify_with},
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

/// Verifies the whole log, also that owners told of the canaries on these lists, that it continues the one of the
/// checkpoint `seen`, and that no round is overdue. `now` is in seconds since 1970 UTC.
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
    let mut teller = Teller::default();
    let options = Options { canaries, now: Some(now) };
    let (mut report, ledger) =
        verify_with(files, authority, &options, &mut |logged, ledger| teller.take(logged, ledger));
    let Some(ledger) = ledger else {
        // Of an empty log nothing tells the key.
        let before = seen.and_then(|note| size_of(&Note::read(note).ok()?)).filter(|before| *before > 0);
        report.findings.extend(before.filter(|_| crate::verify::is_empty(files)).map(|before| rolled_back(before, 0)));
        return Ok(Look { report, seen: None });
    };
    let key = ledger.federation().log_key().map_err(|_| CheckpointError::Key)?;
    let before = seen.map(|note| VerifiedCheckpoint::open(note, &key)).transpose()?;
    let before = before.map_or_else(Tree::empty, |checkpoint| checkpoint.tree());
    let entries = entries(files).0;
    let continues = continues(&entries, before);
    if !continues {
        // First of all, whatever else is wrong with it.
        report.findings.insert(0, rolled_back(before.size, entries.lines.len() as u64));
    }
    report.findings.extend(overdue(&ledger, now).filter(|_| report.whole()));
    let soon = teller.stories().last().is_some_and(|story| may_be_cosigned_yet(story, now));
    // What another log says was told to nobody.
    report.findings.retain(|found| !continues || found.rule.of_files() || found.is_after(before.size));
    report.findings.retain(|found| !(soon && found.rule == Rule::NoQuorum && found.entry.is_none()));
    let seen = files.files.get(CHECKPOINT).filter(|_| report.whole()).cloned();
    Ok(Look { report, seen })
}

/// Whether the log goes on from a tree. What could not be read was found, and shows nothing.
fn continues(entries: &Entries, before: Tree) -> bool {
    let mut growing = Growing::default();
    entries.lines.iter().take(before.size as usize).for_each(|line| growing.push(line));
    let unread = !entries.whole() && entries.size.is_some_and(|size| size >= before.size);
    growing.tree() == before || unread && growing.tree().size < before.size
}

fn rolled_back(seen: u64, entries: u64) -> Finding {
    Finding::new(Rule::RolledBack, None, None, Words::Seen { seen, entries })
}

/// A round that should be over, or one that should have been opened.
fn overdue(ledger: &Ledger, now: u64) -> Option<Finding> {
    let late = match (ledger.open_round(), ledger.counted()) {
        (Some(round), _) => {
            let (month, until) = (round.manifest().month, round.manifest().rows_until);
            let late = now > until.saturating_add(SECONDS_PER_DAY);
            late.then(|| Late::Open { month, until: clock(until) })
        }
        (None, Some(last)) => {
            let late = now > last.opened.saturating_add(ROUNDS_APART_DAYS_MAX * SECONDS_PER_DAY);
            late.then(|| Late::None { month: last.month, opened: clock(last.opened) })
        }
        (None, None) => None,
    };
    late.map(|late| Finding::new(Rule::Overdue, None, None, Detail::of(&late)))
}

/// Whether the members may just not have cosigned the last round's end yet.
fn may_be_cosigned_yet(story: &Story, now: u64) -> bool {
    story.times.ended.is_some_and(|ended| now < ended.saturating_add(COSIGNED_WITHIN_S))
}

texts! {
    /// Which round is overdue.
    enum Late {
        Open { month: Month, until: String }
            "the round of {month} is open; its rows were due until {until}"
            "{month} 轮次仍在进行；名册数据应于 {until} 前提交";
        None { month: Month, opened: String }
            "the last round is that of {month}, opened on {opened}"
            "最近一轮为 {month}，开启于 {opened}";
    }
}

/// Members that are connected cosign in seconds; one that is away has until the next day.
const COSIGNED_WITHIN_S: u64 = 86_400;
/// A month, and days for a round that is opened later than the one before.
const ROUNDS_APART_DAYS_MAX: u64 = 40;
