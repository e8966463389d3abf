//! The coordinator's configuration file.

use std::path::PathBuf;

use serde::Deserialize;
use wugan_transport::home::{MemberConfig, ServerConfig};

/// `coordinator.toml`. Unknown fields are refused; paths are relative to the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who this is, and where its keys and state lie.
    pub member: MemberConfig,
    /// Where it listens.
    pub server: ServerConfig,
    /// What only the coordinator has.
    pub coordinator: CoordinatorConfig,
}

/// The `[coordinator]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoordinatorConfig {
    /// The admin socket, made with mode 0600.
    pub admin: PathBuf,
    /// Folder of the nodes' first key announcements, `*.json`, collected at set-up.
    pub announcements: PathBuf,
}
