//! The seed of all random choices of a round at this node, sealed for the retention time.

use std::io::{self, Read, Write};

use ring::rand::{SecureRandom, SystemRandom};
use wugan_protocol::{at_rest, chance::RoundSeed, hexes::Digest};

use crate::vault::Vault;

/// The seed of a round: made at the first call, the same ever after.
///
/// # Errors
/// Those of the disk, or a system without randomness.
pub fn round_seed(vault: &Vault, round: Digest) -> io::Result<RoundSeed> {
    let name = at_rest::seed(round);
    if let Some(mut file) = vault.open_existing(&name)? {
        let mut bytes = [0; 32];
        file.read_exact(&mut bytes)?;
        return Ok(RoundSeed::new(bytes));
    }
    let seed = RoundSeed::new(fresh()?);
    vault.write(&name, |out| out.write_all(seed.as_bytes()))?;
    Ok(seed)
}

/// 32 bytes of the system's randomness.
///
/// # Errors
/// A system without randomness.
pub fn fresh() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system gives no randomness"))?;
    Ok(bytes)
}
