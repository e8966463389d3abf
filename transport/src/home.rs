//! What every party's program opens first: its configuration, keys, federation and state.

use std::{
    collections::BTreeMap,
    fs::Permissions,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use wugan_keys::{
    PartyKeys,
    commands::{self, CommandError},
    store::StoreError,
};
use wugan_protocol::{
    at_rest::DATABASE,
    envelope::Signer,
    manifest::{Federation, Versions},
    party::{Party, Role},
    text::{TomlProblem, parse_toml},
    texts,
};

use crate::{
    journal::{Journal, JournalError},
    tls::TlsIdentity,
};

/// The `[member]` table of every party's configuration file. Paths are relative to that file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberConfig {
    /// The member's id in the policy.
    pub id: String,
    /// Folder of its keys, as `wugan-keys` makes it.
    pub keys: PathBuf,
    /// The signed federation manifest.
    pub federation: PathBuf,
    /// The policy, `catalogue.toml`.
    pub policy: PathBuf,
    /// The authority's public key.
    pub authority: PathBuf,
    /// Folder of later versions of manifest and policy that the operator has confirmed, as
    /// `wugan-keys federation confirm` fills it; without it, `versions` beside the manifest.
    pub versions: Option<PathBuf>,
    /// Folder of this party's state.
    pub state: PathBuf,
    /// A member in service refuses a policy that allows several rounds a day, as demonstrations need it.
    #[serde(default = "in_service")]
    pub service: bool,
}

/// The `[server]` table of coordinator, matcher and aggregator.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// UDP address to listen on, like `[::]:4433`, or `stdin`: the socket that the service manager hands over as
    /// standard input.
    pub listen: String,
}

/// What a party finds of itself at start.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Its copy of the log, in order.
    pub log: Vec<Vec<u8>>,
    /// Its own entries, in order.
    pub own: Vec<Vec<u8>>,
    /// Its facts, by name.
    pub facts: BTreeMap<String, Vec<u8>>,
}

/// A party's keys, federation and state, opened and checked against each other.
pub struct Home {
    /// Who this is.
    pub party: Party,
    /// The versions of the federation's manifest that its operator has confirmed.
    pub versions: Versions,
    /// Their folder.
    pub versions_folder: PathBuf,
    /// The one in force.
    pub federation: Federation,
    /// Its keys.
    pub keys: PartyKeys,
    /// Its state folder.
    pub state: PathBuf,
    /// Its durable facts.
    pub journal: Journal,
}

