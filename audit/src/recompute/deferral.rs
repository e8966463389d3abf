//! Whether those without rows had to go without: an owner defers, by itself, whoever is not enrolled in time.

use wugan_protocol::{
    at_rest::{self, BATCHES, PERSON_BYTES},
    ledger::SECONDS_PER_DAY,
};

use super::{
    facts::SettledAt,
    node::{Node, Stop, person_of},
    rows::Roster,
};
use crate::{finding::Rule, round::LoggedBatch};

/// Somebody without rows whose keys lie here now (`known`) was enrolled only after the rows were made: then a batch asks for
/// this person that stands in the log before `made`, the entry that announces the first of the owner's files, and that
/// still waited for an answer, or was refused. Such a batch is kept as long as the round's files are.
pub(super) fn check(node: &mut Node<'_>, roster: &Roster, known: &[bool], made: u64) -> Result<(), Stop> {
    let known = roster.people.iter().zip(known).filter(|(_, known)| **known).map(|(person, _)| *person);
    let deferred: Vec<u64> = known.filter(|person| !roster.has_rows(*person)).collect();
    if deferred.is_empty() {
        return Ok(());
    }
    let (told, kept) = (node.told(), node.names(BATCHES, "")?);
    let settled = node.settled()?;
    let mut waited = vec![false; deferred.len()];
    let before = told.batches(node.member()).filter(|batch| batch.index < made && waits(node, batch, &settled));
    for name in before.map(|batch| at_rest::batch(batch.number)).filter(|name| kept.contains(name)) {
        let mut words = 0;
        node.each::<PERSON_BYTES>(BATCHES, &name, |item| {
            words += 1;
            let place = deferred.binary_search(&person_of(&item)).ok().filter(|_| words > SEED_WORDS);
            place.into_iter().for_each(|place| waited[place] = true);
            Ok(())
        })?;
    }
    let enrolled = waited.iter().filter(|waited| !**waited).count();
    if enrolled > 0 {
        node.find(Rule::DeferredEnrolled, None, enrolled.to_string());
    }
    Ok(())
}

/// Whether a batch may have waited for a source on the list when the owner stopped waiting.
fn waits(node: &Node<'_>, batch: &LoggedBatch, settled: &SettledAt) -> bool {
    let until = node.told().round.manifest().enrolment_until.saturating_sub(CLOCKS_DIFFER_SECONDS_MAX);
    let listed = node.listed_sources();
    let mut sources = batch.sources.iter().filter(|source| listed.contains(source));
    batch.refused || sources.any(|source| settled.get(&(batch.number, source.source)).is_none_or(|time| *time >= until))
}

/// The end of enrolment is by the coordinator's clock, answers are noted by the node's.
const CLOCKS_DIFFER_SECONDS_MAX: u64 = SECONDS_PER_DAY;

/// A batch begins with a seed of 32 bytes.
const SEED_WORDS: usize = 32 / PERSON_BYTES;
