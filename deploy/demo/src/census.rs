//! What each roster owner declares for the federation manifest, counted from the rosters that are there.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use wugan_keys::authority::OwnerDraft;
use wugan_node::{
    quarantine::Quarantine,
    roster::{Matters, read_roster},
    source::csv::CsvSource,
};
use wugan_protocol::{limits::COUNT_STEP, party::MemberNumber, person::PersonId, policy::Policy};

use crate::text::{At, DemoError};

/// Counts an owner's rosters, one for each month in their order; `folder` is the department's. An absent roster counts
/// as empty: the node itself says so when the round comes. Any of the `canaries` may stand on any roster.
///
/// # Errors
/// A disk that cannot be read or written.
pub fn declare(
    policy: &Policy,
    owner: MemberNumber,
    folder: &Path,
    rosters: &[String],
    canaries: u64,
) -> Result<OwnerDraft, DemoError> {
    let own: Vec<String> = policy.matters_of(owner).map(|matter| matter.id.clone()).collect();
    let all = policy.matters.iter().map(|matter| matter.id.clone()).collect();
    let matters = Matters::new(&own, &all).ok_or_else(|| DemoError::NoMatter(policy.member_id(owner).to_owned()))?;
    let mut seen: BTreeSet<PersonId> = BTreeSet::new();
    let (mut people, mut newcomers) = (0, 0);
    let mut rows: BTreeMap<String, u64> = own.iter().map(|matter| (matter.clone(), 0)).collect();
    for (month, name) in rosters.iter().enumerate() {
        let scratch = tempfile::tempdir_in(folder).at(folder)?;
        let mut quarantine = Quarantine::create(scratch.path())?;
        let mut listed: BTreeSet<(PersonId, u16)> = BTreeSet::new();
        let keep = |person, matter| {
            listed.insert((person, matter));
            Ok(())
        };
        if read_roster(&mut CsvSource::new(folder, name), &matters, &mut quarantine, keep).is_err() {
            continue;
        }
        let before = seen.len();
        seen.extend(listed.iter().map(|(person, _)| *person));
        let new = (seen.len() - before) as u64;
        if month == 0 {
            people = new
        } else {
            newcomers = newcomers.max(new)
        }
        for (place, matter) in (0..).zip(&own) {
            let count = listed.iter().filter(|(_, matter)| *matter == place).count() as u64;
            let most = rows.entry(matter.clone()).or_default();
            *most = (*most).max(count);
        }
    }
    // Rounded up, so that the manifest, which every member reads, tells no exact size.
    let up = |count: u64| count.div_ceil(COUNT_STEP) * COUNT_STEP;
    let rows = rows.into_iter().map(|(matter, count)| (matter, up(count + canaries))).collect();
    Ok(OwnerDraft { people: up(people + canaries), newcomers: up(newcomers), months: rosters.len() as u64, rows })
}
