//! Ed25519 identities of roles (RFC 8032), and the certificates that show them in TLS.

use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, PKCS_ED25519, PublicKeyData, SignatureAlgorithm, SigningKey};
use ring::signature::{Ed25519KeyPair, KeyPair};
use wugan_protocol::{envelope::Signer, party::Role};
use zeroize::Zeroizing;

use crate::{
    pair::Pair,
    store::{StorageKey, StoreError},
};

/// The identity of one role of one member: it signs documents and shows itself in TLS.
pub struct Identity {
    member: String,
    role: Role,
    pair: Pair,
    certificate: Vec<u8>,
}

impl Identity {
    /// A fresh identity, in memory only.
    ///
    /// # Errors
    /// [`IdentityError::MemberId`]; [`IdentityError::Key`] when the system gives no randomness.
    pub fn generate(member: &str, role: Role) -> Result<Identity, IdentityError> {
        Self::of(member, role, Pair::generate()?)
    }

    /// Writes the identity to [`Self::path`], encrypted.
    ///
    /// # Errors
    /// Of [`StorageKey::write`]: an identity is never replaced.
    pub fn write(&self, dir: &Path, storage: &StorageKey) -> Result<(), StoreError> {
        let secret = Zeroizing::new([self.member.as_bytes(), b"\n", self.pair.pkcs8()].concat());
        storage.write(&Self::path(dir, self.role), &kind(self.role), &secret)
    }

    /// Reads the identity of a role.
    ///
    /// # Errors
    /// Of [`StorageKey::read`], and when its content is not an identity.
    pub fn read(dir: &Path, role: Role, storage: &StorageKey) -> Result<Identity, StoreError> {
        let path = Self::path(dir, role);
        let secret = storage.read(&path, &kind(role))?;
        Self::parse(role, &secret).ok_or(StoreError::Damaged { path })
    }

    /// The file of a role's identity in a directory: `identity-node.age`, and `authority.key.age`.
    pub fn path(dir: &Path, role: Role) -> PathBuf {
        match role {
            Role::Authority => dir.join("authority.key.age"),
            role => dir.join(format!("identity-{}.age", role.name())),
        }
    }

    /// The member's id.
    pub fn member(&self) -> &str {
        &self.member
    }

    /// The role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The certificate (DER, self-signed, subject `member/role`) and the private key (PKCS#8, DER) for TLS.
    ///
    /// Peers compare the certificate's key with the federation manifest; nothing else in it means anything. The same
    /// identity always has the same certificate, valid from 1975 to 4096.
    pub fn tls(&self) -> (Vec<u8>, Zeroizing<Vec<u8>>) {
        (self.certificate.clone(), self.pair.pkcs8().clone())
    }

    fn of(member: &str, role: Role, pair: Pair) -> Result<Identity, IdentityError> {
        check_member_id(member)?;
        let certificate = certificate(member, role, pair.ring()).map_err(|_| IdentityError::Certificate)?;
        Ok(Identity { member: member.to_owned(), role, pair, certificate })
    }

    fn parse(role: Role, secret: &[u8]) -> Option<Identity> {
        let end = secret.iter().position(|&byte| byte == b'\n')?;
        let member = std::str::from_utf8(&secret[..end]).ok()?;
        Self::of(member, role, Pair::from_pkcs8(Zeroizing::new(secret[end + 1..].to_vec())).ok()?).ok()
    }
}

impl Signer for Identity {
    fn public_key(&self) -> [u8; 32] {
        self.pair.public_key()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(message)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({}/{} {})", self.member, self.role.name(), hex::encode(self.public_key()))
    }
}

wugan_protocol::texts! {
    /// Why there is no identity.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
    pub enum IdentityError {
        /// The id would not be safe in file names and certificates.
        MemberId
            "a member id has 1 to {MEMBER_ID_BYTES_MAX} characters of a-z, 0-9, `_` and `-`"
            "成员 id 须为 1 至 {MEMBER_ID_BYTES_MAX} 个字符，只用 a-z、0-9、`_`、`-`";
        /// Not an Ed25519 key.
        Key "no usable Ed25519 key" "没有可用的 Ed25519 密钥";
        /// It cannot be certified.
        Certificate "the certificate cannot be made" "无法生成证书";
    }
}

