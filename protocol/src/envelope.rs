//! Signed documents: canonical JSON (RFC 8785, integers only) `{"body":…,"sig":hex}`, where `sig` is Ed25519 over
//! `wugan/1/`, the type, a line feed and the canonical body. The same bytes are the log entry.

use std::sync::Arc;

use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::{
    hexes::{Digest, Hex, sha256},
    limits::ENTRY_BYTES_MAX,
    party::Role,
    person::looks_like_id,
    statement::Statement,
};

/// What every body says of itself, besides its statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Hash of the federation manifest's canonical body; `None` (empty) in the manifest itself.
    #[serde(with = "optional")]
    pub federation: Option<Digest>,
    /// Hash of the round manifest's canonical body; `None` (empty) outside a round and in the manifest itself.
    #[serde(with = "optional")]
    pub round: Option<Digest>,
    /// The member's id.
    pub sender: String,
    /// In which of its roles it speaks.
    pub role: Role,
    /// The sender's own count of entries in this role, from 0.
    pub seq: u64,
    /// SHA-256 of the canonical bytes of the sender's entry before; `None` (empty) in its first.
    #[serde(with = "optional")]
    pub prev: Option<Digest>,
    /// The sender's clock, seconds since 1970 UTC.
    pub time: u64,
}

/// A body: who speaks, in which order, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// Who and when.
    #[serde(flatten)]
    pub head: Head,
    /// What.
    #[serde(flatten)]
    pub statement: Statement,
}

impl Body {
    /// The canonical bytes, over which hashes of manifests are taken.
    ///
    /// # Errors
    /// See [`EnvelopeError`].
    pub fn canonical(&self) -> Result<Vec<u8>, EnvelopeError> {
        canonical(self)
    }

    /// Signs the body.
    ///
    /// # Errors
    /// When it cannot be written canonically within the entry's bound.
    pub fn sign(self, signer: &dyn Signer) -> Result<Signed, EnvelopeError> {
        let signature = signer.sign(&signing_input(&self.statement, &self.canonical()?));
        let envelope = Envelope { body: self, sig: Hex(signature) };
        let bytes = canonical(&envelope)?;
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EnvelopeError::TooLong(bytes.len()));
        }
        let hash = sha256(&bytes);
        Ok(Signed { body: envelope.body, bytes, hash })
    }
}

/// What is signed, for the canonical bytes of a body.
fn signing_input(statement: &Statement, canonical: &[u8]) -> Vec<u8> {
    let mut input = format!("wugan/1/{}\n", statement.type_name()).into_bytes();
    input.extend(canonical);
    input
}

/// Whoever holds an Ed25519 identity key.
pub trait Signer: Send + Sync {
    /// The public key.
    fn public_key(&self) -> [u8; 32];
    /// The signature over `message`.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

/// The two keys of a party: its identity, which signs statements, and its log key, which signs trees of the log.
#[derive(Clone)]
pub struct Signers {
    /// Signs statements.
    pub identity: Arc<dyn Signer>,
    /// Signs trees.
    pub log: Arc<dyn Signer>,
}

/// A document whose bytes are canonical and whose signature was made by the key that was asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    body: Body,
    bytes: Vec<u8>,
    hash: Digest,
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

impl Signed {
    /// What was signed.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The document's canonical bytes: one line, without a line feed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of [`Self::bytes`].
    pub fn hash(&self) -> Digest {
        self.hash
    }
}

/// A document that was read but whose signer is not known yet: it shows only what is needed to find the key.
pub struct Unverified {
    envelope: Envelope,
    bytes: Vec<u8>,
}

impl Unverified {
    /// Reads a document, refusing every encoding but the canonical one.
    ///
    /// # Errors
    /// See [`EnvelopeError`].
    pub fn read(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EnvelopeError::TooLong(bytes.len()));
        }
        let envelope: Envelope =
            serde_json::from_slice(bytes).map_err(|error| EnvelopeError::Malformed(position_only(&error)))?;
        if canonical(&envelope)? != bytes {
            return Err(EnvelopeError::NotCanonical);
        }
        Ok(Unverified { envelope, bytes: bytes.to_vec() })
    }

    /// The sender and role that the document claims.
    pub fn claimed(&self) -> (&str, Role) {
        (&self.envelope.body.head.sender, self.envelope.body.head.role)
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`EnvelopeError::BadSignature`].
    pub fn verify(self, key: &[u8; 32]) -> Result<Signed, EnvelopeError> {
        self.verify_by([*key]).map(|(_, signed)| signed)
    }

    /// Checks the signature under each of these keys; tells which made it.
    ///
    /// # Errors
    /// [`EnvelopeError::BadSignature`] if none did.
    pub fn verify_by(self, keys: impl IntoIterator<Item = [u8; 32]>) -> Result<([u8; 32], Signed), EnvelopeError> {
        // The document is canonical, so that its body stands in it as it was signed.
        let body = self.bytes.strip_prefix(BEFORE_BODY).and_then(|rest| rest.split_last_chunk::<AFTER_BODY_BYTES>());
        let (body, _) = body.ok_or(EnvelopeError::NotCanonical)?;
        let input = signing_input(&self.envelope.body.statement, body);
        let made = |key: &[u8; 32]| UnparsedPublicKey::new(&ED25519, key).verify(&input, &self.envelope.sig.0).is_ok();
        let key = keys.into_iter().find(made).ok_or(EnvelopeError::BadSignature)?;
        let hash = sha256(&self.bytes);
        Ok((key, Signed { body: self.envelope.body, bytes: self.bytes, hash }))
    }
}

