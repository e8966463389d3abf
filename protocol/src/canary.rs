//! Canaries are synthetic persons whom the authority issues with the decisions that must come out for them, so that an
//! auditor sees the whole pipeline working each month. Here is what needs no person: the authority's signature under the
//! files that it hands out, and the list that tells auditors what to wait for.
//!
//! These files are no entries of the log, and not in an entry's form: an entry with an ID number is refused.

use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::{
    envelope::{EnvelopeError, Signer, canonical},
    hexes::{Digest, Hex},
    month::Month,
};

/// Puts a first line before JSON: what it is, and the authority's signature over that and the JSON. `kind` is no type of
/// an entry.
pub fn seal(kind: &str, json: &[u8], authority: &dyn Signer) -> Vec<u8> {
    let signature = Hex(authority.sign(&signed_input(kind, json)));
    [format!("wugan/1/{kind} {signature}\n").as_bytes(), json].concat()
}

/// The JSON after the first line.
///
/// # Errors
/// [`NotSealed`].
pub fn open<'a>(kind: &str, file: &'a [u8], authority: &[u8; 32]) -> Result<&'a [u8], NotSealed> {
    let end = file.iter().position(|byte| *byte == b'\n').ok_or(NotSealed::Form)?;
    let line = std::str::from_utf8(&file[..end]).map_err(|_| NotSealed::Form)?;
    let rest = line.strip_prefix("wugan/1/").and_then(|rest| rest.strip_prefix(kind)?.strip_prefix(' '));
    let signature: Hex<64> = rest.and_then(|hex| hex.parse().ok()).ok_or(NotSealed::Form)?;
    let json = &file[end + 1..];
    let verified = UnparsedPublicKey::new(&ED25519, authority).verify(&signed_input(kind, json), &signature.0);
    verified.map_err(|_| NotSealed::Signature)?;
    Ok(json)
}

crate::texts! {
    /// Why a file is not one that the authority signed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
    pub enum NotSealed {
        Form
            "its first line is not that of such a file with a signature: take the file as the authority gave it"
            "首行不是此类文件的签名行：请使用授权方给出的原文件";
        Signature
            "the authority's signature does not verify: it is not this authority's, or was changed"
            "授权方签名验证不通过：并非本授权方所签，或已被改动";
    }
}

/// What an auditor waits for each month: which owners have canaries, in which document, and how many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// The policy's hash.
    pub policy: Digest,
    /// The first month with these canaries.
    pub from: Month,
    /// The roster owners that have some.
    pub owners: Vec<ListedOwner>,
}

/// One roster owner's canaries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedOwner {
    /// Its id.
    pub member: String,
    /// SHA-256 of its file. The signature in it keeps others from guessing the file.
    pub document: Digest,
    /// Pairs of a canary and a matter.
    pub pairs: u64,
}

/// A list that the authority signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryList(Listed);

impl CanaryList {
    /// The file of a list.
    ///
    /// # Errors
    /// Something in it that looks like an ID number.
    pub fn seal(listed: &Listed, authority: &dyn Signer) -> Result<Vec<u8>, EnvelopeError> {
        let mut json = canonical(listed)?;
        json.push(b'\n');
        Ok(seal(LIST, &json, authority))
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`CanaryListError`].
    pub fn read(file: &[u8], authority: &[u8; 32]) -> Result<CanaryList, CanaryListError> {
        let json = open(LIST, file, authority)?;
        serde_json::from_slice(json).map(CanaryList).map_err(|_| CanaryListError::Malformed)
    }

    /// The policy for which it was made.
    pub fn policy(&self) -> Digest {
        self.0.policy
    }

    /// The first month with these canaries.
    pub fn from(&self) -> Month {
        self.0.from
    }

    /// What an owner must report; none for one that has no canaries.
    pub fn owner(&self, id: &str) -> Option<&ListedOwner> {
        self.0.owners.iter().find(|owner| owner.member == id)
    }
}

crate::texts! {
    /// Why a list is not used.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
    pub enum CanaryListError {
        NotSealed(#[from] error: NotSealed) "{error}" "{error}";
        Malformed
            "the authority signed it, but it is no list of canaries of this version"
            "虽由授权方签名，但不是本版本的哨兵清单";
    }
}

fn signed_input(kind: &str, json: &[u8]) -> Vec<u8> {
    [format!("wugan/1/{kind}\n").as_bytes(), json].concat()
}

const LIST: &str = "list-of-canaries";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;
    use crate::hexes::sha256;

    struct Key(Ed25519KeyPair);

    impl Signer for Key {
        fn public_key(&self) -> [u8; 32] {
            self.0.public_key().as_ref().try_into().unwrap()
        }

        fn sign(&self, message: &[u8]) -> [u8; 64] {
            self.0.sign(message).as_ref().try_into().unwrap()
        }
    }

    fn key(seed: u8) -> Key {
        Key(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    fn listed() -> Listed {
        let owner = ListedOwner { member: "tax".into(), document: sha256(b"file"), pairs: 12 };
        Listed { policy: sha256(b"policy"), from: "2026-11".parse().unwrap(), owners: vec![owner] }
    }

    /// Made by another program (Python's `json`, `hashlib` and OpenSSL's Ed25519).
    const VECTOR: &str = include_str!("../tests/vectors/canaries.list");

    #[test]
    fn a_list_has_these_bytes_and_is_read_again() {
        let file = CanaryList::seal(&listed(), &key(1)).unwrap();
        assert_eq!(String::from_utf8(file.clone()).unwrap(), VECTOR);
        let list = CanaryList::read(&file, &key(1).public_key()).unwrap();
        assert_eq!((list.policy(), list.from()), (sha256(b"policy"), "2026-11".parse().unwrap()));
        assert_eq!(list.owner("tax").map(|owner| owner.pairs), Some(12));
        assert_eq!(list.owner("water"), None);
    }

    #[test]
    fn what_the_authority_did_not_sign_as_a_list_is_refused() {
        let file = CanaryList::seal(&listed(), &key(1)).unwrap();
        let read = |file: &[u8]| CanaryList::read(file, &key(1).public_key()).unwrap_err();
        assert_eq!(CanaryList::read(&file, &key(2).public_key()), Err(NotSealed::Signature.into()));
        for place in 0..file.len() {
            let mut changed = file.clone();
            changed[place] ^= 1;
            assert!(matches!(read(&changed), CanaryListError::NotSealed(_)), "byte {place}");
        }
        assert_eq!(read(b""), NotSealed::Form.into());
        assert_eq!(read(&seal("canaries-of-a-member", b"{}", &key(1))), NotSealed::Form.into());
        assert_eq!(read(&seal(LIST, b"{}", &key(1))), CanaryListError::Malformed);
        let more = format!(r#"{{"from":"2026-11","more":1,"owners":[],"policy":"{}"}}"#, sha256(b""));
        assert_eq!(read(&seal(LIST, more.as_bytes(), &key(1))), CanaryListError::Malformed);
    }
}