texts! {
    /// Why a party's program cannot start.
    #[derive(Debug, thiserror::Error)]
    pub enum HomeError {
        /// The configuration cannot be read.
        Config { path: PathBuf, error: io::Error } "configuration {path}: {error}" "配置文件 {path}：{error}";
        /// The configuration is not what it should be.
        Toml { path: PathBuf, problem: TomlProblem }
            "configuration {path}: {problem}; compare with the commented example in deploy/examples"
            "配置文件 {path}：{problem}；请对照 deploy/examples 中带注释的示例改正";
        /// Keys, manifest or policy.
        Keys(#[from] error: CommandError) "{error}" "{error}";
        /// The key files.
        Store(#[from] error: StoreError) "{error}" "{error}";
        /// The manifest does not list this party.
        NotListed { id: String, role: &'static str }
            "the federation manifest lists no {role} of member {id}; check `id` in the configuration"
            "联合体清单中没有成员 {id} 的 {role} 角色；请核对配置中的 `id`";
        /// A version of the manifest has ended this party's part.
        Left { id: String, role: &'static str, version: u32, days: u64 }
            "member {id} is no {role} any more from version {version} of the federation manifest on: disable this service, and delete \
             its state folder {days} days after the last round in which it took part"
            "自联合体清单第 {version} 版起，成员 {id} 不再担任 {role}：请停用本服务，并在最后参加的轮次 {days} 天之后删除其状态文件夹";
        /// The manifest lists another key.
        OtherKey { id: String, keys: PathBuf }
            "the identity or log key in {keys} is not the one that the federation manifest lists for {id}; give the authority the \
             card of this identity, or put the right key folder in place"
            "{keys} 中的身份或日志密钥与联合体清单所列 {id} 的不一致；请把该身份的身份卡交给授权方，或放回正确的密钥文件夹";
        /// A demonstration's policy in service.
        DemonstrationPolicy
            "the policy allows rounds without any days between them (days_between_rounds = 0), which lets single people \
             be singled out; a member in service refuses it. `service = false` in [member] is for demonstrations only"
            "策略允许两轮之间不隔任何天数（days_between_rounds = 0），可能借此识别个人；正式运行的成员拒绝这种策略。\
             [member] 中的 `service = false` 只供演示";
        /// The state database.
        Journal(#[from] error: JournalError) "{error}" "{error}";
        /// A query of the state database.
        Query(#[from] error: rusqlite::Error) "state database: {error}" "状态数据库：{error}";
        /// The state folder.
        State { path: PathBuf, error: io::Error } "state folder {path}: {error}" "状态文件夹 {path}：{error}";
    }
}

/// Reads a configuration file of type `C`; `C`'s paths are relative to the file's folder, which is returned.
///
/// # Errors
/// [`HomeError::Config`], or [`HomeError::Toml`] with the line and what is wrong.
pub fn read_config<C: serde::de::DeserializeOwned>(path: &Path) -> Result<(C, PathBuf), HomeError> {
    let text = std::fs::read(path).map_err(|error| HomeError::Config { path: path.to_owned(), error })?;
    let config = parse_toml(&text).map_err(|problem| HomeError::Toml { path: path.to_owned(), problem })?;
    let folder = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    Ok((config, folder))
}

impl MemberConfig {
    /// Folder of confirmed versions.
    pub fn versions_folder(&self, base: &Path) -> PathBuf {
        let beside = || base.join(&self.federation).with_file_name("versions");
        self.versions.as_ref().map_or_else(beside, |folder| base.join(folder))
    }

    /// The verified versions of the federation's manifest.
    pub(crate) fn read_versions(&self, base: &Path) -> Result<Versions, HomeError> {
        let [manifest, policy, authority] = [&self.federation, &self.policy, &self.authority].map(|p| base.join(p));
        Ok(commands::read_versions(&manifest, &policy, &authority, &self.versions_folder(base))?)
    }

    /// The version of the manifest in force after the entries of this party's copy of the log, and which party of it
    /// this is. Before the version that lists a party first is in force, it has the number that it will have.
    pub(crate) fn place(
        &self,
        versions: &Versions,
        log: &[Vec<u8>],
        role: Role,
    ) -> Result<(Federation, Party), HomeError> {
        let federation = versions.in_force(log);
        if self.service && federation.policy().days_between_rounds == 0 {
            return Err(HomeError::DemonstrationPolicy);
        }
        let party = federation.party(&self.id, role).or_else(|| versions.last().party(&self.id, role));
        let party = party.ok_or_else(|| self.not_listed(versions, role))?;
        Ok((federation.clone(), party))
    }

    fn not_listed(&self, versions: &Versions, role: Role) -> HomeError {
        let (id, role_name) = (self.id.clone(), role.name());
        match versions.iter().filter(|version| version.party(&self.id, role).is_some()).last() {
            Some(last) => {
                let (version, days) = (last.version() + 1, last.policy().retention_days);
                HomeError::Left { id, role: role_name, version, days }
            }
            None => HomeError::NotListed { id, role: role_name },
        }
    }

    /// The party's keys, which must be those that a version lists, the one in force or one to come.
    pub(crate) fn open_keys(&self, base: &Path, versions: &Versions, party: Party) -> Result<PartyKeys, HomeError> {
        let folder = base.join(&self.keys);
        let keys = PartyKeys::open(&folder, party.role)?;
        let mine = (Some(keys.identity.public_key()), Some(keys.log.public_key()));
        let listed = |version: &Federation| {
            let party = version.party(&self.id, party.role);
            party.is_some_and(|party| (version.key(party), version.tree_key(party)) == mine)
        };
        if !versions.iter().any(listed) {
            return Err(HomeError::OtherKey { id: self.id.clone(), keys: folder });
        }
        Ok(keys)
    }
}

impl Home {
    /// Opens a party's home, and makes its state folder where there is none.
    ///
    /// # Errors
    /// See [`HomeError`].
    pub fn open(config: &MemberConfig, base: &Path, role: Role) -> Result<Home, HomeError> {
        let versions = config.read_versions(base)?;
        let state = base.join(&config.state);
        let folder = |error| HomeError::State { path: state.clone(), error };
        std::fs::create_dir_all(state.join("spool")).map_err(folder)?;
        std::fs::set_permissions(&state, Permissions::from_mode(0o700)).map_err(folder)?;
        let journal = Journal::open(&state.join(DATABASE))?;
        let (federation, party) = config.place(&versions, &journal.log()?, role)?;
        let keys = config.open_keys(base, &versions, party)?;
        Ok(Home { party, versions, versions_folder: config.versions_folder(base), federation, keys, state, journal })
    }

    /// What the journal holds.
    ///
    /// # Errors
    /// [`HomeError::Journal`].
    pub fn stored(&self) -> Result<Stored, HomeError> {
        let facts = self.journal.facts()?;
        Ok(Stored { log: self.journal.log()?, own: self.journal.own()?, facts: facts.into_iter().collect() })
    }

    /// The TLS identity of this party.
    pub fn tls(&self) -> TlsIdentity {
        let (certificate, key) = self.keys.identity.tls();
        TlsIdentity::new(certificate, key)
    }
}

/// 32 bytes of the system's randomness.
///
/// # Panics
/// When the system gives none: nothing could go on safely.
#[expect(clippy::expect_used, reason = "a system without randomness cannot run a party")]
pub fn fresh() -> [u8; 32] {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).expect("the system gives randomness");
    bytes
}

fn in_service() -> bool {
    true
}
