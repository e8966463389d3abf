//! `canaries issue`, and how a node reads what was issued to it.

use std::path::{Path, PathBuf};

use getrandom::{SysRng, rand_core::UnwrapErr};
use wugan_protocol::{month::Month, party::MemberNumber, policy::Policy, text::parse_toml};

use super::{CommandError, TOML_BYTES_MAX, read_authority, read_policy, refuse_existing};
use crate::{
    authority::Authority,
    canaries::{Canaries, FILE_BYTES_MAX, issue},
    store::{self, Custody, StorageKey},
};

/// `canaries issue`: invents the persons of a plan; writes the file of each member (mode 0600), and the list for auditors.
/// Returns the files, the list last.
///
/// # Errors
/// [`CommandError`]; nothing is ever replaced.
pub fn canaries_issue(
    authority_dir: &Path,
    policy: &Path,
    plan: &Path,
    from: Month,
    out: &Path,
    custody: &Custody,
) -> Result<Vec<PathBuf>, CommandError> {
    let list = out.join(CANARY_LIST);
    refuse_existing(&list)?;
    let policy = read_policy(policy)?;
    let read = parse_toml(&store::read_public(plan, TOML_BYTES_MAX)?);
    let read = read.map_err(|problem| CommandError::Plan { path: plan.to_owned(), problem })?;
    let authority = Authority::read(authority_dir, &StorageKey::open(authority_dir, custody)?)?;
    let issued = issue(&authority, &read, &policy, from, &mut UnwrapErr(SysRng));
    let issued = issued.map_err(|error| CommandError::Issue { path: plan.to_owned(), error })?;
    store::create_directory(out)?;
    let mut written = Vec::new();
    for (member, bytes) in issued.files {
        let path = out.join(format!("{member}{CANARIES_SUFFIX}"));
        store::write_new_private(&path, &bytes)?;
        written.push(path);
    }
    store::write_new_public(&list, &issued.list)?;
    written.push(list);
    Ok(written)
}

/// Reads the canaries that the authority issued to a member.
///
/// # Errors
/// [`CommandError`].
pub fn read_canaries(
    path: &Path,
    authority: &Path,
    policy: &Policy,
    member: MemberNumber,
) -> Result<Canaries, CommandError> {
    let file = store::read_public(path, FILE_BYTES_MAX)?;
    let read = Canaries::read(&file, &read_authority(authority)?, policy, member);
    read.map_err(|error| CommandError::Canaries { path: path.to_owned(), error })
}

/// The list for auditors.
pub const CANARY_LIST: &str = "canaries.list";
/// What the name of a member's file ends with, after its id.
pub const CANARIES_SUFFIX: &str = ".canaries";
