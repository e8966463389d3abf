//! Whether those without rows had to go without: an owner defers, by itself, whoever is not enrolled in time.

use wugan_protocol::sealed::{self, BATCHES, PERSON_BYTES};

use super::{
    node::{Node, Stop, person_of},
    rows::Roster,
};
use crate::finding::Rule;

/// Somebody whose keys lie here now (`known`) and who has no rows was enrolled only after the rows were made: then an
/// enrolment batch asks for this person that stands in the log before `made`, the entry that announces the first of the
/// owner's files. Such a batch is kept as long as the round's files are.
pub(super) fn check(node: &mut Node<'_>, roster: &Roster, known: &[bool], made: u64) -> Result<(), Stop> {
    let known = roster.people.iter().zip(known).filter(|(_, known)| **known).map(|(person, _)| *person);
    let deferred: Vec<u64> = known.filter(|person| !roster.has_rows(*person)).collect();
    if deferred.is_empty() {
        return Ok(());
    }
    let mut asked = vec![false; deferred.len()];
    let kept = node.names(BATCHES, "")?;
    let before = node.told().batches_before(node.member(), made).map(sealed::batch);
    for batch in before.filter(|batch| kept.contains(batch)) {
        let mut words = 0;
        node.each::<PERSON_BYTES>(BATCHES, &batch, |item| {
            words += 1;
            let place = deferred.binary_search(&person_of(&item)).ok().filter(|_| words > SEED_WORDS);
            place.into_iter().for_each(|place| asked[place] = true);
            Ok(())
        })?;
    }
    let unasked = asked.iter().filter(|asked| !**asked).count();
    if unasked > 0 {
        node.find(Rule::DeferredEnrolled, None, unasked.to_string());
    }
    Ok(())
}

/// A batch begins with a seed of 32 bytes.
const SEED_WORDS: usize = 32 / PERSON_BYTES;
