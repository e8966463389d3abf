//! Whom a party knows: by the version of the federation manifest in force, and by confirmed ones to come.

use std::collections::HashSet;

use wugan_protocol::{
    manifest::{Federation, Versions},
    party::Party,
};

use super::ShellError;
use crate::config::Peer;

/// The parties of the version in force. One may have begun to use the key of a confirmed version to come.
pub(super) fn all(versions: &Versions, federation: &Federation) -> Vec<Peer> {
    let mut taken: HashSet<[u8; 32]> = federation.parties().filter_map(|party| federation.key(party)).collect();
    let mut peer = |party| {
        let to_come = versions.to_come(federation, party).filter_map(|(version, party)| version.key(party));
        let keys = federation.key(party).into_iter().chain(to_come.filter(|key| taken.insert(*key)));
        Peer { party, keys: keys.collect(), name: federation.party_name(party) }
    };
    federation.parties().map(&mut peer).collect()
}

/// Where to dial these parties: as the version in force says, then as those to come say.
///
/// # Errors
/// A party that does not listen.
pub(super) fn addresses(
    versions: &Versions,
    federation: &Federation,
    dial: &[Party],
) -> Result<Vec<(Party, Vec<String>)>, ShellError> {
    let addresses = |party: &Party| {
        let present = federation.address(*party).map(str::to_owned);
        let mut all = vec![present.ok_or_else(|| ShellError::NoAddress(federation.party_name(*party)))?];
        for (version, party) in versions.to_come(federation, *party) {
            all.extend(version.address(party).map(str::to_owned).filter(|address| !all.contains(address)));
        }
        Ok((*party, all))
    };
    dial.iter().map(addresses).collect()
}
