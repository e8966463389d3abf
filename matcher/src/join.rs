//! The merge join: which records meet a tag of their channel's pool.

use std::io::Read;

use wugan_protocol::{
    run::{Pool, RECORD_BYTES, Records, RunError, handle, order},
    tag::Tag,
};

/// Which file a join cannot go on with.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The records.
    #[error("records: {0}")]
    Records(RunError),
    /// The pool.
    #[error("pool: {0}")]
    Pool(RunError),
}

/// Reads all records, and the pool as far as needed, once and in order; `take` gets each record's handle and whether
/// its tag is in the pool. Both files are checked on the way as [`Records`] and [`Pool`] do.
///
/// # Errors
/// A file that cannot be read or is not in order; whatever `take` refuses about the records.
pub fn join<R: Read, P: Read>(
    records: &mut Records<R>,
    pool: &mut Pool<P>,
    mut take: impl FnMut(u32, bool) -> Result<(), RunError>,
) -> Result<(), JoinError> {
    let mut met = Vec::new();
    loop {
        let block = records.peek().map_err(JoinError::Records)?;
        if block.is_empty() {
            return Ok(());
        }
        met.clear();
        met.resize(block.len(), false);
        meet(block, pool, &mut met).map_err(JoinError::Pool)?;
        let mut taken = block.iter().zip(&met).map(|(record, met)| take(handle(record), *met));
        taken.try_for_each(|taken| taken).map_err(JoinError::Records)?;
        records.skip(met.len());
    }
}

/// Sets `met` for each record whose tag is in the pool, which is left where the next records go on.
fn meet<P: Read>(records: &[[u8; RECORD_BYTES]], pool: &mut Pool<P>, met: &mut [bool]) -> Result<(), RunError> {
    let mut done = 0;
    while done < records.len() {
        let tags = pool.peek()?;
        if tags.is_empty() {
            return Ok(());
        }
        let (records, tags) = merge(&records[done..], tags, &mut met[done..]);
        done += records;
        pool.skip(tags);
    }
    Ok(())
}

/// Merges until one side is used up; how many of each were used. The steps have no branch that depends on the tags:
/// it would be predicted wrongly half of the time.
fn merge(records: &[[u8; RECORD_BYTES]], tags: &[Tag], met: &mut [bool]) -> (usize, usize) {
    let (mut r, mut t) = (0, 0);
    while r < records.len() && t < tags.len() {
        let (record, tag) = (order(&records[r]), order(&tags[t]));
        met[r] = record == tag;
        r += usize::from(record <= tag);
        t += usize::from(tag <= record);
    }
    (r, t)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use wugan_protocol::{reason::Reason, run::record, testing::file};

    use super::*;

    /// Tags that differ in one of three bytes, so that many meet.
    fn tag() -> impl Strategy<Value = Tag> {
        (0..3_usize, 0..16_u8).prop_map(|(place, value)| {
            let mut tag = [0x80; 12];
            tag[[0, 7, 11][place]] = value * 17;
            tag
        })
    }

    fn joined(records: &BTreeMap<Tag, u32>, pool: &BTreeSet<Tag>) -> Result<Vec<(u32, bool)>, JoinError> {
        let records: Vec<_> = records.iter().map(|(tag, handle)| record(*tag, *handle)).collect();
        let tags: Vec<_> = pool.iter().copied().collect();
        let records = file(records.len() as u64, &[], records.as_flattened());
        let pool = file(tags.len() as u64, &[], tags.as_flattened());
        let mut taken = Vec::new();
        join(&mut Records::open(&*records).unwrap(), &mut Pool::open(&*pool).unwrap(), |handle, met| {
            taken.push((handle, met));
            Ok(())
        })?;
        Ok(taken)
    }

    proptest! {
        #[test]
        fn agrees_with_sets(
            records in prop::collection::btree_map(tag(), any::<u32>(), 0..40),
            pool in prop::collection::btree_set(tag(), 0..40),
        ) {
            let expected: Vec<_> = records.iter().map(|(tag, handle)| (*handle, pool.contains(tag))).collect();
            prop_assert_eq!(joined(&records, &pool).unwrap(), expected);
        }
    }

    #[test]
    fn a_file_out_of_order_is_named() {
        let sorted = file(2, &[], &[[1; 12], [2; 12]].concat());
        let unsorted = file(2, &[], &[[2; 12], [1; 12]].concat());
        let records = file(1, &[], &record([9; 12], 0));
        let twice = file(2, &[], &[record([1; 12], 0), record([1; 12], 1)].concat());
        let run = |records: &[u8], pool: &[u8]| {
            join(&mut Records::open(records).unwrap(), &mut Pool::open(pool).unwrap(), |_, _| Ok(()))
        };
        run(&records, &sorted).unwrap();
        assert!(matches!(run(&records, &unsorted), Err(JoinError::Pool(RunError::Refused(Reason::NotSorted)))));
        assert!(matches!(run(&twice, &sorted), Err(JoinError::Records(RunError::Refused(Reason::NotSorted)))));
    }

    #[test]
    fn agrees_with_sets_across_blocks() {
        let numbered = |i: u32| {
            let mut tag = [0; 12];
            tag[4..8].copy_from_slice(&i.to_be_bytes());
            tag
        };
        let records: BTreeMap<_, _> = (0..30_000).map(|i| (numbered(i * 2), i)).collect();
        let pool: BTreeSet<_> = (0..50_000).filter(|i| i % 7 < 3).map(numbered).collect();
        let expected: Vec<_> = records.iter().map(|(tag, handle)| (*handle, pool.contains(tag))).collect();
        assert_eq!(joined(&records, &pool).unwrap(), expected);
    }
}
