//! OPRF keys of a source, one for each key epoch: created, announced, kept, destroyed (protocol, sections 3 and 8).

use std::path::{Path, PathBuf};

use getrandom::rand_core::CryptoRng;
use wugan_protocol::{
    envelope::{Body, EnvelopeError, Head, Signed, Signer},
    hexes::{Digest, Hex},
    manifest::Federation,
    oprf::{KeyContext, NonceKey, SecretKey, prove_key},
    party::{MemberNumber, Role},
    statement::{KeyEpoch, Statement},
};
use zeroize::Zeroizing;

use crate::{
    identity::Identity,
    store::{self, StorageKey, StoreError},
};

/// A source's OPRF key of one epoch, with the key of its proofs' nonces.
pub struct EpochKey {
    number: u32,
    key: SecretKey,
    nonce_key: NonceKey,
}

/// Where an entry stands in its sender's own sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The sender's count of entries before it.
    pub seq: u64,
    /// Hash of the entry before; none in the first.
    pub prev: Option<Digest>,
}

impl Place {
    /// Of a sender's first entry.
    pub const FIRST: Place = Place { seq: 0, prev: None };
}

impl EpochKey {
    /// Fresh keys for an epoch (from 1), in memory only.
    pub fn generate<R: CryptoRng + ?Sized>(number: u32, rng: &mut R) -> EpochKey {
        EpochKey { number, key: SecretKey::generate(rng), nonce_key: NonceKey::generate(rng) }
    }

    /// The epoch.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The OPRF key `k_j`.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The key of the nonces of this epoch's proofs.
    pub fn nonce_key(&self) -> &NonceKey {
        &self.nonce_key
    }

    /// What announces the key: epoch, `K_j`, and a proof of knowledge of `k_j` for this federation, member and epoch.
    /// `fresh`: 32 random bytes.
    pub fn statement(&self, federation: Digest, member: MemberNumber, fresh: &[u8; 32]) -> Statement {
        let context = KeyContext { federation: federation.0, source: member, epoch: self.number };
        let proof = prove_key(&self.key, &context, &self.nonce_key, fresh);
        let key = Hex(*self.key.public().as_bytes());
        Statement::KeyEpoch(KeyEpoch { epoch: self.number, key, proof: Hex(proof.to_bytes()) })
    }

    /// The signed entry that announces the key. `now`: seconds since 1970 UTC; `fresh`: 32 random bytes.
    ///
    /// # Errors
    /// [`AnnounceError`]: the identity is not the one that the federation manifest names.
    pub fn announce(
        &self,
        federation: &Federation,
        identity: &Identity,
        place: Place,
        now: u64,
        fresh: &[u8; 32],
    ) -> Result<Signed, AnnounceError> {
        let party = federation.party(identity.member(), Role::Node).filter(|_| identity.role() == Role::Node);
        let party = party.ok_or_else(|| AnnounceError::NoNode(identity.member().to_owned()))?;
        if federation.key(party) != Some(identity.public_key()) {
            return Err(AnnounceError::OtherIdentity(federation.party_name(party)));
        }
        let head = Head {
            federation: Some(federation.hash()),
            round: None,
            sender: identity.member().to_owned(),
            role: Role::Node,
            seq: place.seq,
            prev: place.prev,
            time: now,
        };
        let statement = self.statement(federation.hash(), party.member, fresh);
        Ok(Body { head, statement }.sign(identity)?)
    }

    /// Writes the keys to [`Self::path`], encrypted.
    ///
    /// # Errors
    /// Of [`StorageKey::write`]: an epoch is never replaced.
    pub fn write(&self, dir: &Path, storage: &StorageKey) -> Result<(), StoreError> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        secret[..32].copy_from_slice(&*self.key.to_bytes());
        secret[32..].copy_from_slice(self.nonce_key.as_bytes());
        storage.write(&Self::path(dir, self.number), &kind(self.number), &*secret)
    }

    /// Reads the keys of an epoch.
    ///
    /// # Errors
    /// Of [`StorageKey::read`], and when the content is not that of an epoch.
    pub fn read(dir: &Path, number: u32, storage: &StorageKey) -> Result<EpochKey, StoreError> {
        let path = Self::path(dir, number);
        let secret = storage.read(&path, &kind(number))?;
        Self::parse(number, &secret).ok_or(StoreError::Damaged { path })
    }

    /// Destroys the keys of an epoch: its last round's retention has ended. Copies in backups stay, encrypted to the
    /// storage key.
    ///
    /// # Errors
    /// Of [`store::remove`].
    pub fn destroy(self, dir: &Path) -> Result<(), StoreError> {
        store::remove(&Self::path(dir, self.number))
    }

    /// The file of an epoch in a directory: `epoch-1.age`.
    pub fn path(dir: &Path, number: u32) -> PathBuf {
        dir.join(format!("epoch-{number}.age"))
    }

    /// The epoch of a file name, if it is one.
    pub fn number_of(name: &str) -> Option<u32> {
        let number = name.strip_prefix("epoch-")?.strip_suffix(".age")?;
        number.parse().ok().filter(|parsed: &u32| parsed.to_string() == number)
    }

    fn parse(number: u32, secret: &[u8]) -> Option<EpochKey> {
        let secret = <&[u8; SECRET_BYTES]>::try_from(secret).ok()?;
        let (halves, _) = secret.as_chunks::<32>();
        let key = SecretKey::from_bytes(&halves[0]).ok()?;
        Some(EpochKey { number, key, nonce_key: NonceKey::from_bytes(halves[1]) })
    }
}

impl std::fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EpochKey({} {})", self.number, hex::encode(self.key.public().as_bytes()))
    }
}

