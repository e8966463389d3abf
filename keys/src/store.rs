//! Secret files, encrypted at rest with age; the only module that touches files.
//!
//! A directory has one storage key, an age X25519 identity: `storage.key` (mode 0600), or `storage.key.age`, the same
//! under a passphrase, or `storage.key` in the systemd credentials directory. All other secret files of the directory
//! are encrypted to it, so that a passphrase (one second, 256 MiB) is needed once. The standard `age` tool opens them:
//! `age -d -i storage.key identity-node.age`. Their plain text begins with a line that says what they are, so that one
//! secret cannot be put in the place of another.

mod custody;
mod file;

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
};

use age::secrecy::{ExposeSecret, SecretString};
use ring::hkdf::{HKDF_SHA256, Salt};
use wugan_protocol::texts;
use zeroize::Zeroizing;

pub use custody::Custody;
pub(crate) use file::mode;
pub use file::{
    NewFile, create_directory, is_temporary, list, read_public, remove, write_new_private, write_new_public,
    write_public,
};

use crate::seal::BulkKey;

/// The key that opens every other secret of a directory.
pub struct StorageKey {
    identity: age::x25519::Identity,
}

impl StorageKey {
    /// A fresh key, in memory only.
    pub fn generate() -> StorageKey {
        StorageKey { identity: age::x25519::Identity::generate() }
    }

    /// Opens the storage key of a directory: systemd credential, key file, or file under a passphrase.
    ///
    /// # Errors
    /// [`StoreError::NoStorageKey`], [`StoreError::TwoStorageKeys`], and those of reading and decrypting the file.
    pub fn open(dir: &Path, custody: &Custody) -> Result<StorageKey, StoreError> {
        let (plain, encrypted) = (dir.join(STORAGE_KEY), dir.join(STORAGE_KEY_AGE));
        if let Some(credential) = custody.credential() {
            return Self::parse(&credential, &file::read_credential(&credential)?);
        }
        match (plain.exists(), encrypted.exists()) {
            (true, true) => Err(StoreError::TwoStorageKeys { dir: dir.to_owned() }),
            (true, false) => Self::parse(&plain, &file::read_secret(&plain)?),
            (false, true) => {
                let file = file::read_secret(&encrypted)?;
                Self::parse(&encrypted, &with_passphrase(&encrypted, &file, custody.passphrase(&encrypted)?)?)
            }
            (false, false) => Err(StoreError::NoStorageKey { dir: dir.to_owned() }),
        }
    }

    /// Opens the storage key of a directory, or makes both when the directory has none.
    ///
    /// # Errors
    /// As [`Self::open`], and those of writing.
    pub fn open_or_create(dir: &Path, custody: &Custody) -> Result<StorageKey, StoreError> {
        create_directory(dir)?;
        match Self::open(dir, custody) {
            Err(StoreError::NoStorageKey { .. }) => {
                let key = Self::generate();
                key.create(dir, custody)?;
                Ok(key)
            }
            other => other,
        }
    }

    /// Writes a secret, encrypted to this key; `kind` is what [`Self::read`] will ask for. Never replaces a file.
    ///
    /// # Errors
    /// [`StoreError::Exists`], and those of writing.
    pub fn write(&self, path: &Path, kind: &str, secret: &[u8]) -> Result<(), StoreError> {
        let mut plain = Zeroizing::new(Vec::with_capacity(kind.len() + 32 + secret.len()));
        plain.extend_from_slice(kind_line(kind).as_bytes());
        plain.extend_from_slice(secret);
        write_new_private(path, &encrypt(path, &self.identity.to_public(), &plain)?)
    }

