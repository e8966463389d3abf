//! Cosignatures, C2SP tlog-cosignature v1: a member's statement that a checkpoint extends all that it saw of the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use super::{
    checkpoint::{VerifiedCheckpoint, write_text},
    merkle::Tree,
    note::{Algorithm, KeyError, KeyId, SignatureError, SignatureLine, VerifierKey},
    seen::SeenTree,
};
use crate::{envelope::Signer, party::MemberNumber};

/// Cosigns a checkpoint that was just seen, at `time` (seconds since 1970). What was seen must be durable by now.
///
/// # Errors
/// See [`CosignError`].
pub fn cosign(
    seen: &SeenTree,
    checkpoint: &VerifiedCheckpoint,
    name: &str,
    signer: &dyn Signer,
    time: u64,
) -> Result<SignatureLine, CosignError> {
    if seen.tree() != checkpoint.tree() {
        return Err(CosignError::NotSeen);
    }
    if !(1..=TIME_MAX).contains(&time) {
        return Err(CosignError::Time);
    }
    let key = VerifierKey::new(name, Algorithm::CosignatureV1, signer.public_key())?;
    let signature = signer.sign(&message(checkpoint.note().text(), time));
    Ok(SignatureLine::new(&key, &[&time.to_be_bytes()[..], &signature].concat()))
}

/// The signature of a cosigner over a tree of the log of this origin: what [`cosign`] puts into a line, where the line
/// itself is not at hand.
pub fn sign_tree(tree: Tree, origin: &str, signer: &dyn Signer, time: u64) -> [u8; 64] {
    signer.sign(&message(&write_text(tree, origin), time))
}

/// Verifies what [`sign_tree`] made.
///
/// # Errors
/// [`SignatureError::Bad`].
pub fn verify_tree(
    tree: Tree,
    origin: &str,
    key: &VerifierKey,
    time: u64,
    signature: &[u8; 64],
) -> Result<(), SignatureError> {
    key.verify(&message(&write_text(tree, origin), time), signature)
}

impl VerifiedCheckpoint {
    /// Adds a cosignature of this tree that [`verify_tree`] accepts.
    pub fn add_cosignature(&mut self, line: SignatureLine) {
        self.add(line);
    }
}

impl VerifierKey {
    /// The line under a checkpoint's note of a signature that [`sign_tree`] made.
    pub fn cosignature_line(&self, time: u64, signature: &[u8; 64]) -> SignatureLine {
        SignatureLine::new(self, &[&time.to_be_bytes()[..], signature].concat())
    }
}

/// Why nothing was cosigned.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CosignError {
    /// The checkpoint is not the one seen last.
    #[error("a member cosigns only the checkpoint that it saw last")]
    NotSeen,
    /// Not a time.
    #[error("the time of a cosignature is from 1 to 2^63-1 seconds since 1970")]
    Time,
    /// A name that cannot name a key.
    #[error(transparent)]
    Name(#[from] KeyError),
}

/// Whose cosignatures count: the keys of members, by member number.
#[derive(Clone, Debug)]
pub struct Cosigners {
    by_id: BTreeMap<KeyId, (MemberNumber, VerifierKey)>,
}

impl Cosigners {
    /// A member may have several keys (its roles); a key is one member's.
    ///
    /// # Errors
    /// See [`CosignersError`].
    pub fn new(keys: impl IntoIterator<Item = (MemberNumber, VerifierKey)>) -> Result<Cosigners, CosignersError> {
        let (mut by_id, mut public_keys) = (BTreeMap::new(), BTreeSet::new());
        for (member, key) in keys {
            if key.algorithm() != Algorithm::CosignatureV1 {
                return Err(CosignersError::Algorithm { member });
            }
            let fresh = public_keys.insert(*key.public_key());
            if !fresh || by_id.insert(key.id(), (member, key)).is_some() {
                return Err(CosignersError::Twice { member });
            }
        }
        Ok(Cosigners { by_id })
    }
}

/// Why keys cannot be told apart or used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CosignersError {
    /// A key that is not for cosignatures.
    #[error("a key of member {member} is not a cosigner's")]
    Algorithm {
        /// The member's number.
        member: MemberNumber,
    },
    /// A key or its id occurs twice: the message does not name the cosigner, so that a shared key would count for two.
    #[error("a cosigning key of member {member}, or its id, is another key's too")]
    Twice {
        /// The member's number.
        member: MemberNumber,
    },
}

/// A checkpoint whose signature lines were all looked at.
#[derive(Clone, Debug)]
pub struct Cosigned {
    checkpoint: VerifiedCheckpoint,
    times: BTreeMap<MemberNumber, u64>,
    unknown: Vec<SignatureLine>,
    repeated: Vec<SignatureLine>,
}