crate::texts! {
    /// Why a signed document is not accepted, or not made.
    #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
    pub enum EnvelopeError {
        /// Longer than a log entry may be.
        TooLong(bytes: usize)
            "a document of {bytes} bytes is longer than the limit of {ENTRY_BYTES_MAX}"
            "文档长 {bytes} 字节，超过上限 {ENTRY_BYTES_MAX}";
        /// Not JSON of the expected shape.
        Malformed(place: String) "malformed document: {place}" "文档格式错误：{place}";
        /// JSON of the expected shape, in another encoding than the canonical one, or with fields that nobody reads.
        NotCanonical
            "the document is not in canonical form (RFC 8785), or has unknown fields"
            "文档不是规范形式（RFC 8785），或含有未知字段";
        /// A number that is no integer from 0 to 2^53-1, which the canonical form would round.
        Number "a number is not an integer from 0 to 2^53-1" "有的数不是 0 至 2^53-1 的整数";
        /// Personal data has no place in the log.
        IdNumber
            "something in the document looks like an ID number, which must not stand in the log"
            "文档中有疑似证件号码的内容，不得写入日志";
        /// Not signed by the key that was expected.
        BadSignature "the signature does not verify" "签名验证不通过";
    }
}

/// RFC 8785 canonical bytes of a value that has only integers from 0 to 2^53-1, and nothing that looks like an ID number.
///
/// # Errors
/// [`EnvelopeError::Number`], [`EnvelopeError::IdNumber`].
pub fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, EnvelopeError> {
    let value = serde_json::to_value(value).map_err(|error| EnvelopeError::Malformed(position_only(&error)))?;
    if !integers_only(&value) {
        return Err(EnvelopeError::Number);
    }
    if holds_id(&value) {
        return Err(EnvelopeError::IdNumber);
    }
    serde_json_canonicalizer::to_vec(&value).map_err(|error| EnvelopeError::Malformed(position_only(&error)))
}

/// 2^53 - 1: the largest integer that RFC 8785 writes exactly.
const INTEGER_MAX: u64 = (1 << 53) - 1;

fn integers_only(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(number) => number.as_u64().is_some_and(|n| n <= INTEGER_MAX),
        serde_json::Value::Array(items) => items.iter().all(integers_only),
        serde_json::Value::Object(fields) => fields.values().all(integers_only),
        _ => true,
    }
}

fn holds_id(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(number) => looks_like_id(&number.to_string()),
        serde_json::Value::String(text) => looks_like_id(text),
        serde_json::Value::Array(items) => items.iter().any(holds_id),
        serde_json::Value::Object(fields) => fields.iter().any(|(name, value)| looks_like_id(name) || holds_id(value)),
        _ => false,
    }
}

/// Where an error is, never what stands there: the text may be anybody's.
fn position_only(error: &serde_json::Error) -> String {
    format!("at column {}", error.column())
}

/// What a canonical document begins with, and the bytes of `,"sig":"…"}` at its end.
const BEFORE_BODY: &[u8] = br#"{"body":"#;
const AFTER_BODY_BYTES: usize = 138;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Envelope {
    body: Body,
    sig: Hex<64>,
}

/// `None` is the empty string, so that every body has every field.
mod optional {
    use super::Digest;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(value: &Option<Digest>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(digest) => serializer.collect_str(digest),
            None => serializer.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Digest>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(D::Error::custom)
    }
}
