//! A node's configuration file.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de::Error as _};
use wugan_transport::home::MemberConfig;

use crate::channel::BAD_PERCENT_MAX;

/// `node.toml`. Unknown fields are refused; paths are relative to the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who this is, and where its keys and state lie.
    pub member: MemberConfig,
    /// Where the department's data lie.
    pub node: NodeConfig,
}

/// The `[node]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Folder with `channels/`, `roster.csv`, and what the node writes: `quarantine.csv`, `decisions/`,
    /// `disclosures/`, `canaries/`.
    pub department: PathBuf,
    /// Share of bad rows, in percent, above which a channel fails.
    #[serde(default = "bad_percent_max", deserialize_with = "percent")]
    pub bad_percent_max: u32,
    /// The admin socket, made with mode 0600.
    #[serde(default = "admin")]
    pub admin: PathBuf,
    /// The canaries that the authority issued to this member, if any.
    pub canaries: Option<PathBuf>,
}

/// Where the admin socket is unless the configuration says otherwise.
pub const ADMIN: &str = "/run/wugan-node/admin.sock";

fn bad_percent_max() -> u32 {
    BAD_PERCENT_MAX
}

fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let percent = u32::deserialize(deserializer)?;
    if percent <= 100 { Ok(percent) } else { Err(D::Error::custom("a share in percent is at most 100")) }
}

fn admin() -> PathBuf {
    ADMIN.into()
}
