//! The matcher's configuration file.

use serde::Deserialize;
use wugan_transport::home::{MemberConfig, ServerConfig};

/// `matcher.toml`. Unknown fields are refused; paths are relative to the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who this is, and where its keys and state lie.
    pub member: MemberConfig,
    /// Where it listens.
    pub server: ServerConfig,
}
