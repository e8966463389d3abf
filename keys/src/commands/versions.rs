//! Later versions of the federation manifest at an operator's: what they change, and that the operator has confirmed them.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use wugan_protocol::{
    hexes::Digest,
    manifest::{Federation, Versions},
    statement::{OwnerLimits, RoleKey},
    texts,
};

use super::{CommandError, read_federation, read_line, read_policy};
use crate::{
    card::{Card, Fingerprint},
    store,
};

/// The versions of a federation's manifest that an operator has confirmed: the first, and in the folder `versions` each
/// later one in a folder of its own, named by its number, as [`federation_confirm`] leaves them.
///
/// # Errors
/// [`CommandError`].
pub fn read_versions(
    federation: &Path,
    policy: &Path,
    authority: &Path,
    versions: &Path,
) -> Result<Versions, CommandError> {
    let mut all = Versions::from(read_federation(federation, policy, authority)?);
    loop {
        let folder = versions.join((all.last().version() + 1).to_string());
        if !folder.exists() {
            return Ok(all);
        }
        push(&mut all, &folder.join(MANIFEST), &folder.join(CATALOGUE))?;
    }
}

/// `federation confirm`: verifies the version that follows the last confirmed one and tells what it changes; if `agreed`
/// says yes to that, copies it to where the member's programs find it, and returns the folder.
///
/// # Errors
/// [`CommandError`]; nothing is ever replaced.
pub fn federation_confirm(
    mut confirmed: Versions,
    versions: &Path,
    manifest: &Path,
    policy: &Path,
    agreed: impl FnOnce(&Federation, &[Change]) -> io::Result<bool>,
) -> Result<Option<PathBuf>, CommandError> {
    let before = confirmed.last().clone();
    push(&mut confirmed, manifest, policy)?;
    let next = confirmed.last();
    if before.policy().days_between_rounds > 0 && next.policy().days_between_rounds == 0 {
        return Err(CommandError::Demonstration { path: policy.to_owned() });
    }
    let folder = versions.join(next.version().to_string());
    let failed = |error| CommandError::Confirm { folder: folder.clone(), error };
    if !agreed(next, &changes(&before, next)?).map_err(failed)? {
        return Ok(None);
    }
    // Whole or not at all.
    let unfinished = versions.join(format!("{}.unfinished", next.version()));
    let gone = |error: io::Error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) };
    fs::remove_dir_all(&unfinished).or_else(gone).map_err(failed)?;
    fs::create_dir_all(&unfinished).map_err(failed)?;
    store::write_new_public(&unfinished.join(MANIFEST), next.signed().bytes())?;
    store::write_new_public(&unfinished.join(CATALOGUE), &fs::read(policy).map_err(failed)?)?;
    fs::rename(&unfinished, &folder).map_err(failed)?;
    Ok(Some(folder))
}

fn push(versions: &mut Versions, manifest: &Path, policy: &Path) -> Result<(), CommandError> {
    let (line, policy) = (read_line(manifest)?, read_policy(policy)?);
    let failed = |source| CommandError::Federation { path: manifest.to_owned(), source };
    versions.push(&line, policy).map_err(failed)
}

texts! {
    /// Something that a version changes.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Change {
        Policy { before: Digest, now: Digest }
            "policy: another catalogue.toml (SHA-256 {before} until now, then {now})"
            "策略：catalogue.toml 不同（现为 SHA-256 {before}，新版为 {now}）";
        Joins { party: String, fingerprint: Fingerprint }
            "{party} joins, with the identity {fingerprint}"
            "{party} 加入，身份指纹 {fingerprint}";
        Leaves { party: String } "{party} leaves" "{party} 退出";
        Keys { party: String, before: Fingerprint, now: Fingerprint }
            "{party}: another identity ({before} until now, then {now})"
            "{party}：更换身份（现为 {before}，新版为 {now}）";
        Address { party: String, before: String, now: String }
            "{party}: another address ({before} until now, then {now})"
            "{party}：更换地址（现为 {before}，新版为 {now}）";
        Limits { owner: String, before: String, now: String }
            "limits of {owner} (people + months x newcomers; rows of each matter): {before} until now, then {now}"
            "{owner} 的限额（人数 + 月数 × 每月新增；各事项行数）：现为 {before}，新版为 {now}";
        Disclosures { before: u16, now: u16 }
            "disclosures a month for each owner: {before} until now, then {now}"
            "每个待遇部门每月披露次数：现为 {before}，新版为 {now}";
        Quorum { before: u16, now: u16 }
            "quorum of cosigners: {before} until now, then {now}"
            "联署法定数：现为 {before}，新版为 {now}";
        Name { before: String, now: String } "name: {before} until now, then {now}" "名称：现为 {before}，新版为 {now}";
    }
}

