//! A round from its opening to the delivery of its decisions.

pub(crate) mod bits;
pub(crate) mod close;
pub(crate) mod deliver;
pub(crate) mod open;
pub(crate) mod retain;

use std::collections::BTreeSet;

use wugan_protocol::{
    party::{MemberNumber, Party, Role},
    policy::Policy,
};

use crate::admin::Channels;

/// A member's node.
pub(crate) fn node(member: MemberNumber) -> Party {
    Party { member, role: Role::Node }
}

/// Channels that are not among these, by department, in the order of the departments' numbers.
pub(crate) fn missing(policy: &Policy, present: &BTreeSet<u16>) -> Vec<Channels> {
    let departments = policy.missing_departments(present).into_iter();
    departments
        .map(|source| {
            let missing = policy.channels_of(source).filter(|channel| !present.contains(&channel.number));
            let channels = missing.map(|channel| channel.id.clone()).collect();
            Channels { department: policy.member_id(source).to_owned(), channels }
        })
        .collect()
}

/// The ids of members.
pub(crate) fn ids(policy: &Policy, members: impl IntoIterator<Item = MemberNumber>) -> Vec<String> {
    members.into_iter().map(|member| policy.member_id(member).to_owned()).collect()
}