    /// Reads a secret of a kind.
    ///
    /// # Errors
    /// [`StoreError`]: its mode, another storage key, damage, or another kind.
    pub fn read(&self, path: &Path, kind: &str) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let plain = decrypt(path, &file::read_secret(path)?, &self.identity)?;
        match plain.strip_prefix(kind_line(kind).as_bytes()) {
            Some(secret) => Ok(Zeroizing::new(secret.to_vec())),
            None => Err(StoreError::OtherKind { path: path.to_owned(), expected: kind.to_owned() }),
        }
    }

    /// The key under which bulk data of one kind is sealed (see [`crate::seal`]).
    pub fn bulk_key(&self, label: &str) -> BulkKey {
        let secret = self.identity.to_string();
        let root = Salt::new(HKDF_SHA256, BULK_SALT).extract(secret.expose_secret().as_bytes());
        let mut key = Zeroizing::new([0; 32]);
        #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 255 times 32 bytes")]
        root.expand(&[label.as_bytes()], HKDF_SHA256).and_then(|okm| okm.fill(&mut *key)).expect("32 bytes");
        BulkKey::new(key, label)
    }

    fn create(&self, dir: &Path, custody: &Custody) -> Result<(), StoreError> {
        let secret = self.identity.to_string();
        let text = Zeroizing::new(format!("{STORAGE_KEY_COMMENT}\n{}\n", secret.expose_secret()));
        if !custody.protects_with_passphrase() {
            return write_new_private(&dir.join(STORAGE_KEY), text.as_bytes());
        }
        let path = dir.join(STORAGE_KEY_AGE);
        let mut recipient = age::scrypt::Recipient::new(custody.new_passphrase(&path)?);
        recipient.set_work_factor(PASSPHRASE_WORK_LOG2);
        write_new_private(&path, &encrypt(&path, &recipient, text.as_bytes())?)
    }

    fn parse(path: &Path, text: &[u8]) -> Result<StorageKey, StoreError> {
        let text = std::str::from_utf8(text).ok();
        let line = text.and_then(|text| text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#')));
        let identity = line.and_then(|line| line.parse().ok());
        Ok(StorageKey { identity: identity.ok_or_else(|| StoreError::NotAStorageKey { path: path.to_owned() })? })
    }
}

impl std::fmt::Debug for StorageKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StorageKey(redacted)")
    }
}

texts! {
    /// Why a file of secrets is not read or written.
    #[derive(Debug, thiserror::Error)]
    pub enum StoreError {
        /// The system refused.
        Io { action: Action, path: PathBuf, source: std::io::Error }
            "cannot {action} {path}: {source}" "无法{action} {path}：{source}";
        /// A secret is never replaced.
        Exists { path: PathBuf }
            "{path} exists already and is never replaced; move it away if it is not needed any more"
            "{path} 已存在，程序从不覆盖；如不再需要，请先移走";
        /// Others may read it.
        Mode { path: PathBuf, mode: u32 }
            "{path} can be read by others (mode {mode:04o}): run `chmod 600 {path}`"
            "{path} 可被他人读取（权限 {mode:04o}）：请执行 `chmod 600 {path}`";
        /// Larger than such a file can be.
        TooLarge { path: PathBuf, limit: u64 }
            "{path} is larger than {limit} bytes: it is not the expected file"
            "{path} 大于 {limit} 字节：不是所需的文件";
        /// No storage key.
        NoStorageKey { dir: PathBuf }
            "{dir} has no storage.key: make one with `wugan-keys identity new`, or give the right directory"
            "{dir} 中没有 storage.key：请用 `wugan-keys identity new` 生成，或指定正确的目录";
        /// It is not clear which is in use.
        TwoStorageKeys { dir: PathBuf }
            "{dir} has storage.key and storage.key.age: remove the one that is not in use"
            "{dir} 中同时有 storage.key 和 storage.key.age：请移走不用的一个";
        /// Not an age identity.
        NotAStorageKey { path: PathBuf }
            "{path} is not a storage key (a line AGE-SECRET-KEY-1...): restore it from the backup"
            "{path} 不是存储密钥（应有一行 AGE-SECRET-KEY-1...）：请从备份恢复";
        /// Encrypted to another key.
        OtherStorageKey { path: PathBuf }
            "{path} was encrypted to another storage key: use the storage.key that was made with it"
            "{path} 是用另一个存储密钥加密的：请使用与其一同生成的 storage.key";
        /// Not whole.
        Damaged { path: PathBuf }
            "{path} is truncated or was changed: restore it from the backup"
            "{path} 不完整或被改动：请从备份恢复";
        /// Another secret in its place.
        OtherKind { path: PathBuf, expected: String }
            "{path} does not hold {expected}: it was renamed or confused with another file"
            "{path} 的内容不是 {expected}：文件被改名，或与其他文件混淆";
        /// Nobody to ask.
        NoPassphrase { path: PathBuf }
            "{path} needs a passphrase: run this in a terminal, or set WUGAN_PASSPHRASE_FILE to a file of mode 0600 that \
             has it"
            "{path} 需要口令：请在终端中运行，或将 WUGAN_PASSPHRASE_FILE 设为存有口令、权限为 0600 的文件";
        /// Does not open the file.
        WrongPassphrase { path: PathBuf } "wrong passphrase for {path}" "{path} 的口令不对";
        /// Easily guessed, or mistyped.
        BadPassphrase(fault: PassphraseFault)
            "the new passphrase is refused: {fault}"
            "新口令不可用：{fault}";
    }
}

