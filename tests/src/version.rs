//! The next version of a federation's manifest, as the authority of a city in a folder signs it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use wugan_demo::layout::Layout;
use wugan_keys::{
    Custody,
    authority::Draft,
    commands::{CATALOGUE, MANIFEST, federation_sign},
};
use wugan_protocol::{manifest::Federation, policy::Policy, text::parse_toml};

/// Signs the version after the one of `previous` (its signed manifest) for the cards that the authority has, with another
/// policy and the limits of the first draft; it lies in `out` then, under the names that confirmed versions have.
///
/// # Errors
/// A policy that cannot be read, a version that may not follow.
pub fn sign_next(dir: &Path, previous: &Path, catalogue: &str, out: &Path) -> anyhow::Result<Federation> {
    let (layout, custody) = (Layout::new(dir), Custody::key_files());
    let draft: Draft = parse_toml(&fs::read(layout.authority().join("draft.toml"))?)?;
    let before: serde_json::Value = serde_json::from_slice(&fs::read(previous)?)?;
    let version = before["body"]["version"].as_u64().unwrap_or_default() as u32 + 1;
    let previous = fs::canonicalize(previous)?.display().to_string();
    let path = layout.authority().join(format!("draft-{version}.toml"));
    fs::write(&path, toml::to_string(&Draft { version, previous, disclosures_per_month: 3, ..draft })?)?;
    fs::create_dir_all(out)?;
    fs::write(out.join(CATALOGUE), catalogue)?;
    let (authority, cards, manifest) = (layout.authority(), layout.cards(), out.join(MANIFEST));
    Ok(federation_sign(&authority, &out.join(CATALOGUE), &path, &cards, &manifest, &custody, 1)?)
}

/// Where the folder of a version would be that everybody in a city's folder has confirmed.
pub fn folder(dir: &Path, version: u32) -> PathBuf {
    dir.join("versions").join(version.to_string())
}

/// Signs the next version, with the same members and another policy, where everybody has confirmed it.
///
/// # Errors
/// See [`sign_next`].
pub fn confirm_next(dir: &Path, catalogue: &str) -> anyhow::Result<(Federation, Arc<Policy>)> {
    let version = (2..).find(|version| !folder(dir, *version).exists()).unwrap_or(2);
    let first = Layout::new(dir).manifest();
    let previous = if version == 2 { first } else { folder(dir, version - 1).join(MANIFEST) };
    let federation = sign_next(dir, &previous, catalogue, &folder(dir, version))?;
    let policy = federation.policy().clone();
    Ok((federation, policy))
}
