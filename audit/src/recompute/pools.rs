//! A source's pools: the tags of a channel's people, and padding, in order.

use wugan_protocol::{
    at_rest::{self, PERSON_BYTES, SEALED},
    chance::{Purpose, RoundSeed, padding_tags},
    file::{FileKey, Header},
    tag::{Tag, TagContext},
};

use super::node::{Node, Stop, person_of};
use crate::finding::Rule;

/// Recomputes every pool that was announced.
pub(super) fn recompute(node: &mut Node<'_>) -> Result<(), Stop> {
    let round = &node.told().round;
    let announced = |file: &FileKey| round.announcement(*file).is_some();
    let channels = node.policy().channels_of(node.member()).map(|channel| channel.number);
    let channels: Vec<u16> = channels.filter(|channel| round.pool_files(*channel).iter().any(announced)).collect();
    if channels.is_empty() {
        return Ok(());
    }
    let seed = node.seed()?;
    for channel in channels {
        node.attempt(|node| recompute_channel(node, &seed, channel)).map_err(Stop::Cannot)?;
    }
    Ok(())
}

fn recompute_channel(node: &mut Node<'_>, seed: &RoundSeed, channel: u16) -> Result<(), Stop> {
    let round = &node.told().round;
    let name = at_rest::people(round.hash(), channel);
    let people: Vec<u64> = node.items::<PERSON_BYTES>(SEALED, &name)?.iter().map(|item| person_of(item)).collect();
    for group in 0..node.policy().group_count {
        let file = FileKey::Pool { channel, group };
        let context = TagContext { round: round.id(), group, channel };
        let mut tags: Vec<Option<Tag>> = vec![None; people.len()];
        node.keys(node.epoch(node.member()), &people, |place, key| {
            tags[place].get_or_insert_with(|| context.tag(key));
        })?;
        let tags: Option<Vec<Tag>> = tags.into_iter().collect();
        let mut tags = tags.ok_or_else(|| Stop::Found(Rule::KeyMissing, name.clone()))?;
        let step = node.policy().pool_size_step.map_or(1, |step| step.get() as usize);
        let padding = tags.len().next_multiple_of(step) - tags.len();
        tags.extend(padding_tags(&node.derive(seed, Purpose::PoolPadding(file))).take(padding));
        tags.sort_unstable();
        let salt = node.derive(seed, Purpose::Salt(file));
        let header = Header { salt, count: tags.len() as u64, rows: Vec::new() };
        node.compare(file, &header, |write| write(tags.as_flattened()));
    }
    Ok(())
}
