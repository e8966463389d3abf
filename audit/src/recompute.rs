//! Recomputes at a node what it announced in a round: its pools from the people behind them, its records and row lists from
//! its roster snapshot, with the round's seed and the matching keys that lie sealed there. Nothing in these files is
//! the node's to choose, so the digests are either equal or not.
//!
//! Whether the sealed people are those of the department's records cannot be seen here: that is compared with the
//! records themselves.
//!
//! In memory are the people of one channel, or one owner's rows and the records of one class: 32 bytes for each record,
//! and at most [`ITEMS_MAX`] of anything.

mod canaries;
mod deferral;
mod facts;
mod node;
mod pools;
mod rows;

use std::path::{Path, PathBuf};

use wugan_keys::{Custody, Identity, StorageKey, store::StoreError};
use wugan_protocol::{
    envelope::Signer as _,
    month::Month,
    party::{Party, Role},
    statement::Kept,
    texts,
};

use crate::{
    folder::LogFiles,
    replay::{CannotReplay, Replayed, deleted, is_home_of},
    round::{self, Found, LoggedRound},
};
use node::Node;

texts! {
    /// Why a node's files cannot be looked at.
    #[derive(Debug, thiserror::Error)]
    pub enum CannotRecompute {
        /// As at a server.
        Replay(#[from] error: CannotReplay) "{error}" "{error}";
        /// The storage key, or the identity beside it.
        Keys(#[from] error: StoreError) "{error}" "{error}";
        /// An identity that is no node's of this federation.
        OtherKeys { keys: PathBuf, member: String }
            "the identity in {keys} is not the one that the federation manifest lists for the node of {member}; name this node's \
             key folder with --keys"
            "{keys} 中的身份与联合体清单所列 {member} 节点的不一致；请用 --keys 指定该节点的密钥文件夹";
        /// A storage key that opens nothing.
        OpensNothing { home: PathBuf, keys: PathBuf }
            "the storage key in {keys} opens none of the sealed files in {home}: name the folders of one and the same node"
            "{keys} 中的存储密钥打不开 {home} 中的任何密封文件：请指定同一节点的文件夹";
        /// The facts of enrolment.
        Database { path: PathBuf, error: rusqlite::Error }
            "the state database {path} cannot be read: {error}"
            "状态数据库 {path} 无法读取：{error}";
        /// More than fits memory.
        TooMany { file: String }
            "{file} has more than {ITEMS_MAX} items, more than this program holds in memory"
            "{file} 超过 {ITEMS_MAX} 项，超出本程序可容纳的内存";
    }
}

/// Items of one kind held in memory: with 32 bytes each, 2 GiB.
pub const ITEMS_MAX: usize = 1 << 26;

/// Verifies a log, and recomputes what the node whose home is `home` announced in a month's round. `keys` is the folder of
/// its keys, opened as `custody` says.
///
/// # Errors
/// See [`CannotRecompute`].
pub fn recompute(
    files: &LogFiles,
    authority: &[u8; 32],
    month: Month,
    home: &Path,
    keys: &Path,
    custody: &Custody,
) -> Result<Replayed, CannotRecompute> {
    recompute_found(round::find(files, authority, month), month, home, keys, custody)
}

/// The same in a log that was verified.
///
/// # Errors
/// See [`CannotRecompute`].
pub fn recompute_found(
    found: Found,
    month: Month,
    home: &Path,
    keys: &Path,
    custody: &Custody,
) -> Result<Replayed, CannotRecompute> {
    let (report, found) = found;
    let mut replayed = Replayed::of_log(report, month);
    let Some(told) = found else { return Ok(replayed.unless_empty()?) };
    let storage = StorageKey::open(keys, custody)?;
    let party = party(&told, keys, &storage)?;
    replayed.party = Some(told.federation.party_name(party));
    deleted(&told, party, Kept::Files)?;
    is_home_of(home, &told.federation.party_name(party))?;
    let mut node = Node::open(&told, party, home, &storage)?;
    node.attempt(pools::recompute)?;
    node.attempt(rows::recompute)?;
    node.attempt(canaries::recompute)?;
    if node.opens_nothing()? {
        return Err(CannotRecompute::OpensNothing { home: home.to_owned(), keys: keys.to_owned() });
    }
    node.finish(&mut replayed);
    Ok(replayed)
}

/// Whose keys these are.
fn party(told: &LoggedRound, keys: &Path, storage: &StorageKey) -> Result<Party, CannotRecompute> {
    let identity = Identity::read(keys, Role::Node, storage)?;
    let party = told.federation.party(identity.member(), Role::Node);
    let listed = party.filter(|party| told.federation.key(*party) == Some(identity.public_key()));
    let other = || CannotRecompute::OtherKeys { keys: keys.to_owned(), member: identity.member().to_owned() };
    listed.ok_or_else(other)
}
