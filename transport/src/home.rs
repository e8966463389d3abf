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
    manifest::Federation,
    party::{Party, Role},
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
    /// The federation.
    pub federation: Federation,
    /// Its keys.
    pub keys: PartyKeys,
    /// Its state folder.
    pub state: PathBuf,
    /// Its durable facts.
    pub journal: Journal,
}

/// A party's keys and federation, with its state not opened.
pub struct Examined {
    /// Who this is.
    pub party: Party,
    /// The federation.
    pub federation: Federation,
    /// Its keys.
    pub keys: PartyKeys,
    /// Its state folder.
    pub state: PathBuf,
}

/// Why a party's program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The configuration cannot be read.
    #[error("configuration {path}: {reason}")]
    Config {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Keys, manifest or policy.
    #[error(transparent)]
    Keys(#[from] CommandError),
    /// The key files.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The manifest does not list this party.
    #[error("the federation manifest lists no {role} of member {id}; check `id` in the configuration")]
    NotListed {
        /// The id configured.
        id: String,
        /// The role of this program.
        role: &'static str,
    },
    /// The manifest lists another key.
    #[error(
        "the identity in {keys} is not the one that the federation manifest lists for {id}; give the authority the \
         card of this identity, or put the right key folder in place"
    )]
    OtherKey {
        /// The id configured.
        id: String,
        /// The key folder.
        keys: String,
    },
    /// A demonstration's policy in service.
    #[error(
        "the policy allows rounds without any days between them (days_between_rounds = 0), which lets single people be \
         singled out; a member in service refuses it. `service = false` in [member] is for demonstrations only"
    )]
    DemonstrationPolicy,
    /// The state database.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A query of the state database.
    #[error("state database: {0}")]
    Query(#[from] rusqlite::Error),
    /// The state folder.
    #[error("state folder {path}: {error}")]
    State {
        /// The folder.
        path: String,
        /// What failed.
        error: io::Error,
    },
}

/// Reads a configuration file of type `C`; `C`'s paths are relative to the file's folder, which is returned.
///
/// # Errors
/// [`HomeError::Config`] names the file, the line and what is wrong.
pub fn read_config<C: serde::de::DeserializeOwned>(path: &Path) -> Result<(C, PathBuf), HomeError> {
    let failed = |reason: String| HomeError::Config { path: path.display().to_string(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let config = toml::from_str(&text).map_err(|error| failed(error.to_string()))?;
    let folder = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    Ok((config, folder))
}

impl Home {
    /// Opens a party's home, and makes its state folder where there is none.
    ///
    /// # Errors
    /// See [`HomeError`].
    pub fn open(config: &MemberConfig, base: &Path, role: Role) -> Result<Home, HomeError> {
        let Examined { party, federation, keys, state } = Home::examine(config, base, role)?;
        let folder = |error| HomeError::State { path: state.display().to_string(), error };
        std::fs::create_dir_all(state.join("spool")).map_err(folder)?;
        std::fs::set_permissions(&state, Permissions::from_mode(0o700)).map_err(folder)?;
        let journal = Journal::open(&state.join("state.sqlite"))?;
        Ok(Home { party, federation, keys, state, journal })
    }

    /// Opens what a configuration names and checks it, changing nothing.
    ///
    /// # Errors
    /// See [`HomeError`].
    pub fn examine(config: &MemberConfig, base: &Path, role: Role) -> Result<Examined, HomeError> {
        let at = |path: &Path| base.join(path);
        let (manifest, policy, authority) = (at(&config.federation), at(&config.policy), at(&config.authority));
        let federation = commands::read_federation(&manifest, &policy, &authority)?;
        if config.service && federation.policy().days_between_rounds == 0 {
            return Err(HomeError::DemonstrationPolicy);
        }
        let party = federation.party(&config.id, role);
        let party = party.ok_or_else(|| HomeError::NotListed { id: config.id.clone(), role: role.name() })?;
        let keys = PartyKeys::open(&at(&config.keys), role)?;
        if federation.key(party) != Some(wugan_protocol::envelope::Signer::public_key(keys.identity.as_ref())) {
            let (id, keys) = (config.id.clone(), at(&config.keys).display().to_string());
            return Err(HomeError::OtherKey { id, keys });
        }
        Ok(Examined { party, federation, keys, state: at(&config.state) })
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
