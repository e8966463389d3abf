//! The demo's canaries: a plan that every policy has room for.

use std::{collections::BTreeSet, fs};

use wugan_keys::canaries::{Plan, Planned};
use wugan_protocol::policy::{Class, Policy};

use crate::{
    layout::Layout,
    text::{At, DemoError},
};

/// Writes a plan of `count` canaries, each at one matter: somebody on every roster would stand out. In turn they are seen
/// nowhere, and in the first one, two and three channels of each class.
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
    let first = |class: Class, most: usize| {
        let of_class = policy.channels.iter().filter(move |channel| channel.class == class);
        of_class.take(most).map(|channel| channel.id.clone()).collect::<BTreeSet<String>>()
    };
    let some = (1..=CHANNELS_MAX).flat_map(|most| Class::ALL.map(|class| first(class, most)));
    let seen = [BTreeSet::new()].into_iter().chain(some).cycle();
    let matters = policy.matters.iter().map(|matter| BTreeSet::from([matter.id.clone()])).cycle();
    let planned = matters.zip(seen).map(|(matters, channels)| Planned { count: 1, channels, matters });
    Plan { canary: planned.take(usize::from(count)).collect() }
}

/// Channels of one class in which a canary is seen.
const CHANNELS_MAX: usize = 3;
