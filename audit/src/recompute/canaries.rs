//! What an owner told of its canaries, from the decisions that came back and from what was sealed with its roster.

use std::collections::BTreeMap;

use wugan_protocol::{
    at_rest::{self, ROW_MAP_ROW_BYTES, SEALED, SNAPSHOT_ROW_BYTES},
    file::FileKey,
    hexes::{Digest, Hex},
    policy::{DEFERRED, Decision},
    statement::CanaryOutcome,
    texts,
};

use super::node::{Node, Stop, person_of};
use crate::{
    detail::Detail,
    finding::Rule,
    kept::{Fault, KeptFile},
    replay::CannotReplay,
};

/// Computes what the owner must have told, if it told something, and compares. Canaries that lie sealed are read also where
/// nothing was told.
pub(super) fn recompute(node: &mut Node<'_>) -> Result<(), Stop> {
    let (owner, round) = (node.member(), &node.told().round);
    let name = at_rest::canaries(round.hash());
    let told = round.canaries(owner).copied();
    if told.is_none() && !node.names(SEALED, &name)?.contains(&name) {
        return Ok(());
    }
    let sealed = Sealed::read(node, &name)?;
    let Some(told) = told else { return Ok(()) };
    let Some(decisions) = decisions(node)? else { return Ok(()) };
    let outcome = sealed.outcome(node, &decisions)?;
    node.count_computed();
    if outcome != told {
        let words = Text::Told { told: Box::new(counts(&told)), right: Box::new(counts(&outcome)) };
        node.find(Rule::CanariesFalse, node.told().canaries(owner), Detail::of(&words));
    }
    Ok(())
}

/// The canaries as they were sealed with the roster.
struct Sealed {
    document: Digest,
    /// By person and place of the matter.
    expected: BTreeMap<(u64, u16), u8>,
}

impl Sealed {
    /// A digest, then items of another length: read byte by byte.
    fn read(node: &Node<'_>, name: &str) -> Result<Sealed, Stop> {
        let bytes = node.items::<1>(SEALED, name)?.concat();
        let damaged = || Stop::Found(Rule::SealedDamaged, format!("{SEALED}/{name}"));
        let (document, items) = bytes.split_first_chunk::<32>().ok_or_else(damaged)?;
        let (items, rest) = items.as_chunks::<{ SNAPSHOT_ROW_BYTES + 1 }>();
        let known = |byte: u8| Decision::ALL.iter().any(|decision| *decision as u8 == byte);
        if !rest.is_empty() || !items.iter().all(|item| known(item[SNAPSHOT_ROW_BYTES])) {
            return Err(damaged());
        }
        let item = |item: &[u8; SNAPSHOT_ROW_BYTES + 1]| {
            ((person_of(item), u16::from_be_bytes([item[8], item[9]])), item[SNAPSHOT_ROW_BYTES])
        };
        Ok(Sealed { document: Hex(*document), expected: items.iter().map(item).collect() })
    }

    /// What came out for those of them who are on the snapshot: without a row, they are deferred.
    fn outcome(&self, node: &Node<'_>, decisions: &[u8]) -> Result<CanaryOutcome, Stop> {
        let (round, policy) = (&node.told().round, node.told().round.policy());
        let map = at_rest::row_map(round.hash());
        let wrong = || Stop::Found(Rule::RowMapFalse, map.clone());
        let mut rows = BTreeMap::new();
        node.each::<ROW_MAP_ROW_BYTES>(SEALED, &map, |item| {
            let key = (person_of(&item), u16::from_be_bytes([item[8], item[9]]));
            if self.expected.contains_key(&key) {
                rows.insert(key, u32::from_be_bytes([item[10], item[11], item[12], item[13]]));
            }
            Ok(())
        })?;
        let matters: Vec<_> = policy.matters_of(node.member()).collect();
        let mut outcome = CanaryOutcome { document: self.document, as_expected: 0, deferred: 0, other: 0 };
        node.each::<SNAPSHOT_ROW_BYTES>(SEALED, &at_rest::snapshot(round.hash()), |item| {
            let key = (person_of(&item), u16::from_be_bytes([item[8], item[9]]));
            let Some(expected) = self.expected.get(&key) else { return Ok(()) };
            let row = rows.get(&key).map(|row| decisions.get(*row as usize).ok_or_else(wrong)).transpose()?;
            let matter = matters.get(usize::from(key.1)).ok_or_else(wrong)?;
            let decision = match row.filter(|byte| **byte != DEFERRED) {
                None => Decision::Deferred,
                Some(byte) => policy.rules(matter).get(usize::from(*byte)).ok_or_else(wrong)?.decide,
            };
            *match decision {
                Decision::Deferred => &mut outcome.deferred,
                decision if decision as u8 == *expected => &mut outcome.as_expected,
                _ => &mut outcome.other,
            } += 1;
            Ok(())
        })?;
        Ok(outcome)
    }
}

/// The byte of each row, from the file that the coordinator announced.
fn decisions(node: &mut Node<'_>) -> Result<Option<Vec<u8>>, Stop> {
    let (file, told) = (FileKey::Decisions { owner: node.member() }, node.told());
    let Some(announced) = told.round.announcement(file) else { return Ok(None) };
    let (path, entry) = (node.path_of(file), told.announced(file));
    let unread = |error| Stop::Cannot(CannotReplay::Unread { path: path.clone(), error }.into());
    let Some(mut kept) = KeptFile::open(&path).map_err(unread)? else {
        node.find(Rule::InputMissing, entry, file.name());
        return Ok(None);
    };
    let read = (|| {
        let header = kept.header(told.round.matters(node.member()).len(), |header| header.count)?;
        let mut bytes = vec![0; header.count as usize];
        kept.fill(&mut bytes)?;
        Ok(bytes)
    })();
    let read = match read {
        Err(Fault::Io(error)) => return Err(unread(error)),
        read => read.ok(),
    };
    if kept.digest().map_err(unread)? != announced.digest || read.is_none() {
        node.find(Rule::InputDiffers, entry, file.name());
        return Ok(None);
    }
    Ok(read)
}

fn counts(outcome: &CanaryOutcome) -> Text {
    let CanaryOutcome { document, as_expected, deferred, other } = *outcome;
    Text::Counts { document, as_expected, deferred, other }
}

texts! {
    /// What an owner told, and what it must have told.
    enum Text {
        Told { told: Box<Text>, right: Box<Text> } "told: {told}; computed again: {right}" "所报：{told}；重算：{right}";
        Counts { document: Digest, as_expected: u64, deferred: u64, other: u64 }
            "{as_expected} as expected, {deferred} deferred, {other} otherwise, of the file {document}"
            "符合预期 {as_expected}，暂缓 {deferred}，不符 {other}，文件 {document}";
    }
}
