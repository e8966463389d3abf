//! Section 1's rules on channel sets: no bit may name a department, unless that is agreed (`exposed`).

use std::collections::BTreeSet;

use super::{Channel, Class, Matter, Policy, PolicyError};
use crate::party::MemberNumber;

/// Whether these channels, without the owner's own, are at least three in at least two departments.
pub(super) fn hides_departments<'a>(channels: impl Iterator<Item = &'a Channel>, owner: MemberNumber) -> bool {
    let others: Vec<MemberNumber> = channels.map(|channel| channel.source).filter(|source| *source != owner).collect();
    others.len() >= 3 && others.iter().collect::<BTreeSet<_>>().len() >= 2
}

/// The channels of a class at a matter.
pub(super) fn of_class<'a>(policy: &'a Policy, matter: &'a Matter, class: Class) -> impl Iterator<Item = &'a Channel> {
    matter.channels.iter().map(|place| &policy.channels[*place]).filter(move |channel| channel.class == class)
}

pub(super) fn check(policy: &Policy) -> Result<(), PolicyError> {
    for matter in &policy.matters {
        for class in Class::ALL {
            check_class(policy, matter, class)?;
            for other in policy.matters_of(matter.owner) {
                check_difference(policy, matter, other, class)?;
            }
        }
    }
    Ok(())
}

fn check_class(policy: &Policy, matter: &Matter, class: Class) -> Result<(), PolicyError> {
    let channels = || of_class(policy, matter, class);
    let fine = channels().all(|channel| channel.exposed) || hides_departments(channels(), matter.owner);
    fine.then_some(()).ok_or_else(|| PolicyError::ClassTooSmall { matter: matter.id.clone(), class })
}

/// A person on both matters' rosters would show which of the channels that differ it was.
fn check_difference(policy: &Policy, matter: &Matter, other: &Matter, class: Class) -> Result<(), PolicyError> {
    let number = |place: &usize| policy.channels[*place].number;
    let elsewhere = |channel: &Channel| other.channels.binary_search_by_key(&channel.number, number).is_ok();
    let shows = |channel: &Channel| !channel.exposed && channel.source != matter.owner && !elsewhere(channel);
    let difference: Vec<&Channel> = of_class(policy, matter, class).filter(|channel| shows(channel)).collect();
    let fine = difference.is_empty() || hides_departments(difference.into_iter(), matter.owner);
    fine.then_some(()).ok_or_else(|| PolicyError::MattersTooAlike {
        matter: matter.id.clone(),
        other: other.id.clone(),
        class,
    })
}
