//! The relay of enrolment messages between nodes: only what a signed, logged entry binds, only to those it concerns.
//! Nothing is stored; who was not there gets the batch when the owner sends it again.

use wugan_protocol::{
    hexes::sha256,
    ledger::Ledger,
    party::{MemberNumber, Party, Role},
    reason::Reason,
};

use crate::peers::Peers;

/// To whom a batch of blinded elements goes.
///
/// # Errors
/// [`Reason::BatchDiffers`] when it is not the logged batch of this owner, or names others than it addresses.
pub(crate) fn batch(
    ledger: &Ledger,
    peers: &Peers,
    from: Party,
    (owner, number): (MemberNumber, u64),
    sources: &[MemberNumber],
    blinded: &[[u8; 32]],
) -> Result<Vec<Party>, Reason> {
    let logged = ledger.batch(owner, number).filter(|_| from == node(owner)).ok_or(Reason::BatchDiffers)?;
    let addressed = |source: &MemberNumber| logged.statement.sources.iter().any(|entry| entry.source == *source);
    let same = logged.statement.elements == sha256(blinded.as_flattened());
    if !same || !sources.iter().all(addressed) {
        return Err(Reason::BatchDiffers);
    }
    let mut parties: Vec<Party> = sources.iter().map(|source| node(*source)).collect();
    parties.sort_unstable();
    parties.dedup();
    parties.retain(|party| peers.follows(*party));
    Ok(parties)
}

/// To whom a source's answer goes: the owner, if it is there.
///
/// # Errors
/// [`Reason::BatchDiffers`] when it is not the logged evaluation of this source.
pub(crate) fn answer(
    ledger: &Ledger,
    peers: &Peers,
    from: Party,
    (owner, number, source): (MemberNumber, u64, MemberNumber),
    evaluated: &[[u8; 32]],
    proof: &[[u8; 32]; 2],
) -> Result<Vec<Party>, Reason> {
    let logged = ledger.batch(owner, number).filter(|_| from == node(source)).ok_or(Reason::BatchDiffers)?;
    let bytes = [evaluated.as_flattened(), proof.as_flattened()].concat();
    if logged.answers.get(&source) != Some(&sha256(&bytes)) {
        return Err(Reason::BatchDiffers);
    }
    Ok(vec![node(owner)].into_iter().filter(|owner| peers.follows(*owner)).collect())
}

fn node(member: MemberNumber) -> Party {
    Party { member, role: Role::Node }
}
