//! `check`: whether everything in a directory opens, belongs together, and is closed to others.

use std::path::{Path, PathBuf};

use serde::Serialize;
use wugan_protocol::{party::Role, texts};

use super::{CommandError, read_authority};
use crate::{
    authority::Authority,
    card::{CARD_BYTES_MAX, CARD_SUFFIX, Card},
    epoch::EpochKey,
    identity::Identity,
    log_key::LogKey,
    store::{self, Custody, STORAGE_KEY, STORAGE_KEY_AGE, StorageKey, StoreError},
};

/// One file of a directory, and what is wrong with it.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// The file's name; `.` is the directory, `storage key` wherever it was found.
    pub file: String,
    /// What is wrong and what to do; none when it is in order.
    pub problem: Option<Problem>,
}

/// Opens every secret of a directory and compares the public files with them. Files of other kinds are left alone.
///
/// # Errors
/// When the directory cannot be read; what is wrong with its files is a finding.
pub fn check(dir: &Path, custody: &Custody) -> Result<Vec<Finding>, StoreError> {
    let (storage, locked) = match StorageKey::open(dir, custody) {
        Ok(storage) => (Some(storage), None),
        Err(error) => (None, Some(error.into())),
    };
    let mut findings = vec![
        Finding { file: ".".into(), problem: directory_problem(dir)? },
        Finding { file: "storage key".into(), problem: locked },
    ];
    for name in store::list(dir)? {
        if let Some(result) = inspect(dir, &name, storage.as_ref()) {
            findings.push(Finding { file: name, problem: result.err() });
        }
    }
    Ok(findings)
}