/// What a version changes, in the order of the members.
///
/// # Errors
/// Never in practice: cards have no numbers.
pub fn changes(before: &Federation, next: &Federation) -> Result<Vec<Change>, CommandError> {
    let mut changes = Vec::new();
    let (old, new) = (before.manifest(), next.manifest());
    if old.policy != new.policy {
        changes.push(Change::Policy { before: old.policy, now: new.policy });
    }
    changes.extend(parties(before, next)?);
    let owners: BTreeSet<_> = old.owners.iter().chain(&new.owners).map(|limits| limits.member).collect();
    for owner in owners {
        let (before, now) = (before.owner_limits(owner), next.owner_limits(owner));
        if before != now {
            let owner = next.policy().member_id(owner).to_owned();
            changes.push(Change::Limits { owner, before: limits(before), now: limits(now) });
        }
    }
    if old.disclosures_per_month != new.disclosures_per_month {
        changes.push(Change::Disclosures { before: old.disclosures_per_month, now: new.disclosures_per_month });
    }
    if old.quorum != new.quorum {
        changes.push(Change::Quorum { before: old.quorum, now: new.quorum });
    }
    if old.name != new.name {
        changes.push(Change::Name { before: old.name.clone(), now: new.name.clone() });
    }
    Ok(changes)
}

fn parties(before: &Federation, next: &Federation) -> Result<Vec<Change>, CommandError> {
    let mut changes = Vec::new();
    let was = |id: &str, key: &RoleKey| role_of(before, id, key);
    for (id, now) in roles(next) {
        let party = format!("{id}/{}", now.role.name());
        let fingerprint = fingerprint(id, now)?;
        match was(id, now) {
            None => changes.push(Change::Joins { party, fingerprint }),
            Some(old) => {
                if (old.key, old.log) != (now.key, now.log) {
                    let before = self::fingerprint(id, old)?;
                    changes.push(Change::Keys { party: party.clone(), before, now: fingerprint });
                }
                if old.address != now.address {
                    let (before, now) = (old.address.clone(), now.address.clone());
                    changes.push(Change::Address { party, before, now });
                }
            }
        }
    }
    let gone = roles(before).filter(|(id, old)| role_of(next, id, old).is_none());
    changes.extend(gone.map(|(id, old)| Change::Leaves { party: format!("{id}/{}", old.role.name()) }));
    Ok(changes)
}

fn roles(federation: &Federation) -> impl Iterator<Item = (&str, &RoleKey)> {
    let members = federation.manifest().members.iter();
    members.flat_map(|member| member.roles.iter().map(|role| (member.id.as_str(), role)))
}

fn role_of<'a>(federation: &'a Federation, id: &str, like: &RoleKey) -> Option<&'a RoleKey> {
    roles(federation).find(|(other, role)| *other == id && role.role == like.role).map(|(_, role)| role)
}

fn fingerprint(id: &str, role: &RoleKey) -> Result<Fingerprint, CommandError> {
    let address = role.address.clone();
    let card = Card { member: id.to_owned(), role: role.role, key: role.key, log: role.log, address };
    Ok(card.fingerprint()?)
}

fn limits(limits: Option<&OwnerLimits>) -> String {
    limits.map_or_else(
        || "-".to_owned(),
        |OwnerLimits { people, newcomers, months, rows, .. }| format!("{people} + {months} x {newcomers}; {rows:?}"),
    )
}

/// The manifest's file in the folder of a confirmed version.
pub const MANIFEST: &str = "federation.json";
/// The policy's file in the folder of a confirmed version.
pub const CATALOGUE: &str = "catalogue.toml";