wugan_protocol::texts! {
    /// Why a key is not announced.
    #[derive(Debug, thiserror::Error, PartialEq, Eq)]
    pub enum AnnounceError {
        /// Only nodes of members have epochs.
        NoNode(id: String)
            "{id} is not the identity of a node of this federation: check --member and the federation manifest"
            "{id} 不是本联合体节点的身份：请核对 --member 与联合体清单";
        /// The manifest names another key.
        OtherIdentity(party: String)
            "the federation manifest names another key for {party}: send the authority this directory's identity card"
            "联合体清单所列 {party} 的密钥与此不同：请把本目录的身份卡交给授权方";
        /// It cannot be signed.
        Envelope(#[from] error: EnvelopeError) "{error}" "{error}";
    }
}

/// OPRF key and nonce key.
const SECRET_BYTES: usize = 64;

fn kind(number: u32) -> String {
    format!("epoch/{number}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use getrandom::{SysRng, rand_core::UnwrapErr};
    use wugan_protocol::{
        envelope::Unverified,
        oprf::{Proof, PublicKey, verify_key},
    };

    use crate::authority::tests::City;

    fn epoch(number: u32) -> EpochKey {
        EpochKey::generate(number, &mut UnwrapErr(SysRng))
    }

    #[test]
    fn an_epoch_round_trips_and_is_destroyed() {
        let dir = tempfile::tempdir().unwrap();
        let storage = StorageKey::generate();
        let made = epoch(3);
        made.write(dir.path(), &storage).unwrap();
        let again = EpochKey::read(dir.path(), 3, &storage).unwrap();
        assert_eq!(again.number(), 3);
        assert_eq!(*again.key().to_bytes(), *made.key().to_bytes());
        assert_eq!(again.nonce_key().as_bytes(), made.nonce_key().as_bytes());
        assert!(matches!(made.write(dir.path(), &storage), Err(StoreError::Exists { .. })));
        again.destroy(dir.path()).unwrap();
        assert!(matches!(EpochKey::read(dir.path(), 3, &storage), Err(StoreError::Io { .. })));
    }

    #[test]
    fn an_epoch_in_the_place_of_another_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let storage = StorageKey::generate();
        epoch(1).write(dir.path(), &storage).unwrap();
        std::fs::copy(EpochKey::path(dir.path(), 1), EpochKey::path(dir.path(), 2)).unwrap();
        assert!(matches!(EpochKey::read(dir.path(), 2, &storage), Err(StoreError::OtherKind { .. })));
    }

    #[test]
    fn content_that_is_no_key_is_damage() {
        for content in [&[1; 63][..], &[1; 65], &[0; 64], &[255; 64]] {
            let dir = tempfile::tempdir().unwrap();
            let storage = StorageKey::generate();
            storage.write(&EpochKey::path(dir.path(), 1), "epoch/1", content).unwrap();
            assert!(matches!(EpochKey::read(dir.path(), 1, &storage), Err(StoreError::Damaged { .. })));
        }
    }

    #[test]
    fn the_announcement_verifies_for_its_federation_member_and_epoch_only() {
        let city = City::new();
        let federation = city.sign().unwrap();
        let node = city.identity("registry", Role::Node);
        let place = Place { seq: 7, prev: Some(Hex([5; 32])) };
        let signed = epoch(2).announce(&federation, node, place, 1_000, &[9; 32]).unwrap();

        let read = Unverified::read(signed.bytes()).unwrap();
        assert_eq!(read.claimed(), ("registry", Role::Node));
        let body = read.verify(&node.public_key()).unwrap().body().clone();
        assert_eq!((body.head.seq, body.head.prev, body.head.time), (7, place.prev, 1_000));
        assert_eq!((body.head.federation, body.head.round), (Some(federation.hash()), None));
        let Statement::KeyEpoch(statement) = body.statement else { panic!("another statement") };
        let key = PublicKey::from_bytes(&statement.key.0).unwrap();
        let proof = Proof::from_bytes(&statement.proof.0).unwrap();
        let member = federation.policy().member_number("registry").unwrap();
        let context = KeyContext { federation: federation.hash().0, source: member, epoch: 2 };
        assert!(verify_key(&key, &context, &proof).is_ok());
        for other in [
            KeyContext { federation: [0; 32], ..context },
            KeyContext { source: member + 1, ..context },
            KeyContext { epoch: 3, ..context },
        ] {
            assert!(verify_key(&key, &other, &proof).is_err());
        }
    }

    #[test]
    fn only_the_identity_in_the_manifest_announces() {
        let city = City::new();
        let federation = city.sign().unwrap();
        let announce = |identity: &Identity| {
            epoch(1).announce(&federation, identity, Place::FIRST, 0, &[0; 32]).map(|_| ()).unwrap_err()
        };
        let stranger = Identity::generate("stranger", Role::Node).unwrap();
        assert_eq!(announce(&stranger), AnnounceError::NoNode("stranger".into()));
        assert_eq!(announce(city.identity("office", Role::Coordinator)), AnnounceError::NoNode("office".into()));
        let other = Identity::generate("registry", Role::Node).unwrap();
        assert_eq!(announce(&other), AnnounceError::OtherIdentity("registry/node".into()));
    }

    #[test]
    fn file_names_tell_the_epoch() {
        assert_eq!(EpochKey::number_of("epoch-12.age"), Some(12));
        for name in ["epoch-.age", "epoch-01.age", "epoch-+1.age", "epoch-1", "identity-node.age"] {
            assert_eq!(EpochKey::number_of(name), None);
        }
    }

    #[test]
    fn debug_shows_the_public_key_only() {
        let key = epoch(4);
        assert_eq!(format!("{key:?}"), format!("EpochKey(4 {})", hex::encode(key.key().public().as_bytes())));
    }
}
