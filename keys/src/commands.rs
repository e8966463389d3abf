//! What `wugan-keys` does, as functions of plain arguments: a demo or a test sets a federation up with the same
//! commands that an operator runs. `now` is seconds since 1970 UTC.

mod canaries;
mod check;
mod summary;
mod versions;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use getrandom::{
    SysRng,
    rand_core::{TryRng, UnwrapErr},
};
use wugan_protocol::{
    envelope::Signed,
    hexes::Hex,
    limits::ENTRY_BYTES_MAX,
    manifest::{Federation, FederationError},
    party::Role,
    policy::{Policy, PolicyError},
    text::{TomlProblem, parse_toml},
    texts,
};

use crate::{
    authority::{Authority, Draft, SignError},
    canaries::{CanariesError, IssueError},
    card::{CARD_BYTES_MAX, CARD_SUFFIX, Card, CardError, Fingerprint},
    epoch::{AnnounceError, EpochKey, Place},
    identity::{Identity, IdentityError},
    log_key::LogKey,
    party_keys::epoch_numbers,
    store::{self, Custody, StorageKey, StoreError},
};

pub use canaries::{CANARIES_SUFFIX, CANARY_LIST, canaries_issue, read_canaries};
pub use check::{Finding, Problem, check};
pub use summary::{FederationSummary, MemberSummary};
pub use versions::{CATALOGUE, Change, MANIFEST, changes, federation_confirm, read_versions};

/// `authority new`: makes `authority.key.age` and `authority.pub` (hexadecimal and a line feed); the storage key too,
/// where there is none. Returns the public key.
///
/// # Errors
/// [`CommandError`]; nothing is ever replaced. When only `authority.pub` is missing, it is written again.
pub fn authority_new(dir: &Path, custody: &Custody) -> Result<[u8; 32], CommandError> {
    let path = Authority::public_path(dir);
    refuse_existing(&path)?;
    let storage = StorageKey::open_or_create(dir, custody)?;
    let authority = if Identity::path(dir, Role::Authority).exists() {
        Authority::read(dir, &storage)?
    } else {
        let authority = Authority::generate()?;
        authority.write(dir, &storage)?;
        authority
    };
    store::write_new_public(&path, format!("{}\n", Hex(authority.public_key())).as_bytes())?;
    Ok(authority.public_key())
}

/// `identity new`: makes `identity-<role>.age`, `log-<role>.age` and the card `<member>-<role>.card.json`; the storage key too, where
/// there is none. `address` is empty for nodes.
///
/// # Errors
/// [`CommandError`]; nothing is ever replaced. When only the card is missing, it is written again.
pub fn identity_new(
    dir: &Path,
    member: &str,
    role: Role,
    address: &str,
    custody: &Custody,
) -> Result<Card, CommandError> {
    let blank =
        Card { member: member.to_owned(), role, key: Hex([0; 32]), log: Hex([0; 32]), address: address.to_owned() };
    blank.check()?;
    let path = blank.path(dir);
    refuse_existing(&path)?;
    let storage = StorageKey::open_or_create(dir, custody)?;
    let identity = if Identity::path(dir, role).exists() {
        member_identity(dir, member, role, &storage)?
    } else {
        let identity = Identity::generate(member, role)?;
        identity.write(dir, &storage)?;
        identity
    };
    let log = if LogKey::path(dir, role).exists() {
        LogKey::read(dir, role, &storage)?
    } else {
        let log = LogKey::generate(role)?;
        log.write(dir, &storage)?;
        log
    };
    let card = Card::of(&identity, &log, address)?;
    store::write_new_public(&path, &card.to_json()?)?;
    Ok(card)
}

/// `epoch new`: makes `epoch-1.age`, and `announcement-1.json`, the node's first signed entry.
///
/// # Errors
/// [`CommandError`]; [`CommandError::Announced`] for later epochs, which only the running node can put in its sequence.
/// When only the announcement is missing, it is made again.
pub fn epoch_new(
    dir: &Path,
    member: &str,
    federation: &Path,
    policy: &Path,
    authority: &Path,
    custody: &Custody,
    now: u64,
) -> Result<Signed, CommandError> {
    let path = announcement_path(dir);
    let epochs = epoch_numbers(dir)?;
    if path.exists() || epochs.iter().any(|&number| number > FIRST_EPOCH) {
        return Err(CommandError::Announced { dir: dir.to_owned() });
    }
    let federation = read_federation(federation, policy, authority)?;
    let storage = StorageKey::open(dir, custody)?;
    let identity = member_identity(dir, member, Role::Node, &storage)?;
    let key = if epochs.contains(&FIRST_EPOCH) {
        EpochKey::read(dir, FIRST_EPOCH, &storage)?
    } else {
        let key = EpochKey::generate(FIRST_EPOCH, &mut UnwrapErr(SysRng));
        key.write(dir, &storage)?;
        key
    };
    let mut fresh = [0; 32];
    SysRng.try_fill_bytes(&mut fresh).map_err(|_| CommandError::Randomness)?;
    let signed = key.announce(&federation, &identity, Place::FIRST, now, &fresh)?;
    store::write_new_public(&path, signed.bytes())?;
    Ok(signed)
}

