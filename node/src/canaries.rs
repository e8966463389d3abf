//! The canaries on this department's rosters in one round, as they stood when the roster was read: what comes back for
//! them must not be taken for decisions about people. Sealed beside the roster snapshot.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use wugan_keys::Canaries;
use wugan_protocol::{
    at_rest::{self, SNAPSHOT_ROW_BYTES as ROW_BYTES},
    hexes::{Digest, Hex},
    person::PersonId,
    policy::Decision,
};

use crate::{
    snapshot::roster_row,
    vault::{Vault, person_of, read_item},
};

/// Which canaries stand on the rosters of a round, and what must be decided about them.
pub struct RoundCanaries {
    /// SHA-256 of the file in which the authority issued them.
    pub document: Digest,
    /// By person and the matter's place among the owner's.
    pub expected: BTreeMap<(PersonId, u16), Decision>,
}

impl RoundCanaries {
    /// Seals them for a round; what was sealed for it before is replaced.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn save(canaries: Option<&Canaries>, vault: &Vault, round: Digest) -> io::Result<()> {
        let Some(canaries) = canaries.filter(|canaries| !canaries.expected().is_empty()) else {
            return vault.remove(&at_rest::canaries(round));
        };
        vault.write(&at_rest::canaries(round), |out| {
            out.write_all(&canaries.document().0)?;
            canaries.expected().iter().try_for_each(|((person, place), decision)| {
                out.write_all(&roster_row(*person, *place))?;
                out.write_all(&[*decision as u8])
            })
        })
    }

    /// Those of a round; none if there are none.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn load(vault: &Vault, round: Digest) -> io::Result<Option<RoundCanaries>> {
        let Some(mut sealed) = vault.open_existing(&at_rest::canaries(round))? else { return Ok(None) };
        let mut document = [0; 32];
        sealed.read_exact(&mut document)?;
        let mut expected = BTreeMap::new();
        while let Some(item) = read_item::<ITEM_BYTES>(&mut sealed)? {
            let decision = Decision::ALL.into_iter().find(|decision| *decision as u8 == item[ROW_BYTES]);
            let decision = decision.ok_or(io::ErrorKind::InvalidData)?;
            expected.insert((person_of(&item)?, u16::from_be_bytes([item[8], item[9]])), decision);
        }
        Ok(Some(RoundCanaries { document: Hex(document), expected }))
    }
}

/// A roster's row and the decision.
const ITEM_BYTES: usize = ROW_BYTES + 1;