/// Refuses ids that would not be safe in file names and certificates.
///
/// # Errors
/// [`IdentityError::MemberId`].
pub fn check_member_id(id: &str) -> Result<(), IdentityError> {
    let safe = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    let good = (1..=MEMBER_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(safe);
    good.then_some(()).ok_or(IdentityError::MemberId)
}

/// An X.509 common name has at most 64 characters, the role included.
const MEMBER_ID_BYTES_MAX: usize = 48;

fn kind(role: Role) -> String {
    format!("identity/{}", role.name())
}

fn certificate(member: &str, role: Role, pair: &Ed25519KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    let mut params = CertificateParams::new(vec!["wugan".to_owned()])?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, format!("{member}/{}", role.name()));
    Ok(params.self_signed(&CertificateKey(pair))?.der().to_vec())
}

/// Lets the certificate be signed without giving the library a copy of the key.
struct CertificateKey<'a>(&'a Ed25519KeyPair);

impl PublicKeyData for CertificateKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl SigningKey for CertificateKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use ring::signature::{ED25519, UnparsedPublicKey};

    #[test]
    fn an_identity_round_trips_with_the_same_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let storage = StorageKey::generate();
        let identity = Identity::generate("civil_affairs", Role::Node).unwrap();
        identity.write(dir.path(), &storage).unwrap();
        let again = Identity::read(dir.path(), Role::Node, &storage).unwrap();
        assert_eq!((again.member(), again.role()), ("civil_affairs", Role::Node));
        assert_eq!(again.public_key(), identity.public_key());
        assert_eq!(again.tls(), identity.tls());
        assert!(matches!(identity.write(dir.path(), &storage), Err(StoreError::Exists { .. })));
    }

    #[test]
    fn its_signatures_verify() {
        let identity = Identity::generate("civil_affairs", Role::Node).unwrap();
        let signature = Signer::sign(&identity, b"message");
        let key = UnparsedPublicKey::new(&ED25519, identity.public_key());
        assert!(key.verify(b"message", &signature).is_ok());
        assert!(key.verify(b"massage", &signature).is_err());
    }

    #[test]
    fn the_certificate_shows_the_key_and_the_party() {
        let identity = Identity::generate("civil_affairs", Role::Node).unwrap();
        let (certificate, pkcs8) = identity.tls();
        let contains = |part: &[u8]| certificate.windows(part.len()).any(|window| window == part);
        let spki = [&hex::decode("302a300506032b6570032100").unwrap()[..], &identity.public_key()].concat();
        assert!(contains(&spki));
        assert!(contains(b"civil_affairs/node"));
        assert_eq!(Ed25519KeyPair::from_pkcs8(&pkcs8).unwrap().public_key().as_ref(), identity.public_key());
    }

    #[test]
    fn an_identity_in_the_place_of_another_role_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let storage = StorageKey::generate();
        Identity::generate("m", Role::Node).unwrap().write(dir.path(), &storage).unwrap();
        let (node, matcher) = (Identity::path(dir.path(), Role::Node), Identity::path(dir.path(), Role::Matcher));
        std::fs::copy(node, matcher).unwrap();
        let error = Identity::read(dir.path(), Role::Matcher, &storage).unwrap_err();
        assert!(matches!(error, StoreError::OtherKind { .. }));
    }

    #[test]
    fn content_that_is_no_identity_is_damage() {
        for content in [&b""[..], b"member", b"member\n", b"member\nno key", b"../member\n"] {
            let dir = tempfile::tempdir().unwrap();
            let storage = StorageKey::generate();
            storage.write(&Identity::path(dir.path(), Role::Node), "identity/node", content).unwrap();
            assert!(matches!(Identity::read(dir.path(), Role::Node, &storage), Err(StoreError::Damaged { .. })));
        }
    }

    #[test]
    fn unsafe_member_ids_are_refused() {
        for id in ["", "../x", "a b", "A", "民政局", &"a".repeat(49)] {
            assert_eq!(Identity::generate(id, Role::Node).unwrap_err(), IdentityError::MemberId);
        }
    }

    #[test]
    fn debug_shows_the_public_key_only() {
        let identity = Identity::generate("m", Role::Matcher).unwrap();
        let public = hex::encode(identity.public_key());
        assert_eq!(format!("{identity:?}"), format!("Identity(m/matcher {public})"));
    }
}