/// The file of the first epoch's announcement in a directory: one line, without a line feed.
pub fn announcement_path(dir: &Path) -> PathBuf {
    dir.join(format!("announcement-{FIRST_EPOCH}.json"))
}

/// `federation sign`: signs the manifest of a draft with all cards of a directory, and writes its canonical line.
///
/// # Errors
/// [`CommandError`]; `out` is never replaced.
pub fn federation_sign(
    authority_dir: &Path,
    policy: &Path,
    draft: &Path,
    cards: &Path,
    out: &Path,
    custody: &Custody,
    now: u64,
) -> Result<Federation, CommandError> {
    refuse_existing(out)?;
    let policy = read_policy(policy)?;
    let plan = read_draft(draft)?;
    let cards = read_cards(cards)?;
    let previous = match plan.previous.as_str() {
        "" => None,
        file => Some(read_line(&draft.with_file_name(file))?),
    };
    let authority = Authority::read(authority_dir, &StorageKey::open(authority_dir, custody)?)?;
    let federation = authority.sign(&plan, &policy, &cards, previous.as_deref(), now)?;
    store::write_new_public(out, federation.signed().bytes())?;
    Ok(federation)
}

/// `federation show`, and how every service reads its federation: verified under the authority's key, for the policy.
///
/// # Errors
/// [`CommandError`].
pub fn read_federation(federation: &Path, policy: &Path, authority: &Path) -> Result<Federation, CommandError> {
    let key = read_authority(authority)?;
    let verified = Federation::verify(&read_line(federation)?, &key, read_policy(policy)?);
    verified.map_err(|source| CommandError::Federation { path: federation.to_owned(), source })
}

/// Reads `authority.pub`.
///
/// # Errors
/// [`CommandError`].
pub fn read_authority(path: &Path) -> Result<[u8; 32], CommandError> {
    let bytes = store::read_public(path, KEY_FILE_BYTES_MAX)?;
    parse_key(&bytes).ok_or_else(|| CommandError::NotAKey { path: path.to_owned() })
}

/// Reads `catalogue.toml`.
///
/// # Errors
/// [`CommandError`].
pub fn read_policy(path: &Path) -> Result<Arc<Policy>, CommandError> {
    let policy = Policy::read(&store::read_public(path, TOML_BYTES_MAX)?);
    Ok(Arc::new(policy.map_err(|source| CommandError::Policy { path: path.to_owned(), source })?))
}

/// `fingerprint`: of an identity card or of `authority.pub`, with whose it is.
///
/// # Errors
/// [`CommandError`].
pub fn fingerprint(path: &Path) -> Result<(String, Fingerprint), CommandError> {
    let bytes = store::read_public(path, CARD_BYTES_MAX)?;
    if let Some(key) = parse_key(&bytes) {
        return Ok(("authority".to_owned(), Fingerprint::of_authority(&key)));
    }
    let card = parse_card(path, &bytes)?;
    Ok((card.party_name(), card.fingerprint()?))
}