texts! {
    /// Why a file is not in order.
    #[derive(Debug, thiserror::Error)]
    pub enum Problem {
        Store(#[from] error: StoreError) "{error}" "{error}";
        Command(#[from] error: CommandError) "{error}" "{error}";
        Writable { dir: PathBuf, mode: u32 }
            "others can write to it (mode {mode:04o}): run `chmod 700 {dir}`"
            "他人可写入（权限 {mode:04o}）：请执行 `chmod 700 {dir}`";
        NotTried "not tried, because the storage key does not open" "存储密钥无法打开，故未检查";
        OtherIdentity
            "it is not of this directory's identity: remove it and run the command that made it again"
            "与本目录的身份不符：请删除它，并重新执行生成它的命令";
        Leftover "an interrupted write left it: remove it" "写入中断留下的文件：请删除";
    }
}

/// In English, for programs.
impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

const ROLES: [Role; 5] = [Role::Authority, Role::Node, Role::Matcher, Role::Aggregator, Role::Coordinator];

fn directory_problem(dir: &Path) -> Result<Option<Problem>, StoreError> {
    let mode = store::mode(dir)?;
    let writable = mode & 0o022 != 0;
    Ok(writable.then(|| Problem::Writable { dir: dir.to_owned(), mode }))
}

/// `None` for files of other kinds.
fn inspect(dir: &Path, name: &str, storage: Option<&StorageKey>) -> Option<Result<(), Problem>> {
    let identity = |role| Ok::<_, Problem>(Identity::read(dir, role, storage.ok_or(Problem::NotTried)?)?);
    let log = |role| Ok::<_, Problem>(LogKey::read(dir, role, storage.ok_or(Problem::NotTried)?)?);
    let file_of = |role: &Role| Identity::path(dir, *role).file_name().is_some_and(|file| file == name);
    let log_of = |role: &Role| LogKey::path(dir, *role).file_name().is_some_and(|file| file == name);
    if name == STORAGE_KEY || name == STORAGE_KEY_AGE {
        None
    } else if let Some(role) = ROLES.into_iter().find(file_of) {
        Some(identity(role).map(drop))
    } else if let Some(role) = ROLES.into_iter().find(log_of) {
        Some(log(role).map(drop))
    } else if let Some(number) = EpochKey::number_of(name) {
        let epoch = |storage| EpochKey::read(dir, number, storage).map(drop).map_err(Problem::Store);
        Some(storage.ok_or(Problem::NotTried).and_then(epoch))
    } else if name.ends_with(CARD_SUFFIX) {
        Some(inspect_card(&dir.join(name), identity, log))
    } else if Authority::public_path(dir).file_name().is_some_and(|file| file == name) {
        Some(inspect_authority(&dir.join(name), identity))
    } else {
        store::is_temporary(name).then_some(Err(Problem::Leftover))
    }
}

fn inspect_card(
    path: &Path,
    identity: impl Fn(Role) -> Result<Identity, Problem>,
    log: impl Fn(Role) -> Result<LogKey, Problem>,
) -> Result<(), Problem> {
    let bytes = store::read_public(path, CARD_BYTES_MAX)?;
    let card = Card::read(&bytes).map_err(|source| CommandError::CardFile { path: path.to_owned(), source })?;
    let own = Card::of(&identity(card.role)?, &log(card.role)?, &card.address).map_err(CommandError::Card)?;
    if own == card { Ok(()) } else { Err(Problem::OtherIdentity) }
}

fn inspect_authority(path: &Path, identity: impl Fn(Role) -> Result<Identity, Problem>) -> Result<(), Problem> {
    let key = read_authority(path)?;
    let own = wugan_protocol::envelope::Signer::public_key(&identity(Role::Authority)?);
    if own == key { Ok(()) } else { Err(Problem::OtherIdentity) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    use crate::commands::{authority_new, identity_new};

    /// Names of files with a problem, after a change of a directory that is in order.
    fn problems(change: impl FnOnce(&Path)) -> Vec<(String, String)> {
        let dir = tempfile::tempdir().unwrap();
        let custody = Custody::key_files();
        identity_new(dir.path(), "m", Role::Node, "", &custody).unwrap();
        authority_new(dir.path(), &custody).unwrap();
        change(dir.path());
        let findings = check(dir.path(), &custody).unwrap();
        findings.into_iter().filter_map(|finding| Some((finding.file, finding.problem?.to_string()))).collect()
    }

    #[test]
    fn a_directory_in_order_has_no_problem() {
        assert_eq!(problems(|_| ()), []);
        assert_eq!(problems(|dir| std::fs::write(dir.join("node.toml"), "").unwrap()), []);
    }

    #[test]
    fn every_disorder_is_found_with_its_file() {
        let found = |change: &dyn Fn(&Path)| problems(change).into_iter().map(|(file, _)| file).collect::<Vec<_>>();
        let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(found(&|dir| mode(dir, 0o770)), ["."]);
        assert_eq!(
            found(&|dir| mode(&dir.join("identity-node.age"), 0o640)),
            ["identity-node.age", "m-node.card.json"]
        );
        assert_eq!(found(&|dir| std::fs::write(dir.join("epoch-1.age"), "").unwrap()), ["epoch-1.age"]);
        let leftover = ".epoch-1.age.0123456789abcdef.tmp";
        assert_eq!(found(&|dir| std::fs::write(dir.join(leftover), "").unwrap()), [leftover]);
        let other = "01".repeat(32);
        assert_eq!(found(&|dir| std::fs::write(dir.join("authority.pub"), &other).unwrap()), ["authority.pub"]);
        let card = format!(r#"{{"member":"m","role":"node","key":"{other}"}}"#);
        assert_eq!(found(&|dir| std::fs::write(dir.join("m-node.card.json"), &card).unwrap()), ["m-node.card.json"]);
        let all = [
            "storage key",
            "authority.key.age",
            "authority.pub",
            "identity-node.age",
            "log-node.age",
            "m-node.card.json",
        ];
        assert_eq!(found(&|dir| std::fs::remove_file(dir.join(STORAGE_KEY)).unwrap()), all);
    }
}