impl Cosigned {
    /// Verifies every line that claims to be a cosigner's. `times` are the seconds since 1970 at which a cosignature may have been
    /// made: not before the round that it closes, not in the future.
    ///
    /// # Errors
    /// See [`CosignatureError`]: one bad line of a known key refuses the checkpoint.
    pub fn verify(
        checkpoint: VerifiedCheckpoint,
        cosigners: &Cosigners,
        times: &RangeInclusive<u64>,
    ) -> Result<Cosigned, CosignatureError> {
        let (mut members, mut unknown, mut repeated) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut keys = BTreeSet::new();
        for line in checkpoint.note().lines() {
            let known = match verify_line(&checkpoint, line, cosigners, times)? {
                Some((member, time)) => {
                    let latest: &mut u64 = members.entry(member).or_default();
                    *latest = time.max(*latest);
                    true
                }
                None => checkpoint.log().claims(line)?,
            };
            if !known {
                unknown.push(line.clone());
            } else if !keys.insert(line.id()) {
                repeated.push(line.clone());
            }
        }
        Ok(Cosigned { checkpoint, times: members, unknown, repeated })
    }

    /// Adds a cosignature that came in, unless its key has a line already; tells the member and its time.
    ///
    /// # Errors
    /// See [`CosignatureError`]; the checkpoint stays as it was.
    pub fn add(
        &mut self,
        line: SignatureLine,
        cosigners: &Cosigners,
        times: &RangeInclusive<u64>,
    ) -> Result<(MemberNumber, u64), CosignatureError> {
        let (member, time) =
            verify_line(&self.checkpoint, &line, cosigners, times)?.ok_or(CosignatureError::Unknown)?;
        if !self.checkpoint.note().lines().iter().any(|other| other.id() == line.id()) {
            self.checkpoint.add(line);
            self.times.insert(member, time);
        }
        Ok((member, time))
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.checkpoint
    }

    /// The members that cosigned, each with the time of its latest cosignature.
    pub fn members(&self) -> &BTreeMap<MemberNumber, u64> {
        &self.times
    }

    /// Lines of keys that are neither the log's nor a cosigner's: not counted, for an auditor to report.
    pub fn unknown(&self) -> &[SignatureLine] {
        &self.unknown
    }

    /// Lines of a key that had a line before: not counted again, for an auditor to report.
    pub fn repeated(&self) -> &[SignatureLine] {
        &self.repeated
    }

    /// Requires cosignatures of at least `needed` different members that are not `excluded`.
    ///
    /// # Errors
    /// [`TooFew`].
    pub fn quorum(self, needed: usize, excluded: &BTreeSet<MemberNumber>) -> Result<QuorumCheckpoint, TooFew> {
        let counted = self.times.keys().filter(|member| !excluded.contains(member)).count();
        if counted < needed { Err(TooFew { counted, needed }) } else { Ok(QuorumCheckpoint(self)) }
    }
}

/// A checkpoint that a quorum of members cosigned: no other log was shown to a quorum, unless the two had faulty members in common.
#[derive(Clone, Debug)]
pub struct QuorumCheckpoint(Cosigned);

impl QuorumCheckpoint {
    /// The checkpoint and who cosigned it.
    pub fn cosigned(&self) -> &Cosigned {
        &self.0
    }
}

/// Why a cosignature is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CosignatureError {
    /// Not by the key that the line names.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Not a time and a signature.
    #[error("a cosignature of {name} is not 8 bytes of time and 64 of signature")]
    Length {
        /// The key.
        name: String,
    },
    /// Made too early, or in the future.
    #[error("the time of a cosignature of {name} is not between the earliest accepted and now")]
    Time {
        /// The key.
        name: String,
    },
    /// Of a key that nobody knows.
    #[error("a cosignature of a key that is no member's")]
    Unknown,
}

/// A quorum was not reached.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{counted} members cosigned the checkpoint, {needed} are needed")]
pub struct TooFew {
    /// Members that count.
    pub counted: usize,
    /// Members needed.
    pub needed: usize,
}

/// Whose cosignature a line is, and of what time; `None` if it is no cosigner's.
fn verify_line(
    checkpoint: &VerifiedCheckpoint,
    line: &SignatureLine,
    cosigners: &Cosigners,
    times: &RangeInclusive<u64>,
) -> Result<Option<(MemberNumber, u64)>, CosignatureError> {
    let Some((member, key)) = cosigners.by_id.get(&line.id()) else { return Ok(None) };
    key.claims(line)?;
    let name = || key.name().to_owned();
    let Some((time, signature)) = line.signature().split_first_chunk().filter(|(_, signature)| signature.len() == 64)
    else {
        return Err(CosignatureError::Length { name: name() });
    };
    let time = u64::from_be_bytes(*time);
    if !times.contains(&time) || !(1..=TIME_MAX).contains(&time) {
        return Err(CosignatureError::Time { name: name() });
    }
    key.verify(&message(checkpoint.note().text(), time), signature)?;
    Ok(Some((*member, time)))
}

/// What a cosigner signs: `text` is that of the checkpoint's note.
fn message(text: &str, time: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// 2^63 - 1 seconds: the specification's largest time.
const TIME_MAX: u64 = i64::MAX as u64;
