//! Opening a month's round, and what comes between two: another version of the federation manifest.

use std::collections::BTreeSet;

use wugan_protocol::{
    ledger::{Ledger, Round, RoundTimes, SECONDS_PER_DAY},
    manifest::Federation,
    month::Month,
    party::MemberNumber,
    reason::Reason,
    statement::Statement,
};

use super::ids;
use crate::{
    admin::{Done, Refusal},
    log::Log,
};

/// Opens a round: the manifest that follows from policy and log, signed and appended.
///
/// # Errors
/// Why not; nothing is appended then.
pub(crate) fn open(log: &mut Log, month: Month, times: RoundTimes, now: u64) -> Result<Done, Refusal> {
    let RoundTimes { pools_close_from, enrolment_until, rows_until } = times;
    let latest = now.saturating_add(ROUND_SECONDS_MAX);
    if [pools_close_from, enrolment_until, rows_until].into_iter().any(|time| time > latest) {
        return Err(explain(log.ledger(), Reason::ClockDiffers));
    }
    let manifest = log.ledger().round_manifest(month, times);
    let manifest = manifest.map_err(|_| explain(log.ledger(), Reason::UnknownEpoch))?;
    let stated = log.state(Statement::RoundManifest(manifest), false, now);
    stated.map_err(|reason| explain(log.ledger(), reason))?;
    Ok(Done::Opened { month, pools_close_from, enrolment_until, rows_until })
}

/// Puts the next version of the federation manifest into the log.
///
/// # Errors
/// Why not; nothing is appended then.
pub(crate) fn adopt(log: &mut Log, now: u64) -> Result<Done, Refusal> {
    let ledger = log.ledger();
    if let Some(open) = ledger.open_round() {
        return Err(Refusal::RoundOpen { month: open.manifest().month });
    }
    let version = ledger.federation().version();
    let next = ledger.next_version().ok_or(Refusal::NoVersion { version })?;
    settled(log, next, now)?;
    let admitted = ledger.admit(next.signed().bytes()).map_err(|reason| Refusal::Rule { reason })?;
    log.append(admitted);
    Ok(Done::Adopted { version: log.federation().version() })
}

/// Whether the last round is over for everybody whom the next version changes.
fn settled(log: &Log, next: &Federation, now: u64) -> Result<(), Refusal> {
    let policy = log.federation().policy();
    let leaving = log.undelivered().keys().map(|(_, owner)| *owner).filter(|owner| next.owner_limits(*owner).is_none());
    let leaving: BTreeSet<MemberNumber> = leaving.collect();
    if !leaving.is_empty() {
        return Err(Refusal::Undelivered { owners: ids(policy, leaving) });
    }
    let Some((closed, ended)) = log.ledger().closed().zip(log.ended()) else { return Ok(()) };
    let members = closed.cosigned.keys().map(|party| party.member).filter(|member| *member != policy.coordinator);
    let (cosigned, quorum) = (members.collect::<BTreeSet<_>>().len() as u64, closed.quorum.into());
    let until = ended.saturating_add(SECONDS_PER_DAY);
    if cosigned < quorum && now < until {
        return Err(Refusal::AwaitsCosigners { cosigned, quorum, until });
    }
    Ok(())
}

/// A round that takes longer than this is a mistake in a number.
const ROUND_SECONDS_MAX: u64 = 92 * SECONDS_PER_DAY;

/// Why the ledger refuses a manifest, with what to do about it.
fn explain(ledger: &Ledger, reason: Reason) -> Refusal {
    let counted = ledger.counted();
    match (reason, ledger.open_round().map(Round::manifest), counted) {
        (Reason::Repeated, Some(open), _) => Refusal::RoundOpen { month: open.month },
        (Reason::UnknownEpoch, ..) => Refusal::KeysMissing { departments: keyless(ledger) },
        (Reason::ClockDiffers, ..) => Refusal::Times { seconds_max: ROUND_SECONDS_MAX },
        (Reason::MonthNotLater, _, Some(counted)) => Refusal::MonthNotLater { counted: counted.month },
        (Reason::TooSoon, _, Some(counted)) => {
            let days = ledger.federation().policy().days_between_rounds;
            Refusal::TooSoon { from: counted.opened + days * SECONDS_PER_DAY, days }
        }
        (reason, ..) => Refusal::Rule { reason },
    }
}

/// Sources whose key is not announced.
fn keyless(ledger: &Ledger) -> Vec<String> {
    let policy = ledger.federation().policy();
    let sources: BTreeSet<MemberNumber> = policy.channels.iter().map(|channel| channel.source).collect();
    ids(policy, sources.into_iter().filter(|source| ledger.epoch(*source).is_none()))
}