texts! {
    /// What was tried with a file.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Action {
        Read "read" "读取";
        Write "write" "写入";
        Create "create" "创建";
        List "list" "列出";
        Remove "remove" "删除";
        Sync "sync" "同步";
        Encrypt "encrypt" "加密";
        Name "name a temporary file for" "为其命名临时文件：";
        Ask "ask on the terminal for the passphrase of" "在终端询问口令：";
    }
}

texts! {
    /// What is wrong with a passphrase.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum PassphraseFault {
        Different "it was not typed the same twice" "两次输入不一致";
        Short "it has fewer than 12 characters" "少于 12 个字符";
        NotUtf8 "it is not UTF-8" "不是 UTF-8";
    }
}

/// The file of a storage key without passphrase.
pub const STORAGE_KEY: &str = "storage.key";
/// The file of a storage key under a passphrase.
pub const STORAGE_KEY_AGE: &str = "storage.key.age";

const STORAGE_KEY_COMMENT: &str = "# wugan storage key: whoever reads this file can open every secret beside it";
const BULK_SALT: &[u8] = b"wugan/1/bulk keys of a storage key";
/// scrypt with N = 2^18: one second and 256 MiB, the figure of the age specification's examples.
const PASSPHRASE_WORK_LOG2: u8 = 18;

fn kind_line(kind: &str) -> String {
    format!("wugan/1/{kind}\n")
}

fn encrypt(path: &Path, to: &dyn age::Recipient, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    let refused = |error: String| file::failed(Action::Encrypt, path)(std::io::Error::other(error));
    let encryptor = age::Encryptor::with_recipients(std::iter::once(to)).map_err(|error| refused(error.to_string()))?;
    let mut out = Vec::new();
    let written = encryptor.wrap_output(&mut out).and_then(|mut writer| {
        writer.write_all(plain)?;
        writer.finish()
    });
    written.map_err(file::failed(Action::Encrypt, path))?;
    Ok(out)
}

fn decrypt(path: &Path, file: &[u8], with: &dyn age::Identity) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let damaged = || StoreError::Damaged { path: path.to_owned() };
    let decryptor = age::Decryptor::new(file).map_err(|_| damaged())?;
    let mut reader = decryptor.decrypt(std::iter::once(with)).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => StoreError::OtherStorageKey { path: path.to_owned() },
        age::DecryptError::DecryptionFailed => StoreError::WrongPassphrase { path: path.to_owned() },
        _ => damaged(),
    })?;
    // As large as the plain text can be, so that no reallocation leaves a copy behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(file.len()));
    reader.read_to_end(&mut plain).map_err(|_| damaged())?;
    Ok(plain)
}

