//! Closing pools, rows and the round: by itself when nothing is missing or the time is over, else when told to.

use wugan_protocol::{
    ledger::{Ledger, Round},
    party::MemberNumber,
    policy::Policy,
    reason::Reason,
    statement::Statement,
};

use super::{ids, missing};
use crate::{
    admin::{Done, Refusal},
    log::Log,
    status::Phase,
};

/// Closes what is open.
///
/// # Errors
/// Why not; nothing is appended then.
pub(crate) fn close(log: &mut Log, now: u64) -> Result<Done, Refusal> {
    match Phase::of(log.ledger()) {
        Phase::Idle | Phase::Closed | Phase::Abandoned => Err(Refusal::NoRound {}),
        Phase::Pools => {
            let stated = log.state(Statement::PoolsClosed {}, true, now);
            stated.map_err(|reason| explain(log.ledger(), reason))?;
            Ok(Done::PoolsClosed { missing: last(log.ledger(), missing_pools) })
        }
        Phase::List => Err(Refusal::AwaitsList {}),
        Phase::Rows => {
            let stated = log.state(Statement::RowsClosed {}, true, now);
            stated.map_err(|reason| explain(log.ledger(), reason))?;
            Ok(Done::RowsClosed { absent: last(log.ledger(), absent) })
        }
        Phase::Deciding => {
            let undecided = last(log.ledger(), undecided);
            let stated = log.state(Statement::RoundClosed {}, true, now);
            stated.map_err(|reason| explain(log.ledger(), reason))?;
            Ok(Done::RoundClosed { undecided })
        }
    }
}

/// Makes the open round void.
///
/// # Errors
/// Why not; nothing is appended then.
pub(crate) fn abandon(log: &mut Log, now: u64) -> Result<Done, Refusal> {
    let month = log.ledger().open_round().map(|round| round.manifest().month).ok_or(Refusal::NoRound {})?;
    let statement = Statement::RoundAbandoned { reason: Reason::Superseded };
    log.state(statement, true, now).map_err(|reason| match reason {
        Reason::TooLate => Refusal::ListLogged {},
        reason => Refusal::Rule { reason },
    })?;
    Ok(Done::Abandoned { month })
}

/// What the coordinator states by itself now, if anything.
pub(crate) fn due(log: &Log, now: u64) -> Option<Statement> {
    let round = log.ledger().open_round()?;
    let policy = log.federation().policy();
    match Phase::of(log.ledger()) {
        Phase::Pools => {
            let whole = policy.missing_departments(&round.receipted_channels()).is_empty();
            (whole && now >= round.manifest().pools_close_from).then_some(Statement::PoolsClosed {})
        }
        Phase::Rows => {
            let whole = policy.owners().all(|owner| round.complete(owner));
            (whole || now >= rows_latest(round, log.listed())).then_some(Statement::RowsClosed {})
        }
        Phase::Deciding => {
            let decided = round.present_owners().iter().all(|owner| round.totals(*owner).is_some());
            decided.then_some(Statement::RoundClosed {})
        }
        _ => None,
    }
}

/// When rows are closed at the latest, if nobody closes them before: the manifest's time. A list that comes after the
/// enrolment deadline leaves the owners as long as if it had come with it.
pub(crate) fn rows_latest(round: &Round, listed: Option<u64>) -> u64 {
    let manifest = round.manifest();
    let late = listed.map_or(0, |listed| listed.saturating_sub(manifest.enrolment_until));
    manifest.rows_until.saturating_add(late)
}

/// Owners that have announced files which are not all received.
pub(crate) fn incomplete(round: &Round, policy: &Policy) -> Vec<MemberNumber> {
    policy.owners().filter(|owner| round.has_announced(*owner) && !round.complete(*owner)).collect()
}

fn absent(round: &Round, policy: &Policy) -> Vec<String> {
    ids(policy, policy.owners().filter(|owner| !round.complete(*owner)))
}

fn undecided(round: &Round, policy: &Policy) -> Vec<String> {
    ids(policy, round.present_owners().into_iter().filter(|owner| round.totals(*owner).is_none()))
}

fn missing_pools(round: &Round, policy: &Policy) -> Vec<crate::admin::Channels> {
    missing(policy, &round.receipted_channels())
}

fn explain(ledger: &Ledger, reason: Reason) -> Refusal {
    let policy = ledger.federation().policy();
    let Some(round) = ledger.round() else { return Refusal::NoRound {} };
    match (reason, round.list()) {
        (Reason::CloseTooEarly, None) => Refusal::CloseTooEarly { from: round.manifest().pools_close_from },
        (Reason::CloseTooEarly, Some(_)) if round.rows_closed().is_some() => {
            Refusal::OwnersUndecided { owners: undecided(round, policy), until: round.manifest().rows_until }
        }
        (Reason::CloseTooEarly, Some(_)) => {
            let owners = ids(policy, incomplete(round, policy));
            Refusal::OwnersIncomplete { owners, until: round.manifest().rows_until }
        }
        (Reason::TooManyMissing, _) => {
            let missing = policy.missing_departments(&round.receipted_channels());
            let needed = [policy.coordinator, policy.aggregator].into_iter().filter(|member| missing.contains(member));
            Refusal::TooManyMissing {
                missing_max: policy.missing_max as u64,
                needed: ids(policy, needed),
                missing: missing_pools(round, policy),
            }
        }
        (reason, _) => Refusal::Rule { reason },
    }
}

fn last<T: Default>(ledger: &Ledger, tell: impl FnOnce(&Round, &Policy) -> T) -> T {
    ledger.round().map(|round| tell(round, ledger.federation().policy())).unwrap_or_default()
}
