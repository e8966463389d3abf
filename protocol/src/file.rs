//! The files of a round: which there are, who makes them for whom, and the bytes that they begin with.

use serde::{Deserialize, Serialize};

use crate::{
    limits::{FILE_ITEMS_MAX, POLICY_ITEMS_MAX},
    party::{MemberNumber, Role},
    policy::Class,
};

/// Identifies one file of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FileKey {
    /// Source to matcher: the tags of one channel for one pool group.
    Pool {
        /// Channel number.
        channel: u16,
        /// Pool group, from 0.
        group: u8,
    },
    /// Owner to matcher: tags and handles of one channel.
    Records {
        /// The owner's member number.
        owner: MemberNumber,
        /// Channel number.
        channel: u16,
    },
    /// Owner to aggregator: the rows of each handle of one class.
    Rows {
        /// The owner's member number.
        owner: MemberNumber,
        /// The class.
        class: Class,
    },
    /// Matcher to aggregator: which handles of one class were met.
    Bitmap {
        /// The owner's member number.
        owner: MemberNumber,
        /// The class.
        class: Class,
    },
    /// Aggregator to coordinator: the signal bits of each row.
    Bits {
        /// The owner's member number.
        owner: MemberNumber,
    },
    /// Coordinator to owner: one byte for each row.
    Decisions {
        /// The owner's member number.
        owner: MemberNumber,
    },
}

impl FileKey {
    /// The name under which any party keeps the file of a round.
    pub fn name(self) -> String {
        match self {
            FileKey::Pool { channel, group } => format!("pool-{channel}-{group}"),
            FileKey::Records { owner, channel } => format!("records-{owner}-{channel}"),
            FileKey::Rows { owner, class } => format!("rows-{owner}-{}", class.name()),
            FileKey::Bitmap { owner, class } => format!("bitmap-{owner}-{}", class.name()),
            FileKey::Bits { owner } => format!("bits-{owner}"),
            FileKey::Decisions { owner } => format!("decisions-{owner}"),
        }
    }

    /// The role that makes and announces it.
    pub fn maker(self) -> Role {
        match self {
            FileKey::Pool { .. } | FileKey::Records { .. } | FileKey::Rows { .. } => Role::Node,
            FileKey::Bitmap { .. } => Role::Matcher,
            FileKey::Bits { .. } => Role::Aggregator,
            FileKey::Decisions { .. } => Role::Coordinator,
        }
    }

    /// The roster owner that it is about; none for pools.
    pub fn owner(self) -> Option<MemberNumber> {
        match self {
            FileKey::Pool { .. } => None,
            FileKey::Records { owner, .. }
            | FileKey::Rows { owner, .. }
            | FileKey::Bitmap { owner, .. }
            | FileKey::Bits { owner }
            | FileKey::Decisions { owner } => Some(owner),
        }
    }
}

/// What a file begins with: 32 random bytes, the exact count (u64) and, in rows, bits and decisions, the number of
/// rows of each of the owner's matters (u32 each, policy order). Integers are little-endian.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// So that the digest tells nothing.
    pub salt: [u8; 32],
    /// Items: tags, records, row-list words, handles, or rows.
    pub count: u64,
    /// Rows of each of the owner's matters; empty in pools, records and bitmaps.
    pub rows: Vec<u32>,
}

impl Header {
    /// Bytes of a header with this many matters.
    pub fn bytes(matters: usize) -> usize {
        40 + 4 * matters
    }

    /// The header's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::bytes(self.rows.len()));
        bytes.extend(self.salt);
        bytes.extend(self.count.to_le_bytes());
        self.rows.iter().for_each(|rows| bytes.extend(rows.to_le_bytes()));
        bytes
    }

    /// Reads a header with rows for `matters` matters.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn decode(bytes: &[u8], matters: usize) -> Result<Header, HeaderError> {
        if matters > POLICY_ITEMS_MAX || bytes.len() != Self::bytes(matters) {
            return Err(HeaderError::Length);
        }
        let (salt, rest) = bytes.split_first_chunk().ok_or(HeaderError::Length)?;
        let (count, rest) = rest.split_first_chunk().ok_or(HeaderError::Length)?;
        let count = u64::from_le_bytes(*count);
        if count > FILE_ITEMS_MAX {
            return Err(HeaderError::Count);
        }
        let rows = rest.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        Ok(Header { salt: *salt, count, rows })
    }
}

/// A header that cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HeaderError {
    /// Too short or too long.
    #[error("the file's header has another length than it should")]
    Length,
    /// More items than a file may have.
    #[error("the file's header counts more than {FILE_ITEMS_MAX} items")]
    Count,
}
