//! The demo's canaries: a plan that every policy has room for.

use std::{collections::BTreeSet, fs};

use wugan_keys::canaries::{Plan, Planned};
use wugan_protocol::policy::{Class, Policy};

use crate::{
    layout::Layout,
    text::{At, DemoError},
};

/// Writes a plan of `count` canaries: each on every roster; in turn seen nowhere, and in the first one, two and three
/// channels of each class.
///
/// # Errors
/// A disk that cannot be written.
pub fn write_plan(layout: &Layout, policy: &Policy, count: u16) -> Result<(), DemoError> {
    let path = layout.canary_plan();
    let written = toml::to_string(&plan(policy, count))
        .map_err(|error| DemoError::Written { path: path.clone(), error: error.to_string() })?;
    fs::write(&path, written).at(&path)
}

fn plan(policy: &Policy, count: u16) -> Plan {
    let matters: BTreeSet<String> = policy.matters.iter().map(|matter| matter.id.clone()).collect();
    let first = |class: Class, most: usize| {
        let of_class = policy.channels.iter().filter(move |channel| channel.class == class);
        of_class.take(most).map(|channel| channel.id.clone()).collect::<BTreeSet<String>>()
    };
    let kinds = [BTreeSet::new()]
        .into_iter()
        .chain((1..=CHANNELS_MAX).flat_map(|most| Class::ALL.map(|class| first(class, most))));
    let planned = |channels| Planned { count: 1, channels, matters: matters.clone() };
    Plan { canary: kinds.cycle().take(usize::from(count)).map(planned).collect() }
}

/// Channels of one class in which a canary is seen.
const CHANNELS_MAX: usize = 3;
