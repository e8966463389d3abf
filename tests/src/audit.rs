//! A second reading of the log, with which every test of a cluster ends. It knows the documents of the protocol only as
//! JSON, verifies signatures with `ring`, and shares no code with the federation whose log it reads.
//!
//! It is minimal: what an entry may state *before others* is checked, and that nothing is stated or charged twice. Whether
//! a policy was followed is the model's business.

mod disclosures;
mod order;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use ring::{
    digest::{SHA256, digest},
    signature::{ED25519, UnparsedPublicKey},
};
use serde_json::Value;

pub use order::Charge;
use order::Order;

/// What a log tells, if it is in order.
#[derive(Clone, Debug, Default)]
pub struct Audited {
    /// Its entries.
    pub entries: usize,
    /// The months that count, in order; the last one is ended.
    pub months: Vec<String>,
    /// Digest of each announced file, in hexadecimal, by round and name.
    pub files: BTreeMap<(String, String), String>,
    /// What each source evaluated.
    pub charges: Vec<Charge>,
    /// Refusals: who refused an entry, of which type, and why.
    pub refusals: Vec<Refusal>,
    /// Deletions: by whom (`member/role`), of which round, of what.
    pub deletions: BTreeSet<(String, String, String)>,
    /// Disclosures that were answered: the request's hash, whose it is, and who approved it.
    pub disclosures: BTreeMap<String, (String, BTreeSet<String>)>,
}

/// A refusal in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Whose: `member/role`.
    pub by: String,
    /// Which file it refuses, if the entry refused is an announcement.
    pub file: Option<String>,
    /// The code of the reason.
    pub reason: String,
}

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the log: {what}")]
pub struct AuditError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// Reads the log of the city in `dir`, which its coordinator left, and checks it with the authority's public key.
///
/// # Errors
/// The first entry that should not be there.
pub fn audit_city(dir: &Path) -> anyhow::Result<Audited> {
    let lines = wugan_coordinator::log_folder::entries(&dir.join("coordinator/log"))?;
    Ok(audit(&lines, &authority(dir)?)?)
}

/// The public key of the authority of the city in `dir`.
///
/// # Errors
/// A file that cannot be read.
pub fn authority(dir: &Path) -> anyhow::Result<Vec<u8>> {
    Ok(hex::decode(fs::read_to_string(dir.join("authority.pub"))?.trim())?)
}

/// Checks a log whose first entry the authority signed.
///
/// # Errors
/// The first entry that should not be there.
pub fn audit(log: &[Vec<u8>], authority: &[u8]) -> Result<Audited, AuditError> {
    let (keys, heads, versions) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let mut auditor = Auditor { keys, heads, versions, order: None };
    for (line, number) in log.iter().zip(1..) {
        auditor.take(line, authority).map_err(|what| AuditError { line: number, what })?;
    }
    let line = log.len();
    let order = auditor.order.ok_or(AuditError { line, what: "the log is empty".to_owned() })?;
    order.finish(line).map_err(|what| AuditError { line, what })
}

/// Who may sign, and where each signer stands.
struct Auditor {
    /// By the version of the manifest in force.
    keys: BTreeMap<String, Vec<u8>>,
    /// The next sequence number and the hash of the entry before, by `member/role`.
    heads: BTreeMap<String, (u64, String)>,
    /// Hashes of the versions of the manifest, and of their lines.
    versions: Vec<(String, String)>,
    order: Option<Order>,
}

impl Auditor {
    fn take(&mut self, line: &[u8], authority: &[u8]) -> Result<(), String> {
        let entry: Value = serde_json::from_slice(line).map_err(|error| format!("no JSON: {error}"))?;
        // With integers and ASCII names only, the compact form with sorted names is that of RFC 8785.
        ensure(serde_json::to_vec(&entry).is_ok_and(|bytes| bytes == line), "not canonical")?;
        let body = &entry["body"];
        let who = format!("{}/{}", text(body, "sender")?, text(body, "role")?);
        let canonical = serde_json::to_vec(body).map_err(|error| error.to_string())?;
        if self.order.is_none() || body["type"] == "federation_manifest" {
            verify(&entry, &canonical, authority)?;
            return self.version(body, hash(&canonical), hash(line));
        }
        verify(&entry, &canonical, self.keys.get(&who).ok_or("signed by nobody of the federation")?)?;
        let federation = text(body, "federation")?;
        ensure(self.versions.iter().any(|(known, _)| known == federation), "of another federation")?;
        ensure(body["type"] != "round_manifest" || self.is_in_force(federation), "a round under a past version")?;
        let (seq, prev) = self.heads.get(&who).cloned().unwrap_or_default();
        ensure(number(body, "seq")? == seq && text(body, "prev")? == prev, "out of its signer's sequence")?;
        let line_hash = hash(line);
        self.heads.insert(who.clone(), (seq + 1, line_hash.clone()));
        let order = self.order.as_mut().ok_or("the first entry is no manifest")?;
        order.take(body, &who, &line_hash, &hash(&canonical))
    }
}

impl Auditor {
    fn is_in_force(&self, version: &str) -> bool {
        self.versions.last().is_some_and(|(hash, _)| hash == version)
    }

    /// The next version of the manifest.
    fn version(&mut self, body: &Value, hash: String, line: String) -> Result<(), String> {
        let before = self.versions.last().cloned().unwrap_or_default();
        ensure((text(body, "previous")?, text(body, "prev")?) == (&before.0, &before.1), "not the next version")?;
        self.keys = keys(body)?;
        self.versions.push((hash, line));
        match &mut self.order {
            None => self.order = Some(Order::new(body)?),
            Some(order) => order.renew(body)?,
        }
        Ok(())
    }
}

fn keys(manifest: &Value) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut keys = BTreeMap::new();
    for member in list(manifest, "members")? {
        for role in list(member, "roles")? {
            let key = hex::decode(text(role, "key")?).map_err(|error| error.to_string())?;
            keys.insert(format!("{}/{}", text(member, "id")?, text(role, "role")?), key);
        }
    }
    Ok(keys)
}

fn verify(entry: &Value, canonical: &[u8], key: &[u8]) -> Result<(), String> {
    let mut signed = format!("wugan/1/{}\n", text(&entry["body"], "type")?).into_bytes();
    signed.extend(canonical);
    let signature = hex::decode(text(entry, "sig")?).map_err(|error| error.to_string())?;
    let verified = UnparsedPublicKey::new(&ED25519, key).verify(&signed, &signature);
    verified.map_err(|_| "the signature does not verify".to_owned())
}

/// SHA-256 in hexadecimal.
fn hash(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

fn ensure(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, String> {
    value[name].as_str().ok_or_else(|| format!("`{name}` is no text"))
}

fn number(value: &Value, name: &str) -> Result<u64, String> {
    value[name].as_u64().ok_or_else(|| format!("`{name}` is no number"))
}

fn list<'a>(value: &'a Value, name: &str) -> Result<&'a [Value], String> {
    value[name].as_array().map(Vec::as_slice).ok_or_else(|| format!("`{name}` is no list"))
}