texts! {
    /// Why a command did nothing more.
    #[derive(Debug, thiserror::Error)]
    pub enum CommandError {
        /// A file.
        Store(#[from] error: StoreError) "{error}" "{error}";
        /// A new identity.
        Identity(#[from] error: IdentityError) "{error}" "{error}";
        /// A new card.
        Card(#[from] error: CardError) "{error}" "{error}";
        /// A card that was read.
        CardFile { path: PathBuf, source: CardError } "{path}: {source}" "{path}：{source}";
        /// The policy.
        Policy { path: PathBuf, source: PolicyError } "{path}: {source}" "{path}：{source}";
        /// The federation manifest.
        Federation { path: PathBuf, source: FederationError } "{path}: {source}" "{path}：{source}";
        /// A policy under which no member in service would run.
        Demonstration { path: PathBuf }
            "{path} allows rounds without any days between them (days_between_rounds = 0), which members in service refuse; the \
             version is not confirmed"
            "{path} 允许两轮之间不隔任何天数（days_between_rounds = 0），正式运行的成员会拒绝；该版本未确认";
        /// A confirmed version.
        Confirm { folder: PathBuf, error: std::io::Error }
            "{folder}: {error}; the version is not confirmed"
            "{folder}：{error}；该版本未确认";
        /// The draft.
        Draft { path: PathBuf, problem: TomlProblem }
            "{path}: {problem}; `wugan-keys federation sign --help` shows a draft"
            "{path}：{problem}；草案的写法见 `wugan-keys federation sign --help`";
        /// The plan of canaries.
        Plan { path: PathBuf, problem: TomlProblem }
            "{path}: {problem}; `wugan-keys canaries issue --help` shows a plan"
            "{path}：{problem}；计划的写法见 `wugan-keys canaries issue --help`";
        /// The plan and the policy do not agree.
        Issue { path: PathBuf, error: IssueError }
            "{path}: no canaries were issued: {error}"
            "{path}：未签发哨兵：{error}";
        /// Canaries that were issued.
        Canaries { path: PathBuf, error: CanariesError } "{path}: {error}" "{path}：{error}";
        /// Not a public key.
        NotAKey { path: PathBuf }
            "{path} is not a public key: 64 lower-case hexadecimal digits and a line feed"
            "{path} 不是公钥：应为 64 个小写十六进制数字加换行";
        /// Somebody else's directory.
        OtherMember { dir: PathBuf, found: String, expected: String }
            "{dir} has the identity of {found}, not of {expected}: give the right --dir or --member"
            "{dir} 中是 {found} 的身份，不是 {expected} 的：请改正 --dir 或 --member";
        /// Only the running node knows its place in its own sequence of entries.
        Announced { dir: PathBuf }
            "{dir} has announced its first epoch: later ones are made and announced by the running node"
            "{dir} 已公布首个密钥周期：以后的由运行中的节点生成并公布";
        /// The system's generator.
        Randomness "the system gives no randomness" "系统无法提供随机数";
        /// Draft, cards and policy do not agree.
        Sign(#[from] error: SignError) "no manifest was signed: {error}" "未签署清单：{error}";
        /// The key is not announced.
        Announce(#[from] error: AnnounceError) "the epoch is not announced: {error}" "密钥周期未公布：{error}";
    }
}

const FIRST_EPOCH: u32 = 1;

/// 64 digits, a line feed, and room for white space around.
const KEY_FILE_BYTES_MAX: usize = 128;

/// Bytes of a catalogue or a draft: a thousand items with names stay far below.
const TOML_BYTES_MAX: usize = 1 << 20;

/// Says before any work what writing would say after it.
fn refuse_existing(path: &Path) -> Result<(), StoreError> {
    if path.exists() { Err(StoreError::Exists { path: path.to_owned() }) } else { Ok(()) }
}

fn member_identity(dir: &Path, member: &str, role: Role, storage: &StorageKey) -> Result<Identity, CommandError> {
    let identity = Identity::read(dir, role, storage)?;
    if identity.member() != member {
        let (found, expected) = (identity.member().to_owned(), member.to_owned());
        return Err(CommandError::OtherMember { dir: dir.to_owned(), found, expected });
    }
    Ok(identity)
}

/// A signed document is one line; an editor may have ended it with a line feed.
fn read_line(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut line = store::read_public(path, ENTRY_BYTES_MAX + 1)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(line)
}

fn read_draft(path: &Path) -> Result<Draft, CommandError> {
    let draft = parse_toml(&store::read_public(path, TOML_BYTES_MAX)?);
    draft.map_err(|problem| CommandError::Draft { path: path.to_owned(), problem })
}

fn read_cards(dir: &Path) -> Result<Vec<Card>, CommandError> {
    let names = store::list(dir)?.into_iter().filter(|name| name.ends_with(CARD_SUFFIX));
    let paths = names.map(|name| dir.join(name));
    paths.map(|path| parse_card(&path, &store::read_public(&path, CARD_BYTES_MAX)?)).collect()
}

fn parse_card(path: &Path, bytes: &[u8]) -> Result<Card, CommandError> {
    Card::read(bytes).map_err(|source| CommandError::CardFile { path: path.to_owned(), source })
}

fn parse_key(bytes: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.trim().parse::<Hex<32>>().ok().map(|key| key.0)
}