fn with_passphrase(path: &Path, file: &[u8], passphrase: SecretString) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut identity = age::scrypt::Identity::new(passphrase);
    identity.set_max_work_factor(PASSPHRASE_WORK_LOG2 + 2);
    decrypt(path, file, &identity)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn with_file() -> (tempfile::TempDir, StorageKey, PathBuf) {
        let dir = folder();
        let key = StorageKey::open_or_create(dir.path(), &Custody::key_files()).unwrap();
        let path = dir.path().join("secret.age");
        key.write(&path, "test", b"forty-two").unwrap();
        (dir, key, path)
    }

    #[test]
    fn a_secret_round_trips_and_never_lies_in_the_clear() {
        let (dir, _, path) = with_file();
        let again = StorageKey::open(dir.path(), &Custody::key_files()).unwrap();
        assert_eq!(**again.read(&path, "test").unwrap(), *b"forty-two");
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.starts_with(b"age-encryption.org/v1\n"));
        assert!(!bytes.windows(9).any(|w| w == b"forty-two"));
    }

    #[test]
    fn secret_files_have_mode_0600_and_no_temporary_stays() {
        let (dir, _, path) = with_file();
        for file in [path, dir.path().join(STORAGE_KEY)] {
            assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o7777, 0o600);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_secret_is_never_replaced() {
        let (dir, key, path) = with_file();
        assert!(matches!(key.write(&path, "test", b"other"), Err(StoreError::Exists { .. })));
        assert_eq!(**key.read(&path, "test").unwrap(), *b"forty-two");
        assert!(matches!(key.create(dir.path(), &Custody::key_files()), Err(StoreError::Exists { .. })));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let (dir, key, path) = with_file();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = key.read(&path, "test").unwrap_err();
        assert!(matches!(error, StoreError::Mode { mode: 0o640, .. }));
        assert!(error.to_string().contains("chmod 600"));
        std::fs::set_permissions(dir.path().join(STORAGE_KEY), std::fs::Permissions::from_mode(0o604)).unwrap();
        assert!(matches!(StorageKey::open(dir.path(), &Custody::key_files()), Err(StoreError::Mode { .. })));
    }

    #[test]
    fn another_storage_key_another_kind_and_damage_are_told_apart() {
        let (_dir, key, path) = with_file();
        assert!(matches!(StorageKey::generate().read(&path, "test"), Err(StoreError::OtherStorageKey { .. })));
        assert!(matches!(key.read(&path, "tes"), Err(StoreError::OtherKind { .. })));
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 10, whole.len() / 2, whole.len() - 17, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(matches!(key.read(&path, "test"), Err(StoreError::Damaged { .. })), "cut at {length}");
        }
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert!(matches!(key.read(&path, "test"), Err(StoreError::Damaged { .. })));
        std::fs::write(&path, vec![0; 1 << 20]).unwrap();
        assert!(matches!(key.read(&path, "test"), Err(StoreError::TooLarge { .. })));
    }

    #[test]
    fn a_passphrase_protects_the_storage_key() {
        let dir = folder();
        let file = dir.path().join("passphrase");
        write_new_private(&file, b"correct horse battery\n").unwrap();
        let custody = Custody::key_files().passphrase_file(&file);
        let key = StorageKey::open_or_create(dir.path(), &custody.clone().with_passphrase()).unwrap();
        assert!(!dir.path().join(STORAGE_KEY).exists());
        key.write(&dir.path().join("s.age"), "test", b"1").unwrap();
        let again = StorageKey::open(dir.path(), &custody).unwrap();
        assert_eq!(**again.read(&dir.path().join("s.age"), "test").unwrap(), *b"1");

        let open = |custody: &Custody| StorageKey::open(dir.path(), custody);
        assert!(matches!(open(&Custody::key_files()), Err(StoreError::NoPassphrase { .. })));
        std::fs::write(&file, b"correct horse batterz\n").unwrap();
        assert!(matches!(open(&custody), Err(StoreError::WrongPassphrase { .. })));
        again.create(dir.path(), &Custody::key_files()).unwrap();
        assert!(matches!(open(&custody), Err(StoreError::TwoStorageKeys { .. })));
    }

    #[test]
    fn a_short_passphrase_is_refused() {
        let dir = folder();
        let file = dir.path().join("passphrase");
        write_new_private(&file, b"too short\n").unwrap();
        let custody = Custody::key_files().passphrase_file(&file).with_passphrase();
        let made = StorageKey::open_or_create(dir.path(), &custody);
        assert!(matches!(made, Err(StoreError::BadPassphrase(_))));
    }

    #[test]
    fn a_systemd_credential_goes_first() {
        let (dir, _key, path) = with_file();
        let credentials = folder();
        std::fs::rename(dir.path().join(STORAGE_KEY), credentials.path().join(STORAGE_KEY)).unwrap();
        assert!(matches!(StorageKey::open(dir.path(), &Custody::key_files()), Err(StoreError::NoStorageKey { .. })));
        let custody = Custody::key_files().credentials(credentials.path());
        let key = StorageKey::open(dir.path(), &custody).unwrap();
        assert_eq!(**key.read(&path, "test").unwrap(), *b"forty-two");
    }

    #[test]
    fn a_file_that_is_no_storage_key_is_refused_without_showing_it() {
        let dir = folder();
        write_new_private(&dir.path().join(STORAGE_KEY), b"AGE-SECRET-KEY-1MYSECRET\n").unwrap();
        let error = StorageKey::open(dir.path(), &Custody::key_files()).unwrap_err();
        assert!(matches!(error, StoreError::NotAStorageKey { .. }));
        assert!(!format!("{error} {error:?}").contains("MYSECRET"));
    }

    #[test]
    fn bulk_keys_differ_by_label_and_storage_key_and_last() {
        let (dir, key, _) = with_file();
        let bytes = |key: &StorageKey, label| {
            let mut writer = crate::seal::SealedWriter::new(Vec::new(), &key.bulk_key(label)).unwrap();
            writer.write_all(b"data").unwrap();
            writer.finish().unwrap()
        };
        let opens = |sealed: &[u8], key: &StorageKey, label| {
            let reader = crate::seal::SealedReader::new(sealed, &key.bulk_key(label));
            reader.and_then(|mut reader| reader.read_to_end(&mut Vec::new())).is_ok()
        };
        let sealed = bytes(&key, "cache/1");
        let again = StorageKey::open(dir.path(), &Custody::key_files()).unwrap();
        assert!(opens(&sealed, &again, "cache/1"));
        assert!(!opens(&sealed, &again, "cache/2"));
        assert!(!opens(&sealed, &StorageKey::generate(), "cache/1"));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", StorageKey::generate()), "StorageKey(redacted)");
    }
}
